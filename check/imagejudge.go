package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"portcullis.dev/check/flow"
	"portcullis.dev/check/flow/op"
	"portcullis.dev/finding"
	"portcullis.dev/macho"
)

// imageJudge judges the calls of one image, each on every way that leads to it.
type imageJudge struct {
	img     *macho.Image
	cpu     string
	macOS   bool
	explore *explorer
	calls   map[uint64]*judged
	taken   []flow.Taken
	starts  map[uint64]uint64 // functions of taken addresses
	placed  []uint64          // variables that are given the address of a function of the catalog
	late    bool              // only calls through such variables are of interest any more
}

// judged is one call with what it comes to on the ways that lead to it.
type judged struct {
	site    uint64
	symbol  string
	start   uint64 // of the function it lies in
	partial bool   // it is reached by ways that are not known
	ways    []judgedWay
}

type judgedWay struct {
	verdicts []verdict
	facts    []string
	open     bool // who calls the first function of the way is not known
}

func newImageJudge(img *macho.Image) *imageJudge {
	_, cpu := isaOf(img)
	p := img.Platform().Platform
	return &imageJudge{img: img, cpu: cpu, macOS: p == macho.MacOS || p == 0, explore: newExplorer(img),
		calls: map[uint64]*judged{}, starts: map[uint64]uint64{}}
}

// trapArgs is the number of arguments of a system call that are looked at.
const trapArgs = 8

// run judges the functions with calls (sites) and system calls (traps), both by start of the function.
func (j *imageJudge) run(sites, traps map[uint64][]uint64) {
	functions := map[uint64]bool{}
	for f := range sites {
		functions[f] = true
	}
	for f := range traps {
		functions[f] = true
	}
	named := map[uint64]bool{}
	for _, f := range j.tables() {
		functions[f], named[f] = true, true
	}
	var quests []*quest
	for _, f := range slices.Sorted(maps.Keys(functions)) {
		ask := question{want: wanted, sites: sites[f]}
		if len(traps[f]) > 0 {
			ask.traps = trapArgs
			ask.sites = append(slices.Clone(ask.sites), traps[f]...)
		}
		if len(traps[f]) == 0 && !named[f] {
			ask.limit = j.limit(sites[f])
		}
		quests = append(quests, j.quest(f, ask, named[f]))
	}
	j.explore.explore(quests)
	j.runPlaced()
}

// runPlaced judges the calls through variables that were given the address of a function of the catalog.
func (j *imageJudge) runPlaced() {
	x := j.explore
	if len(j.placed) == 0 {
		return
	}
	x.learn(j.placed)
	functions := map[uint64]bool{}
	for _, a := range j.placed {
		if r := x.refs[a]; r != nil {
			for _, f := range r.functions {
				functions[f] = true
			}
		}
	}
	j.placed = nil
	var quests []*quest
	for _, f := range slices.Sorted(maps.Keys(functions)) {
		quests = append(quests, j.quest(f, question{want: wanted}, true))
	}
	j.late = true
	x.explore(quests)
}

// Operations that a function is worth for calls of little weight, in a small image; an eighth of it in a large one.
const (
	boundedOps = 1 << 16
	localOps   = 1 << 14
)

// limit is how much work a function is worth; 0: whatever it takes.
func (j *imageJudge) limit(sites []uint64) int {
	limit := localOps
	for _, at := range sites {
		name := j.nameAt(at)
		a, ok := lookup(name)
		switch {
		case name == nameDlsym:
		case !ok || a.effort == thorough:
			return 0
		case a.effort == bounded:
			limit = boundedOps
		}
	}
	if j.explore.code > bigCode {
		limit /= 8
	}
	return limit
}

// nameAt names what a branch at a site reaches; "" where it is no direct branch.
func (j *imageJudge) nameAt(at uint64) string {
	if j.img.Type == macho.Object {
		for _, r := range j.img.Reloc(at, 1) {
			return r.Symbol
		}
		return ""
	}
	isa, _ := isaOf(j.img)
	var in op.Inst
	for n := isa.MaxLen; n > 0; n-- {
		if b := j.img.Bytes(at, n); b != nil {
			isa.Decode(b, at, &in)
			break
		}
	}
	s, _ := j.img.Stub(in.Target)
	return s.Import.Name
}

