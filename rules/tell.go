package rules

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"portcullis.dev/mach"
)

// The functions here say what the numbers of one rule tell beyond its kinds. They may not look rules up: the table
// refers to them.

// set chooses a case of the rule, whose level then holds.
func (d *reading) set(id string) {
	if c, ok := d.Rule.Case(id); ok && d.era.Class != Soft {
		d.Case = c
		if d.era.KillsFrom == d.Rule.KillsFrom || c.Special {
			d.KillsFrom = c.KillsFrom
		}
	}
}

func (d *reading) fact(s string, args ...any) { d.Facts = append(d.Facts, fmt.Sprintf(s, args...)) }

// at records the level that the process was seen to run at.
func (d *reading) at(l Level) { d.Level = &l }

// name returns the target as a port name in a sentence.
func (d *reading) name() string { return mach.Name(d.target).String() }

// platform returns the platform of the report, "" where it is unknown.
func (d *reading) platform() string { return d.OS.Platform }

// typesUnsure notes that port type numbers were read in a later kernel than the report's.
func (d *reading) typesUnsure() {
	if (!d.release.Known() || d.release.Before(firstSettled)) && !slices.Contains(d.Unverified, unsureTypes) {
		d.Unverified = append(d.Unverified, unsureTypes)
	}
}

// What nobody could verify about the numbers of macOS 26.0 to 26.3.
const (
	unsureTypes = "port types are numbered as in the newest public kernel; macOS 26.0 to 26.3 may number them " +
		"differently"
	unsureWord = "the policy word is read as in the newest public kernel; macOS 26.0 to 26.3 may lay it out differently"
)

func tellReplyPort(d *reading) {
	if d.era.Class == Soft {
		d.Sentence = "The process sent a message that asks for a reply on the ordinary port " + d.name() +
			", to a service that insists on a real reply port; in this release that does not end it."
		return
	}
	switch {
	case d.HavePayload && d.Payload == 1:
		d.set("bootstrap-port")
		d.Sentence = "The process sent a message to launchd's bootstrap port that asks for a reply on a port that is " +
			"no reply port."
		d.fact("It is fatal from level 2 on; below, the bootstrap port accepts any reply port.")
	case d.HavePayload:
		d.set("service-port")
		d.fact("It is fatal at every level: strong service ports and connection ports insist on it for everybody.")
	default:
		d.fact("For a service port it is fatal at every level, for launchd's bootstrap port (payload 1) from level 2 " +
			"on.")
	}
	if d.target > 1 {
		d.fact("The number %s is the receiver's name of its port: it does not exist in the process that was killed.",
			d.name())
	}
}

func tellKobjectReply(d *reading) {
	if d.era.Class == Soft {
		d.Sentence = "The process called the kernel with the ordinary reply port " + d.name() +
			"; the message was refused, in this release without ending the process."
		return
	}
	d.set("kernel-object")
}

func tellPortArray(d *reading) {
	d.at(wordLevel(d.target))
	if !d.release.Known() || d.release.Before(firstSettled) {
		d.Unverified = append(d.Unverified, unsureWord)
	}
	if !d.HavePayload {
		return
	}
	kind, rest := flagged(d.Payload)
	switch kind {
	case 1:
		d.set("disposition")
		d.Sentence = fmt.Sprintf("The process sent an array of port rights with the disposition %s; only COPY_SEND "+
			"is allowed.",
			dispositionText(rest))
	case 2:
		d.set("two-arrays")
		d.Sentence = fmt.Sprintf("The process sent %d arrays of port rights in one message; one is allowed.", rest)
	case 3:
		d.set("destination")
		d.Sentence = fmt.Sprintf("The process sent an array of port rights to %s, which may not receive one.",
			article(portTypeNoun(uint32(rest), d.release)))
		d.typesUnsure()
	}
}

