package exception

import (
	"encoding/binary"

	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
)

// Info is what Linux's siginfo_t says of a fault.
type Info struct {
	Signal  int32  // si_signo, Linux's number
	Code    int32  // si_code; only positive ones come from a fault
	Address uint64 // si_addr
}

// Linux's signals of faults.
const (
	linuxILL  = 4
	linuxTRAP = 5
	linuxBUS  = 7
	linuxFPE  = 8
	linuxSEGV = 11
)

// Linux's si_code of faults.
const (
	segvMapErr  = 1 // nothing is mapped there
	busAlign    = 1
	busMCEERRAR = 4 // the memory itself is broken
	busMCEERRAO = 5
	fpeFltDiv   = 3
	fpeFltOvf   = 4
	fpeFltUnd   = 5
	fpeFltRes   = 6
	fpeFltInv   = 7
	trapTrace   = 2
	trapHWBreak = 4
)

// accessCode is the return value of the virtual memory system that a bad access ends with.
func (i *Info) accessCode() int64 {
	switch {
	case i.Signal == linuxSEGV && i.Code == segvMapErr:
		return int64(mach.KernInvalidAddress)
	case i.Signal == linuxSEGV:
		return int64(mach.KernProtectionFailure)
	case i.Code == busMCEERRAR || i.Code == busMCEERRAO:
		return int64(mach.KernMemoryFailure)
	}
	return int64(mach.KernMemoryError) // beyond the end of a mapped file: the pager has nothing
}

// Traps of x86 by number.
const (
	trapDivide    = 0
	trapDebug     = 1
	trapInt3      = 3
	trapOverflow  = 4
	trapBound     = 5
	trapOpcode    = 6
	trapTSS       = 10
	trapSegment   = 11
	trapStack     = 12
	trapGP        = 13
	trapPage      = 14
	trapFloat     = 16
	trapAlignment = 17
	trapSSE       = 19
)

// Codes of x86 (EXC_I386_*).
//
// Source: XNU osfmk/mach/i386/exception.h.
const (
	i386Div       = 1 // EXC_ARITHMETIC
	i386Into      = 2
	i386ExtErr    = 5
	i386SSEExtErr = 8
	i386Invop     = 1 // EXC_BAD_INSTRUCTION; traps 10 to 12 are codes too
	i386Sgl       = 1 // EXC_BREAKPOINT
	i386Bpt       = 2
	i386Bound     = 7  // EXC_SOFTWARE
	i386GPFlt     = 13 // EXC_BAD_ACCESS
	i386AlignFlt  = 17
)

// OfAMD64 returns the exception that a fault on x86_64 is. ok is false if it is none, but a signal that somebody sent.
//
// Alignment checks, which macOS leaves off, are EXC_BAD_ACCESS with EXC_I386_ALIGNFLT; nothing of XNU's says so.
//
// Source: XNU osfmk/i386/trap.c, user_trap.
func OfAMD64(i Info, r *state.AMD64) (x Exception, ok bool) {
	if i.Code <= 0 {
		return x, false
	}
	err := int64(r.Err & 0xffff)
	switch r.Trap {
	case trapDivide:
		return Exception{mach.ExcArithmetic, i386Div, 0}, i.Signal == linuxFPE
	case trapOverflow:
		return Exception{mach.ExcArithmetic, i386Into, 0}, true
	case trapFloat:
		return Exception{mach.ExcArithmetic, i386ExtErr, int64(binary.LittleEndian.Uint16(r.FX[2:]))}, true
	case trapSSE:
		return Exception{mach.ExcArithmetic, i386SSEExtErr, int64(binary.LittleEndian.Uint32(r.FX[24:]))}, true
	case trapDebug:
		return Exception{mach.ExcBreakpoint, i386Sgl, 0}, true
	case trapInt3:
		return Exception{mach.ExcBreakpoint, i386Bpt, 0}, true
	case trapBound:
		return Exception{mach.ExcSoftware, i386Bound, 0}, true
	case trapOpcode:
		return Exception{mach.ExcBadInstruction, i386Invop, 0}, true
	case trapTSS, trapSegment, trapStack:
		return Exception{mach.ExcBadInstruction, int64(r.Trap), err}, true
	case trapGP:
		return Exception{mach.ExcBadAccess, i386GPFlt, err}, true
	case trapAlignment:
		return Exception{mach.ExcBadAccess, i386AlignFlt, 0}, true
	case trapPage:
		return Exception{mach.ExcBadAccess, i.accessCode(), int64(i.Address)},
			i.Signal == linuxSEGV || i.Signal == linuxBUS
	}
	return x, false
}

// Codes of arm64 (EXC_ARM_*).
//
// Source: XNU osfmk/mach/arm/exception.h.
const (
	armUndefined  = 1 // EXC_BAD_INSTRUCTION
	armBreakpoint = 1 // EXC_BREAKPOINT
	armDebug      = 0x102
	armAlign      = 0x101 // EXC_BAD_ACCESS
	armSPAlign    = 0x103
	armPAC        = 0x105
)

// Classes of syndromes (ESR_EL1.EC).
const (
	ecPAC        = 0x1c
	ecPCAlign    = 0x22
	ecSPAlign    = 0x26
	ecWatchpoint = 0x34
)

// OfARM64 returns the exception that a fault on arm64 is; instruction is the word at its program counter, 0 if that
// cannot be read. ok is false if it is none, but a signal that somebody sent.
//
// Source: XNU osfmk/arm64/sleh.c.
func OfARM64(i Info, r *state.ARM64, instruction uint32) (x Exception, ok bool) {
	if i.Code <= 0 {
		return x, false
	}
	class := r.Syndrome >> 26 & 0x3f
	if class == ecPAC {
		return Exception{mach.ExcBadAccess, armPAC, int64(instruction)}, true
	}
	switch i.Signal {
	case linuxSEGV, linuxBUS:
		switch {
		case class == ecPCAlign:
			return Exception{mach.ExcBadAccess, armAlign, int64(r.PC)}, true
		case class == ecSPAlign:
			return Exception{mach.ExcBadAccess, armSPAlign, int64(r.SP)}, true
		case i.Signal == linuxBUS && i.Code == busAlign:
			return Exception{mach.ExcBadAccess, armAlign, int64(i.Address)}, true
		}
		return Exception{mach.ExcBadAccess, i.accessCode(), int64(i.Address)}, true
	case linuxILL:
		return Exception{mach.ExcBadInstruction, armUndefined, int64(instruction)}, true
	case linuxFPE:
		return Exception{mach.ExcArithmetic, armFloat(i.Code), int64(instruction)}, true
	case linuxTRAP:
		switch {
		case i.Code == trapTrace:
			return Exception{mach.ExcBreakpoint, armBreakpoint, 0}, true
		case i.Code == trapHWBreak && class == ecWatchpoint:
			return Exception{mach.ExcBreakpoint, armDebug, int64(i.Address)}, true
		}
		return Exception{mach.ExcBreakpoint, armBreakpoint, int64(r.PC)}, true
	}
	return x, false
}

// armFloat returns the code of a floating-point exception (EXC_ARM_FP_*).
func armFloat(code int32) int64 {
	switch code {
	case fpeFltInv:
		return 1
	case fpeFltDiv:
		return 2
	case fpeFltOvf:
		return 3
	case fpeFltUnd:
		return 4
	case fpeFltRes:
		return 5
	}
	return 0
}
