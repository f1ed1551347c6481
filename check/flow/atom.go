package flow

import (
	"cmp"
	"slices"

	"portcullis.dev/check/flow/op"
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
		Size: int(a.size), Offset: a.off, Bits: int(a.bits), Signed: a.signed, Def: a.def, How: a.how, Open: a.open}
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
}

const maxReasons = 3

// val is the immutable inside of a Value. Atoms are sorted and unique.
type val struct {
	atoms []atom
	rest  *rest
}

var nothing = &val{rest: &rest{}}

// stackAny is an address somewhere in the frame.
var stackAny = &val{atoms: []atom{{kind: kindStackAny, bits: 64}}}

func constant(c uint64, def uint64, how string) *val {
	return &val{atoms: []atom{{kind: KindConst, bits: 64, c: c, def: def, how: how}}}
}

func single(a atom) *val { return &val{atoms: []atom{a}} }

func unknown(why string, site uint64) *val {
	return &val{rest: &rest{reasons: []reason{{why, site}}}}
}

func unknownBits(k bits, why string, site uint64) *val {
	if k.mask == ^uint64(0) {
		return constant(k.bits, site, why)
	}
	return &val{rest: &rest{bits: k, reasons: []reason{{why, site}}}}
}

func (v *val) known() bits {
	k := bits{^uint64(0), 0}
	first := true
	for i := range v.atoms {
		if first {
			k, first = v.atoms[i].known(), false
		} else {
			k = k.join(v.atoms[i].known())
		}
	}
	if v.rest != nil {
		if first {
			return v.rest.bits
		}
		k = k.join(v.rest.bits)
	}
	return k
}

func (v *val) stackish() bool {
	for i := range v.atoms {
		if v.atoms[i].stackish() {
			return true
		}
	}
	return false
}

func (v *val) constOnly() (uint64, bool) {
	if v.rest == nil && len(v.atoms) == 1 && v.atoms[0].kind == KindConst {
		return v.atoms[0].c, true
	}
	return 0, false
}

func sameVal(a, b *val) bool {
	if a == b {
		return true
	}
	if len(a.atoms) != len(b.atoms) || (a.rest == nil) != (b.rest == nil) {
		return false
	}
	for i := range a.atoms {
		if a.atoms[i].nz != b.atoms[i].nz || a.atoms[i].compare(&b.atoms[i]) != 0 {
			return false
		}
	}
	return a.rest == nil || a.rest.bits == b.rest.bits && a.rest.nonzero == b.rest.nonzero
}

func joinRest(a, b *rest) *rest {
	switch {
	case a == nil || a == b:
		return b
	case b == nil:
		return a
	}
	k := a.bits.join(b.bits)
	nz := weaker(a.nonzero, b.nonzero)
	if k == a.bits && nz == a.nonzero && len(a.reasons) == maxReasons {
		return a
	}
	rs := slices.Clone(a.reasons)
	for _, r := range b.reasons {
		if len(rs) < maxReasons && !slices.Contains(rs, r) {
			rs = append(rs, r)
		}
	}
	return &rest{k, nz, rs}
}

// weaker is what two proofs of not being zero have in common.
func weaker(a, b uint8) uint8 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// join returns what either a or b can be.
func join(a, b *val) *val {
	if a == b || sameVal(a, b) {
		return a
	}
	r := joinRest(a.rest, b.rest)
	out := make([]atom, 0, len(a.atoms)+len(b.atoms))
	i, j := 0, 0
	for i < len(a.atoms) && j < len(b.atoms) {
		switch c := a.atoms[i].compare(&b.atoms[j]); {
		case c < 0:
			out = append(out, a.atoms[i])
			i++
		case c > 0:
			out = append(out, b.atoms[j])
			j++
		default:
			x := a.atoms[i]
			x.nz = weaker(x.nz, b.atoms[j].nz)
			x.open = x.open && b.atoms[j].open
			out = append(out, x)
			i++
			j++
		}
	}
	out = append(append(out, a.atoms[i:]...), b.atoms[j:]...)
	return bound(out, r)
}

// bound gives up a set that has grown too large, but never forgets that a value may point into the frame.
func bound(atoms []atom, r *rest) *val {
	if len(atoms) <= MaxSet {
		return &val{atoms, r}
	}
	v := &val{atoms: atoms}
	r = joinRest(r, &rest{bits: v.known(), reasons: []reason{{"more than 16 values", atoms[0].def}}})
	if v.stackish() {
		return &val{stackAny.atoms, r}
	}
	return &val{nil, r}
}

