package exception

import (
	"fmt"

	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// Exception is what befell a thread.
type Exception struct {
	Type    mach.ExceptionType
	Code    int64 // what it is of its type: for EXC_BAD_ACCESS a return value, for EXC_GUARD the guard
	Subcode int64 // more of it: for EXC_BAD_ACCESS the address
}

// String returns the exception as in "EXC_BAD_ACCESS (0x1, 0x10)".
func (x Exception) String() string {
	return fmt.Sprintf("%v (%#x, %#x)", x.Type, uint64(x.Code), uint64(x.Subcode))
}

// Outcome says what became of an exception.
type Outcome uint8

const (
	Unhandled Outcome = iota // nobody handled it, or nobody was waited for any longer
	Handled                  // the thread goes on
	Ended                    // the thread, or its task, has ended
)

// String returns "unhandled", "handled" or "ended".
func (o Outcome) String() string { return [...]string{"unhandled", "handled", "ended"}[o] }

// awaited says that somebody of the kernel's waits for what becomes of exceptions of a type. After others the thread goes
// back to its program, whatever was answered.
//
// Source: exception_triage_thread, at its end; task_exception_notify.
func awaited(x mach.ExceptionType) bool {
	switch x {
	case mach.ExcCrash, mach.ExcResource, mach.ExcGuard, mach.ExcCorpseNotify:
		return true
	}
	return false
}

// Raise offers an exception to the handlers of the thread, its task and the host, in this order, and waits for what they
// say. It is called in the thread's name: whoever serves the thread does nothing else for it meanwhile.
//
// Once thread_abort has ended the wait for one handler, those that come next are sent the message and not waited for.
//
// Source: exception_triage_thread; osfmk/kern/ipc_mig.c, kernel_mach_msg_rpc_common.
func Raise(th *object.Thread, x Exception) Outcome {
	by := th.IPC
	for l := range object.Levels {
		if !th.Active() {
			return Ended
		}
		h, ok := th.Handler(l, x.Type)
		if !ok {
			continue
		}
		if x.Type == mach.ExcCrash && h.Port.Receiver() == th.Task().Space {
			h.Port.ReleaseSend() // the task could not answer: all of it is about to end
			continue
		}
		kr, aborted := deliver(th, by, &h, x)
		h.Port.ReleaseSend()
		switch {
		case kr == 0:
			return Handled
		case !th.Active():
			return Ended
		case aborted:
			by = restrict.NewThread(th.Task().Space, nil)
			by.Kill() // it sleeps no more
		case kr == mach.RcvPortDied:
			if awaited(x.Type) {
				return Unhandled
			}
			return Handled
		}
	}
	return Unhandled
}
