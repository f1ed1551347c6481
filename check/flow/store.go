package flow

import (
	"slices"

	"portcullis.dev/check/flow/op"
)

// Store is something that is stored in a variable of the image: one that was asked for, or the address of a symbol that
// was.
type Store struct {
	Site  uint64
	Addr  uint64
	Size  int
	Value Value
	// Only is false where the store may go elsewhere as well.
	Only bool
}

// maxStores is the number of stores of a function that are recorded.
const maxStores = 4096

// keep records a store through p.
func (c *context) keep(s *state, p *val, size int, v *val, in *op.Inst) {
	if !c.emitting || len(c.stores) >= maxStores {
		return
	}
	wanted := false
	for i := range v.atoms {
		if a := &v.atoms[i]; a.kind == KindAddr && a.sym != "" && !wanted {
			_, wanted = c.m.Want(a.sym)
		}
	}
	for i := range p.atoms {
		a := &p.atoms[i]
		if a.kind == KindAddr && a.sym == "" && a.bits == 64 && (wanted || c.m.Stores != nil && c.m.Stores(a.c)) {
			c.stores = append(c.stores, Store{Site: in.Addr, Addr: a.c, Size: size, Value: Value{c.doubt(v), c.snapshot(s), c},
				Only: p.rest == nil && len(p.atoms) == 1})
		}
	}
}

// Union is what either of two values can be.
func (v Value) Union(o Value) Value {
	return Value{v: join(v.val(), o.val()), ctx: v.ctx}
}

// Closed returns the value as it is seen outside of the function: addresses of its frame mean nothing there, and its
// parameters are unknown.
func (v Value) Closed() Value {
	x := v.val()
	r := x.rest
	var atoms []atom
	for i := range x.atoms {
		a := &x.atoms[i]
		root := a
		for root.base != nil {
			root = root.base
		}
		if root.stackish() || root.kind == KindParam {
			r = joinRest(r, &rest{bits: a.known(), reasons: []reason{{a.text() + ", stored", a.def}}})
			continue
		}
		atoms = append(atoms, *a)
	}
	return Value{v: &val{atoms, r}, ctx: v.ctx}
}

// Kept returns the value as any thread finds it where it is kept: see [Source].
func (v Value) Kept() Value {
	v.v = v.val().keep()
	return v
}

func (v *val) keep() *val {
	fresh := func(a atom) bool { return !a.kept && (a.kind == KindResult || a.kind == KindOut) }
	if !slices.ContainsFunc(v.atoms, fresh) {
		return v
	}
	atoms := slices.Clone(v.atoms)
	for i := range atoms {
		atoms[i].kept = atoms[i].kept || fresh(atoms[i])
	}
	return setOf(atoms, v.rest)
}

// Constant is the value that is one number.
func Constant(c uint64) Value { return Value{v: constant(c, 0, "initial value")} }

// Address is the value that is an address in the image, or that of a symbol where it has a name.
func Address(addr uint64, symbol string) Value {
	a := atom{kind: KindAddr, bits: 64, c: addr, sym: symbol, how: "initial value"}
	if symbol != "" {
		a.c = 0
	}
	return Value{v: single(a)}
}

// Unknown is a value of which nothing is known, for a reason.
func Unknown(why string) Value { return Value{v: unknown(why, 0)} }
