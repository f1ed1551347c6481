package flow

import "portcullis.dev/check/flow/op"

// allocated is the new memory that a callee returns: a region of its own, as long as no other that the same call
// returned is in use. It answers nil where the call returns no such thing.
func (c *context) allocated(s *state, in *op.Inst, sym string) *val {
	e, ok := c.m.Effect(sym)
	if !ok || !e.Allocates || s.mentions(in.Addr) {
		return nil
	}
	if n, ok := s.regs[c.isa.Args[0]].v.constOnly(); e.Zeroes && ok {
		if m, ok := s.regs[c.isa.Args[1]].v.constOnly(); ok && n < maxBulk && m < maxBulk && n*m < maxBulk && n*m > 0 {
			s.write(in.Addr, 0, int64(n*m), cell{v: constant(0, in.Addr, sym)})
		}
	}
	return setOf([]atom{{kind: KindConst, bits: 64, def: in.Addr, how: sym},
		{kind: KindStack, bits: 64, site: in.Addr, def: in.Addr, how: sym}}, nil)
}

// mentions tells whether something points into a region, or is known of its contents.
func (s *state) mentions(region uint64) bool {
	in := func(v *val) bool {
		for i := range v.atoms {
			if v.atoms[i].kind == KindStack && v.atoms[i].site == region {
				return true
			}
		}
		return false
	}
	for i := range s.regs {
		if in(s.regs[i].v) {
			return true
		}
	}
	for i := range s.mem {
		if s.mem[i].region == region || in(s.mem[i].v) {
			return true
		}
	}
	return false
}

// mapped leaves out null, and what lies shortly behind, from what a pointer can be that is followed: following it ends
// the run.
func mapped(p *val) *val {
	if len(p.atoms) < 2 || p.rest != nil {
		return p
	}
	for i := range p.atoms {
		if a := &p.atoms[i]; a.kind == KindConst && a.c < nullPage {
			return &val{atoms: append(append(make([]atom, 0, len(p.atoms)-1), p.atoms[:i]...), p.atoms[i+1:]...)}
		}
	}
	return p
}

// nullPage is the size of the page at address 0, where nothing is mapped.
const nullPage = 4096
