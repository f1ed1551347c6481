package macho

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rebaseLine is a line of llvm-objdump's list: segment, section, address, kind.
var rebaseLine = regexp.MustCompile(`(?m)^\S+ +\S+ +(0x[0-9A-F]+) +pointer`)

// What rebase opcodes name is what llvm-objdump reads in them; no other slot is a pointer.
func TestRebases(t *testing.T) {
	total := 0
	for name, path := range images(t) {
		if !strings.Contains(name, "classic") {
			continue
		}
		m := openOne(t, path)
		var want, got []string
		for _, l := range rebaseLine.FindAllStringSubmatch(run(t, nil, "llvm-objdump-19", "--macho", "--rebase", path), -1) {
			a, err := strconv.ParseUint(l[1], 0, 64)
			if err != nil {
				t.Fatal(err)
			}
			// What is bound lazily points to the code that binds it until then.
			if p, ok := m.Pointer(a); ok && p.Import == "" {
				want = append(want, fmt.Sprintf("%#x", a))
			}
		}
		for i := range m.Segments {
			s := &m.Segments[i]
			for a := s.Addr; s.Name != "__LINKEDIT" && a < s.Addr+s.FileSize; a += 8 {
				if p, ok := m.Pointer(a); ok && p.Import == "" && !p.Bare {
					got = append(got, fmt.Sprintf("%#x", a))
					if m.SectionAt(p.Target) == nil {
						t.Errorf("%s: %#x holds %#x, where nothing is", name, a, p.Target)
					}
				}
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: -objdump +ours\n%s", name, d)
		}
		total += len(want)
		noProblems(t, m)
	}
	if total == 0 {
		t.Error("no image has rebases")
	}
}

func TestRebaseOpcodes(t *testing.T) {
	for _, c := range []struct {
		name    string
		ops     []byte
		want    []uint64 // offsets in __DATA
		problem string
	}{
		{"each kind", []byte{0x11, 0x21, 0x00, 0x52, 0x30, 0x10, 0x60, 0x02, 0x41, 0x70, 0x08, 0x51, 0x80, 0x02, 0x08, 0x00, 0x53},
			[]uint64{0x00, 0x08, 0x20, 0x28, 0x38, 0x48, 0x50, 0x60}, ""},
		{"other kinds", []byte{0x12, 0x21, 0x00, 0x52}, nil, ""},
		{"not aligned", []byte{0x11, 0x21, 0x04, 0x51}, nil, ""},
		{"no segment", []byte{0x11, 0x51}, nil, "outside of its segment"},
		{"wrong segment", []byte{0x11, 0x29, 0x00, 0x51}, nil, "segment 9 of 3"},
		{"too far", []byte{0x11, 0x21, 0xf9, 0x07, 0x51}, nil, "outside of its segment"},
		{"standing still", []byte{0x11, 0x21, 0x00, 0x80, 0xff, 0xff, 0xff, 0x7f, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0x01}, []uint64{0}, "room for"},
		{"cut short", []byte{0x11, 0x21, 0x80}, nil, "cut short"},
		{"no number", []byte{0x11, 0x21, 0x00, 0x51, 0x30}, []uint64{0}, "opcode 0x30 with a number that is cut short"},
		{"no second number", []byte{0x11, 0x21, 0x00, 0x80, 0x02}, nil, "opcode 0x80 with a number that is cut short"},
		{"unknown", []byte{0xf0}, nil, "not known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := (&builder{}).u32(lcDyldInfoOnly, 48, handLink, uint32(len(c.ops)), 0, 0, 0, 0, 0, 0, 0, 0).b
			f, err := Parse(withData(CPUAMD64, 3, cmd, (&builder{}).pad(0x400).b, c.ops))
			if err != nil || len(f.Images) != 1 {
				t.Fatal(err, f)
			}
			m := f.Images[0]
			var got []uint64
			for off := uint64(0); off < 0x400; off += 8 {
				if p, ok := m.Pointer(handBase + 0x4000 + off); ok && !p.Bare {
					got = append(got, off)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("rebased: %#x, want %#x", got, c.want)
			}
			problems := fmt.Sprint(m.Problems())
			if c.problem == "" && problems != "[]" || !strings.Contains(problems, c.problem) {
				t.Errorf("problems: %s, want %q", problems, c.problem)
			}
		})
	}
}
