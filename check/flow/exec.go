package flow

import (
	"portcullis.dev/check/flow/op"
)

// number gives the i-th operation of an instruction its own number, above those of the parameters at entry.
func (c *context) number(in *op.Inst, i int) uint32 {
	return 64 + uint32(in.Addr-c.f.Start)*16 + uint32(i&15)
}

// set writes a register.
func (c *context) set(s *state, r op.Reg, v cell, site uint64) {
	if r == op.None {
		return
	}
	if r == c.isa.SP && (v.v.rest != nil || !onlyStack(v.v)) {
		// The frame is moved by an unknown amount: what lies there from now on is memory of its own.
		i := s.find(site, -1<<62)
		j := i
		for j < len(s.mem) && s.mem[j].region == site {
			j++
		}
		s.mem = append(s.mem[:i], s.mem[j:]...)
		v = cell{v: single(atom{kind: KindStack, bits: 64, site: site, def: site})}
	}
	s.regs[r] = v
}

func onlyStack(v *val) bool {
	for i := range v.atoms {
		if v.atoms[i].kind != KindStack || v.atoms[i].bits != 64 {
			return false
		}
	}
	return len(v.atoms) > 0
}

// reloc returns the relocation that replaces an operand of the instruction.
func (c *context) reloc(in *op.Inst) (Reloc, bool) {
	if c.isa.Align == 1 {
		if in.Field == 0 {
			return Reloc{}, false
		}
		return c.img.Reloc(in.Addr + uint64(in.Field))
	}
	return c.img.Reloc(in.Addr)
}

func (r *Reloc) address(site uint64, how string) *val {
	a := atom{kind: KindAddr, bits: 64, def: site, how: how}
	if r.Defined {
		a.c = r.Addr + uint64(r.Addend)
	} else {
		a.sym, a.off = r.Symbol, r.Addend
	}
	return single(a)
}

// address returns the pointer of a load or store.
func (c *context) address(s *state, in *op.Inst, o *op.Op) (p *val, got bool) {
	if o.A == op.None || c.isa.Align > 1 {
		if r, ok := c.reloc(in); ok {
			switch r.Kind {
			case RelocPageOff, RelocAddr:
				p = r.address(in.Addr, in.Name)
				if d := c.beyond(in, o); d != 0 {
					p = binary(op.Add, p, constant(uint64(d), 0, ""), 64, in.Addr, in.Name)
				}
				return p, false
			case RelocGOTOff, RelocGOT:
				return single(atom{kind: KindAddr, bits: 64, sym: r.Symbol, def: in.Addr, how: in.Name}), true
			case RelocOther, RelocPage, RelocGOTPage:
				return unknown("relocated address of "+r.Symbol, in.Addr), false
			}
		}
	}
	if o.A == op.None {
		return single(atom{kind: KindAddr, bits: 64, c: uint64(o.Imm), def: in.Addr, how: in.Name}), false
	}
	p = s.regs[o.A].v
	if o.Imm != 0 {
		p = binary(op.Add, p, constant(uint64(o.Imm), 0, ""), 64, in.Addr, in.Name)
	}
	return p, false
}

