package exception

import (
	"fmt"

	"portcullis.dev/mach"
)

// Signal is a signal with the number that macOS gives it.
type Signal uint8

const (
	SIGILL  Signal = 4
	SIGTRAP Signal = 5
	SIGABRT Signal = 6
	SIGEMT  Signal = 7
	SIGFPE  Signal = 8
	SIGKILL Signal = 9
	SIGBUS  Signal = 10
	SIGSEGV Signal = 11
	SIGSYS  Signal = 12
	SIGPIPE Signal = 13
	SIGTERM Signal = 15
)

var signals = []struct {
	signal Signal
	name   string
	linux  int32
}{
	{1, "SIGHUP", 1}, {2, "SIGINT", 2}, {3, "SIGQUIT", 3}, {SIGILL, "SIGILL", 4}, {SIGTRAP, "SIGTRAP", 5},
	{SIGABRT, "SIGABRT", 6}, {SIGEMT, "SIGEMT", 0}, {SIGFPE, "SIGFPE", 8}, {SIGKILL, "SIGKILL", 9}, {SIGBUS, "SIGBUS", 7},
	{SIGSEGV, "SIGSEGV", 11}, {SIGSYS, "SIGSYS", 31}, {SIGPIPE, "SIGPIPE", 13}, {14, "SIGALRM", 14},
	{SIGTERM, "SIGTERM", 15}, {16, "SIGURG", 23}, {17, "SIGSTOP", 19}, {18, "SIGTSTP", 20}, {19, "SIGCONT", 18},
	{20, "SIGCHLD", 17}, {21, "SIGTTIN", 21}, {22, "SIGTTOU", 22}, {23, "SIGIO", 29}, {24, "SIGXCPU", 24},
	{25, "SIGXFSZ", 25}, {26, "SIGVTALRM", 26}, {27, "SIGPROF", 27}, {28, "SIGWINCH", 28}, {29, "SIGINFO", 0},
	{30, "SIGUSR1", 10}, {31, "SIGUSR2", 12},
}

// String returns the name, such as "SIGSEGV".
func (s Signal) String() string {
	for _, e := range signals {
		if e.signal == s {
			return e.name
		}
	}
	return fmt.Sprintf("signal %d", uint8(s))
}

// Linux returns Linux's number; 0 if Linux has no such signal.
func (s Signal) Linux() int32 {
	for _, e := range signals {
		if e.signal == s {
			return e.linux
		}
	}
	return 0
}

// OfLinux returns the signal with a number of Linux's; 0 if macOS has no such signal.
func OfLinux(n int32) Signal {
	for _, e := range signals {
		if e.linux == n && n != 0 {
			return e.signal
		}
	}
	return 0
}

// Codes of EXC_SOFTWARE.
const (
	softBadSyscall = 0x10000 // EXC_UNIX_BAD_SYSCALL
	softBadPipe    = 0x10001 // EXC_UNIX_BAD_PIPE
	softAbort      = 0x10002 // EXC_UNIX_ABORT
	softSignal     = 0x10003 // EXC_SOFT_SIGNAL
)

// Signal returns the signal that is due when nobody handled the exception; 0 for exceptions that end in none. cpu is
// "arm64" or "x86_64". That a stack which has overflowed is SIGSEGV and not SIGBUS, whoever knows the stack has to say.
//
// Source: XNU bsd/uxkern/ux_exception.c, ux_exception and handle_ux_exception; machine_exception in
// bsd/dev/i386/unix_signal.c and bsd/dev/arm/unix_signal.c.
func (x Exception) Signal(cpu string) Signal {
	x86 := cpu == "x86_64"
	switch x.Type {
	case mach.ExcBadAccess:
		if x.Code == int64(mach.KernInvalidAddress) || x86 && x.Code == i386GPFlt {
			return SIGSEGV
		}
		return SIGBUS
	case mach.ExcBadInstruction:
		return SIGILL
	case mach.ExcArithmetic:
		return SIGFPE
	case mach.ExcEmulation:
		return SIGEMT
	case mach.ExcBreakpoint:
		return SIGTRAP
	case mach.ExcSoftware:
		switch {
		case x86 && x.Code == i386Bound:
			return SIGTRAP
		case x.Code == softBadSyscall:
			return SIGSYS
		case x.Code == softBadPipe:
			return SIGPIPE
		case x.Code == softAbort:
			return SIGABRT
		case x.Code == softSignal:
			return SIGKILL
		}
	}
	return 0
}
