package flow

import (
	"slices"

	"portcullis.dev/check/flow/op"
)

type answer uint8

const (
	maybe answer = iota
	yes
	no
)

// holds tells whether a condition holds of two numbers.
func holds(t op.Test, cond op.Cond, a, b uint64, width uint8) answer {
	m := maskOf(width)
	a, b = a&m, b&m
	sa, sb := int64(signExtend(a, width)), int64(signExtend(b, width))
	truth := func(x bool) answer {
		if x {
			return yes
		}
		return no
	}
	if t == op.Tst {
		a, b = a&b, 0
		sa, sb = int64(signExtend(a, width)), 0
	}
	switch cond {
	case op.Always:
		return yes
	case op.Eq:
		return truth(a == b)
	case op.Ne:
		return truth(a != b)
	}
	diff := signExtend((a-b)&m, width)
	switch cond {
	case op.Neg:
		return truth(int64(diff) < 0)
	case op.Pos:
		return truth(int64(diff) >= 0)
	}
	if t == op.Res {
		return maybe
	}
	switch cond {
	case op.Slt:
		return truth(sa < sb)
	case op.Sle:
		return truth(sa <= sb)
	case op.Sgt:
		return truth(sa > sb)
	case op.Sge:
		return truth(sa >= sb)
	}
	if t == op.Tst {
		return maybe // the carry after a test differs between instruction sets
	}
	switch cond {
	case op.Ult:
		return truth(a < b)
	case op.Ule:
		return truth(a <= b)
	case op.Ugt:
		return truth(a > b)
	case op.Uge:
		return truth(a >= b)
	}
	return maybe
}

// decide evaluates a condition where the compared values are known well enough.
func decide(f *comparison, cond op.Cond) answer {
	if cond == op.Always {
		return yes
	}
	if f.test == op.Unknown || cond == op.Maybe || f.a.v == nil || f.b.v == nil {
		return maybe
	}
	a, b := f.a.v, f.b.v
	if f.test == op.Cmp && alike(a, b) {
		return holds(op.Cmp, cond, 0, 0, f.width)
	}
	if f.test == op.Cmp && (cond == op.Eq || cond == op.Ne) {
		if k, ok := b.constOnly(); ok && !couldBe(cut(a, f.width, false, 0, ""), k&maskOf(f.width)) {
			if cond == op.Eq {
				return no
			}
			return yes
		}
	}
	if f.test == op.Tst && (cond == op.Eq || cond == op.Ne) {
		k := arithBits(op.And, a.known(), b.known(), f.width)
		if k.bits&k.mask != 0 {
			if cond == op.Eq {
				return no
			}
			return yes
		}
	}
	if a.rest != nil || b.rest != nil {
		return maybe
	}
	var got answer
	for i := range a.atoms {
		for j := range b.atoms {
			x, y := &a.atoms[i], &b.atoms[j]
			if x.kind != KindConst || y.kind != KindConst {
				return maybe
			}
			h := holds(f.test, cond, x.c, y.c, f.width)
			if h == maybe || got != maybe && h != got {
				return maybe
			}
			got = h
		}
	}
	return got
}

// alike tells whether two values are the same thing, whatever it is: one parameter, one address, or the name of the
// task's own port, which never changes.
func alike(a, b *val) bool {
	if a.rest != nil || b.rest != nil || len(a.atoms) != 1 || len(b.atoms) != 1 || a.atoms[0].compare(&b.atoms[0]) != 0 {
		return false
	}
	switch x := &a.atoms[0]; x.kind {
	case KindParam, KindAddr, KindStack:
		return true
	case KindField:
		return x.base.kind == KindAddr && x.base.sym == "_mach_task_self_" && x.base.off == 0
	}
	return false
}

func couldBe(v *val, k uint64) bool { return Value{v: v}.MayBe(k) }

// narrower is the stronger of a proof of not being zero and one for width bits.
func narrower(nz, width uint8) uint8 {
	if nz == 0 {
		return width
	}
	return min(nz, width)
}

