package trap

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Memory is a shared memory file, mapped.
type Memory struct {
	File *os.File // nil once handed over and closed
	B    []byte
}

// laneSeals keep a task from shrinking the file under the kernel's hands, which would turn reads into faults.
const laneSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// NewMemory makes a memory file of a fixed size and maps it.
func NewMemory(name string, size int) (*Memory, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("making shared memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err = unix.Ftruncate(fd, int64(size)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, laneSeals)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("making shared memory: %w", err)
	}
	m, err := MapMemory(f, size)
	if err != nil {
		f.Close()
	}
	return m, err
}

// MapMemory maps a memory file that the other side made. The file must have the size and be sealed against shrinking.
func MapMemory(f *os.File, size int) (*Memory, error) {
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || seals&unix.F_SEAL_SHRINK == 0 {
		return nil, fmt.Errorf("shared memory is not sealed: %w", err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping shared memory: %w", err)
	}
	return &Memory{File: f, B: b}, nil
}

// CloseFile closes the file and leaves the mapping.
func (m *Memory) CloseFile() {
	if m.File != nil {
		m.File.Close()
		m.File = nil
	}
}

// Close unmaps the memory. Nobody may use it any more.
func (m *Memory) Close() {
	m.CloseFile()
	if m.B != nil {
		unix.Munmap(m.B)
		m.B = nil
	}
}

// Control returns the control page of a lane.
func (m *Memory) Control() *Control { return (*Control)(unsafe.Pointer(&m.B[0])) }

// In returns the part of a lane that goes to the kernel.
func (m *Memory) In() []byte { return m.B[In : In+InSize] }

// Out returns the part of a lane that comes from the kernel.
func (m *Memory) Out() []byte { return m.B[Out : Out+OutSize] }

// Area returns the records of a process's area.
func (m *Memory) Area() *Area { return (*Area)(unsafe.Pointer(&m.B[0])) }

// Data returns the bytes that belong to a record's commands.
func (m *Memory) Data(record int) []byte {
	at := AreaData + record*CommandData
	return m.B[at : at+CommandData]
}

// bulkSeals are what a memory file needs for the kernel to hand it on without a copy: nobody can change it any more.
const bulkSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// NewBulk makes a sealed memory file that holds b.
func NewBulk(b []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("bulk", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("making bulk memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "bulk")
	for rest, at := b, int64(0); len(rest) > 0; {
		n, err := unix.Pwrite(fd, rest, at)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("filling bulk memory: %w", err)
		}
		rest, at = rest[n:], at+int64(n)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, bulkSeals); err != nil {
		f.Close()
		return nil, fmt.Errorf("sealing bulk memory: %w", err)
	}
	return f, nil
}

// MapBulk maps a sealed memory file of exactly size bytes, to be read only.
func MapBulk(f *os.File, size uint64) ([]byte, error) {
	fd := int(f.Fd())
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, fmt.Errorf("bulk memory is no memory file: %w", err)
	}
	if seals&bulkSeals != bulkSeals {
		return nil, fmt.Errorf("bulk memory lacks seals: has %#x, wants %#x", seals, bulkSeals)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if uint64(st.Size) != size || size == 0 {
		return nil, fmt.Errorf("bulk memory has %d bytes, not %d", st.Size, size)
	}
	return unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
}

// UnmapBulk ends a mapping of MapBulk.
func UnmapBulk(b []byte) { unix.Munmap(b) }
