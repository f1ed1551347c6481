//go:build linux

package attached

import (
	"os"

	"golang.org/x/sys/unix"

	"portcullis.dev/mach"
	"portcullis.dev/trap"
	"portcullis.dev/trap/task"
)

// quickly lends a thread for calls that do not wait.
func (t *Task) quickly(call func(*task.Thread) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.own == nil {
		th, err := t.Task.NewThread()
		if err != nil {
			return err
		}
		t.own = th
	}
	return call(t.own)
}

// FilePort implements xpc.FilePorts.
func (t *Task) FilePort(f *os.File) (name mach.Name, err error) {
	err = t.quickly(func(th *task.Thread) (err error) {
		name, err = th.MakeFileport(f)
		return err
	})
	return name, err
}

// OpenFilePort implements xpc.FilePorts.
func (t *Task) OpenFilePort(n mach.Name) (f *os.File, err error) {
	err = t.quickly(func(th *task.Thread) (err error) {
		f, err = th.OpenFileport(n)
		return err
	})
	return f, err
}

// NewRegion implements xpc.Regions.
func (t *Task) NewRegion(size int) (mem []byte, name mach.Name, err error) {
	f, err := trap.NewEntry(size)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	if mem, err = trap.MapEntry(f); err != nil {
		return nil, 0, err
	}
	err = t.quickly(func(th *task.Thread) (err error) {
		name, err = th.MakeMemoryEntry(f)
		return err
	})
	if err != nil {
		unix.Munmap(mem)
		return nil, 0, err
	}
	return mem, name, nil
}

// MapRegion implements xpc.Regions.
func (t *Task) MapRegion(n mach.Name) ([]byte, error) {
	var f *os.File
	if err := t.quickly(func(th *task.Thread) (err error) {
		f, err = th.OpenMemoryEntry(n)
		return err
	}); err != nil {
		return nil, err
	}
	defer f.Close()
	return trap.MapEntry(f)
}

// UnmapRegion implements xpc.Regions.
func (t *Task) UnmapRegion(mem []byte) error { return unix.Munmap(mem) }
