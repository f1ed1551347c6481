package rules

import (
	"fmt"

	"portcullis.dev/mach"
)

// oldestUnified is the first release whose port types, policy words and payloads have today's form.
var oldestUnified = Version{26, 0}

// firstSettled is the first release whose port type and policy numbers were read in public source.
var firstSettled = Version{26, 4}

// plausibility says how well a value fits a kind: it cannot be, it would be odd, it is as expected.
type plausibility int

const (
	impossible plausibility = iota
	odd
	expected
)

// fits says how well a target fits the kind.
func (k TargetKind) fits(v uint32) plausibility {
	switch k {
	case TargetUnused:
		if v != 0 {
			return impossible
		}
	case TargetKernelPointer:
		if v == 0 {
			return odd
		}
	case TargetBehavior:
		switch b := mach.ExceptionBehavior(v).Base(); {
		case b >= mach.ExceptionDefault && b <= mach.ExceptionStateIdentityProtected:
		case v == 0:
			return odd
		default:
			return impossible
		}
	case TargetThreadFlavor:
		if v == 0 || v > 0xffff {
			return impossible
		}
	case TargetTrapFlag:
		if v > 1 {
			return odd
		}
	}
	return expected
}

// fits says how well a payload fits the kind.
func (k PayloadKind) fits(v uint64) plausibility {
	switch k {
	case PayloadUnused:
		if v != 0 {
			return impossible
		}
	case PayloadMask:
		if v > uint64(mach.ExcMaskValid) || v&1 != 0 {
			return impossible
		}
		if v == 0 {
			return odd
		}
	case PayloadBootstrap:
		if v > 1 {
			return impossible
		}
	}
	return expected
}

// text decodes a target; empty where there is nothing to say.
func (k TargetKind) text(v uint32, at Version) string {
	switch k {
	case TargetPortName:
		return "port name " + portName(v)
	case TargetReceiverName:
		switch v {
		case 0:
			return "0: the destination's receive right was travelling in a message"
		case 1:
			return "1: the kernel's own name for a port that it receives on"
		}
		return "the receiver's name of the destination, " + portName(v) + "; not a name of this process"
	case TargetKernelPointer:
		return fmt.Sprintf("%#x, low half of a kernel address, without meaning", v)
	case TargetBehavior:
		return "behavior " + behaviorText(v)
	case TargetThreadFlavor:
		return "thread-state flavor " + flavorText(v)
	case TargetPolicyWord:
		return policyText(v)
	case TargetLegacyMessageID:
		if v != 0 {
			return "message id " + messageText(v)
		}
	case TargetMPOFlags:
		return "flags " + mach.ConstructFlags(v).String()
	case TargetPortType:
		return portTypeText(v, at)
	case TargetDefenseID:
		return fmt.Sprintf("number %d of the kernel's service-port rules", v)
	case TargetFD:
		return fmt.Sprintf("file descriptor %d", v)
	case TargetReasonNamespace:
		return "namespace " + namespaceText(v)
	case TargetOwnerPID:
		return fmt.Sprintf("guard set by process %d", v)
	case TargetTrapFlag:
		if v == 0 {
			return "BSD system call"
		}
		return "Mach trap"
	case TargetTagFault:
		return tagFaultText(v)
	case TargetPID:
		return fmt.Sprintf("process %d", v)
	case TargetUnused:
		if v != 0 {
			return fmt.Sprintf("%#x, of unknown meaning", v)
		}
	}
	return ""
}

// text decodes a payload; empty where there is nothing to say. The payload of some kinds reads by the target.
func (k PayloadKind) text(v uint64, target uint32, at Version) string {
	switch k {
	case PayloadUnused:
		if v != 0 {
			return fmt.Sprintf("%#x, of unknown meaning", v)
		}
	case PayloadGuard:
		if v == 0 {
			return "guard 0"
		}
		return fmt.Sprintf("guarded with %#x", v)
	case PayloadPinned:
		flag, _ := flagged(v)
		if s := pick(flag, "", "released by mach_port_deallocate", "released by mach_port_destroy or "+
			"mach_port_mod_refs",
			"moved in a message", "moved in a message (numbered 4 up to macOS 15)"); s != "" {
			return s
		}
		if v != 0 {
			return fmt.Sprintf("%#x, of unknown meaning; the guard value, if the port was guarded", v)
		}
	case PayloadOptions:
		return optionText(mach.Option(v), at)
	case PayloadMask:
		if v != 0 {
			return "exception mask " + maskText(v)
		}
	case PayloadPortName:
		return "port name " + portName(uint32(v))
	case PayloadBootstrap:
		if v == 1 {
			return "the destination was launchd's bootstrap port"
		}
	case PayloadTypeDisposition:
		if v == 0 {
			return "a receive right"
		}
		return dispositionText(v) + " of " + article(portTypeText(uint32(v>>32)&0xffffff, at))
	case PayloadNotification:
		return "notification " + notificationText(v)
	case PayloadDescriptor:
		return descriptorText(v, at)
	case PayloadMessageID:
		return "message id " + messageText(uint32(v))
	case PayloadInvalidRight:
		return invalidRightText(v, at)
	case PayloadInvalidValue:
		return invalidValueText(v)
	case PayloadPDRequest:
		flag, _ := flagged(v)
		return pick(flag, "", "only launchd may ask for it on a service port", "the notification port can be moved",
			"the notification port is not launchd's", "it was asked for already")
	case PayloadReplyEntry:
		if v == 0 {
			return ""
		}
		return fmt.Sprintf("%s; the process held %s under the name", dispositionText(v), rightsText(uint32(v>>32)))
	case PayloadDisposition:
		if v == 0 {
			return ""
		}
		return dispositionText(v)
	case PayloadSendRight:
		flag, _ := flagged(v)
		where := pick(flag, "", "in a port descriptor", "in an out-of-line port array", "in a guarded port descriptor")
		if where == "" {
			return ""
		}
		return dispositionText(v) + " " + where
	case PayloadStrictReply:
		return strictReplyText(v)
	case PayloadPortType:
		return portTypeText(uint32(v), at)
	case PayloadPID:
		if v == 0 {
			return "the answering process is not known"
		}
		return fmt.Sprintf("process %d", v)
	case PayloadReasonCode:
		return fmt.Sprintf("reason code %#x", v)
	case PayloadAddress:
		return fmt.Sprintf("at %#x", v)
	case PayloadSyscall:
		if target != 0 {
			if name, ok := mach.TrapName(-int32(v & 0x7fffffff)); ok {
				return fmt.Sprintf("Mach trap %d (%s)", v, name)
			}
			return fmt.Sprintf("Mach trap %d", v)
		}
		return fmt.Sprintf("system call %d", v)
	case PayloadThreadState:
		flag, _ := flagged(v)
		return pick(flag, "", "from an exception handler in user space", "the flavor holds CPU registers",
			"the task's pointer-authentication failures are fatal")
	case PayloadCopyinReason:
		return reasonText(uint32(v))
	case PayloadSize:
		return fmt.Sprintf("%d bytes", v)
	}
	return ""
}
