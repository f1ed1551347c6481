package server

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// TaskFacts is what an operating system knows of a task. It is fulfilled by what the task was made with
// ([object.TaskConfig.Process]), and its methods may be called by several threads at once, with nothing locked.
type TaskFacts interface {
	// Usage returns what the task has used so far.
	Usage() TaskUsage
	// Executable returns the UUID of the program's image; zeros if it has none.
	Executable() [16]byte
}

// TaskUsage is what a task has used. Sizes are in bytes, times in nanoseconds.
type TaskUsage struct {
	Virtual, Resident, ResidentMax uint64
	Regions                        uint32
	Internal, External             uint64 // of the resident memory: anonymous, and of files
	User, System                   uint64 // all threads, also those that ended
	EndedUser, EndedSystem         uint64 // threads that ended
	Faults, Pageins, CopyOnWrites  uint32
	Switches                       uint32 // of context
}

// ThreadFacts is what an operating system knows of a thread. It is fulfilled by the thread's registers
// ([object.State]), if they can.
type ThreadFacts interface {
	// Usage returns what the thread has used and what it is doing.
	Usage() ThreadUsage
}

// ThreadUsage is what a thread has used. Times are in nanoseconds.
type ThreadUsage struct {
	User, System uint64
	State        RunState
	Sleep        uint32 // seconds that it has been asleep
	Handle       uint64 // address of the thread library's own data
	Queue        uint64 // address of what says which dispatch queue it works for
	Name         string // at most 63 bytes are given out
}

// RunState says what a thread is doing (TH_STATE_*).
type RunState uint32

const (
	Running         RunState = 1
	Stopped         RunState = 2
	Waiting         RunState = 3
	Uninterruptible RunState = 4
	Halted          RunState = 5
)

// HostFacts is what is known of the computer.
type HostFacts interface {
	// Computer returns what does not change.
	Computer() Computer
	// Load returns how busy the computer is.
	Load() Load
}

// Computer describes the hardware and the kernel.
type Computer struct {
	Processors, PhysicalProcessors uint32
	Memory                         uint64 // bytes
	PageSize                       uint32
	CPUType, CPUSubtype            uint32 // CPU_TYPE_*, CPU_SUBTYPE_*
	Version                        string // host_kernel_version
}

// Load is how busy the computer is.
type Load struct {
	Average [3]float64  // threads that can run, over 5, 30 and 60 seconds
	Ticks   [][4]uint32 // of every processor, in hundredths of seconds: user, system, idle, nice
	Pages   Pages
}

// Pages counts pages of memory; the counts after Purgeable are of what has happened since the start.
type Pages struct {
	Free, Active, Inactive, Wired, Speculative, Purgeable                     uint64
	ZeroFilled, Reactivated, PagedIn, PagedOut, Faults, CopyOnWrites, Lookups uint64
}

// AddressSpace is a task's memory. It is fulfilled by what the task was made with ([object.TaskConfig.Process]). Methods
// are called by threads of any task, with nothing locked, and may block. Addresses need not be multiples of pages. A
// KernReturn other than success means that nothing was changed, or that some was and the task has no use for the rest.
type AddressSpace interface {
	// Allocate makes zero-filled memory: at addr, or anywhere with [VMAnywhere]. What is there is replaced with
	// [VMOverwrite] and KERN_NO_SPACE without. mask has the bits that the address must not have.
	Allocate(by *ipc.Thread, addr, size, mask uint64, flags VMFlags) (uint64, mach.KernReturn)
	// Deallocate gives memory up. Holes are no errors.
	Deallocate(by *ipc.Thread, addr, size uint64) mach.KernReturn
	// Protect sets what may be done with memory, or what may be allowed at most.
	Protect(by *ipc.Thread, addr, size uint64, p Protection, what ProtectWhat) mach.KernReturn
	// Inherit says what children get of memory: 0 shared, 1 a copy, 2 nothing.
	Inherit(by *ipc.Thread, addr, size uint64, how uint32) mach.KernReturn
	// Read returns a copy of memory.
	Read(by *ipc.Thread, addr, size uint64) ([]byte, mach.KernReturn)
	// Write replaces memory.
	Write(by *ipc.Thread, addr uint64, b []byte) mach.KernReturn
	// Remap maps memory of another address space here, or of this one, shared or copied. It returns where, and what
	// may be done with it and what may be allowed at most.
	Remap(by *ipc.Thread, addr, size, mask uint64, flags VMFlags, from AddressSpace, source uint64, how RemapHow) (uint64,
		Protection, Protection, mach.KernReturn)
	// Region returns the first region that ends after addr; KERN_INVALID_ADDRESS if there is none.
	Region(by *ipc.Thread, addr uint64) (Region, mach.KernReturn)
	// Sync writes memory of files back (vm_msync).
	Sync(by *ipc.Thread, addr, size uint64, flags uint32) mach.KernReturn
}

// VMFlags are flags of calls that make memory (VM_FLAGS_*).
type VMFlags uint32

const (
	VMAnywhere  VMFlags = 0x1
	VMPurgable  VMFlags = 0x2
	VM4GB       VMFlags = 0x4
	VMRandom    VMFlags = 0x8
	VMNoCache   VMFlags = 0x10
	VMOverwrite VMFlags = 0x4000
	VMTagMask   VMFlags = 0xff000000
)

// Protection is what may be done with memory (VM_PROT_*).
type Protection uint32

const (
	ProtRead    Protection = 1
	ProtWrite   Protection = 2
	ProtExecute Protection = 4
	ProtAll                = ProtRead | ProtWrite | ProtExecute
	protCopy    Protection = 0x10
)

// ProtectWhat says which protection is set.
type ProtectWhat uint8

const (
	ProtectCurrent ProtectWhat = iota
	ProtectMaximum
)

// RemapHow says how memory is mapped again.
type RemapHow uint8

const (
	RemapShared RemapHow = iota
	RemapCopied
)

// Region is a stretch of memory that is alike.
type Region struct {
	Address, Size uint64
	Current, Max  Protection
	Inheritance   uint32
	Shared        bool   // with other tasks
	Reserved      bool   // not to be given out
	Offset        uint64 // in what is mapped
	Resident      uint32 // pages
	File          bool   // what is mapped is a file
	Tag           uint32 // VM_MEMORY_*
}
