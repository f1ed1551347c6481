package cpp

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/mig/source"
)

// snippets are texts that say something to a preprocessor. Each is written to a file together with "other.h".
var snippets = map[string]string{
	"objects":       "#define A B\n#define B 3\nA B C\n#undef B\nA\n",
	"functions":     "#define F(x, y) x + y\nF(1, 2) F((a, b), c) F (3,4) F\n",
	"itself":        "#define f(a) a*g\n#define g(a) f(a)\nf(2)(9)\n#define x x + 1\nx\n",
	"paste":         "#define J(a, b) a ## b\n#define K(a) J(a, _t)\nJ(x, 1) J(, y) J(z, ) K(foo)\n",
	"names":         "#define PREFIX(NAME) _kernelrpc_ ## NAME\nroutine PREFIX(mach_port_allocate)(task : t);\n",
	"strings":       "#define S(x) #x\n#define T(x) S(x)\n#define Q a \"b\\n\"\nS(a  +   b) S(\"q\\\\\") T(Q)\n",
	"variadic":      "#define V(a, ...) a : __VA_ARGS__ ;\nV(1, 2, 3) V(1)\n",
	"nested calls":  "#define G(x) [x]\nG(G(G(1))) G(G)(2)\n",
	"across lines":  "#define F(x, y) x y\nF(1,\n 2) F(\n#ifdef NOTHING\n3\n#else\n4\n#endif\n, 5)\n",
	"conditions":    "#if 1 + 2 * 3 == 7 && !defined(X) || 0\nyes\n#elif 1\nno\n#else\nno\n#endif\n#if 'a' == 97 && (1 ? 2 : 0)\nchar\n#endif\n",
	"unknown":       "#if UNKNOWN || defined UNKNOWN\nno\n#elif UNKNOWN == 0\nyes\n#endif\n",
	"nesting":       "#if 0\n#if 1\nno\n#else\nno\n#endif\n#elif 1\n#ifdef A\nno\n#else\nyes\n#endif\n#endif\n",
	"skipped":       "#if 0\ndon't \"mind\n#error no\n#include \"missing.h\"\n#endif\nafter\n",
	"numbers":       "#if 0x10 == 16 && 010 == 8 && 10UL == 10 && -1 < 0 && (1 << 4 | 1) == 17 && ~0 == -1 && 7 % 4 == 3\nyes\n#endif\n",
	"comments":      "a/* b */c // d\ne /* f\n g */ h\n",
	"splices":       "#define L one \\\n two \\\n three\nL fo\\\no\n",
	"include":       "#include \"other.h\"\n#include <other.h>\nOTHER\n",
	"macro include": "#define NAME \"other.h\"\n#include NAME\nOTHER\n",
	"line":          "__LINE__\n\n__LINE__\n#line 40\n__LINE__\n",
	"shadow":        "#define a b\n#define h(b) a b\nh(7)\n",
	"empty":         "#define E\n#define F() f\n#define G(x) <x>\nE F() G() G(E)\n",
	"hash":          "#\n# define A 1\n  #  define B 2\nA B\n#pragma once twice\n",
	"rescanned":     "#define NIL(xxx) xxx\n#define G_0(arg) NIL(G_1)(arg)\n#define G_1(arg) NIL(arg)\nG_0(42)\n",
}

// words returns the tokens of a preprocessed text.
func words(t *testing.T, path string, include string) string {
	t.Helper()
	var errs source.List
	tokens := Process(Config{Include: []string{include}}, path, &errs)
	for _, d := range errs.All {
		t.Error(d.String())
	}
	var out []string
	for _, tok := range tokens {
		out = append(out, tok.Text)
	}
	return strings.Join(out, " ")
}

// TestLikeCpp compares with the system's preprocessor, token by token.
func TestLikeCpp(t *testing.T) {
	cpp, err := exec.LookPath("cpp")
	if err != nil {
		t.Skip("cpp is not installed")
	}
	for name, text := range snippets {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in, out := filepath.Join(dir, "a.defs"), filepath.Join(dir, "out.defs")
			other := "#ifndef OTHER_H\n#define OTHER_H\n#define OTHER found\nother\n#endif\n"
			if err := os.WriteFile(filepath.Join(dir, "other.h"), []byte(other), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(in, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(cpp, "-undef", "-P", "-I", dir, "-x", "c", in, out)
			if msg, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("cpp: %v: %s", err, msg)
			}
			if got, want := words(t, in, dir), words(t, out, dir); got != want {
				t.Errorf("%q\n got %s\nwant %s", text, got, want)
			}
		})
	}
}

// TestPositions of what macros write are where the macro is used.
func TestPositions(t *testing.T) {
	text := "#define M(x) x + one\n\n   M(two) three\n"
	var errs source.List
	tokens := Process(Config{Read: func(string) ([]byte, error) { return []byte(text), nil }}, "a.defs", &errs)
	want := []string{"two 3:4", "+ 3:4", "one 3:4", "three 3:11"}
	if len(tokens) != len(want) {
		t.Fatalf("%d tokens, want %d", len(tokens), len(want))
	}
	for i, tok := range tokens {
		_, line, column := tok.Pos.Place()
		if got := tok.Text + " " + itoa(line) + ":" + itoa(column); got != want[i] {
			t.Errorf("token %d is %s, want %s", i, got, want[i])
		}
	}
}
