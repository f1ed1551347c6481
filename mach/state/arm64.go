package state

import "portcullis.dev/mach"

// ARM64 is the registers of a thread on arm64, as Linux gives them to a signal handler.
type ARM64 struct {
	Fault      uint64 // faulting address
	X          [31]uint64
	SP, PC     uint64
	State      uint64 // PSTATE
	Syndrome   uint64 // ESR_EL1 of the fault; 0 if Linux does not tell
	FPSR, FPCR uint32
	V          [32][16]byte
}

// Sizes and magic numbers of Linux's structures.
const (
	SigcontextSize = 8 + 31*8 + 3*8 // struct sigcontext up to its records

	fpsimdMagic = 0x46508001
	fpsimdSize  = 8 + 8 + 512
	esrMagic    = 0x45535201
	esrSize     = 8 + 8
)

// records calls f with the body of every record of struct sigcontext's reserved space.
func records(b []byte, f func(magic uint32, body []byte)) {
	for len(b) >= 8 {
		magic, size := le.Uint32(b), le.Uint32(b[4:])
		if magic == 0 || size < 8 || uint64(size) > uint64(len(b)) {
			return
		}
		f(magic, b[8:size])
		b = b[size:]
	}
}

// Load reads Linux's registers: struct sigcontext up to pstate, and the records that follow, which may be empty. It
// returns false, having done nothing, if context is short.
func (r *ARM64) Load(context, reserved []byte) bool {
	if len(context) < SigcontextSize {
		return false
	}
	r.Fault = le.Uint64(context)
	for i := range r.X {
		r.X[i] = le.Uint64(context[8+8*i:])
	}
	r.SP, r.PC, r.State = le.Uint64(context[256:]), le.Uint64(context[264:]), le.Uint64(context[272:])
	records(reserved, func(magic uint32, b []byte) {
		switch {
		case magic == fpsimdMagic && len(b) >= fpsimdSize-8:
			r.FPSR, r.FPCR = le.Uint32(b), le.Uint32(b[4:])
			for i := range r.V {
				copy(r.V[i][:], b[8+16*i:])
			}
		case magic == esrMagic && len(b) >= esrSize-8:
			r.Syndrome = le.Uint64(b)
		}
	})
	return true
}

// Store writes the registers that sigreturn takes back. It returns false, having done nothing, if context is short.
func (r *ARM64) Store(context, reserved []byte) bool {
	if len(context) < SigcontextSize {
		return false
	}
	for i := range r.X {
		le.PutUint64(context[8+8*i:], r.X[i])
	}
	le.PutUint64(context[256:], r.SP)
	le.PutUint64(context[264:], r.PC)
	le.PutUint64(context[272:], r.State)
	records(reserved, func(magic uint32, b []byte) {
		if magic == fpsimdMagic && len(b) >= fpsimdSize-8 {
			le.PutUint32(b, r.FPSR)
			le.PutUint32(b[4:], r.FPCR)
			for i := range r.V {
				copy(b[8+16*i:], r.V[i][:])
			}
		}
	})
	return true
}

// Get returns a flavor's words.
func (r *ARM64) Get(f uint32) ([]uint32, mach.KernReturn) { return get("arm64", r, f) }

// Set takes a flavor's words. The mode bits of the processor state stay what they are. What is said of exceptions is
// accepted and ignored, as in XNU. KERN_NOT_SUPPORTED is returned for debug registers that are not all zero, which no
// thread can be given here.
//
// Source: XNU osfmk/arm64/status.c, machine_thread_set_state.
func (r *ARM64) Set(f uint32, w []uint32) mach.KernReturn { return set("arm64", r, f, w) }

const modeBits = 0x1f // of PSTATE: execution state and exception level

func (r *ARM64) get(f uint32, b []byte) {
	switch f {
	case ARMThreadState64:
		for i := range r.X {
			le.PutUint64(b[8*i:], r.X[i])
		}
		le.PutUint64(b[248:], r.SP)
		le.PutUint64(b[256:], r.PC)
		le.PutUint32(b[264:], uint32(r.State))
	case ARMExceptionState64:
		le.PutUint64(b, r.Fault)
		le.PutUint32(b[8:], uint32(r.Syndrome))
	case ARMExceptionState64b:
		le.PutUint64(b, r.Fault)
		le.PutUint64(b[8:], r.Syndrome)
	case ARMNeonState64:
		for i := range r.V {
			copy(b[16*i:], r.V[i][:])
		}
		le.PutUint32(b[512:], r.FPSR)
		le.PutUint32(b[516:], r.FPCR)
	}
}

func (r *ARM64) set(f uint32, b []byte) mach.KernReturn {
	switch f {
	case ARMThreadState64:
		for i := range r.X {
			r.X[i] = le.Uint64(b[8*i:])
		}
		r.SP, r.PC = le.Uint64(b[248:]), le.Uint64(b[256:])
		r.State = r.State&modeBits | uint64(le.Uint32(b[264:]))&^modeBits
	case ARMExceptionState64, ARMExceptionState64b:
	case ARMNeonState64:
		for i := range r.V {
			copy(r.V[i][:], b[16*i:])
		}
		r.FPSR, r.FPCR = le.Uint32(b[512:]), le.Uint32(b[516:])
	case ARMDebugState64:
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
