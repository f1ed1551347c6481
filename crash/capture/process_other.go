//go:build !linux || !(amd64 || arm64)

package capture

import "errors"

// Process takes a snapshot of a live process. It can on Linux alone, on x86-64 and arm64.
func Process(pid int, opts Options) (*Snapshot, error) {
	return nil, errors.New("processes can be captured on Linux alone, on x86-64 and arm64")
}
