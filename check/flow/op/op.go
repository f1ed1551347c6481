// Package op is the small machine that every instruction set is translated to before its values are followed.
//
// A decoder turns one machine instruction into a few three-address operations on 64-bit registers ([Op]) and one way
// of going on ([Flow]). Whatever a decoder does not model it declares as clobbered; it never leaves out a register
// that the instruction may write. Only what decides arguments of calls is modelled exactly: moves, integer
// arithmetic, addresses, loads, stores, selections, comparisons.
package op

// Reg names a register of the small machine. Each instruction set numbers its own; [ISA] says which play a part in
// calls. Vector registers stand as two 64-bit lanes, low and high.
type Reg uint8

// None stands where an operation has no register: the operand is Imm, or the address is absolute.
const None Reg = 0xff

// MaxRegs bounds the numbers an instruction set may use.
const MaxRegs = 112

// Kind says what an [Op] does.
type Kind uint8

// Results are cut to Width bits and zero-extended to 64, as both instruction sets do for 32-bit operations.
const (
	Nop          Kind = iota
	Const             // Dst = Imm
	Addr              // Dst = the address Imm in the image (pc-relative formation)
	Move              // Dst = A
	Add               // Dst = A + B
	Sub               // Dst = A - B
	And               // Dst = A & B
	Or                // Dst = A | B
	Xor               // Dst = A ^ B
	Shl               // Dst = A << B
	Shr               // Dst = A >> B, unsigned
	Sar               // Dst = A >> B, signed
	Ror               // Dst = A rotated right by B
	Mul               // Dst = A * B, low half
	Extract           // Dst = the Size bits of A from bit Lsb, zero- or (Signed) sign-extended to Width
	Insert            // Dst = Dst with the Size bits from bit Lsb replaced by the low bits of A
	Select            // Dst = Cond holds of the flags ? A : B
	Load              // Dst = Size bytes at [A + Imm], zero- or (Signed) sign-extended to Width
	Store             // Size bytes at [A + Imm] = B
	StoreImm          // Size bytes at [A + Imm] = Val
	Havoc             // Size bytes at [A + Imm] (Size 0: anywhere from there on) = unknown
	Flags             // the flags compare A with B as Test says; B None: with Imm
	Clobber           // Dst = unknown
	ClobberFlags      // the flags = unknown
	ClobberAll        // every register but the stack pointer = unknown, memory may have been written through any
)

// Test says which comparison the flags hold.
type Test uint8

const (
	Unknown Test = iota // flags of an operation that is not modelled
	Cmp                 // flags of A - B
	Tst                 // flags of A & B
	Res                 // only zero and sign are known: of A
)

// Cond is a condition on the flags, in terms of the comparison that set them.
type Cond uint8

const (
	Maybe Cond = iota // nothing is known about when it holds
	Always
	Eq
	Ne
	Ult // unsigned A < B
	Ule
	Ugt
	Uge
	Slt // signed A < B
	Sle
	Sgt
	Sge
	Neg // sign of the result is set
	Pos
)

// Not returns the opposite condition. Maybe is its own opposite.
func (c Cond) Not() Cond {
	switch c {
	case Eq:
		return Ne
	case Ne:
		return Eq
	case Ult:
		return Uge
	case Uge:
		return Ult
	case Ule:
		return Ugt
	case Ugt:
		return Ule
	case Slt:
		return Sge
	case Sge:
		return Slt
	case Sle:
		return Sgt
	case Sgt:
		return Sle
	case Neg:
		return Pos
	case Pos:
		return Neg
	}
	return c
}

// Op is one operation. Fields that its Kind does not name are zero, registers None.
type Op struct {
	Kind   Kind
	Dst    Reg
	A, B   Reg    // B None: the second operand is Imm
	Width  uint8  // 8, 16, 32 or 64: bits of the operation
	Size   uint8  // bytes of a load or store; bits of Extract and Insert
	Lsb    uint8  // Extract, Insert
	Signed bool   // Extract, Load
	Cond   Cond   // Select
	Test   Test   // Flags
	Imm    int64  // immediate, displacement or image address
	Val    uint64 // StoreImm
}

// Flow says how an instruction goes on.
type Flow uint8

const (
	Next        Flow = iota // to the next instruction
	Jump                    // to Target
	Branch                  // to Target where the condition holds, else to the next
	JumpReg                 // to the address in Reg
	Call                    // to Target, and back
	CallReg                 // to the address in Reg, and back
	Return                  // to the caller
	Trap                    // to the kernel (svc, syscall), and back
	Stop                    // nowhere: a trap that ends the process, or an undefined instruction
	Undecodable             // bytes that are no instruction the decoder knows the length of
)

// Inst is one decoded machine instruction.
type Inst struct {
	Addr   uint64
	Len    uint8 // bytes; at least 1 unless Flow is Undecodable
	Flow   Flow
	Reg    Reg    // JumpReg, CallReg
	Target uint64 // Jump, Branch, Call
	// The condition of a Branch. With Test Unknown it is one on the flags; else the branch compares register A with
	// Imm by itself (cbz, tbz: Test Cmp or Tst, Width bits) and leaves the flags alone.
	Cond  Cond
	Test  Test
	A     Reg
	Width uint8
	Imm   int64
	// Field is where, inside the instruction, the 4 bytes lie that a relocation of an object file replaces (the
	// displacement or branch distance of an x86 instruction); 0 where the whole instruction is relocated (arm64) or nothing is.
	Field uint8
	Name  string // mnemonic, for evidence; empty for instructions that move no values
	Ops   []Op   // in order; valid until the next Decode with the same buffer
}

// ISA is what the engine must know of an instruction set.
type ISA struct {
	Name string // arm64, x86_64
	// Decode decodes the instruction at the start of code, which lies at addr, into inst; it appends to inst.Ops[:0].
	// Code may be short or hold any bytes.
	Decode func(code []byte, addr uint64, inst *Inst)
	Align  uint64 // of instructions
	MaxLen int    // longest instruction in bytes
	SP, FP Reg
	Args   []Reg // integer argument registers in order
	Extra  []Reg // other registers through which a callee may receive a pointer (indirect result, Swift's self)
	Result []Reg // integer result registers
	Saved  []Reg // registers a callee leaves as they were (beside SP)
	Number Reg   // holds the number of a system call
	// TrapArgs are the registers that hold the arguments of a system call; nil: Args.
	TrapArgs []Reg
	// StackArgs is the distance from the stack pointer at a call instruction to the first argument on the stack;
	// EntryArgs the same at the entry of a function.
	StackArgs, EntryArgs int64
	RegName              func(r Reg, width uint8) string
}
