package macho

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// builder writes images byte by byte, for what no tool at hand makes: old formats, arm64e, lies.
type builder struct{ b []byte }

func (w *builder) u32(vs ...uint32) *builder {
	for _, v := range vs {
		w.b = binary.LittleEndian.AppendUint32(w.b, v)
	}
	return w
}

func (w *builder) u64(vs ...uint64) *builder {
	for _, v := range vs {
		w.b = binary.LittleEndian.AppendUint64(w.b, v)
	}
	return w
}

func (w *builder) str(s string, size int) *builder {
	w.b = append(append(w.b, s...), make([]byte, size-len(s))...)
	return w
}

func (w *builder) pad(to int) *builder {
	w.b = append(w.b, make([]byte, to-len(w.b))...)
	return w
}

// header begins a 64-bit image with ncmds load commands of cmdSize bytes.
func header(cpu CPU, sub uint32, typ Type, ncmds, cmdSize uint32) *builder {
	w := &builder{}
	return w.u32(machMagic64, uint32(cpu), sub, uint32(typ), ncmds, cmdSize, 0, 0)
}

// segment appends a segment command without sections.
func (w *builder) segment(name string, addr, size, off, fileSize uint64, prot uint32) *builder {
	return w.u32(lcSegment64, segmentCommandSize64).str(name, 16).u64(addr, size, off, fileSize).u32(prot, prot, 0, 0)
}

const handBase = 0x100000000

// withData makes an image with one load command more than its segments: __TEXT of 0x400 bytes, __DATA with the given
// bytes behind it, and __LINKEDIT with link behind that, at handLink.
func withData(cpu CPU, sub uint32, cmd []byte, data, link []byte) []byte {
	const n = 3
	w := header(cpu, sub, Dylib, n+1, uint32(n*segmentCommandSize64+len(cmd)))
	w.segment("__TEXT", handBase, 0x400, 0, 0x400, 5)
	w.segment("__DATA", handBase+0x4000, 0x400, 0x400, 0x400, 3)
	w.segment("__LINKEDIT", handBase+0x8000, 0x400, handLink, uint64(len(link)), 1)
	w.b = append(w.b, cmd...)
	w.pad(0x400).b = append(w.b, data...)
	w.pad(handLink).b = append(w.b, link...)
	return w.b
}

const handLink = 0x800

// chainedImage makes an image with chained fixups in one pointer format, from the pointers of its data page.
func chainedImage(sub uint32, pointerFormat, importFormat uint32, pointers []uint64, imports []byte, n uint32,
	symbols string) []byte {
	data := (&builder{}).u64(pointers...).b
	// header (28), padding, starts in image at 32 (4 + 3 offsets), starts in segment at 48 (22 + 2), imports, symbols
	const starts, seg, imps = 32, 16, 72
	l := (&builder{}).u32(0, starts, imps, uint32(imps+len(imports)), n, importFormat, 0).pad(starts)
	l.u32(3, 0, seg, 0).u32(24).u32(0x4000 | pointerFormat<<16).u64(0x4000).u32(0).u32(1) // one page, starting at 0
	l.pad(imps).b = append(l.b, imports...)
	l.b = append(l.b, symbols...)
	cmd := (&builder{}).u32(lcDyldChainedFixups, 16, handLink, uint32(len(l.b))).b
	return withData(CPUARM64, sub, cmd, data, l.b)
}

const arm64eSub = 0x80000002

// handmade returns images for fuzzing.
func handmade() [][]byte {
	return [][]byte{
		chainedImage(arm64eSub, ptrARM64EUserland, importPlain, []uint64{1<<62 | 1<<51, 0x10}, []byte{0, 0, 0, 0}, 1,
			"\x00_a\x00"),
		threadedImage(),
		[]byte(archiveMagic + "#1/4            0           0     0     644     8         `\nab\x00\x00cdef"),
		(&builder{}).u32(0xbebafeca, 0x01000000).b,
	}
}

