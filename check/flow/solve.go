package flow

import (
	"container/heap"
	"fmt"

	"portcullis.dev/check/flow/op"
)

// wideAfter is the number of visits of a block after which what still changes is given up.
const wideAfter = 8

type blockHeap []*block

func (h blockHeap) Len() int           { return len(h) }
func (h blockHeap) Less(i, j int) bool { return h[i].start < h[j].start }
func (h blockHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *blockHeap) Push(x any)        { *h = append(*h, x.(*block)) }
func (h *blockHeap) Pop() any {
	old := *h
	b := old[len(old)-1]
	*h = old[:len(old)-1]
	return b
}

// atEntry is what a register that carries no argument holds at entry: a value of the caller, or nothing at all.
const atEntry = "a register as it was at entry"

// meaningless tells whether a value is such a leftover, as is pushed to make room on the stack.
func meaningless(v *val) bool {
	if v.rest == nil || len(v.atoms) > 0 {
		return false
	}
	for _, r := range v.rest.reasons {
		if r.text != atEntry {
			return false
		}
	}
	return len(v.rest.reasons) > 0
}

// entry is the state in which the function is entered: that of the call where the caller is known.
func (c *context) entry() *state {
	if c.f.Entry != nil {
		return c.enter(c.f.Entry.at, c.f.Entry.site, c.f.Entry.tail)
	}
	s := c.blank(atEntry, 0)
	for i, r := range c.isa.Args {
		s.regs[r] = cell{single(atom{kind: KindParam, bits: 64, index: int32(i)}), uint32(i) + 1}
	}
	s.regs[c.isa.SP] = cell{v: single(atom{kind: KindStack, bits: 64})}
	return s
}

func (c *context) blank(why string, site uint64) *state {
	s := new(state)
	u := unknown(why, site)
	for r := range s.regs {
		s.regs[r].v = u
	}
	return s
}

// solve runs the data flow to its fixed point. It tells whether it found targets of indirect jumps that the graph
// lacks; they are added to tables.
func (c *context) solve(tables map[uint64][]uint64) (more bool) {
	var work blockHeap
	push := func(b *block, s *state) { // s is the block's from now on
		if !b.live {
			c.drop(s)
			return
		}
		c.ops += 16 + len(s.mem)/2
		if b.in == nil {
			b.in = s
		} else {
			changed := joinState(b.in, s, b.start, b.visits >= wideAfter)
			c.drop(s)
			if !changed {
				return
			}
		}
		if !b.pending {
			b.pending = true
			heap.Push(&work, b)
		}
	}
	drain := func() bool {
		for len(work) > 0 {
			b := heap.Pop(&work).(*block)
			b.pending = false
			b.visits++
			s := c.copyOf(b.in)
			c.exec(b, s, tables, &more, push)
			if c.exhausted() {
				return false
			}
		}
		return true
	}
	first := c.entry()
	c.sp = first.regs[c.isa.SP].v
	if b := c.g.index[c.f.Start]; b != nil {
		push(b, first)
	}
	if !drain() || more || c.nested {
		return more
	}
	var pad *state
	for _, a := range c.g.roots {
		if b := c.g.index[a]; b != nil && b.live {
			if pad == nil {
				pad = c.landing()
			}
			push(b, c.copyOf(pad))
		}
	}
	drain()
	return more
}

// copyOf copies a state into one that is no longer needed, where there is one.
func (c *context) copyOf(s *state) *state {
	free := &c.within.free
	if len(*free) == 0 {
		return s.clone()
	}
	t := (*free)[len(*free)-1]
	*free = (*free)[:len(*free)-1]
	mem := append(t.mem[:0], s.mem...)
	*t = *s
	t.mem = mem
	return t
}

// drop says that a state is no longer needed.
func (c *context) drop(s *state) { c.within.free = append(c.within.free, s) }

// landing is the state in which an exception's landing pad is entered: anything may have happened, but the frame
// stands as at the calls of the function.
func (c *context) landing() *state {
	s := c.blank("a register at a place that is entered from outside", 0)
	s.escaped = true
	s.regs[c.isa.SP].v, s.regs[c.isa.FP].v = stackAny, stackAny
	var sp, fp *val
	for _, b := range c.g.blocks {
		if b.in == nil {
			continue
		}
		t := b.in.clone()
		for _, in := range b.insts {
			if in.Flow == op.Call || in.Flow == op.CallReg {
				x, y := t.regs[c.isa.SP].v, t.regs[c.isa.FP].v
				if sp == nil {
					sp, fp = x, y
				}
				sp, fp = join(sp, x), join(fp, y)
			}
			c.step(t, in)
		}
	}
	if sp != nil && len(sp.atoms) == 1 {
		s.regs[c.isa.SP].v = sp
		if len(fp.atoms) == 1 && fp.atoms[0].kind == KindStack {
			s.regs[c.isa.FP].v = fp
		}
	}
	return s
}

