package flow_test

import (
	"bytes"
	"debug/macho"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"

	"strings"
	"testing"

	"portcullis.dev/check/amd64"
	"portcullis.dev/check/arm64"
	"portcullis.dev/check/flow"
	"portcullis.dev/check/flow/op"
)

// object is a Mach-O object file as the engine sees it.
type object struct {
	t      testing.TB
	f      *macho.File
	isa    *op.ISA
	data   [][]byte
	relocs map[uint64]flow.Reloc
}

// compile compiles a piece of C. Targets are clang's, such as arm64-apple-macos13.
func compile(t testing.TB, source, target string, flags ...string) []byte {
	t.Helper()
	clang, err := exec.LookPath("clang-19")
	if err != nil {
		t.Skip("SKIPPED: clang-19 is not installed; the flow engine is not tested against compiled code")
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "a.c"), filepath.Join(dir, "a.o")
	if err := os.WriteFile(in, []byte(source), 0o666); err != nil {
		t.Fatal(err)
	}
	args := append(append([]string{"-target", target, "-w"}, flags...), "-c", in, "-o", out)
	if msg, err := exec.Command(clang, args...).CombinedOutput(); err != nil {
		t.Fatalf("clang %s: %v\n%s", strings.Join(args, " "), err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, b []byte) *object {
	t.Helper()
	f, err := macho.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	o := &object{t: t, f: f, isa: arm64.ISA, relocs: map[uint64]flow.Reloc{}}
	if f.Cpu == macho.CpuAmd64 {
		o.isa = amd64.ISA
	}
	for _, s := range f.Sections {
		d := make([]byte, s.Size)
		if s.Flags&0xff != 1 {
			if d, err = s.Data(); err != nil {
				t.Fatal(err)
			}
		}
		o.data = append(o.data, d)
		o.readRelocs(s, d)
	}
	return o
}

func (o *object) readRelocs(s *macho.Section, data []byte) {
	var addend int64
	for _, r := range s.Relocs {
		if o.f.Cpu != macho.CpuAmd64 && r.Type == 10 { // ARM64_RELOC_ADDEND
			addend = int64(int32(r.Value<<8) >> 8)
			continue
		}
		if !r.Extern {
			continue
		}
		sym := o.f.Symtab.Syms[r.Value]
		x := flow.Reloc{Symbol: sym.Name, Addend: addend, Kind: flow.RelocOther}
		addend = 0
		if sym.Type&0x0e == 0x0e {
			x.Defined, x.Addr = true, sym.Value
		}
		if o.f.Cpu == macho.CpuAmd64 {
			if r.Len == 2 {
				x.Addend = int64(int32(binary.LittleEndian.Uint32(data[r.Addr:])))
			}
			switch r.Type {
			case 1, 6, 7, 8:
				x.Kind = flow.RelocAddr
				x.Addend += map[uint8]int64{6: 1, 7: 2, 8: 4}[r.Type]
			case 2:
				x.Kind = flow.RelocBranch
			case 3, 4:
				x.Kind = flow.RelocGOT
			}
		} else {
			x.Kind = map[uint8]flow.RelocKind{2: flow.RelocBranch, 3: flow.RelocPage, 4: flow.RelocPageOff,
				5: flow.RelocGOTPage, 6: flow.RelocGOTOff}[r.Type]
			if x.Kind == flow.RelocNone {
				x.Kind = flow.RelocOther
			}
		}
		o.relocs[s.Addr+uint64(r.Addr)] = x
	}
}

func (o *object) section(addr uint64, n int) (*macho.Section, []byte) {
	for i, s := range o.f.Sections {
		if addr >= s.Addr && addr-s.Addr <= s.Size && uint64(n) <= s.Size-(addr-s.Addr) {
			return s, o.data[i][addr-s.Addr:][:n]
		}
	}
	return nil, nil
}

func (o *object) Bytes(addr uint64, n int) []byte {
	_, b := o.section(addr, n)
	return b
}

func (o *object) ReadOnly(addr uint64) bool {
	s, _ := o.section(addr, 1)
	return s != nil && (s.Seg == "__TEXT" || s.Name == "__const")
}

func (o *object) Pointer(slot uint64) (uint64, string, bool) {
	r, ok := o.relocs[slot]
	if !ok {
		return 0, "", false
	}
	if r.Defined {
		return r.Addr + uint64(r.Addend), "", true
	}
	return 0, r.Symbol, true
}

func (o *object) Callee(site, target uint64) (string, bool) {
	n := uint64(1)
	if o.f.Cpu == macho.CpuAmd64 {
		n = 6
	}
	for i := range n {
		if r, ok := o.relocs[site+i]; ok && r.Kind == flow.RelocBranch {
			return r.Symbol, true
		}
	}
	return "", false
}

func (o *object) Reloc(site uint64) (flow.Reloc, bool) {
	r, ok := o.relocs[site]
	return r, ok
}

// function returns the bounds of a function.
func (o *object) function(name string) flow.Function {
	o.t.Helper()
	f := flow.Function{Name: name, ISA: o.isa}
	text := o.f.Section("__text")
	f.End = text.Addr + text.Size
	found := false
	for _, s := range o.f.Symtab.Syms {
		if s.Name == name && s.Type&0x0e == 0x0e {
			f.Start, found = s.Value, true
		}
	}
	if !found {
		o.t.Fatalf("no function %s", name)
	}
	for _, s := range o.f.Symtab.Syms {
		if s.Type&0x0e == 0x0e && s.Sect == 1 && s.Value > f.Start && s.Value < f.End &&
			!strings.HasPrefix(s.Name, "l") && !strings.HasPrefix(s.Name, "L") {
			f.End = s.Value
		}
	}
	return f
}

// calls analyses a function and returns its calls of the wanted symbol.
func (o *object) calls(name, symbol string, args int) ([]flow.Call, flow.Result) {
	o.t.Helper()
	f := o.function(name)
	for at, r := range o.relocs {
		if r.Symbol == symbol && at >= f.Start && at < f.End {
			f.Sites = append(f.Sites, at)
		}
	}
	r := flow.Analyze(f, o, flow.Model{Want: func(s string) (int, bool) { return args, s == symbol },
		Limits: flow.Limits{Callees: 1 << 19}})
	return r.Calls, r
}

func (o *object) Function(addr uint64) (start, end uint64, ok bool) {
	text := o.f.Section("__text")
	if addr < text.Addr || addr >= text.Addr+text.Size {
		return 0, 0, false
	}
	start, end = text.Addr, text.Addr+text.Size
	for _, s := range o.f.Symtab.Syms {
		if s.Type&0x0e == 0x0e && s.Sect == 1 && !strings.HasPrefix(s.Name, "l") && !strings.HasPrefix(s.Name, "L") {
			if s.Value <= addr {
				start = max(start, s.Value)
			} else {
				end = min(end, s.Value)
			}
		}
	}
	return start, end, true
}