// widen keeps what old knew and gives up on the rest, so that loops come to an end.
func widen(old, new *val, site uint64) *val {
	if sameVal(old, new) {
		return old
	}
	r := joinRest(old.rest, &rest{reasons: []reason{{"it changes in a loop", site}}})
	r = &rest{reasons: r.reasons}
	if new.stackish() && !old.stackish() {
		return join(&val{old.atoms, r}, stackAny)
	}
	out := make([]atom, len(old.atoms))
	for i, a := range old.atoms {
		a.nz = 0
		out[i] = a
	}
	if new.stackish() && !slices.ContainsFunc(out, func(a atom) bool { return a.kind == kindStackAny }) {
		return join(&val{out, r}, stackAny)
	}
	return &val{out, r}
}

// weaken says that v may also be something unknown.
func weaken(v *val, why string, site uint64) *val {
	if v.rest != nil && v.rest.mask == 0 && v.rest.nonzero == 0 && len(v.rest.reasons) > 0 {
		return v
	}
	return &val{v.atoms, joinRest(v.rest, &rest{reasons: []reason{{why, site}}})}
}

// setOf builds a value from members in any order.
func setOf(atoms []atom, r *rest) *val {
	slices.SortFunc(atoms, func(a, b atom) int { return a.compare(&b) })
	atoms = slices.CompactFunc(atoms, func(a, b atom) bool { return a.compare(&b) == 0 })
	return bound(atoms, r)
}

func maskOf(width uint8) uint64 {
	if width >= 64 {
		return ^uint64(0)
	}
	return uint64(1)<<width - 1
}

func signExtend(x uint64, from uint8) uint64 {
	if from >= 64 {
		return x
	}
	return uint64(int64(x<<(64-from)) >> (64 - from))
}

// cut returns the low n bits of v, zero- or sign-extended to 64.
func cut(v *val, n uint8, signed bool, site uint64, how string) *val {
	if n >= 64 {
		return v
	}
	var out []atom
	var r *rest
	m := maskOf(n)
	for _, a := range v.atoms {
		switch {
		case a.kind == KindConst:
			a.c &= m
			if signed {
				a.c = signExtend(a.c, n)
			}
		case a.bits <= n && (!a.signed || a.bits == n && signed) && !(a.bits == n && signed && !a.signed):
		case a.kind == kindStackAny || a.kind >= kindIndexed:
			r = joinRest(r, &rest{bits: cutBits(bits{}, n, signed), reasons: []reason{{a.text(), a.def}}})
			continue
		case a.bits < n: // sign-extended from fewer bits: keep no more than that it is unknown
			r = joinRest(r, &rest{bits: cutBits(bits{}, n, signed), reasons: []reason{{a.text(), a.def}}})
			continue
		default:
			a.bits, a.signed = n, signed
			if a.nz > n {
				a.nz = 0
			}
		}
		out = append(out, a)
	}
	if v.rest != nil {
		nz := v.rest.nonzero
		if nz > n && !(v.rest.mask|m == ^uint64(0) && v.rest.bits.bits&^m == 0) {
			nz = 0
		}
		r = joinRest(r, &rest{cutBits(v.rest.bits, n, signed), min(nz, n), v.rest.reasons})
	}
	if r != nil && r.mask == ^uint64(0) {
		out, r = append(out, atom{kind: KindConst, bits: 64, c: r.bits.bits, def: site, how: how}), nil
	}
	return setOf(out, r)
}

func cutBits(k bits, n uint8, signed bool) bits {
	m := maskOf(n)
	x := bits{k.mask&m | ^m, k.bits & m}
	if signed {
		if k.mask>>(n-1)&1 == 0 {
			x.mask = k.mask & m
		} else {
			x.bits = signExtend(x.bits, n)
		}
	}
	return x
}

