//go:build !go1.21

package probestream

import (
	"hash"

	sha256 "github.com/minio/sha256-simd"
)

// newSHA256 uses the processor's own instructions, which Go itself does from 1.21 on: 0.7 in place of 2.8 CPU seconds per GB.
func newSHA256() hash.Hash { return sha256.New() }
