package macho

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// slice is a part of a universal file that the tests put together.
type slice struct {
	cpu  CPU
	sub  uint32
	data []byte
}

// fat makes a universal file in one of its four forms.
func fat(bo binary.AppendByteOrder, wide bool, slices ...slice) []byte {
	magic, entry := uint32(fatMagic32), fatEntrySize32
	if wide {
		magic, entry = fatMagic64, fatEntrySize64
	}
	b := bo.AppendUint32(nil, magic)
	b = bo.AppendUint32(b, uint32(len(slices)))
	at := fatHeaderSize + entry*len(slices)
	for _, s := range slices {
		b = bo.AppendUint32(b, uint32(s.cpu))
		b = bo.AppendUint32(b, s.sub)
		if wide {
			b = bo.AppendUint64(bo.AppendUint64(b, uint64(at)), uint64(len(s.data)))
			b = bo.AppendUint32(bo.AppendUint32(b, 0), 0)
		} else {
			b = bo.AppendUint32(bo.AppendUint32(b, uint32(at)), uint32(len(s.data)))
			b = bo.AppendUint32(b, 0)
		}
		at += len(s.data)
	}
	for _, s := range slices {
		b = append(b, s.data...)
	}
	return b
}

// tiny makes an image of a header alone.
func tiny(cpu CPU, sub uint32) []byte {
	if cpu&cpuABI64 == 0 {
		bo := binary.AppendByteOrder(binary.LittleEndian)
		if cpu == CPUPowerPC {
			bo = binary.BigEndian
		}
		var b []byte
		for _, v := range []uint32{machMagic32, uint32(cpu), sub, uint32(Execute), 0, 0, 0} {
			b = bo.AppendUint32(b, v)
		}
		return b
	}
	if cpu == CPUPPC64 {
		var b []byte
		for _, v := range []uint32{machMagic64, uint32(cpu), sub, uint32(Execute), 0, 0, 0, 0} {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		return b
	}
	return header(cpu, sub, Execute, 0, 0).b
}

func of(cpu CPU, sub uint32) slice { return slice{cpu, sub, tiny(cpu, sub)} }

// describe lists the images and errors of a file.
func describe(data []byte) []string {
	f, err := Parse(data)
	if err != nil {
		return []string{"error: " + err.Error()}
	}
	var out []string
	for _, m := range f.Images {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s@%#x scope %v", m.Member, m.Arch, m.Offset, m.InScope())))
	}
	for _, err := range f.Errors {
		out = append(out, "error: "+err.Error())
	}
	return out
}

func TestUniversalFiles(t *testing.T) {
	for _, bo := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
		for _, wide := range []bool{false, true} {
			entry := fatEntrySize32
			if wide {
				entry = fatEntrySize64
			}
			data := fat(bo, wide, of(CPUPowerPC, 0), of(CPUPPC64, 0), of(CPU386, 3), of(CPUAMD64, 3), of(CPUAMD64, 8),
				of(CPUARM, 9), of(CPUARM64, 0), of(CPUARM64, arm64eSub), of(CPUARM64_32, 1))
			at := fatHeaderSize + 9*entry
			var want []string
			for _, w := range []struct {
				arch  string
				size  int
				scope bool
			}{{"ppc", 28, false}, {"ppc64", 32, false}, {"i386", 28, false}, {"x86_64", 32, true}, {"x86_64h", 32, true},
				{"armv7", 28, false}, {"arm64", 32, true}, {"arm64e", 32, true}, {"arm64_32", 28, false}} {
				want = append(want, fmt.Sprintf("%s@%#x scope %v", w.arch, at, w.scope))
				at += w.size
			}
			if d := cmp.Diff(want, describe(data)); d != "" {
				t.Errorf("%v, wide %v:\n%s", bo, wide, d)
			}
		}
	}
}

