package check

import (
	"fmt"
	"slices"
	"sync"

	"portcullis.dev/check/flow"
	"portcullis.dev/check/flow/op"
	"portcullis.dev/macho"
)

// What one function leaves open, its callers may tell: a wrapper passes on what it is given. An explorer goes up from
// a function to those that call it, as far as it takes and its budget lasts, and follows the values down again on every
// way. Variables of the image it knows by what is stored in them.

const (
	maxLevels = 8  // of callers
	maxWays   = 64 // to one function
	maxQuests = 1 << 10
	// Work on one image, as operations of the engine, of which a second has three to four million: on the first look at
	// each function, and beyond it, in small images and in large ones; half as much again may go to following callees.
	// Of that, maxCallees may go to those of one function.
	maxFirst   = 1 << 20
	maxOps     = 2 << 20
	maxOpsBig  = 1 << 17
	bigCode    = 4 << 20 // bytes of code
	maxCallees = 1 << 17
	leastOps   = 1 << 10 // on one function, whatever is left
	// So many functions share what is left for first looks, all the same wherever they are looked at side by side.
	sharing = 8
	// On one caller, or one function that stores in a variable; an eighth of it in large images.
	callerOps = 1 << 16
	// Of the code of an image so many bytes are scanned for callers and uses of variables: large programs are scanned
	// a few times, small ones as often as it takes.
	maxScanned = 128 << 20
)

type explorer struct {
	img      *macho.Image
	isa      *op.ISA
	view     view
	exported map[uint64]bool
	refs     map[uint64]*references
	vars     map[uint64]*variable
	firstOps int                 // left for first looks
	ops      int                 // left for all that follows
	loads    map[uint64][]uint64 // variables that a function was seen to read
	deepOps  int                 // left for following callees: they shall not use up what callers need
	reaching map[reaching][]flow.Reach
	scanned  int
	fields   map[uint64]bool // functions that read fields of their first argument
	objects  func() *objects // reads them once, whoever asks first of those that look at a time
	peers    []*macho.Image  // the object files of the library, this one too
	level    int             // of object files above this
	outer    *outer          // what is looked for on behalf of another; nil: nothing
	outers   map[string][]call
	code     int // bytes of code
}

func newExplorer(img *macho.Image) *explorer {
	isa, _ := isaOf(img)
	x := &explorer{img: img, isa: isa, view: view{img}, refs: map[uint64]*references{}, vars: map[uint64]*variable{},
		loads: map[uint64][]uint64{}, fields: map[uint64]bool{}, firstOps: maxFirst, ops: maxOps}
	x.objects = sync.OnceValue(x.readObjects)
	for _, s := range img.CodeSections() {
		x.code += int(s.Size)
	}
	if x.code > bigCode {
		x.ops = maxOpsBig
	}
	x.deepOps = x.ops / 2
	return x
}

// question is what an analysis of a function is to find.
type question struct {
	want   func(string) (int, bool)
	into   map[uint64]bool
	stores map[uint64]bool
	traps  int
	sites  []uint64
	// objects asks for what is stored in the object of a method; field tells what is.
	objects bool
	field   func(off int64, size int) (flow.Value, bool)
	limit   int // of operations; 0: that of the engine
}

func (x *explorer) callerOps() int {
	if x.code > bigCode {
		return callerOps / 8
	}
	return callerOps
}

// reaching asks which calls of a function reach another, whoever calls it.
type reaching struct {
	fn, target uint64
	depth      depth
	variables  int // that are known
}

// reaches answers it, once.
func (x *explorer) reaches(fn, target uint64, d depth) []flow.Reach {
	k := reaching{fn, target, d, len(x.vars)}
	r, ok := x.reaching[k]
	if !ok {
		if x.reaching == nil {
			x.reaching = map[reaching][]flow.Reach{}
		}
		r = x.analyze(fn, nil, question{into: map[uint64]bool{target: true}, limit: x.callerOps()}, d).Reached
		x.reaching[k] = r
	}
	return r
}

// spent tells whether the budget is.
func (x *explorer) spent(d depth) bool {
	if d == deep {
		return x.deepOps <= 0
	}
	return x.ops <= 0
}

// depth says whether the functions that a function calls are followed as well.
type depth uint8

