package restrict

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// MoveReceive implements ipc.Restrictions. That a weak reply port moved is reported once for a task.
//
// Source: ipc_move_receive_allowed; ipc_sec_policy_array for how often.
func (r *Restrictions) MoveReceive(t *ipc.Thread, s *ipc.Space, p *ipc.Port, name mach.Name) bool {
	task := taskOf(s)
	if p.Type() == mach.PortTypeService && !task.Launchd {
		r.raise(t, ipc.GuardServicePort, 0, uint64(name))
		return false
	}
	if p.Type() == mach.PortTypeWeakReply && task.Policy.Applies(EnhancedV2) &&
		task.movedWeakReply.CompareAndSwap(false, true) {
		r.raise(t, ipc.GuardMoveWeakReply, uint32(name), 0)
	}
	if p.ReceiveImmovable() {
		r.raise(t, ipc.GuardImmovable, uint32(name), 0)
		return false
	}
	return true
}

// ImmovableSend implements ipc.Restrictions: one's own control ports are held fast by what the task is, others by what
// their type is.
//
// Source: ipc_should_mark_immovable_send, and task_set_ctrl_port_default in osfmk/kern/task.c.
func (r *Restrictions) ImmovableSend(s *ipc.Space, p *ipc.Port) bool {
	if typ := p.Type(); typ == mach.PortTypeTaskControl || typ == mach.PortTypeThreadControl {
		if c, ok := p.Object().(Control); ok && c.ControlTask() != nil && c.ControlTask() == taskOf(s) {
			return r.controlImmovable(taskOf(s))
		}
	}
	return !p.Policy().SendMovable
}

// controlImmovable says that a task's own control ports may not move.
func (r *Restrictions) controlImmovable(t *Task) bool {
	switch {
	case t.MovableControl || t.entitled(MovableControlEntitlement) || t.Policy&Simulated != 0 || !r.sip():
		return false
	case t.Policy.Applies(EnhancedV1):
		return true
	}
	return r.NotMac
}

// CanStash says that a send right may be put where the kernel keeps it for others: special ports, registered ports. A
// right that may not move may not be kept; the call fails with KERN_INVALID_RIGHT and without a guard.
//
// Source: ipc_can_stash_naked_send.
func (r *Restrictions) CanStash(s *ipc.Space, p *ipc.Port) bool {
	return p == nil || !p.Active() || !r.ImmovableSend(s, p)
}

// Pinned implements ipc.Restrictions.
//
// Source: mach_port_guard_exception_pinned.
func (r *Restrictions) Pinned(t *ipc.Thread, s *ipc.Space, name mach.Name, why ipc.PinnedReason) {
	p := taskOf(s).Policy
	switch {
	case s != t.Space() || p&(Translated|Simulated) != 0:
	case p.Applies(EnhancedV1):
		r.raise(t, ipc.GuardModRefs, uint32(name), uint64(why))
	default:
		r.raise(t, ipc.GuardModRefsNonFatal, uint32(name), uint64(why))
	}
}

// Construct implements ipc.Restrictions.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_construct and mach_port_construct_check_service_port.
func (r *Restrictions) Construct(t *ipc.Thread, s *ipc.Space, o *ipc.ConstructOptions) (typ mach.PortType,
	kr mach.KernReturn) {
	task := taskOf(s)
	switch o.Flags & mach.ConstructTypeMask {
	case mach.ServicePort:
		switch {
		case !task.Launchd:
			return 0, mach.KernDenied
		case o.Service == nil || len(o.Service.Name) > 254,
			o.Flags&mach.ContextAsGuard != 0 && o.Flags&mach.Strict == 0:
			return 0, mach.KernInvalidArgument
		case o.Service.Domain == ipc.DomainPort:
			typ = mach.PortTypeBootstrap
		case o.Flags&mach.EnforceReplyPortSemantics != 0 && task.Policy&Simulated == 0:
			typ = mach.PortTypeService
		default:
			typ = mach.PortTypeWeakService
		}
	case mach.ConnectionPort:
		if o.ServiceName == 0 {
			return 0, mach.KernInvalidArgument
		}
		typ = mach.PortTypeConnection
	case mach.ReplyPort:
		typ = mach.PortTypeReply
		if !task.Policy.Applies(EnhancedV1) {
			typ = mach.PortTypeWeakReply
		}
	case mach.WeakReplyPort:
		typ = mach.PortTypeWeakReply
	case mach.NotificationPort:
		typ = mach.PortTypeNotification
	case mach.ExceptionPort:
		typ = mach.PortTypeException
	case mach.ConnectionPortWithPortArray:
		typ = mach.PortTypeConnectionWithArray
	default:
		typ = mach.PortTypePlain
	}
	need := types[typ].Entitlement
	if need == "" || !task.Policy.Applies(EnhancedV1) || task.entitled(need) ||
		typ == mach.PortTypeWeakReply && !r.sip() {
		return typ, 0
	}
	r.raise(t, ipc.GuardInvalidMPOEntitlement, uint32(o.Flags), 0)
	return 0, mach.KernDenied
}

// Flags in the payload of failed port-destroyed requests.
const (
	requestByWrongTask   = 1
	requestToMovablePort = 2
	requestToWrongTask   = 3
	requestedTwice       = 4
)

// PortDestroyed implements ipc.Restrictions.
//
// Source: ipc_allow_register_pd_notification.
func (r *Restrictions) PortDestroyed(t *ipc.Thread, p *ipc.Port, to ipc.Notify, armed bool) mach.KernReturn {
	if p.ReceiveImmovable() || !p.Policy().PortDestroyed {
		r.raise(t, ipc.GuardInvalidNotification, uint32(p.Type()), uint64(mach.NotifyPortDestroyed))
		return mach.KernInvalidRight
	}
	service := p.Type() == mach.PortTypeService || p.Type() == mach.PortTypeWeakService
	if service && to.Port != nil {
		flag := uint64(0)
		switch {
		case !taskOf(t.Space()).Launchd:
			flag = requestByWrongTask
		case !to.Immovable:
			flag = requestToMovablePort
		case to.Receiver == nil || !taskOf(to.Receiver).Launchd:
			flag = requestToWrongTask
		}
		if flag != 0 {
			r.raise(t, ipc.GuardKernFailure, 0, flag)
			return mach.KernInvalidRight
		}
	}
	if armed {
		r.raise(t, ipc.GuardKernFailure, 0, requestedTwice)
		return mach.KernFailure
	}
	return 0
}

// NotifyPort implements ipc.Restrictions: a port whose type may not receive notifications is reported, not refused. The
// target is a kernel address cut short in XNU; here it is 0.
//
// Source: ipc_port_can_receive_notifications.
func (r *Restrictions) NotifyPort(t *ipc.Thread, s *ipc.Space, p *ipc.Port) {
	if p == nil {
		return
	}
	if !p.Policy().Notify {
		r.raise(t, ipc.GuardNotificationPort, 0, uint64(p.Type()))
	}
	if r.NotificationPortsRequired && taskOf(s).Policy.Applies(Contained) && p.Type() != mach.PortTypeNotification {
		r.raise(t, ipc.GuardNotificationPortReq, 0, 0)
	}
}