// TestUniversalDamage has slices that are wrong beside one that is right, which must not be lost.
func TestUniversalDamage(t *testing.T) {
	be := binary.BigEndian
	good := of(CPUARM64, 0)
	overlap := fat(be, false, good, of(CPUAMD64, 3))
	be.PutUint32(overlap[8+20+8:], be.Uint32(overlap[8+8:])) // the second slice where the first is
	huge := fat(be, true, good, of(CPUAMD64, 3))
	be.PutUint64(huge[8+32+16:], 1<<32)
	wraps := fat(be, true, good, of(CPUAMD64, 3))
	be.PutUint64(wraps[8+32+8:], 1<<64-8)
	tests := []struct {
		name string
		data []byte
		want []string
	}{
		{"overlap", overlap, []string{"arm64@0x30 scope true",
			"error: x86_64: slice overlaps another part of the file at offset 0x1c"}},
		{"4 GiB slice", huge, []string{"arm64@0x48 scope true",
			"error: x86_64: slice of 0x100000000 bytes at 0x68 reaches beyond the end of the file at offset 0x28"}},
		{"wraps around", wraps, []string{"arm64@0x48 scope true",
			"error: x86_64: slice of 0x20 bytes at 0xfffffffffffffff8 reaches beyond the end of the file at offset 0x28"}},
		{"text for a slice", fat(be, false, good, slice{CPUAMD64, 3, []byte("some text")}),
			[]string{"arm64@0x30 scope true", "error: x86_64: not a Mach-O file at offset 0x50"}},
		{"universal in universal", fat(be, false, slice{CPUARM64, 0, fat(be, false, good)}),
			[]string{"error: arm64: universal file inside another container at offset 0x1c"}},
		{"no slices", fat(be, false), []string{"error: universal file without slices at offset 0x4"}},
		{"cut short", fat(be, false, good, good)[:30],
			[]string{"error: arm64: slice of 0x20 bytes at 0x30 reaches beyond the end of the file at offset 0x8",
				"error: universal header names 2 slices but ends after 1 at offset 0x1c"}},
		{"Java class", []byte("\xca\xfe\xba\xbe\x00\x00\x00\x41\x00\x10"),
			[]string{"error: not a Mach-O file at offset 0x0"}},
		{"text", []byte("#!/bin/sh\n"), []string{"error: not a Mach-O file at offset 0x0"}},
		{"empty", nil, []string{"error: not a Mach-O file at offset 0x0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, describe(tt.data)); d != "" {
				t.Error(d)
			}
		})
	}
	if _, err := Parse([]byte("#!/bin/sh\n")); !errors.Is(err, ErrNotMachO) {
		t.Errorf("%v is not ErrNotMachO", err)
	}
}

