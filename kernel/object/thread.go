package object

import (
	"sync"
	"sync/atomic"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// ThreadKind says how a thread came to be, which decides whether its own name for its control port is pinned.
type ThreadKind uint8

const (
	MainThread ThreadKind = iota // pinned
	PThread                      // by bsdthread_create: pinned
	RawThread                    // by thread_create: not pinned
)

// Thread is a thread of a task.
type Thread struct {
	IPC   *ipc.Thread // to make calls with
	Owner any         // for whoever made the thread; the package does not look at it

	task  *Task
	id    uint64
	kind  ThreadKind
	port  portal
	state State

	inException atomic.Uint32 // an InException
	aborted     atomic.Bool   // thread_abort came while it was in an exception
	holds       holds

	mu         sync.Mutex
	active     bool
	ports      [threadFlavors]*ipc.Port
	substitute bool      // its read port turns into its control port for its own task
	self       *ipc.Port // send right to what THREAD_KERNEL_PORT is instead of the control port; nil if it is that
	exceptions *actions  // made when first needed
}

// NewThread makes a thread. A nil parker is for goroutines; state may be nil if nobody looks at registers.
//
// Source: XNU osfmk/kern/ipc_tt.c, ipc_thread_init and ipc_thread_set_immovable_pinned; bsd/kern/bsd_stubs and
// osfmk/kern/ipc_tt.c for threads of the thread library, whose port is copied out pinned.
func (t *Task) NewThread(kind ThreadKind, p ipc.Parker, state State) (*Thread, mach.KernReturn) {
	return t.newThread(kind, p, state, 0)
}

// newThread makes a thread that has been suspended some times already, and does not run then.
func (t *Task) newThread(kind ThreadKind, p ipc.Parker, state State, suspended int) (*Thread, mach.KernReturn) {
	if t == nil {
		return nil, mach.KernInvalidArgument
	}
	if !t.charge() {
		return nil, mach.KernResourceShortage
	}
	th := &Thread{IPC: restrict.NewThread(t.Space, p), task: t, id: t.m.threads.Add(1),
		kind: kind, state: state, active: true}
	th.holds.user, th.holds.count = suspended, min(suspended, 1)
	th.port = portal{t.m, th}
	restrict.Of(th.IPC).Owner = th
	t.mu.Lock()
	if t.life != alive {
		t.mu.Unlock()
		t.made.Add(-1)
		return nil, mach.KernFailure
	}
	if t.threads == nil {
		t.threads = map[*Thread]struct{}{}
	}
	t.threads[th] = struct{}{}
	t.m.live.threads.Add(1)
	t.mu.Unlock()
	t.holdNew(th)
	if kind != RawThread {
		if right := th.makeSend(Control); right != nil {
			t.Space.InsertSend(right, true)
		}
	}
	return th, 0
}

// ThreadCount returns how many threads the task has.
func (t *Task) ThreadCount() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.threads)
}

// Task returns the thread's task.
func (th *Thread) Task() *Task { return th.task }

// ID returns the thread's number, which is never used again.
func (th *Thread) ID() uint64 { return th.id }

// Self is thread_self_trap: another reference to the thread's control port, or to what was put in its place.
func (th *Thread) Self() mach.Name {
	th.mu.Lock()
	p := th.self.CopySend()
	th.mu.Unlock()
	if p == nil {
		p = th.makeSend(Control)
	}
	return th.task.insert(p)
}

// Terminate ends the thread: what it waits for is interrupted and its ports die. KERN_TERMINATED says that it had ended
// before.
//
// Source: XNU osfmk/kern/ipc_tt.c, ipc_thread_disable, ipc_thread_terminate and ipc_thread_port_unpin.
func (th *Thread) Terminate() mach.KernReturn {
	if th == nil {
		return mach.KernInvalidArgument
	}
	th.mu.Lock()
	if !th.active {
		th.mu.Unlock()
		return mach.KernTerminated
	}
	th.active = false
	ports, self, exceptions := th.ports, th.self, th.exceptions
	th.ports, th.self, th.exceptions = [threadFlavors]*ipc.Port{}, nil, nil
	th.mu.Unlock()

	t := th.task
	t.mu.Lock()
	delete(t.threads, th)
	t.mu.Unlock()
	th.IPC.Kill()
	if r, ok := th.state.(Runner); ok {
		r.End()
	}
	if ports[Control] != nil {
		t.Space.Unpin(ports[Control])
	}
	release(self)
	if exceptions != nil {
		release(exceptions.take(nil)...)
	}
	for _, p := range ports {
		if p != nil {
			p.Destroy()
		}
	}
	t.made.Add(-1)
	t.m.live.threads.Add(-1)
	return 0
}

func (th *Thread) isActive() bool {
	th.mu.Lock()
	defer th.mu.Unlock()
	return th.active
}
