package flow

import "portcullis.dev/check/flow/op"

const nameDlsym = "_dlsym"

// lookedUp is what dlsym returns where the name it is given is constant: the address of that symbol, or null. It
// answers nil where the call is no such thing.
func (c *context) lookedUp(s *state, in *op.Inst, sym string) *val {
	if sym != nameDlsym {
		return nil
	}
	name := s.regs[c.isa.Args[1]].v
	if name.rest != nil || len(name.atoms) == 0 || len(name.atoms) > 4 {
		return nil
	}
	out := []atom{{kind: KindConst, bits: 64, def: in.Addr, how: "dlsym"}}
	for i := range name.atoms {
		a := &name.atoms[i]
		if a.kind != KindAddr || a.sym != "" || a.bits != 64 || !c.img.ReadOnly(a.c) {
			return nil
		}
		text, ok := c.cstring(a.c)
		if !ok {
			return nil
		}
		out = append(out, atom{kind: KindAddr, bits: 64, sym: "_" + text, def: in.Addr, how: "dlsym"})
	}
	return setOf(out, nil)
}

// selected is what the functions return that make a selector of its name, where that is constant: the name.
func (c *context) selected(s *state, sym string) *val {
	name := s.regs[c.isa.Args[0]].v
	switch sym {
	case "_sel_registerName", "_sel_getUid":
	case "_NSSelectorFromString":
		const text = 16 // the bytes of a constant CFString: isa, flags, characters, length
		name, _ = c.load(s, binary(op.Add, name, constant(text, 0, ""), 64, 0, ""), 8, false, 64, 0, "")
	default:
		return nil
	}
	if _, ok := c.selector(name); !ok {
		return nil
	}
	return name
}

// maxName is the longest name of a symbol that is looked for.
const maxName = 128

func (c *context) cstring(addr uint64) (string, bool) {
	for n := range maxName {
		b := c.img.Bytes(addr, n+1)
		if b == nil {
			return "", false
		}
		if b[n] == 0 {
			return string(b[:n]), true
		}
	}
	return "", false
}