// binary computes a op b on width bits, zero-extended to 64.
func binary(k op.Kind, a, b *val, width uint8, site uint64, how string) *val {
	if x, ok := a.constOnly(); ok {
		if y, ok := b.constOnly(); ok {
			v := constant(arith(k, x, y, width), site, how)
			v.atoms[0].open = a.atoms[0].open || b.atoms[0].open
			return v
		}
	}
	var out []atom
	var r *rest
	add := func(x *atom, y *atom, kb bits, reasons []reason) {
		// One pair whose result is not a member that can be named.
		if x != nil && x.stackish() || y != nil && y.stackish() {
			if width == 64 && (k == op.Add || k == op.Sub || k == op.And || k == op.Or) {
				out = append(out, atom{kind: kindStackAny, bits: 64, def: site, how: how})
				return
			}
		}
		if kb.mask == ^uint64(0) {
			out = append(out, atom{kind: KindConst, bits: 64, c: kb.bits, def: site, how: how})
			return
		}
		r = joinRest(r, &rest{bits: kb, reasons: reasons})
	}
	for i := range a.atoms {
		for j := range b.atoms {
			x, y := &a.atoms[i], &b.atoms[j]
			if z, ok := pair(k, x, y, width, site, how); ok {
				z.open = x.open || y.open
				out = append(out, z)
				continue
			}
			why := x
			if x.kind == KindConst {
				why = y
			}
			add(x, y, arithBits(k, x.known(), y.known(), width), []reason{{why.text(), why.def}})
		}
		if b.rest != nil {
			x := &a.atoms[i]
			if z, ok := index(k, x, b.rest, width, site, how); ok {
				out = append(out, z)
			} else {
				add(x, nil, arithBits(k, x.known(), b.rest.bits, width), b.rest.reasons)
			}
		}
	}
	if a.rest != nil {
		for j := range b.atoms {
			y := &b.atoms[j]
			if k == op.Add {
				if z, ok := index(k, y, a.rest, width, site, how); ok {
					out = append(out, z)
					continue
				}
			}
			add(nil, y, arithBits(k, a.rest.bits, y.known(), width), a.rest.reasons)
		}
		if b.rest != nil {
			rs := a.rest.reasons
			if len(rs) == 0 {
				rs = b.rest.reasons
			}
			add(nil, nil, arithBits(k, a.rest.bits, b.rest.bits, width), rs)
		}
	}
	return enumerate(setOf(out, r))
}

// enumerate lists the members of a rest of which at most two bits are open.
func enumerate(v *val) *val {
	if v.rest == nil || v.rest.mask == 0 {
		return v
	}
	open := ^v.rest.mask
	if open&(open-1)&((open&(open-1))-1) != 0 {
		return v
	}
	out := slices.Clone(v.atoms)
	var why reason
	if len(v.rest.reasons) > 0 {
		why = v.rest.reasons[0]
	}
	for sub := open; ; sub = (sub - 1) & open {
		if c := v.rest.bits.bits | sub; c != 0 || v.rest.nonzero == 0 {
			out = append(out, atom{kind: KindConst, bits: 64, c: c, def: why.site, how: "bits of " + why.text,
				open: true})
		}
		if sub == 0 {
			return setOf(out, nil)
		}
	}
}

// index forms an address plus something unknown.
func index(k op.Kind, x *atom, r *rest, width uint8, site uint64, how string) (atom, bool) {
	if k != op.Add || width != 64 || x.bits != 64 {
		return atom{}, false
	}
	if x.kind == KindAddr && x.sym == "" {
		return atom{kind: kindIndexed, bits: 64, c: x.c, def: site, how: how}, true
	}
	return atom{}, false
}

// pair computes the members that can be named: numbers, and known things plus a number.
func pair(k op.Kind, x, y *atom, width uint8, site uint64, how string) (atom, bool) {
	if x.kind == KindConst && y.kind == KindConst {
		return atom{kind: KindConst, bits: 64, c: arith(k, x.c, y.c, width), def: site, how: how}, true
	}
	if y.kind == KindConst {
		switch k {
		case op.Add, op.Sub:
			d := int64(y.c)
			if k == op.Sub {
				d = -d
			}
			return plus(x, d, width, site, how)
		case op.Or, op.Xor:
			if y.c == 0 && (width == 64 || x.bits <= width && !x.signed) {
				return *x, true
			}
		case op.And:
			for _, n := range []uint8{8, 16, 32} {
				if y.c == maskOf(n) && x.kind < kindStackAny && x.bits > n {
					z := *x
					z.bits, z.signed = n, false
					if z.nz > n {
						z.nz = 0
					}
					return z, true
				}
				if y.c == maskOf(n) && x.bits <= n && !x.signed {
					return *x, true
				}
			}
			if y.c == ^uint64(0) && width == 64 {
				return *x, true
			}
		case op.Shl:
			if x.kind == kindEntry && x.off == 0 && y.c < 8 && width == 64 {
				z := *x
				z.index += int32(y.c)
				return z, true
			}
		}
		return atom{}, false
	}
	if x.kind == KindConst {
		if k == op.Add || k == op.Or || k == op.Xor || k == op.And {
			return pair(k, y, x, width, site, how)
		}
		return atom{}, false
	}
	if k == op.Sub && width == 64 && x.kind == y.kind && x.bits == 64 && y.bits == 64 {
		switch {
		case x.kind == KindStack && x.site == y.site:
			return atom{kind: KindConst, bits: 64, c: uint64(x.off - y.off), def: site, how: how}, true
		case x.kind == KindAddr && x.sym == y.sym:
			return atom{kind: KindConst, bits: 64, c: x.c - y.c + uint64(x.off-y.off), def: site, how: how}, true
		}
	}
	if k == op.Add && width == 64 {
		if y.kind == KindAddr {
			x, y = y, x
		}
		if x.kind == KindAddr && x.sym == "" && x.bits == 64 {
			switch {
			case y.kind == kindEntry && y.off == 0:
				z := *y
				z.kind, z.field, z.def, z.how = kindTarget, int64(x.c), site, how
				return z, true
			case y.kind == KindParam || y.kind == KindField || y.kind == KindResult || y.kind == KindOut:
				return atom{kind: kindIndexed, bits: 64, c: x.c, def: site, how: how}, true
			}
		}
	}
	return atom{}, false
}

