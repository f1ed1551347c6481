package flow

import "slices"

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
	return a.rest == nil || a.rest.bits == b.rest.bits && a.rest.nonzero == b.rest.nonzero &&
		sameHalves(a.rest.half, b.rest.half)
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
	if k == a.bits && nz == a.nonzero && len(a.reasons) == maxReasons && a.half == nil {
		return a
	}
	rs := slices.Clone(a.reasons)
	for _, r := range b.reasons {
		if len(rs) < maxReasons && !slices.Contains(rs, r) {
			rs = append(rs, r)
		}
	}
	return &rest{bits: k, nonzero: nz, reasons: rs, half: joinHalves(a.half, b.half)}
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
