package mig

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/mig/cgen"
	"portcullis.dev/mig/gogen"
	"portcullis.dev/mig/syntax"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestErrors compiles testdata/errors/*.defs; what is printed about NAME.defs stands in NAME.txt. Files whose first
// line names GNU are compiled in that dialect.
func TestErrors(t *testing.T) {
	files, _ := filepath.Glob("testdata/errors/*.defs")
	if len(files) < 20 {
		t.Fatalf("%d files with errors, want 20 at least", len(files))
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".defs"), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{}
			if first, _, _ := strings.Cut(string(text), "\n"); strings.Contains(first, "GNU") {
				o.Dialect = syntax.GNU
			}
			_, errs := Compile(f, o)
			var out bytes.Buffer
			if err := errs.Write(&out); err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(f, ".defs") + ".txt"
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), out.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if len(errs.All) == 0 {
				t.Error("nothing is wrong with it")
			}
		})
	}
}

// FuzzCompile feeds any text to the compiler, in both dialects: it must end, without a panic, and an interface without
// errors must have sound layouts.
func FuzzCompile(f *testing.F) {
	for _, pattern := range []string{"testdata/errors/*.defs", "testdata/golden/*.defs", "testdata/gnu/*/*.defs",
		"../defs/internal/*/*.defs"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text, strings.Contains(name, "gnu"))
		}
	}
	f.Add([]byte("#define A(x) x x\n#define B(x) A(A(A(A(x))))\nB(B(B(B(B(B(skip;))))))"), false)
	f.Add([]byte("#if 1 ? 2 : (3\n#elif '\\x41' == 65\n#else\n#endif\nsubsystem a 1;\nrcsid \"\\\n\";"), false)
	f.Fuzz(func(t *testing.T, text []byte, gnu bool) {
		o := Options{Read: func(name string) ([]byte, error) {
			if name == "fuzz.defs" {
				return text, nil
			}
			return nil, os.ErrNotExist
		}}
		if gnu {
			o.Dialect = syntax.GNU
		}
		i, errs := Compile("fuzz.defs", o)
		if err := errs.Write(new(bytes.Buffer)); err != nil {
			t.Fatal(err)
		}
		if i == nil || errs.Errors() > 0 {
			return
		}
		for _, r := range i.Routines() {
			if r.Request.Min > r.Request.Max || r.Request.Max%4 != 0 || r.Reply.Min < 24 || r.RequestPort == nil {
				t.Errorf("routine %s: %+v", r.Name, r)
			}
		}
		// Code is written, or it is said why not; Go code parses.
		if _, _, err := gogen.Generate(i); err != nil && strings.Contains(err.Error(), "does not parse") {
			t.Error(err)
		}
		if files, err := cgen.Generate(i); err == nil && len(files) != 6 {
			t.Errorf("%d files", len(files))
		}
	})
}

// TestExpansion bounds what hostile macros can make the preprocessor write.
func TestExpansion(t *testing.T) {
	var b strings.Builder
	b.WriteString("#define M0 x x x x x x x x x x\n")
	for i := range 9 {
		n, m := string(rune('0'+i)), string(rune('1'+i))
		b.WriteString("#define M" + m + strings.Repeat(" M"+n, 10) + "\n")
	}
	b.WriteString("M9\n")
	for name, text := range map[string]string{
		"expansion": b.String(),
		"recursion": "#include \"a.defs\"\n",
		"nesting":   "subsystem a 1;\ntype t = " + strings.Repeat("^", 100000) + "int;\n",
		"parens":    "#if " + strings.Repeat("(", 100000) + "\n#endif\nsubsystem a 1;",
		"unary":     "#if " + strings.Repeat("!", 100000) + "1\n#endif\nsubsystem a 1;",
		"errors":    "subsystem a 1;\n" + strings.Repeat("type t = ;\n", 100000),
		"paste":     "#define P(a) a ## a\n#define Q(a) P(a)\n" + strings.Repeat("Q(", 500) + "a" + strings.Repeat(")", 500),
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := Compile("a.defs", Options{Read: func(string) ([]byte, error) { return []byte(text), nil }})
			if errs.Errors() == 0 || len(errs.All) > 1000 {
				t.Errorf("%d errors in %d diagnostics", errs.Errors(), len(errs.All))
			}
		})
	}
}

// TestDoubling bounds structs whose members double their number at each step.
func TestDoubling(t *testing.T) {
	text := "subsystem a 1;\ntype s0 = struct { char a; };\n"
	for i := range 30 {
		text += fmt.Sprintf("type s%d = struct { s%d a; s%d b; };\n", i+1, i, i)
	}
	_, errs := Compile("a.defs", Options{Dialect: syntax.GNU, Read: func(string) ([]byte, error) { return []byte(text), nil }})
	if errs.Errors() == 0 || !strings.Contains(errs.All[0].Message, "more than 1024 members") {
		t.Errorf("%v", errs.All)
	}
}
