package flow

import (
	"slices"

	"portcullis.dev/check/flow/op"
)

// Functions of the image are followed into. A callee runs on the state of its caller, so that it sees what the caller
// passes, also through pointers into the caller's frame, and the caller sees what it returns and writes. That is exact
// for code which keeps to no calling convention as well, as the functions do that compilers outline.

const (
	maxCalleeCode  = 4096 // bytes of a callee
	maxCalleeDepth = 5
)

// callees are the functions that were followed into, by address; nil for one that cannot be.
type callees struct {
	known  map[uint64]*context
	budget int // operations left
	spent  int
	free   []*state // to be used again
}

// Entry is the state of a caller at a call.
type Entry struct {
	at   *state
	ctx  *context
	site uint64
	tail bool
}

// Arg returns what the caller passes as the i-th integer argument.
func (e *Entry) Arg(i int) Value {
	stack := e.ctx.isa.StackArgs
	if e.tail {
		stack = e.ctx.isa.EntryArgs
	}
	if i < len(e.ctx.isa.Args) {
		return Value{e.at.regs[e.ctx.isa.Args[i]].v, e.at, e.ctx}
	}
	return Value{e.ctx.stackArg(e.at, i-len(e.ctx.isa.Args), stack), e.at, e.ctx}
}

// Reach is a call of a function of the image.
type Reach struct {
	Site uint64
	Func uint64 // address of the function called
	Tail bool
	// Only is false where an indirect call may go elsewhere as well.
	Only  bool
	Chain []uint64 // as in [Call]
	Entry *Entry
}

// enter is the state at the start of a function that is called from s.
func (c *context) enter(s *state, site uint64, tail bool) *state {
	t := s.clone()
	t.forget()
	if d := c.isa.EntryArgs - c.isa.StackArgs; d != 0 && !tail { // the return address
		sp := binary(op.Sub, t.regs[c.isa.SP].v, constant(uint64(d), 0, ""), 64, site, "call")
		c.set(t, c.isa.SP, cell{v: sp}, site)
		t.store(sp, d, cell{v: unknown("return address", site)}, 0, site, "call")
	}
	for i, r := range c.isa.Args {
		t.regs[r].vn = uint32(i) + 1
	}
	if c.isa.Align == 1 { // rax means nothing, and is pushed to make room
		t.regs[c.isa.Result[0]] = cell{v: unknown(atEntry, 0)}
	}
	return t
}

// forget takes away what is only meant inside one function: which places hold equal values, and the flags.
func (s *state) forget() {
	for i := range s.regs {
		s.regs[i].vn = 0
	}
	for i := range s.mem {
		s.mem[i].vn = 0
	}
	s.flags = comparison{}
}

// exit adds a state in which a callee returns.
func (c *context) exit(s *state, site uint64) {
	if c.out == nil {
		c.out = s.clone()
		c.out.forget()
		return
	}
	joinState(c.out, s, site, false)
}

// callee returns the context of a function to follow into.
func (c *context) callee(addr uint64) *context {
	k := c.within
	if x, ok := k.known[addr]; ok {
		return x
	}
	k.known[addr] = nil
	if addr%c.isa.Align != 0 {
		return nil
	}
	start, end, ok := c.img.Function(addr)
	if !ok || addr != start && c.isa.Align == 1 || end <= addr {
		return nil
	}
	x := &context{f: Function{Start: addr, End: min(end, addr+maxCalleeCode), ISA: c.isa}, isa: c.isa, img: c.img, m: c.m,
		nested: true, within: k, calls: map[uint64]*Call{}, taken: map[uint64]string{}, called: map[uint64]bool{},
		saved: c.saved, own: c.own}
	x.m.Limits.Ops = k.budget
	x.rebuild(nil)
	k.budget -= x.ops
	if x.problem != "" {
		return nil
	}
	k.known[addr] = x
	return x
}

