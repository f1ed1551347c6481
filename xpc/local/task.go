// Package local lets programs that live in the same process as the kernel use XPC: it makes an xpc.Task of a task of an
// object.Machine. Services of the kernel's own program use it, launchd for one, and tests that want many tasks.
package local

import (
	"fmt"
	"sync"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/xpc"
)

// Task is a task of a machine in this process. It implements xpc.Task and what goes beyond it.
type Task struct {
	*object.Task
	memory *xpc.Arena
	who    *Registry
	// Violation, if not nil, is told of every guard that a call of the task ran into. Where it is nil, or after it, a
	// task that has to die does.
	Violation func(restrict.Violation)

	mu        sync.Mutex
	bootstrap mach.Name
}

// NewTask makes a task. who may be nil; then nothing is known of peers but what their tokens say.
func NewTask(m *object.Machine, c object.TaskConfig, who *Registry) (*Task, error) {
	a := &xpc.Arena{}
	c.Memory = memory{a}
	t, err := m.NewTask(c)
	if err != nil {
		return nil, err
	}
	return &Task{Task: t, memory: a, who: who}, nil
}

// Bootstrap implements xpc.Task.
func (t *Task) Bootstrap() mach.Name {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bootstrap != 0 {
		return t.bootstrap
	}
	right, kr := t.SpecialPort(t.Task, object.TaskBootstrapPort)
	if kr != 0 || right == nil {
		return 0
	}
	t.bootstrap, _ = t.Space.InsertSend(right, false)
	return t.bootstrap
}

// Store implements xpc.Task. Nothing is copied.
func (t *Task) Store(b []byte) (uint64, error) { return t.memory.Store(b) }

// Load implements xpc.Task. Nothing is copied.
func (t *Task) Load(address uint64, size int) ([]byte, error) { return t.memory.Load(address, size) }

// Identify implements xpc.Identifier.
func (t *Task) Identify(token mach.AuditToken) (*xpc.Identity, error) {
	if t.who == nil {
		return nil, fmt.Errorf("nothing more is known of process %d", token.PID())
	}
	return t.who.Identify(token)
}

// NewThread implements xpc.Task.
func (t *Task) NewThread() (xpc.Thread, error) {
	th, kr := t.Task.NewThread(object.PThread, nil, nil)
	if kr != 0 {
		return nil, fmt.Errorf("no thread: %w", kr)
	}
	return &thread{t: t, th: th, s: t.Space}, nil
}

// thread implements xpc.Thread. Guards are looked at after each call, as on the way out of a real kernel.
type thread struct {
	t    *Task
	th   *object.Thread
	s    *ipc.Space
	args ipc.Args
}

func (h *thread) out(kr mach.KernReturn) mach.KernReturn {
	if h.t.Machine().Find(h.t.PID()) != h.t.Task {
		return kr // what a dead task's threads still do is nobody's fault
	}
	for _, v := range restrict.Of(h.th.IPC).Return(kr) {
		if h.t.Violation != nil {
			h.t.Violation(v)
		}
		if v.Fate == restrict.Killed {
			h.t.Terminate()
		}
	}
	return kr
}

func (h *thread) Msg2(c *xpc.Call) mach.KernReturn {
	h.args = ipc.Args{Options: c.Options, Send: c.Send, Timeout: c.Timeout, Receive: c.Receive, Buffer: c.Buffer}
	return h.out(h.th.IPC.Msg2(&h.args))
}

func (h *thread) Interrupt() { h.th.IPC.Interrupt() }

func (h *thread) SpecialReplyPort() mach.Name {
	n := h.th.IPC.SpecialReplyPort()
	h.out(0)
	return n
}

func (h *thread) Construct(o *xpc.PortOptions) (mach.Name, mach.KernReturn) {
	n, kr := h.s.Construct(h.th.IPC, &ipc.ConstructOptions{Flags: o.Flags, QueueLimit: o.QueueLimit, Context: o.Guard,
		ServiceName: o.Service})
	return n, h.out(kr)
}

func (h *thread) Destruct(name mach.Name, sends int32, guard uint64) mach.KernReturn {
	return h.out(h.s.Destruct(h.th.IPC, name, sends, guard))
}

func (h *thread) Deallocate(n mach.Name) mach.KernReturn {
	return h.out(h.s.Deallocate(h.th.IPC, n))
}

func (h *thread) ModRefs(n mach.Name, r mach.Right, delta int32) mach.KernReturn {
	return h.out(h.s.ModRefs(h.th.IPC, n, r, delta))
}

func (h *thread) MakeSend(n mach.Name) mach.KernReturn {
	return h.out(h.s.InsertRight(h.th.IPC, n, n, mach.MakeSend))
}

func (h *thread) Request(name mach.Name, id int32, sync uint32, notify mach.Name) mach.KernReturn {
	previous, kr := h.s.RequestNotification(h.th.IPC, name, id, sync, notify, mach.MakeSendOnce)
	if previous.Valid() {
		h.s.Deallocate(h.th.IPC, previous)
	}
	return h.out(kr)
}

func (h *thread) Close() { h.th.Terminate() }

// memory is what the kernel sees of a task whose memory is this very process.
type memory struct{ *xpc.Arena }

// CopyIn implements ipc.Memory.
func (m memory) CopyIn(_ *ipc.Thread, addr uint64, size uint32, deallocate bool) ([]byte, bool) {
	b, err := m.Load(addr, int(size))
	if err != nil {
		return nil, false
	}
	if !deallocate {
		m.Put(addr, b)
		b = append([]byte(nil), b...)
	}
	return b, true
}

// CopyOut implements ipc.Memory.
func (m memory) CopyOut(t *ipc.Thread, data []byte) (uint64, bool) {
	at, err := m.Store(t.Space().Kernel().Keep(data))
	return at, err == nil
}