// TestChainedFormats resolves hand-written chains in every 64-bit pointer and import format.
func TestChainedFormats(t *testing.T) {
	const symbols = "\x00_first\x00_second\x00"
	plain := (&builder{}).u32(1|1<<9, 0xfe|1<<8|8<<9).b
	addend := (&builder{}).u32(1|1<<9, 0, 0xfe|1<<8|8<<9, 0xfffffffc).b
	addend64 := (&builder{}).u64(1|1<<32, 0, 0xfffe|1<<16|8<<32, 5).b
	// The four pointers of each page: a bind of import 0, one of import 1 with an addend, a rebase, a signed rebase.
	arm64e := func(target uint64, stride uint64) []uint64 {
		next := 8 / stride << 51
		return []uint64{
			1<<62 | next,
			1<<62 | next | 0x7fff0<<32 | 1, // addend -16
			next | 0x12<<43 | target,
			1<<63 | 0xabcd<<32 | 0x20,
		}
	}
	ptr := func(target uint64) []uint64 {
		return []uint64{1<<63 | 2<<51, 1<<63 | 2<<51 | 3<<24 | 1, 2<<51 | 0x12<<36 | target, target + 8}
	}
	top := uint64(0x12) << 56
	tests := []struct {
		name     string
		format   uint32
		pointers []uint64
		addend   int64
		third    uint64
		fourth   uint64
		auth     bool
	}{
		{"arm64e", ptrARM64E, arm64e(handBase+0x10, 8), -16, top | handBase + 0x10, handBase + 0x20, true},
		{"64", ptr64, ptr(handBase + 0x10), 3, top | handBase + 0x10, handBase + 0x18, false},
		{"64 offset", ptr64Offset, ptr(0x10), 3, top | handBase + 0x10, handBase + 0x18, false},
		{"arm64e kernel", ptrARM64EKernel, arm64e(0x10, 4), -16, top | handBase + 0x10, handBase + 0x20, true},
		{"arm64e userland", ptrARM64EUserland, arm64e(0x10, 8), -16, top | handBase + 0x10, handBase + 0x20, true},
		{"arm64e firmware", ptrARM64EFirmware, arm64e(handBase+0x10, 4), -16, top | handBase + 0x10, handBase + 0x20, true},
		{"arm64e userland 24", ptrARM64EUserland24, arm64e(0x10, 8), -16, top | handBase + 0x10, handBase + 0x20, true},
	}
	formats := []struct {
		name    string
		format  uint32
		imports []byte
		addend  int64
	}{{"plain", importPlain, plain, 0}, {"addend", importAddend, addend, -4}, {"addend64", importAddend64, addend64, 5}}
	for _, tt := range tests {
		for _, f := range formats {
			t.Run(tt.name+", "+f.name, func(t *testing.T) {
				file, err := Parse(chainedImage(arm64eSub, tt.format, f.format, tt.pointers, f.imports, 2, symbols))
				if err != nil {
					t.Fatal(err)
				}
				m := file.Images[0]
				if m.Arch != "arm64e" || !m.ARM64E() {
					t.Errorf("arch %s", m.Arch)
				}
				want := []Pointer{
					{Import: "_first"}, {Import: "_second", Addend: tt.addend + f.addend},
					{Target: tt.third}, {Target: tt.fourth, Auth: tt.auth},
				}
				for i, w := range want {
					if p, ok := m.Pointer(handBase + 0x4000 + uint64(8*i)); !ok || p != w {
						t.Errorf("slot %d: %+v, %v; want %+v", i, p, ok, w)
					}
				}
				var binds []Import
				for b := range m.Bindings() {
					binds = append(binds, b.Import)
				}
				wantImports := []Import{{"_first", 1, false}, {"_second", OrdinalFlat, true}}
				if len(binds) != 2 || binds[0] != wantImports[0] || binds[1] != wantImports[1] {
					t.Errorf("bindings %+v, want %+v", binds, wantImports)
				}
				if !m.HasImport(func(n []byte) bool { return string(n) == "_second" }) {
					t.Error("import not found")
				}
				if m.HasImport(func(n []byte) bool { return string(n) == "_third" }) {
					t.Error("import found that is not there")
				}
				noProblems(t, m)
			})
		}
	}
}

