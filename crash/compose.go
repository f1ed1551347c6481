package crash

import (
	"fmt"
	"strings"

	"portcullis.dev/rules"
)

// GuardException returns what a report says of a guard violation, as ReportCrash of macOS 26 puts it: the exception, and
// the reason of the termination, whose code is the whole guard code.
//
// Source: texts of public reports of macOS 26 (ValveSoftware/Dota-2#3511, block/buzz#5338), and public decompilations of
// ReportCrash for the guard types of which no report is public.
func GuardException(code rules.Code, payload uint64) (*IPSException, *IPSReason) {
	const excGuard, sigkill = 12, 9
	first := uint64(sigkill)<<24 | excGuard<<20 | uint64(code)&codeMask
	x := &IPSException{Type: "EXC_GUARD", Subtype: code.Type().String(), Codes: fmt.Sprintf("0x%016x, 0x%016x", first, payload),
		RawCodes: []Signed{Signed(first), Signed(payload)}}
	unsigned := func(v uint64) *Unsigned { u := Unsigned(v); return &u }
	signed := func(v uint64) *Signed { s := Signed(v); return &s }
	target, flavor := code.Target(), code.Flavor()
	name := violationName(code)
	switch code.Type() {
	case rules.GuardMachPort:
		x.Violations, x.Port, x.GuardID = []string{name}, unsigned(uint64(target)), signed(payload)
		x.Message = fmt.Sprintf(" %s on mach port %d (guarded with 0x%016x)", name, target, payload)
	case rules.GuardFD:
		x.Violations, x.FD, x.GuardID = []string{name}, unsigned(uint64(target)), signed(payload)
		x.Message = fmt.Sprintf(" %s on file descriptor %d (guarded with 0x%016x)", name, target, payload)
	case rules.GuardUser:
		x.Namespace, x.Reason = unsigned(uint64(target)), signed(payload)
		x.Message = fmt.Sprintf("namespc %d reason_code 0x%016x", target, payload)
	case rules.GuardVN:
		x.Flavors, x.OwnerPID, x.GuardID = []string{name}, unsigned(uint64(target)), signed(payload)
		x.Message = fmt.Sprintf("id=0x%016x, pid=%d, flavor=0x%08x (%s)", payload, target, flavor, name)
	case rules.GuardVirtMemory:
		x.Flavors, x.Offset = []string{name}, signed(payload)
		x.Message = fmt.Sprintf("offset=0x%016x, flavor=0x%08x (%s)", payload, flavor, name)
	case rules.GuardRejectedSC:
		if target != 0 {
			x.MachTrap, x.Number = unsigned(uint64(target)), signed(payload)
			x.Message = fmt.Sprintf("mach_trap %d number 0x%016x", target, payload)
		} else {
			x.Syscall = signed(payload)
			x.Message = fmt.Sprintf("syscall 0x%016x", payload)
		}
	default:
		x.Message = fmt.Sprintf("unknown guard type (0x%016x, 0x%016x)", uint64(code), payload)
	}
	const generateReport = 2 // OS_REASON_FLAG_GENERATE_CRASH_REPORT, XNU bsd/sys/reason.h
	return x, &IPSReason{Namespace: "GUARD", Flags: generateReport, Code: Unsigned(code)}
}

// violationName returns the name that ReportCrash prints for a violation.
func violationName(code rules.Code) string {
	if r, ok := rules.ByCode(code); ok {
		if r.ReportCrash != "" {
			return r.ReportCrash
		}
		return r.Name
	}
	return fmt.Sprintf("Unknown %s flavor %d", code.Type(), code.Flavor())
}

// signalTexts gives, for a signal that ends a process, the Mach exception behind it, the signal's number on macOS, and
// what macOS calls it.
//
// Source: XNU bsd/uxkern/ux_exception.c, bsd/sys/signal.h; Libc sys_siglist, as crash reports print it.
var signalTexts = map[string]struct {
	exception string
	number    uint64
	text      string
}{
	"SIGHUP": {"EXC_CRASH", 1, "Hangup"}, "SIGINT": {"EXC_CRASH", 2, "Interrupt"}, "SIGQUIT": {"EXC_CRASH", 3, "Quit"},
	"SIGILL":  {"EXC_BAD_INSTRUCTION", 4, "Illegal instruction"},
	"SIGTRAP": {"EXC_BREAKPOINT", 5, "Trace/BPT trap"}, "SIGABRT": {"EXC_CRASH", 6, "Abort trap"},
	"SIGFPE": {"EXC_ARITHMETIC", 8, "Floating point exception"}, "SIGKILL": {"EXC_CRASH", 9, "Killed"},
	"SIGBUS": {"EXC_BAD_ACCESS", 10, "Bus error"}, "SIGSEGV": {"EXC_BAD_ACCESS", 11, "Segmentation fault"},
	"SIGSYS": {"EXC_CRASH", 12, "Bad system call"}, "SIGPIPE": {"EXC_CRASH", 13, "Broken pipe"},
	"SIGALRM": {"EXC_CRASH", 14, "Alarm clock"}, "SIGTERM": {"EXC_CRASH", 15, "Terminated"},
	"SIGXCPU": {"EXC_CRASH", 24, "Cputime limit exceeded"}, "SIGXFSZ": {"EXC_CRASH", 25, "Filesize limit exceeded"},
}

// SignalException returns what a report says of a signal that ended a process. The name is the signal's, "SIGSEGV"; its
// number in the report is that of macOS. The address is the one whose access failed, nil where there is none.
func SignalException(name string, address *uint64) (*IPSException, *IPSReason) {
	t, ok := signalTexts[name]
	if !ok {
		t.exception, t.text = "EXC_CRASH", strings.TrimPrefix(name, "SIG")
	}
	x := &IPSException{Type: t.exception, Signal: name, RawCodes: []Signed{0, 0}}
	if t.exception == "EXC_BAD_ACCESS" && address != nil {
		const invalidAddress = 1 // KERN_INVALID_ADDRESS
		x.RawCodes = []Signed{invalidAddress, Signed(*address)}
		x.Subtype = fmt.Sprintf("KERN_INVALID_ADDRESS at 0x%016x", *address)
	}
	x.Codes = fmt.Sprintf("0x%016x, 0x%016x", uint64(x.RawCodes[0]), uint64(x.RawCodes[1]))
	r := &IPSReason{Namespace: "SIGNAL", Code: Unsigned(t.number), Indicator: t.text}
	if ok {
		r.Indicator = fmt.Sprintf("%s: %d", t.text, t.number)
	}
	r.Keys = []string{"flags", "code", "namespace"}
	return x, r
}
