package restrict

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// maxFatal and maxOptional are the last guards of their classes.
const (
	maxFatal    = ipc.GuardMsgFiltered
	maxOptional = ipc.GuardRcvInvalidName
)

// ClassOf returns the class of a guard.
func ClassOf(g ipc.Guard) rules.Class {
	switch {
	case g <= maxFatal:
		return rules.Fatal
	case g <= maxOptional:
		return rules.Optional
	}
	return rules.Soft
}

// Fate is what becomes of a task that ran into a guard.
type Fate uint8

const (
	Unseen   Fate = iota // nothing is said
	Offered              // handlers of EXC_GUARD are asked; the task lives
	Reported             // and, unless one of them handles it, a simulated crash report
	Killed               // handlers are asked in Developer Mode alone, and do not save the task
)

// String returns "unseen", "offered", "reported" or "killed".
func (f Fate) String() string { return [...]string{"unseen", "offered", "reported", "killed"}[f] }

// Violation is a guard that was raised, as it stands in a crash report.
type Violation struct {
	Code    rules.Code
	Subcode uint64
	Class   rules.Class
	Fate    Fate
	Return  mach.KernReturn // what the call returned, or would have
}

// Guard returns the flavor of the code.
func (v *Violation) Guard() ipc.Guard { return ipc.Guard(v.Code.Flavor()) }

// Thread keeps the guards of one thread. It is the Owner of its ipc.Thread and not safe for use by others.
type Thread struct {
	// Owner is for whoever made the thread; the package does not look at it.
	Owner any

	task    *Task
	pending Violation
	has     bool
	sticky  bool        // the pending one is fatal and stays
	audit   []Violation // of this call, in audit mode: all of them
}

// NewThread makes a thread of a space.
func NewThread(s *ipc.Space, p ipc.Parker) *ipc.Thread {
	t := s.NewThread(p)
	t.Owner = &Thread{task: taskOf(s)}
	return t
}

// Of returns what is kept of a thread; nil if it was not made by [NewThread].
func Of(t *ipc.Thread) *Thread {
	r, _ := t.Owner.(*Thread)
	return r
}

// raise keeps a guard: a fatal one is never replaced, and nothing but a fatal one replaces another.
//
// Source: mach_port_guard_exception, and thread_guard_violation in osfmk/kern/thread.c.
func (t *Thread) raise(v ipc.Violation) {
	class := ClassOf(v.Guard)
	sticky := class == rules.Fatal || class == rules.Optional && t.task.Behavior()&MPFatal != 0
	n := Violation{Code: rules.MakeCode(rules.GuardMachPort, uint32(v.Guard), v.Target), Subcode: v.Payload,
		Class: class}
	if t.task.Audit {
		t.audit = append(t.audit, n)
		return
	}
	if !t.has || sticky && !t.sticky {
		t.pending, t.has, t.sticky = n, true, sticky
	}
}

// Return is called when a call is over, with what it returned: it delivers the guard that the call ran into. Under
// audit there may be several, none of which kills; otherwise there is at most one.
//
// Source: mach_port_guard_ast.
func (t *Thread) Return(kr mach.KernReturn) []Violation {
	all := t.audit
	t.audit = nil
	if t.has {
		all = append(all, t.pending)
		t.pending, t.has, t.sticky = Violation{}, false, false
	}
	seen := all[:0]
	for _, v := range all {
		v.Return = kr
		if v.Fate = t.task.answer(v.Class); v.Fate == Unseen {
			continue
		}
		if t.task.Audit && v.Fate == Killed {
			v.Fate = Reported
		}
		seen = append(seen, v)
	}
	return seen
}

// answer says what becomes of the task, and counts the delivery if there is to be only one.
func (t *Task) answer(c rules.Class) Fate {
	if c == rules.Fatal {
		return Killed
	}
	for {
		b := t.Behavior()
		switch {
		case b&MPDeliver == 0:
			return Unseen
		case b&MPOnce != 0 && !t.behavior.CompareAndSwap(uint32(b), uint32(b&^MPDeliver)):
			continue
		case c == rules.Optional && b&MPFatal != 0:
			return Killed
		case b&(MPFatal|MPCorpse) != 0:
			return Reported
		}
		return Offered
	}
}

// Violate implements ipc.Restrictions.
func (r *Restrictions) Violate(t *ipc.Thread, v ipc.Violation) {
	if own := Of(t); own != nil {
		own.raise(v)
	}
}
