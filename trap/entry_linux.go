package trap

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// entrySeals keep memory that is shared from being taken away under others who have mapped it.
const entrySeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW

// maxEntry bounds memory that is shared, in bytes.
const maxEntry = 1 << 40

// NewEntry makes a memory file to be shared, of size bytes rounded up to whole pages.
func NewEntry(size int) (*os.File, error) {
	page := os.Getpagesize()
	if size <= 0 || size > maxEntry {
		return nil, fmt.Errorf("memory of %d bytes cannot be shared", size)
	}
	size = (size + page - 1) &^ (page - 1)
	fd, err := unix.MemfdCreate("shared", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("making shared memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "shared")
	if err = unix.Ftruncate(fd, int64(size)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, entrySeals|unix.F_SEAL_SEAL)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("making shared memory: %w", err)
	}
	return f, nil
}

// EntrySize returns the size of memory to be shared. It fails for files whose size others could change.
func EntrySize(f *os.File) (int, error) {
	var st unix.Stat_t
	err := withFD(f, func(fd int) error {
		seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
		switch {
		case err != nil:
			return fmt.Errorf("shared memory is no memory file: %w", err)
		case seals&entrySeals != entrySeals:
			return fmt.Errorf("shared memory lacks seals: has %#x, wants %#x", seals, entrySeals)
		}
		return unix.Fstat(fd, &st)
	})
	switch {
	case err != nil:
		return 0, err
	case st.Size <= 0 || st.Size > maxEntry || st.Size%int64(os.Getpagesize()) != 0:
		return 0, fmt.Errorf("shared memory of %d bytes", st.Size)
	}
	return int(st.Size), nil
}

// MapEntry maps all of a memory file to be shared, to be read and written.
func MapEntry(f *os.File) (mem []byte, err error) {
	size, err := EntrySize(f)
	if err != nil {
		return nil, err
	}
	err = withFD(f, func(fd int) error {
		mem, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("shared memory cannot be written to: %w", err)
		}
		return err
	})
	return mem, err
}
