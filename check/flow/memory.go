package flow

import "slices"

// store executes a store of size bytes through p.
func (s *state) store(p *val, size int64, c cell, vn uint32, site uint64, how string) {
	v := cut(c.v, uint8(8*min(size, 8)), false, site, how)
	p = mapped(p)
	if p.rest == nil && len(p.atoms) == 1 && p.atoms[0].kind == KindStack && p.atoms[0].bits == 64 {
		a := &p.atoms[0]
		if !sameVal(v, c.v) {
			s.renumber(vn)
			c.vn = vn
		}
		s.write(a.site, a.off, size, cell{v, c.vn})
		return
	}
	outside := p.rest != nil
	for i := range p.atoms {
		switch a := &p.atoms[i]; {
		case a.kind == KindStack && a.bits == 64:
			s.maybeWrite(a.site, a.off, size, v, "perhaps written by "+how, site)
		case a.stackish():
			s.weakenAll("perhaps written by "+how, site)
			if v.stackish() {
				s.escaped = true
			}
		default:
			outside = true
		}
	}
	if !outside {
		return
	}
	if v.stackish() {
		s.escaped = true
	}
	if s.escaped && (p.rest != nil || !p.imageOnly()) {
		s.weakenAll("perhaps written by "+how, site)
	}
}

// imageOnly tells whether a pointer can only lead into the image's own data.
func (v *val) imageOnly() bool {
	for i := range v.atoms {
		if v.atoms[i].kind != KindAddr {
			return false
		}
	}
	return v.rest == nil
}

// load executes a load of size bytes through p.
func (c *context) load(s *state, p *val, size uint8, signed bool, width uint8, site uint64, how string) (*val, uint32) {
	p = mapped(p)
	if p.rest == nil && len(p.atoms) == 1 && p.atoms[0].kind == KindStack && p.atoms[0].bits == 64 {
		x := s.read(c, p.atoms[0].site, p.atoms[0].off, int64(size))
		if signed {
			v := cut(x.v, 8*size, true, site, how)
			return cut(v, width, false, site, how), 0
		}
		return x.v, x.vn
	}
	var sum *val
	for i := range p.atoms {
		v := c.loadAt(s, &p.atoms[i], size, signed, site, how)
		if sum == nil {
			sum = v
		} else {
			sum = join(sum, v)
		}
	}
	if p.rest != nil {
		k := bits{}
		if size < 8 && !signed {
			k.mask = ^maskOf(8 * size)
		}
		v := &val{rest: &rest{bits: k, reasons: []reason{{"loaded from memory at " + p.rest.why(), site}}}}
		if sum == nil {
			sum = v
		} else {
			sum = join(sum, v)
		}
	}
	if sum == nil {
		sum = nothing
	}
	return cut(sum, width, false, site, how), 0
}

// maxLoads is the number of variables that are listed.
const maxLoads = 32

// loaded notes that a variable of the image is loaded.
func (c *context) loaded(addr uint64) {
	if c.emitting && len(c.loads) < maxLoads && !c.img.ReadOnly(addr) && !slices.Contains(c.loads, addr) {
		c.loads = append(c.loads, addr)
	}
}

func (r *rest) why() string {
	if len(r.reasons) == 0 || r.reasons[0].text == "" {
		return "an unknown address"
	}
	return "an unknown address (" + r.reasons[0].text + ")"
}

const maxDepth = 4

func (c *context) loadAt(s *state, a *atom, size uint8, signed bool, site uint64, how string) *val {
	field := func() *val {
		if a.depth() >= maxDepth {
			return cut(unknown("loaded through several pointers", site), 8*size, signed, site, how)
		}
		base := *a
		base.def, base.how = 0, ""
		f := atom{kind: KindField, bits: 8 * size, signed: signed && size < 8, size: size, base: &base, def: site,
			how: how}
		switch a.kind {
		case KindAddr:
			if a.sym == "" {
				f.field, base.c = 0, a.c
			} else {
				f.field, base.off = a.off, 0
			}
		default:
			f.field, base.off = a.off, 0
		}
		return single(f)
	}
	if a.bits != 64 {
		return cut(unknown("loaded through a pointer of 32 bits", site), 8*size, signed, site, how)
	}
	switch a.kind {
	case KindStack:
		v := s.read(c, a.site, a.off, int64(size)).v
		return cut(v, 8*size, signed, site, how)
	case kindStackAny:
		// The frame may hold pointers into itself.
		if slices.ContainsFunc(s.mem, func(x slot) bool { return x.v.stackish() }) {
			return join(stackAny, unknown("loaded from somewhere in the frame", site))
		}
		return cut(unknown("loaded from somewhere in the frame", site), 8*size, signed, site, how)
	case KindAddr:
		if a.sym != "" {
			return field()
		}
		if c.m.Known != nil {
			if v, ok := c.m.Known(a.c, int(size)); ok {
				return cut(v.val(), 8*size, signed, site, how)
			}
		}
		c.loaded(a.c)
		if size == 8 {
			if t, sym, ok := c.img.Pointer(a.c); ok {
				if !c.img.ReadOnly(a.c) && sym == "" {
					return field()
				}
				x := atom{kind: KindAddr, bits: 64, c: t, sym: sym, def: site, how: how}
				if sym != "" {
					x.c = 0
				}
				return single(x)
			}
		}
		if !c.img.ReadOnly(a.c) || a.c+uint64(size) < a.c {
			return field()
		}
		for at := a.c &^ 7; at < a.c+uint64(size); at += 8 {
			if _, _, ok := c.img.Pointer(at); ok {
				return cut(unknown("loaded from part of a pointer", site), 8*size, signed, site, how)
			}
		}
		b := c.img.Bytes(a.c, int(size))
		if len(b) < int(size) {
			return field()
		}
		var x uint64
		for i := int(size) - 1; i >= 0; i-- {
			x = x<<8 | uint64(b[i])
		}
		if signed {
			x = signExtend(x, 8*size)
		}
		return constant(x, site, how)
	case KindParam:
		if c.self(a) {
			c.read(a.off)
			if c.m.Field != nil {
				if v, ok := c.m.Field(a.off, int(size)); ok {
					return cut(v.val(), 8*size, signed, site, how)
				}
			}
		}
		return field()
	case KindResult, KindOut, KindField:
		return field()
	case kindIndexed:
		if size <= 8 {
			return single(atom{kind: kindEntry, bits: 64, c: a.c, size: size, signed: signed, def: site, how: how})
		}
	}
	return cut(unknown("loaded from "+a.text(), site), 8*size, signed, site, how)
}