func tellThreadSetState(d *reading) {
	if d.era.Target == TargetUnused {
		d.fact("Reports before macOS 26 do not tell which registers; the message id in the registers of the faulting " +
			"thread tells the call.")
		return
	}
	arm, _ := mach.ThreadFlavorName("arm64", d.target)
	x86, _ := mach.ThreadFlavorName("x86_64", d.target)
	registers := mach.ThreadFlavorSetsRegisters("arm64", d.target) || mach.ThreadFlavorSetsRegisters("x86_64", d.target)
	debug := mach.ThreadFlavorIsDebug("arm64", d.target) || mach.ThreadFlavorIsDebug("x86_64", d.target)
	if arm == "" && x86 == "" {
		d.Unverified = append(d.Unverified, fmt.Sprintf("which registers flavor %d holds", d.target))
		return
	}
	d.Sentence = "The process set thread-state flavor " + flavorText(d.target) + " of a thread through the kernel."
	switch {
	case debug && !registers:
		d.set("debug-registers")
		d.fact("Debug registers are refused for tasks whose pointer-authentication failures are fatal (arm64e), " +
			"whatever the level; or another task's thread was stopped in an exception.")
	case registers:
		d.set("registers")
		var flavors []string
		if mach.ThreadFlavorSetsRegisters("arm64", d.target) {
			flavors = append(flavors, arm)
		}
		if mach.ThreadFlavorSetsRegisters("x86_64", d.target) {
			flavors = append(flavors, x86)
		}
		d.Sentence = "The process set the registers of a thread through the " +
			"kernel (" + strings.Join(flavors, " or ") + ")."
		d.fact("The flavor holds the program counter: it is refused from level 1 on, even for the process's own " +
			"threads, unless the thread itself answers an exception.")
	default:
		d.fact("The flavor holds no program counter, so the thread belonged to another task and was stopped in an " +
			"exception.")
		if d.platform() == "" || d.platform() == "macOS" || d.platform() == "bridgeOS" {
			d.set("in-exception-macos")
		} else {
			d.set("in-exception")
		}
	}
	d.fact("The level that counts is that of the task whose thread was changed.")
}

func tellExceptionBehavior(d *reading) {
	switch d.era.Target {
	case TargetPortName:
		d.Sentence = "The process registered an exception handler with a behavior that hands out control of the " +
			"task: new port " +
			d.name() + "."
		return
	case TargetKernelPointer, TargetUnused:
		d.fact("Reports before macOS 26 tell neither behavior nor mask; the call is task_, thread_ or " +
			"host_set_exception_ports or a swap variant.")
		return
	}
	b := mach.ExceptionBehavior(d.target)
	d.Sentence = "The process registered an exception handler with the behavior " + b.String()
	if d.HavePayload && d.Payload != 0 {
		d.Sentence += " for " + maskText(d.Payload)
	}
	switch b.Base() {
	case mach.ExceptionDefault, mach.ExceptionStateIdentity:
		d.set("behavior")
		d.Sentence += ", which hands out control of the task and its threads."
	default:
		d.set("only-one-exception-port")
		d.Sentence += ", although the task allows its hardened exception handler alone."
		d.fact("This behavior is allowed by itself; the task carries com.apple.security.only-one-exception-port.")
		d.Remedy = "Register with task_register_hardened_exception_handler, or drop the entitlement " +
			"com.apple.security.only-one-exception-port."
	}
}

func tellIllegalMove(d *reading) {
	if d.era.Payload != PayloadTypeDisposition {
		if d.HavePayload && d.Payload>>56 == 1 {
			d.fact("The payload says that the port is pinned: the process's own task port or the port of one of its " +
				"threads.")
		}
		if d.target>>8 == 2 && d.target&3 == 3 {
			d.fact("Port name %s is by habit mach_task_self(), the process's own task port.", d.name())
			d.Unverified = append(d.Unverified, "that the name is the task's own port: the report does not say what "+
				"it names")
		}
		return
	}
	if !d.HavePayload {
		return
	}
	if d.Payload == 0 {
		d.Sentence = fmt.Sprintf("The process tried to send away the receive right %s, which is bound to it.", d.name())
		d.fact("Either the port's type forbids it (timer, exception, bootstrap, reply ports, a connection port that " +
			"moved before), or it was made immovable with MPO_IMMOVABLE_RECEIVE or mach_port_guard_with_flags.")
		return
	}
	kind := mach.PortType(d.Payload >> 32 & 0xffffff)
	disposition := mach.Disposition(d.Payload)
	verb := "copy"
	switch disposition {
	case mach.MoveReceive, mach.MoveSend, mach.MoveSendOnce:
		verb = "move"
	case mach.MakeSend, mach.MakeSendOnce:
		verb = "make"
	}
	noun := portTypeNoun(uint32(kind), d.release)
	d.Sentence = fmt.Sprintf("The process tried to %s a right to %s, which may not leave it: %s of port %s.",
		verb, article(noun), disposition, d.name())
	if kind == mach.PortTypeTaskControl || kind == mach.PortTypeThreadControl {
		d.Sentence = fmt.Sprintf("The process tried to send away its own %s: %s of port "+
			"%s.", noun, disposition, d.name())
		if d.platform() == "" || d.platform() == "macOS" {
			d.set("own-control-port-macos")
			d.fact("On macOS this is fatal from level 1 on, elsewhere at every level.")
		} else {
			d.set("own-control-port")
		}
	} else {
		d.set("immovable-type")
		d.Remedy = remedyImmovableType(kind, d.Remedy)
	}
	if disposition == mach.MoveSendOnce {
		d.fact("Disposition 18 is also what the kernel reports for any immovable right in the reply field of a " +
			"message.")
	}
	d.typesUnsure()
}