func (c *context) rebuild(tables map[uint64][]uint64) {
	c.g = c.build(tables)
	if c.g != nil {
		for _, b := range c.g.blocks {
			b.live = true
		}
	}
}

// descend follows a call into a function of the image. It answers false where it could not: the call is one of an
// unknown function then.
func (c *context) descend(s *state, in *op.Inst, addr uint64, tail bool) bool {
	if c.depth >= maxCalleeDepth || c.within.budget <= 0 {
		return false
	}
	x := c.callee(addr)
	if x == nil || x.active {
		return false
	}
	x.active = true
	defer func() { x.active = false }()
	x.depth, x.emitting, x.ops, x.out, x.lost, x.problem = c.depth+1, false, 0, nil, "", ""
	x.m.Limits.Ops = c.within.budget
	x.f.Entry = &Entry{s, c, in.Addr, tail}
	tables := map[uint64][]uint64{}
	for range 4 {
		for _, b := range x.g.blocks {
			if b.in != nil {
				c.drop(b.in)
			}
			b.in, b.visits, b.pending = nil, 0, false
		}
		x.out = nil
		more := x.solve(tables)
		if !more || x.problem != "" {
			break
		}
		if x.rebuild(tables); x.problem != "" {
			break
		}
	}
	x.f.Entry = nil
	c.within.budget -= x.ops
	if c.emitting && x.problem == "" {
		x.hand(c, in)
	}
	if x.problem != "" {
		c.within.known[addr] = nil
		return false
	}
	if x.out == nil || x.lost != "" {
		return false
	}
	return c.resume(s, x.out, in, tail)
}

// hand records the calls of a callee that only this caller's values tell: those through pointers.
func (c *context) hand(caller *context, in *op.Inst) {
	indirect := slices.ContainsFunc(c.g.insts, func(x op.Inst) bool {
		return x.Flow == op.CallReg || x.Flow == op.JumpReg || x.Flow == op.Call
	})
	if !indirect {
		return
	}
	clear(c.calls)
	c.reached = nil
	c.chain = append(slices.Clone(caller.chain), in.Addr)
	before := c.ops
	c.emitAll()
	c.within.budget -= c.ops - before
	for site, call := range c.calls {
		if caller.calls[site] == nil {
			caller.calls[site] = call
		}
	}
	caller.reached = append(caller.reached, c.reached...)
	caller.stores = append(caller.stores, c.stores...)
	c.stores = nil
}

// resume takes over what a callee left behind.
func (c *context) resume(s, out *state, in *op.Inst, tail bool) bool {
	want := s.regs[c.isa.SP].v
	if d := c.isa.EntryArgs - c.isa.StackArgs; tail && d != 0 {
		want = binary(op.Add, want, constant(uint64(d), 0, ""), 64, in.Addr, "ret")
	}
	sp := out.regs[c.isa.SP].v
	if len(sp.atoms) != 1 || !sameVal(sp, want) {
		return false
	}
	for r, saved := range c.saved {
		// Where a callee may have written its whole frame, the values it keeps there for its caller seem lost.
		if old, now := s.regs[r], out.regs[r]; saved && old.v.rest == nil && now.v.rest != nil && includes(now.v, old.v) {
			out.regs[r] = cell{v: old.v}
		}
	}
	t := *out
	t.mem = slices.Clone(out.mem)
	t.forget()
	a := &sp.atoms[0]
	// What the callee left below the stack pointer is gone.
	t.mem = slices.DeleteFunc(t.mem, func(x slot) bool { return x.region == a.site && x.end() <= a.off })
	t.escaped = t.escaped || s.escaped
	*s = t
	return true
}

// includes tells whether all members of b are members of a.
func includes(a, b *val) bool {
	for i := range b.atoms {
		if !slices.ContainsFunc(a.atoms, func(x atom) bool { return x.compare(&b.atoms[i]) == 0 }) {
			return false
		}
	}
	return true
}
