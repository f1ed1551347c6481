package macho

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gomacho "github.com/blacktop/go-macho"
	"github.com/google/go-cmp/cmp"
)

// TestLoadCommands checks what the load commands of a library and a program tell.
func TestLoadCommands(t *testing.T) {
	for _, arch := range arches {
		m := openOne(t, library(t, arch, chained...))
		want := Build{Platform: MacOS, MinOS: 13 << 16, SDK: 14<<16 | 2<<8}
		if m.Arch != arch || m.Type != Dylib || !m.InScope() || m.ARM64E() || m.Platform() != want || m.Simulator() {
			t.Errorf("%s: arch %s, type %v, platform %+v", arch, m.Arch, m.Type, m.Platform())
		}
		if m.Install == nil || m.Install.Name != "@rpath/libw.dylib" || m.Install.Current.String() != "7.8.9" {
			t.Errorf("%s: install name %+v", arch, m.Install)
		}
		if d := cmp.Diff([]string{"@loader_path/x"}, m.RPaths); d != "" {
			t.Errorf("%s: rpaths %s", arch, d)
		}
		if len(m.Dylibs) != 1 || m.Library(1) != "/usr/lib/libSystem.B.dylib" || m.Dylibs[0].Kind != LinkNormal {
			t.Errorf("%s: libraries %+v", arch, m.Dylibs)
		}
		if sig := m.CodeSignature(); len(sig) < 8 || sig[0] != 0xfa || sig[1] != 0xde {
			t.Errorf("%s: signature %x", arch, sig[:min(len(sig), 8)])
		}
		p := openOne(t, program(t, arch, chained...))
		entry, ok := p.Entry()
		if name, start, _ := p.SymbolName(entry); !ok || name != "_main" || start != entry {
			t.Errorf("%s: entry %#x is %s", arch, entry, name)
		}
		if p.Encrypted() || p.Base() != 0x100000000 {
			t.Errorf("%s: encrypted %v, base %#x", arch, p.Encrypted(), p.Base())
		}
	}
}

// symbols returns the addresses of the defined symbols by name.
func symbols(m *Image) map[string]uint64 {
	out := map[string]uint64{}
	for s := range m.Symbols() {
		if s.Defined() {
			out[s.Name] = s.Addr
		}
	}
	return out
}

// TestPointers reads a constant table with pointers of all kinds, linked in each way and not linked.
func TestPointers(t *testing.T) {
	for name, path := range images(t) {
		m := openOne(t, path)
		syms := symbols(m)
		table, ok := syms["_table"]
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if !m.ReadOnly(table) {
				t.Error("the constant table is not read-only")
			}
			if m.ReadOnly(syms["_changeable"]) {
				t.Error("a variable is read-only")
			}
			for i, want := range []struct {
				text, fn string
				other    Pointer
			}{
				{"twice", "_twice", Pointer{Import: "_puts"}},
				{"thrice", "_thrice", Pointer{Import: "_mach_task_self_", Addend: 8}},
			} {
				at := table + uint64(24*i)
				text, ok := m.Pointer(at)
				if s, found := m.CString(text.Target); !ok || !found || s != want.text || !m.ReadOnly(text.Target) {
					t.Errorf("entry %d: name %+v %v, %q", i, text, ok, s)
				}
				fn, ok := m.Pointer(at + 8)
				if !ok || fn.Target != syms[want.fn] || fn.Target == 0 && m.Type != Object {
					// A function that the linker may interpose in a plug-in is bound by name.
					if fn.Import != want.fn {
						t.Errorf("entry %d: function %+v %v, want %s at %#x", i, fn, ok, want.fn, syms[want.fn])
					}
				}
				if other, ok := m.Pointer(at + 16); !ok || other != want.other {
					t.Errorf("entry %d: other %+v %v, want %+v", i, other, ok, want.other)
				}
			}
			// The linker may round the segment in the file up over what is zero-filled.
			if b := m.Bytes(syms["_zero_filled"], 8); b != nil && !bytes.Equal(b, make([]byte, 8)) {
				t.Errorf("zero-filled memory has bytes %x", b)
			}
			if s := m.SectionAt(syms["_zero_filled"]); s == nil || s.Data() != nil {
				t.Errorf("zero-filled section %+v has data", s)
			}
			if m.Bytes(table, -1) != nil || m.Bytes(table, 1<<40) != nil || m.Bytes(1<<63, 8) != nil {
				t.Error("bytes out of range")
			}
			noProblems(t, m)
		})
	}
}

