package local

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// filePort is what a port stands for that carries an open file: IKOT_FILEPORT, and IKOT_NAMED_ENTRY where the file is
// memory. It lasts as long as there are send rights.
type filePort struct {
	mu   sync.Mutex
	file *os.File
}

// Serve implements ipc.Object: there is nothing to ask.
func (f *filePort) Serve(*ipc.Thread, *ipc.Call) {}

// NoSenders implements ipc.Object.
func (f *filePort) NoSenders(p *ipc.Port, _ uint32) {
	f.mu.Lock()
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
	f.mu.Unlock()
	p.Destroy()
}

// duplicate returns a file of its own for the same open file.
func duplicate(f *os.File) (*os.File, error) {
	c, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, dupErr := -1, error(nil)
	if err := c.Control(func(from uintptr) {
		fd, dupErr = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), dupErr)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// give makes a port of a kind for a file, which it takes over, and gives the task a send right.
func (t *Task) give(kind mach.PortType, f *os.File) (mach.Name, error) {
	p := t.Machine().IPC.NewObjectPort(kind, &filePort{file: f})
	name, kr := t.Space.InsertSend(p.MakeSend(), false)
	if kr != 0 {
		return 0, kr
	}
	return name, nil
}

// open returns a file of its own for what a port of a kind stands for.
func (t *Task) open(kind mach.PortType, name mach.Name) (*os.File, error) {
	p, kr := t.Space.SendPort(name)
	if kr != 0 {
		return nil, kr
	}
	o, ok := p.Object().(*filePort)
	if !ok || p.Type() != kind {
		return nil, fmt.Errorf("the right is to no port of type %v", kind)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return nil, mach.KernInvalidCapability
	}
	return duplicate(o.file)
}

// FilePort implements xpc.FilePorts.
func (t *Task) FilePort(f *os.File) (mach.Name, error) {
	own, err := duplicate(f)
	if err != nil {
		return 0, err
	}
	return t.give(mach.PortTypeFileport, own)
}

// OpenFilePort implements xpc.FilePorts.
func (t *Task) OpenFilePort(n mach.Name) (*os.File, error) { return t.open(mach.PortTypeFileport, n) }

// NewRegion implements xpc.Regions.
func (t *Task) NewRegion(size int) ([]byte, mach.Name, error) {
	page := os.Getpagesize()
	if size <= 0 || size > 1<<40 {
		return nil, 0, fmt.Errorf("memory of %d bytes cannot be made", size)
	}
	size = (size + page - 1) &^ (page - 1)
	fd, err := unix.MemfdCreate("xpc-shmem", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, 0, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "xpc-shmem")
	if err = unix.Ftruncate(fd, int64(size)); err == nil {
		// Whoever else maps the memory must not be able to take it away under a reader.
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("shared memory: %w", err)
	}
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("mmap: %w", err)
	}
	name, err := t.give(mach.PortTypeNamedEntry, f)
	if err != nil {
		unix.Munmap(mem)
		return nil, 0, err
	}
	return mem, name, nil
}

// MapRegion implements xpc.Regions.
func (t *Task) MapRegion(n mach.Name) ([]byte, error) {
	f, err := t.open(mach.PortTypeNamedEntry, n)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return mem, nil
}

// UnmapRegion implements xpc.Regions.
func (t *Task) UnmapRegion(mem []byte) error { return unix.Munmap(mem) }
