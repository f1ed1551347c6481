package flow

import (
	"fmt"
	"slices"

	"portcullis.dev/check/flow/op"
)

// graph is the control-flow graph of a function.
type graph struct {
	insts  []op.Inst
	at     []int32 // (address - start) / align -> index in insts + 1
	blocks []*block
	index  map[uint64]*block
	callee map[uint64]string // symbols of direct branches, by site
	roots  []uint64          // where code begins that no known path leads to
}

// block is a run of instructions that is entered at its first and left at its last.
type block struct {
	start uint64
	insts []*op.Inst
	succ  []*block
	pred  []*block
	// guess: no path from the entry leads here; it may be a landing pad, or no code at all.
	guess   bool
	live    bool // a wanted call can be reached from here
	in      *state
	visits  int
	pending bool
}

func (c *context) inside(addr uint64) bool {
	return addr >= c.f.Start && addr < c.f.End && addr%c.isa.Align == 0
}

func (g *graph) lookup(c *context, addr uint64) *op.Inst {
	if i := g.at[(addr-c.f.Start)/c.isa.Align]; i != 0 {
		return &g.insts[i-1]
	}
	return nil
}

// symbol names what a direct branch reaches outside the function. In object files a branch of distance 0 stands for
// one that is still to be linked.
func (c *context) symbol(in *op.Inst) (string, bool) {
	if s, ok := c.g.callee[in.Addr]; ok {
		return s, s != ""
	}
	s := ""
	if in.Flow == op.Call || !c.inside(in.Target) || in.Target == in.Addr || in.Target == in.Addr+uint64(in.Len) {
		s, _ = c.img.Callee(in.Addr, in.Target)
	}
	c.g.callee[in.Addr] = s
	return s, s != ""
}

// leaves tells whether the target of a direct jump or branch is outside the function.
func (c *context) leaves(in *op.Inst) bool {
	if _, ok := c.symbol(in); ok {
		return true
	}
	return !c.inside(in.Target)
}

func (c *context) noReturn(in *op.Inst) bool {
	if s, ok := c.symbol(in); ok {
		e, ok := c.m.Effect(s)
		return ok && e.NoReturn
	}
	return false
}

// What it costs to build a graph, as operations: to decode instructions is half as much work as to follow values through
// them, and there is a table of all addresses.
const (
	instsPerOp = 2
	bytesPerOp = 1024
)

// graphInsts is for how many instructions the limit of the analysis suffices; with one more it is passed.
func (c *context) graphInsts() int { return instsPerOp*(c.m.Limits.Ops-c.ops+1) - 1 }

// exhausted tells whether the limit of the analysis is passed, and has that as its problem then.
func (c *context) exhausted() bool {
	if c.ops > c.m.Limits.Ops {
		c.problem = "function too large (too many steps to follow its values)"
	}
	return c.problem != ""
}

// build decodes what can be reached and cuts it into blocks. Tables are the targets of indirect jumps found so far.
func (c *context) build(tables map[uint64][]uint64) *graph {
	size := c.f.End - c.f.Start
	if c.ops += int(size) / bytesPerOp; c.exhausted() {
		return nil
	}
	code := c.img.Bytes(c.f.Start, int(size))
	if uint64(len(code)) < size {
		c.problem = fmt.Sprintf("the function's code at %#x is not in the file", c.f.Start)
		return nil
	}
	most := c.graphInsts()
	g := &graph{insts: make([]op.Inst, 0, min(int(size/4), most)), at: make([]int32, size/c.isa.Align+1),
		index: map[uint64]*block{}, callee: map[uint64]string{}}
	c.g = g
	leaders := map[uint64]bool{c.f.Start: true}
	work := []uint64{c.f.Start}
	// Operations are kept side by side, for two of an instruction; small functions are many and take little.
	var arena []op.Op
	chunk := min(max(2*int(size/4), 32), 4096)
	lead := func(a uint64) {
		if c.inside(a) && !leaders[a] {
			leaders[a] = true
			work = append(work, a)
		}
	}
	run := func() {
		for len(work) > 0 && len(g.insts) <= most {
			a := work[len(work)-1]
			work = work[:len(work)-1]
			for c.inside(a) && g.at[(a-c.f.Start)/c.isa.Align] == 0 && len(g.insts) <= most {
				if cap(arena)-len(arena) < 4 {
					arena = make([]op.Op, 0, chunk)
				}
				in := op.Inst{Ops: arena[len(arena):len(arena):cap(arena)]}
				c.isa.Decode(code[a-c.f.Start:min(size, a-c.f.Start+uint64(c.isa.MaxLen))], a, &in)
				if in.Flow == op.Undecodable {
					in.Len = 1
				}
				if len(arena)+len(in.Ops) <= cap(arena) {
					arena = arena[:len(arena)+len(in.Ops)]
				}
				g.insts = append(g.insts, in)
				g.at[(a-c.f.Start)/c.isa.Align] = int32(len(g.insts))
				next := a + uint64(in.Len)
				stop := false
				switch in.Flow {
				case op.Jump, op.Branch:
					if !c.leaves(&in) {
						lead(in.Target)
					}
					if stop = in.Flow == op.Jump; !stop {
						lead(next)
					}
				case op.JumpReg:
					stop = true
					for _, t := range tables[a] {
						lead(t)
					}
				case op.Call:
					stop = c.noReturn(&in)
				case op.Return, op.Stop, op.Undecodable:
					stop = true
				}
				if stop {
					break
				}
				a = next
			}
		}
	}
	run()
	sure := len(g.insts)
	looked := c.sweep(g, code, most, func(a uint64) {
		g.roots = append(g.roots, a)
		lead(a)
		run()
	})
	if c.ops += (len(g.insts) + looked) / instsPerOp; c.exhausted() {
		return g
	}
	if len(leaders) > c.m.Limits.Blocks {
		c.problem = fmt.Sprintf("function too large (%d basic blocks)", len(leaders))
		return g
	}
	starts := make([]uint64, 0, len(leaders))
	for a := range leaders {
		starts = append(starts, a)
	}
	slices.Sort(starts)
	for _, a := range starts {
		i := g.at[(a-c.f.Start)/c.isa.Align]
		if i == 0 {
			continue
		}
		b := &block{start: a, guess: int(i) > sure}
		g.blocks = append(g.blocks, b)
		g.index[a] = b
	}
	for _, b := range g.blocks {
		c.fill(g, b, leaders, tables)
	}
	for _, b := range g.blocks {
		for _, s := range b.succ {
			s.pred = append(s.pred, b)
		}
	}
	c.markLive(g)
	return g
}

