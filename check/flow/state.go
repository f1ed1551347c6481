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
		} else if size == 8 && at == off+4 && n == 4 {
			sum = pairOf(cut(sum, 32, false, 0, ""), cut(part, 32, false, 0, ""), 0)
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

// keep makes it the state that another thread finds.
func (s *state) keep() {
	for i := range s.regs {
		if s.regs[i].v != nil {
			s.regs[i].v = s.regs[i].v.keep()
		}
	}
	for i := range s.mem {
		s.mem[i].v = s.mem[i].v.keep()
	}
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