// TestChainedRefusals has chains that are not followed, each with its cause.
func TestChainedRefusals(t *testing.T) {
	good := (&builder{}).u32(1 | 1<<9).b
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"32-bit pointers", chainedImage(0, 3, 1, []uint64{1}, good, 1, "\x00_a\x00"), "format 3 (32-bit)"},
		{"import format", chainedImage(0, 2, 9, []uint64{1}, good, 1, "\x00_a\x00"), "format 9 are not known"},
		{"four billion imports", chainedImage(0, 2, 1, []uint64{1}, good, 0xffffffff, "\x00_a\x00"), "do not fit"},
		{"bind out of range", chainedImage(0, 2, 1, []uint64{1<<63 | 7}, good, 1, "\x00_a\x00"), "import 7 of 1"},
	}
	compressed := chainedImage(0, 2, 1, []uint64{1}, good, 1, "\x00_a\x00")
	compressed[handLink+24] = 1
	tests = append(tests, struct {
		name string
		data []byte
		want string
	}{"compressed names", compressed, "compressed"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse(tt.data)
			if err != nil {
				t.Fatal(err)
			}
			m := f.Images[0]
			for range m.Bindings() {
				t.Error("a binding came out")
			}
			for range m.Imports() {
				if tt.name != "bind out of range" && tt.name != "32-bit pointers" {
					t.Error("an import came out")
				}
			}
			wantProblem(t, m, tt.want)
		})
	}
}

func wantProblem(t *testing.T, m *Image, want string) {
	t.Helper()
	for _, err := range m.Problems() {
		var fe *FormatError
		if !errors.As(err, &fe) {
			t.Errorf("problem of type %T", err)
		}
		if strings.Contains(err.Error(), want) {
			return
		}
	}
	t.Errorf("problems %v, want one with %q", m.Problems(), want)
}

// dyldInfo makes an LC_DYLD_INFO_ONLY with bind, weak bind and lazy bind opcodes one after the other.
func dyldInfo(bind, weak, lazy []byte) (cmd, link []byte) {
	at := uint32(handLink)
	w := (&builder{}).u32(lcDyldInfoOnly, 48, 0, 0)
	for _, b := range [][]byte{bind, weak, lazy} {
		w.u32(at, uint32(len(b)))
		at += uint32(len(b))
		link = append(link, b...)
	}
	return w.u32(0, 0).b, link
}

// threadedImage binds as the first arm64e systems did: a table of two imports and one chain.
func threadedImage() []byte {
	bind := []byte{bindThreaded | bindThreadedTable, 2}
	bind = append(bind, bindSetOrdinalImm|1, bindSetSymbol)
	bind = append(append(bind, "_first\x00"...), bindSetType|1, bindDo)
	bind = append(bind, bindSetOrdinalSpec|0xe, bindSetSymbol|bindFlagWeakImport)
	bind = append(append(bind, "_second\x00"...), bindSetAddend, 4, bindDo)
	bind = append(bind, bindSetSegment|1, 8, bindThreaded|bindThreadedApply, bindDone)
	cmd, link := dyldInfo(bind, nil, nil)
	data := (&builder{}).u64(0, 1<<62|1<<51, 1<<63|1<<62|2<<51|1, 0, 1<<51|handBase+0x10, 1<<63|0x30).b
	return withData(CPUARM64, arm64eSub, cmd, data, link)
}

func TestThreadedBinds(t *testing.T) {
	f, err := Parse(threadedImage())
	if err != nil {
		t.Fatal(err)
	}
	m := f.Images[0]
	want := map[uint64]Pointer{
		0x08: {Import: "_first"}, 0x10: {Import: "_second", Addend: 4, Auth: true},
		0x20: {Target: handBase + 0x10}, 0x28: {Target: handBase + 0x30, Auth: true},
		0x00: {Bare: true}, 0x18: {Bare: true},
	}
	for off, w := range want {
		if p, ok := m.Pointer(handBase + 0x4000 + off); !ok || p != w {
			t.Errorf("slot %#x: %+v, %v; want %+v", off, p, ok, w)
		}
	}
	n := 0
	for b := range m.Bindings() {
		if n++; b.Import.Name == "_second" && (b.Import.Ordinal != OrdinalFlat || !b.Import.Weak) {
			t.Errorf("binding %+v", b)
		}
	}
	if n != 2 {
		t.Errorf("%d bindings, want 2", n)
	}
	noProblems(t, m)
}

