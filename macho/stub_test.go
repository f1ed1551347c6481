package macho

import (
	"strings"
	"testing"
)

// sectionCommand makes a segment command with sections, each given as name, address, size, offset, flags, reserved1
// and reserved2.
type handSection struct {
	segment, name string
	addr, size    uint64
	offset, flags uint32
	res1, res2    uint32
}

func segmentWith(name string, addr, size, off uint64, prot uint32, sections ...handSection) []byte {
	w := (&builder{}).u32(lcSegment64, uint32(segmentCommandSize64+len(sections)*sectionSize64)).str(name, 16)
	w.u64(addr, size, off, size).u32(prot, prot, uint32(len(sections)), 0)
	for _, s := range sections {
		w.str(s.name, 16).str(s.segment, 16).u64(s.addr, s.size).u32(s.offset, 3, 0, 0, s.flags, s.res1, s.res2, 0)
	}
	return w.b
}

// authImage is an arm64e image with __auth_stubs and __objc_stubs as Apple's linker writes them, and no indirect
// symbol table.
func authImage() []byte {
	const code, got, sel, str = 0x600, 0x4000, 0x4020, 0x700
	adrp := func(rd uint32, pages uint32) uint32 { return 0x90000000 | pages&3<<29 | pages>>2<<5 | rd }
	auth := (&builder{}).u32(adrp(17, 4), 0x91000000|17<<5|17, 0xf9400000|17<<5|16, 0xd71f0800|16<<5|17).b
	auth = append(auth, (&builder{}).u32(adrp(17, 4), 0x91000000|8<<10|17<<5|17, 0xf9400000|17<<5|16,
		0xd71f0800|16<<5|17).b...)
	objc := (&builder{}).u32(adrp(1, 4), 0xf9400000|(0x20/8)<<10|1<<5|1, adrp(17, 4), 0x91000000|0<<10|17<<5|17,
		0xf9400000|17<<5|16, 0xd71f0800|16<<5|17, 0xd4200020, 0xd4200020).b

	var cmds []byte
	cmds = append(cmds, segmentWith("__TEXT", handBase, 0x1000, 0, 5,
		handSection{"__TEXT", "__auth_stubs", handBase + code, 32, code, 0x80000408, 0, 16},
		handSection{"__TEXT", "__objc_stubs", handBase + code + 32, 32, code + 32, 0x80000400, 0, 0},
	)...)
	cmds = append(cmds, segmentWith("__DATA_CONST", handBase+0x4000, 0x1000, 0x1000, 3,
		handSection{"__DATA_CONST", "__auth_got", handBase + got, 16, 0x1000, 6, 0, 0},
		handSection{"__DATA_CONST", "__objc_selrefs", handBase + sel, 8, 0x1020, 5, 0, 0},
	)...)
	link := (&builder{}).u32(0, 32, 68, 76, 2, importPlain, 0).pad(32)
	link.u32(2, 0, 12).u32(24).u32(0x4000 | ptrARM64EUserland<<16).u64(0x4000).u32(0).u32(1).pad(68)
	link.u32(1|1<<9, 1|15<<9)
	link.b = append(link.b, "\x00_objc_msgSend\x00_mach_msg\x00"...)
	cmds = append(cmds, (&builder{}).u32(lcDyldChainedFixups, 16, 0x2000, uint32(len(link.b))).b...)
	w := header(CPUARM64, arm64eSub, Dylib, 3, uint32(len(cmds)))
	w.b = append(w.b, cmds...)
	w.pad(code).b = append(append(w.b, auth...), objc...)
	w.pad(str).b = append(w.b, "setPort:\x00"...)
	w.pad(0x1000).u64(1<<63|1<<62|1<<51, 1<<63|1<<62|3<<51|1, 0, 0)
	w.u64(str) // the selector: a rebase
	w.pad(0x2000).b = append(w.b, link.b...)
	return w.b
}

