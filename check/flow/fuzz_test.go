package flow_test

import (
	"testing"

	"portcullis.dev/check/amd64"
	"portcullis.dev/check/arm64"
	"portcullis.dev/check/flow"
	"portcullis.dev/check/flow/op"
)

// raw is an image of bytes at one address in which every third far target is an import.
type raw struct {
	base uint64
	data []byte
}

func (r raw) Bytes(addr uint64, n int) []byte {
	if addr < r.base || addr-r.base > uint64(len(r.data)) || uint64(n) > uint64(len(r.data))-(addr-r.base) {
		return nil
	}
	return r.data[addr-r.base:][:n]
}
func (r raw) ReadOnly(addr uint64) bool { return addr&0x1000 == 0 }
func (r raw) Pointer(slot uint64) (uint64, string, bool) {
	switch slot >> 3 & 7 {
	case 0:
		return 0, "_wanted", true
	case 1:
		return r.base + slot&0xff, "", true
	}
	return 0, "", false
}
func (r raw) Callee(site, target uint64) (string, bool) {
	if target%3 == 0 && (target < r.base || target >= r.base+uint64(len(r.data))) {
		return "_wanted", true
	}
	return "_other", target%5 == 0
}
func (r raw) Reloc(site uint64) (flow.Reloc, bool) {
	return flow.Reloc{Symbol: "_wanted", Kind: flow.RelocKind(site % 9)}, site%11 == 0
}

func (r raw) Function(addr uint64) (start, end uint64, ok bool) {
	return addr, addr + 64, addr >= r.base && addr < r.base+uint64(len(r.data)) && addr%16 == 0
}

func FuzzAnalyze(f *testing.F) {
	f.Add([]byte{0x55, 0x48, 0x89, 0xe5, 0x6a, 1, 0xe8, 1, 0, 0, 0, 0xff, 0x15, 0, 1, 0, 0, 0x5d, 0xc3}, true)
	f.Add([]byte{0xfd, 0x7b, 0xbf, 0xa9, 0x23, 0, 0x80, 0x52, 1, 0, 0, 0x94, 0xc0, 3, 0x5f, 0xd6}, false)
	f.Add([]byte{0x48, 0x63, 0x04, 0x81, 0x48, 0x01, 0xc8, 0xff, 0xe0, 0xeb, 0xf5}, true)
	f.Fuzz(func(t *testing.T, code []byte, x86 bool) {
		isa := arm64.ISA
		if x86 {
			isa = amd64.ISA
		}
		m := flow.Model{Traps: 2, Want: func(s string) (int, bool) { return 8, s == "_wanted" },
			Limits: flow.Limits{Ops: 200_000, Code: 1 << 16, Callees: 100_000}}
		const base = 0x100000000
		r := flow.Analyze(flow.Function{Start: base, End: base + uint64(len(code)), ISA: isa, Sites: []uint64{base, base + 4}},
			raw{base, code}, m)
		if r.Ops > 1_000_000 {
			t.Fatalf("%d operations", r.Ops)
		}
		for i, c := range r.Calls {
			if i > 0 && r.Calls[i-1].Site >= c.Site {
				t.Fatalf("calls are not in order")
			}
			for _, a := range c.Args {
				set, complete := a.Consts()
				if complete && len(set) == 0 {
					t.Fatalf("%#x: a value that is nothing", c.Site)
				}
				for _, x := range set {
					if !a.MayBe(x) {
						t.Fatalf("%#x: %#x is a member of %s and cannot be", c.Site, x, a)
					}
				}
				_ = a.Why()
				_ = a.Trunc(32).String()
				_ = a.Load(8, 8).String()
				_ = a.Sources()
			}
		}
	})
}

// TestLimits holds Analyze to its limits on functions made to exceed them.
func TestLimits(t *testing.T) {
	want := func(s string) (int, bool) { return 3, s == "_wanted" }
	nops := make([]byte, 2<<20)
	for i := 0; i < len(nops); i += 4 {
		copy(nops[i:], []byte{0x1f, 0x20, 0x03, 0xd5})
	}
	const base = 0x100000000
	r := flow.Analyze(flow.Function{Start: base, End: base + uint64(len(nops)), ISA: arm64.ISA}, raw{base, nops},
		flow.Model{Want: want})
	if r.Problem == "" {
		t.Error("a function of 2 MiB was followed")
	}
	// bl out of the function, again and again, in a loop: each site must come back although the work is cut short.
	loop := make([]byte, 0, 4096)
	var sites []uint64
	for i := range 1000 {
		sites = append(sites, base+uint64(i)*4)
		off := uint32(0x300000/4 - i)
		for (base+uint64(i)*4+uint64(off)*4)%3 != 0 {
			off++
		}
		w := 0x94000000 | off
		loop = append(loop, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	loop = append(loop, 0, 0xfc, 0xff, 0x17)
	r = flow.Analyze(flow.Function{Start: base, End: base + uint64(len(loop)), ISA: arm64.ISA, Sites: sites},
		raw{base, loop}, flow.Model{Want: want, Limits: flow.Limits{Ops: 100}})
	if len(r.Calls) != 1000 {
		t.Errorf("%d calls of 1000 came back, problem %q", len(r.Calls), r.Problem)
	}
	if r.Insts > 250 || r.Ops > 110 {
		t.Errorf("%d instructions were decoded, %d operations are counted, of 100 that are allowed", r.Insts, r.Ops)
	}
	// To decode is work too, though nothing is followed: no call is asked for.
	r = flow.Analyze(flow.Function{Start: base, End: base + 1<<16, ISA: arm64.ISA}, raw{base, nops}, flow.Model{Want: want})
	if r.Insts != 1<<14 || r.Ops < 1<<13 {
		t.Errorf("%d instructions were decoded for %d operations", r.Insts, r.Ops)
	}
	var isa *op.ISA = arm64.ISA
	for _, f := range []flow.Function{{ISA: isa}, {ISA: isa, Start: 8, End: 4}, {ISA: isa, Start: 4, End: 8}} {
		if r := flow.Analyze(f, raw{base, loop}, flow.Model{Want: want}); r.Problem == "" {
			t.Errorf("%#x-%#x was followed", f.Start, f.End)
		}
	}
}
