package macho

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// symbolize asks llvm-symbolizer for the functions around addresses, innermost first, each as "name file:line".
func symbolize(t *testing.T, file string, addrs []uint64) map[uint64][]string {
	t.Helper()
	args := []string{"--output-style=JSON", "--no-demangle", "--obj=" + file}
	for _, a := range addrs {
		args = append(args, fmt.Sprintf("%#x", a))
	}
	var answers []struct {
		Address string
		Symbol  []struct {
			FunctionName, FileName string
			Line                   int
		}
	}
	if err := json.Unmarshal([]byte(run(t, nil, "llvm-symbolizer-19", args...)), &answers); err != nil {
		t.Fatal(err)
	}
	out := map[uint64][]string{}
	for i, a := range answers {
		for _, s := range a.Symbol {
			out[addrs[i]] = append(out[addrs[i]], fmt.Sprintf("%s %s:%d", s.FunctionName, filepath.Base(s.FileName), s.Line))
		}
	}
	return out
}

// TestInlined compares the inlined functions at every instruction with what llvm-symbolizer says.
func TestInlined(t *testing.T) {
	deepest := 0
	compare := func(t *testing.T, file string, m *Image) {
		t.Helper()
		var addrs []uint64
		for _, s := range m.CodeSections() {
			for a := s.Addr; a < s.Addr+s.Size; a += 4 {
				addrs = append(addrs, a)
			}
		}
		want := symbolize(t, file, addrs)
		for _, a := range addrs {
			if len(want[a]) == 0 || strings.HasSuffix(want[a][0], ":0") {
				continue // padding, or code of no line
			}
			source, line, ok := m.Line(a)
			if !ok {
				continue
			}
			inlined := m.Inlined(a)
			deepest = max(deepest, len(inlined))
			var got []string
			for _, in := range inlined {
				got = append(got, fmt.Sprintf("%s %s:%d", in.Function, filepath.Base(source), line))
				source, line = in.File, in.Line
			}
			name := want[a][len(want[a])-1]
			got = append(got, name[:strings.IndexByte(name, ' ')]+fmt.Sprintf(" %s:%d", filepath.Base(source), line))
			if diff := cmp.Diff(want[a], got); diff != "" {
				t.Fatalf("%#x: -llvm-symbolizer +ours\n%s", a, diff)
			}
		}
		noProblems(t, m)
	}
	for _, arch := range arches {
		for _, flags := range []string{"-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-gdwarf-5 -O2", "-gdwarf-4 -Os",
			"-gdwarf-5 -ffunction-sections -O3"} {
			t.Run(arch+flags, func(t *testing.T) {
				file := source(t, arch, "inline.cpp", strings.Fields(flags)...)
				compare(t, file, openOne(t, file))
			})
		}
		t.Run(arch+" dSYM", func(t *testing.T) {
			path := link(t, arch, []string{"-fixup_chains", "-U", "_other", "-U", "_outside"}, source(t, arch, "inline.cpp", "-g"))
			out := filepath.Join(t.TempDir(), "x.dSYM")
			run(t, nil, "dsymutil-19", "-o", out, path)
			entries, err := os.ReadDir(filepath.Join(out, "Contents/Resources/DWARF"))
			if err != nil || len(entries) != 1 {
				t.Fatal(entries, err)
			}
			file := filepath.Join(out, "Contents/Resources/DWARF", entries[0].Name())
			compare(t, file, openOne(t, file))
		})
	}
	if deepest < 2 {
		t.Errorf("at most %d functions inlined into one another: the test tests nothing", deepest)
	}
}

// A file without debugging information, and addresses outside of it, have no inlined functions.
func TestInlinedNone(t *testing.T) {
	m := openOne(t, source(t, "arm64", "inline.cpp"))
	for _, a := range []uint64{0, 8, 1 << 40} {
		if got := m.Inlined(a); len(got) > 0 {
			t.Errorf("%#x: %v", a, got)
		}
	}
}