const (
	shallow depth = iota
	deep
)

func (x *explorer) analyze(start uint64, entry *flow.Entry, q question, d depth) flow.Result {
	left := x.ops
	if d == deep {
		left = x.deepOps
	}
	r := x.look(start, entry, q.within(left), d)
	if len(r.Loads) > 0 {
		x.loads[start] = r.Loads
	}
	if len(r.Fields) > 0 {
		x.fields[start] = true
	}
	if d == deep {
		x.deepOps -= r.Ops
	} else {
		x.ops -= r.Ops
	}
	return r
}

// within is the question with no more work than is left.
func (q question) within(left int) question {
	if q.limit == 0 || q.limit > left {
		q.limit = max(left, leastOps)
	}
	return q
}

// look is analyze without counting what it costs: several may look at a time.
func (x *explorer) look(start uint64, entry *flow.Entry, q question, d depth) flow.Result {
	fn := flow.Function{Start: start, ISA: x.isa, Entry: entry, Sites: q.sites}
	if _, end, ok := x.img.Function(start); ok {
		fn.End = end
	} else if s := x.img.SectionAt(start); s != nil {
		fn.End = min(s.Addr+s.Size, start+uint64(x.isa.MaxLen)) // of a call in no function nothing else is known
	}
	m := flow.Model{Want: q.want, Traps: q.traps, Known: x.known}
	if m.Want == nil {
		m.Want = func(string) (int, bool) { return 0, false }
	}
	if d == deep {
		m.Limits.Callees = max(min(maxCallees, x.deepOps/4), 1<<12)
	}
	if q.into != nil {
		m.Into = func(a uint64) bool { return q.into[a] }
		m.Implements = x.implements
	}
	if q.stores != nil {
		m.Stores = func(a uint64) bool { return q.stores[a] }
	}
	m.Objects, m.Field = q.objects, q.field
	m.Limits.Ops = q.limit
	return flow.Analyze(fn, x.view, m)
}

// way is a chain of calls to a function, from the outermost caller that is known.
type way struct {
	functions []uint64 // the last is the function in question
	sites     []uint64 // where each but the last calls the next
	entry     *flow.Entry
	above     *above // what is known of how its first function comes to run, beside a caller of this image; nil: nothing
}

// above is where a way begins that does not begin with a function for whatever caller.
type above struct {
	entry *flow.Entry // of a caller in another file; nil: whatever the caller
	field func(off int64, size int) (flow.Value, bool)
	fact  string
}

// first tells whether the way is the function in question alone.
func (w way) first() bool { return len(w.sites) == 0 && w.above == nil }

func (w way) root() uint64 { return w.functions[0] }

// through tells whether a function is on the way: recursion leads nowhere.
func (w way) through(fn uint64) bool { return slices.Contains(w.functions, fn) }

// quest is a function to be understood with the help of its callers.
type quest struct {
	fn  uint64
	ask question
	// visit is told what the function does on one way. It answers whether callers farther up could tell more.
	visit func(r flow.Result, w way) (more bool)
	// unsure tells whether the function's callees could tell more of what it does.
	unsure func(r flow.Result) bool
	// needs lists the variables of the image that it would help to know.
	needs func(r flow.Result) []uint64
	// end is told of a way that goes no farther: whoever calls its first function is not known.
	end  func(r flow.Result, w way)
	ways int
}

// pending is a way that is to be followed farther up.
type pending struct {
	q *quest
	w way
	r flow.Result
}

// explore carries out quests, so many at a time as memory may hold the results of.
func (x *explorer) explore(quests []*quest) {
	for some := range slices.Chunk(quests, maxQuests) {
		x.exploreTogether(some)
	}
}

// exploreTogether carries out quests side by side, level by level, so that callers are looked for in one pass for all.
func (x *explorer) exploreTogether(quests []*quest) {
	var now []pending
	for _, p := range x.first(quests) {
		if p.q.visit(p.r, p.w) {
			now = append(now, p)
		}
	}
	for level := 0; len(now) > 0 && level < maxLevels; level++ {
		var roots []uint64
		for _, p := range now {
			roots = append(roots, p.w.root())
		}
		if !x.refer(roots, nil) {
			break
		}
		now = x.up(now)
	}
	for _, p := range now {
		p.q.end(p.r, p.w)
	}
}