// remedyImmovableType says what to do instead of giving away a right of a type.
func remedyImmovableType(t mach.PortType, otherwise string) string {
	switch t {
	case mach.PortTypeReply, mach.PortTypeSpecialReply:
		return "A reply port may only be named in the reply field (msgh_local_port), as MAKE_SEND_ONCE. Build other " +
			"ports without MPO_REPLY_PORT."
	case mach.PortTypeConnection:
		return "Let the peer build a connection of its own: hand it an XPC endpoint."
	case mach.PortTypeTaskRead, mach.PortTypeTaskInspect, mach.PortTypeThreadRead, mach.PortTypeThreadInspect:
		return "Send a task identity token instead; the receiver asks the kernel for the port it may have " +
			"(task_identity_token_get_task_port)."
	case mach.PortTypeIOKitConnect:
		return "Let the other process open its own connection with IOServiceOpen."
	}
	return otherwise
}

func tellOptions(d *reading) {
	if d.target != 0 {
		d.set("legacy-trap")
		d.Sentence = "The process sent message " + messageText(d.target) + " with the old mach_msg_trap, which is " +
			"closed to it."
		d.Remedy = "Rebuild the program against a current SDK, so that messages go through mach_msg2; look for " +
			"statically linked or hand-written copies of mach_msg."
	}
	if !d.HavePayload || d.Payload == 0 {
		return
	}
	o := mach.Option(d.Payload)
	if layoutOf(o, d.release) == layoutNow {
		word := uint32(o>>mach.PolicyShift) & 0x7ff
		d.at(wordLevel(word))
		if word&wordTranslated != 0 {
			d.fact("The process runs translated (Rosetta); message options are checked there too.")
		}
	}
	if d.target != 0 {
		return
	}
	if o&mach.MachMsg2 == 0 {
		return
	}
	d.set("options")
	switch cfi := o & mach.OptionCFIMask; {
	case o&mach.SendMsg == 0:
	case o&mach.MsgVector != 0 && o&(mach.SendMQCall|mach.SendAny) == 0:
		d.Sentence = "The process sent a message in vector form with options that allow no vector."
	case cfi == 0:
		d.Sentence = "The process sent a message without saying what kind of destination it means."
	case bits.OnesCount64(uint64(cfi)) > 1:
		d.Sentence = "The process sent a message that claims several kinds of destination at once."
	case cfi == mach.SendKobjectCall && o&mach.RcvMsg != 0:
		d.Sentence = "The process sent a call meant for the kernel to a port that belongs to a process."
		d.fact("Typical of a crash handler that forwards an exception with the system's exception_raise or " +
			"mach_exception_raise stub: then the first fault is on another thread.")
	case cfi == mach.SendKobjectCall:
		d.Sentence = "The process sent a call meant for the kernel to a port that belongs to a process, or called " +
			"the kernel without receiving the answer in the same call."
	case cfi == mach.SendMQCall:
		d.Sentence = "The process sent an ordinary message to a kernel object or a timer, which take none."
		d.fact("mach_msg() always means an ordinary message; kernel objects have to be called through the system's " +
			"stubs.")
		d.Remedy = "Call the routine of the system library that belongs to the message id, instead of mach_msg."
	case cfi == mach.SendDKCall:
		d.Sentence = "The process sent a DriverKit call to a port that is no DriverKit object."
	}
}

func tellInvalidRight(d *reading) {
	flag, rest := flagged(d.Payload)
	if !d.HavePayload || flag != 5 {
		return
	}
	if held := uint32(rest); held&uint32(mach.TypeReceive) != 0 && held&uint32(mach.TypeSend) == 0 {
		d.Sentence = fmt.Sprintf("The process released port %s as a send right, but holds only a receive right under "+
			"that name.",
			d.name())
		d.Remedy = "Release a receive right with mach_port_destruct, or mach_port_mod_refs(…, " +
			"MACH_PORT_RIGHT_RECEIVE, -1)."
	}
}

func tellConstruct(d *reading) {
	switch f := mach.ConstructFlags(d.target); {
	case f&mach.ConnectionPortWithPortArray != 0:
		d.set("port-array")
		d.Sentence = "The process constructed a port that receives arrays of rights, for which it lacks the " +
			"entitlement com.apple.developer.allow-connection-port-with-port-array."
	case f&mach.NotificationPort == mach.WeakReplyPort:
		d.set("weak-reply")
		d.Sentence = "The process constructed a weak reply port, for which it lacks the entitlement " +
			"com.apple.private.allow-weak-reply-port."
		d.Remedy = "Use MPO_REPLY_PORT: MPO_WEAK_REPLY_PORT is Apple's own."
	}
}

func tellTagFault(d *reading) {
	if d.target&tagSoftMode != 0 || d.Flavor&tagSoftMode != 0 {
		d.set("soft-mode")
		d.Class, d.KillsFrom = Soft, Never
		d.fact("The process runs in soft mode: the fault is reported and tag checks are switched off from there on.")
		return
	}
	d.set("tag-check")
}
