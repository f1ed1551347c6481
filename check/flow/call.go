package flow

import (
	"fmt"
	"slices"

	"portcullis.dev/check/flow/op"
)

// argStack is how many bytes of outgoing stack arguments are looked at for pointers into the frame.
const argStack = 128

// callees lists the symbols a call or jump may reach. Only is false where it may reach something else as well; local
// is the address of a function in the image, where the call reaches just that.
func (c *context) callees(s *state, in *op.Inst) (syms []string, only bool, local uint64) {
	switch in.Flow {
	case op.Call, op.Jump, op.Branch:
		if sym, ok := c.symbol(in); ok {
			if r, ok := c.reloc(in); ok && r.Defined && r.Kind == RelocBranch {
				local = r.Addr + uint64(r.Addend)
			}
			return []string{sym}, true, local
		}
		return nil, true, in.Target
	case op.CallReg, op.JumpReg:
		v := s.regs[in.Reg].v
		only = v.rest == nil && len(v.atoms) == 1
		for i := range v.atoms {
			a := &v.atoms[i]
			if a.kind != KindAddr || a.off != 0 || a.bits != 64 {
				only = false
				continue
			}
			sym := a.sym
			if sym == "" {
				var ok bool
				if sym, ok = c.img.Callee(in.Addr, a.c); !ok {
					if only {
						local = a.c
					}
					continue
				}
			}
			syms = append(syms, sym)
		}
	}
	return syms, only, local
}

// note remembers where the address of a wanted symbol is made.
func (c *context) note(v *val, site uint64) {
	if !c.emitting {
		return
	}
	for i := range v.atoms {
		a := &v.atoms[i]
		if a.kind != KindAddr || a.def != site {
			continue
		}
		sym := a.sym
		if sym == "" {
			continue
		}
		if _, ok := c.m.Want(sym); ok {
			c.taken[site] = sym
		}
	}
}

// call does to the state what a call or system call does.
func (c *context) call(s *state, in *op.Inst) {
	c.ops += 8 + len(s.mem)/4
	var syms []string
	only := false
	var local uint64
	if in.Flow == op.Trap {
		if c.emitting && c.m.Traps > 0 {
			c.calls[in.Addr] = &Call{Site: in.Addr, Trap: true, Reached: true, Only: true,
				Number: Value{c.doubt(s.regs[c.isa.Number].v), s.clone(), c}, Args: c.args(s, c.m.Traps, c.isa.StackArgs)}
		}
	} else {
		syms, only, local = c.callees(s, in)
		if c.emitting {
			c.emit(s, in, syms, only, c.isa.StackArgs, false)
		}
		if local != 0 && only && c.inline(s, in, local) {
			return
		}
	}
	sym := ""
	if len(syms) == 1 && only {
		sym = syms[0]
	}
	if e, ok := c.m.Effect(sym); ok && sym != "" {
		c.effect(s, in, sym, e)
	} else {
		c.unknownCallee(s, in, sym)
	}
	c.clobbered(s, in, sym)
}

// unknownCallee lets a callee keep the pointers into the frame that it can see, and write through them.
func (c *context) unknownCallee(s *state, in *op.Inst, sym string) {
	if !s.escaped {
		for _, set := range [][]op.Reg{c.isa.Args, c.isa.Extra} {
			for _, r := range set {
				s.escaped = s.escaped || s.regs[r].v.stackish()
			}
		}
		sp := s.regs[c.isa.SP].v
		for i := range sp.atoms {
			a := &sp.atoms[i]
			if a.kind != KindStack {
				s.escaped = true
				continue
			}
			at := a.off + c.isa.StackArgs
			for j := s.find(a.site, at); j < len(s.mem) && s.mem[j].region == a.site && s.mem[j].off < at+argStack; j++ {
				s.escaped = s.escaped || s.mem[j].v.stackish()
			}
		}
	}
	if s.escaped {
		s.weakenAll("perhaps written by "+callee(sym)+" through a pointer", in.Addr)
	}
}

// clobbered forgets the registers that a callee may change, and sets its result.
func (c *context) clobbered(s *state, in *op.Inst, sym string) {
	u := unknown("a register after "+callee(sym)+" was called", in.Addr)
	for r := range s.regs {
		if !c.saved[r] {
			s.regs[r] = cell{v: u}
		}
	}
	s.flags = comparison{}
	if in.Flow != op.Trap {
		vn := c.number(in, 14)
		s.renumber(vn)
		v := single(atom{kind: KindResult, bits: 64, sym: sym, site: in.Addr, def: in.Addr, how: "call"})
		if _, known := c.m.Effect(sym); s.escaped && !known {
			// A callee may hand back the pointer it was given.
			v = join(v, stackAny)
		}
		s.regs[c.isa.Result[0]] = cell{v, vn}
	}
}