// TestBindOpcodes runs every opcode of the classic byte code.
func TestBindOpcodes(t *testing.T) {
	bind := []byte{bindSetOrdinalULEB, 1, bindSetSymbol}
	bind = append(append(bind, "_a\x00"...), bindSetType|1, bindSetSegment|1, 0x10, bindDo) // 0x10
	bind = append(bind, bindDoAddAddr, 8)                                                   // 0x18, then 8 skipped
	bind = append(bind, bindDoAddAddrScaled|2)                                              // 0x28, then 16 skipped
	// 0x40, 0x50, 0x60 with addend -1
	bind = append(bind, bindSetAddend, 0x7f, bindDoTimesSkipping, 3, 8)
	bind = append(bind, bindAddAddr, 0x10, bindSetOrdinalSpec|0xf, bindSetSymbol|1)
	bind = append(append(bind, "_b\x00"...), bindDo, bindDone) // 0x80
	lazy := []byte{bindSetSegment | 1, 0x90, 1, bindSetOrdinalImm | 2, bindSetSymbol}
	lazy = append(append(lazy, "_c\x00"...), bindDo, bindDone) // 0x90
	lazy = append(lazy, bindSetSegment|1, 0x98, 1, bindSetSymbol)
	lazy = append(append(lazy, "_d\x00"...), bindDo, bindDone, 0, 0)
	weak := []byte{bindSetSymbol}
	weak = append(append(weak, "_w\x00"...), bindSetSegment|1, 0xa0, 1, bindDo, bindDone)
	cmd, link := dyldInfo(bind, weak, lazy)
	f, err := Parse(withData(CPUAMD64, 3, cmd, (&builder{}).pad(0xa0).u64(0x1234).b, link))
	if err != nil {
		t.Fatal(err)
	}
	m := f.Images[0]
	want := map[uint64]Pointer{
		0x10: {Import: "_a"}, 0x18: {Import: "_a"}, 0x28: {Import: "_a"}, 0x20: {Bare: true},
		0x40: {Import: "_a", Addend: -1}, 0x50: {Import: "_a", Addend: -1}, 0x60: {Import: "_a", Addend: -1},
		0x80: {Import: "_b", Addend: -1}, 0x90: {Import: "_c"}, 0x98: {Import: "_d"},
		0xa0: {Import: "_w", Target: 0x1234},
	}
	for off, w := range want {
		if p, ok := m.Pointer(handBase + 0x4000 + off); !ok || p != w {
			t.Errorf("slot %#x: %+v, %v; want %+v", off, p, ok, w)
		}
	}
	ordinals := map[string]Import{}
	for i := range m.Imports() {
		ordinals[i.Name] = i
	}
	for _, w := range []Import{{"_a", 1, false}, {"_b", OrdinalMain, true}, {"_c", 2, false}} {
		if ordinals[w.Name] != w {
			t.Errorf("import %+v, want %+v", ordinals[w.Name], w)
		}
	}
	noProblems(t, m)
}

// TestBindOpcodesDamaged has byte code that would run for ever or out of its segment.
func TestBindOpcodesDamaged(t *testing.T) {
	name := slices.Clip(append([]byte{bindSetSymbol}, "_a\x00"...))
	tests := []struct {
		name string
		bind []byte
		want string
	}{
		{"times without end", append(name, bindSetSegment|1, 0, bindDoTimesSkipping, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
			0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), "more binds than any linker"},
		{"out of segment", append(name, bindSetSegment|1, 0xff, 0xff, 0x7f, bindDo), "outside of its segment"},
		{"no segment", append(name, bindDo), "outside of its segment"},
		{"segment 9", append(name, bindSetSegment|9, 0, bindDo), "segment 9 of 3"},
		{"name without end", []byte{bindSetSymbol, 'a', 'b'}, "no end"},
		{"number without end", []byte{bindSetOrdinalULEB, 0x80, 0x80}, "cut short"},
		{"no number", []byte{bindSetOrdinalULEB}, "cut short"},
		{"unknown", []byte{0xe0}, "not known"},
		{"threaded import", []byte{bindThreaded, 0, bindSetSegment | 1, 0, bindThreaded | 1}, "import 0 of 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd, link := dyldInfo(tt.bind, nil, nil)
			f, err := Parse(withData(CPUARM64, 0, cmd, (&builder{}).u64(1<<62).b, link))
			if err != nil {
				t.Fatal(err)
			}
			for range f.Images[0].Bindings() {
				if tt.name != "times without end" {
					t.Error("a binding came out")
				}
			}
			wantProblem(t, f.Images[0], tt.want)
		})
	}
}
