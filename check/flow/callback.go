package flow

import "portcullis.dev/check/flow/op"

// callback says which argument of a function of the system is a function that it calls, and which argument it passes
// on; -1 where it passes nothing that is known.
type callback struct {
	function, argument int
	block              bool // the argument is a block, which holds its function at offset 16 and is passed to it
	here               bool // it is called by the thread that makes the call
}

// callbacks lists functions that call back. Source: pthread.h, dispatch/queue.h, dispatch/once.h, stdlib.h; for the
// layout of blocks, the Block Implementation Specification of LLVM.
var callbacks = map[string]callback{
	"_pthread_create":         {function: 2, argument: 3},
	"_pthread_once":           {function: 1, argument: -1, here: true},
	"_atexit":                 {function: 0, argument: -1},
	"_dispatch_async_f":       {function: 2, argument: 1},
	"_dispatch_sync_f":        {function: 2, argument: 1},
	"_dispatch_once_f":        {function: 2, argument: 1, here: true},
	"_dispatch_after_f":       {function: 3, argument: 2},
	"_dispatch_group_async_f": {function: 3, argument: 2},
	"_dispatch_async":         {function: 1, argument: 1, block: true},
	"_dispatch_sync":          {function: 1, argument: 1, block: true},
	"_dispatch_once":          {function: 1, argument: 1, block: true, here: true},
	"_dispatch_after":         {function: 2, argument: 2, block: true},
	"_dispatch_group_async":   {function: 2, argument: 2, block: true},
}

const blockInvoke = 16

// emitCallbacks records the calls that a function of the system makes of functions it is given.
func (c *context) emitCallbacks(s *state, in *op.Inst, syms []string) {
	for _, sym := range syms {
		b, ok := callbacks[sym]
		if !ok || b.function >= len(c.isa.Args) {
			continue
		}
		v := s.regs[c.isa.Args[b.function]].v
		if b.block {
			p := binary(op.Add, v, constant(blockInvoke, 0, ""), 64, in.Addr, sym)
			v, _ = c.load(s, p, 8, false, 64, in.Addr, sym)
		}
		for i := range v.atoms {
			a := &v.atoms[i]
			if a.kind != KindAddr || a.sym != "" || a.off != 0 || !c.m.Into(a.c) || len(c.reached) >= maxSnapshots {
				continue
			}
			t := s.clone()
			u := unknown("a register in a function that "+sym+" calls", in.Addr)
			for r := range t.regs {
				if r != int(c.isa.SP) {
					t.regs[r] = cell{v: u}
				}
			}
			if b.argument >= 0 {
				t.regs[c.isa.Args[0]] = s.regs[c.isa.Args[b.argument]]
			}
			if !b.here {
				t.keep()
			}
			// The caller goes on meanwhile, and its frame may change.
			c.reached = append(c.reached, Reach{Site: in.Addr, Func: a.c, Only: v.rest == nil && len(v.atoms) == 1,
				Chain: c.chain, Entry: &Entry{t, c, in.Addr, false}})
		}
	}
}
