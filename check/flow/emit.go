package flow

import "portcullis.dev/check/flow/op"

// emitAll runs every block once more from its final state and records the calls.
func (c *context) emitAll() {
	c.emitting = true
	for _, b := range c.g.blocks {
		if b.in == nil {
			continue
		}
		s := c.copyOf(b.in)
		for i, in := range b.insts {
			if i < len(b.insts)-1 || in.Flow == op.Call || in.Flow == op.CallReg || in.Flow == op.Trap {
				c.step(s, in)
				continue
			}
			c.operate(s, in)
			switch in.Flow {
			case op.Jump:
				if c.leaves(in) {
					c.call(s, in, true)
				}
			case op.JumpReg:
				c.call(s, in, true)
			case op.Branch:
				if c.leaves(in) && c.assume(s, in, false) {
					c.call(s, in, true)
				}
			}
		}
		c.drop(s)
	}
	c.emitting = false
	if c.nested {
		return
	}
	// Calls in blocks that nothing reaches.
	for _, b := range c.g.blocks {
		if b.in == nil && b.live {
			for _, in := range b.insts {
				c.emitSite(in.Addr, "no path from the start of the function to the call is seen")
			}
		}
	}
}

// emit records a call, once for each wanted symbol it may reach (the first counts where there are several), and where
// it may reach a function that was asked for.
func (c *context) emit(s *state, in *op.Inst, to reach, stack int64, tail bool) {
	indirect := in.Flow == op.CallReg || in.Flow == op.JumpReg
	if indirect {
		v := s.regs[in.Reg].v
		for i := range v.atoms {
			c.called[v.atoms[i].def] = true
		}
	}
	if c.nested && !indirect {
		return // whoever asks for it follows the callee itself
	}
	only := to.only && (!indirect || c.lost == "")
	if c.m.Into != nil {
		for _, addr := range to.locals {
			if c.m.Into(addr) && len(c.reached) < maxSnapshots {
				c.reached = append(c.reached, Reach{Site: in.Addr, Func: addr, Tail: tail, Only: only, Chain: c.chain,
					Entry: &Entry{s.clone(), c, in.Addr, tail}})
			}
		}
	}
	if c.m.Into != nil {
		c.emitCallbacks(s, in, to.syms)
	}
	for _, sym := range to.syms {
		if c.m.Into != nil {
			c.sent(s, in, sym, tail)
		}
		n, ok := c.m.Want(sym)
		if !ok {
			continue
		}
		c.calls[in.Addr] = &Call{Site: in.Addr, Symbol: sym, Tail: tail, Indirect: indirect, Only: only, Chain: c.chain,
			Reached: true, Args: c.args(s, n, stack)}
		return
	}
}

// maxSnapshots is the number of calls of a function of which the state is kept for [Value.Load].
const maxSnapshots = 4096

func (c *context) snapshot(s *state) *state {
	if len(c.calls) < maxSnapshots {
		return s.clone()
	}
	return nil
}

// args reads the arguments at a call.
func (c *context) args(s *state, n int, stack int64) []Value {
	at := c.snapshot(s)
	var out []Value
	for i := range n {
		var v *val
		if i < len(c.isa.Args) {
			v = s.regs[c.isa.Args[i]].v
		} else {
			v = c.stackArg(s, i-len(c.isa.Args), stack)
		}
		out = append(out, Value{c.doubt(v), at, c})
	}
	return out
}

// doubt adds to a value what paths that could not be followed may bring.
func (c *context) doubt(v *val) *val {
	if c.lost == "" {
		return v
	}
	return weaken(v, c.lost, 0)
}

