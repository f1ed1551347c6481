package exception

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// Reason is why a process was ended, as the system has it: a namespace (OS_REASON_*) and a code in it.
type Reason struct {
	Namespace uint32
	Code      uint64
}

// Namespaces of reasons.
const (
	ReasonSignal = 2  // OS_REASON_SIGNAL: the code is the signal
	ReasonGuard  = 23 // OS_REASON_GUARD: the code is the guard's
)

// Subcode returns the reason as [NotifyCorpse] wants it: the namespace, and the lower half of the code.
//
// Source: XNU bsd/kern/kern_exit.c, proc_encode_exit_exception_code.
func (r Reason) Subcode() int64 { return int64(uint64(r.Namespace)<<32 | r.Code&0xffffffff) }

// Crash returns the EXC_CRASH of a process that a signal ends. x is the exception that the signal came of, or the guard
// (with SIGKILL); the zero Exception if it came of none, as abort's does.
//
// Source: XNU bsd/kern/kern_exit.c, proc_prepareexit and exit_with_exception_internal.
func Crash(s Signal, x Exception) Exception {
	return Exception{Type: mach.ExcCrash, Code: int64(s)<<24 | int64(x.Type&0xf)<<20 | x.Code&0xfffff, Subcode: x.Subcode}
}

// GuardOf returns the EXC_GUARD of a guard that a call ran into.
func GuardOf(v *restrict.Violation) Exception {
	return Exception{mach.ExcGuard, int64(v.Code), int64(v.Subcode)}
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
	return Raise(th, GuardOf(v))
}

// NotifyCorpse tells the handlers of EXC_CORPSE_NOTIFY that a corpse is there: the task's own and then the host's, which
// is the way of crash reporters that the system starts. what is the exception that the corpse was made for (EXC_CRASH;
// EXC_GUARD and EXC_RESOURCE for those of which the task did not die) and subcode the [Reason]. The corpse's threads are
// gone: thread is the id of the one that died, for messages that carry it, and the port of the thread is null in those
// that carry ports. registers are its, nil if nobody kept them; what handlers answer changes none. by is a thread of the
// kernel's own ([object.Machine.KernelThread]), which waits for the answers; killing it ends the wait. The caller holds a
// right to the corpse meanwhile.
//
// Source: XNU osfmk/kern/task.c, task_deliver_crash_notification; osfmk/kern/thread.c, its caller.
func NotifyCorpse(by *ipc.Thread, corpse *object.Task, thread uint64, registers object.State, what mach.ExceptionType,
	subcode int64) Outcome {
	x := Exception{mach.ExcCorpseNotify, int64(what), subcode}
	for _, l := range []object.Level{object.TaskLevel, object.HostLevel} {
		h, ok := corpse.Handler(l, x.Type)
		if !ok {
			continue
		}
		kr := send(by, &victim{task: corpse, id: thread, registers: registers}, &h, x)
		h.Port.ReleaseSend()
		switch kr {
		case 0:
			return Handled
		case mach.RcvPortDied:
			return Unhandled
		}
	}
	return Unhandled
}
