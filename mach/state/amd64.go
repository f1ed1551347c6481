package state

import "portcullis.dev/mach"

// AMD64 is the registers of a thread on x86_64, as Linux gives them to a signal handler.
type AMD64 struct {
	R8, R9, R10, R11, R12, R13, R14, R15   uint64
	RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP uint64
	RIP, Flags                             uint64
	CS, GS, FS, SS                         uint16
	Err, Trap, Mask, CR2                   uint64    // error code and number of the trap; blocked signals; faulting address
	FX                                     [512]byte // as FXSAVE writes it; Linux has notes of its own in the last 48 bytes
}

// Sizes of Linux's structures.
const (
	AMD64Words = 23  // of gregset_t: r8 ... cr2
	FXSaveSize = 512 // of fpregset_t, without what follows it
)

func (r *AMD64) general() []*uint64 {
	return []*uint64{&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15, &r.RDI, &r.RSI, &r.RBP, &r.RBX,
		&r.RDX, &r.RAX, &r.RCX, &r.RSP, &r.RIP, &r.Flags}
}

// Load reads Linux's registers: uc_mcontext.gregs and, unless it is empty, what uc_mcontext.fpregs points to. It
// returns false, having done nothing, if either is short.
func (r *AMD64) Load(gregs []uint64, fx []byte) bool {
	if len(gregs) < AMD64Words || len(fx) != 0 && len(fx) < FXSaveSize {
		return false
	}
	for i, p := range r.general() {
		*p = gregs[i]
	}
	s := gregs[18]
	r.CS, r.GS, r.FS, r.SS = uint16(s), uint16(s>>16), uint16(s>>32), uint16(s>>48)
	r.Err, r.Trap, r.Mask, r.CR2 = gregs[19], gregs[20], gregs[21], gregs[22]
	copy(r.FX[:], fx)
	return true
}

// Store writes the registers that sigreturn takes back: general ones, and those of the floating-point unit unless fx is
// empty. Selectors, the trap and the signal mask stay as they are. It returns false, having done nothing, if either is
// short.
func (r *AMD64) Store(gregs []uint64, fx []byte) bool {
	if len(gregs) < AMD64Words || len(fx) != 0 && len(fx) < FXSaveSize {
		return false
	}
	for i, p := range r.general() {
		gregs[i] = *p
	}
	copy(fx, r.FX[:fxMach])
	return true
}

// Get returns a flavor's words.
func (r *AMD64) Get(f uint32) ([]uint32, mach.KernReturn) { return get("x86_64", r, f) }

// Set takes a flavor's words. Addresses that no program has and reserved bits of flags are refused or cleared, as in
// XNU; what is said of segments is ignored. KERN_NOT_SUPPORTED is returned for debug registers that are not all zero,
// which no thread can be given here.
//
// Source: XNU osfmk/i386/pcb.c, machine_thread_set_state and set_thread_state64; osfmk/i386/eflags.h.
func (r *AMD64) Set(f uint32, w []uint32) mach.KernReturn { return set("x86_64", r, f, w) }

// machOrder is x86_THREAD_STATE64 up to the flags.
func (r *AMD64) machOrder() []*uint64 {
	return []*uint64{&r.RAX, &r.RBX, &r.RCX, &r.RDX, &r.RDI, &r.RSI, &r.RBP, &r.RSP, &r.R8, &r.R9, &r.R10, &r.R11,
		&r.R12, &r.R13, &r.R14, &r.R15, &r.RIP, &r.Flags}
}

const (
	flagsSet   = 0x200                   // interrupts on
	flagsClear = 0x3000 | 0x4000 | 1<<16 // I/O privilege, nested task, resume

	// userEnd is the first address that no Linux program has. XNU's is 2 MiB less a page lower.
	userEnd = 0x7fffffff_f000

	fxOffset     = 8   // of the FXSAVE area in x86_FLOAT_STATE64, behind reserved words
	fxMach       = 416 // bytes of it that mean something in both: control words, st0-7, xmm0-15
	fxMXCSR      = 24
	fxMXCSRMask  = 28
	mxcsrDefault = 0xffbf // bits that may be set where the processor does not say
)

func (r *AMD64) get(f uint32, b []byte) {
	switch f {
	case X86ThreadState64:
		for i, p := range r.machOrder() {
			le.PutUint64(b[8*i:], *p)
		}
		le.PutUint64(b[144:], uint64(r.CS))
		le.PutUint64(b[152:], uint64(r.FS))
		le.PutUint64(b[160:], uint64(r.GS))
	case X86FloatState64:
		copy(b[fxOffset:], r.FX[:fxMach])
	case X86ExceptionState64: // the processor's number, which Linux does not tell, is 0 in XNU too
		le.PutUint16(b, uint16(r.Trap))
		le.PutUint32(b[4:], uint32(r.Err))
		le.PutUint64(b[8:], r.CR2)
	}
}

func (r *AMD64) set(f uint32, b []byte) mach.KernReturn {
	switch f {
	case X86ThreadState64:
		n := *r
		for i, p := range n.machOrder() {
			*p = le.Uint64(b[8*i:])
		}
		if n.RSP >= userEnd || n.RIP >= userEnd {
			return mach.KernInvalidArgument
		}
		n.Flags = n.Flags&^flagsClear | flagsSet
		*r = n
	case X86FloatState64:
		fx := b[fxOffset : fxOffset+fxMach]
		mask := le.Uint32(r.FX[fxMXCSRMask:])
		if mask == 0 {
			mask = mxcsrDefault
		}
		le.PutUint32(fx[fxMXCSR:], le.Uint32(fx[fxMXCSR:])&mask)
		copy(fx[fxMXCSRMask:fxMXCSRMask+4], r.FX[fxMXCSRMask:])
		copy(r.FX[:], fx)
	case X86DebugState64:
		for _, v := range b {
			if v != 0 {
				return mach.KernNotSupported
			}
		}
	default:
		return mach.KernInvalidArgument
	}
	return 0
}