// TestFunctions checks bounds and names of functions in plain and stripped images.
func TestFunctions(t *testing.T) {
	for _, arch := range arches {
		path := program(t, arch, chained...)
		m := openOne(t, path)
		syms := symbols(m)
		for name, start := range syms {
			s := m.SectionAt(start)
			if s == nil || !s.IsCode() {
				continue
			}
			lo, hi, ok := m.Function(start + 4)
			got, at, named := m.SymbolName(start + 4)
			if !ok || lo != start || hi <= start || !named || got != name || at != start {
				t.Errorf("%s: %s at %#x: function %#x to %#x %v, name %s at %#x", arch, name, start, lo, hi, ok, got, at)
			}
			if _, next, _ := m.Function(hi - 1); next != hi {
				t.Errorf("%s: %s ends at %#x and at %#x", arch, name, hi, next)
			}
		}
		stripped := made(t, "strip "+path, func(out string) {
			run(t, nil, "llvm-strip-19", path, "-o", out)
		})
		n := openOne(t, stripped)
		if d := cmp.Diff(m.Functions(), n.Functions()); d != "" || len(n.Functions()) < 5 {
			t.Errorf("%s: functions of the stripped image (-plain +stripped):\n%s", arch, d)
		}
		// twice was static: nothing names it now, and the exported name before it is not its name.
		if name, _, ok := n.SymbolName(syms["_twice"]); ok {
			t.Errorf("%s: a stripped static function is called %s", arch, name)
		}
		if name, _, ok := n.SymbolName(syms["_thrice"] + 4); !ok || name != "_thrice" {
			t.Errorf("%s: exported function is called %q", arch, name)
		}
	}
}

// TestExportsName has names from the export trie alone.
func TestExportsName(t *testing.T) {
	m := openOne(t, library(t, "arm64", chained...))
	syms := symbols(m)
	exports := m.Exports()
	if len(exports) < 8 {
		t.Fatalf("only %d exports", len(exports))
	}
	for _, e := range exports {
		if syms[e.Name] != e.Addr {
			t.Errorf("export %s at %#x, symbol at %#x", e.Name, e.Addr, syms[e.Name])
		}
	}
	n := openOne(t, library(t, "arm64", chained...))
	n.cmds.nsyms = 0
	if name, _, ok := n.SymbolName(syms["_set_ports"] + 4); !ok || name != "_set_ports" {
		t.Errorf("name from the exports: %q %v", name, ok)
	}
}

// TestObjectFunctions has the labels of the assembler at the start of a section of an object file.
func TestObjectFunctions(t *testing.T) {
	for _, arch := range arches {
		m := openOne(t, source(t, arch, "calls.c", "-g"))
		for name, addr := range symbols(m) {
			if s := m.SectionAt(addr); s == nil || !s.IsCode() || strings.HasPrefix(name, "ltmp") {
				continue
			}
			if got, _, ok := m.SymbolName(addr + 1); !ok || got != name {
				t.Errorf("%s: %s is called %q", arch, name, got)
			}
			if start, _, ok := m.Function(addr + 1); !ok || start != addr {
				t.Errorf("%s: %s begins at %#x, not %#x", arch, name, addr, start)
			}
		}
	}
}

