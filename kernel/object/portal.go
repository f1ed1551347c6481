package object

import (
	"fmt"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// portal is what all ports of an object stand for in kernel/ipc.
type portal struct {
	m  *Machine
	of any
}

var (
	_ restrict.Control = (*portal)(nil)
	_ ipc.Substituter  = (*portal)(nil)
	_ ipc.Notified     = (*portal)(nil)
)

// Serve hands a call to the machine's server. A call that nobody knows is answered as MIG's dispatch does: a reply
// that says MIG_BAD_ID.
//
// Source: XNU osfmk/kern/ipc_kobject.c, ipc_kobject_server_internal.
func (o *portal) Serve(t *ipc.Thread, call *ipc.Call) {
	by := threadOf(t)
	if by != nil && o.m.server != nil && o.m.server.Serve(by, o.of, call) {
		return
	}
	if call.Expects() {
		call.Reply(call.ID+mach.ReplyOffset, migError(mach.MigBadID))
	}
}

// migError returns the body of a MIG reply that is an error: NDR record and return value.
func migError(kr mach.KernReturn) []byte {
	return []byte{0, 0, 0, 0, 1, 0, 0, 0, byte(kr), byte(kr >> 8), byte(kr >> 16), byte(kr >> 24)}
}

// NoSenders implements [ipc.Object].
func (o *portal) NoSenders(p *ipc.Port, _ uint32) {
	if n, ok := o.of.(interface{ noSenders(*ipc.Port) }); ok {
		n.noSenders(p)
	}
}

// Substitute implements [ipc.Substituter]: a read port that was made without Developer Mode turns into the control port
// for the task that it lets one read, for the sake of exception handlers in the task itself.
//
// Source: XNU osfmk/kern/ipc_kobject.c, ipc_kobject_label_substitute_task_read and its sibling for threads;
// osfmk/kern/ipc_tt.c, convert_task_to_port_with_flavor.
func (o *portal) Substitute(p *ipc.Port, to *ipc.Space) *ipc.Port {
	switch of := o.of.(type) {
	case *Task:
		if p.Type() == mach.PortTypeTaskRead && of.Space == to && of.substitutes() {
			return of.makeSend(Control)
		}
	case *Thread:
		if p.Type() == mach.PortTypeThreadRead && of.task.Space == to && of.substitutes() {
			return of.makeSend(Control)
		}
	}
	return nil
}

func (t *Task) substitutes() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.substitute
}

func (th *Thread) substitutes() bool {
	th.mu.Lock()
	defer th.mu.Unlock()
	return th.substitute
}

// Notified implements [ipc.Notified].
func (o *portal) Notified(p *ipc.Port, id int32) {
	if n, ok := o.of.(interface{ sendOnceGone() }); ok && id == mach.NotifySendOnce {
		n.sendOnceGone()
	}
}

// ControlTask implements [restrict.Control].
func (o *portal) ControlTask() *restrict.Task {
	switch of := o.of.(type) {
	case *Task:
		return of.Restrict
	case *Thread:
		return of.task.Restrict
	}
	return nil
}

// Describe says in a few words what a port of the kernel stands for; "" for ports that tasks receive on.
func (m *Machine) Describe(p *ipc.Port) string {
	switch o := m.objectOf(p).(type) {
	case nil:
		return ""
	case *Task:
		return fmt.Sprintf("task %d", o.pid)
	case *Thread:
		return fmt.Sprintf("thread %d of task %d", o.id, o.task.pid)
	case *Token:
		return fmt.Sprintf("identity of task %d", o.pid)
	case *Host:
		return "host"
	case *Semaphore:
		return fmt.Sprintf("semaphore, %d waiting", o.Waiting())
	case *ClockService:
		return "clock"
	case *ProcessorSet:
		return "processor set"
	case *resumption:
		return "resumption of a task"
	}
	return "kernel object"
}

// objectOf returns the object that a port of the machine stands for; nil for other ports.
func (m *Machine) objectOf(p *ipc.Port) any {
	if p == nil {
		return nil
	}
	if o, ok := p.Object().(*portal); ok && o.m == m {
		return o.of
	}
	return nil
}

// threadOf returns the thread that makes a call; nil if it is none of a machine's.
func threadOf(t *ipc.Thread) *Thread {
	if r := restrict.Of(t); r != nil {
		th, _ := r.Owner.(*Thread)
		return th
	}
	return nil
}

// Owner returns the task whose space it is; nil if it is none of a machine's.
func Owner(s *ipc.Space) *Task {
	if s == nil {
		return nil
	}
	if r := restrict.TaskOf(s); r != nil {
		t, _ := r.Owner.(*Task)
		return t
	}
	return nil
}

// release gives up send rights. Nothing may be locked.
func release(rights ...*ipc.Port) {
	for _, p := range rights {
		if p != nil {
			p.ReleaseSend()
		}
	}
}

// valid says that p is a port and not null or dead (IP_VALID, as far as one can know).
func valid(p *ipc.Port) bool { return p != nil && p.Active() }
