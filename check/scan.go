package check

import (
	"bytes"
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
	start0   uint64 // address of the function
	file     string
	line     int
	inlined  []macho.Inlined
	known    *rules.Match // known software it lies in; nil where none was recognised
	placed   bool         // names say that the call is its own, rather than somewhere in the same image
}

// scanImage finds the calls of an image that the catalog names, and system calls of its own, and judges them. It touches
// no code where the image imports none of the names, but to look for system calls. Peers are the object files that it was
// archived with.
func scanImage(img *macho.Image, peers []*macho.Image) []hit {
	var sites []uint64
	interesting := func(name []byte) bool {
		if len(name) < 2 || name[0] != '_' {
			return false
		}
		_, ok := catalog[string(name[1:])]
		return ok
	}
	names := img.HasImport(interesting)
	lookup := img.HasImport(func(name []byte) bool { return string(name) == nameDlsym }) && looksUp(img)
	if names || lookup {
		if img.Type == macho.Object {
			sites = relocatedSites(img, sought(lookup))
		} else {
			sites = linkedSites(img, sought(lookup))
		}
	}
	traps := trapSites(img)
	if len(sites)+len(traps) == 0 {
		return nil
	}
	j := newImageJudge(img)
	j.explore.peers = peers
	j.run(byFunction(img, sites), byFunction(img, traps))
	return j.hits()
}

// looksUp tells whether one of the image's strings is the name of a function of the catalog, so that it may be looked
// up at run time.
func looksUp(img *macho.Image) bool {
	for i := range img.Sections {
		s := &img.Sections[i]
		if s.Type() != macho.CStrings {
			continue
		}
		data := s.Data()
		for _, part := range catalogParts {
			for at := 0; ; {
				n := bytes.Index(data[at:], part)
				if n < 0 {
					break
				}
				at += n
				begin, end := bytes.LastIndexByte(data[:at], 0)+1, bytes.IndexByte(data[at:], 0)
				if end < 0 {
					break
				}
				if _, ok := catalog[string(data[begin:at+end])]; ok {
					return true
				}
				at += end
			}
		}
	}
	return false
}

// catalogParts are such that each name of the catalog has one of them in it.
var catalogParts = [][]byte{[]byte("exception_ports"), []byte("exceptionports"), []byte("_set_state"),
	[]byte("hardened_exception"), []byte("exception_raise"), []byte("mach_port_"), []byte("mach_msg")}

// nameDlsym is the function that finds others by name.
const nameDlsym = "_dlsym"

// sought tells which symbols' calls are looked for: the catalog's, and with lookups those of dlsym.
func sought(lookups bool) func(symbol string) bool {
	return func(symbol string) bool {
		_, ok := lookup(symbol)
		return ok || lookups && symbol == nameDlsym
	}
}

func isaOf(img *macho.Image) (isa *op.ISA, cpu string) {
	if img.CPU == macho.CPUAMD64 {
		return amd64.ISA, "x86_64"
	}
	return arm64.ISA, "arm64"
}

// linkedSites returns the addresses of the instructions in a linked image that reach a function of the catalog: through
// its stub, or by loading its slot.
func linkedSites(img *macho.Image, sought func(string) bool) []uint64 {
	var targets flow.Targets
	for _, s := range img.Stubs() {
		if sought(s.Import.Name) && s.Selector == "" {
			targets.Code = append(targets.Code, s.Addr)
		}
	}
	for b := range img.Bindings() {
		if sought(b.Import.Name) {
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
	for _, c := range chunks(img, workers()) {
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

// workers is how many look at pieces of an image at a time.
func workers() int { return runtime.GOMAXPROCS(0) }

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
func relocatedSites(img *macho.Image, sought func(string) bool) []uint64 {
	var sites []uint64
	for _, s := range img.CodeSections() {
		for r := range s.Relocs() {
			if sought(r.Symbol) {
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
