package object

import (
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// State is a thread's registers. Get and Set are called while the thread is stopped, or waits for the kernel: they give
// and take the registers with which it will go on. They may block, and are called by several threads at once.
type State interface {
	// Get returns a flavor's words; KERN_INVALID_ARGUMENT if there is no such flavor.
	Get(flavor uint32) ([]uint32, mach.KernReturn)
	// Set replaces them; KERN_INVALID_ARGUMENT if flavor or count are wrong, or no thread could go on so.
	Set(flavor uint32, words []uint32) mach.KernReturn
}

// Runner is a [State] of a thread that runs elsewhere and can be stopped. A thread whose call the kernel is serving, or
// whose exception it is delivering, counts as stopped; whoever serves it calls [Thread.AwaitRelease] before it lets the
// thread go on.
type Runner interface {
	State
	// Stop returns when the thread does not run any more: at once if the kernel is serving it. KERN_ABORTED says that it
	// cannot be stopped, because it has ended. Stop and Continue alternate.
	Stop() mach.KernReturn
	// Continue lets the thread go on.
	Continue()
	// Interrupt ends the system call that the thread sleeps in, if it does.
	Interrupt()
	// End tells, once, that the thread was terminated: it must not run on. Stop may be at work or have been called.
	End()
}

// GetState is thread_get_state. room is how many words the caller can take: too few for the flavor are
// KERN_INVALID_ARGUMENT.
//
// Source: XNU osfmk/kern/thread_act.c, thread_get_state_internal.
func (th *Thread) GetState(flavor uint32, room int) ([]uint32, mach.KernReturn) {
	switch {
	case th == nil:
		return nil, mach.KernInvalidArgument
	case !th.isActive():
		return nil, mach.KernTerminated
	case th.state == nil:
		return nil, mach.KernInvalidArgument
	}
	if kr := th.hold(); kr != 0 {
		return nil, kr
	}
	defer th.release()
	words, kr := th.state.Get(flavor)
	if kr == 0 && len(words) > room {
		return nil, mach.KernInvalidArgument
	}
	return words, kr
}

// ActGetState is act_get_state: [Thread.GetState] of another thread than the caller's.
func (th *Thread) ActGetState(by *Thread, flavor uint32, room int) ([]uint32, mach.KernReturn) {
	if th == nil || th == by {
		return nil, mach.KernInvalidArgument
	}
	return th.GetState(flavor, room)
}

// SetState is thread_set_state, called by a thread: the restrictions have their say, whoever's thread it is.
//
// Source: XNU osfmk/kern/thread_act.c, thread_set_state_from_user.
func (th *Thread) SetState(by *Thread, flavor uint32, words []uint32) mach.KernReturn {
	if th == nil {
		return mach.KernInvalidArgument
	}
	kr := th.task.m.Restrict.SetThreadState(by.IPC, &restrict.SetThreadState{Target: th.task.Restrict,
		InException: th.waitsInException() != NotInException, FromUser: true, Flavor: flavor, CPU: th.task.m.cpu})
	switch {
	case kr != 0:
		return kr
	case !th.isActive():
		return mach.KernTerminated
	case th.state == nil:
		return mach.KernInvalidArgument
	}
	if kr := th.hold(); kr != 0 {
		return kr
	}
	defer th.release()
	return th.state.Set(flavor, words)
}

// ActSetState is act_set_state: [Thread.SetState] for another thread than the caller's.
func (th *Thread) ActSetState(by *Thread, flavor uint32, words []uint32) mach.KernReturn {
	if th == nil || th == by {
		return mach.KernInvalidArgument
	}
	return th.SetState(by, flavor, words)
}

// Directions of [Thread.ConvertState].
const (
	ConvertToSelf   = 1 // THREAD_CONVERT_THREAD_STATE_TO_SELF
	ConvertFromSelf = 2 // THREAD_CONVERT_THREAD_STATE_FROM_SELF
)

// ConvertState is thread_convert_thread_state. Where pointers are not signed (everywhere but on arm64e) the words stay
// as they are. room is how many the caller can take.
//
// Source: XNU osfmk/kern/thread_act.c, thread_convert_thread_state.
func (th *Thread) ConvertState(direction int32, words []uint32, room int) ([]uint32, mach.KernReturn) {
	switch {
	case direction != ConvertToSelf && direction != ConvertFromSelf, th == nil:
		return nil, mach.KernInvalidArgument
	case len(words) > room:
		return nil, mach.KernInsufficientBufferSize
	}
	return words, 0
}
