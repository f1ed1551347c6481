package object

import (
	"io"
	"sync"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// File is what a port stands for that carries an open file (IKOT_FILEPORT), or memory that can be mapped
// (IKOT_NAMED_ENTRY). The machine does nothing with it but close it when the last send right is gone, or the machine
// ends. It outlives the task that made it as long as others have rights; it counts among what that task has made.
//
// Source: XNU bsd/kern/kern_descrip.c, sys_fileport_makeport and fileport_no_senders.
type File struct {
	owner *Task
	port  portal
	kind  mach.PortType

	mu   sync.Mutex
	file io.Closer // nil once it is being closed
}

// CreateFile makes a port of a kind for a file, which it takes over if it succeeds, and returns a send right
// (fileport_makeport).
func (t *Task) CreateFile(kind mach.PortType, file io.Closer) (*ipc.Port, mach.KernReturn) {
	m := t.m
	if !t.charge() {
		return nil, mach.KernResourceShortage
	}
	f := &File{owner: t, kind: kind, file: file}
	f.port = portal{m, f}
	all, own := m.live.files.Add(1), t.files.Add(1)
	if all > m.files || own > max(1, m.files/fileShare) {
		f.refund()
		return nil, mach.KernResourceShortage
	}
	return m.IPC.NewObjectPort(kind, &f.port).MakeSend(), 0
}

// fileShare is which part of all files that a machine holds one task may have made.
const fileShare = 8

// UseFile lends what a port of a kind stands for. The file is not closed before use returns. Ports of other kinds are
// KERN_INVALID_CAPABILITY.
func (m *Machine) UseFile(p *ipc.Port, kind mach.PortType, use func(io.Closer) error) error {
	f, _ := m.objectOf(p).(*File)
	if f == nil || f.kind != kind {
		return mach.KernInvalidCapability
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return mach.KernInvalidCapability
	}
	return use(f.file)
}

// noSenders closes the file, on the side: to close a file may take as long as whoever serves it likes. Until then it
// counts.
func (f *File) noSenders(p *ipc.Port) {
	if p.HasSenders() {
		return
	}
	f.mu.Lock()
	file := f.file
	f.file = nil
	f.mu.Unlock()
	if file == nil {
		return
	}
	p.Destroy()
	go func() {
		file.Close()
		f.refund()
	}()
}

func (f *File) refund() {
	f.owner.m.live.files.Add(-1)
	f.owner.files.Add(-1)
	f.owner.made.Add(-1)
}
