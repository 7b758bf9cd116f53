//go:build tools

// Package kubelet pins the kubelet that bulkhead is held against.
package kubelet

import _ "k8s.io/kubernetes/cmd/kubelet"
