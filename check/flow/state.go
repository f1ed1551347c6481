package flow

import (
	"slices"

	"portcullis.dev/check/flow/op"
)

// cell is a value in a place. Places with the same number (other than 0) hold equal values: a condition on one of
// them is a condition on all.
type cell struct {
	v  *val
	vn uint32
}

// slot is a range of bytes of the frame. Up to 8 bytes it is one little-endian number; beyond, its value is either a
// constant whose bytes are all alike, or memory that a callee wrote (KindOut), or unknown.
type slot struct {
	region    uint64 // 0: the frame as entered; else the instruction that moved the stack pointer by an unknown amount
	off, size int64
	cell
}

func (s *slot) end() int64 { return s.off + s.size }

// comparison is what the flags hold.
type comparison struct {
	test  op.Test
	width uint8
	a, b  cell
}

// state is all that is known at one point of the function.
type state struct {
	regs    [op.MaxRegs]cell
	flags   comparison
	mem     []slot // sorted by region and off, disjoint; what is not listed is unknown
	escaped bool   // code outside may hold a pointer into the frame
}

func (s *state) clone() *state {
	c := *s
	c.mem = slices.Clone(s.mem)
	return &c
}

// renumber makes vn the number of no place: its defining operation runs again.
func (s *state) renumber(vn uint32) {
	for i := range s.regs {
		if s.regs[i].vn == vn {
			s.regs[i].vn = 0
		}
	}
	for i := range s.mem {
		if s.mem[i].vn == vn {
			s.mem[i].vn = 0
		}
	}
	if s.flags.a.vn == vn {
		s.flags.a.vn = 0
	}
}

// find returns the index of the first slot that ends behind (region, off).
func (s *state) find(region uint64, off int64) int {
	i, _ := slices.BinarySearchFunc(s.mem, off, func(x slot, off int64) int {
		switch {
		case x.region < region:
			return -1
		case x.region > region:
			return 1
		case x.end() <= off:
			return -1
		}
		return 1
	})
	return i
}

// piece returns n bytes of s from s.off+delta on.
func (s *state) piece(x *slot, delta, n int64) slot {
	p := slot{region: x.region, off: x.off + delta, size: n}
	if delta == 0 && n == x.size {
		p.cell = x.cell
		return p
	}
	if x.v.stackish() {
		s.escaped = true // half a pointer: nobody follows it any more
	}
	if x.size <= 8 {
		v := x.v
		if delta != 0 {
			v = binary(op.Shr, v, constant(uint64(8*delta), 0, ""), 64, 0, "")
		}
		p.v = cut(v, uint8(8*n), false, 0, "")
		return p
	}
	var out []atom
	for _, a := range x.v.atoms {
		if a.kind == KindOut {
			a.field += delta
			a.bits = 64
		}
		if n < 8 {
			a.bits = uint8(8 * n)
			if a.kind == KindConst {
				a.c, a.bits = a.c&maskOf(uint8(8*n)), 64
			}
		}
		out = append(out, a)
	}
	p.v = setOf(out, x.v.rest)
	if p.v.rest != nil {
		k := bits{}
		if n < 8 {
			k = bits{mask: ^maskOf(uint8(8 * n))}
		}
		p.v = &val{p.v.atoms, &rest{bits: k, reasons: p.v.rest.reasons}}
	}
	return p
}

// read returns size bytes of the frame as a number.
func (s *state) read(c *context, region uint64, off, size int64) cell {
	i := s.find(region, off)
	if i < len(s.mem) && s.mem[i].region == region && s.mem[i].off == off && s.mem[i].size == size && size <= 8 {
		return s.mem[i].cell
	}
	var sum *val
	for at := off; at < off+size; {
		var part *val
		var n int64
		if i < len(s.mem) && s.mem[i].region == region && s.mem[i].off <= at {
			x := &s.mem[i]
			n = min(x.end(), off+size) - at
			p := s.piece(x, at-x.off, n)
			part = p.v
			i++
		} else {
			n = off + size - at
			if i < len(s.mem) && s.mem[i].region == region {
				n = min(n, s.mem[i].off-at)
			}
			part = c.unwritten(region, at, n)
		}
		if at == off {
			sum = part
		} else {
			part = binary(op.Shl, part, constant(uint64(8*(at-off)), 0, ""), 64, 0, "")
			sum = binary(op.Or, sum, part, 64, 0, "")
		}
		at += n
	}
	return cell{v: sum}
}

