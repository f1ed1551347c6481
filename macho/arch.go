package macho

import "fmt"

// CPU is a cputype of a Mach-O or universal header.
type CPU uint32

// The processors Mach-O files are found for.
const (
	cpuABI64    = 0x01000000
	cpuABI64_32 = 0x02000000

	CPU386      CPU = 7
	CPUARM      CPU = 12
	CPUPowerPC  CPU = 18
	CPUAMD64    CPU = CPU386 | cpuABI64
	CPUARM64    CPU = CPUARM | cpuABI64
	CPUARM64_32 CPU = CPUARM | cpuABI64_32
	CPUPPC64    CPU = CPUPowerPC | cpuABI64
)

// subtypeMask takes the capability bits (CPU_SUBTYPE_LIB64, the arm64e ABI version) off a cpusubtype.
const subtypeMask = 0x00ffffff

const (
	subARM64E  = 2
	subX86_64H = 8
)

// archName returns the name lipo has for a processor, or its numbers.
func archName(cpu CPU, subtype uint32) string {
	sub := subtype & subtypeMask
	switch cpu {
	case CPUARM64:
		switch sub {
		case subARM64E:
			return "arm64e"
		case 1:
			return "arm64v8"
		}
		return "arm64"
	case CPUAMD64:
		if sub == subX86_64H {
			return "x86_64h"
		}
		return "x86_64"
	case CPU386:
		return "i386"
	case CPUARM:
		switch sub {
		case 5:
			return "armv4t"
		case 6:
			return "armv6"
		case 7:
			return "armv5"
		case 9:
			return "armv7"
		case 10:
			return "armv7f"
		case 11:
			return "armv7s"
		case 12:
			return "armv7k"
		case 14:
			return "armv6m"
		case 15:
			return "armv7m"
		case 16:
			return "armv7em"
		}
		return "arm"
	case CPUARM64_32:
		return "arm64_32"
	case CPUPowerPC:
		return "ppc"
	case CPUPPC64:
		return "ppc64"
	}
	return fmt.Sprintf("cpu %d subtype %d", cpu, sub)
}

// inScope says whether the restrictions can concern code for the processor: a system that has them runs on it.
func inScope(cpu CPU) bool { return cpu == CPUARM64 || cpu == CPUAMD64 }

// Type is the filetype of a Mach-O header.
type Type uint32

// File types of mach-o/loader.h.
const (
	Object      Type = 1  // relocatable object file
	Execute     Type = 2  // program
	FVMLib      Type = 3  // fixed VM library, long gone
	Core        Type = 4  // core dump
	Preload     Type = 5  // program for firmware
	Dylib       Type = 6  // dynamic library
	Dylinker    Type = 7  // dynamic linker
	Bundle      Type = 8  // plug-in
	DylibStub   Type = 9  // library without code, to link against
	DSYM        Type = 10 // debug information beside an image
	Kext        Type = 11 // kernel extension
	FileSet     Type = 12 // several images in one, such as a kernel collection
	GPUExecute  Type = 13 // program for a GPU
	GPUDylib    Type = 14 // library for a GPU
	lastType         = GPUDylib
	fileTypeCnt      = int(lastType) + 1
)

var typeNames = [fileTypeCnt]string{
	Object: "object", Execute: "execute", FVMLib: "fvmlib", Core: "core", Preload: "preload", Dylib: "dylib",
	Dylinker: "dylinker", Bundle: "bundle", DylibStub: "dylib stub", DSYM: "dSYM", Kext: "kext",
	FileSet: "fileset", GPUExecute: "gpu execute", GPUDylib: "gpu dylib",
}

// String returns a short lower-case name.
func (t Type) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Flags are the flags of a Mach-O header.
type Flags uint32

// Flags of mach-o/loader.h that matter to readers of code.
const (
	FlagNoUndefs            Flags = 0x1
	FlagDyldLink            Flags = 0x4
	FlagTwoLevel            Flags = 0x80
	FlagSubsectionsViaSyms  Flags = 0x2000
	FlagPIE                 Flags = 0x200000
	FlagAppExtensionSafe    Flags = 0x02000000
	FlagSimulatorSupport    Flags = 0x08000000
	FlagDylibInCache        Flags = 0x80000000
	FlagHasTLVDescriptors   Flags = 0x800000
	FlagImplicitPageZero    Flags = 0x10000000
	FlagNListOutOfSyncDyldI Flags = 0x04000000
)
