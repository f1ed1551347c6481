package mach

// Thread-state flavors that the restrictions know by number.
const (
	ARMThreadState    = 1
	ARMThreadState64  = 6
	ARMThreadState32  = 9
	armCounters       = 18 // ARM_CPMU_STATE64
	armSME            = 28 // ARM_SME_STATE: the first of SVE's and SME's
	X86ThreadState32  = 1
	X86ThreadState64  = 4
	X86ThreadState    = 7
	X86FullThreadSt64 = 23
)

type threadFlavor struct {
	name             string
	registers, debug bool
}

// Source: XNU osfmk/mach/arm/thread_status.h and osfmk/mach/i386/thread_status.h.
var armFlavors = map[uint32]threadFlavor{
	1: {"ARM_THREAD_STATE", true, false}, 2: {"ARM_VFP_STATE", false, false},
	3: {"ARM_EXCEPTION_STATE", false, false}, 4: {"ARM_DEBUG_STATE", false, true},
	5: {"THREAD_STATE_NONE", false, false}, 6: {"ARM_THREAD_STATE64", true, false},
	7: {"ARM_EXCEPTION_STATE64", false, false}, 9: {"ARM_THREAD_STATE32", true, false},
	10: {"ARM_EXCEPTION_STATE64_V2", false, false}, 14: {"ARM_DEBUG_STATE32", false, true},
	15: {"ARM_DEBUG_STATE64", false, true}, 16: {"ARM_NEON_STATE", false, false},
	17: {"ARM_NEON_STATE64", false, false}, 18: {"ARM_CPMU_STATE64", false, false},
	27: {"ARM_PAGEIN_STATE", false, false}, 28: {"ARM_SME_STATE", false, false},
	29: {"ARM_SVE_Z_STATE1", false, false}, 30: {"ARM_SVE_Z_STATE2", false, false},
	31: {"ARM_SVE_P_STATE", false, false}, 32: {"ARM_SME_ZA_STATE1", false, false},
	33: {"ARM_SME_ZA_STATE2", false, false}, 34: {"ARM_SME_ZA_STATE3", false, false},
	35: {"ARM_SME_ZA_STATE4", false, false}, 36: {"ARM_SME_ZA_STATE5", false, false},
	37: {"ARM_SME_ZA_STATE6", false, false}, 38: {"ARM_SME_ZA_STATE7", false, false},
	39: {"ARM_SME_ZA_STATE8", false, false}, 40: {"ARM_SME_ZA_STATE9", false, false},
	41: {"ARM_SME_ZA_STATE10", false, false}, 42: {"ARM_SME_ZA_STATE11", false, false},
	44: {"ARM_SME_ZA_STATE13", false, false}, 45: {"ARM_SME_ZA_STATE14", false, false},
	46: {"ARM_SME_ZA_STATE15", false, false}, 47: {"ARM_SME_ZA_STATE16", false, false},
	48: {"ARM_SME2_STATE", false, false},
}

var x86Flavors = map[uint32]threadFlavor{
	1: {"x86_THREAD_STATE32", true, false}, 2: {"x86_FLOAT_STATE32", false, false},
	3: {"x86_EXCEPTION_STATE32", false, false}, 4: {"x86_THREAD_STATE64", true, false},
	5: {"x86_FLOAT_STATE64", false, false}, 6: {"x86_EXCEPTION_STATE64", false, false},
	7: {"x86_THREAD_STATE", true, false}, 8: {"x86_FLOAT_STATE", false, false},
	9: {"x86_EXCEPTION_STATE", false, false}, 10: {"x86_DEBUG_STATE32", false, true},
	11: {"x86_DEBUG_STATE64", false, true}, 12: {"x86_DEBUG_STATE", false, true},
	13: {"THREAD_STATE_NONE", false, false}, 16: {"x86_AVX_STATE32", false, false},
	17: {"x86_AVX_STATE64", false, false}, 18: {"x86_AVX_STATE", false, false},
	19: {"x86_AVX512_STATE32", false, false}, 20: {"x86_AVX512_STATE64", false, false},
	21: {"x86_AVX512_STATE", false, false}, 22: {"x86_PAGEIN_STATE", false, false},
	23: {"x86_THREAD_FULL_STATE64", true, false}, 24: {"x86_INSTRUCTION_STATE", false, false},
	25: {"x86_LAST_BRANCH_STATE", false, false},
}

func threadFlavors(cpu string) map[uint32]threadFlavor {
	switch cpu {
	case "arm64", "arm64e":
		return armFlavors
	case "x86_64":
		return x86Flavors
	}
	return nil
}

// ThreadFlavorName returns the name of a thread-state flavor on a CPU, "arm64" (or "arm64e") or "x86_64".
func ThreadFlavorName(cpu string, flavor uint32) (name string, ok bool) {
	f, ok := threadFlavors(cpu)[flavor]
	return f.name, ok
}

// ParseThreadFlavor returns the number of a flavor's name on a CPU.
func ParseThreadFlavor(cpu, name string) (flavor uint32, ok bool) {
	for n, f := range threadFlavors(cpu) {
		if f.name == name {
			return n, true
		}
	}
	return 0, false
}

// ThreadFlavorOfExceptions says that exception ports can be registered for the flavor: of ARM's, not for counters, SVE and
// SME.
//
// Source: XNU osfmk/mach/arm/thread_status.h and osfmk/mach/i386/thread_status.h, VALID_THREAD_STATE_FLAVOR.
func ThreadFlavorOfExceptions(cpu string, flavor uint32) bool {
	_, known := threadFlavors(cpu)[flavor]
	return known && (cpu == "x86_64" || flavor != armCounters && flavor < armSME)
}

// ThreadFlavorSetsRegisters says that setting the flavor writes core CPU registers, the program counter among them:
// the flavors that thread_set_state refuses from level 1 on.
//
// Source: XNU osfmk/kern/thread_act.c, thread_set_state_allowed, and the per-CPU list behind it.
func ThreadFlavorSetsRegisters(cpu string, flavor uint32) bool {
	return threadFlavors(cpu)[flavor].registers
}

// ThreadFlavorIsDebug says that the flavor holds hardware break and watch points.
func ThreadFlavorIsDebug(cpu string, flavor uint32) bool { return threadFlavors(cpu)[flavor].debug }