// covers tells whether something is known of all bytes of a range.
func (s *state) covers(region uint64, off, size int64) bool {
	for i := s.find(region, off); i < len(s.mem) && s.mem[i].region == region && s.mem[i].off <= off; i++ {
		if s.mem[i].end() >= off+size {
			return true
		}
		size -= s.mem[i].end() - off
		off = s.mem[i].end()
	}
	return false
}

// unwritten is memory of the frame that the function has not written on any path.
func (c *context) unwritten(region uint64, off, n int64) *val {
	if region == 0 && off >= c.isa.EntryArgs {
		return single(atom{kind: KindField, size: uint8(n), bits: uint8(8 * n),
			base: &atom{kind: KindStack, bits: 64, off: off}})
	}
	k := bits{}
	if n < 8 {
		k.mask = ^maskOf(uint8(8 * n))
	}
	return &val{rest: &rest{bits: k, reasons: []reason{{"a stack slot that is not seen written", 0}}}}
}

// write puts a value into the frame for certain.
func (s *state) write(region uint64, off, size int64, c cell) {
	i := s.find(region, off)
	j := i
	var keep [2]slot
	n := 0
	for ; j < len(s.mem) && s.mem[j].region == region && s.mem[j].off < off+size; j++ {
		x := &s.mem[j]
		if x.off < off {
			keep[n] = s.piece(x, 0, off-x.off)
			n++
		}
	}
	put := append(make([]slot, 0, 3), keep[:n]...)
	put = append(put, slot{region, off, size, c})
	if j > i {
		if x := &s.mem[j-1]; x.end() > off+size {
			put = append(put, s.piece(x, off+size-x.off, x.end()-off-size))
		}
	}
	if j-i == 1 && len(put) == 1 {
		s.mem[i] = put[0]
		return
	}
	s.mem = slices.Replace(s.mem, i, j, put...)
}

// maybeWrite says that v may have been written there.
func (s *state) maybeWrite(region uint64, off, size int64, v *val, why string, site uint64) {
	exact := false
	for i := s.find(region, off); i < len(s.mem) && s.mem[i].region == region && s.mem[i].off < off+size; i++ {
		x := &s.mem[i]
		if v != nil && x.off == off && x.size == size {
			x.cell = cell{v: join(x.v, v)}
			exact = true
		} else {
			x.cell = cell{v: weaken(x.v, why, site)}
		}
	}
	if v != nil && v.stackish() && !exact {
		s.escaped = true
	}
}

// weakenAll says that anything in the frame may have been written.
func (s *state) weakenAll(why string, site uint64) {
	for i := range s.mem {
		s.mem[i].cell = cell{v: weaken(s.mem[i].v, why, site)}
	}
}

// store executes a store of size bytes through p.
func (s *state) store(p *val, size int64, c cell, vn uint32, site uint64, how string) {
	v := cut(c.v, uint8(8*min(size, 8)), false, site, how)
	if p.rest == nil && len(p.atoms) == 1 && p.atoms[0].kind == KindStack && p.atoms[0].bits == 64 {
		a := &p.atoms[0]
		if !sameVal(v, c.v) {
			s.renumber(vn)
			c.vn = vn
		}
		s.write(a.site, a.off, size, cell{v, c.vn})
		return
	}
	outside := p.rest != nil
	for i := range p.atoms {
		switch a := &p.atoms[i]; {
		case a.kind == KindStack && a.bits == 64:
			s.maybeWrite(a.site, a.off, size, v, "perhaps written by "+how, site)
		case a.stackish():
			s.weakenAll("perhaps written by "+how, site)
			if v.stackish() {
				s.escaped = true
			}
		default:
			outside = true
		}
	}
	if !outside {
		return
	}
	if v.stackish() {
		s.escaped = true
	}
	if s.escaped && (p.rest != nil || !p.imageOnly()) {
		s.weakenAll("perhaps written by "+how, site)
	}
}

// imageOnly tells whether a pointer can only lead into the image's own data.
func (v *val) imageOnly() bool {
	for i := range v.atoms {
		if v.atoms[i].kind != KindAddr {
			return false
		}
	}
	return v.rest == nil
}

