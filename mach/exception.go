package mach

// ExceptionType numbers exceptions (exception_type_t).
type ExceptionType uint32

const (
	ExcBadAccess      ExceptionType = 1
	ExcBadInstruction ExceptionType = 2
	ExcArithmetic     ExceptionType = 3
	ExcEmulation      ExceptionType = 4
	ExcSoftware       ExceptionType = 5
	ExcBreakpoint     ExceptionType = 6
	ExcSyscall        ExceptionType = 7
	ExcMachSyscall    ExceptionType = 8
	ExcRPCAlert       ExceptionType = 9
	ExcCrash          ExceptionType = 10
	ExcResource       ExceptionType = 11
	ExcGuard          ExceptionType = 12
	ExcCorpseNotify   ExceptionType = 13
	ExcTypesCount     ExceptionType = 14
)

var exceptionTable = newTable([]pair[ExceptionType]{
	{ExcBadAccess, "EXC_BAD_ACCESS"}, {ExcBadInstruction, "EXC_BAD_INSTRUCTION"},
	{ExcArithmetic, "EXC_ARITHMETIC"}, {ExcEmulation, "EXC_EMULATION"}, {ExcSoftware, "EXC_SOFTWARE"},
	{ExcBreakpoint, "EXC_BREAKPOINT"}, {ExcSyscall, "EXC_SYSCALL"}, {ExcMachSyscall, "EXC_MACH_SYSCALL"},
	{ExcRPCAlert, "EXC_RPC_ALERT"}, {ExcCrash, "EXC_CRASH"}, {ExcResource, "EXC_RESOURCE"},
	{ExcGuard, "EXC_GUARD"}, {ExcCorpseNotify, "EXC_CORPSE_NOTIFY"},
}...)

// String returns XNU's name of the exception.
func (e ExceptionType) String() string { return exceptionTable.name("exception_type_t", e) }

// ParseExceptionType reads what [ExceptionType.String] writes, or a number.
func ParseExceptionType(s string) (ExceptionType, bool) { return exceptionTable.parse(s) }

// Mask returns the mask bit of the exception.
func (e ExceptionType) Mask() ExceptionMask { return 1 << e }

// ExceptionMask is a set of exceptions (exception_mask_t).
type ExceptionMask uint32

const (
	ExcMaskAll   ExceptionMask = 0x1bfe // EXC_MASK_ALL: everything but EXC_CRASH and EXC_CORPSE_NOTIFY
	ExcMaskValid ExceptionMask = 0x3ffe // EXC_MASK_VALID: every bit that a mask may have
)

var exceptionMaskFlags = flags[ExceptionMask]{
	{ExcMaskValid, "EXC_MASK_VALID"}, {ExcMaskAll, "EXC_MASK_ALL"},
	{1 << 1, "EXC_MASK_BAD_ACCESS"}, {1 << 2, "EXC_MASK_BAD_INSTRUCTION"}, {1 << 3, "EXC_MASK_ARITHMETIC"},
	{1 << 4, "EXC_MASK_EMULATION"}, {1 << 5, "EXC_MASK_SOFTWARE"}, {1 << 6, "EXC_MASK_BREAKPOINT"},
	{1 << 7, "EXC_MASK_SYSCALL"}, {1 << 8, "EXC_MASK_MACH_SYSCALL"}, {1 << 9, "EXC_MASK_RPC_ALERT"},
	{1 << 10, "EXC_MASK_CRASH"}, {1 << 11, "EXC_MASK_RESOURCE"}, {1 << 12, "EXC_MASK_GUARD"},
	{1 << 13, "EXC_MASK_CORPSE_NOTIFY"},
}

// String returns the members joined by "|", EXC_MASK_ALL standing for all of its own.
func (m ExceptionMask) String() string { return exceptionMaskFlags.list(m) }

// ParseExceptionMask reads what [ExceptionMask.String] writes.
func ParseExceptionMask(s string) (ExceptionMask, bool) { return exceptionMaskFlags.parse(s) }

// ExceptionBehavior says what an exception message carries, with three flag bits on top (exception_behavior_t).
type ExceptionBehavior uint32

const (
	ExceptionDefault                ExceptionBehavior = 1
	ExceptionState                  ExceptionBehavior = 2
	ExceptionStateIdentity          ExceptionBehavior = 3
	ExceptionIdentityProtected      ExceptionBehavior = 4
	ExceptionStateIdentityProtected ExceptionBehavior = 5

	MachExceptionBacktracePreferred ExceptionBehavior = 0x20000000
	MachExceptionErrors             ExceptionBehavior = 0x40000000
	MachExceptionCodes              ExceptionBehavior = 0x80000000

	// ExceptionFlagMask (MACH_EXCEPTION_MASK) holds the flag bits.
	ExceptionFlagMask = MachExceptionBacktracePreferred | MachExceptionErrors | MachExceptionCodes
)

var behaviorTable = newTable([]pair[ExceptionBehavior]{
	{ExceptionDefault, "EXCEPTION_DEFAULT"}, {ExceptionState, "EXCEPTION_STATE"},
	{ExceptionStateIdentity, "EXCEPTION_STATE_IDENTITY"},
	{ExceptionIdentityProtected, "EXCEPTION_IDENTITY_PROTECTED"},
	{ExceptionStateIdentityProtected, "EXCEPTION_STATE_IDENTITY_PROTECTED"},
}...)

var behaviorFlags = flags[ExceptionBehavior]{
	{ExceptionDefault, "EXCEPTION_DEFAULT"}, {ExceptionState, "EXCEPTION_STATE"},
	{ExceptionStateIdentity, "EXCEPTION_STATE_IDENTITY"},
	{ExceptionIdentityProtected, "EXCEPTION_IDENTITY_PROTECTED"},
	{ExceptionStateIdentityProtected, "EXCEPTION_STATE_IDENTITY_PROTECTED"},
	{MachExceptionCodes, "MACH_EXCEPTION_CODES"}, {MachExceptionErrors, "MACH_EXCEPTION_ERRORS"},
	{MachExceptionBacktracePreferred, "MACH_EXCEPTION_BACKTRACE_PREFERRED"},
}

// Base returns the behaviour without its flag bits.
func (b ExceptionBehavior) Base() ExceptionBehavior { return b &^ ExceptionFlagMask }

// String returns the behaviour and its flags, as in "EXCEPTION_DEFAULT|MACH_EXCEPTION_CODES".
func (b ExceptionBehavior) String() string {
	s := ""
	if base := b.Base(); base != 0 {
		s = behaviorTable.name("exception_behavior_t", base)
	}
	switch f := b & ExceptionFlagMask; {
	case f == 0 && s == "":
		return "0"
	case f == 0:
		return s
	case s == "":
		return behaviorFlags.list(f)
	default:
		return s + "|" + behaviorFlags.list(f)
	}
}

// ParseExceptionBehavior reads what [ExceptionBehavior.String] writes of known behaviours, or a number.
func ParseExceptionBehavior(s string) (ExceptionBehavior, bool) { return behaviorFlags.parse(s) }