// first follows the functions in question for whatever caller; a second time where variables matter.
func (x *explorer) first(quests []*quest) []pending {
	out := make([]pending, len(quests))
	var needs []uint64
	slots := make(chan struct{}, workers())
	for from := 0; from < len(quests); from += sharing {
		to := min(from+sharing, len(quests))
		share := x.firstOps / (to - from)
		var group crew
		for i, q := range quests[from:to] {
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				out[from+i] = pending{q, way{functions: []uint64{q.fn}}, x.look(q.fn, nil, q.ask.within(share), shallow)}
			})
		}
		group.Wait()
		for i := from; i < to; i++ {
			x.firstOps -= out[i].r.Ops
		}
	}
	for i, q := range quests {
		if len(out[i].r.Fields) > 0 {
			x.fields[q.fn] = true
		}
		needs = append(needs, q.variables(out[i].r)...)
	}
	learnt := len(needs) > 0 && x.learn(needs)
	for i, q := range quests {
		d := shallow
		if q.unsure(out[i].r) && !x.spent(deep) {
			d = deep
		}
		if d == deep || learnt && !x.spent(shallow) && len(q.variables(out[i].r)) > 0 {
			if r := x.analyze(q.fn, nil, q.ask, d); r.Problem == "" {
				out[i].r = r
			}
		}
	}
	return out
}

func (q *quest) variables(r flow.Result) []uint64 {
	if q.needs == nil {
		return nil
	}
	return q.needs(r)
}

// refer finds the references to functions and variables that are not known yet. It answers false where that would
// cost too much.
func (x *explorer) refer(code, data []uint64) bool {
	unknown := func(a uint64) bool { return x.refs[a] == nil }
	code, data = keep(code, unknown), keep(data, unknown)
	if len(code)+len(data) == 0 {
		return true
	}
	if x.scanned > 0 && x.scanned+x.code > maxScanned {
		return false
	}
	x.scanned += x.code
	if x.exported == nil {
		x.exported = exported(x.img)
	}
	for a, r := range referTo(x.img, code, data) {
		x.refs[a] = r
	}
	return true
}