// effect applies what is known of a callee to the memory it writes.
func (c *context) effect(s *state, in *op.Inst, sym string, e Effect) {
	arg := func(i int) *val {
		if i < len(c.isa.Args) {
			return s.regs[c.isa.Args[i]].v
		}
		return c.stackArg(s, i-len(c.isa.Args), c.isa.StackArgs)
	}
	if e.Copies || e.Fills || e.Zeroes {
		c.bulk(s, in, sym, e, arg)
		return
	}
	for _, w := range e.Writes {
		p := arg(w.Arg)
		why := fmt.Sprintf("perhaps written by %s through its argument %d", sym, w.Arg+1)
		out := atom{kind: KindOut, bits: 64, sym: sym, site: in.Addr, index: int32(w.Arg), def: in.Addr, how: "call"}
		if w.Bytes < 8 {
			out.bits = uint8(8 * w.Bytes)
		}
		for i := range p.atoms {
			a := &p.atoms[i]
			switch {
			case a.kind == KindStack && a.bits == 64 && w.Exact && len(p.atoms) == 1 && p.rest == nil:
				vn := c.number(in, 8+w.Arg)
				s.renumber(vn)
				v := single(out)
				// A call that fails leaves the memory as it was.
				if s.covers(a.site, a.off, int64(w.Bytes)) {
					if old := s.read(c, a.site, a.off, int64(w.Bytes)).v; !meaningless(old) {
						v = join(v, old)
					}
				}
				s.write(a.site, a.off, int64(w.Bytes), cell{v, vn})
			case a.kind == KindStack && a.bits == 64:
				s.outs(a.site, a.off, int64(w.Bytes), out, why, in.Addr)
			case a.stackish():
				s.weakenAll(why, in.Addr)
			}
		}
		if s.escaped && !p.imageOnly() && !onlyStack(p) {
			s.weakenAll(why, in.Addr)
		}
	}
}

// outs says that a callee may have written anything up to n bytes from off on.
func (s *state) outs(region uint64, off, n int64, out atom, why string, site uint64) {
	for at := off; at < off+n; {
		i := s.find(region, at)
		if i < len(s.mem) && s.mem[i].region == region && s.mem[i].off <= at {
			x := &s.mem[i]
			if x.off >= off && x.end() <= off+n && x.size <= 8 {
				a := out
				a.field = x.off - off
				a.bits = uint8(8 * x.size)
				x.cell = cell{v: join(x.v, single(a))}
			} else {
				x.cell = cell{v: weaken(x.v, why, site)}
			}
			at = x.end()
			continue
		}
		end := off + n
		if i < len(s.mem) && s.mem[i].region == region {
			end = min(end, s.mem[i].off)
		}
		a := out
		a.field = at - off
		if end-at < 8 {
			a.bits = uint8(8 * (end - at))
		}
		s.write(region, at, end-at, cell{v: &val{[]atom{a}, &rest{reasons: []reason{{why, site}}}}})
		at = end
	}
}

const maxBulk = 1 << 14

// bulk models memcpy, memset and bzero of a known size onto the frame.
func (c *context) bulk(s *state, in *op.Inst, sym string, e Effect, arg func(int) *val) {
	to := arg(0)
	if s.escaped && !to.imageOnly() && !onlyStack(to) {
		s.weakenAll("perhaps written by "+sym, in.Addr)
	}
	// What is copied may be a pointer into the frame.
	if e.Copies && !onlyStack(to) && arg(1).stackish() {
		s.escaped = true
	}
	if !to.stackish() {
		return
	}
	n, ok := arg(e.SizeArg).constOnly()
	a := &to.atoms[0]
	if !ok || n > maxBulk || len(to.atoms) != 1 || to.rest != nil || a.kind != KindStack {
		if e.Copies && arg(1).stackish() {
			s.escaped = true
		}
		s.weakenAll("perhaps written by "+sym, in.Addr)
		return
	}
	if n == 0 {
		return
	}
	why := unknown("written by "+sym, in.Addr)
	switch {
	case e.Zeroes:
		s.write(a.site, a.off, int64(n), cell{v: constant(0, in.Addr, sym)})
	case e.Fills:
		v := why
		if b, ok := arg(1).constOnly(); ok {
			v = constant(b&0xff*0x0101010101010101&maskOf(uint8(8*min(n, 8))), in.Addr, sym)
		}
		if n <= 8 {
			v = cut(v, uint8(8*n), false, in.Addr, sym)
		}
		s.write(a.site, a.off, int64(n), cell{v: v})
	default:
		from := arg(1)
		var parts []*val
		for i := uint64(0); i < n; i += 8 {
			p := binary(op.Add, from, constant(i, 0, ""), 64, in.Addr, sym)
			v, _ := c.load(s, p, uint8(min(8, n-i)), false, 64, in.Addr, sym)
			parts = append(parts, v)
		}
		for i, v := range parts {
			at := int64(i) * 8
			s.write(a.site, a.off+at, min(8, int64(n)-at), cell{v: v})
		}
	}
}

