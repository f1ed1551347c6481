// Package flow recovers which values the arguments of calls can have, from machine code.
//
// It takes one function, builds its control-flow graph, and runs a forward data-flow analysis to a fixed point: at
// every point each register and stack slot holds a [Value], a small set of members (constants, addresses, or things
// that are known by where they come from: a parameter, the result of a call, a field of an object) and, where not
// every path is understood, an unknown rest with its reason. The engine is sound: where it says that a set is
// complete, no run of the function can bring another value to the call. What it relies on is the platform's calling
// convention, and that a program does not reach its own stack frame through a pointer it never made.
//
// The engine knows no instruction set; package op is its machine language, packages arm64 and amd64 translate.
package flow

import "portcullis.dev/check/flow/op"

// Image is what the engine asks about the file that holds the function. Addresses are those of the file, unslid.
// Implementations must be safe for concurrent use if functions are analysed concurrently.
type Image interface {
	// Bytes returns n bytes mapped from the file at addr, or nil where fewer are mapped.
	Bytes(addr uint64, n int) []byte
	// ReadOnly tells whether what lies at addr is constant at run time (but for the fixups Pointer knows).
	ReadOnly(addr uint64) bool
	// Pointer tells what the 8-byte slot holds once fixups are applied: the address of an imported symbol, or an
	// address in the image. Ok is false where the slot has no fixup.
	Pointer(slot uint64) (target uint64, symbol string, ok bool)
	// Callee names the import that a branch at site to target reaches through a stub, or, in object files, the symbol
	// of the relocation at site. A direct branch to a named function of the image may be named as well.
	Callee(site, target uint64) (symbol string, ok bool)
	// Function returns the bounds of the function at addr; ok is false outside of code.
	Function(addr uint64) (start, end uint64, ok bool)
	// Reloc returns the relocation of an object file at an address: that of the instruction on arm64, that of the
	// 4-byte field inside the instruction on x86_64. Linked images have none.
	Reloc(site uint64) (Reloc, bool)
}

// Reloc is a symbolic operand of an instruction in an object file.
type Reloc struct {
	Symbol string
	// Addend is added to the symbol's address to give the address the instruction means (for SIGNED_1 and the like
	// the length of what follows the field is already taken out).
	Addend int64
	// Addr is the symbol's own address where Defined: the symbol is defined in this object, not to be replaced.
	Addr    uint64
	Defined bool
	Kind    RelocKind
}

// RelocKind says how an instruction uses the symbol.
type RelocKind uint8

const (
	RelocNone    RelocKind = iota
	RelocBranch            // call or jump to it (ARM64_RELOC_BRANCH26, X86_64_RELOC_BRANCH)
	RelocPage              // adrp of its page (ARM64_RELOC_PAGE21)
	RelocPageOff           // its offset in the page (ARM64_RELOC_PAGEOFF12)
	RelocGOTPage           // adrp of the page of its GOT slot (ARM64_RELOC_GOT_LOAD_PAGE21)
	RelocGOTOff            // load from its GOT slot (ARM64_RELOC_GOT_LOAD_PAGEOFF12)
	RelocAddr              // pc-relative reference to it (X86_64_RELOC_SIGNED*)
	RelocGOT               // pc-relative reference to its GOT slot (X86_64_RELOC_GOT_LOAD, X86_64_RELOC_GOT)
	RelocOther             // anything else (thread-local variables, subtractors): the operand is unknown
)

// Function is the code to analyse.
type Function struct {
	Name       string // for evidence only; may be empty
	Start, End uint64
	ISA        *op.ISA // arm64.ISA or amd64.ISA
	// Sites are addresses of call or load instructions inside the function that a scan found to reach a wanted
	// import. Each comes back in Result.Calls or Result.Taken even where the analysis could not reach it. May be nil.
	Sites []uint64
	// Entry is the state of a caller at its call of the function, as [Reach] gives it. The function is followed for
	// that call alone: its parameters are what the caller passes, and what is still a parameter is one of the function
	// in which the callers begin. Nil: whatever the caller.
	Entry *Entry
}

// Model says what is asked and what is known of the world outside the function.
type Model struct {
	// Want tells whether calls of symbol (as it stands in the file, with its underscore) are asked for, and how many
	// arguments.
	Want func(symbol string) (args int, ok bool)
	// Into tells whether it is asked which calls reach a function of the image, by its address; nil: of none.
	Into func(addr uint64) bool
	// Stores tells whether it is asked what is stored at an address of the image; nil: of none.
	Stores func(addr uint64) bool
	// Known tells what a variable of the image can hold, where that is known; nil: of none.
	Known func(addr uint64, size int) (Value, bool)
	// Implements lists the functions of the image that a symbol of another may come to, where [Into] is asked of them: a
	// message's implementations, for "_objc_msgSend$" with the selector behind it; nil: none.
	Implements func(symbol string) []uint64
	// Objects asks for what is stored in fields of the object that the function, a method, is called on.
	Objects bool
	// Field tells what such a field can hold, where that is known; nil: of none.
	Field func(off int64, size int) (Value, bool)
	// Traps is the number of arguments to recover at system-call instructions; 0 leaves them out.
	Traps int
	// Effect tells what is known of a callee; nil is [LibSystem].
	Effect func(symbol string) (Effect, bool)
	// Limits bound the work; zero fields are the defaults.
	Limits Limits
}

// Limits bound the work of one [Analyze].
type Limits struct {
	Code   int // bytes of code of a function; default 1 MiB
	Ops    int // operations executed, and half as many as there are instructions to decode; default 4 million
	Blocks int // basic blocks; default 65536
	// Callees bounds the operations spent on following calls into other functions of the image; beyond it they are
	// taken for unknown. At 0 all are.
	Callees int
}

// Result is what Analyze found, in order of address.
type Result struct {
	Calls []Call
	// Taken lists where the address of a wanted symbol is made but not called inside the function.
	Taken []Taken
	// Reached lists the calls that reach a function asked for; Stores what is stored where that was asked for, and where
	// the address of a wanted symbol is stored.
	Reached []Reach
	Stores  []Store
	// Loads lists variables of the image that the function reads, of which nothing is known; not all where it reads many.
	Loads []uint64
	// Puts is what is stored in fields of the method's object; Fields lists those that are read. Not all where there are
	// many.
	Puts   []Put
	Fields []int64
	// Problem says why the function could not be followed completely; empty where it was. Values are unknown then
	// (with this reason) wherever that makes a difference.
	Problem string
	Insts   int // machine instructions decoded
	Ops     int // work done, as in [Limits]
}

// Call is one call of a wanted symbol, or one system call.
type Call struct {
	Site   uint64 // address of the call, jump or trap instruction
	Symbol string // as it stands in the file; empty for a system call
	// Tail: the call is a jump that does not come back.
	Tail bool
	// Indirect: through a register or memory.
	Indirect bool
	// Only is false where an indirect call may go elsewhere as well.
	Only bool
	// Chain lists the calls that lead from the function to the one that holds Site, where that is another: one that
	// calls through a pointer which it was handed.
	Chain []uint64
	// Trap: a system-call instruction; Number is its number (x16, rax).
	Trap   bool
	Number Value
	// Reached is false where no path from the entry (or a landing pad) leads here, as far as the analysis can see;
	// arguments are unknown then.
	Reached bool
	Args    []Value // as many as Want asked for
}

// Taken is a place that makes the address of a wanted symbol.
type Taken struct {
	Site   uint64
	Symbol string
}