// exec runs a block and hands the states at its end to its successors.
func (c *context) exec(b *block, s *state, tables map[uint64][]uint64, more *bool, push func(*block, *state)) {
	for i, in := range b.insts {
		if i == len(b.insts)-1 {
			c.leave(b, s, in, tables, more, push)
			return
		}
		c.step(s, in)
	}
}

func (c *context) leave(b *block, s *state, in *op.Inst, tables map[uint64][]uint64, more *bool,
	push func(*block, *state)) {
	next := in.Addr + uint64(in.Len)
	to := func(a uint64, s *state) {
		if t := c.g.index[a]; t != nil {
			push(t, s)
		} else {
			c.drop(s)
		}
	}
	switch in.Flow {
	case op.Branch:
		c.operate(s, in)
		fall := c.copyOf(s)
		if c.assume(s, in, false) {
			switch {
			case !c.leaves(in):
				to(in.Target, s)
			case c.nested:
				c.call(s, in, true)
				c.exit(s, in.Addr)
			}
		}
		if c.assume(fall, in, true) {
			to(next, fall)
		}
	case op.Jump:
		c.operate(s, in)
		switch {
		case !c.leaves(in):
			to(in.Target, s)
		case c.nested && !c.noReturn(in):
			c.call(s, in, true)
			c.exit(s, in.Addr)
		}
	case op.JumpReg:
		c.operate(s, in)
		targets, ok := c.targets(s, in)
		if !ok && !b.guess {
			c.poison(fmt.Sprintf("the indirect jump at %#x could not be followed", in.Addr))
		}
		for _, t := range targets {
			if !contains(tables[in.Addr], t) {
				tables[in.Addr] = append(tables[in.Addr], t)
				*more = true
			}
			to(t, c.copyOf(s))
		}
		if c.nested && len(targets) == 0 {
			c.call(s, in, true)
			c.exit(s, in.Addr)
		}
	case op.Return:
		if c.nested {
			c.operate(s, in)
			c.popReturn(s, in)
			c.exit(s, in.Addr)
		}
		c.drop(s)
	case op.Stop:
		c.drop(s)
	case op.Undecodable:
		if !b.guess {
			c.poison(fmt.Sprintf("the bytes at %#x are no known instruction", in.Addr))
		}
	default:
		c.step(s, in)
		if in.Flow != op.Call || !c.noReturn(in) {
			to(next, s)
		}
	}
}

// poison records that paths were lost: no set of values is complete any more.
func (c *context) poison(why string) {
	if c.lost == "" {
		c.lost = why
	}
}

func contains(set []uint64, x uint64) bool {
	for _, y := range set {
		if x == y {
			return true
		}
	}
	return false
}

const maxTable = 4096

// targets lists where an indirect jump inside the function may go. Ok is false where that is not known; a jump that
// leaves the function has no targets and is ok.
func (c *context) targets(s *state, in *op.Inst) (list []uint64, ok bool) {
	v := s.regs[in.Reg].v
	ok = true
	// With the stack as it was on entry the jump leaves the function.
	atEntry := c.sp != nil && sameVal(s.regs[c.isa.SP].v, c.sp)
	for i := range v.atoms {
		switch a := &v.atoms[i]; a.kind {
		case KindAddr:
			if a.sym == "" && a.off == 0 && c.inside(a.c) {
				list = append(list, a.c)
			}
		case kindTarget, kindEntry:
			t := c.readTable(a)
			list = append(list, t...)
			ok = ok && len(t) > 0
		default:
			ok = ok && atEntry && a.kind != kindIndexed
		}
	}
	if v.rest != nil && !atEntry {
		ok = false
	}
	return list, ok
}

// readTable reads a jump table whose length is not known: up to the first entry that leads outside the function.
func (c *context) readTable(a *atom) []uint64 {
	var list []uint64
	at := a.c
	for range maxTable {
		c.ops += 1 + len(list)/16
		var t uint64
		if a.kind == kindEntry {
			var sym string
			var ok bool
			if t, sym, ok = c.img.Pointer(at); !ok || sym != "" || a.size != 8 {
				break
			}
		} else {
			b := c.img.Bytes(at, int(a.size))
			if len(b) < int(a.size) || !c.img.ReadOnly(at) {
				break
			}
			for i := int(a.size) - 1; i >= 0; i-- {
				t = t<<8 | uint64(b[i])
			}
			if a.signed {
				t = signExtend(t, 8*a.size)
			}
			t = t<<uint(a.index) + uint64(a.field)
		}
		if !c.inside(t) {
			break
		}
		if !contains(list, t) {
			list = append(list, t)
		}
		at += uint64(a.size)
	}
	if at > a.c && a.c >= c.f.Start && a.c < c.f.End {
		r := [2]uint64{a.c, at}
		found := false
		for _, x := range c.tableRanges {
			found = found || x == r
		}
		if !found {
			c.tableRanges = append(c.tableRanges, r)
		}
	}
	return list
}