// constrain returns what remains of v, which equals the first of the compared values, where the condition holds; nil
// where it cannot.
func constrain(v *val, f *comparison, cond op.Cond) *val {
	if f.test != op.Cmp || f.b.v == nil {
		return v
	}
	k, ok := f.b.v.constOnly()
	if !ok {
		return v
	}
	m := maskOf(f.width)
	k &= m
	out := make([]atom, 0, len(v.atoms))
	for _, a := range v.atoms {
		if a.kind == KindConst {
			if holds(f.test, cond, a.c, k, f.width) != no {
				out = append(out, a)
			}
			continue
		}
		full := f.width == 64 || a.bits <= f.width && !a.signed
		switch {
		case cond == op.Eq && full:
			if a.stackish() || a.kind == KindAddr {
				if !a.mayBe(k) {
					continue
				}
				break
			}
			if !a.mayBe(k) {
				continue
			}
			a = atom{kind: KindConst, bits: 64, c: k, def: a.def, how: "compared equal, " + a.text()}
		case cond == op.Ne && k == 0, cond == op.Ugt && k == 0:
			a.nz = narrower(a.nz, f.width)
		}
		out = append(out, a)
	}
	r := v.rest
	if r != nil {
		full := f.width == 64 || r.mask|m == ^uint64(0) && r.bits.bits&^m == 0
		switch {
		case cond == op.Eq:
			if (k^r.bits.bits)&r.mask&m != 0 || k == 0 && r.nonzero != 0 && full {
				r = nil
				break
			}
			if full {
				out = append(out, atom{kind: KindConst, bits: 64, c: k, def: r.site(), how: "compared equal"})
				r = nil
				break
			}
			nz := r.nonzero
			if k != 0 {
				nz = narrower(nz, f.width)
			}
			r = &rest{bits: bits{r.mask | m, r.bits.bits | k}, nonzero: nz, reasons: r.reasons}
		case cond == op.Ne && k == 0, cond == op.Ugt && k == 0:
			r = &rest{bits: r.bits, nonzero: narrower(r.nonzero, f.width), reasons: r.reasons, half: r.half}
		case (cond == op.Ule && k < MaxSet || cond == op.Ult && k <= MaxSet && k > 0) && full:
			top := k
			if cond == op.Ult {
				top--
			}
			for x := uint64(0); x <= top; x++ {
				if x&r.mask == r.bits.bits&m && !(x == 0 && r.nonzero != 0) {
					out = append(out, atom{kind: KindConst, bits: 64, c: x, def: r.site(), how: "compared in range",
						open: true})
				}
			}
			r = nil
		}
	}
	if len(out) == 0 && r == nil {
		return nil
	}
	return setOf(slices.Clone(out), r)
}

func (r *rest) site() uint64 {
	if len(r.reasons) == 0 {
		return 0
	}
	return r.reasons[0].site
}

// assume narrows s to the runs in which the branch is taken (or, with not, is not). It returns false where there are
// none.
func (c *context) assume(s *state, in *op.Inst, not bool) bool {
	f := s.flags
	if in.Test != op.Unknown {
		w := in.Width
		f = comparison{in.Test, w, s.regs[in.A], cell{v: constant(uint64(in.Imm)&maskOf(w), 0, "")}}
	}
	cond := in.Cond
	if not {
		cond = cond.Not()
	}
	if in.Cond == op.Always {
		return !not
	}
	if decide(&f, cond) == no {
		return false
	}
	if f.test != op.Cmp || f.a.vn == 0 || cond == op.Maybe {
		return true
	}
	for i := range s.regs {
		if s.regs[i].vn == f.a.vn {
			v := constrain(s.regs[i].v, &f, cond)
			if v == nil {
				return false
			}
			s.regs[i].v = v
		}
	}
	for i := range s.mem {
		if s.mem[i].vn == f.a.vn {
			v := constrain(s.mem[i].v, &f, cond)
			if v == nil {
				return false
			}
			s.mem[i].v = v
		}
	}
	return true
}
