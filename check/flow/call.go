package flow

import (
	"fmt"

	"portcullis.dev/check/flow/op"
)

// argStack is how many bytes of outgoing stack arguments are looked at for pointers into the frame.
const argStack = 128

// reach is where a call or jump may lead.
type reach struct {
	syms   []string // symbols of other images
	locals []uint64 // functions of this image
	only   bool     // nowhere else
}

// callees lists what a call or jump may reach.
func (c *context) callees(s *state, in *op.Inst) (to reach) {
	switch in.Flow {
	case op.Call, op.Jump, op.Branch:
		to.only = true
		if sym, ok := c.symbol(in); ok {
			to.syms = []string{sym}
			if r, ok := c.reloc(in); ok && r.Defined && r.Kind == RelocBranch {
				to.locals = []uint64{r.Addr + uint64(r.Addend)}
			}
			return to
		}
		to.locals = []uint64{in.Target}
	case op.CallReg, op.JumpReg:
		v := s.regs[in.Reg].v
		to.only = v.rest == nil && len(v.atoms) > 0
		for i := range v.atoms {
			a := &v.atoms[i]
			switch {
			case a.kind == KindConst && a.c == 0:
				// A call through a null pointer goes nowhere.
			case a.kind != KindAddr || a.off != 0 || a.bits != 64:
				to.only = false
			case a.sym != "":
				to.syms = append(to.syms, a.sym)
			default:
				if sym, ok := c.img.Callee(in.Addr, a.c); ok {
					to.syms = append(to.syms, sym)
				} else {
					to.locals = append(to.locals, a.c)
				}
			}
		}
		to.only = to.only && len(to.syms)+len(to.locals) == 1
	}
	return to
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

// call does to the state what a call or system call does; of a tail call, what happens until the function returns.
func (c *context) call(s *state, in *op.Inst, tail bool) {
	c.ops += 8 + len(s.mem)/4
	stack := c.isa.StackArgs
	if tail {
		stack = c.isa.EntryArgs
	}
	var to reach
	if in.Flow == op.Trap {
		if c.emitting && c.m.Traps > 0 {
			c.calls[in.Addr] = &Call{Site: in.Addr, Trap: true, Reached: true, Only: true,
				Number: Value{c.doubt(s.regs[c.isa.Number].v), s.clone(), c}, Args: c.trapArgs(s)}
		}
	} else {
		to = c.callees(s, in)
		if c.emitting {
			c.emit(s, in, to, stack, tail)
		}
		if to.only && len(to.locals) == 1 && c.descend(s, in, to.locals[0], tail) {
			return
		}
	}
	sym := ""
	if len(to.syms) == 1 && to.only {
		sym = to.syms[0]
	}
	if e, ok := c.m.Effect(sym); ok && sym != "" {
		c.effect(s, in, sym, e)
	} else {
		c.unknownCallee(s, in, sym)
	}
	found := c.lookedUp(s, in, sym)
	if found == nil {
		found = c.allocated(s, in, sym)
	}
	if found == nil {
		found = c.selected(s, sym)
	}
	if e, ok := c.m.Effect(sym); ok && e.Returns > 0 && found == nil {
		found = s.regs[c.isa.Args[e.Returns-1]].v
	}
	c.clobbered(s, in, sym)
	if found != nil {
		c.note(found, in.Addr)
		s.regs[c.isa.Result[0]].v = found
	}
	if tail {
		c.popReturn(s, in)
	}
}

// popReturn takes the return address from the stack, where the instruction set keeps it there.
func (c *context) popReturn(s *state, in *op.Inst) {
	if d := c.isa.EntryArgs - c.isa.StackArgs; d != 0 {
		c.set(s, c.isa.SP, cell{v: binary(op.Add, s.regs[c.isa.SP].v, constant(uint64(d), 0, ""), 64, in.Addr, "ret")},
			in.Addr)
	}
}

// trapArgs reads the arguments of a system call.
func (c *context) trapArgs(s *state) []Value {
	regs := c.isa.TrapArgs
	if regs == nil {
		regs = c.isa.Args
	}
	at := c.snapshot(s)
	var out []Value
	for i := range c.m.Traps {
		v := unknown("an argument that no register holds", 0)
		if i < len(regs) {
			v = s.regs[regs[i]].v
		}
		out = append(out, Value{c.doubt(v), at, c})
	}
	return out
}

// unknownCallee lets a callee keep the pointers into the frame that it can see, and write through them.
func (c *context) unknownCallee(s *state, in *op.Inst, sym string) {
	if !s.escaped {
		for _, set := range [][]op.Reg{c.isa.Args, c.isa.Extra} {
			for i, r := range set {
				if i == 0 && toSuper(sym) {
					continue // a struct that says which superclass: the callee gets the object in it
				}
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
				s.escaped = s.escaped || s.mem[j].v.stackish() && !c.savedFrame(s, &s.mem[j])
			}
		}
	}
	if s.escaped {
		s.weakenAll("perhaps written by "+callee(sym)+" through a pointer", in.Addr)
	}
}

// savedFrame tells whether a slot is where the frame pointer points: it holds that of the caller, which is no argument.
func (c *context) savedFrame(s *state, x *slot) bool {
	fp := s.regs[c.isa.FP].v
	return len(fp.atoms) == 1 && fp.rest == nil && fp.atoms[0].kind == KindStack && fp.atoms[0].site == x.region &&
		fp.atoms[0].off == x.off && x.size == 8
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
	if e.Allocates {
		return
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
		if e.Made > 0 {
			made := arg(e.Made - 1)
			if e.MadeBehind {
				made, _ = c.load(s, made, 4, false, 64, in.Addr, sym)
			}
			if k, ok := cut(made, 32, false, 0, "").constOnly(); ok {
				out.c = MadeKnown | k
			}
		}
		c.keep(s, p, w.Bytes, single(out), in)
		c.put(s, p, w.Bytes, single(out), in)
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
		step := uint64(8)
		if e.Pattern == 4 {
			step = 4
		}
		for i := uint64(0); i < n; i += step {
			at := i
			if e.Pattern > 0 {
				at %= uint64(e.Pattern)
			}
			p := binary(op.Add, from, constant(at, 0, ""), 64, in.Addr, sym)
			v, _ := c.load(s, p, uint8(min(step, n-i)), false, 64, in.Addr, sym)
			parts = append(parts, v)
		}
		for i, v := range parts {
			at := uint64(i) * step
			s.write(a.site, a.off+int64(at), int64(min(step, n-at)), cell{v: v})
		}
	}
}
