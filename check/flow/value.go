package flow

import (
	"slices"

	"portcullis.dev/check/flow/op"
)

// Kind says what a [Source] is.
type Kind uint8

const (
	KindConst  Kind = iota // the number Const
	KindAddr               // the address Const in the image (unslid), or, with Symbol, that of a symbol plus Offset
	KindStack              // an address in the function's own frame, Offset from the stack pointer at entry
	KindParam              // parameter Index of the function as it came in (or [Receiver]), plus Offset
	KindResult             // what the call of Symbol at Site returned, plus Offset
	KindOut                // what the call of Symbol at Site wrote Field bytes behind its pointer argument Index, plus Offset
	KindField              // what was loaded (Size bytes) from Base at Field, plus Offset
)

// Source is one member of a [Value] whose origin is known.
type Source struct {
	Kind   Kind
	Const  uint64
	Symbol string
	Site   uint64  // the call (KindResult, KindOut)
	Index  int     // parameter or argument, counted from 0
	Field  int64   // KindOut, KindField: offset behind the pointer
	Size   int     // KindField: bytes loaded
	Base   *Source // KindField: the pointer that was followed
	Offset int64   // added afterwards
	Bits   int     // 64, or the width it was cut to
	Signed bool    // cut, then sign-extended
	Def    uint64  // address of the instruction that brought it about
	How    string  // mnemonic of that instruction
	// Open marks a constant that a bound on an unknown number leaves possible (its low bits, a comparison): together
	// such constants are all there can be, but of none is a path known that brings it.
	Open bool
	// Kept marks what a call returned or stored (KindResult, KindOut) and a variable, an object or another thread's call
	// handed on: the call was perhaps made by another thread than the one that has it now.
	Kept bool
}

// MaxSet is the number of members beyond which a Value gives up listing them.
const MaxSet = 16

// Value is what an argument can be: a set of members, and perhaps an unknown rest. The zero Value is unknown for no
// stated reason. Values are immutable.
type Value struct {
	v   *val
	at  *state // the state at the call, for Load
	ctx *context
}

// Consts returns the constants among the members in ascending order, and whether they are all the value can be.
func (v Value) Consts() (set []uint64, complete bool) {
	x := v.val()
	complete = x.rest == nil
	for i := range x.atoms {
		if x.atoms[i].kind == KindConst {
			set = append(set, x.atoms[i].c)
		} else {
			complete = false
		}
	}
	slices.Sort(set)
	return set, complete
}

// Const returns the value where it is proven to be one constant.
func (v Value) Const() (uint64, bool) {
	x := v.val()
	if x.rest == nil && len(x.atoms) == 1 && x.atoms[0].kind == KindConst {
		return x.atoms[0].c, true
	}
	return 0, false
}

// Complete tells whether every path to the call is understood: the value is one of Sources. (It says nothing of what
// those sources are: a parameter is a source.)
func (v Value) Complete() bool { return v.val().rest == nil }

// MayBe tells whether the value can be c, as far as is known: false is a proof.
func (v Value) MayBe(c uint64) bool {
	x := v.val()
	if x.rest != nil && c&x.rest.mask == x.rest.bits.bits && !(c == 0 && x.rest.nonzero != 0) {
		return true
	}
	for i := range x.atoms {
		if x.atoms[i].mayBe(c) {
			return true
		}
	}
	return false
}

// NonZero tells whether the value is proven not to be zero.
func (v Value) NonZero() bool { return !v.MayBe(0) }

// KnownBits returns which bits are the same in all the value can be (mask), and what they are.
func (v Value) KnownBits() (mask, bits uint64) {
	k := v.val().known()
	return k.mask, k.bits
}

// Trunc returns the value cut to its low bits (8, 16 or 32) and zero-extended, as a callee sees an argument of a
// smaller type.
func (v Value) Trunc(bits int) Value {
	v.v = cut(v.val(), uint8(bits), false, 0, "")
	return v
}

// Sources returns the members, constants first.
func (v Value) Sources() []Source {
	x := v.val()
	out := make([]Source, 0, len(x.atoms))
	for i := range x.atoms {
		switch a := &x.atoms[i]; a.kind {
		case kindStackAny, kindIndexed, kindEntry, kindTarget:
		default:
			out = append(out, a.source())
		}
	}
	return out
}

// Load returns what lies size bytes (1 to 8) wide, zero-extended, at off behind the value taken as a pointer, in the
// state just before the call: the fields of a struct or message that the function built on its stack, or of constant
// data.
func (v Value) Load(off int64, size int) Value {
	if v.at == nil || size < 1 || size > 8 {
		return Value{v: unknown("not a pointer that can be followed", 0)}
	}
	p := binary(op.Add, v.val(), constant(uint64(off), 0, ""), 64, 0, "")
	x, _ := v.ctx.load(v.at, p, uint8(size), false, 64, 0, "")
	return Value{x, v.at, v.ctx}
}

// String says in one line what the value can be: "0x1", "0x1 or 0x80000003", "parameter 3 of the function",
// "0x3 or unknown (loaded from memory)".
func (v Value) String() string { return v.val().text(v.ctx) }

// Why gives the evidence, one fact a line, each with the address of the instruction that brought it about:
// "0x80000001 (mov at 0x100003f4c)".
func (v Value) Why() []string { return v.val().why(v.ctx) }

func (v Value) val() *val {
	if v.v == nil {
		return nothing
	}
	return v.v
}

// High returns the upper 32 bits of the value, zero-extended.
func (v Value) High() Value {
	v.v = binary(op.Shr, v.val(), constant(32, 0, ""), 64, 0, "")
	return v
}