// operate executes the operations of an instruction.
func (c *context) operate(s *state, in *op.Inst) {
	for i := range in.Ops {
		o := &in.Ops[i]
		c.ops++
		w := o.Width
		if w == 0 {
			w = 64
		}
		switch o.Kind {
		case op.Const:
			c.set(s, o.Dst, cell{v: constant(uint64(o.Imm)&maskOf(w), in.Addr, in.Name)}, in.Addr)
		case op.Addr:
			c.set(s, o.Dst, cell{v: c.formed(in, o)}, in.Addr)
		case op.Move:
			x := s.regs[o.A]
			if v := cut(x.v, w, false, in.Addr, in.Name); v != x.v && !sameVal(v, x.v) {
				x = cell{v: v}
			}
			c.set(s, o.Dst, x, in.Addr)
		case op.Add, op.Sub, op.And, op.Or, op.Xor, op.Shl, op.Shr, op.Sar, op.Ror, op.Mul:
			c.compute(s, in, o, w)
		case op.Extract:
			v := s.regs[o.A].v
			if o.Lsb != 0 {
				v = binary(op.Shr, v, constant(uint64(o.Lsb), 0, ""), 64, in.Addr, in.Name)
			}
			v = cut(v, o.Size, o.Signed, in.Addr, in.Name)
			c.set(s, o.Dst, cell{v: cut(v, w, false, in.Addr, in.Name)}, in.Addr)
		case op.Insert:
			m := maskOf(o.Size)
			hole := binary(op.And, s.regs[o.Dst].v, constant(maskOf(w)&^(m<<o.Lsb), 0, ""), 64, in.Addr, in.Name)
			part := binary(op.And, s.regs[o.A].v, constant(m, 0, ""), 64, in.Addr, in.Name)
			part = binary(op.Shl, part, constant(uint64(o.Lsb), 0, ""), 64, in.Addr, in.Name)
			c.set(s, o.Dst, cell{v: binary(op.Or, hole, part, 64, in.Addr, in.Name)}, in.Addr)
		case op.Select:
			c.choose(s, in, o, i, w)
		case op.Load:
			c.loadOp(s, in, o, i, w)
		case op.Store:
			p, _ := c.address(s, in, o)
			c.store(s, p, int64(o.Size), s.regs[o.B], c.number(in, i), in)
		case op.StoreImm:
			p, _ := c.address(s, in, o)
			c.store(s, p, int64(o.Size), cell{v: constant(o.Val, in.Addr, in.Name)}, c.number(in, i), in)
		case op.Havoc:
			p, _ := c.address(s, in, o)
			c.havoc(s, p, int64(o.Size), in)
		case op.Flags:
			b := cell{v: constant(uint64(o.Imm)&maskOf(w), in.Addr, in.Name)}
			if o.B != op.None {
				b = s.regs[o.B]
			}
			s.flags = comparison{o.Test, w, s.regs[o.A], b}
		case op.Clobber:
			c.clobber(s, in, o)
		case op.ClobberFlags:
			s.flags = comparison{}
		case op.ClobberAll:
			c.clobberAll(s, "written by "+in.Name, in.Addr)
		}
	}
}

func (c *context) store(s *state, p *val, size int64, v cell, vn uint32, in *op.Inst) {
	c.ops += len(s.mem) / 16
	c.keep(s, p, int(size), v.v, in)
	c.put(s, p, int(size), v.v, in)
	s.store(p, size, v, vn, in.Addr, in.Name)
}

func (c *context) havoc(s *state, p *val, size int64, in *op.Inst) {
	u := cell{v: unknown("written by "+in.Name, in.Addr)}
	if size == 0 || size > 64 {
		if p.stackish() || s.escaped {
			s.weakenAll("perhaps written by "+in.Name, in.Addr)
		}
		return
	}
	for n := int64(0); n < size; n += 8 {
		q := p
		if n > 0 {
			q = binary(op.Add, p, constant(uint64(n), 0, ""), 64, in.Addr, in.Name)
		}
		s.store(q, min(8, size-n), u, c.number(in, 15), in.Addr, in.Name)
	}
}

func (c *context) clobber(s *state, in *op.Inst, o *op.Op) {
	v := unknown("computed by "+in.Name, in.Addr)
	if o.Width != 0 && o.Width < 64 {
		v = cut(v, o.Width, false, in.Addr, in.Name)
	}
	for _, r := range []op.Reg{o.A, o.B} {
		if r != op.None && s.regs[r].v.stackish() {
			v = join(v, stackAny)
			break
		}
	}
	c.set(s, o.Dst, cell{v: v}, in.Addr)
}

func (c *context) clobberAll(s *state, why string, site uint64) {
	for r := range s.regs {
		if s.regs[r].v.stackish() && op.Reg(r) != c.isa.SP {
			s.escaped = true
		}
	}
	u := unknown(why, site)
	for r := range s.regs {
		if op.Reg(r) != c.isa.SP {
			s.regs[r] = cell{v: u}
		}
	}
	s.flags = comparison{}
	if s.escaped {
		s.weakenAll(why, site)
	}
}

