package object

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// Level says whose handler an exception is offered to.
type Level uint8

const (
	ThreadLevel Level = iota
	TaskLevel
	HostLevel
	Levels
)

// String returns "thread", "task" or "host".
func (l Level) String() string { return [...]string{"thread", "task", "host"}[l] }

// Handler is where an exception goes.
type Handler struct {
	Port     *ipc.Port // send right
	Behavior mach.ExceptionBehavior
	Flavor   uint32
	Hardened bool // of the registers in an answer only the program counter counts
}

// Handler returns where an exception of the thread goes at a level. ok is false if it goes nowhere: no port is set, or
// it is dead, or of a type that gets no exceptions, or a policy module refuses.
//
// Source: XNU osfmk/kern/exception.c, exception_deliver.
func (th *Thread) Handler(l Level, x mach.ExceptionType) (h Handler, ok bool) {
	if l == ThreadLevel {
		return th.task.handler(th, x)
	}
	return th.task.Handler(l, x)
}

// Handler returns where an exception of a thread of the task goes at the level of the task or the host, as
// [Thread.Handler] does.
func (t *Task) Handler(l Level, x mach.ExceptionType) (h Handler, ok bool) {
	if l == HostLevel {
		return t.handler(t.m.Host, x)
	}
	return t.handler(t, x)
}

func (t *Task) handler(from excepting, x mach.ExceptionType) (h Handler, ok bool) {
	from.withActions(false, func(all *actions) {
		a := &all[x]
		h = Handler{a.port.CopySend(), a.behavior, a.flavor, a.hardened}
	})
	switch {
	case h.Port == nil || h.Port == ipc.DeadRight():
		return Handler{}, false
	case t.m.hooks.SendException != nil && t.m.hooks.SendException(t, x), !restrict.ReceivesExceptions(h.Port.Type()):
		release(h.Port)
		return Handler{}, false
	}
	return h, true
}

// InException says whether, and how, a thread waits for the answer to a Mach exception.
type InException uint32

const (
	NotInException InException = iota
	Abortable                  // thread_abort ends the wait
	NotAbortable               // it does not: somebody of the kernel's waits for what becomes of the exception (THREAD_UNINT)
)

// SetInException notes that the thread has begun or ended to wait for the answer to a Mach exception.
func (th *Thread) SetInException(in InException) {
	if in == NotInException {
		th.aborted.Store(false)
	}
	th.inException.Store(uint32(in))
}

func (th *Thread) waitsInException() InException { return InException(th.inException.Load()) }

// Aborted says that [Thread.Abort] came since the thread is in the exception.
func (th *Thread) Aborted() bool { return th.aborted.Load() }

// Active says that the thread has not ended. The answer may be stale at once, but the end is final.
func (th *Thread) Active() bool { return th.isActive() }

// Registers returns what the thread was made with to keep its registers; nil if nothing.
func (th *Thread) Registers() State { return th.state }

// SetStateAnswered sets registers that came in the answer to the thread's exception, whoever answered.
//
// Source: XNU osfmk/kern/thread_act.c, thread_setstatus_from_user and thread_set_state_allowed.
func (th *Thread) SetStateAnswered(flavor uint32, words []uint32) mach.KernReturn {
	if th.state == nil {
		return mach.KernInvalidArgument
	}
	a := restrict.SetThreadState{Target: th.task.Restrict, InException: true, Flavor: flavor, CPU: th.task.m.cpu}
	if kr := th.task.m.Restrict.SetThreadState(th.IPC, &a); kr != 0 {
		return kr
	}
	if kr := th.hold(); kr != 0 {
		return kr
	}
	defer th.release()
	return th.state.Set(flavor, words)
}