func keep(list []uint64, f func(uint64) bool) []uint64 {
	var out []uint64
	for _, a := range list {
		if f(a) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// up follows ways to the callers of their first functions.
func (x *explorer) up(now []pending) (next []pending) {
	for _, p := range now {
		root := p.w.root()
		refs := x.refs[root]
		open := refs.taken || x.exported[root]
		met := 0
		callers := refs.functions
		if len(refs.tables) > 0 {
			callers = append(slices.Clone(callers), x.naming(refs.tables, maxNaming)...)
			slices.Sort(callers)
			callers = slices.Compact(callers)
		}
		if _, ok := x.objects().methods[root]; ok {
			open = true // the lists of methods need not have its address as a pointer
			callers = append(slices.Clone(callers), x.senders(root)...)
			slices.Sort(callers)
			callers = slices.Compact(callers)
		}
		for _, caller := range callers {
			if p.w.through(caller) {
				continue
			}
			if x.spent(shallow) || p.q.ways >= maxWays {
				open = true
				break
			}
			reaches := x.reaches(caller, root, shallow)
			if len(reaches) == 0 && refs.taken && !x.spent(deep) {
				reaches = x.reaches(caller, root, deep)
			}
			for _, r := range reaches {
				w := way{append([]uint64{caller}, p.w.functions...), append([]uint64{r.Site}, p.w.sites...), r.Entry, nil}
				result, ok := x.down(p.q, w)
				if !ok {
					open = true
					continue
				}
				met++
				p.q.ways++
				if p.q.visit(result, w) {
					next = append(next, pending{p.q, w, result})
				}
			}
			open = open || len(reaches) == 0
		}
		x.fromAbove(p)
		if open || met == 0 {
			p.q.end(p.r, p.w)
		}
	}
	return next
}

// fromAbove follows a way from what is known of its beginning beside the callers in this image: the object that its first
// function is a method of, and calls from other files.
func (x *explorer) fromAbove(p pending) {
	var list []above
	root := p.w.root()
	if x.fields[root] {
		for _, o := range x.made(root) {
			list = append(list, above{field: o.load, fact: o.fact})
		}
	}
	for _, c := range x.outerCalls(root) {
		list = append(list, above{entry: c.entry, fact: c.fact})
	}
	for i := range list {
		w := p.w
		w.entry, w.above = nil, &list[i]
		if x.spent(shallow) || p.q.ways >= maxWays {
			return
		}
		if r, ok := x.down(p.q, w); ok {
			p.q.ways++
			if p.q.visit(r, w) {
				p.q.end(r, w)
			}
		}
	}
}

// down follows the values on a way to the function in question, first without the functions that are called beside it.
func (x *explorer) down(q *quest, w way) (flow.Result, bool) {
	r, ok := x.follow(q, w, w.entry, shallow)
	again := func(d depth) {
		better, found := x.follow(q, w, nil, d)
		if found && better.Problem != "" && ok && r.Problem == "" || !found && d == deep {
			return // with the work that was left less was found than before
		}
		r, ok = better, found
	}
	if vars := q.variables(r); len(vars) > 0 && x.learn(vars) {
		again(shallow) // from its start, where the variables may be read
	}
	if ok && q.unsure(r) && x.code <= bigCode {
		// Something may have been computed from a variable.
		var read []uint64
		for _, fn := range w.functions {
			read = append(read, x.loads[fn]...)
		}
		if len(read) > 0 && x.learn(read) {
			again(shallow)
		}
	}
	if ok && q.unsure(r) && !x.spent(deep) {
		again(deep)
	}
	return r, ok
}

// follow goes down a way, from its first function or, where the state at its call is known, from there.
func (x *explorer) follow(q *quest, w way, entry *flow.Entry, d depth) (flow.Result, bool) {
	first := 1
	var field func(int64, int) (flow.Value, bool)
	if entry == nil {
		first = 0
		if w.above != nil {
			entry, field = w.above.entry, w.above.field
		}
	}
	for i := first; i < len(w.functions)-1; i++ {
		var reached []flow.Reach
		if entry == nil && field == nil {
			reached = x.reaches(w.functions[i], w.functions[i+1], d)
		} else {
			reached = x.analyze(w.functions[i], entry, question{into: map[uint64]bool{w.functions[i+1]: true},
				field: field, limit: x.callerOps()}, d).Reached
		}
		field = nil
		at := slices.IndexFunc(reached, func(r flow.Reach) bool { return r.Site == w.sites[i] })
		if at < 0 {
			return flow.Result{}, false
		}
		entry = reached[at].Entry
	}
	ask := q.ask
	ask.field = field
	return x.analyze(q.fn, entry, ask, d), true
}

// maxTable is how many pointers before a slot a table may begin that code names by its start.
const maxTable = 32

// maxNaming is how many tables may name one another on the way to a function.
const maxNaming = 2

// naming returns the functions that name one of the slots, or a place shortly before, where the table or object may
// begin that it is part of; also those that name data in which that place is named, so many levels up.
func (x *explorer) naming(slots []uint64, levels int) []uint64 {
	var places []uint64
	for _, a := range slots {
		s := x.img.SectionAt(a)
		for range maxTable {
			if s == nil || !s.Contains(a) {
				break
			}
			places = append(places, a)
			a -= 8
		}
	}
	if len(places) == 0 || !x.refer(nil, places) {
		return nil
	}
	var out, outer []uint64
	for _, a := range places {
		out = append(out, x.refs[a].functions...)
		outer = append(outer, x.refs[a].tables...)
	}
	if levels > 1 {
		out = append(out, x.naming(outer, levels-1)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// facts says how a way leads to the function in question.
func (x *explorer) facts(w way) []string {
	var out []string
	for i := len(w.sites) - 1; i >= 0; i-- {
		out = append(out, fmt.Sprintf("called by %s at %#x", x.name(w.functions[i]), w.sites[i]))
	}
	if w.above != nil {
		out = append(out, w.above.fact)
	}
	return out
}

// name names a function for evidence.
func (x *explorer) name(start uint64) string {
	if name, at, ok := x.img.SymbolName(start); ok && at == start {
		return name
	}
	return fmt.Sprintf("the function at %#x", start)
}
