package rules

import (
	"fmt"
	"strings"

	"portcullis.dev/mach"
)

// How names, numbers and payloads are worded in sentences.

// flagged splits a payload of the form flag << 56 | rest. Some call sites of the kernel leave the flag unshifted, so a
// payload below 0x100 is a bare flag.
func flagged(v uint64) (flag uint8, rest uint64) {
	if v>>56 != 0 {
		return uint8(v >> 56), v & (1<<56 - 1)
	}
	if v < 0x100 {
		return uint8(v), 0
	}
	return 0, v
}

// pick returns the n-th of its texts, or nothing.
func pick(n uint8, texts ...string) string {
	if int(n) < len(texts) {
		return texts[n]
	}
	return ""
}

// portName writes a name in both forms in which reports print it.
func portName(v uint32) string {
	if s := mach.Name(v).String(); !strings.HasPrefix(s, "0x") {
		return s
	}
	return fmt.Sprintf("%#x (%d)", v, v)
}

func behaviorText(v uint32) string { return mach.ExceptionBehavior(v).String() }

// flavorText names a thread-state flavor on both CPUs, since a code does not tell which one it comes from.
func flavorText(v uint32) string {
	arm, okARM := mach.ThreadFlavorName("arm64", v)
	x86, okX86 := mach.ThreadFlavorName("x86_64", v)
	switch {
	case okARM && okX86 && arm == x86:
		return fmt.Sprintf("%d (%s)", v, arm)
	case okARM && okX86:
		return fmt.Sprintf("%d (%s on arm64, %s on x86_64)", v, arm, x86)
	case okARM:
		return fmt.Sprintf("%d (%s)", v, arm)
	case okX86:
		return fmt.Sprintf("%d (%s)", v, x86)
	}
	return fmt.Sprintf("%d (unknown)", v)
}

func dispositionText(v uint64) string { return mach.Disposition(v).String() }

// messageText names the kernel routine a message id belongs to.
func messageText(v uint32) string {
	if name, ok := mach.RoutineName(int32(v)); ok {
		return fmt.Sprintf("%d (%s)", int32(v), name)
	}
	return fmt.Sprintf("%d", int32(v))
}

// maskText lists the exceptions of a mask, without their common prefix.
func maskText(v uint64) string {
	s := mach.ExceptionMask(v).String()
	return strings.ReplaceAll(strings.ReplaceAll(s, "EXC_MASK_", ""), "|", ", ")
}

// portTypeName returns the constant of a port type by the numbering of a release; ok is false for unknown numbers.
func portTypeName(n uint32, at Version) (name string, ok bool) {
	if at.Known() && at.Before(oldestUnified) {
		return mach.LegacyPortTypeName(n)
	}
	return mach.PortType(n).String(), n < uint32(mach.PortTypeUnknown)
}

// portTypeNoun names a port type in a sentence: "task control port".
func portTypeNoun(n uint32, at Version) string {
	name, ok := portTypeName(n, at)
	if !ok {
		return fmt.Sprintf("port of the unknown type %d", n)
	}
	return portNoun(name)
}

// portTypeText names a port type in full: "task control port (IKOT_TASK_CONTROL)".
func portTypeText(n uint32, at Version) string {
	name, ok := portTypeName(n, at)
	if !ok {
		return portTypeNoun(n, at)
	}
	return portNoun(name) + " (" + name + ")"
}

// portNoun makes an English noun of a port type's constant.
func portNoun(name string) string {
	if name == "IOT_PORT" {
		return "ordinary port"
	}
	_, noun, _ := strings.Cut(name, "_") // IOT_ or IKOT_
	noun = strings.ReplaceAll(strings.ToLower(noun), "_", " ")
	noun = strings.Replace(noun, "iokit", "IOKit", 1)
	if strings.Contains(noun, "port") {
		return noun
	}
	return noun + " port"
}

func article(s string) string {
	if s != "" && strings.ContainsRune("aeiouIA", rune(s[0])) {
		return "an " + s
	}
	return "a " + s
}

// rightsText lists the rights that entry bits stand for.
func rightsText(bits uint32) string {
	var held []string
	for _, r := range []struct {
		bit  mach.RightType
		text string
	}{
		{mach.TypeReceive, "a receive right"}, {mach.TypeSend, "a send right"},
		{mach.TypeSendOnce, "a send-once right"}, {mach.TypePortSet, "a port set"},
		{mach.TypeDeadName, "a dead name"},
	} {
		if bits&uint32(r.bit) != 0 {
			held = append(held, r.text)
		}
	}
	if len(held) == 0 {
		return "no right"
	}
	return strings.Join(held, " and ")
}

// reasonText says for which part of a message a right was copied in.
//
// Source: ipc_copyin_op_t, XNU (newest) osfmk/ipc/ipc_object.h; insert_right and extract_right pass 7.
func reasonText(v uint32) string {
	texts := [...]string{
		"outside of a message", "as the destination", "in the reply field", "in the voucher field",
		"in a port descriptor", "in a guarded port descriptor", "in an out-of-line port array",
		"to the kernel (mach_port_insert_right, mach_port_extract_right)",
	}
	if int(v) < len(texts) {
		return texts[v]
	}
	return fmt.Sprintf("for reason %d", v)
}

