package object_test

import (
	"testing"

	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
)

// TestDeath checks what a task's end means for others: dead names, notifications, dead threads and semaphores.
func TestDeath(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true})
	p, other := w.plain(), w.plain()
	sema, kr := other.CreateSemaphore(object.FIFO, 0)
	w.want(kr, 0)
	s := p.name(sema)
	box := p.port()
	var names []mach.Name
	for f := object.Control; f <= object.Name; f++ {
		names = append(names, p.name(other.TaskPort(p.Task, f)))
	}
	threads, kr := other.Threads(p.Task, object.Control)
	w.want(kr, 0)
	if len(threads) != 1 {
		t.Fatalf("%d threads", len(threads))
	}
	names = append(names, p.name(threads[0]))
	for _, n := range names {
		_, kr := p.Space.RequestNotification(p.th.IPC, n, mach.NotifyDeadName, 0, box, mach.MakeSendOnce)
		w.want(kr, 0)
	}
	w.want(other.Terminate(), 0)
	dead := map[uint32]bool{}
	for range names {
		h, body, kr := p.receive(box)
		w.want(kr, 0)
		if h.ID != mach.NotifyDeadName {
			t.Errorf("notification %d", h.ID)
		}
		dead[uint32(body[8])|uint32(body[9])<<8|uint32(body[10])<<16|uint32(body[11])<<24] = true
	}
	for _, n := range names {
		if typ, kr := p.Space.Type(p.th.IPC, n); !dead[uint32(n)] || kr != 0 || typ != mach.TypeDeadName {
			t.Errorf("name %v: %v, %v", n, typ, kr)
		}
	}
	w.want(p.th.SignalSemaphore(s), mach.KernTerminated)
	w.want(p.th.WaitSemaphore(s), mach.KernTerminated)
	if w.Find(other.PID()) != nil {
		t.Error("the process is still there")
	}
	_, kr = other.NewThread(object.RawThread, nil, nil)
	w.want(kr, mach.KernFailure)
	_, kr = other.CreateSemaphore(object.FIFO, 0)
	w.want(kr, mach.KernInvalidTask)
	_, kr = other.Threads(p.Task, object.Control)
	w.want(kr, mach.KernFailure)
	w.end()
}

// TestCorpse checks what is left of a task that became a corpse, and for how long.
func TestCorpse(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: false})
	p, other := w.plain(), w.plain()
	name := p.name(other.TaskPort(p.Task, object.Name))
	read := p.name(other.TaskPort(p.Task, object.Read))
	control, kr := other.Corpse()
	w.want(kr, 0)
	_, kr = other.Corpse()
	w.want(kr, mach.KernFailure)
	if typ, _ := p.Space.Type(p.th.IPC, read); typ != mach.TypeDeadName {
		t.Errorf("old read port: %v", typ)
	}
	if w.TaskOf(p.Task, p.look(name), object.Name) != other.Task {
		t.Error("the name port is no more")
	}
	if w.TaskOf(p.Task, control, object.Control) != nil || w.TaskOf(p.Task, control, object.Read) != other.Task {
		t.Error("a corpse can be read and not controlled")
	}
	n := p.name(control)
	if w.Stats().Tasks != 2 {
		t.Errorf("%d tasks", w.Stats().Tasks)
	}
	w.want(p.Space.Deallocate(p.th.IPC, n), 0)
	if w.Stats().Tasks != 1 {
		t.Errorf("%d tasks after the last right to the corpse", w.Stats().Tasks)
	}
	if typ, _ := p.Space.Type(p.th.IPC, name); typ != mach.TypeDeadName {
		t.Errorf("name port: %v", typ)
	}
	w.end()
}