// tables returns the functions that name data in which the address of a function of the catalog stands.
func (j *imageJudge) tables() []uint64 {
	var slots []uint64
	inData := func(addr uint64) bool {
		s := j.img.SectionAt(addr)
		return s != nil && !s.IsCode() && s.Type() != macho.NonLazyPointers && s.Type() != macho.LazyPointers
	}
	if j.img.Type == macho.Object {
		for i := range j.img.Sections {
			s := &j.img.Sections[i]
			if s.IsCode() || metadata(s) {
				continue
			}
			for r := range s.Relocs() {
				if _, ok := lookup(r.Symbol); ok && r.Kind == macho.RelocPointer {
					slots = append(slots, r.Addr)
				}
			}
		}
	} else {
		for b := range j.img.Bindings() {
			if _, ok := lookup(b.Import.Name); ok && inData(b.Addr) {
				slots = append(slots, b.Addr)
			}
		}
	}
	return j.explore.naming(slots, maxNaming)
}

// quest asks for the calls of one function; named tells that it names data with addresses of what is asked for.
func (j *imageJudge) quest(fn uint64, ask question, named bool) *quest {
	open := map[uint64]bool{} // sites that callers may tell more of
	q := &quest{fn: fn, ask: ask}
	q.visit = func(r flow.Result, w way) (more bool) {
		if w.first() {
			for _, t := range r.Taken {
				j.taken = append(j.taken, t)
				j.starts[t.Site] = fn
			}
			for _, p := range r.Stores {
				j.placed = append(j.placed, p.Addr)
			}
		}
		for _, c := range r.Calls {
			if j.late && !c.Indirect {
				continue
			}
			if !w.first() && !open[c.Site] && c.Chain == nil {
				continue
			}
			s, a, ok := j.site(c)
			if !ok {
				continue
			}
			vs := j.judge(&s, a, &r)
			if c.Reached && c.Chain == nil && j.unsettled(&s, a, vs, len(w.sites)) {
				open[c.Site], more = true, true
				continue
			}
			j.add(fn, &s, vs, w, false)
		}
		return more
	}
	q.end = func(r flow.Result, w way) {
		for _, c := range r.Calls {
			if s, a, ok := j.site(c); ok && open[c.Site] {
				j.add(fn, &s, j.judge(&s, a, &r), w, true)
			}
		}
	}
	q.unsure = func(r flow.Result) bool {
		for _, c := range r.Calls {
			s, a, ok := j.site(c)
			if !ok || c.Chain != nil || !a.travels() || settled(j.judge(&s, a, &r)) {
				continue
			}
			for _, v := range s.deciding() {
				if !v.Complete() || calledHere(v) {
					return true
				}
			}
		}
		return named
	}
	q.needs = func(r flow.Result) (vars []uint64) {
		for _, c := range r.Calls {
			if s, _, ok := j.site(c); ok {
				for _, v := range s.deciding() {
					vars = append(vars, variables(v)...)
				}
			}
		}
		return vars
	}
	return q
}

// site prepares a call to be judged.
func (j *imageJudge) site(c flow.Call) (site, api, bool) {
	if c.Trap {
		sym, ok := byTrap(c.Number, j.cpu)
		if !ok {
			return site{}, api{}, false
		}
		c.Symbol = sym
	}
	a, ok := lookup(c.Symbol)
	return site{call: c, cpu: j.cpu, macOS: j.macOS}, a, ok
}

func (j *imageJudge) judge(s *site, a api, r *flow.Result) []verdict {
	c := &s.call
	vs := a.judge(s)
	for i := range vs {
		v := &vs[i]
		if !c.Reached {
			v.evidence = append(v.evidence, "not certain: no path from the function's entry to the call was found")
		}
		if r.Problem != "" {
			v.evidence = append(v.evidence, "not certain: "+r.Problem)
		}
		if c.Indirect && !c.Only {
			v.evidence = append(v.evidence, "not certain: the indirect call may go elsewhere as well")
			v.confidence = weaker(v.confidence)
		}
		if c.Trap {
			v.evidence = append(v.evidence, fmt.Sprintf("by a system call of the program's own, number %s", c.Number))
		}
		for _, site := range c.Chain {
			v.evidence = append(v.evidence, fmt.Sprintf("through a pointer, in a function that is called at %#x", site))
		}
	}
	return vs
}

// unsettled tells whether callers, so many levels up, could tell more of a call.
func (j *imageJudge) unsettled(s *site, a api, vs []verdict, level int) bool {
	if settled(vs) || !a.travels() {
		return false
	}
	// An unknown value may have been made of a parameter in a way that is not followed.
	const guesses = 2
	for _, v := range s.deciding() {
		if fromCaller(v) || !v.Complete() && level < guesses {
			return true
		}
	}
	return false
}

