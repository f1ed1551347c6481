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

// Sizes of what Linux gives.
const (
	ARM64Words   = 31 + 3   // x0 ... x30, sp, pc, pstate, as in struct sigcontext
	FloatingSize = 16 + 512 // fpsr, fpcr, 8 bytes of nothing, v0 ... v31
	floatingV    = 16
)

func (r *ARM64) general() []*uint64 {
	all := make([]*uint64, 0, ARM64Words)
	for i := range r.X {
		all = append(all, &r.X[i])
	}
	return append(all, &r.SP, &r.PC, &r.State)
}

// Load reads Linux's registers: the general ones and, unless it is empty, those of struct fpsimd_context, with v0 moved
// to where it is aligned. What is known of the fault is set beside. It returns false, having done nothing, if either is
// short.
func (r *ARM64) Load(general []uint64, floating []byte) bool {
	if len(general) < ARM64Words || len(floating) != 0 && len(floating) < FloatingSize {
		return false
	}
	for i, p := range r.general() {
		*p = general[i]
	}
	if len(floating) > 0 {
		r.FPSR, r.FPCR = le.Uint32(floating), le.Uint32(floating[4:])
		for i := range r.V {
			copy(r.V[i][:], floating[floatingV+16*i:])
		}
	}
	return true
}

// Store writes the registers that sigreturn takes back, in the form of [ARM64.Load].
func (r *ARM64) Store(general []uint64, floating []byte) bool {
	if len(general) < ARM64Words || len(floating) != 0 && len(floating) < FloatingSize {
		return false
	}
	for i, p := range r.general() {
		general[i] = *p
	}
	if len(floating) > 0 {
		le.PutUint32(floating, r.FPSR)
		le.PutUint32(floating[4:], r.FPCR)
		for i := range r.V {
			copy(floating[floatingV+16*i:], r.V[i][:])
		}
	}
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
