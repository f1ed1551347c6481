package flow

import (
	"slices"

	"portcullis.dev/check/flow/op"
)

// joinState adds what another path brings. It tells whether into changed; wide bounds loops.
func joinState(into, from *state, site uint64, wide bool) bool {
	changed := false
	meet := func(x *cell, y cell) {
		vn := x.vn
		if vn != y.vn {
			vn = 0
		}
		v := join(x.v, y.v)
		if wide {
			v = widen(x.v, v, site)
		}
		if vn != x.vn || !sameVal(v, x.v) {
			changed = true
			*x = cell{v, vn}
		}
	}
	for r := range into.regs {
		if into.regs[r] != from.regs[r] {
			meet(&into.regs[r], from.regs[r])
		}
	}
	if f := &into.flags; f.test != op.Unknown {
		g := &from.flags
		if f.test != g.test || f.width != g.width || f.a.vn != g.a.vn || !sameVal(f.a.v, g.a.v) ||
			!sameVal(f.b.v, g.b.v) {
			into.flags = comparison{}
			changed = true
		}
	}
	if from.escaped && !into.escaped {
		into.escaped, changed = true, true
	}
	if joinMemory(into, from, meet) {
		changed = true
	}
	return changed
}

func joinMemory(into, from *state, meet func(*cell, cell)) bool {
	changed := false
	// Cut both sides at each other's boundaries, so that slots match or are missing.
	same := len(into.mem) == len(from.mem)
	for i := 0; same && i < len(into.mem); i++ {
		x, y := &into.mem[i], &from.mem[i]
		same = x.region == y.region && x.off == y.off && x.size == y.size
	}
	other := from.mem
	if !same {
		f := &state{mem: slices.Clone(from.mem)}
		n := len(into.mem)
		into.cutAlike(f)
		changed = len(into.mem) != n
		if f.escaped && !into.escaped {
			into.escaped, changed = true, true
		}
		other = f.mem
	}
	const gap = "not written on every path"
	i := 0
	for j := 0; j < len(other) || i < len(into.mem); {
		switch {
		case j == len(other) || i < len(into.mem) && before(&into.mem[i], &other[j]):
			meet(&into.mem[i].cell, cell{v: weaken(into.mem[i].v, gap, 0)})
			i++
		case i == len(into.mem) || before(&other[j], &into.mem[i]):
			x := other[j]
			x.cell = cell{v: weaken(x.v, gap, 0)}
			into.mem = slices.Insert(into.mem, i, x)
			changed = true
			i++
			j++
		default:
			meet(&into.mem[i].cell, other[j].cell)
			i++
			j++
		}
	}
	return changed
}

func before(x, y *slot) bool {
	return x.region < y.region || x.region == y.region && x.off < y.off
}

// cutAlike splits overlapping slots of both states at common boundaries.
func (s *state) cutAlike(o *state) {
	for i, j := 0, 0; i < len(s.mem) && j < len(o.mem); {
		x, y := &s.mem[i], &o.mem[j]
		switch {
		case x.region != y.region:
			if x.region < y.region {
				i++
			} else {
				j++
			}
		case x.end() <= y.off:
			i++
		case y.end() <= x.off:
			j++
		case x.off < y.off:
			s.split(i, y.off-x.off)
			i++
		case y.off < x.off:
			o.split(j, x.off-y.off)
			j++
		case x.size > y.size:
			s.split(i, y.size)
			i++
			j++
		case y.size > x.size:
			o.split(j, x.size)
			i++
			j++
		default:
			i++
			j++
		}
	}
}

func (s *state) split(i int, at int64) {
	x := s.mem[i]
	a, b := s.piece(&x, 0, at), s.piece(&x, at, x.size-at)
	s.mem = slices.Replace(s.mem, i, i+1, a, b)
}
