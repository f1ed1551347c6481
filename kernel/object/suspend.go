package object

import (
	"sync"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// holds counts the reasons for which a thread does not run. The lock is held while a [Runner] stops the thread or lets
// it go on, so that these come in turn.
type holds struct {
	mu     sync.Mutex
	count  int  // all reasons
	user   int  // thread_suspend, which all together are one reason
	byTask bool // its task is suspended
	line   ipc.Waiters
}

// stops counts why a task does not run; the lock is held while its threads are stopped or let go on.
type stops struct {
	mu     sync.Mutex
	count  int
	legacy int // of count: task_suspend, undone when nobody holds the resume port any more
}

// hold gives the thread one more reason not to run, and returns when it does not. After KERN_ABORTED the thread has
// ended, and there is nothing to release.
func (th *Thread) hold() mach.KernReturn {
	th.holds.mu.Lock()
	defer th.holds.mu.Unlock()
	return th.holdLocked()
}

func (th *Thread) holdLocked() mach.KernReturn {
	h := &th.holds
	if h.count == 0 {
		if r, ok := th.state.(Runner); ok {
			if kr := r.Stop(); kr != 0 {
				return kr
			}
		}
	}
	h.count++
	return 0
}

// release takes one reason back; after the last the thread goes on.
func (th *Thread) release() {
	th.holds.mu.Lock()
	defer th.holds.mu.Unlock()
	th.releaseLocked()
}

func (th *Thread) releaseLocked() {
	h := &th.holds
	if h.count--; h.count > 0 {
		return
	}
	if r, ok := th.state.(Runner); ok {
		r.Continue()
	}
	h.line.WakeAll()
}

// AwaitRelease waits until nothing holds the thread any more. Whoever serves a thread's calls calls it in their name
// before it lets the thread go on. KERN_ABORTED says that the thread was terminated; it must not go on.
//
// Source: XNU osfmk/kern/thread_act.c, thread_apc_ast.
func (th *Thread) AwaitRelease() mach.KernReturn {
	for {
		th.holds.mu.Lock()
		if !th.isActive() {
			th.holds.mu.Unlock()
			return mach.KernAborted
		}
		if th.holds.count == 0 {
			th.holds.mu.Unlock()
			return 0
		}
		th.holds.line.Sleep(th.IPC, &th.holds.mu, false, 0, nil) // interruptions do not let it go
	}
}

// Suspend is thread_suspend: the thread does not run until it was resumed as often as it was suspended.
//
// Source: XNU osfmk/kern/thread_act.c, thread_suspend.
func (th *Thread) Suspend() mach.KernReturn {
	if th == nil {
		return mach.KernInvalidArgument
	}
	th.holds.mu.Lock()
	defer th.holds.mu.Unlock()
	if !th.isActive() {
		return mach.KernTerminated
	}
	if th.holds.user == 0 {
		if kr := th.holdLocked(); kr != 0 {
			return mach.KernTerminated
		}
	}
	th.holds.user++
	return 0
}

// Resume is thread_resume. KERN_FAILURE says that the thread is not suspended.
//
// Source: XNU osfmk/kern/thread_act.c, thread_resume.
func (th *Thread) Resume() mach.KernReturn {
	if th == nil {
		return mach.KernInvalidArgument
	}
	th.holds.mu.Lock()
	defer th.holds.mu.Unlock()
	switch {
	case !th.isActive():
		return mach.KernTerminated
	case th.holds.user == 0:
		return mach.KernFailure
	}
	if th.holds.user--; th.holds.user == 0 {
		th.releaseLocked()
	}
	return 0
}

// SuspendCount returns how often the thread was suspended and not resumed (thread_basic_info).
func (th *Thread) SuspendCount() int {
	th.holds.mu.Lock()
	defer th.holds.mu.Unlock()
	return th.holds.user
}

// Suspend stops all threads of the task, now and until it was resumed as often as it was suspended. A corpse is still
// anyway; a task that is gone is KERN_FAILURE. This is the count alone: the tokens of task_suspend are up to the caller.
//
// Source: XNU osfmk/kern/task.c, place_task_hold.
func (t *Task) Suspend() mach.KernReturn {
	if t != nil && t.enroll != nil && t.lifeNow() == alive {
		t.enroll()
	}
	return t.stop(func(s *stops) mach.KernReturn {
		if s.count++; s.count == 1 {
			for _, th := range t.allThreads() {
				th.holdByTask()
			}
		}
		return 0
	})
}

// Resume undoes one [Task.Suspend]. KERN_FAILURE says that the task is not suspended, or is gone.
//
// Source: XNU osfmk/kern/task.c, release_task_hold.
func (t *Task) Resume() mach.KernReturn {
	return t.stop(func(s *stops) mach.KernReturn { return t.unstop(s, 1) })
}

// unstop takes n suspensions back; after the last the threads go on.
func (t *Task) unstop(s *stops, n int) mach.KernReturn {
	switch {
	case s.count < n || s.count == 0:
		return mach.KernFailure
	case n == 0:
		return 0
	}
	if s.count -= n; s.count == 0 {
		for _, th := range t.allThreads() {
			th.releaseByTask()
		}
	}
	return 0
}

// SuspendCount returns how often the task was suspended and not resumed (task_basic_info).
func (t *Task) SuspendCount() int {
	t.stops.mu.Lock()
	defer t.stops.mu.Unlock()
	return t.stops.count
}

func (t *Task) stop(f func(*stops) mach.KernReturn) mach.KernReturn {
	if t == nil || t == t.m.Kernel {
		return mach.KernInvalidArgument
	}
	t.stops.mu.Lock()
	defer t.stops.mu.Unlock()
	switch t.lifeNow() {
	case corpse:
		return 0
	case dead:
		return mach.KernFailure
	}
	return f(&t.stops)
}

func (t *Task) allThreads() []*Thread {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*Thread, 0, len(t.threads))
	for th := range t.threads {
		all = append(all, th)
	}
	return all
}

