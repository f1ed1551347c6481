package hostile_test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis.dev/check"
	"portcullis.dev/entitlement"
	"portcullis.dev/finding"
	"portcullis.dev/internal/corpus"
	"portcullis.dev/internal/hostile"
	"portcullis.dev/rules"
)

// EnvMutants is how many mutants each test makes; a thousand by default.
const EnvMutants = "PORTCULLIS_MUTANTS"

func mutants(t *testing.T) int {
	t.Helper()
	s := os.Getenv(EnvMutants)
	if s == "" {
		if testing.Short() {
			return 100
		}
		return 1000
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", EnvMutants, err)
	}
	return n
}

// victim is the file that mutants are written to. It stays where the test dies, so that it can be looked at.
type victim struct {
	path     string
	garbage  uint64 // bytes that may be allocated for one file in all, beside 64 times its size
	runs     int
	unread   int
	most     uint64 // bytes allocated for one
	mostHeld uint64 // bytes of the heap in use at one time
}

// followed is what following code may allocate, most of it soon garbage, until the budget of an image is used up.
const followed = 4 << 30

func newVictim(t *testing.T) *victim {
	t.Helper()
	return &victim{path: filepath.Join(t.TempDir(), "mutant"), garbage: 128 << 20}
}

// examine reads a file with check and with entitlements, and holds what they say against what they promise: nothing
// panics or hangs, memory is bounded, and what could not be read has a reason and a place in the file.
func (v *victim) examine(t *testing.T, what string, data []byte) *finding.Report {
	t.Helper()
	if err := os.WriteFile(v.path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	hang := time.AfterFunc(2*time.Minute, func() { panic(what + ": hangs on " + v.path) })
	defer hang.Stop()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	held := watchHeap()
	r, err := check.Run(t.Context(), []string{v.path}, check.Options{})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	e, err := entitlement.Inspect(t.Context(), v.path, rules.OS{})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	peak := held()
	runtime.ReadMemStats(&after)
	spent := after.TotalAlloc - before.TotalAlloc
	v.most, v.mostHeld = max(v.most, spent), max(v.mostHeld, peak)
	if limit := 64*uint64(len(data)) + v.garbage; spent > limit {
		t.Errorf("%s: allocates %d bytes, more than %d", what, spent, limit)
	}
	if limit := 64*uint64(len(data)) + 256<<20; peak > limit {
		t.Errorf("%s: holds %d bytes, more than %d", what, peak, limit)
	}
	for _, u := range slices.Concat(r.Unread, e.Unread) {
		inside := u.Offset <= int64(len(data)) || strings.Contains(u.Reason, "beyond the end")
		if u.Reason == "" || u.Path != v.path || u.Offset < 0 || !inside {
			t.Errorf("%s: unread %+v in a file of %d bytes", what, u, len(data))
		}
	}
	r.Finish()
	for _, write := range []func(io.Writer, *finding.Report) error{
		finding.WriteJSON,
		func(w io.Writer, r *finding.Report) error { return finding.WriteText(w, r, finding.TextOptions{}) },
	} {
		if err := write(io.Discard, r); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	v.runs++
	if len(r.Unread) > 0 {
		v.unread++
	}
	return r
}

func (v *victim) tell(t *testing.T) {
	t.Logf("%d files, of %d something could not be read; at most %d KiB allocated for one, %d KiB at one time", v.runs,
		v.unread, v.most>>10, v.mostHeld>>10)
}

// watchHeap looks every few milliseconds at how much of the heap is in use, garbage that was not collected yet
// included, until it is asked for the most.
func watchHeap() (most func() uint64) {
	stop, out := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		peak := uint64(0)
		for {
			metrics.Read(sample)
			peak = max(peak, sample[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-stop:
				out <- peak
				return
			}
		}
	}()
	return func() uint64 { close(stop); return <-out }
}

func names(m map[string][]byte) []string { return slices.Sorted(maps.Keys(m)) }

// TestUnharmed: the images that are damaged elsewhere are read and found to violate.
func TestUnharmed(t *testing.T) {
	v := newVictim(t)
	images := hostile.Images(t)
	for _, name := range names(images) {
		r := v.examine(t, name, images[name])
		if len(r.Unread) > 0 || len(r.Findings) == 0 {
			t.Errorf("%s: %d findings, unread %+v", name, len(r.Findings), r.Unread)
		}
	}
}

// TestCut cuts images off. A linked image ends in its signature or its names, so wherever it is cut something is
// missing, and that is told.
func TestCut(t *testing.T) {
	v := newVictim(t)
	images := hostile.Images(t)
	points := mutants(t) / len(images)
	for _, name := range names(images) {
		data := images[name]
		linked := filepath.Ext(name) != ".o" && filepath.Ext(name) != ".a"
		for n := 0; n < len(data); n += 1 + len(data)/points {
			r := v.examine(t, fmt.Sprintf("%s cut to %d bytes", name, n), data[:n])
			if linked && len(r.Unread) == 0 {
				t.Errorf("%s: nothing is said about being cut from %d to %d bytes", name, len(data), n)
			}
		}
	}
	v.tell(t)
}

// TestMutants damages images where it hurts most.
func TestMutants(t *testing.T) {
	v := newVictim(t)
	images := hostile.Images(t)
	for seed := range uint64(mutants(t)) {
		name := names(images)[seed%uint64(len(images))]
		data := images[name]
		v.examine(t, fmt.Sprintf("%s, seed %d", name, seed), hostile.Mutate(seed, data, hostile.Regions(data)))
	}
	v.tell(t)
}

// TestMutantSymbols damages debug symbols that lie beside the program that they belong to. The program is read as before,
// whatever they hold.
func TestMutantSymbols(t *testing.T) {
	v := newVictim(t)
	images, symbols := hostile.Symbols(t)
	beside := filepath.Join(v.path+".dSYM", "Contents", "Resources", "DWARF")
	if err := os.MkdirAll(beside, 0o700); err != nil {
		t.Fatal(err)
	}
	lines, inlined := 0, 0
	for seed := range uint64(mutants(t)) {
		name := names(symbols)[seed%uint64(len(symbols))]
		data := symbols[name]
		switch {
		case seed < uint64(len(symbols)): // as they are
		case seed%16 < 2:
			data = data[:seed*7919%uint64(len(data))]
		default:
			data = hostile.Mutate(seed, data, hostile.Regions(data))
		}
		if err := os.WriteFile(filepath.Join(beside, "symbols"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		r := v.examine(t, fmt.Sprintf("symbols of %s, seed %d", name, seed), images[name])
		if len(r.Unread) > 0 || len(r.Findings) == 0 {
			t.Errorf("%s, seed %d: %d findings, unread %+v", name, seed, len(r.Findings), r.Unread)
		}
		for _, f := range r.Findings {
			if f.Where.Line > 0 {
				lines++
			}
			if len(f.Where.Inlined) > 0 {
				inlined++
			}
		}
	}
	v.tell(t)
	t.Logf("%d lines, %d with inlined functions", lines, inlined)
	if lines < v.runs/10 || inlined < v.runs/20 {
		t.Error("hardly any lines: the test tests nothing")
	}
}

// TestLies puts numbers that hurt into every field of the headers, load commands and tables.
func TestLies(t *testing.T) {
	v := newVictim(t)
	images := hostile.Images(t)
	type place struct {
		name   string
		at, no int
	}
	var all []place
	for _, name := range names(images) {
		for _, r := range hostile.Regions(images[name]) {
			for at := r.Off &^ 3; at+4 <= r.Off+r.Len; at += 4 {
				for no := 0; ; no++ {
					if _, ok := hostile.Lie(images[name], at, no); !ok {
						break
					}
					all = append(all, place{name, at, no})
				}
			}
		}
	}
	step := max(1, len(all)/mutants(t))
	for i := 0; i < len(all); i += step {
		p := all[i]
		data, _ := hostile.Lie(images[p.name], p.at, p.no)
		v.examine(t, fmt.Sprintf("%s, lie %d at %#x", p.name, p.no, p.at), data)
	}
	v.tell(t)
	t.Logf("%d of %d lies", v.runs, len(all))
}

// published are files that other compilers and linkers made: a universal library, programs in C++ and Rust, a static
// library. The share is how much of the mutants each gets; large ones take longer.
var published = []struct {
	spec, glob string
	share      float64
}{
	{"fsevents@2.3.3", "fsevents.node", 0.7},
	{"clang-format@1.8.0", "bin/darwin_x64/clang-format", 0.05},
	{"hermes-engine@0.11.0", "osx-bin/hermesc", 0.1},
	{"@bytecodealliance/wizer-darwin-arm64@10.0.0", "wizer", 0.05},
	{"react-native-wechat@1.9.12", "ios/libWeChatSDK.a", 0.1},
}

// TestPublished damages published files.
func TestPublished(t *testing.T) {
	for _, p := range published {
		t.Run(p.spec, func(t *testing.T) { damagePublished(t, corpus.File(t, p.spec, p.glob), p.share) })
	}
}

func damagePublished(t *testing.T, file string, share float64) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v := newVictim(t)
	v.garbage = followed
	n := int(share * float64(mutants(t)))
	regions := hostile.Regions(data)
	// A universal file: its slices have their own headers, and so have the members of a library.
	for at := 0; at+32 <= len(data); at += 8 {
		if data[at] == 0xcf && data[at+1] == 0xfa && data[at+2] == 0xed && data[at+3] == 0xfe {
			for _, r := range hostile.Regions(data[at:]) {
				regions = append(regions, hostile.Region{Off: at + r.Off, Len: r.Len})
			}
		}
	}
	for seed := range uint64(n) {
		v.examine(t, fmt.Sprintf("seed %d", seed), hostile.Mutate(seed, data, regions))
	}
	for cut := 0; cut < len(data); cut += 1 + len(data)/(n/4+1) {
		v.examine(t, fmt.Sprintf("cut to %d bytes", cut), data[:cut])
	}
	v.tell(t)
}

// TestUniversalBombs: slices that overlap, reach out of the file, or are many.
func TestUniversalBombs(t *testing.T) {
	v := newVictim(t)
	images := hostile.Images(t)
	good, cpu := images["arm64-chained"], uint32(0x0100000c)
	same := hostile.Slice{CPU: cpu, Off: 0x4000, Size: uint32(len(good)), Data: good}
	huge := hostile.Slice{CPU: cpu, Off: 0x4000, Size: 0xffffffff}
	behind := hostile.Slice{CPU: cpu, Off: 0xffffffff, Size: 0xffffffff}
	inside := hostile.Slice{CPU: cpu, Off: 0, Size: 0x4000}
	for _, tt := range []struct {
		name     string
		slices   []hostile.Slice
		findings bool
	}{
		{"the same slice 44 times", slices.Repeat([]hostile.Slice{same}, 44), true},
		{"a slice of 4 GiB", []hostile.Slice{same, huge}, true},
		{"a slice behind the end", []hostile.Slice{behind, same}, true},
		{"a slice that is the header", []hostile.Slice{inside, same}, true},
		{"no slice that is there", []hostile.Slice{behind, huge}, false},
		{"an empty slice", []hostile.Slice{{CPU: cpu, Off: 0x4000}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := v.examine(t, tt.name, hostile.Universal(tt.slices...))
			if len(r.Unread) == 0 || (len(r.Findings) > 0) != tt.findings {
				t.Errorf("%d findings, unread %+v", len(r.Findings), r.Unread)
			}
			if r.Summary.Images > 1 {
				t.Errorf("%d images of the same bytes", r.Summary.Images)
			}
		})
	}
}

// TestShrinking: a file is cut off after its size was asked and before it is read. It ends as unread, in whatever
// goroutine the lost bytes were due; what comes after it is read.
func TestShrinking(t *testing.T) {
	images := hostile.Images(t)
	for _, name := range names(images) {
		for _, left := range []int64{0, 100, 4096, 8192, 16384} {
			t.Run(fmt.Sprintf("%s/%d", name, left), func(t *testing.T) {
				dir := t.TempDir()
				first, second := filepath.Join(dir, "a"), filepath.Join(dir, "b")
				// Long enough that pages go with the end, wherever the image ends.
				if err := os.WriteFile(first, append(slices.Clone(images[name]), make([]byte, 4096)...), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(second, images["arm64-chained"], 0o600); err != nil {
					t.Fatal(err)
				}
				cut := func(path string, _ int64) {
					if path == first {
						if err := os.Truncate(first, left); err != nil {
							t.Error(err)
						}
					}
				}
				r, err := check.Run(t.Context(), []string{dir}, check.Options{Progress: cut})
				if err != nil {
					t.Fatal(err)
				}
				found := slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Where.Path == second })
				if !found {
					t.Errorf("nothing found in the other file; %+v", r.Unread)
				}
				whole := int64(len(images[name])) <= (left+4095)&^4095
				if !whole && !slices.ContainsFunc(r.Unread, func(u finding.Unread) bool { return u.Path == first }) {
					t.Errorf("nothing is said about the file that was cut")
				}
			})
		}
	}
}
