package flow

import (
	"cmp"
)

// Kinds that never leave the engine.
const (
	kindStackAny Kind = 200 + iota // somewhere in the function's own frame
	kindIndexed                    // table address c plus something unknown
	kindEntry                      // a size-byte entry of the table at c
	kindTarget                     // address field plus such an entry, shifted left by index
)

// atom is one member of a value. Its identity is all but def and how.
type atom struct {
	kind   Kind
	bits   uint8 // 64, or the width it was cut to
	signed bool  // the cut sign-extends; for kindEntry: the load did
	nz     uint8 // not 0: the low nz bits are proven not to be all zero
	open   bool  // a number that a bound leaves open; no path is known that brings it
	kept   bool  // see Source.Kept
	size   uint8 // bytes loaded
	index  int32
	c      uint64
	off    int64 // added after all
	field  int64
	site   uint64 // the call; for kindStack the region of the frame
	sym    string
	base   *atom
	def    uint64
	how    string
}

func (a *atom) compare(b *atom) int {
	if a == b {
		return 0
	}
	if c := cmp.Or(
		cmp.Compare(a.kind, b.kind), cmp.Compare(a.c, b.c), cmp.Compare(a.site, b.site),
		cmp.Compare(a.index, b.index), cmp.Compare(a.field, b.field), cmp.Compare(a.off, b.off),
		cmp.Compare(a.size, b.size), cmp.Compare(a.bits, b.bits)); c != 0 {
		return c
	}
	if a.signed != b.signed {
		if a.signed {
			return 1
		}
		return -1
	}
	if c := cmp.Compare(a.sym, b.sym); c != 0 {
		return c
	}
	if a.kept != b.kept {
		if a.kept {
			return 1
		}
		return -1
	}
	switch {
	case a.base == nil && b.base == nil:
		return 0
	case a.base == nil:
		return -1
	case b.base == nil:
		return 1
	}
	return a.base.compare(b.base)
}

func (a *atom) stackish() bool { return a.kind == KindStack || a.kind == kindStackAny }

func (a *atom) depth() int {
	n := 0
	for ; a != nil; a = a.base {
		n++
	}
	return n
}

// known returns the bits that are the same whatever the member turns out to be at run time.
func (a *atom) known() bits {
	if a.kind == KindConst {
		return bits{^uint64(0), a.c}
	}
	if a.bits < 64 && !a.signed {
		return bits{^(uint64(1)<<a.bits - 1), 0}
	}
	return bits{}
}

func (a *atom) mayBe(c uint64) bool {
	switch a.kind {
	case KindConst:
		return a.c == c
	case KindAddr, KindStack, kindStackAny:
		if c == 0 && a.bits == 64 {
			return false
		}
	}
	if c == 0 && a.nz != 0 {
		return false
	}
	k := a.known()
	return c&k.mask == k.bits
}

func (a *atom) source() Source {
	s := Source{Kind: a.kind, Const: a.c, Symbol: a.sym, Site: a.site, Index: int(a.index), Field: a.field,
		Size: int(a.size), Offset: a.off, Bits: int(a.bits), Signed: a.signed, Def: a.def, How: a.how, Open: a.open,
		Kept: a.kept}
	if a.kind == KindStack {
		s.Const = a.site // the region: 0 is the frame as the function was entered
		s.Site = 0
	}
	if a.base != nil {
		b := a.base.source()
		s.Base = &b
	}
	return s
}

// bits is partial knowledge of a number: value has only bits of mask set.
type bits struct{ mask, bits uint64 }

func (k bits) join(o bits) bits {
	m := k.mask & o.mask &^ (k.bits ^ o.bits)
	return bits{m, k.bits & m}
}

// reason says why part of a value is unknown.
type reason struct {
	text string
	site uint64
}

// rest is the part of a value that is not known, but for single bits.
type rest struct {
	bits
	nonzero uint8    // as atom.nz
	reasons []reason // at most maxReasons
	half    *halves  // nil where the two halves are not known apart
}

// halves are the low and the high 32 bits of something unknown: two fields of a struct that are copied as one.
type halves struct{ low, high *val }

const maxReasons = 3
