package flow

import (
	"fmt"
	"slices"

	"portcullis.dev/check/flow/op"
)

const (
	defaultCode   = 1 << 20
	defaultOps    = 4 << 20
	defaultBlocks = 1 << 16
)

// context is one analysis at work.
type context struct {
	f           Function
	isa         *op.ISA
	img         Image
	m           Model
	saved       [op.MaxRegs]bool
	g           *graph
	ops         int
	problem     string      // nothing is known
	lost        string      // some paths are not known
	tableRanges [][2]uint64 // jump tables inside the function
	emitting    bool
	nested      bool // it is a callee at work for its caller
	active      bool // it is being followed
	depth       int  // of callees
	out         *state
	sp          *val     // the stack pointer on entry
	sites       []uint64 // of the function, in order
	within      *callees
	reached     []Reach
	stores      []Store
	loads       []uint64
	puts        []Put
	fields      []int64
	own         bool     // parameters are those of the function, rather than of a caller
	chain       []uint64 // of a callee: the calls that led to it
	calls       map[uint64]*Call
	taken       map[uint64]string
	called      map[uint64]bool // definitions of addresses that were called
}

// Analyze follows the values of f to its calls of wanted symbols. It always ends, within the limits of m, and never
// panics, whatever the bytes are.
func Analyze(f Function, img Image, m Model) Result {
	if m.Effect == nil {
		m.Effect = LibSystem
	}
	if m.Limits.Code == 0 {
		m.Limits.Code = defaultCode
	}
	if m.Limits.Ops == 0 {
		m.Limits.Ops = defaultOps
	}
	if m.Limits.Blocks == 0 {
		m.Limits.Blocks = defaultBlocks
	}
	c := &context{f: f, isa: f.ISA, img: img, m: m, calls: map[uint64]*Call{}, taken: map[uint64]string{},
		called: map[uint64]bool{}, own: f.Entry == nil}
	c.within = &callees{known: map[uint64]*context{}, budget: m.Limits.Callees}
	c.sites = slices.Sorted(slices.Values(f.Sites))
	c.prepare()
	c.run()
	return c.result()
}

func (c *context) prepare() {
	for _, r := range c.isa.Saved {
		c.saved[r] = true
	}
	c.saved[c.isa.SP] = true
}

func (c *context) run() {
	if c.f.End <= c.f.Start || c.f.End-c.f.Start > uint64(c.m.Limits.Code) {
		c.problem = fmt.Sprintf("function too large (%d bytes)", c.f.End-c.f.Start)
		if c.f.End <= c.f.Start {
			c.problem = "function without bounds"
		}
		return
	}
	if c.f.Start%c.isa.Align != 0 {
		c.problem = fmt.Sprintf("function at %#x, where no instruction can begin", c.f.Start)
		return
	}
	// Jump tables are found while values are followed; each round knows those of the rounds before.
	tables := map[uint64][]uint64{}
	for range 8 {
		c.g = c.build(tables)
		if c.problem != "" {
			return
		}
		more := c.solve(tables)
		if c.problem != "" {
			return
		}
		if !more {
			break
		}
	}
	c.within.spent += c.m.Limits.Callees - c.within.budget
	c.within.budget = c.m.Limits.Callees
	c.emitAll()
	c.within.spent += c.m.Limits.Callees - c.within.budget
}

func (c *context) result() Result {
	r := Result{Problem: c.problem, Ops: c.ops + c.within.spent, Reached: c.reached, Stores: c.stores,
		Loads: c.loads, Puts: c.puts, Fields: c.fields}
	if c.g != nil {
		r.Insts = len(c.g.insts)
		if c.problem != "" {
			c.emitStatic()
		}
	}
	why := c.problem
	if why == "" {
		why = "no path from the start of the function to the call is seen"
	}
	for _, site := range c.f.Sites {
		if site >= c.f.Start && site < c.f.End {
			c.emitSite(site, why)
		}
	}
	for _, call := range c.calls {
		r.Calls = append(r.Calls, *call)
	}
	slices.SortFunc(r.Calls, func(a, b Call) int {
		if a.Site < b.Site {
			return -1
		}
		return 1
	})
	for site, sym := range c.taken {
		if !c.called[site] {
			r.Taken = append(r.Taken, Taken{site, sym})
		}
	}
	slices.SortFunc(r.Taken, func(a, b Taken) int {
		if a.Site < b.Site {
			return -1
		}
		return 1
	})
	return r
}

// unreached builds a call whose arguments are unknown.
func (c *context) unreached(site uint64, sym, why string) *Call {
	n, _ := c.m.Want(sym)
	call := &Call{Site: site, Symbol: sym, Only: true}
	for range n {
		call.Args = append(call.Args, Value{v: unknown(why, 0), ctx: c})
	}
	return call
}
