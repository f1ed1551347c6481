//go:build unix

package container

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileID tells files apart; bundle is the bundle they are read for, as the same library can meet different fates in two
// programs.
type fileID struct {
	dev, ino uint64
	bundle   string
}

func idOf(info fs.FileInfo, bundle string) (id fileID, links uint64, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, 0, false
	}
	// The widths of these differ from system to system.
	return fileID{uint64(st.Dev), uint64(st.Ino), bundle}, uint64(st.Nlink), true
}

// openFlags keep open from waiting for the other end, should the file have become a pipe since it was looked at.
const openFlags = os.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC

// mapFile maps size bytes of f read-only until release is called.
func mapFile(f *os.File, size int64) (data []byte, release func(), err error) {
	if size == 0 {
		return []byte{}, func() {}, nil
	}
	data, err = unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return data, func() { _ = unix.Munmap(data) }, nil
}