// member makes an archive member with its header.
func member(name string, data []byte) []byte {
	b := fmt.Appendf(nil, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", name, 0, 0, 0, 0o644, len(data))
	b = append(b, data...)
	if len(b)&1 != 0 {
		b = append(b, '\n')
	}
	return b
}

func ar(members ...[]byte) []byte {
	b := []byte(archiveMagic)
	for _, m := range members {
		b = append(b, m...)
	}
	return b
}

func TestArchives(t *testing.T) {
	arm, intel := tiny(CPUARM64, 0), tiny(CPUAMD64, 3)
	bsd := func(name string, data []byte) []byte {
		return member(fmt.Sprintf("#1/%d", len(name)+2), append([]byte(name+"\x00\x00"), data...))
	}
	bsdArchive := ar(bsd("__.SYMDEF SORTED", make([]byte, 8)), bsd("a long name.o", arm), member("b.o", intel))
	tests := []struct {
		name string
		data []byte
		want []string
	}{
		{"BSD", bsdArchive, []string{"a long name.o arm64@0xa9 scope true", "b.o x86_64@0x106 scope true"}},
		{"GNU", ar(member("/", make([]byte, 4)), member("//", []byte("first long name.o/\nsecond long name.o/\n")),
			member("/19", arm), member("short.o/", intel)),
			[]string{"second long name.o arm64@0xe8 scope true", "short.o x86_64@0x144 scope true"}},
		{"thin", []byte(thinArchiveMagic + "x"),
			[]string{"error: thin archive, whose members are other files: check those instead at offset 0x0"}},
		{"empty", ar(), nil},
		{"bitcode", ar(member("a.o", []byte("BC\xc0\xde....")), member("b.o", arm)),
			[]string{"b.o arm64@0x88 scope true",
				"error: a.o: LLVM bitcode, which holds no machine code at offset 0x44"}},
		{"bad name", ar(member("#1/999", arm), member("b.o", arm)),
			[]string{"arm64@0x44 scope true", "b.o arm64@0xa0 scope true",
				`error: archive member name "#1/999" does not fit the member at offset 0x8`}},
		{"huge member", append(ar(member("b.o", arm)), []byte(strings.Replace(string(member("c.o", arm)), "32        ",
			"4294967296", 1))...), []string{"b.o arm64@0x44 scope true", "c.o arm64@0xa0 scope true",
			"error: c.o: archive member of 4294967296 bytes reaches beyond the end of the file at offset 0x94"}},
		{"no size", append(ar(member("b.o", arm)), []byte(strings.Replace(string(member("c.o", arm)), "32        ",
			"0x20      ", 1))...), []string{"b.o arm64@0x44 scope true",
			"error: archive member has no readable size at offset 0x94"}},
		{"cut short", append(ar(member("b.o", arm)), "c.o"...), []string{"b.o arm64@0x44 scope true",
			"error: archive member header is cut short at offset 0x64"}},
		{"universal of archives", fat(binary.BigEndian, false, slice{CPUARM64, 0, ar(member("a.o", arm))},
			slice{CPUAMD64, 3, ar(member("a.o", intel), member("x", []byte("text")))}),
			[]string{"a.o arm64@0x74 scope true", "a.o x86_64@0xd8 scope true",
				"error: x (x86_64): not a Mach-O file at offset 0x134"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, describe(tt.data)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestToolsContainers reads containers that LLVM's tools made.
func TestToolsContainers(t *testing.T) {
	f := open(t, universal(t))
	if !f.Universal || len(f.Images) != 2 || f.Images[0].Arch != "x86_64" && f.Images[1].Arch != "x86_64" {
		t.Errorf("universal file: %d images", len(f.Images))
	}
	for _, m := range f.Images {
		if !m.HasImport(func(n []byte) bool { return string(n) == "_task_set_exception_ports" }) {
			t.Errorf("%s: import not found", m.Arch)
		}
		if _, ok := m.Stub(m.Stubs()[0].Addr); !ok {
			t.Errorf("%s: no stub", m.Arch)
		}
		noProblems(t, m)
	}
	a := open(t, archive(t, "arm64"))
	if !a.Archive || len(a.Images) != 2 || !strings.HasSuffix(a.Images[1].Member, "weak.cc.o") {
		t.Errorf("archive: %d images", len(a.Images))
	}
}

// TestRefusals opens what is no image to check.
func TestRefusals(t *testing.T) {
	segments := header(CPUARM64, 0, Execute, maxSegments+1, (maxSegments+1)*segmentCommandSize64)
	for range maxSegments + 1 {
		segments.segment("x", 0, 0, 0, 0, 0)
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"core", header(CPUARM64, 0, Core, 0, 0).b, "core dump"},
		{"file set", header(CPUARM64, 0, FileSet, 0, 0).b, "file set"},
		{"4 GiB of commands", header(CPUARM64, 0, Execute, 1, 0xffffffff).b, "load commands of 0xffffffff bytes"},
		{"4 billion commands", header(CPUARM64, 0, Execute, 0xffffffff, 8).u64(0).b, "4294967295 load commands"},
		{"command of size 0", header(CPUARM64, 0, Execute, 1, 8).u32(1, 0).b, "size 0x0"},
		{"too many segments", segments.b, "513 segments"},
		{"byte order", func() []byte {
			b := tiny(CPUPPC64, 0)
			binary.BigEndian.PutUint32(b[4:], uint32(CPUARM64))
			return b
		}(), "byte order"},
		{"cut header", tiny(CPUARM64, 0)[:20], "cut short"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.data)
			var fe *FormatError
			if !errors.As(err, &fe) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(empty); !errors.Is(err, ErrNotMachO) || !strings.Contains(err.Error(), empty) {
		t.Errorf("empty file: %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestRecognized(t *testing.T) {
	for _, data := range [][]byte{tiny(CPUARM64, 0), tiny(CPUPowerPC, 0), ar(),
		fat(binary.LittleEndian, true, of(CPUARM64, 0)), []byte(thinArchiveMagic)} {
		if !Recognized(data[:8]) {
			t.Errorf("%x is not recognised", data[:8])
		}
	}
	for _, data := range []string{"", "\xca\xfe\xba\xbe\x00\x00\x00\x41", "#!/bin/sh", "\x7fELF\x02\x01\x01\x00"} {
		if Recognized([]byte(data)) {
			t.Errorf("%q is recognised", data)
		}
	}
}