// plus adds a number to a member.
func plus(x *atom, d int64, width uint8, site uint64, how string) (atom, bool) {
	if d == 0 && (width == 64 || x.bits <= width && !x.signed) {
		return *x, true
	}
	if width != 64 || x.bits != 64 {
		return atom{}, false
	}
	z := *x
	z.nz = 0
	switch x.kind {
	case KindAddr:
		if x.sym == "" {
			z.c += uint64(d)
		} else {
			z.off += d
		}
		z.def, z.how = site, how
	case KindStack, KindParam, KindResult, KindOut, KindField:
		z.off += d
		if x.kind == KindStack {
			z.def, z.how = site, how
		}
	case kindStackAny:
	case kindIndexed:
		z.c += uint64(d)
	case kindTarget:
		z.field += d
	default:
		return atom{}, false
	}
	return z, true
}

func arith(k op.Kind, x, y uint64, width uint8) uint64 {
	m := maskOf(width)
	switch k {
	case op.Add:
		return (x + y) & m
	case op.Sub:
		return (x - y) & m
	case op.And:
		return x & y & m
	case op.Or:
		return (x | y) & m
	case op.Xor:
		return (x ^ y) & m
	case op.Mul:
		return x * y & m
	}
	n := y & uint64(width-1)
	x &= m
	switch k {
	case op.Shl:
		return x << n & m
	case op.Shr:
		return x >> n
	case op.Sar:
		return uint64(int64(signExtend(x, width))>>n) & m
	case op.Ror:
		if n == 0 {
			return x
		}
		return (x>>n | x<<(uint64(width)-n)) & m
	}
	return 0
}

// arithBits computes what is known of the bits of a result.
func arithBits(k op.Kind, x, y bits, width uint8) bits {
	m := maskOf(width)
	high := bits{mask: ^m}
	var z bits
	switch k {
	case op.And:
		zeros := x.mask&^x.bits | y.mask&^y.bits
		z = bits{x.mask&y.mask | zeros, x.bits & y.bits}
	case op.Or:
		ones := x.bits | y.bits
		z = bits{x.mask&y.mask | ones, ones}
	case op.Xor:
		z.mask = x.mask & y.mask
		z.bits = (x.bits ^ y.bits) & z.mask
	case op.Add, op.Sub:
		// The bits below the lowest unknown one.
		z.mask = trailingOnes(x.mask & y.mask)
		z.bits = arith(k, x.bits, y.bits, 64) & z.mask
	case op.Shl, op.Shr, op.Sar:
		if y.mask&uint64(width-1) != uint64(width-1) {
			break
		}
		n := y.bits & uint64(width-1)
		switch {
		case k == op.Shl:
			z = bits{x.mask<<n | (1<<n - 1), x.bits << n}
		case k == op.Shr:
			z = bits{(x.mask&m)>>n | ^(m >> n), (x.bits & m) >> n}
		case x.mask>>(width-1)&1 == 1:
			z.mask = uint64(int64(signExtend(x.mask&m, width)) >> n)
			z.bits = uint64(int64(signExtend(x.bits&m, width))>>n) & z.mask
		}
	}
	return bits{z.mask&m | high.mask, z.bits & m}
}

func trailingOnes(m uint64) uint64 { return m & ^(m + 1) }
