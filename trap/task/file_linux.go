package task

import (
	"fmt"
	"os"

	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// MakeFileport returns the name of a send right to a port that stands for the open file (fileport_makeport). The file
// stays the caller's.
func (th *Thread) MakeFileport(f *os.File) (mach.Name, error) {
	return th.makeFile(trap.OpFileportMakePort, "fileport_makeport", f)
}

// OpenFileport returns a file of its own for the one that a port stands for (fileport_makefd). The right stays.
func (th *Thread) OpenFileport(name mach.Name) (*os.File, error) {
	f, _, err := th.openFile(trap.OpFileportMakeFD, "fileport_makefd", name)
	return f, err
}

// MakeMemoryEntry returns the name of a send right to a port that stands for a memory file, as [trap.NewEntry] makes
// one (mach_make_memory_entry). The file stays the caller's.
func (th *Thread) MakeMemoryEntry(f *os.File) (mach.Name, error) {
	return th.makeFile(trap.OpMemoryEntryMake, "mach_make_memory_entry", f)
}

// OpenMemoryEntry returns the memory file that a port stands for, to be mapped with [trap.MapEntry]. The right stays.
func (th *Thread) OpenMemoryEntry(name mach.Name) (*os.File, error) {
	f, size, err := th.openFile(trap.OpMemoryEntryOpen, "opening a memory entry", name)
	if err != nil {
		return nil, err
	}
	if there, err := trap.EntrySize(f); err != nil || uint64(there) != size {
		f.Close()
		return nil, fmt.Errorf("opening a memory entry: %d bytes of %d: %w", there, size, err)
	}
	return f, nil
}

func (th *Thread) makeFile(op trap.Op, what string, f *os.File) (mach.Name, error) {
	if err := th.task.socket.Send(&trap.Packet{Kind: trap.Give, A: th.index}, f); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	v, err := th.value(op, what)
	return mach.Name(v), err
}

func (th *Thread) openFile(op trap.Op, what string, name mach.Name) (*os.File, uint64, error) {
	size, err := th.value(op, what, uint64(name))
	if err != nil {
		return nil, 0, err
	}
	f, _, err := th.task.ask(&trap.Packet{Kind: trap.Take, A: th.index})
	if err == nil && f == nil {
		err = trap.ErrPacket
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", what, err)
	}
	return f, size, nil
}
