package check

import (
	"encoding/binary"
	"slices"

	"portcullis.dev/check/flow"
)

// variable is what a global or static variable of an image can hold.
type variable struct {
	value flow.Value
	known bool
}

// known answers the engine what a variable holds.
func (x *explorer) known(addr uint64, size int) (flow.Value, bool) {
	v := x.vars[addr]
	if v == nil || !v.known {
		return flow.Value{}, false
	}
	if size < 8 {
		return v.value.Trunc(8 * size), true
	}
	return v.value, true
}

// learn finds out what variables can hold: what the file has for them, and what the functions that name them store
// there. It answers whether anything new was learnt.
func (x *explorer) learn(addrs []uint64) bool {
	addrs = keep(addrs, func(a uint64) bool { return x.vars[a] == nil })
	for _, a := range addrs {
		x.vars[a] = &variable{}
	}
	around := map[uint64][]uint64{}
	places := slices.Clone(addrs)
	for _, a := range addrs {
		around[a] = x.before(a)
		places = append(places, around[a]...)
	}
	if len(addrs) == 0 || !x.refer(nil, places) {
		return false
	}
	asked := map[uint64]bool{}
	for _, a := range addrs {
		asked[a] = true
		x.vars[a].value = x.initial(a)
		open := x.refs[a].taken || x.exported[a]
		for _, b := range around[a] {
			open = open || x.refs[b].taken || x.exported[b]
		}
		if open {
			x.vars[a].value = x.vars[a].value.Union(flow.Unknown("a variable whose address goes elsewhere"))
		}
	}
	var quests []*quest
	done := map[uint64]bool{}
	for _, a := range addrs {
		for _, fn := range x.refs[a].functions {
			if !done[fn] {
				done[fn] = true
				quests = append(quests, x.storing(fn, asked))
			}
		}
	}
	x.explore(quests)
	for _, a := range addrs {
		x.vars[a].known = true
	}
	return true
}

// maxStruct is how many bytes before a variable the struct or array may begin that it is part of, where no symbol tells.
const maxStruct = 256

// before lists the places before a variable whose address, if code takes it, may be used to reach the variable: the
// start of the struct or array that it is part of, and what lies between.
func (x *explorer) before(addr uint64) []uint64 {
	s := x.img.SectionAt(addr)
	if s == nil {
		return nil
	}
	low := max(s.Addr, addr-min(addr, maxStruct))
	if _, start, ok := x.img.SymbolName(addr); ok && start >= s.Addr && start <= addr {
		low = max(low, start)
	}
	var out []uint64
	for a := addr - 4; a >= low && a < addr; a -= 4 {
		out = append(out, a)
	}
	return out
}

// storing is the quest for what a function stores in variables.
func (x *explorer) storing(fn uint64, asked map[uint64]bool) *quest {
	put := func(s flow.Store) {
		v := x.vars[s.Addr]
		v.value = v.value.Union(s.Value.Closed().Kept())
	}
	open := map[uint64]bool{} // sites that callers may tell more of
	q := &quest{fn: fn, ask: question{stores: asked, limit: x.callerOps()}}
	q.unsure = func(r flow.Result) bool {
		return slices.ContainsFunc(r.Stores, func(s flow.Store) bool { return !s.Value.Complete() || calledHere(s.Value) })
	}
	q.visit = func(r flow.Result, w way) (more bool) {
		for _, s := range r.Stores {
			if !w.first() && !open[s.Site] {
				continue
			}
			if fromCaller(s.Value) {
				open[s.Site], more = true, true
			} else {
				put(s)
			}
		}
		return more
	}
	q.end = func(r flow.Result, w way) {
		for _, s := range r.Stores {
			if open[s.Site] {
				put(s)
			}
		}
	}
	return q
}

// initial is what the file has for a variable.
func (x *explorer) initial(addr uint64) flow.Value {
	if target, symbol, ok := x.view.Pointer(addr); ok {
		return flow.Address(target, symbol)
	}
	b := x.img.Bytes(addr, 8)
	if b == nil {
		if b = x.img.Bytes(addr, 4); b == nil {
			return flow.Constant(0)
		}
		return flow.Constant(uint64(binary.LittleEndian.Uint32(b)))
	}
	return flow.Constant(binary.LittleEndian.Uint64(b))
}

// fromCaller tells whether a value depends on what the function is called with.
func fromCaller(v flow.Value) bool {
	for _, s := range v.Sources() {
		if root(s).Kind == flow.KindParam && root(s).Index != flow.Receiver || root(s).Kind == flow.KindStack && root(s).Const == 0 && s.Kind == flow.KindField {
			return true
		}
	}
	return false
}

// calledHere tells whether a value is what a function of the image returned.
func calledHere(v flow.Value) bool {
	return slices.ContainsFunc(v.Sources(), func(s flow.Source) bool {
		return root(s).Kind == flow.KindResult && !known(root(s).Symbol)
	})
}

// known tells whether the origin of values is understood where a symbol returned them: of functions of the image it is
// not.
func known(symbol string) bool {
	_, ok := flow.LibSystem(symbol)
	return ok
}

// root follows a value that was loaded to the pointer that it all begins with.
func root(s flow.Source) flow.Source {
	for s.Base != nil {
		s = *s.Base
	}
	return s
}

// variables lists the variables of the image whose content a value is.
func variables(v flow.Value) []uint64 {
	var out []uint64
	for _, s := range v.Sources() {
		for ; s.Base != nil; s = *s.Base {
			if b := s.Base; b.Kind == flow.KindAddr && b.Symbol == "" && b.Base == nil {
				out = append(out, b.Const+uint64(s.Field))
			}
		}
	}
	return out
}