// TestRelocsAgainstObjdump compares relocations of object files, the symbols and sections they name included.
func TestRelocsAgainstObjdump(t *testing.T) {
	kinds := map[string]RelocKind{
		"ARM64_RELOC_UNSIGNED": RelocPointer, "ARM64_RELOC_SUBTRACTOR": RelocSubtractor,
		"ARM64_RELOC_BRANCH26": RelocBranch, "ARM64_RELOC_PAGE21": RelocPage, "ARM64_RELOC_PAGEOFF12": RelocPageOff,
		"ARM64_RELOC_GOT_LOAD_PAGE21": RelocGOTPage, "ARM64_RELOC_GOT_LOAD_PAGEOFF12": RelocGOTPageOff,
		"ARM64_RELOC_POINTER_TO_GOT": RelocGOT,
		"X86_64_RELOC_UNSIGNED":      RelocPointer, "X86_64_RELOC_SIGNED": RelocSigned, "X86_64_RELOC_BRANCH": RelocBranch,
		"X86_64_RELOC_GOT_LOAD": RelocGOTLoad, "X86_64_RELOC_GOT": RelocGOT, "X86_64_RELOC_SUBTRACTOR": RelocSubtractor,
		"X86_64_RELOC_SIGNED_1": RelocSigned, "X86_64_RELOC_SIGNED_2": RelocSigned, "X86_64_RELOC_SIGNED_4": RelocSigned,
	}
	for name, path := range images(t) {
		m := openOne(t, path)
		if m.Type != Object {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var want, got []string
			section, known := "", map[string]int{}
			for s := range m.Symbols() {
				known[s.Name]++
			}
			for l := range strings.Lines(run(t, nil, "llvm-objdump-19", "-r", path)) {
				f := strings.Fields(l) // OFFSET TYPE VALUE
				if s, ok := strings.CutPrefix(l, "RELOCATION RECORDS FOR ["); ok {
					section = strings.TrimSuffix(strings.TrimSpace(s), "]:")
					continue
				}
				if len(f) < 3 || f[0] == "OFFSET" {
					continue
				}
				kind, ok := kinds[f[1]]
				if !ok {
					continue // ADDEND is folded into the next
				}
				symbol, _, _ := strings.Cut(f[2], "@") // without @GOTPCREL
				if strings.HasPrefix(symbol, "__") && m.Section("__TEXT", symbol) != nil || known[symbol] == 0 {
					symbol = "" // the name of a section, or a difference
				}
				want = append(want, fmt.Sprintf("%s %#x %v %s", section, hexNumber(t, f[0]), kind, symbol))
			}
			for i := range m.Sections {
				s := &m.Sections[i]
				for r := range s.Relocs() {
					symbol := r.Symbol
					if differs := len(m.Reloc(r.Addr, 1)) > 1; differs {
						symbol = ""
					}
					got = append(got, fmt.Sprintf("%s %#x %v %s", s.Name, r.Addr-s.Addr, r.Kind, symbol))
					again := m.Reloc(r.Addr, 1)
					if !slices.Contains(again, r) {
						t.Errorf("Reloc(%#x) = %+v, without %+v", r.Addr, again, r)
					}
					if r.Symbol == "" && !r.Defined {
						t.Errorf("relocation of nothing: %+v", r)
					}
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if d := cmp.Diff(want, got); d != "" || len(want) < 10 {
				t.Errorf("%d relocations (-llvm-objdump +ours):\n%s", len(want), d)
			}
			noProblems(t, m)
		})
	}
}

// TestCallsInObjects finds calls by their relocations, as a scan of object files does.
func TestCallsInObjects(t *testing.T) {
	for _, arch := range arches {
		m := openOne(t, source(t, arch, "calls.c", "-g"))
		found := map[string]string{}
		for _, s := range m.CodeSections() {
			for r := range s.Relocs() {
				if r.Kind == RelocBranch {
					caller, _, _ := m.SymbolName(r.Addr)
					found[r.Symbol] = caller
				}
			}
		}
		if found["_task_set_exception_ports"] != "_set_ports" || found["_thread_set_state"] != "_tail" {
			t.Errorf("%s: calls %v", arch, found)
		}
	}
}

// TestAgainstGoMacho compares UUIDs, function starts and fixups with go-macho.
func TestAgainstGoMacho(t *testing.T) {
	for name, path := range images(t) {
		m := openOne(t, path)
		if m.Type == Object {
			continue
		}
		t.Run(name, func(t *testing.T) {
			want, err := gomacho.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			if id := want.UUID(); id == nil || id.UUID.String() != m.UUID.String() {
				t.Errorf("UUID %v, want %v", m.UUID, id)
			}
			var starts []uint64
			for _, f := range want.GetFunctions() {
				starts = append(starts, f.StartAddr)
			}
			if d := cmp.Diff(starts, m.Functions()); d != "" || len(starts) < 5 {
				t.Errorf("function starts (-go-macho +ours):\n%s", d)
			}
			binds, err := want.GetBindInfo()
			if err != nil {
				return // chained: the comparison with llvm-objdump covers those
			}
			ours := map[uint64]string{}
			for b := range m.Bindings() {
				ours[b.Addr] = b.Import.Name
			}
			for _, b := range binds {
				addr := b.Start + b.SegOffset
				if ours[addr] != b.Name {
					t.Errorf("slot %#x is bound to %q, want %q", addr, ours[addr], b.Name)
				}
			}
		})
	}
}

// TestLines reads source lines from object files and from a dSYM that is found by its UUID.
func TestLines(t *testing.T) {
	line := 0
	for i, l := range strings.Split(string(read(t, filepath.Join("testdata", "calls.c"))), "\n") {
		if strings.Contains(l, "return task_set_exception_ports") {
			line = i + 1
		}
	}
	for _, arch := range arches {
		for _, flags := range [][]string{{"-g"}, {"-gdwarf-4"}, {"-gdwarf-5"}, {"-gdwarf-2"}} {
			m := openOne(t, source(t, arch, "calls.c", flags...))
			file, n, ok := m.Line(symbols(m)["_set_ports"] + 8)
			if !ok || filepath.Base(file) != "calls.c" || n != line {
				t.Errorf("%s %v: %s:%d %v, want line %d", arch, flags, file, n, ok, line)
			}
			noProblems(t, m)
		}
		path := program(t, arch, chained...)
		m := openOne(t, path)
		at := symbols(m)["_set_ports"]
		if obj, ok := m.ObjectFile(at + 4); !ok || obj != source(t, arch, "calls.c", "-g") {
			t.Errorf("%s: object file %q %v", arch, obj, ok)
		}
		if _, _, ok := m.Line(at); ok {
			t.Errorf("%s: a line without debug information", arch)
		}
		dsym(t, arch)
		f, d, err := OpenDSYM(path, m.UUID)
		if err != nil {
			t.Fatal(err)
		}
		file, n, ok := d.Line(at + 8)
		if !ok || filepath.Base(file) != "calls.c" || n != line || d.Type != DSYM {
			t.Errorf("%s: dSYM: %s:%d %v", arch, file, n, ok)
		}
		noProblems(t, d)
		_ = f.Close()
		if _, _, err := OpenDSYM(path, UUID{1}); !os.IsNotExist(unwrapAll(err)) {
			t.Errorf("%s: dSYM of another UUID: %v", arch, err)
		}
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = u.Unwrap()
	}
}

// TestGoPrograms names functions and lines of Go programs, stripped of their symbols too.
func TestGoPrograms(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("SKIPPED: no go command")
	}
	for _, goarch := range []string{"arm64", "amd64"} {
		plain, stripped := openOne(t, goProgram(t, goarch, "")), openOne(t, goProgram(t, goarch, "-s -w"))
		at := symbols(plain)["_main.greet"]
		if at == 0 {
			t.Fatalf("%s: no main.greet among %d symbols", goarch, len(symbols(plain)))
		}
		if name, start, ok := plain.SymbolName(at + 8); !ok || name != "_main.greet" || start != at {
			t.Errorf("%s: %s at %#x", goarch, name, start)
		}
		name, start, ok := stripped.SymbolName(at + 8)
		if !ok || name != "main.greet" || start != at {
			t.Errorf("%s, stripped: %q at %#x, want main.greet at %#x", goarch, name, start, at)
		}
		for _, m := range []*Image{plain, stripped} {
			file, line, ok := m.Line(at + 8)
			if !ok || filepath.Base(file) != "hello.go" || line != 7 {
				t.Errorf("%s: %s:%d %v", goarch, file, line, ok)
			}
			if start, end, ok := m.Function(at + 8); !ok || start != at || end <= at {
				t.Errorf("%s: function %#x to %#x", goarch, start, end)
			}
			noProblems(t, m)
		}
	}
}
