package unwind

import "fmt"

// Arch is a processor architecture.
type Arch uint8

const (
	AMD64 Arch = iota + 1
	ARM64
)

// String returns the name as crash reports of Apple print it.
func (a Arch) String() string {
	switch a {
	case AMD64:
		return "x86_64"
	case ARM64:
		return "arm64"
	}
	return fmt.Sprintf("architecture %d", uint8(a))
}

// Numbers of registers, as DWARF counts them (System V ABI AMD64 supplement, figure 3.36; DWARF for the Arm 64-bit
// architecture, section 4.1). On x86-64 the column of the return address holds the program counter.
const (
	RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP = 0, 1, 2, 3, 4, 5, 6, 7
	R8, RIP                                = 8, 16

	X0, X29, X30, SP, PC = 0, 29, 30, 31, 32

	registers = 33
)

// Registers holds the general registers of a thread. A register that nobody has set is not known.
type Registers struct {
	Arch  Arch
	Flags uint64 // rflags, or cpsr

	value [registers]uint64
	known uint64
}

// Get returns the register with a DWARF number.
func (r *Registers) Get(n int) (uint64, bool) {
	if n < 0 || n >= registers {
		return 0, false
	}
	return r.value[n], r.known>>n&1 != 0
}

// Set changes the register with a DWARF number; numbers of other registers are ignored.
func (r *Registers) Set(n int, v uint64) {
	if n >= 0 && n < registers {
		r.value[n] = v
		r.known |= 1 << n
	}
}

func (r *Registers) forget(n int) { r.known &^= 1 << n }

// layout is what differs between architectures.
type layout struct{ pc, sp, fp, ra int }

func (a Arch) layout() layout {
	if a == ARM64 {
		return layout{pc: PC, sp: SP, fp: X29, ra: X30}
	}
	return layout{pc: RIP, sp: RSP, fp: RBP, ra: RIP}
}

// PC returns the program counter, 0 where it is not known.
func (r *Registers) PC() uint64 { return r.value[r.Arch.layout().pc] }

// StackPointer returns the stack pointer, 0 where it is not known.
func (r *Registers) StackPointer() uint64 { return r.value[r.Arch.layout().sp] }

// names of the registers in crash reports and debuggers, by DWARF number.
var (
	amd64Names = []string{"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
		"r14", "r15", "rip"}
	arm64Names = func() []string {
		var names []string
		for i := range 29 {
			names = append(names, fmt.Sprintf("x%d", i))
		}
		return append(names, "fp", "lr", "sp", "pc")
	}()
)

// Names returns the names of an architecture's registers, by DWARF number.
func (a Arch) Names() []string {
	if a == ARM64 {
		return arm64Names
	}
	return amd64Names
}
