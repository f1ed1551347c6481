package object

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// ExceptionAction says where exceptions go.
type ExceptionAction struct {
	Mask     mach.ExceptionMask
	Port     *ipc.Port // send right; nil for nowhere
	Behavior mach.ExceptionBehavior
	Flavor   uint32 // of the thread state that is sent along
}

// ExceptionInfo is an [ExceptionAction] without a right: numbers stand for the port and for the task that receives on
// it, 0 for none.
type ExceptionInfo struct {
	Mask           mach.ExceptionMask
	Port, Receiver uint32
	Behavior       mach.ExceptionBehavior
	Flavor         uint32
}

// action is where one exception goes.
type action struct {
	port     *ipc.Port
	behavior mach.ExceptionBehavior
	flavor   uint32
	hardened bool
}

func (a *action) same(port *ipc.Port, o *ExceptionAction) bool {
	return port == o.Port && a.behavior == o.Behavior && a.flavor == o.Flavor
}

// actions are the actions of a task, thread or the host, by exception; 0 is not used.
type actions [mach.ExcTypesCount]action

const firstException = mach.ExcBadAccess

// take empties the actions and adds their rights to a list.
func (a *actions) take(rights []*ipc.Port) []*ipc.Port {
	for i := range a {
		if a[i].port != nil {
			rights = append(rights, a[i].port)
		}
	}
	*a = actions{}
	return rights
}

// set replaces the actions of a mask and returns the rights that are no longer needed. Each gets a right of its own.
func (a *actions) set(e *ExceptionAction, hardened bool) (old []*ipc.Port) {
	for i := firstException; i < mach.ExcTypesCount; i++ {
		if e.Mask&i.Mask() != 0 {
			old = append(old, a[i].port)
			a[i] = action{e.Port.CopySend(), e.Behavior, e.Flavor, hardened}
		}
	}
	return old
}

// swap replaces actions and lists what they were: like ones together, at most max, after which it stops.
func (a *actions) swap(e *ExceptionAction, max int) (was []ExceptionAction, old []*ipc.Port) {
next:
	for i := firstException; i < mach.ExcTypesCount && len(was) < max; i++ {
		if e.Mask&i.Mask() == 0 {
			continue
		}
		now := a[i]
		old = append(old, now.port)
		a[i] = action{e.Port.CopySend(), e.Behavior, e.Flavor, now.hardened}
		for j := range was {
			if now.same(now.port, &was[j]) {
				was[j].Mask |= i.Mask()
				continue next
			}
		}
		was = append(was, ExceptionAction{i.Mask(), now.port.CopySend(), now.behavior, now.flavor})
	}
	return was, old
}

// list returns the actions of a mask, like ones together, at most max. The ports are not rights.
func (a *actions) list(m mach.ExceptionMask, max int) (all []ExceptionAction) {
next:
	for i := firstException; i < mach.ExcTypesCount; i++ {
		if m&i.Mask() == 0 {
			continue
		}
		for j := range all {
			if a[i].same(a[i].port, &all[j]) {
				all[j].Mask |= i.Mask()
				continue next
			}
		}
		if len(all) < max {
			all = append(all, ExceptionAction{i.Mask(), a[i].port, a[i].behavior, a[i].flavor})
		}
	}
	return all
}

// copySends makes rights of the ports of a list.
func copySends(all []ExceptionAction) []ExceptionAction {
	for i := range all {
		all[i].Port = all[i].Port.CopySend()
	}
	return all
}

// infos turns a list into what get_exception_ports_info returns.
func (m *Machine) infos(all []ExceptionAction) []ExceptionInfo {
	r := make([]ExceptionInfo, len(all))
	for i, e := range all {
		r[i] = ExceptionInfo{Mask: e.Mask, Behavior: e.Behavior, Flavor: e.Flavor}
		if valid(e.Port) {
			r[i].Port, r[i].Receiver = id(m, e.Port), id(m, Owner(e.Port.Receiver()))
		}
	}
	return r
}

// PortID returns the number that stands for a port where rights are not given out.
func (m *Machine) PortID(p *ipc.Port) uint32 { return id(m, p) }

// ID returns the number that stands for the task where rights are not given out.
func (t *Task) ID() uint32 { return id(t.m, t) }