func TestAuthStubs(t *testing.T) {
	f, err := Parse(authImage())
	if err != nil {
		t.Fatal(err)
	}
	m := f.Images[0]
	want := []Stub{
		{handBase + 0x600, 16, Import{"_objc_msgSend", 1, false}, handBase + 0x4000, ""},
		{handBase + 0x610, 16, Import{"_mach_msg", 1, false}, handBase + 0x4008, ""},
		{handBase + 0x620, 32, Import{"_objc_msgSend", 1, false}, handBase + 0x4000, "setPort:"},
	}
	got := m.Stubs()
	if len(got) != len(want) {
		t.Fatalf("stubs %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("stub %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	if p, ok := m.Pointer(handBase + 0x4008); !ok || !p.Auth || p.Import != "_mach_msg" {
		t.Errorf("slot: %+v %v", p, ok)
	}
	if len(m.CodeSections()) != 0 {
		t.Error("stubs are taken for the image's own code")
	}
	noProblems(t, m)
}

// TestStubForms decodes the forms of stubs that linkers write, one by one.
func TestStubForms(t *testing.T) {
	const at = 0x100003f00
	arm := func(ins ...uint32) []byte { return (&builder{}).u32(ins...).b }
	tests := []struct {
		name string
		cpu  CPU
		code []byte
		want jump
	}{
		{"adrp ldr br", CPUARM64, arm(0xb0000010, 0xf9400610, 0xd61f0200), jump{true, 0x100004008, 0, 12}},
		{"adrp back", CPUARM64, arm(0xf0fffff0, 0xf9400210, 0xd61f0200), jump{true, 0x100002000, 0, 12}},
		{"nop ldr-literal br", CPUARM64, arm(0xd503201f, 0x58000810, 0xd61f0200), jump{true, 0x100004004, 0, 12}},
		{"adr nop ldr braa", CPUARM64, arm(0x10000811, 0xd503201f, 0xf9400230, 0xd71f0a11), jump{true, 0x100004000, 0, 16}},
		{"bti, braaz", CPUARM64, arm(0xd503245f, 0xb0000010, 0xf9400210, 0xd61f0a1f), jump{true, 0x100004000, 0, 16}},
		{"selector and b", CPUARM64, arm(0xb0000001, 0xf9400421, 0x14000000), jump{true, 0, 0x100004008, 12}},
		{"register not known", CPUARM64, arm(0xf9400610, 0xd61f0200), jump{}},
		{"ret", CPUARM64, arm(0xd65f03c0), jump{}},
		{"jmp", CPUAMD64, []byte{0xff, 0x25, 0xfa, 0, 0, 0}, jump{true, 0x100004000, 0, 6}},
		{"jmp back", CPUAMD64, []byte{0xff, 0x25, 0xfa, 0xff, 0xff, 0xff}, jump{true, 0x100003f00, 0, 6}},
		{"endbr64 jmp", CPUAMD64, []byte{0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 0xf6, 0, 0, 0}, jump{true, 0x100004000, 0, 10}},
		{"selector and jmp", CPUAMD64, []byte{0x48, 0x8b, 0x35, 0xf9, 0, 0, 0, 0xff, 0x25, 0xfb, 0, 0, 0},
			jump{true, 0x100004008, 0x100004000, 13}},
		{"push", CPUAMD64, []byte{0x68, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0}, jump{}},
	}
	for _, tt := range tests {
		m := &Image{CPU: tt.cpu}
		if got := m.decodeJump(tt.code, at); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		for n := range tt.code { // cut off anywhere
			m.decodeJump(tt.code[:n:n], at)
		}
	}
}

// TestOldImage has what linkers wrote before bind opcodes: external relocations, and an encrypted range.
func TestOldImage(t *testing.T) {
	link := (&builder{}).u32(1)
	link.b = append(link.b, nExt|nUndef, 0, 0, 1) // library 1
	link.u64(0)
	link.u32(0x10, 0|relocExtern|extRelocLengthQuad<<25) // symbol 0 at the 16th byte of the first writable segment
	link.b = append(link.b, "\x00_old\x00"...)
	cmds := (&builder{}).u32(lcSymtab, 24, handLink, 1, handLink+24, 6)
	cmds.u32(lcDysymtab, 80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, handLink+16, 1, 0, 0)
	cmds.u32(lcEncryptionInfo64, 24, 0x400, 0x1000, 1, 0)
	w := header(CPUAMD64, 3, Bundle, 6, uint32(3*segmentCommandSize64+len(cmds.b)))
	w.segment("__TEXT", handBase, 0x400, 0, 0x400, 5).segment("__DATA", handBase+0x4000, 0x400, 0x400, 0x400, 3)
	w.segment("__LINKEDIT", handBase+0x8000, 0x400, handLink, uint64(len(link.b)), 1)
	w.b = append(w.b, cmds.b...)
	w.pad(0x400).u64(0, 0, 7).pad(handLink).b = append(w.b, link.b...)
	f, err := Parse(w.b)
	if err != nil {
		t.Fatal(err)
	}
	m := f.Images[0]
	if p, ok := m.Pointer(handBase + 0x4010); !ok || p != (Pointer{Import: "_old", Addend: 7}) {
		t.Errorf("slot: %+v %v", p, ok)
	}
	if !m.Encrypted() || m.Encryption.Size != 0x1000 {
		t.Errorf("encryption %+v", m.Encryption)
	}
	for i := range m.Imports() {
		if i != (Import{"_old", 1, false}) {
			t.Errorf("import %+v", i)
		}
	}
	noProblems(t, m)
}

// TestGoTableOfBrokenImage has a Go table in an image whose list of function starts is empty or lost, where each of the
// two would be put together from the other.
func TestGoTableOfBrokenImage(t *testing.T) {
	table := (&builder{}).u32(0xfffffff1, 0x08040000).u64(70, 1, 0, 72, 72, 72, 72, 72).pad(72 + 71*8).b
	for _, starts := range []uint32{0, 0x7fffffff} {
		cmds := segmentWith("__TEXT", handBase, 0x1000, 0, 5,
			handSection{"__TEXT", "__text", handBase + 0x600, 16, 0x600, 0x80000400, 0, 0},
			handSection{"__TEXT", "__gopclntab", handBase + 0x700, uint64(len(table)), 0x700, 0, 0, 0})
		cmds = append(cmds, (&builder{}).u32(lcFunctionStarts, 16, 0x1000, 4+starts).b...)
		w := header(CPUARM64, 0, Execute, 2, uint32(len(cmds)))
		w.b = append(w.b, cmds...)
		w.pad(0x700).b = append(w.b, table...)
		w.pad(0x1004)
		f, err := Parse(w.b)
		if err != nil {
			t.Fatal(err)
		}
		m := f.Images[0]
		if got := m.Functions(); len(got) != 1 || got[0] != handBase+0x600 {
			t.Errorf("functions %#x", got)
		}
		if name, _, ok := m.SymbolName(handBase + 0x600); ok {
			t.Errorf("name %q", name)
		}
		if starts != 0 && (len(m.Problems()) != 1 || !strings.Contains(m.Problems()[0].Error(), "function starts")) {
			t.Errorf("problems %v", m.Problems())
		}
	}
}
