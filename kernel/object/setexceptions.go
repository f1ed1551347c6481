package object

import (
	"math"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// noFlavor is a thread-state flavor that no processor has.
const noFlavor = math.MaxUint32

// mayExcept judges a call that registers an exception port for a task or, if excepting is nil, for the host: first the
// arguments, then the restrictions, then the policy modules.
//
// Source: XNU osfmk/kern/ipc_tt.c, set_exception_ports_validation and its callers.
func (m *Machine) mayExcept(by *Thread, excepting *Task, e *ExceptionAction, hardened bool) mach.KernReturn {
	a := restrict.SetExceptionPorts{Mask: e.Mask, Port: e.Port, Dead: e.Port != nil && !e.Port.Active(),
		Behavior: e.Behavior, Flavor: e.Flavor, CPU: m.cpu, Hardened: hardened}
	if e.Flavor != 0 && !mach.ThreadFlavorOfExceptions(m.cpu, e.Flavor) {
		a.Flavor = noFlavor // threads may have it all the same
	}
	if excepting != nil {
		a.Excepting = excepting.Restrict
	}
	if kr := m.Restrict.SetExceptionPorts(by.IPC, &a); kr != 0 {
		return kr
	}
	if refuse := m.hooks.SetExceptionPorts; !hardened && refuse != nil && refuse(by.task, excepting, e.Mask) {
		return mach.KernNoAccess
	}
	return 0
}

// withActions runs f on the task's actions, if it is not gone.
func (t *Task) withActions(_ bool, f func(*actions)) mach.KernReturn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life == dead {
		return mach.KernFailure
	}
	f(&t.exceptions)
	return 0
}

// withActions runs f on the thread's actions, if it is not gone. If it has none, they are made, or f is not run.
func (th *Thread) withActions(create bool, f func(*actions)) mach.KernReturn {
	th.mu.Lock()
	defer th.mu.Unlock()
	if !th.active {
		return mach.KernFailure
	}
	if th.exceptions == nil {
		if !create {
			return 0
		}
		th.exceptions = new(actions)
	}
	f(th.exceptions)
	return 0
}

// excepting is what has exception ports.
type excepting interface {
	withActions(create bool, f func(*actions)) mach.KernReturn
}

// setActions registers a port and gives up the right that was passed and those it replaces.
func setActions(x excepting, e *ExceptionAction, hardened bool) mach.KernReturn {
	var old []*ipc.Port
	kr := x.withActions(true, func(a *actions) { old = a.set(e, hardened) })
	if kr == 0 {
		release(old...)
		release(e.Port)
	}
	return kr
}

func swapActions(x excepting, e *ExceptionAction, max int) (was []ExceptionAction, kr mach.KernReturn) {
	var old []*ipc.Port
	kr = x.withActions(true, func(a *actions) { was, old = a.swap(e, max) })
	if kr == 0 {
		release(old...)
		release(e.Port)
	}
	return was, kr
}

func getActions(x excepting, m mach.ExceptionMask, max int) (all []ExceptionAction, kr mach.KernReturn) {
	if m&^mach.ExcMaskValid != 0 {
		return nil, mach.KernInvalidArgument
	}
	kr = x.withActions(false, func(a *actions) { all = copySends(a.list(m, max)) })
	return all, kr
}

// SetExceptionPorts is task_set_exception_ports.
func (t *Task) SetExceptionPorts(by *Thread, e ExceptionAction) mach.KernReturn {
	if t == nil {
		return mach.KernInvalidArgument
	}
	if kr := t.m.mayExcept(by, t, &e, false); kr != 0 {
		return kr
	}
	return setActions(t, &e, false)
}

// SwapExceptionPorts is task_swap_exception_ports: what was set comes back, in at most max lines; exceptions after
// those are left as they are.
func (t *Task) SwapExceptionPorts(by *Thread, e ExceptionAction, max int) ([]ExceptionAction, mach.KernReturn) {
	if t == nil {
		return nil, mach.KernInvalidArgument
	}
	if kr := t.m.mayExcept(by, t, &e, false); kr != 0 {
		return nil, kr
	}
	return swapActions(t, &e, max)
}

// ExceptionPorts is task_get_exception_ports, with a right in each line; at most max lines.
func (t *Task) ExceptionPorts(m mach.ExceptionMask, max int) ([]ExceptionAction, mach.KernReturn) {
	if t == nil {
		return nil, mach.KernInvalidArgument
	}
	return getActions(t, m, max)
}