// notificationText names a notification by its message id.
func notificationText(v uint64) string {
	if name, ok := mach.RoutineName(int32(v & 0x7fffffff)); ok {
		return fmt.Sprintf("%d (%s)", v, name)
	}
	names := map[uint64]string{
		65: "MACH_NOTIFY_PORT_DELETED", 66: "MACH_NOTIFY_SEND_POSSIBLE", 69: "MACH_NOTIFY_PORT_DESTROYED",
		70: "MACH_NOTIFY_NO_SENDERS", 71: "MACH_NOTIFY_SEND_ONCE", 72: "MACH_NOTIFY_DEAD_NAME",
	}
	if n := names[v]; n != "" {
		return fmt.Sprintf("%d (%s)", v, n)
	}
	return fmt.Sprintf("%d", v)
}

func descriptorText(v uint64, at Version) string {
	flag, rest := flagged(v)
	switch flag {
	case 1:
		return "disposition " + dispositionText(rest)
	case 2:
		return fmt.Sprintf("%d port arrays in one message", rest)
	case 3:
		return "sent to " + article(portTypeText(uint32(rest), at))
	}
	return fmt.Sprintf("%#x, of unknown meaning", v)
}

func invalidRightText(v uint64, at Version) string {
	flag, rest := flagged(v)
	held := "the process held " + rightsText(uint32(rest)) + " under the name"
	switch flag {
	case 1:
		return "no receive right under the name"
	case 2:
		return fmt.Sprintf("references of %s changed, but %s", mach.Right(rest>>32&0xffffff), held)
	case 3:
		return "mach_port_destruct, but " + held
	case 4:
		what := held
		if d := mach.Disposition(rest); uint32(rest) < 0x20 && d.Any() {
			what = d.String()
		}
		return "given " + reasonText(uint32(rest>>32)&0xffffff) + ": " + what
	case 5:
		return "mach_port_deallocate, but " + held
	case 6:
		return "released by the kernel, wanted " + article(portTypeText(uint32(rest>>32)&0xffffff, at)) +
			", found " + article(portTypeText(uint32(rest), at))
	case 7:
		return "used as a member of a port set, but " + held
	case 8:
		return "used as a port set, but " + held
	}
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%#x, of unknown meaning", v)
}

func invalidValueText(v uint64) string {
	flag, rest := flagged(v)
	switch flag {
	case 1:
		return fmt.Sprintf("mach_port_peek with trailer type %d and size %d", rest>>32&0xffffff, uint32(rest))
	case 2:
		return fmt.Sprintf("mach_port_mod_refs of %s by %d", mach.Right(rest>>32&0xffffff), int16(rest>>16))
	case 3:
		// 24 bits, signed
		return fmt.Sprintf("mach_port_destruct with a change of %d send rights", int32(rest>>32)<<8>>8)
	}
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%#x, of unknown meaning", v)
}

func strictReplyText(v uint64) string {
	var what []string
	for i, s := range []string{"wrong disposition of the reply port", "wrong reply port", "wrong voucher",
		"no bank attribute", "another persona"} {
		if v>>56&(1<<i) != 0 {
			what = append(what, s)
		}
	}
	if len(what) == 0 {
		return ""
	}
	return fmt.Sprintf("%s; the call returned %s", strings.Join(what, ", "), mach.KernReturn(int32(uint32(v))))
}

// tagFaultText reads the target of memory-tagging guards.
//
// Source: XNU osfmk/arm64/sleh.c: the kind of fault (EXC_ARM_MTE_…) or-ed with the soft-mode flag.
func tagFaultText(v uint32) string {
	var s string
	switch v &^ tagSoftMode {
	case 0x106:
		s = "tag check failed (EXC_ARM_MTE_TAGCHECK_FAIL)"
	case 0x107:
		s = "untagged memory used with a tag (EXC_ARM_MTE_CANONICAL_FAIL)"
	case 0:
	default:
		s = fmt.Sprintf("fault %#x", v&^tagSoftMode)
	}
	if v&tagSoftMode == 0 {
		return s
	}
	if s == "" {
		return "soft mode"
	}
	return s + ", in soft mode"
}

// namespaces names exit-reason namespaces.
//
// Source: XNU bsd/sys/reason.h.
var namespaces = [...]string{
	0: "INVALID", 1: "JETSAM", 2: "SIGNAL", 3: "CODESIGNING", 4: "HANGTRACER", 5: "TEST", 6: "DYLD", 7: "LIBXPC",
	8: "OBJC", 9: "EXEC", 10: "SPRINGBOARD", 11: "TCC", 12: "REPORTCRASH", 13: "COREANIMATION", 14: "AGGREGATED",
	15: "RUNNINGBOARD", 16: "SKYWALK", 17: "SETTINGS", 18: "LIBSYSTEM", 19: "FOUNDATION", 20: "WATCHDOG",
	21: "METAL", 22: "WATCHKIT", 23: "GUARD", 24: "ANALYTICS", 25: "SANDBOX", 26: "SECURITY",
	27: "ENDPOINTSECURITY", 28: "PAC_EXCEPTION", 29: "BLUETOOTH_CHIP", 30: "PORT_SPACE", 31: "WEBKIT",
	32: "BACKLIGHTSERVICES", 33: "MEDIA", 34: "ROSETTA", 35: "LIBIGNITION", 36: "BOOTMOUNT", 38: "REALITYKIT",
	39: "AUDIO", 40: "WAKEBOARD", 41: "CORERC", 42: "SELF_RESTRICT", 43: "ARKIT",
}

func namespaceText(v uint32) string {
	if int(v) < len(namespaces) && namespaces[v] != "" {
		return fmt.Sprintf("%d (%s)", v, namespaces[v])
	}
	return fmt.Sprintf("%d", v)
}
