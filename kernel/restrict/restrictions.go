package restrict

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// System is what the restrictions depend on beside the task. The zero value is a Mac as it is sold.
type System struct {
	// NotMac is for iOS and its kin, where control ports of ordinary programs are immovable too.
	NotMac bool
	// SIPOff says that System Integrity Protection is off (it is a matter of the Mac alone).
	SIPOff bool
	// KernelDebugging says that SIP lets the kernel be debugged.
	KernelDebugging bool
	// PortArraysAllowed is the boot argument ool_port_array_enforced turned off.
	PortArraysAllowed bool
	// NotificationPortsRequired is the boot argument cv_notif_port_required_enforced turned on: it is reported when a
	// contained task asks for notifications on a port that is not made for them.
	NotificationPortsRequired bool
}

func (s *System) sip() bool { return s.NotMac || !s.SIPOff }

// Restrictions are Apple's. They implement ipc.Restrictions.
type Restrictions struct {
	System
	// Filter is the sandbox's: it says whether a filtered task may send a message with an id to a service port, or to the
	// port of a connection on which clients send (which is not immovable from the start). Of messages to the bootstrap port it sees the id without the top byte, and
	// none whose top byte is 0: those are refused. It may block. Nil: no message is filtered.
	Filter func(by *Task, to *ipc.Port, id int32) bool
}

var _ ipc.Restrictions = (*Restrictions)(nil)

func (r *Restrictions) raise(t *ipc.Thread, g ipc.Guard, target uint32, payload uint64) {
	r.Violate(t, ipc.Violation{Guard: g, Target: target, Payload: payload})
}

// policyOf returns the policy that rides in options, with the bits beside it that show in payloads.
func policyOf(o mach.Option) Policy { return Policy(o >> mach.PolicyShift) }

// SendOptions wants exactly one word on the kind of destination in a mach_msg2 call.
//
// Source: ipc_preflight_msg_option64.
func (r *Restrictions) SendOptions(t *ipc.Thread, o mach.Option) mach.KernReturn {
	cfi := o & mach.OptionCFIMask
	if r.NotMac {
		cfi &^= mach.SendAny
	}
	one := cfi != 0 && cfi&(cfi-1) == 0
	if one && (o&mach.MsgVector == 0 || o&(mach.SendMQCall|mach.SendAny) != 0) {
		return 0
	}
	r.raise(t, ipc.GuardInvalidOptions, 0, uint64(o))
	return mach.SendInvalidOptions
}

// legacyCalls may still be made through the legacy trap by programs linked with an SDK of macOS 12 or before.
var legacyCalls = map[int32]bool{0xd4a: true, 0xd4d: true, 0xe13: true, 0x12c4: true, 0x12c8: true}

// LegacySend forbids the legacy trap to nearly everybody.
//
// Source: ipc_policy_allow_legacy_send_trap.
func (r *Restrictions) LegacySend(t *ipc.Thread, id int32, o mach.Option) mach.KernReturn {
	p := policyOf(o)
	task := taskOf(t.Space())
	if p&Enhanced == 0 {
		if task.Bits32 || p&Translated != 0 || !r.NotMac && task.SDK != 0 && task.SDK <= 12 && legacyCalls[id] {
			return 0
		}
	}
	r.raise(t, ipc.GuardInvalidOptions, uint32(id), uint64(o))
	return mach.KernNotSupported
}

// Kinds of descriptor violations, in the top byte of the payload.
const (
	arrayDisposition = 1
	arrayCount       = 2
	arrayDestination = 3
)

// SendHeader implements ipc.Restrictions.
//
// Source: ipc_validate_kmsg_header_from_user.
func (r *Restrictions) SendHeader(t *ipc.Thread, s *ipc.Send) mach.KernReturn {
	if s.Options&mach.MachMsg2 != 0 && !r.destinationMatches(t, s) {
		r.raise(t, ipc.GuardInvalidOptions, 0, uint64(s.Options))
		return mach.SendInvalidOptions
	}
	if s.Arrays > 0 && r.arraysBound(s.Options) {
		switch {
		case s.Dest.Type() != mach.PortTypeConnectionWithArray:
			return r.descriptor(t, s.Options, arrayDestination, uint32(s.Dest.Type()))
		case s.Arrays > 1:
			return r.descriptor(t, s.Options, arrayCount, uint32(s.Arrays))
		}
	}
	if kr := r.replyPort(t, s); kr != 0 {
		return kr
	}
	return r.filter(t, s)
}

