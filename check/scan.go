package check

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"portcullis.dev/check/amd64"
	"portcullis.dev/check/arm64"
	"portcullis.dev/check/flow"
	"portcullis.dev/check/flow/op"
	"portcullis.dev/finding"
	"portcullis.dev/macho"
	"portcullis.dev/rules"
)

// hit is a call that was judged to violate something.
type hit struct {
	verdict
	callee   string
	site     uint64
	function string
	start    uint64 // address of a function that has no name; 0 where it has one
	file     string
	line     int
	inlined  []macho.Inlined
	known    *rules.Match // known software it lies in; nil where none was recognised
	placed   bool         // names say that the call is its own, rather than somewhere in the same image
}

// scanImage finds the calls of an image that the catalog names and judges them. It touches no code where the image
// imports none of the names.
func scanImage(img *macho.Image) []hit {
	interesting := func(name []byte) bool {
		if len(name) < 2 || name[0] != '_' {
			return false
		}
		_, ok := catalog[string(name[1:])]
		return ok
	}
	if !img.HasImport(interesting) {
		return nil
	}
	var sites map[uint64][]uint64 // by start of the function
	if img.Type == macho.Object {
		sites = byFunction(img, relocatedSites(img))
	} else {
		sites = byFunction(img, linkedSites(img))
	}
	starts := make([]uint64, 0, len(sites))
	for s := range sites {
		starts = append(starts, s)
	}
	slices.Sort(starts)
	var hits []hit
	for _, start := range starts {
		hits = append(hits, judgeFunction(img, start, sites[start])...)
	}
	return hits
}

func isaOf(img *macho.Image) (isa *op.ISA, cpu string) {
	if img.CPU == macho.CPUAMD64 {
		return amd64.ISA, "x86_64"
	}
	return arm64.ISA, "arm64"
}

// linkedSites returns the addresses of the instructions in a linked image that reach a function of the catalog: through
// its stub, or by loading its slot.
func linkedSites(img *macho.Image) []uint64 {
	var targets flow.Targets
	for _, s := range img.Stubs() {
		if _, ok := lookup(s.Import.Name); ok && s.Selector == "" {
			targets.Code = append(targets.Code, s.Addr)
		}
	}
	for b := range img.Bindings() {
		if _, ok := lookup(b.Import.Name); ok {
			targets.Slots = append(targets.Slots, b.Addr)
		}
	}
	scan := arm64.Scan
	if img.CPU == macho.CPUAMD64 {
		scan = amd64.Scan
	}
	var (
		mu    sync.Mutex
		sites []uint64
		group crew
	)
	for _, c := range chunks(img, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			var found []uint64
			scan(c.code, c.addr, &targets, func(site uint64) { found = append(found, site) })
			mu.Lock()
			defer mu.Unlock()
			sites = append(sites, found...)
		})
	}
	group.Wait()
	slices.Sort(sites)
	return slices.Compact(sites)
}

// chunk is a run of code.
type chunk struct {
	addr uint64
	code []byte
}

// chunks cuts the code of an image into pieces for n workers.
func chunks(img *macho.Image, n int) []chunk {
	var out []chunk
	for _, s := range img.CodeSections() {
		data := s.Data()
		size := max(1<<20, (len(data)/n+4095)&^4095)
		for at := 0; at < len(data); at += size {
			end := min(at+size+flow.ScanOverlap, len(data))
			out = append(out, chunk{s.Addr + uint64(at), data[at:end]})
		}
	}
	return out
}

// relocatedSites returns the places in an object file whose relocation names a function of the catalog. On arm64 they
// are instructions, on x86_64 fields inside of them.
func relocatedSites(img *macho.Image) []uint64 {
	var sites []uint64
	for _, s := range img.CodeSections() {
		for r := range s.Relocs() {
			if _, ok := lookup(r.Symbol); ok {
				sites = append(sites, r.Addr)
			}
		}
	}
	return sites
}

// byFunction sorts sites by the start of the function they lie in. A site outside of every known function stands for
// itself.
func byFunction(img *macho.Image, sites []uint64) map[uint64][]uint64 {
	out := make(map[uint64][]uint64)
	for _, s := range sites {
		start, _, ok := img.Function(s)
		if !ok {
			start = s
		}
		out[start] = append(out[start], s)
	}
	return out
}

// judgeFunction follows the values of one function and judges the calls in it.
func judgeFunction(img *macho.Image, start uint64, sites []uint64) []hit {
	isa, cpu := isaOf(img)
	fn := flow.Function{Start: start, ISA: isa}
	if _, end, ok := img.Function(start); ok {
		fn.End = end
	} else if s := img.SectionAt(start); s != nil {
		fn.End = s.Addr + s.Size
	}
	if name, _, ok := img.SymbolName(start); ok {
		fn.Name = name
	}
	if img.Type != macho.Object || cpu == "arm64" {
		fn.Sites = sites
	}
	result := flow.Analyze(fn, view{img}, flow.Model{Want: wanted})
	var hits []hit
	add := func(site uint64, callee string, v verdict) {
		h := hit{verdict: v, callee: callee[1:], site: site, function: fn.Name}
		if name, _, ok := img.SymbolName(site); ok {
			h.function = name
		}
		if h.function == "" {
			h.start = start
		}
		h.lookUp(img)
		hits = append(hits, h)
	}
	for _, c := range result.Calls {
		a, ok := lookup(c.Symbol)
		if !ok {
			continue
		}
		s := site{call: c, cpu: cpu}
		for _, v := range a.judge(&s) {
			if !c.Reached {
				v.evidence = append(v.evidence, "not certain: no path from the function's entry to the call was found")
			}
			if result.Problem != "" {
				v.evidence = append(v.evidence, "not certain: "+result.Problem)
			}
			if c.Indirect && !c.Only {
				v.evidence = append(v.evidence, "not certain: the indirect call may go elsewhere as well")
				v.confidence = weaker(v.confidence)
			}
			add(c.Site, c.Symbol, v)
		}
	}
	for _, t := range result.Taken {
		if v, ok := taken(t.Symbol); ok {
			add(t.Site, t.Symbol, v)
		}
	}
	return hits
}

// taken is the verdict on a function whose address is taken: whoever calls through it is not followed.
func taken(symbol string) (verdict, bool) {
	a, ok := lookup(symbol)
	if !ok || a.taken == "" {
		return verdict{}, false
	}
	r := mustRule(a.taken)
	return verdict{
		rule: r, killsFrom: r.KillsFrom, confidence: finding.Possible,
		message:  fmt.Sprintf("takes the address of %s; who calls it, and with what, is not followed", symbol[1:]),
		evidence: []string{"the address is formed here and not called in this function"},
	}, true
}
