package restrict

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// SetExceptionPorts are the arguments of a call that registers an exception port.
type SetExceptionPorts struct {
	Excepting *Task // whose exceptions are meant; nil for the host's
	Mask      mach.ExceptionMask
	Port      *ipc.Port // nil for none
	Dead      bool      // Port was given as a dead name
	Behavior  mach.ExceptionBehavior
	Flavor    uint32
	CPU       string // "arm64" or "x86_64": which flavors there are
	Hardened  bool   // task_register_hardened_exception_handler
}

// SetExceptionPorts judges a call of the set_exception_ports family, made by t.
//
// Source: XNU osfmk/kern/ipc_tt.c, set_exception_ports_validation and exception_ports_allowed, newest public tree.
func (r *Restrictions) SetExceptionPorts(t *ipc.Thread, a *SetExceptionPorts) mach.KernReturn {
	base := a.Behavior.Base()
	valid := a.Port != nil && !a.Dead
	switch {
	case a.Mask&^mach.ExcMaskValid != 0:
		return mach.KernInvalidArgument
	case valid && (base < mach.ExceptionDefault || base > mach.ExceptionStateIdentityProtected):
		return mach.KernInvalidArgument
	case valid && a.Excepting != nil && !ReceivesExceptions(a.Port.Type()):
		return mach.KernInvalidRight
	}
	if _, known := mach.ThreadFlavorName(a.CPU, a.Flavor); a.Flavor != 0 && !known {
		return mach.KernInvalidArgument
	}
	protected := base == mach.ExceptionIdentityProtected || a.Behavior&mach.MachExceptionBacktracePreferred != 0
	if protected && a.Behavior&mach.MachExceptionCodes == 0 {
		return mach.KernInvalidArgument
	}
	if !r.behaviorAllowed(t, a, valid) {
		r.raise(t, ipc.GuardExceptionBehavior, uint32(a.Behavior), uint64(a.Mask))
		return mach.KernDenied
	}
	return 0
}

// ReceivesExceptions says that exceptions are sent to ports of a type. Nobody else's can be registered, but for the
// host.
//
// Source: XNU newest public tree, ipc_is_valid_exception_port and ipc_exception_send_allowed.
func ReceivesExceptions(t mach.PortType) bool {
	switch t {
	case mach.PortTypePlain, mach.PortTypeException, mach.PortTypeService, mach.PortTypeWeakService,
		mach.PortTypeUXHandler:
		return true
	}
	return false
}

// behaviorAllowed says whether a port may be registered with a behaviour.
//
// Source: set_exception_behavior_allowed and exception_is_identity_protected.
func (r *Restrictions) behaviorAllowed(t *ipc.Thread, a *SetExceptionPorts, valid bool) bool {
	caller := taskOf(t.Space())
	if caller.entitled(ExceptionPortEntitlement) {
		return true
	}
	bound := a.Excepting == nil || a.Excepting.Policy.Applies(EnhancedV1)
	if a.Excepting != nil && bound && a.Excepting.entitled(OneExceptionEntitlement) && !a.Hardened {
		return false
	}
	if !bound || !valid || a.Port.Type() == mach.PortTypeUXHandler || !r.sip() || caller.Policy&Simulated != 0 ||
		!r.NotMac && caller.Policy&Translated != 0 {
		return true
	}
	base := a.Behavior.Base()
	return base != mach.ExceptionDefault && base != mach.ExceptionStateIdentity
}

// SetThreadState are the arguments of a call that sets a thread's registers.
type SetThreadState struct {
	Target      *Task // whose thread it is
	InException bool  // the thread waits for the answer to a Mach exception
	FromUser    bool  // a call of the task (thread_set_state, act_set_state), not the answer to an exception
	Flavor      uint32
	CPU         string
}

// SetThreadState judges a call that sets a thread's registers, made by t. Registers in the answer to an exception pass,
// whoever answers: from level 3 on Apple's analytics learn of those from another process, and nobody else does.
//
// Source: XNU osfmk/kern/thread_act.c, thread_set_state_allowed, newest public tree.
func (r *Restrictions) SetThreadState(t *ipc.Thread, a *SetThreadState) mach.KernReturn {
	caller, target := taskOf(t.Space()), a.Target
	if !a.FromUser || target.Policy&exempt != 0 {
		return 0
	}
	entitled := caller.entitled(ThreadStateEntitlement)
	foreign := EnhancedV2
	if r.NotMac {
		foreign = EnhancedV1
	}
	switch {
	case a.InException && target != caller && !target.Debugged && !entitled &&
		target.Policy.Applies(foreign):
	case !a.InException && mach.ThreadFlavorSetsRegisters(a.CPU, a.Flavor) && !entitled &&
		target.Policy.Applies(EnhancedV1):
	case target.FatalPAC && mach.ThreadFlavorIsDebug(a.CPU, a.Flavor) && !entitled:
	default:
		return 0
	}
	r.raise(t, ipc.GuardThreadSetState, a.Flavor, 0)
	return mach.KernNoAccess
}