// bootstrapIDs are the bits of the id of a message to the bootstrap port that say what is asked; those above name the
// domain it is asked in, which clients of MIG's do not.
const bootstrapIDs = 1<<24 - 1

// filter asks the sandbox about a message. The target of the guard is a kernel address cut short in XNU; here it is 0.
//
// Source: ipc_filter_kmsg_header_from_user.
func (r *Restrictions) filter(t *ipc.Thread, s *ipc.Send) mach.KernReturn {
	if s.Options&mach.PolicyFilterMsg == 0 || r.Filter == nil || !s.Dest.Filtered() || !s.Dest.Active() {
		return 0
	}
	id, allowed := s.ID, true
	if s.Dest.Type() == mach.PortTypeBootstrap {
		allowed = uint32(id)&^bootstrapIDs != 0
		id &= bootstrapIDs
	}
	if allowed && r.Filter(taskOf(t.Space()), s.Dest, id) {
		return 0
	}
	if s.Options&mach.PolicyFilterNonfatal == 0 {
		r.raise(t, ipc.GuardMsgFiltered, 0, uint64(uint32(s.ID)))
	}
	return mach.SendMsgFiltered
}

func (r *Restrictions) arraysBound(o mach.Option) bool {
	return !r.PortArraysAllowed && policyOf(o).Applies(EnhancedV2)
}

// descriptor raises a descriptor violation.
func (r *Restrictions) descriptor(t *ipc.Thread, o mach.Option, kind uint8, aux uint32) mach.KernReturn {
	r.raise(t, ipc.GuardDescriptor, uint32(policyOf(o)), ipc.Payload(kind, 0, aux))
	return mach.SendInvalidOptions
}

// ArrayDisposition wants port arrays to be copies of send rights.
//
// Source: validate_ool_port_array.
func (r *Restrictions) ArrayDisposition(t *ipc.Thread, o mach.Option, d mach.Disposition) mach.KernReturn {
	if d != mach.CopySend && r.arraysBound(o) {
		return r.descriptor(t, o, arrayDisposition, uint32(d))
	}
	return 0
}

// destinationMatches says that the destination is of the kind that the options promise.
//
// Source: ipc_validate_kmsg_dest_from_user.
func (r *Restrictions) destinationMatches(t *ipc.Thread, s *ipc.Send) bool {
	o, typ := s.Options, s.Dest.Type()
	switch {
	case !r.NotMac && o&mach.SendAny != 0:
		return true
	case typ == mach.PortTypeTimer:
		return !r.NotMac && o&mach.PolicyEnhanced == 0 && o&mach.SendMQCall != 0
	case typ == mach.PortTypeUEXTObject:
		return o&mach.SendDKCall != 0
	case typ.KernelObject():
		if o&mach.SendKobjectCall == 0 {
			return false
		}
		// Calls to the kernel are made and answered in one, but for programs of old.
		task := taskOf(t.Space())
		return o&mach.RcvMsg != 0 ||
			o&mach.PolicyEnhanced == 0 && s.Reply == nil && !r.NotMac && task.SDK != 0 && task.SDK <= 14
	case r.KernelDebugging:
		return true
	}
	return o&mach.SendMQCall != 0
}

// replyPort wants a proper reply port for a destination that enforces it.
//
// Source: ipc_validate_local_port.
func (r *Restrictions) replyPort(t *ipc.Thread, s *ipc.Send) mach.KernReturn {
	p := policyOf(s.Options)
	if s.Reply == nil || !s.Dest.Active() || !s.Dest.EnforcesReply() || !p.Applies(Default) {
		return 0
	}
	typ := s.Reply.Type()
	isReply := typ == mach.PortTypeReply || typ == mach.PortTypeSpecialReply
	guard, payload := ipc.GuardRequireReply, uint64(0)
	switch {
	case s.Dest.Type().KernelObject():
		if isReply || !p.Applies(EnhancedV1) {
			return 0
		}
		guard = ipc.GuardKobjectReply
	case isReply || typ == mach.PortTypeWeakReply:
		return 0
	case s.Dest.Type() == mach.PortTypeBootstrap:
		if !p.Applies(EnhancedV2) {
			return 0
		}
		payload = 1
	}
	r.raise(t, guard, uint32(s.Dest.ReceiverName()), payload)
	return mach.SendInvalidReply
}
