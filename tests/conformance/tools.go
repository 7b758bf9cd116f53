//go:build tools

// Package conformance pins the clients that bulkhead is held against.
package conformance

import _ "sigs.k8s.io/cri-tools/cmd/crictl"
