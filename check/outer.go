package check

import (
	"fmt"
	"strings"

	"portcullis.dev/check/flow"
	"portcullis.dev/macho"
)

// The object files of a static library call one another by name. Where the callers of a function are asked for, those in
// the other files of the library are looked at as well; what they pass is known as far as it means the same in both.

// outer is what an explorer of another object file looks for: calls of what has this name.
type outer struct{ symbol string }

// outerAddr stands for the function of the other file. No code is there.
const outerAddr = 1<<64 - 16

const (
	maxOuterLevels = 2  // of files
	maxOuterCalls  = 16 // of one function
)

// outerName is the name under which other object files know a function: that of a message, or a global symbol.
func (x *explorer) outerName(fn uint64) string {
	if x.img.Type != macho.Object {
		return ""
	}
	if m, ok := x.objects().methods[fn]; ok {
		return flow.PrefixMsgSend + m.selector
	}
	if x.exported == nil {
		x.exported = exported(x.img)
	}
	if name, at, ok := x.img.SymbolName(fn); ok && at == fn && x.exported[fn] {
		return name
	}
	return ""
}

// outerCalls lists the calls of a function from other object files.
func (x *explorer) outerCalls(fn uint64) (out []call) {
	if len(x.peers) == 0 || x.level >= maxOuterLevels {
		return nil
	}
	name := x.outerName(fn)
	if name == "" {
		return nil
	}
	if out, ok := x.outers[name]; ok {
		return out
	}
	for _, img := range x.peers {
		if img == x.img || x.spent(shallow) || len(out) >= maxOuterCalls {
			continue
		}
		p := newExplorer(img)
		p.peers, p.level, p.outer = x.peers, x.level+1, &outer{name}
		p.ops, p.firstOps = x.ops/2, x.firstOps/2
		ops, firstOps := p.ops, p.firstOps
		out = append(out, p.callsOut(name)...)
		x.ops -= ops - p.ops
		x.firstOps -= firstOps - p.firstOps
	}
	out = out[:min(len(out), maxOuterCalls)]
	if x.outers == nil {
		x.outers = map[string][]call{}
	}
	x.outers[name] = out
	return out
}

// callsOut lists the calls of what has a name in another file.
func (x *explorer) callsOut(name string) (out []call) {
	functions := x.relocated(name)
	first, end := 0, len(x.isa.Args)
	if sel, ok := strings.CutPrefix(name, flow.PrefixMsgSend); ok {
		functions = x.sending(sel)
		first, end = 2, 2+strings.Count(sel, ":") // behind the object and the selector
	}
	where := x.img.Member
	var quests []*quest
	for _, fn := range functions {
		q := &quest{fn: fn, ask: question{into: map[uint64]bool{outerAddr: true}, limit: x.callerOps()}}
		put := func(r flow.Reach, w way) {
			fact := fmt.Sprintf("called by %s of %s at %#x", x.name(fn), where, r.Site)
			if up := x.facts(w); len(up) > 0 {
				fact += ", " + strings.Join(up, ", ")
			}
			out = append(out, call{r.Entry.Outside(where), fact})
		}
		open := map[uint64]bool{}
		q.unsure = func(flow.Result) bool { return false }
		q.visit = func(r flow.Result, w way) (more bool) {
			for _, c := range r.Reached {
				if !w.first() && !open[c.Site] {
					continue
				}
				if passesOn(c, first, end) {
					open[c.Site], more = true, true
				} else {
					put(c, w)
				}
			}
			return more
		}
		q.end = func(r flow.Result, w way) {
			for _, c := range r.Reached {
				if open[c.Site] {
					put(c, w)
				}
			}
		}
		quests = append(quests, q)
	}
	x.explore(quests)
	return out
}

// passesOn tells whether one of the arguments of a call from first to end is one of the caller's own.
func passesOn(r flow.Reach, first, end int) bool {
	for i := first; i < end; i++ {
		if fromCaller(r.Entry.Arg(i)) {
			return true
		}
	}
	return false
}