// TaskExceptionInfo is task_get_exception_ports_info, for which a read port will do.
func (m *Machine) TaskExceptionInfo(p *ipc.Port, mask mach.ExceptionMask, max int) (r []ExceptionInfo,
	kr mach.KernReturn) {
	t := m.TaskUnjudged(p, Read)
	if t == nil || mask&^mach.ExcMaskValid != 0 {
		return nil, mach.KernInvalidArgument
	}
	kr = t.withActions(false, func(a *actions) { r = m.infos(a.list(mask, max)) })
	return r, kr
}

// SetExceptionPorts is thread_set_exception_ports.
func (th *Thread) SetExceptionPorts(by *Thread, e ExceptionAction) mach.KernReturn {
	if th == nil {
		return mach.KernInvalidArgument
	}
	if kr := th.task.m.mayExcept(by, th.task, &e, false); kr != 0 {
		return kr
	}
	return setActions(th, &e, false)
}

// SwapExceptionPorts is thread_swap_exception_ports; see [Task.SwapExceptionPorts].
func (th *Thread) SwapExceptionPorts(by *Thread, e ExceptionAction, max int) ([]ExceptionAction, mach.KernReturn) {
	if th == nil {
		return nil, mach.KernInvalidArgument
	}
	if kr := th.task.m.mayExcept(by, th.task, &e, false); kr != 0 {
		return nil, kr
	}
	return swapActions(th, &e, max)
}

// ExceptionPorts is thread_get_exception_ports. A thread for which nothing was ever set has no lines.
func (th *Thread) ExceptionPorts(m mach.ExceptionMask, max int) ([]ExceptionAction, mach.KernReturn) {
	if th == nil {
		return nil, mach.KernInvalidArgument
	}
	return getActions(th, m, max)
}

// ThreadExceptionInfo is thread_get_exception_ports_info, for which a read port will do.
func (m *Machine) ThreadExceptionInfo(p *ipc.Port, mask mach.ExceptionMask, max int) (r []ExceptionInfo,
	kr mach.KernReturn) {
	th := m.ThreadUnjudged(p, Read)
	if th == nil || mask&^mach.ExcMaskValid != 0 {
		return nil, mach.KernInvalidArgument
	}
	kr = th.withActions(false, func(a *actions) { r = m.infos(a.list(mask, max)) })
	return r, kr
}

// hardenedAction is the one exception handler that threads may adopt once a task's exception ports are frozen.
type hardenedAction struct {
	ExceptionAction
	key uint32
}

// RegisterHardened is task_register_hardened_exception_handler. The key authenticates program counters in the handler's
// replies (arm64e).
//
// Source: XNU osfmk/kern/ipc_tt.c, function of that name.
func (t *Task) RegisterHardened(by *Thread, e ExceptionAction, key uint32) mach.KernReturn {
	if t == nil || valid(e.Port) && e.Port.Type() != mach.PortTypeException {
		return mach.KernInvalidArgument
	}
	if kr := t.m.mayExcept(by, t, &e, true); kr != 0 {
		return kr
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.frozen:
		return mach.KernInvalidArgument
	case t.life == dead:
		return mach.KernFailure
	}
	t.frozen = true
	t.hardened = hardenedAction{e, key}
	return 0
}

// Hardened returns the hardened handler and its key; ok is false if none was registered. The port is not a right.
func (t *Task) Hardened() (e ExceptionAction, key uint32, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hardened.ExceptionAction, t.hardened.key, t.frozen
}

// AdoptHandler is thread_adopt_exception_handler: the thread takes the task's hardened handler, or part of what it
// handles; a nil port removes it.
//
// Source: XNU osfmk/kern/ipc_tt.c, thread_adopt_exception_handler.
func (th *Thread) AdoptHandler(by *Thread, e ExceptionAction) mach.KernReturn {
	if th == nil {
		return mach.KernInvalidArgument
	}
	t := th.task
	t.mu.Lock()
	frozen, h := t.frozen, t.hardened
	t.mu.Unlock()
	switch {
	case t != by.task || !frozen || e.Port != nil && e.Port != h.Port:
		return mach.KernDenied
	case e.Mask&^h.Mask != 0 || e.Behavior&^h.Behavior != 0 || e.Flavor&^h.Flavor != 0:
		return mach.KernDenied
	}
	if refuse := t.m.hooks.SetExceptionPorts; refuse != nil && refuse(by.task, t, e.Mask) {
		return mach.KernNoAccess
	}
	return setActions(th, &e, true)
}
