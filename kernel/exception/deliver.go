package exception

import (
	"math"

	"portcullis.dev/defs/exc"
	"portcullis.dev/defs/machexc"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
)

// victim is whom an exception befell.
type victim struct {
	task      *object.Task
	thread    *object.Thread // nil of a corpse, whose threads are gone
	id        uint64         // of the thread
	registers object.State   // of a corpse; nil if nobody kept them
}

// get returns registers of the thread, which stands still meanwhile.
func (v *victim) get(flavor uint32) ([]uint32, mach.KernReturn) {
	switch {
	case flavor == 0: // that is a list of flavors elsewhere
		return nil, mach.KernInvalidArgument
	case v.thread != nil:
		return v.thread.GetState(flavor, math.MaxInt)
	case v.registers != nil:
		return v.registers.Get(flavor)
	}
	return nil, mach.KernInvalidArgument
}

// message is an exception on its way to one handler.
type message struct {
	caller
	victim
	to     *object.Handler
	x      Exception
	kind   int32
	code   []int64 // with MACH_EXCEPTION_CODES
	code32 []int32 // without: the lower halves
}

// deliver asks one handler; by waits for the answer. aborted says that thread_abort ended the wait.
func deliver(th *object.Thread, by *ipc.Thread, h *object.Handler, x Exception) (kr mach.KernReturn, aborted bool) {
	wait := object.Abortable
	if awaited(x.Type) {
		wait = object.NotAbortable
	}
	th.SetInException(wait)
	kr = send(by, &victim{task: th.Task(), thread: th, id: th.ID()}, h, x)
	aborted = th.Aborted()
	th.SetInException(object.NotInException)
	return kr, aborted
}

// send sends the message that a handler's behaviour asks for, and takes its answer.
//
// Source: exception_deliver.
func send(by *ipc.Thread, v *victim, h *object.Handler, x Exception) mach.KernReturn {
	m := &message{caller: caller{by: by}, victim: *v, to: h, x: x, kind: int32(x.Type)}
	if h.Behavior&mach.MachExceptionCodes != 0 {
		m.code = []int64{x.Code, x.Subcode}
	} else {
		m.code32 = []int32{int32(x.Code), int32(x.Subcode)}
	}
	switch h.Behavior.Base() {
	case mach.ExceptionDefault:
		return m.raise()
	case mach.ExceptionState:
		return m.raiseState()
	case mach.ExceptionStateIdentity:
		return m.raiseStateIdentity()
	case mach.ExceptionIdentityProtected:
		return m.raiseProtected()
	case mach.ExceptionStateIdentityProtected:
		return m.raiseStateProtected()
	}
	return mach.KernFailure
}

// identity makes the ports of thread and task that the handler is shown. Control ports are shown in Developer Mode, and
// of corpses.
func (m *message) identity() (thread, task *ipc.Port, f object.Flavor) {
	t := m.task
	f = object.Read
	if t.Machine().DeveloperMode() || t.IsCorpse() {
		f = object.Control
	}
	if m.thread != nil {
		thread = m.thread.ThreadPort(t, f)
	}
	return thread, t.TaskPort(t, f), f
}

// token makes an identity token of the task.
func (m *message) token() (*ipc.Port, mach.KernReturn) {
	if m.code == nil {
		return nil, mach.KernFailure // there is no such message with short codes
	}
	return m.task.CreateToken(m.task)
}

func (m *message) raise() mach.KernReturn {
	thread, task, _ := m.identity()
	defer release(thread, task)
	if m.code == nil {
		return exc.ExceptionRaise(m, m.to.Port, thread, task, m.kind, m.code32)
	}
	return machexc.MachExceptionRaise(m, m.to.Port, thread, task, m.kind, m.code)
}

func (m *message) raiseState() mach.KernReturn {
	return m.withState(func(f int32, old []uint32) (int32, []uint32, mach.KernReturn) {
		if m.code == nil {
			return exc.ExceptionRaiseState(m, m.to.Port, m.kind, m.code32, f, old)
		}
		return machexc.MachExceptionRaiseState(m, m.to.Port, m.kind, m.code, f, old)
	}, true)
}

func (m *message) raiseStateIdentity() mach.KernReturn {
	thread, task, shown := m.identity()
	defer release(thread, task)
	return m.withState(func(f int32, old []uint32) (int32, []uint32, mach.KernReturn) {
		if m.code == nil {
			return exc.ExceptionRaiseStateIdentity(m, m.to.Port, thread, task, m.kind, m.code32, f, old)
		}
		return machexc.MachExceptionRaiseStateIdentity(m, m.to.Port, thread, task, m.kind, m.code, f, old)
	}, shown == object.Control)
}

func (m *message) raiseProtected() mach.KernReturn {
	token, kr := m.token()
	if kr != 0 {
		return kr
	}
	defer release(token)
	return machexc.MachExceptionRaiseIdentityProtected(m, m.to.Port, m.id, token, m.kind, m.code)
}

func (m *message) raiseStateProtected() mach.KernReturn {
	token, kr := m.token()
	if kr != 0 {
		return kr
	}
	defer release(token)
	return m.withState(func(f int32, old []uint32) (int32, []uint32, mach.KernReturn) {
		return machexc.MachExceptionRaiseStateIdentityProtected(m, m.to.Port, m.id, token, m.kind, m.code, f, old)
	}, true)
}

// withState sends the thread's registers along and sets those that come back, if that is the handler's to decide.
func (m *message) withState(send func(f int32, old []uint32) (int32, []uint32, mach.KernReturn),
	sets bool) mach.KernReturn {
	old, kr := m.get(m.to.Flavor)
	if kr != 0 {
		return kr
	}
	f, fresh, kr := send(int32(m.to.Flavor), old)
	if kr != 0 || !sets || m.thread == nil {
		return kr
	}
	flavor := uint32(f)
	if m.to.Hardened {
		if old, kr = m.get(flavor); kr != 0 {
			return kr
		}
		fresh = state.OnlyPC(m.task.Machine().CPU(), flavor, old, fresh)
	}
	return m.thread.SetStateAnswered(flavor, fresh)
}

func release(rights ...*ipc.Port) {
	for _, p := range rights {
		p.Release(mach.MoveSend)
	}
}