// beyond is the distance of an access from the relocated address: one instruction may access several words.
func (c *context) beyond(in *op.Inst, o *op.Op) int64 {
	for i := range in.Ops {
		switch x := &in.Ops[i]; x.Kind {
		case op.Load, op.Store, op.StoreImm, op.Havoc:
			if x.A == o.A {
				return o.Imm - x.Imm
			}
		}
	}
	return 0
}

func (c *context) formed(in *op.Inst, o *op.Op) *val {
	if r, ok := c.reloc(in); ok {
		switch r.Kind {
		case RelocAddr:
			return r.address(in.Addr, in.Name)
		case RelocNone, RelocBranch:
		default:
			return unknown("page of "+r.Symbol, in.Addr)
		}
	}
	return single(atom{kind: KindAddr, bits: 64, c: uint64(o.Imm), def: in.Addr, how: in.Name})
}

func (c *context) compute(s *state, in *op.Inst, o *op.Op, w uint8) {
	a := s.regs[o.A].v
	var b *val
	if o.B == op.None {
		if o.Kind == op.Add && c.isa.Align > 1 && w == 64 {
			if r, ok := c.reloc(in); ok && r.Kind == RelocPageOff {
				c.set(s, o.Dst, cell{v: r.address(in.Addr, in.Name)}, in.Addr)
				return
			}
		}
		b = constant(uint64(o.Imm)&maskOf(w), in.Addr, in.Name)
	} else {
		b = s.regs[o.B].v
	}
	c.ops += len(a.atoms) * len(b.atoms) / 4
	c.set(s, o.Dst, cell{v: binary(o.Kind, a, b, w, in.Addr, in.Name)}, in.Addr)
}

func (c *context) loadOp(s *state, in *op.Inst, o *op.Op, i int, w uint8) {
	p, got := c.address(s, in, o)
	c.ops += len(p.atoms) + len(s.mem)/16
	if got {
		c.note(p, in.Addr)
		c.set(s, o.Dst, cell{v: p}, in.Addr)
		return
	}
	v, vn := c.load(s, p, o.Size, o.Signed, w, in.Addr, in.Name)
	if vn == 0 {
		vn = c.number(in, i)
		s.renumber(vn)
		// The slot it came from holds the same from now on.
		if len(p.atoms) == 1 && p.rest == nil && p.atoms[0].kind == KindStack && !o.Signed {
			a := &p.atoms[0]
			j := s.find(a.site, a.off)
			if j < len(s.mem) && s.mem[j].region == a.site && s.mem[j].off == a.off && s.mem[j].size == int64(o.Size) {
				s.mem[j].vn = vn
			} else if o.Size <= 8 && (j == len(s.mem) || s.mem[j].region != a.site || s.mem[j].off >= a.off+int64(o.Size)) {
				s.write(a.site, a.off, int64(o.Size), cell{v, vn})
			}
		}
	}
	c.note(v, in.Addr)
	c.set(s, o.Dst, cell{v, vn}, in.Addr)
}

func (c *context) choose(s *state, in *op.Inst, o *op.Op, i int, w uint8) {
	a, b := s.regs[o.A], s.regs[o.B]
	var x cell
	switch decide(&s.flags, o.Cond) {
	case yes:
		x = a
	case no:
		x = b
	default:
		va, vb := a.v, b.v
		if f := &s.flags; f.test == op.Cmp {
			// The condition holds of the chosen side.
			if a.vn != 0 && a.vn == f.a.vn {
				va = constrain(va, f, o.Cond)
			}
			if b.vn != 0 && b.vn == f.a.vn {
				vb = constrain(vb, f, o.Cond.Not())
			}
		}
		switch {
		case va == nil && vb == nil:
			x = a
		case va == nil:
			x = b
		case vb == nil:
			x = a
		default:
			vn := c.number(in, i)
			s.renumber(vn)
			x = cell{join(va, vb), vn}
		}
	}
	if v := cut(x.v, w, false, in.Addr, in.Name); v != x.v && !sameVal(v, x.v) {
		x = cell{v: v}
	}
	c.set(s, o.Dst, x, in.Addr)
}

// step executes an instruction that goes on to the next.
func (c *context) step(s *state, in *op.Inst) {
	c.operate(s, in)
	switch in.Flow {
	case op.Call, op.CallReg, op.Trap:
		c.call(s, in, false)
	}
}