// load executes a load of size bytes through p.
func (c *context) load(s *state, p *val, size uint8, signed bool, width uint8, site uint64, how string) (*val, uint32) {
	if p.rest == nil && len(p.atoms) == 1 && p.atoms[0].kind == KindStack && p.atoms[0].bits == 64 {
		x := s.read(c, p.atoms[0].site, p.atoms[0].off, int64(size))
		if signed {
			v := cut(x.v, 8*size, true, site, how)
			return cut(v, width, false, site, how), 0
		}
		return x.v, x.vn
	}
	var sum *val
	for i := range p.atoms {
		v := c.loadAt(s, &p.atoms[i], size, signed, site, how)
		if sum == nil {
			sum = v
		} else {
			sum = join(sum, v)
		}
	}
	if p.rest != nil {
		k := bits{}
		if size < 8 && !signed {
			k.mask = ^maskOf(8 * size)
		}
		v := &val{rest: &rest{bits: k, reasons: []reason{{"loaded from memory at " + p.rest.why(), site}}}}
		if sum == nil {
			sum = v
		} else {
			sum = join(sum, v)
		}
	}
	if sum == nil {
		sum = nothing
	}
	return cut(sum, width, false, site, how), 0
}

func (r *rest) why() string {
	if len(r.reasons) == 0 || r.reasons[0].text == "" {
		return "an unknown address"
	}
	return "an unknown address (" + r.reasons[0].text + ")"
}

const maxDepth = 4

func (c *context) loadAt(s *state, a *atom, size uint8, signed bool, site uint64, how string) *val {
	field := func() *val {
		if a.depth() >= maxDepth {
			return cut(unknown("loaded through several pointers", site), 8*size, signed, site, how)
		}
		base := *a
		base.def, base.how = 0, ""
		f := atom{kind: KindField, bits: 8 * size, signed: signed && size < 8, size: size, base: &base, def: site,
			how: how}
		switch a.kind {
		case KindAddr:
			if a.sym == "" {
				f.field, base.c = 0, a.c
			} else {
				f.field, base.off = a.off, 0
			}
		default:
			f.field, base.off = a.off, 0
		}
		return single(f)
	}
	if a.bits != 64 {
		return cut(unknown("loaded through a pointer of 32 bits", site), 8*size, signed, site, how)
	}
	switch a.kind {
	case KindStack:
		v := s.read(c, a.site, a.off, int64(size)).v
		return cut(v, 8*size, signed, site, how)
	case kindStackAny:
		// The frame may hold pointers into itself.
		if slices.ContainsFunc(s.mem, func(x slot) bool { return x.v.stackish() }) {
			return join(stackAny, unknown("loaded from somewhere in the frame", site))
		}
		return cut(unknown("loaded from somewhere in the frame", site), 8*size, signed, site, how)
	case KindAddr:
		if a.sym != "" {
			return field()
		}
		if size == 8 {
			if t, sym, ok := c.img.Pointer(a.c); ok {
				if !c.img.ReadOnly(a.c) && sym == "" {
					return field()
				}
				x := atom{kind: KindAddr, bits: 64, c: t, sym: sym, def: site, how: how}
				if sym != "" {
					x.c = 0
				}
				return single(x)
			}
		}
		if !c.img.ReadOnly(a.c) || a.c+uint64(size) < a.c {
			return field()
		}
		for at := a.c &^ 7; at < a.c+uint64(size); at += 8 {
			if _, _, ok := c.img.Pointer(at); ok {
				return cut(unknown("loaded from part of a pointer", site), 8*size, signed, site, how)
			}
		}
		b := c.img.Bytes(a.c, int(size))
		if len(b) < int(size) {
			return field()
		}
		var x uint64
		for i := int(size) - 1; i >= 0; i-- {
			x = x<<8 | uint64(b[i])
		}
		if signed {
			x = signExtend(x, 8*size)
		}
		return constant(x, site, how)
	case KindParam, KindResult, KindOut, KindField:
		return field()
	case kindIndexed:
		if size <= 8 {
			return single(atom{kind: kindEntry, bits: 64, c: a.c, size: size, signed: signed, def: site, how: how})
		}
	}
	return cut(unknown("loaded from "+a.text(), site), 8*size, signed, site, how)
}

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
