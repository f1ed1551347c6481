package local

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// give makes a port of a kind for a file, which it takes over, and gives the task a send right.
func (t *Task) give(kind mach.PortType, f *os.File) (mach.Name, error) {
	p, kr := t.CreateFile(kind, f)
	if kr != 0 {
		f.Close()
		return 0, kr
	}
	name, kr := t.Space.InsertSend(p, false)
	if kr != 0 {
		return 0, kr
	}
	return name, nil
}

// open returns a file of its own for what a port of a kind stands for.
func (t *Task) open(kind mach.PortType, name mach.Name) (own *os.File, err error) {
	p, kr := t.Space.SendPort(name)
	if kr != 0 {
		return nil, kr
	}
	err = t.Machine().UseFile(p, kind, func(f io.Closer) error {
		own, err = trap.Duplicate(f.(*os.File))
		return err
	})
	return own, err
}

// FilePort implements xpc.FilePorts.
func (t *Task) FilePort(f *os.File) (mach.Name, error) {
	own, err := trap.Duplicate(f)
	if err != nil {
		return 0, err
	}
	return t.give(mach.PortTypeFileport, own)
}

// OpenFilePort implements xpc.FilePorts.
func (t *Task) OpenFilePort(n mach.Name) (*os.File, error) { return t.open(mach.PortTypeFileport, n) }

// NewRegion implements xpc.Regions.
func (t *Task) NewRegion(size int) ([]byte, mach.Name, error) {
	f, err := trap.NewEntry(size)
	if err != nil {
		return nil, 0, err
	}
	mem, err := trap.MapEntry(f)
	if err != nil {
		f.Close()
		return nil, 0, err
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
	return trap.MapEntry(f)
}

// UnmapRegion implements xpc.Regions.
func (t *Task) UnmapRegion(mem []byte) error { return unix.Munmap(mem) }
