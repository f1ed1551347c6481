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

// State is a thread's registers. Its methods are called with nothing locked, by several threads at once, and may block.
type State interface {
	// Get returns a flavor's words.
	Get(flavor uint32) ([]uint32, mach.KernReturn)
	// Set replaces them.
	Set(flavor uint32, words []uint32) mach.KernReturn
}

// Thread is a thread of a task.
type Thread struct {
	IPC   *ipc.Thread // to make calls with
	Owner any         // for whoever made the thread; the package does not look at it

	task  *Task
	id    uint64
	port  portal
	state State

	inException atomic.Bool

	mu         sync.Mutex
	active     bool
	ports      [threadFlavors]*ipc.Port
	self       *ipc.Port // send right to what THREAD_KERNEL_PORT is instead of the control port; nil if it is that
	exceptions *actions  // made when first needed
}

// NewThread makes a thread. A nil parker is for goroutines; state may be nil if nobody looks at registers.
//
// Source: XNU osfmk/kern/ipc_tt.c, ipc_thread_init and ipc_thread_set_immovable_pinned; bsd/kern/bsd_stubs and
// osfmk/kern/ipc_tt.c for threads of the thread library, whose port is copied out pinned.
func (t *Task) NewThread(kind ThreadKind, p ipc.Parker, state State) (*Thread, mach.KernReturn) {
	if t == nil {
		return nil, mach.KernInvalidArgument
	}
	if !t.charge() {
		return nil, mach.KernResourceShortage
	}
	th := &Thread{IPC: restrict.NewThread(t.Space, p), task: t, id: t.m.threads.Add(1), state: state, active: true}
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
	if kind != RawThread {
		if right := th.makeSend(Control); right != nil {
			t.Space.InsertSend(right, true)
		}
	}
	return th, 0
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

// SetInException notes that the thread has begun or ended to wait for the answer to a Mach exception.
func (th *Thread) SetInException(in bool) { th.inException.Store(in) }

// GetState is thread_get_state.
func (th *Thread) GetState(flavor uint32) ([]uint32, mach.KernReturn) {
	switch {
	case th == nil:
		return nil, mach.KernInvalidArgument
	case !th.isActive():
		return nil, mach.KernTerminated
	case th.state == nil:
		return nil, mach.KernInvalidArgument
	}
	return th.state.Get(flavor)
}

// SetState is thread_set_state, called by a thread: the restrictions have their say, whoever's thread it is.
//
// Source: XNU osfmk/kern/thread_act.c, thread_set_state_from_user.
func (th *Thread) SetState(by *Thread, flavor uint32, words []uint32) mach.KernReturn {
	if th == nil {
		return mach.KernInvalidArgument
	}
	kr := th.task.m.Restrict.SetThreadState(by.IPC, &restrict.SetThreadState{Target: th.task.Restrict,
		InException: th.inException.Load(), FromUser: true, Flavor: flavor, CPU: th.task.m.cpu})
	switch {
	case kr != 0:
		return kr
	case !th.isActive():
		return mach.KernTerminated
	case th.state == nil:
		return mach.KernInvalidArgument
	}
	return th.state.Set(flavor, words)
}

// ActSetState is act_set_state: [Thread.SetState] for another thread than the caller's.
func (th *Thread) ActSetState(by *Thread, flavor uint32, words []uint32) mach.KernReturn {
	if th == nil || th == by {
		return mach.KernInvalidArgument
	}
	return th.SetState(by, flavor, words)
}

func (th *Thread) isActive() bool {
	th.mu.Lock()
	defer th.mu.Unlock()
	return th.active
}
