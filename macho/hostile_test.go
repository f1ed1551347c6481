package macho

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// useEverything calls all that the package offers on a file, and returns how much it found, so that a test can tell
// whether anything was read at all.
func useEverything(data []byte) (found int) {
	f, err := Parse(data)
	if err != nil {
		return 0
	}
	for _, m := range f.Images {
		found++
		never := func([]byte) bool { return false }
		m.HasImport(never)
		for range m.Imports() {
			found++
		}
		n := 0
		for b := range m.Bindings() {
			if n++; n <= 200 {
				m.Pointer(b.Addr)
				m.Library(b.Import.Ordinal)
			}
		}
		found += n + len(m.Stubs()) + len(m.Exports()) + len(m.ObjCClasses()) + len(m.SelectorRefs("init"))
		n = 0
		for range m.Symbols() {
			n++
		}
		found += n
		functions := m.Functions()
		for i, a := range functions {
			if i == 50 {
				break
			}
			m.Function(a + 1)
			m.SymbolName(a)
			m.Line(a)
			m.Inlined(a)
			m.ObjectFile(a)
			m.Reloc(a, 16)
		}
		for i := range m.Sections {
			s := &m.Sections[i]
			s.Data()
			s.Type()
			n := 0
			for range s.Relocs() {
				n++
			}
			found += n
			for _, a := range []uint64{s.Addr, s.Addr + 8, s.Addr + s.Size - 8, s.Addr + s.Size} {
				m.Pointer(a)
				m.CString(a)
				m.ReadOnly(a)
				m.Bytes(a, 64)
				m.SymbolName(a)
				m.Line(a)
				m.Stub(a)
			}
		}
		m.Entry()
		m.CodeSections()
		m.CodeSignature()
		m.Simulator()
		m.SegmentAt(1 << 63)
		if len(m.Problems()) > maxProblems {
			panic("list of problems grows without bound")
		}
		f.ByUUID(m.UUID)
	}
	return found
}

// smallImages returns a small image of every kind, as bytes.
func smallImages(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for name, path := range images(t) {
		out[name] = read(t, path)
	}
	for _, version := range []string{"2", "4", "5"} {
		out["inlined, DWARF "+version] = read(t, source(t, "arm64", "inline.cpp", "-gdwarf-"+version))
	}
	for _, arch := range arches {
		out[arch+" classes"] = read(t, source(t, arch, "classes.m"))
	}
	out["classes, relative lists"] = read(t, classes(t, "arm64", "-objc_relative_method_lists"))
	out["archive"] = read(t, archive(t, "arm64"))
	out["universal"] = read(t, universal(t))
	out["dSYM"] = read(t, dsym(t, "arm64"))
	return out
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// archive makes a static archive of two objects.
func archive(t testing.TB, arch string) string {
	t.Helper()
	return made(t, "ar "+arch, func(out string) {
		run(t, nil, "llvm-libtool-darwin-19", "-static", "-o", out, objectNoLock(t, arch, "calls.c"),
			objectNoLock(t, arch, "weak.cc"))
	})
}

// objectNoLock compiles for makers of other files, which hold the lock of made.
func objectNoLock(t testing.TB, arch, name string) string {
	t.Helper()
	out := filepath.Join(builds.dir, arch+"-"+name+".o")
	run(t, nil, "clang-19", "-target", arch+"-apple-macos13", "-O1", "-g", "-fno-exceptions", "-fno-rtti", "-c",
		filepath.Join("testdata", name), "-o", out)
	return out
}

// universal makes a universal file of two programs.
func universal(t testing.TB) string {
	t.Helper()
	a, b := program(t, "arm64", chained...), program(t, "x86_64", classic...)
	return made(t, "lipo", func(out string) {
		run(t, nil, "llvm-lipo-19", "-create", a, b, "-output", out)
	})
}

// dsym returns the file with the debug information of the chained program for arch.
func dsym(t testing.TB, arch string) string {
	t.Helper()
	p := program(t, arch, chained...)
	made(t, "dsym "+arch, func(out string) {
		run(t, nil, "dsymutil-19", p, "-o", p+".dSYM")
		if err := os.WriteFile(out, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	})
	return filepath.Join(p+".dSYM", "Contents", "Resources", "DWARF", filepath.Base(p))
}

// bounded runs fn and fails where it allocated more than limit bytes.
func bounded(t *testing.T, what string, limit uint64, fn func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > limit {
		t.Errorf("%s: allocated %d bytes, more than %d", what, n, limit)
	}
}

// allocationLimit is what reading everything of a file may allocate in all.
func allocationLimit(size int) uint64 { return uint64(size)*64 + 8<<20 }

// TestDamage cuts images off, flips their bits and fills in the numbers that hurt most, and uses everything each time.
func TestDamage(t *testing.T) {
	for name, data := range smallImages(t) {
		t.Run(name, func(t *testing.T) {
			if n := useEverything(data); n < 10 {
				t.Fatalf("only %d things found in the undamaged file", n)
			}
			for n := 0; n < len(data); n += 1 + len(data)/150 {
				cut := data[:n:n]
				bounded(t, "cut", allocationLimit(n), func() { useEverything(cut) })
			}
			damaged := make([]byte, len(data))
			rng := rand.New(rand.NewPCG(1, uint64(len(data))))
			for i := range 300 {
				copy(damaged, data)
				// Half of the damage goes to headers and load commands, where it has the widest effect.
				span := len(data) - 8
				if i%2 == 0 {
					span = min(span, 4096)
				}
				for range 1 + rng.IntN(4) {
					at := rng.IntN(span)
					switch rng.IntN(4) {
					case 0:
						damaged[at] ^= 1 << rng.IntN(8)
					case 1:
						binary.LittleEndian.PutUint32(damaged[at&^3:], 0xffffffff)
					case 2:
						binary.LittleEndian.PutUint32(damaged[at&^3:], rng.Uint32N(uint32(len(data))))
					case 3:
						binary.LittleEndian.PutUint64(damaged[at&^3:], 1<<63-1)
					}
				}
				bounded(t, "damaged", allocationLimit(len(data)), func() { useEverything(damaged) })
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	if _, err := exec.LookPath("clang-19"); err == nil {
		for _, data := range smallImages(f) {
			f.Add(data)
		}
	}
	for _, data := range handmade() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			t.Skip("too large to be quick")
		}
		bounded(t, "fuzz", allocationLimit(len(data)), func() { useEverything(data) })
	})
}