// stackArg reads the i-th argument on the stack.
func (c *context) stackArg(s *state, i int, stack int64) *val {
	p := binary(op.Add, s.regs[c.isa.SP].v, constant(uint64(stack+8*int64(i)), 0, ""), 64, 0, "")
	if len(p.atoms) == 1 && p.rest == nil && p.atoms[0].kind == KindStack {
		// A 32-bit argument is stored in four bytes; what lies above is left over.
		a := &p.atoms[0]
		j := s.find(a.site, a.off)
		if j < len(s.mem) && s.mem[j].region == a.site && s.mem[j].off == a.off && s.mem[j].size < 8 {
			return s.mem[j].v
		}
	}
	v, _ := c.load(s, p, 8, false, 64, 0, "")
	return v
}

// emitStatic records the direct calls of a function whose values could not be followed.
func (c *context) emitStatic() {
	for i := range c.g.insts {
		c.emitSite(c.g.insts[i].Addr, c.problem)
	}
}

// emitSite records a call that the data flow did not reach, or the place where a wanted address is loaded.
func (c *context) emitSite(site uint64, why string) {
	if c.calls[site] != nil || site%c.isa.Align != 0 {
		return
	}
	in := c.sitedInst(site)
	site = in.Addr
	if _, ok := c.taken[site]; ok || c.calls[site] != nil {
		return
	}
	switch in.Flow {
	case op.Call, op.Jump, op.Branch:
		sym, ok := c.img.Callee(site, in.Target)
		if !ok || in.Flow != op.Call && c.inside(in.Target) && in.Target != site && in.Target != site+uint64(in.Len) {
			return
		}
		if _, ok := c.m.Want(sym); ok {
			call := c.unreached(site, sym, why)
			call.Tail = in.Flow != op.Call
			c.calls[site] = call
		}
		return
	case op.Trap:
		if c.m.Traps > 0 {
			call := &Call{Site: site, Trap: true, Only: true, Number: Value{v: unknown(why, 0), ctx: c}}
			for range c.m.Traps {
				call.Args = append(call.Args, Value{v: unknown(why, 0), ctx: c})
			}
			c.calls[site] = call
		}
		return
	}
	// A load of an import's address, pc-relative.
	for i := range in.Ops {
		o := &in.Ops[i]
		if o.Kind != op.Load || o.A != op.None {
			continue
		}
		if _, sym, ok := c.img.Pointer(uint64(o.Imm)); ok && sym != "" {
			if _, ok := c.m.Want(sym); !ok {
				continue
			}
			if in.Flow == op.CallReg || in.Flow == op.JumpReg {
				call := c.unreached(site, sym, why)
				call.Tail, call.Indirect = in.Flow == op.JumpReg, true
				c.calls[site] = call
			} else {
				c.taken[site] = sym
			}
		}
	}
}

// sitedInst returns the instruction at a site. In object files of x86_64 that may be the relocated field inside of it.
func (c *context) sitedInst(site uint64) (in op.Inst) {
	inGraph := func(addr uint64) *op.Inst {
		if c.g == nil || !c.inside(addr) {
			return nil
		}
		return c.g.lookup(c, addr)
	}
	if x := inGraph(site); x != nil {
		return *x
	}
	if c.isa.Align == 1 {
		most := min(uint64(c.isa.MaxLen)-1, site-c.f.Start)
		for back := uint64(1); back <= most; back++ {
			if x := inGraph(site - back); x != nil && uint64(x.Len) > back {
				return *x
			}
		}
		if _, ok := c.img.Reloc(site); ok {
			for back := uint64(1); back <= most; back++ {
				in = op.Inst{}
				c.isa.Decode(c.bytesAt(site-back), site-back, &in)
				if uint64(in.Field) == back {
					in.Addr = site - back
					return in
				}
			}
		}
	}
	in = op.Inst{}
	c.isa.Decode(c.bytesAt(site), site, &in)
	in.Addr = site
	return in
}

func (c *context) bytesAt(addr uint64) []byte {
	for n := c.isa.MaxLen; n > 0; n-- {
		if b := c.img.Bytes(addr, n); b != nil {
			return b
		}
	}
	return nil
}
