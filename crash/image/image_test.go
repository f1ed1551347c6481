package image

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

const mapText = `55d0c0a00000-55d0c0a01000 r--p 00000000 fe:00 1234                       /tmp/a program
55d0c0a01000-55d0c0a02000 r-xp 00001000 fe:00 1234                       /tmp/a program
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
7f0000001000-7f0000002000 r-xp 00000000 fe:00 99                         /tmp/gone\012name.so (deleted)
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
7ffd00031000-7ffd00033000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`

func TestParseMaps(t *testing.T) {
	maps, err := ParseMaps([]byte(mapText))
	if err != nil || len(maps) != 7 {
		t.Fatalf("%d mappings, %v", len(maps), err)
	}
	m := maps[1]
	if m.Start != 0x55d0c0a01000 || m.End != 0x55d0c0a02000 || m.Offset != 0x1000 || !m.Executable() || m.Inode != 1234 ||
		m.Path != "/tmp/a program" || m.Deleted {
		t.Errorf("%+v", m)
	}
	if m := maps[3]; m.Path != "/tmp/gone\nname.so" || !m.Deleted {
		t.Errorf("%+v", m)
	}
	if maps[2].Path != "" || maps[5].Path != "[vdso]" {
		t.Errorf("%+v %+v", maps[2], maps[5])
	}
	if maps, err := ParseMaps([]byte(mapText[:len(mapText)-70])); err != nil || len(maps) != 6 {
		t.Errorf("a cut map: %d mappings, %v", len(maps), err)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"words":    {"hello, world\n", "line 1"},
		"range":    {"55-55 r--p 0 0:0 0\n", "an empty range"},
		"number":   {"1-2 r--p zz 0:0 0\n", `"zz" is no number`},
		"mode":     {"1-2 r 0 0:0 0\n", "no permissions"},
		"overlaps": {"1000-3000 r--p 0 0:0 0\n2000-4000 r--p 0 0:0 0\n", "line 2 of the memory map: begins inside"},
	} {
		if _, err := ParseMaps([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUUID(t *testing.T) {
	long := bytes.Repeat([]byte{0xab}, 20)
	if got := uuid(long, false).String(); got != "abababab-abab-abab-abab-abababababab" {
		t.Error(got)
	}
	if uuid(long[:8], false) == uuid(long[:9], false) || uuid(long[:8], false) == (UUID{}) || uuid(nil, false) != (UUID{}) {
		t.Error("short build IDs give no identity of their own")
	}
}

// TestSelf reads the test's own program, whose symbols it knows.
func TestSelf(t *testing.T) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewFile(f, st.Size())
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	if len(e.BuildID()) == 0 {
		t.Error("no build ID")
	}
	_, table := e.Code()
	if table == nil || table.Count() == 0 {
		t.Fatal("no Go function table")
	}
	found := 0
	for i := range table.Count() {
		addr := table.At(i)
		name, start, ok := e.Symbol(addr)
		if !ok || start != addr {
			t.Errorf("%#x: %q from %#x", addr, name, start)
			break
		}
		if name == "portcullis.dev/crash/image.TestSelf" {
			found++
			if l := e.Lines(addr); len(l) == 0 || !strings.HasSuffix(l[len(l)-1].File, "image_test.go") {
				t.Errorf("lines %+v", l)
			}
		}
	}
	if found != 1 {
		t.Errorf("this test was found %d times", found)
	}
}

// memoryOf makes a process's memory of the beginning of a program.
type memoryOf struct {
	base uint64
	data []byte
}

func (m memoryOf) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.data).ReadAt(p, int64(uint64(off)-m.base))
}

// program is a small ELF file with one segment, by hand.
func program() []byte {
	b := make([]byte, 0x200)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 3)
	le.PutUint16(b[18:], 62)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[32:], 64)
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 2)
	le.PutUint16(b[58:], 64)
	p := b[64:]
	le.PutUint32(p, 1)
	le.PutUint32(p[4:], 5)
	le.PutUint64(p[32:], uint64(len(b)))
	le.PutUint64(p[40:], uint64(len(b)))
	n := b[64+56:]
	le.PutUint32(n, 4) // PT_NOTE
	le.PutUint64(n[8:], 0x100)
	le.PutUint64(n[16:], 0x100)
	le.PutUint64(n[32:], 12+4+20)
	note := b[0x100:]
	le.PutUint32(note, 4)
	le.PutUint32(note[4:], 20)
	le.PutUint32(note[8:], noteGNUBuildID)
	copy(note[12:], "GNU\x00\x01\x02\x03\x04")
	return b
}

func TestMemoryFile(t *testing.T) {
	const base = 0x7f0000000000
	mem := memoryOf{base, program()}
	maps := []Mapping{{Start: base, End: base + 0x1000, Perm: "r-xp", Inode: 7, Path: "/gone", Deleted: true}}
	p := Load(maps, "/gone", mem, nil)
	defer p.Close()
	if len(p.Images) != 1 {
		t.Fatalf("%d images", len(p.Images))
	}
	im := p.Images[0]
	if im.File == nil || !im.Main || im.Base != base || im.Bias != base || im.UUID.String()[:8] != "01020304" {
		t.Errorf("%+v", im)
	}
	if p.Find(base+0x10) == nil || p.Find(base+0x2000) != nil || p.Find(0) != nil {
		t.Error("code is found where there is none, or not where it is")
	}
	if im := Load(maps, "/gone", nil, nil).Images[0]; im.File != nil || im.Problem == nil || im.UUID != (UUID{}) {
		t.Errorf("nothing can be read, but there is %+v", im)
	}
}

func FuzzParseMaps(f *testing.F) {
	f.Add([]byte(mapText))
	f.Fuzz(func(t *testing.T, text []byte) {
		maps, _ := ParseMaps(text)
		p := Load(maps, "", nil, nil)
		for _, m := range maps {
			p.Find(m.Start)
			p.Image(m.End - 1)
		}
		_ = p.MapSummary()
	})
}

func FuzzFile(f *testing.F) {
	f.Add(program(), uint64(0x100))
	if b, err := os.ReadFile("/bin/true"); err == nil && len(b) < 1<<17 {
		f.Add(b, uint64(0x2000))
	}
	f.Fuzz(func(t *testing.T, data []byte, addr uint64) {
		read := func(e *File, err error) {
			if err != nil {
				return
			}
			e.UUID()
			e.Code()
			e.Symbol(addr)
			e.Lines(addr)
		}
		read(NewImageFile(data))
		read(NewMemoryFile(memoryOf{0x10000, data}, 0x10000))
	})
}
