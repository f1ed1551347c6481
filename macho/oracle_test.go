package macho

import (
	"debug/macho"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAgainstDebugMacho compares headers, sections, symbols and imports with the standard library's reader.
func TestAgainstDebugMacho(t *testing.T) {
	files := images(t)
	for _, goarch := range []string{"arm64", "amd64"} {
		files["go "+goarch] = goProgram(t, goarch, "")
	}
	for name, path := range files {
		t.Run(name, func(t *testing.T) {
			m := openOne(t, path)
			want, err := macho.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			compareDebugMacho(t, m, want, true)
			noProblems(t, m)
		})
	}
}

// compareDebugMacho compares what debug/macho knows. It reads imports from the symbol table alone; exact says that no
// tool has thinned that table out, so that the fixups name no others.
func compareDebugMacho(t *testing.T, m *Image, want *macho.File, exact bool) {
	t.Helper()
	if uint32(m.CPU) != uint32(want.Cpu) || uint32(m.Type) != uint32(want.Type) || uint32(m.Flags) != want.Flags {
		t.Errorf("cpu, type, flags: %v %v %#x, want %v %v %#x", m.CPU, m.Type, m.Flags, want.Cpu, want.Type, want.Flags)
	}
	var got, exp []string
	for _, s := range m.Segments {
		got = append(got, fmt.Sprintf("%s %#x %#x %#x %#x %d", s.Name, s.Addr, s.Size, s.Offset, s.FileSize, s.Prot))
	}
	for _, l := range want.Loads {
		if s, ok := l.(*macho.Segment); ok {
			mapped := min(s.Filesz, s.Memsz) // the Go linker has unmapped segments for debug information
			exp = append(exp, fmt.Sprintf("%s %#x %#x %#x %#x %d", s.Name, s.Addr, s.Memsz, s.Offset, mapped, s.Prot))
		}
	}
	if d := cmp.Diff(exp, got); d != "" {
		t.Errorf("segments (-debug/macho +ours):\n%s", d)
	}
	got, exp = nil, nil
	for i := range m.Sections {
		s := &m.Sections[i]
		got = append(got, fmt.Sprintf("%s %s %#x %#x %#x %#x %d", s.Segment, s.Name, s.Addr, s.Size, s.Offset, s.Flags,
			s.nReloc))
	}
	for _, s := range want.Sections {
		exp = append(exp, fmt.Sprintf("%s %s %#x %#x %#x %#x %d", s.Seg, s.Name, s.Addr, s.Size, s.Offset, s.Flags,
			s.Nreloc))
	}
	if d := cmp.Diff(exp, got); d != "" {
		t.Errorf("sections (-debug/macho +ours):\n%s", d)
	}
	got, exp = nil, nil
	for s := range m.Symbols() {
		if strings.Contains(s.Name, ".") {
			s.Name = strings.TrimPrefix(s.Name, "_") // as debug/macho does, for Go's names
		}
		got = append(got, fmt.Sprintf("%s %#x %#x %d %#x", s.Name, s.Addr, s.Type, s.Sect, s.Desc))
	}
	if want.Symtab != nil {
		for _, s := range want.Symtab.Syms {
			if s.Type&nStab == 0 {
				exp = append(exp, fmt.Sprintf("%s %#x %#x %d %#x", s.Name, s.Value, s.Type, s.Sect, s.Desc))
			}
		}
	}
	if d := cmp.Diff(exp, got); d != "" {
		t.Errorf("symbols (-debug/macho +ours):\n%s", d)
	}
	got, exp = nil, nil
	defined := map[string]bool{}
	for s := range m.Symbols() {
		defined[s.Name] = s.Defined()
	}
	for imp := range m.Imports() {
		if imp.Ordinal == OrdinalWeak && defined[imp.Name] {
			continue // coalesced with other images' definitions: chained fixups list it, undefined symbols do not
		}
		if strings.Contains(imp.Name, ".") {
			imp.Name = strings.TrimPrefix(imp.Name, "_")
		}
		got = append(got, imp.Name)
	}
	exp, _ = want.ImportedSymbols()
	if !exact {
		got = slices.DeleteFunc(got, func(name string) bool { return !slices.Contains(exp, name) })
	}
	slices.Sort(got)
	slices.Sort(exp)
	if d := cmp.Diff(exp, got); d != "" {
		t.Errorf("imports (-debug/macho +ours):\n%s", d)
	}
	got, exp = nil, nil
	for _, l := range m.Dylibs {
		if l.Kind == LinkNormal { // debug/macho knows no others
			got = append(got, l.Name)
		}
	}
	exp, _ = want.ImportedLibraries()
	if d := cmp.Diff(exp, got); d != "" {
		t.Errorf("libraries (-debug/macho +ours):\n%s", d)
	}
}

// hexField is a column of llvm-objdump's tables.
var hexField = regexp.MustCompile(`^0x[0-9A-Fa-f]+$`)

func hexNumber(t *testing.T, s string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestBindingsAgainstObjdump compares what slots hold with llvm-objdump's reading of bind opcodes and chains.
func TestBindingsAgainstObjdump(t *testing.T) {
	for name, path := range images(t) {
		m := openOne(t, path)
		if m.Type == Object {
			continue
		}
		t.Run(name, func(t *testing.T) {
			want := map[uint64]string{}
			if strings.Contains(name, "chained") {
				// segment section address pointer type [diversity…] addend dylib symbol [(weak import)]
				for l := range strings.Lines(run(t, nil, "llvm-objdump-19", "--macho", "--dyld-info", path)) {
					f := strings.Fields(l)
					if i := slices.Index(f, "bind"); i == 4 && hexField.MatchString(f[2]) {
						want[hexNumber(t, f[2])] = fmt.Sprintf("%s+%#x", f[7], hexNumber(t, f[5]))
					}
				}
			} else {
				for l := range strings.Lines(run(t, nil, "llvm-objdump-19", "--macho", "--bind", path)) {
					f := strings.Fields(l) // segment section address type addend dylib symbol
					if len(f) >= 7 && hexField.MatchString(f[2]) {
						want[hexNumber(t, f[2])] = fmt.Sprintf("%s+%#x", f[6], atoi(t, f[4]))
					}
				}
				for l := range strings.Lines(run(t, nil, "llvm-objdump-19", "--macho", "--lazy-bind", path)) {
					f := strings.Fields(l) // segment section address dylib symbol
					if len(f) >= 5 && hexField.MatchString(f[2]) {
						want[hexNumber(t, f[2])] = f[4] + "+0x0"
					}
				}
				for l := range strings.Lines(run(t, nil, "llvm-objdump-19", "--macho", "--weak-bind", path)) {
					f := strings.Fields(l) // segment section address type addend symbol
					if len(f) == 6 && hexField.MatchString(f[2]) {
						want[hexNumber(t, f[2])] = fmt.Sprintf("%s+%#x", f[5], atoi(t, f[4]))
					}
				}
			}
			got := map[uint64]string{}
			for b := range m.Bindings() {
				got[b.Addr] = fmt.Sprintf("%s+%#x", b.Import.Name, b.Addend)
				p, ok := m.Pointer(b.Addr)
				if s := fmt.Sprintf("%s+%#x", p.Import, p.Addend); !ok || s != got[b.Addr] {
					t.Errorf("Pointer(%#x) = %s, %v; Bindings has %s", b.Addr, s, ok, got[b.Addr])
				}
			}
			if len(want) < 4 {
				t.Fatalf("llvm-objdump lists only %d binds", len(want))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("bindings (-llvm-objdump +ours):\n%s", d)
			}
			noProblems(t, m)
		})
	}
}

func atoi(t *testing.T, s string) int64 {
	t.Helper()
	v, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestStubsAgainstObjdump compares stubs, found by decoding them, with the indirect symbol table.
func TestStubsAgainstObjdump(t *testing.T) {
	for name, path := range images(t) {
		m := openOne(t, path)
		if m.Type == Object {
			continue
		}
		t.Run(name, func(t *testing.T) {
			want, in := map[uint64]string{}, false
			for l := range strings.Lines(run(t, nil, "llvm-objdump-19", "--macho", "--indirect-symbols", path)) {
				if strings.HasPrefix(l, "Indirect symbols for") {
					in = strings.Contains(l, "__stubs")
				}
				if f := strings.Fields(l); in && len(f) == 3 && hexField.MatchString(f[0]) {
					want[hexNumber(t, f[0])] = f[2]
				}
			}
			got := map[uint64]string{}
			for _, s := range m.Stubs() {
				if s.Selector == "" {
					got[s.Addr] = s.Name()
				} else if s.Selector != "install:with:" || s.Name() != "_objc_msgSend" {
					t.Errorf("Objective-C stub %+v", s)
				}
				if again, ok := m.Stub(s.Addr); !ok || again != s {
					t.Errorf("Stub(%#x) = %+v, %v", s.Addr, again, ok)
				}
			}
			if len(want) < 3 {
				t.Fatalf("llvm-objdump lists only %d stubs", len(want))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("stubs (-llvm-objdump +ours):\n%s", d)
			}
			if strings.Contains(name, "library") && !slices.ContainsFunc(m.Stubs(), func(s Stub) bool {
				return s.Selector == "install:with:"
			}) {
				t.Error("no Objective-C stub found")
			}
		})
	}
}
