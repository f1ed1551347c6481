//go:build linux

package daemon

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxFile is the size of the largest file that is read: of a job, and of what is kept.
const maxFile = 1 << 20

// trusted returns why a file is not to be trusted: somebody else than root and the user may have written to it.
func trusted(path string, st os.FileInfo) error {
	if st.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s: others may write to it (mode %o)", path, st.Mode().Perm())
	}
	if s, ok := st.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && int(s.Uid) != os.Getuid() {
		return fmt.Errorf("%s: it belongs to another user (%d)", path, s.Uid)
	}
	return nil
}

// readTrusted reads a file that root or the user alone can have written.
func readTrusted(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO is not waited for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular() || st.Size() > maxFile:
		return nil, fmt.Errorf("%s: not a file of at most %d bytes", path, maxFile)
	}
	if err := trusted(path, st); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile { // it grows
		err = fmt.Errorf("%s: not a file of at most %d bytes", path, maxFile)
	}
	return b, err
}
