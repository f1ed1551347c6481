//go:build !unix

package macho

import (
	"io"
	"os"
)

// mapFile reads size bytes of f where files cannot be mapped.
func mapFile(f *os.File, size int64) ([]byte, func() error, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, nil, err
	}
	return data, func() error { return nil }, nil
}
