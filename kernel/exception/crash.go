package exception

import (
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// Reason is why a process was ended, beside the signal: a namespace (OS_REASON_*) and a code in it.
type Reason struct {
	Namespace uint32
	Code      uint64
}

// ReasonGuard is the namespace of processes that a guard ended (OS_REASON_GUARD).
const ReasonGuard = 23

// Crash returns the EXC_CRASH of a process that a signal ends. x is the exception that the signal came of; the zero
// Exception if it came of none, as abort's does. why is nil unless the process was ended for another reason than the
// signal.
//
// Source: XNU bsd/kern/kern_exit.c, proc_prepareexit.
func Crash(s Signal, x Exception, why *Reason) Exception {
	c := Exception{Type: mach.ExcCrash, Code: int64(s)<<24 | int64(x.Type&0xf)<<20 | x.Code&0xfffff, Subcode: x.Subcode}
	if why != nil {
		c.Subcode = int64(uint64(why.Namespace)<<32 | why.Code&0xffffffff)
	}
	return c
}

// Guard offers a guard that a call of the thread ran into to whoever handles EXC_GUARD, and says whether somebody did.
// What becomes of the task stands in the violation: a killed one is killed all the same, and nobody is asked without
// Developer Mode, as they might take forever; one that is reported is not if the guard was handled.
//
// Source: XNU osfmk/ipc/ipc_policy.c, mach_port_guard_ast; osfmk/kern/exception.c, task_exception_notify.
func Guard(th *object.Thread, v *restrict.Violation) Outcome {
	if v.Fate == restrict.Unseen || v.Fate == restrict.Killed && !th.Task().Machine().DeveloperMode() {
		return Unhandled
	}
	return Raise(th, Exception{mach.ExcGuard, int64(v.Code), int64(v.Subcode)})
}

// NotifyCorpse tells the handlers of EXC_CORPSE_NOTIFY that a corpse is there: the task's own and then the host's, which
// is the way of crash reporters that the system starts. what is the exception that the task died of (EXC_CRASH,
// EXC_GUARD, EXC_RESOURCE) and subcode its code's second half. The corpse's threads are gone: thread is the id of the one
// that died, for messages that carry it, and the port of the thread is null in those that carry ports. registers are
// its, nil if nobody kept them; what handlers answer changes none. The caller holds a right to the corpse meanwhile.
//
// Source: XNU osfmk/kern/task.c, task_deliver_crash_notification.
func NotifyCorpse(corpse *object.Task, thread uint64, registers object.State, what mach.ExceptionType,
	subcode int64) Outcome {
	x := Exception{mach.ExcCorpseNotify, int64(what), subcode}
	by := corpse.Machine().KernelThread()
	for _, l := range []object.Level{object.TaskLevel, object.HostLevel} {
		h, ok := corpse.Handler(l, x.Type)
		if !ok {
			continue
		}
		kr := send(by, &victim{task: corpse, id: thread, registers: registers}, &h, x)
		h.Port.ReleaseSend()
		if kr == 0 {
			return Handled
		}
	}
	return Unhandled
}
