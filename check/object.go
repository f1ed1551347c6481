package check

import (
	"fmt"
	"slices"

	"portcullis.dev/check/flow"
	"portcullis.dev/macho"
)

// Objects of Objective-C are known by their class: what its methods store in the instance variables, called by those who
// send the messages. An initializer's stores on one such way belong together; of what it leaves alone the object has what
// any other method stores there, or zero. That is no proof, for anything may be stored in an object from elsewhere.

// objects are what an image's classes are, and what is known of their objects.
type objects struct {
	methods map[uint64]method   // by implementation
	named   map[string][]uint64 // implementations, by selector
	built   map[string][]object // ways to make one, by class
}

// method is a method of a class or of its objects.
type method struct {
	class    *macho.ObjCClass
	selector string
	ofObject bool
}

// object is what the instance variables of an object can hold that was made in one way.
type object struct {
	fact   string
	fields map[int64]field
	others map[int64]field // what is stored there otherwise
}

type field struct {
	value flow.Value
	size  int
}

const (
	maxClass   = 64 // methods of a class that are followed
	maxSenders = 32 // functions that send one message
	maxMade    = 16 // ways to make an object
)

// readObjects reads the image's classes.
func (x *explorer) readObjects() *objects {
	o := &objects{methods: map[uint64]method{}, named: map[string][]uint64{}, built: map[string][]object{}}
	classes := x.img.ObjCClasses()
	for i := range classes {
		c := &classes[i]
		add := func(list []macho.ObjCMethod, ofObject bool) {
			for _, m := range list {
				if _, ok := o.methods[m.Code]; !ok {
					o.named[m.Selector] = append(o.named[m.Selector], m.Code)
				}
				o.methods[m.Code] = method{c, m.Selector, ofObject}
			}
		}
		add(c.Methods, true)
		add(c.ClassMethods, false)
	}
	return o
}

// implements lists the functions that a symbol may come to: see [flow.Model].
func (x *explorer) implements(symbol string) []uint64 {
	if x.outer != nil && symbol == x.outer.symbol {
		return []uint64{outerAddr}
	}
	if len(symbol) <= len(flow.PrefixMsgSend) || symbol[:len(flow.PrefixMsgSend)] != flow.PrefixMsgSend {
		return nil
	}
	return x.objects().named[symbol[len(flow.PrefixMsgSend):]]
}

// senders lists the functions of the image that send the message that an implementation is of.
func (x *explorer) senders(code uint64) []uint64 {
	m, ok := x.objects().methods[code]
	if !ok {
		return nil
	}
	return x.sending(m.selector)
}

// sending lists the functions of the image that send a message: those that load its selector, or call the linker's code
// that does.
func (x *explorer) sending(selector string) []uint64 {
	slots := x.img.SelectorRefs(selector)
	var stubs []uint64
	for _, s := range x.img.Stubs() {
		if s.Selector == selector {
			stubs = append(stubs, s.Addr)
		}
	}
	if !x.refer(stubs, slots) {
		return nil
	}
	var out []uint64
	for _, a := range append(slices.Clone(slots), stubs...) {
		out = append(out, x.refs[a].functions...)
	}
	out = append(out, x.relocated(flow.PrefixMsgSend+selector)...)
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxSenders)]
}

// relocated lists the functions of an object file whose code names a symbol that it does not define.
func (x *explorer) relocated(symbol string) []uint64 {
	if x.img.Type != macho.Object {
		return nil
	}
	var sites []uint64
	if x.img.HasImport(func(name []byte) bool { return string(name) == symbol }) {
		sites = relocatedSites(x.img, func(s string) bool { return s == symbol })
	}
	r := &references{}
	for _, s := range sites {
		r.in(x.img, s)
	}
	slices.Sort(r.functions)
	return slices.Compact(r.functions)
}

// made lists the ways in which objects come about whose methods include one; empty where it is no method of objects.
func (x *explorer) made(code uint64) []object {
	known := x.objects()
	m, ok := known.methods[code]
	if !ok || !m.ofObject || m.class.Name == "" {
		return nil
	}
	if out, ok := known.built[m.class.Name]; ok {
		return out
	}
	known.built[m.class.Name] = nil // nothing is known while it is being found out
	var out []object
	others := map[int64]field{}
	for i, m := range m.class.Methods {
		if i == maxClass || x.spent(shallow) || len(out) >= maxMade {
			break
		}
		for _, o := range x.stored(m) {
			out = append(out, o)
			for off, f := range o.fields {
				others[off] = f.join(others[off])
			}
		}
	}
	for i := range out {
		out[i].others = others
	}
	known.built[m.class.Name] = out
	return out
}

// stored lists what a method stores in its object, on each way to it where its callers decide over that.
func (x *explorer) stored(m macho.ObjCMethod) (out []object) {
	ask := question{objects: true, limit: x.callerOps()}
	r := x.analyze(m.Code, nil, ask, shallow)
	if len(r.Puts) == 0 {
		return nil
	}
	put := func(r flow.Result, fact string) {
		o := object{fact: fact, fields: map[int64]field{}}
		for _, p := range r.Puts {
			o.fields[p.Off] = field{p.Value.Closed().Kept(), p.Size}.join(o.fields[p.Off])
		}
		out = append(out, o)
	}
	fact := fmt.Sprintf("instance variables are set by %s", x.name(m.Code))
	if slices.ContainsFunc(r.Puts, func(p flow.Put) bool { return fromCaller(p.Value) }) {
		for _, c := range x.calls(m.Code) {
			put(x.analyze(m.Code, c.entry, ask, shallow), fact+", "+c.fact)
		}
	}
	if len(out) == 0 {
		put(r, fact)
	}
	return out
}

// join is what either field can hold.
func (f field) join(o field) field {
	if o.size == 0 {
		return f
	}
	return field{f.value.Union(o.value), min(f.size, o.size)}
}

// load answers the engine what an instance variable holds. It is zero as long as nobody has stored anything.
func (o *object) load(off int64, size int) (flow.Value, bool) {
	f, ok := o.fields[off]
	if !ok {
		if f, ok = o.others[off]; ok {
			f = f.join(field{flow.Constant(0), f.size})
		}
	}
	if !ok || f.size < size {
		return flow.Value{}, false
	}
	if size < 8 {
		return f.value.Trunc(8 * size), true
	}
	return f.value, true
}

// call is a call of a function from within the image or from another.
type call struct {
	entry *flow.Entry
	fact  string
}

// calls lists the messages that come to a method.
func (x *explorer) calls(code uint64) (out []call) {
	for _, fn := range x.senders(code) {
		if x.spent(shallow) {
			break
		}
		for _, r := range x.reaches(fn, code, shallow) {
			out = append(out, call{r.Entry, fmt.Sprintf("called by %s at %#x", x.name(fn), r.Site)})
		}
	}
	return append(out, x.outerCalls(code)...)
}