// settled tells whether verdicts leave nothing open.
func settled(vs []verdict) bool {
	return len(vs) > 0 && !slices.ContainsFunc(vs, func(v verdict) bool { return v.confidence != finding.Certain })
}

// deciding lists the values that a verdict on the call rests on.
func (s *site) deciding() []flow.Value {
	switch s.call.Symbol {
	case "_mach_msg", "_mach_msg_overwrite":
		m := readMessage(s, viaLibrary)
		return append(m.values(), m.at)
	case "_mach_msg2_internal", "_mach_msg2_trap":
		m := readMessage(s, viaMsg2)
		return append(m.values(), m.at)
	case "_mach_port_construct":
		if len(s.call.Args) > 1 {
			return []flow.Value{s.call.Args[1], s.call.Args[1].Load(0, 4)}
		}
	}
	return s.call.Args
}

func (j *imageJudge) add(fn uint64, s *site, vs []verdict, w way, open bool) {
	c := &s.call
	x := j.calls[c.Site]
	if x == nil {
		x = &judged{site: c.Site, symbol: c.Symbol, start: fn}
		if c.Chain != nil {
			if start, _, ok := j.img.Function(c.Site); ok {
				x.start = start
			}
		}
		j.calls[c.Site] = x
	}
	x.partial = x.partial || c.Chain != nil || w.above != nil
	x.ways = append(x.ways, judgedWay{vs, j.explore.facts(w), open})
}

// hits joins the ways of each call.
func (j *imageJudge) hits() []hit {
	var hits []hit
	for _, at := range slices.Sorted(maps.Keys(j.calls)) {
		x := j.calls[at]
		for _, v := range x.join() {
			hits = append(hits, j.hit(x.site, x.start, x.symbol, v))
		}
	}
	for _, t := range j.taken {
		if v, ok := taken(t.Symbol); ok && j.calls[t.Site] == nil {
			hits = append(hits, j.hit(t.Site, j.starts[t.Site], t.Symbol, v))
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int {
		if a.start0 != b.start0 {
			if a.start0 < b.start0 {
				return -1
			}
			return 1
		}
		return 0
	})
	return hits
}

func (j *imageJudge) hit(at, start uint64, symbol string, v verdict) hit {
	h := hit{verdict: v, callee: strings.TrimPrefix(symbol, "_"), site: at, start0: start}
	if name, _, ok := j.img.SymbolName(start); ok {
		h.function = name
	}
	if name, _, ok := j.img.SymbolName(at); ok {
		h.function = name
	}
	if h.function == "" {
		h.start = start
	}
	h.lookUp(j.img)
	return h
}

// join makes of the verdicts on all ways one for each rule: it is certain where all ways are, likely where one is.
func (x *judged) join() []verdict {
	type key struct {
		rule, needs string
	}
	var order []key
	best := map[key]verdict{}
	from := map[key]judgedWay{}
	sure := map[key]int{}
	met := map[key]int{}
	for _, w := range x.ways {
		seen := map[key]bool{}
		for _, v := range w.verdicts {
			k := key{v.rule.Name, v.needs}
			old, ok := best[k]
			if !ok {
				order = append(order, k)
			}
			if !ok || v.confidence.Rank() > old.confidence.Rank() {
				best[k], from[k] = v, w
			}
			if !seen[k] {
				met[k]++
				if v.confidence == finding.Certain {
					sure[k]++
				}
			}
			seen[k] = true
		}
	}
	var out []verdict
	for _, k := range order {
		v, w := best[k], from[k]
		v.evidence = append(slices.Clone(v.evidence), w.facts...)
		n := len(x.ways)
		if v.confidence == finding.Certain && (sure[k] < n || x.partial) {
			v.confidence = finding.Likely
			switch {
			case sure[k] < n:
				v.evidence = append(v.evidence, fmt.Sprintf("not certain: proven on %d of %d ways to the call", sure[k], n))
			default:
				v.evidence = append(v.evidence, "not certain: the call is reached on other ways, which are not known")
			}
		} else if n > 1 && met[k] < n {
			v.evidence = append(v.evidence, fmt.Sprintf("on %d of %d ways to the call", met[k], n))
		}
		out = append(out, v)
	}
	return out
}