// holdNew holds a thread that was made while its task is suspended.
func (t *Task) holdNew(th *Thread) {
	t.stops.mu.Lock()
	defer t.stops.mu.Unlock()
	if t.stops.count > 0 {
		th.holdByTask()
	}
}

func (th *Thread) holdByTask() {
	th.holds.mu.Lock()
	defer th.holds.mu.Unlock()
	if !th.holds.byTask {
		th.holds.byTask = th.holdLocked() == 0
	}
}

func (th *Thread) releaseByTask() {
	th.holds.mu.Lock()
	defer th.holds.mu.Unlock()
	if th.holds.byTask {
		th.holds.byTask = false
		th.releaseLocked()
	}
}

// Abort is thread_abort: what the thread waits for is interrupted. In an exception, the answer is not waited for any
// longer, nor are those of the handlers that come next; but the answer to EXC_CRASH, EXC_GUARD and EXC_RESOURCE is.
//
// Source: XNU osfmk/kern/thread_act.c, thread_abort; osfmk/kern/exception.c, task_exception_notify.
func (th *Thread) Abort() mach.KernReturn {
	if th == nil {
		return mach.KernInvalidArgument
	}
	if !th.isActive() {
		return mach.KernTerminated
	}
	switch th.waitsInException() {
	case NotAbortable:
		return 0
	case Abortable:
		th.aborted.Store(true)
	}
	th.interrupt()
	return 0
}

// AbortSafely is thread_abort_safely: only what can be taken up again is interrupted, which the wait for the answer to
// an exception is not.
//
// Source: XNU osfmk/kern/thread_act.c, thread_abort_safely.
func (th *Thread) AbortSafely() mach.KernReturn {
	if th == nil {
		return mach.KernInvalidArgument
	}
	if !th.isActive() {
		return mach.KernTerminated
	}
	if th.waitsInException() == NotInException {
		th.interrupt()
	}
	return 0
}

func (th *Thread) interrupt() {
	th.IPC.Interrupt()
	if r, ok := th.state.(Runner); ok {
		r.Interrupt()
	}
}