// sweep finds code that no known path reaches (landing pads of exceptions) and hands its start to root. It returns how
// many instructions it looked at; with those of the graph they are not many more than most.
func (c *context) sweep(g *graph, code []byte, most int, root func(uint64)) (looked int) {
	var in op.Inst
	for a := c.f.Start; a < c.f.End && len(g.insts)+looked <= most; {
		if i := g.at[(a-c.f.Start)/c.isa.Align]; i != 0 {
			a += uint64(g.insts[i-1].Len)
			a = (a + c.isa.Align - 1) &^ (c.isa.Align - 1)
			continue
		}
		if end, ok := c.inTable(a); ok {
			a = end
			continue
		}
		looked++
		in.Ops = in.Ops[:0]
		c.isa.Decode(code[a-c.f.Start:min(uint64(len(code)), a-c.f.Start+uint64(c.isa.MaxLen))], a, &in)
		switch {
		case in.Flow == op.Undecodable:
			a += c.isa.Align
		case in.Flow == op.Stop, in.Flow == op.Next && len(in.Ops) == 0: // padding
			a += uint64(in.Len)
		default:
			root(a)
			if g.at[(a-c.f.Start)/c.isa.Align] == 0 { // whatever the reason, go on behind it
				a += c.isa.Align
			}
		}
	}
	return looked
}

// inTable tells whether an address lies in a jump table that was read, and where that ends.
func (c *context) inTable(a uint64) (uint64, bool) {
	for _, r := range c.tableRanges {
		if a >= r[0] && a < r[1] {
			return (r[1] + c.isa.Align - 1) &^ (c.isa.Align - 1), true
		}
	}
	return 0, false
}

// fill collects a block's instructions and successors.
func (c *context) fill(g *graph, b *block, leaders map[uint64]bool, tables map[uint64][]uint64) {
	add := func(a uint64) {
		if t := g.index[a]; t != nil && !slices.Contains(b.succ, t) {
			b.succ = append(b.succ, t)
		}
	}
	for a := b.start; c.inside(a); {
		in := g.lookup(c, a)
		if in == nil {
			return
		}
		b.insts = append(b.insts, in)
		next := a + uint64(in.Len)
		switch in.Flow {
		case op.Jump, op.Branch:
			if !c.leaves(in) {
				add(in.Target)
			}
			if in.Flow == op.Branch {
				add(next)
			}
			return
		case op.JumpReg:
			for _, t := range tables[a] {
				add(t)
			}
			return
		case op.Call:
			if c.noReturn(in) {
				return
			}
		case op.Return, op.Stop, op.Undecodable:
			return
		}
		if leaders[next] {
			add(next)
			return
		}
		a = next
	}
}

// sited tells whether one of the sites lies in an instruction.
func (c *context) sited(in *op.Inst) bool {
	i, _ := slices.BinarySearch(c.sites, in.Addr)
	return i < len(c.sites) && c.sites[i]-in.Addr < uint64(in.Len)
}

// markLive finds the blocks from which a call that is asked for can be reached; no others need be followed.
func (c *context) markLive(g *graph) {
	var work []*block
	for _, b := range g.blocks {
		for _, in := range b.insts {
			want := c.m.Stores != nil || c.m.Objects
			switch in.Flow {
			case op.Call, op.Jump, op.Branch:
				if s, ok := c.symbol(in); ok {
					_, want = c.m.Want(s)
					_, back := callbacks[s]
					want = want || c.m.Into != nil && (back || c.mayImplement(s)) || s == nameDlsym
					if r, ok := c.reloc(in); ok && r.Defined {
						want = want || c.m.Limits.Callees > 0
					}
				} else if c.leaves(in) || in.Flow == op.Call {
					want = c.m.Limits.Callees > 0 // it may call through a pointer that is handed to it
				}
				if c.m.Into != nil && !want {
					r, ok := c.reloc(in)
					want = c.m.Into(in.Target) || ok && r.Defined && c.m.Into(r.Addr+uint64(r.Addend))
				}
			case op.CallReg, op.JumpReg:
				want = true
			case op.Trap:
				want = c.m.Traps > 0
			}
			if in.Field != 0 && !want {
				if r, ok := c.reloc(in); ok && r.Kind == RelocGOT {
					_, want = c.m.Want(r.Symbol)
				}
			}
			want = want || c.sited(in)
			if want {
				b.live = true
				work = append(work, b)
				break
			}
		}
	}
	for len(work) > 0 {
		b := work[len(work)-1]
		work = work[:len(work)-1]
		for _, p := range b.pred {
			if !p.live {
				p.live = true
				work = append(work, p)
			}
		}
	}
}
