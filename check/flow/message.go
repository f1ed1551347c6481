package flow

import (
	"slices"
	"strings"

	"portcullis.dev/check/flow/op"
)

// Messages of Objective-C are calls of objc_msgSend, with the object and the selector before the arguments. Which
// implementation one comes to depends on the object; where the selector is known, the implementations of that selector
// are what it may come to.

const nameMsgSend = "_objc_msgSend"

// PrefixMsgSend begins the names that code and linkers give to the sending of one message; the selector follows.
const PrefixMsgSend = nameMsgSend + "$"

// Receiver is the Index of the parameter that stands for the object a message is sent to: nothing is known of it but that
// it has the method.
const Receiver = -1

// toSuper tells the functions that send a message to the object as one of its superclass. An initializer's answer is
// the object.
func toSuper(symbol string) bool {
	return symbol == "_objc_msgSendSuper" || symbol == "_objc_msgSendSuper2"
}

// message names what is called after its selector, where it is a message whose selector is known: "_objc_msgSend$" and
// the selector.
func (c *context) message(s *state, symbol string) string {
	if symbol != nameMsgSend && !toSuper(symbol) {
		return symbol
	}
	if sel, ok := c.selector(s.regs[c.isa.Args[1]].v); ok {
		return PrefixMsgSend + sel
	}
	return symbol
}

// selector reads a selector, which lies in the image as a string.
func (c *context) selector(v *val) (string, bool) {
	if v.rest != nil || len(v.atoms) != 1 {
		return "", false
	}
	a := &v.atoms[0]
	if a.kind != KindAddr || a.sym != "" || a.bits != 64 || !c.img.ReadOnly(a.c) {
		return "", false
	}
	return c.cstring(a.c)
}

// sent records that a message may reach functions that were asked for.
func (c *context) sent(s *state, in *op.Inst, symbol string, tail bool) {
	if c.m.Implements == nil {
		return
	}
	name := c.message(s, symbol)
	for _, addr := range c.m.Implements(name) {
		if !c.m.Into(addr) || len(c.reached) >= maxSnapshots {
			continue
		}
		t := s.clone()
		if strings.HasPrefix(name, PrefixMsgSend) {
			self := atom{kind: KindParam, bits: 64, index: Receiver, def: in.Addr, how: "message"}
			t.regs[c.isa.Args[0]] = cell{v: single(self)}
		}
		c.reached = append(c.reached, Reach{Site: in.Addr, Func: addr, Tail: tail, Chain: c.chain,
			Entry: &Entry{t, c, in.Addr, tail}})
	}
}

// mayImplement tells whether a symbol can come to a function of the image that was asked for.
func (c *context) mayImplement(symbol string) bool {
	return c.m.Implements != nil && (symbol == nameMsgSend || toSuper(symbol) || len(c.m.Implements(symbol)) > 0)
}

// Outside returns the state as a function of another image finds it: its arguments, as far as they mean the same there.
// Addresses of the caller's image, which are others there, are unknown, and so is the caller's frame. Where names the
// caller's file for evidence.
func (e *Entry) Outside(where string) *Entry {
	c := e.ctx
	s := c.blank("a register of a caller in another file", 0)
	for _, r := range c.isa.Args {
		v := Value{v: e.at.regs[r].v, ctx: c}
		if v.v.receiver() {
			s.regs[r].v = v.v
			continue
		}
		s.regs[r].v = v.Closed().carried(where)
	}
	s.regs[c.isa.SP] = cell{v: single(atom{kind: KindStack, bits: 64})}
	return &Entry{s, c, e.site, false}
}

// receiver tells whether the value is the object that a message is sent to.
func (v *val) receiver() bool {
	return v.rest == nil && len(v.atoms) == 1 && v.atoms[0].kind == KindParam && v.atoms[0].index == Receiver
}

// carried is the value as it is known in another image than that of where it was made.
func (v Value) carried(where string) *val {
	x := v.val()
	r := x.rest
	var atoms []atom
	for _, a := range x.atoms {
		root := &a
		for root.base != nil {
			root = root.base
		}
		if root.kind == KindAddr && root.sym == "" {
			r = joinRest(r, &rest{bits: a.known(), reasons: []reason{{a.text() + " of " + where, 0}}})
			continue
		}
		if a.def != 0 {
			a.how = strings.TrimSpace(a.how + " of " + where)
		}
		atoms = append(atoms, a)
	}
	return &val{atoms, r}
}

// Put is a store in a field of a method's object.
type Put struct {
	Site  uint64
	Off   int64 // from the start of the object
	Size  int
	Value Value
}

// maxFields is the number of fields that are listed.
const maxFields = 32

// self tells whether a pointer leads into the object that the method is called on.
func (c *context) self(a *atom) bool {
	return a.kind == KindParam && a.bits == 64 && (a.index == Receiver || a.index == 0 && c.own)
}

// read notes that a field of the object is read.
func (c *context) read(off int64) {
	if c.emitting && len(c.fields) < maxFields && !slices.Contains(c.fields, off) {
		c.fields = append(c.fields, off)
	}
}

// put records a store through p, where that may lead into the object.
func (c *context) put(s *state, p *val, size int, v *val, in *op.Inst) {
	if !c.emitting || !c.m.Objects || len(c.puts) >= maxStores {
		return
	}
	for i := range p.atoms {
		a := &p.atoms[i]
		if c.self(a) || a.kind == KindResult && a.bits == 64 && toSuper(a.sym) {
			c.puts = append(c.puts, Put{in.Addr, a.off, size, Value{c.doubt(v), c.snapshot(s), c}})
		}
	}
}
