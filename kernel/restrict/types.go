package restrict

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// Entitlements that the restrictions ask for.
const (
	WeakReplyEntitlement      = "com.apple.private.allow-weak-reply-port"
	PortArrayEntitlement      = "com.apple.developer.allow-connection-port-with-port-array"
	ExceptionPortEntitlement  = "com.apple.private.set-exception-port"
	ThreadStateEntitlement    = "com.apple.private.thread-set-state"
	OneExceptionEntitlement   = "com.apple.security.only-one-exception-port"
	MovableControlEntitlement = "com.apple.security.get-movable-control-port"
)

// types says how ports of each type behave.
//
// Source: ipc_policy_array; whether send rights to a kernel object move is in the object's own file in XNU, and not
// verified for clocks, event links, memory objects, the main device, arcade, hypervisor, kcdata and the ux handler,
// which are taken to be movable.
var types = [mach.PortTypeUnknown]ipc.TypePolicy{
	mach.PortTypePortSet: {Movability: ipc.MoveNever},
	mach.PortTypePlain: {Movability: ipc.MoveAlways, SendMovable: true, DeadName: true, NoSenders: true,
		PortDestroyed: true, Notify: true},
	mach.PortTypeService: {Movability: ipc.MoveOnceOrAfterPD, SendMovable: true, EnforceReply: true, DeadName: true,
		NoSenders: true, PortDestroyed: true, Notify: true},
	mach.PortTypeBootstrap: {Movability: ipc.MoveNever, SendMovable: true, EnforceReply: true, DeadName: true,
		NoSenders: true, Notify: true},
	mach.PortTypeWeakService: {Movability: ipc.MoveAlways, SendMovable: true, DeadName: true, NoSenders: true,
		PortDestroyed: true, Notify: true},
	mach.PortTypeConnection: {Movability: ipc.MoveOnce, EnforceReply: true, DeadName: true, NoSenders: true,
		PortDestroyed: true, Notify: true},
	mach.PortTypeConnectionWithArray: {Movability: ipc.MoveNever, SendMovable: true, DeadName: true, NoSenders: true,
		Entitlement: PortArrayEntitlement},
	mach.PortTypeNotification: {Movability: ipc.MoveNever, Notify: true},
	mach.PortTypeException:    {Movability: ipc.MoveNever, SendMovable: true, DeadName: true, NoSenders: true},
	mach.PortTypeTimer:        {Movability: ipc.MoveNever, SendMovable: true, DeadName: true, NoSenders: true},
	mach.PortTypeReply:        {Movability: ipc.MoveNever, DeadName: true},
	mach.PortTypeSpecialReply: {Movability: ipc.MoveNever, DeadName: true},
	mach.PortTypeWeakReply: {Movability: ipc.MoveAlways, SendMovable: true, DeadName: true, NoSenders: true,
		PortDestroyed: true, Entitlement: WeakReplyEntitlement},
}

// immovableObjects are the kernel objects whose send rights stay in the space that got them.
var immovableObjects = map[mach.PortType]bool{
	mach.PortTypeTaskRead: true, mach.PortTypeTaskInspect: true, mach.PortTypeThreadRead: true,
	mach.PortTypeThreadInspect: true, mach.PortTypeThreadResume: true, mach.PortTypeIOKitConnect: true,
}

func init() {
	for t := range types {
		if typ := mach.PortType(t); typ.KernelObject() {
			types[t] = ipc.TypePolicy{Movability: ipc.MoveNever, SendMovable: !immovableObjects[typ], EnforceReply: true,
				DeadName: true}
		}
	}
}

// Type implements ipc.Restrictions.
func (r *Restrictions) Type(t mach.PortType) *ipc.TypePolicy { return &types[t] }
