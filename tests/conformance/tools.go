//go:build tools

// Package conformance pins the clients that bulkhead is held against.
package conformance

import (
	_ "sigs.k8s.io/cri-tools/cmd/crictl"
	_ "sigs.k8s.io/cri-tools/pkg/benchmark" // with validate all that critest, a test and no package, wants
	_ "sigs.k8s.io/cri-tools/pkg/validate"
)
