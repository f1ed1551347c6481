//go:build linux

package linux

import (
	"time"

	"portcullis.dev/kernel/exception"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// Violation is a guard that a thread ran into.
type Violation struct {
	restrict.Violation
	Process   *Process
	TID       int
	Backtrace []byte // as the thread itself tells it (PT_OP_BACKTRACE); nil if it was not asked
	Stops     *Stops // the threads, stopped with their registers; nil unless the process is to die
}

// judge looks at what the call ran into; false if the thread does not return from it.
func (l *lane) judge(kr mach.KernReturn) bool {
	found := restrict.Of(l.thread.IPC).Return(kr)
	if len(found) == 0 {
		return true
	}
	for i := range found {
		v := &Violation{Violation: found[i], Process: l.process, TID: l.tid}
		asked := exception.Guard(l.thread, &v.Violation)
		if v.Fate == restrict.Killed {
			l.die(v)
			return false
		}
		if asked != exception.Handled && v.Fate != restrict.Offered {
			l.report(v)
		}
	}
	return true
}

// report tells of a guard that lets the process live.
func (l *lane) report(v *Violation) {
	p, k := l.process, l.process.kernel
	if k.config.Violated == nil {
		return
	}
	defer k.asleep()()
	if p.flags&trap.HelloGo != 0 {
		v.Backtrace = l.backtrace()
	} else {
		v.Stops = p.Stop(l.tid)
	}
	k.config.Violated(v)
	v.Stops.Release()
}

// die ends the process for a guard, unless another thread's guard does so already: then that report is the report.
func (l *lane) die(v *Violation) {
	p, k := l.process, l.process.kernel
	if !p.dying.CompareAndSwap(false, true) {
		return
	}
	// From here on no other thread may end the process: not while a handler takes its time, nor before the report.
	awake := k.asleep()
	if p.flags&trap.HelloGo != 0 {
		v.Backtrace = l.backtrace()
	}
	v.Stops = p.Stop()
	p.freeze(v.Stops)
	awake()
	asked := exception.Raise(l.thread, exception.Crash(exception.SIGKILL, exception.GuardOf(&v.Violation)))
	defer k.asleep()()
	mourned := asked == exception.Unhandled && p.mourned()
	if k.config.Violated != nil {
		k.config.Violated(v)
	}
	if mourned {
		p.corpse(l.thread, v.Stops, exception.Reason{Namespace: exception.ReasonGuard, Code: uint64(v.Code)})
	}
	p.Kill()
}

// backtraceTime is how long a thread may take to tell its backtrace, and backtraceMax how much it may tell.
const backtraceTime = 2 * time.Second

// backtrace asks the thread where it is; nil if it does not say.
func (l *lane) backtrace() []byte {
	l.answer(trap.AnswerDying)
	if !l.next(backtraceTime) || l.request.op != trap.OpBacktrace {
		return nil
	}
	return append([]byte(nil), l.in...)
}