// maxInline is the number of instructions of a callee that are followed in place of a call.
const maxInline = 48

// inline follows a callee that is a short straight line. It matters for code that the compiler outlined: such a
// function keeps to no calling convention; it sets arguments, saved registers and the frame of its caller.
func (c *context) inline(s *state, in *op.Inst, addr uint64) bool {
	if c.depth >= 2 || addr%c.isa.Align != 0 {
		return false
	}
	var line []op.Inst
	for range maxInline {
		b := c.img.Bytes(addr, c.isa.MaxLen)
		for n := c.isa.MaxLen - 1; b == nil && n > 0; n-- {
			b = c.img.Bytes(addr, n)
		}
		if b == nil {
			return false
		}
		var x op.Inst
		c.isa.Decode(b, addr, &x)
		c.ops += 4
		line = append(line, x)
		addr += uint64(x.Len)
		switch x.Flow {
		case op.Next, op.Call:
			continue
		case op.Return:
			return c.follow(s, in, line)
		case op.Jump:
			if sym, ok := c.img.Callee(x.Addr, x.Target); ok && sym != "" {
				return c.follow(s, in, line)
			}
		}
		return false
	}
	return false
}

// follow executes the instructions of a callee on the caller's state.
func (c *context) follow(s *state, in *op.Inst, line []op.Inst) bool {
	t := s.clone()
	sp := t.regs[c.isa.SP].v
	if c.isa.StackArgs != c.isa.EntryArgs { // the return address
		d := c.isa.EntryArgs - c.isa.StackArgs
		c.set(t, c.isa.SP, cell{v: binary(op.Sub, sp, constant(uint64(d), 0, ""), 64, in.Addr, "call")}, in.Addr)
		t.store(t.regs[c.isa.SP].v, d, cell{v: unknown("return address", in.Addr)}, 0, in.Addr, "call")
	}
	depth, emitting := c.depth, c.emitting
	c.depth, c.emitting = c.depth+1, false
	defer func() { c.depth, c.emitting = depth, emitting }()
	for i := range line {
		x := &line[i]
		// Values it defines are known by the call: the callee's own addresses lie outside the function.
		y := *x
		y.Addr = in.Addr
		if i == len(line)-1 && x.Flow == op.Return {
			c.operate(t, x)
			break
		}
		c.operate(t, x)
		switch x.Flow {
		case op.Call, op.Jump:
			sym, ok := c.img.Callee(x.Addr, x.Target)
			if !ok && c.depth < 2 && c.inline(t, in, x.Target) {
				continue
			}
			if e, known := c.m.Effect(sym); ok && known {
				c.effect(t, in, sym, e)
			} else {
				c.unknownCallee(t, in, sym)
			}
			c.clobbered(t, in, sym)
		}
	}
	if c.isa.StackArgs != c.isa.EntryArgs {
		// The last instruction took the return address, or the function it jumped to did.
		if line[len(line)-1].Flow == op.Jump {
			d := c.isa.EntryArgs - c.isa.StackArgs
			c.set(t, c.isa.SP, cell{v: binary(op.Add, t.regs[c.isa.SP].v, constant(uint64(d), 0, ""), 64, in.Addr,
				"ret")}, in.Addr)
		}
	}
	for i := range t.regs {
		t.regs[i].vn = 0
	}
	for i := range t.mem {
		t.mem[i].vn = 0
	}
	t.flags = comparison{}
	if v := t.regs[c.isa.SP].v; onlyStack(v) && len(v.atoms) == 1 {
		// What the callee left below the stack pointer is gone.
		a := &v.atoms[0]
		t.mem = slices.DeleteFunc(t.mem, func(x slot) bool { return x.region == a.site && x.end() <= a.off })
	}
	*s = *t
	return true
}
