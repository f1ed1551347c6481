package flow_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portcullis.dev/check/flow"
)

var (
	soundnessFiles = flag.Int("soundness.files", 2, "files of random functions to compile, run and analyse")
	soundnessSeed  = flag.Uint64("soundness.seed", 1, "seed of the first file")
	soundnessKeep  = flag.String("soundness.keep", "", "directory to keep sources of failures in")
)

const functionsPerFile = 100

// generator writes random C functions without undefined behaviour. Every call of sink carries a number of its own and
// six values; what a native run passes must be among what the analysis of the Mach-O code says.
type generator struct {
	r     *rand.Rand
	b     strings.Builder
	sites int
	depth int
	loops int
}

const soundnessPrelude = `
typedef unsigned int u32; typedef unsigned char u8; typedef unsigned short u16; typedef unsigned long u64;
struct s { u32 a, b; u8 c, d; u16 e; u64 f; u32 g[4]; };
void sink(u32 id, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f);
void poke(u32 *p); void keep(u32 *p); void later(void); u32 get(void); void fill(struct s *s); void begin(void);
extern u32 loose; static const u32 table[8] = {1, 0x80000001, 3, 0x80000003, 2, 5, 0x1513, 0x13};
static const struct s preset = {0x80001513, 40, 1, 2, 3, 0x1122334455667788UL, {9, 8, 7, 6}};
void *memset(void *, int, u64); void *memcpy(void *, const void *, u64);
__attribute__((noinline)) static u32 leaf(u32 x) { return x * 3 + 1; }
__attribute__((noinline)) static u32 pick(u32 x) { return x & 4 ? 0x80000003 : 1; }
__attribute__((noinline)) static void put(u32 *p, u32 x) { *p = x; }
`

func (g *generator) pf(format string, args ...any) { fmt.Fprintf(&g.b, format, args...) }

func (g *generator) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func (g *generator) variable() string {
	return g.pick("x", "y", "z", "w", "v", "x", "y", "s.a", "s.b", "s.c", "s.d", "s.e", "s.g[1]", "m[0]", "m[2]")
}

func (g *generator) expr(n int) string {
	if n <= 0 {
		switch g.r.IntN(9) {
		case 0, 1, 2:
			return g.pick("0", "1", "2", "3", "7", "16", "0x80000001u", "0x80000003u", "0x13", "0xffffu", "0xffffffffu", "0x8010")
		case 3:
			return g.pick("a", "b", "c")
		case 4:
			return g.pick("loose", fmt.Sprintf("table[%d]", g.r.IntN(8)), "preset.a", "preset.e")
		default:
			return g.variable()
		}
	}
	x := func() string { return g.expr(n - 1 - g.r.IntN(2)) }
	switch g.r.IntN(15) {
	case 0, 1:
		return fmt.Sprintf("(%s + %s)", x(), x())
	case 2:
		return fmt.Sprintf("(%s - %s)", x(), x())
	case 3:
		return fmt.Sprintf("(%s & %s)", x(), x())
	case 4:
		return fmt.Sprintf("(%s | %s)", x(), x())
	case 5:
		return fmt.Sprintf("(%s ^ %s)", x(), x())
	case 6:
		return fmt.Sprintf("(%s %s %d)", x(), g.pick("<<", ">>"), g.r.IntN(31))
	case 7:
		return fmt.Sprintf("(u32)((int)%s >> %d)", x(), g.r.IntN(31))
	case 8, 9:
		return fmt.Sprintf("(%s ? %s : %s)", g.cond(n-1), x(), x())
	case 10:
		return fmt.Sprintf("table[%s & 7]", x())
	case 11:
		return fmt.Sprintf("(u32)(%s)%s", g.pick("u8", "u16", "signed char", "short"), x())
	case 12:
		return fmt.Sprintf("(%s * %s)", x(), g.pick("2", "3", "5", "8", "9", "0x10001"))
	case 13:
		return g.pick("leaf", "pick") + "(" + x() + ")"
	}
	return x()
}

func (g *generator) cond(n int) string {
	switch g.r.IntN(6) {
	case 0:
		return g.expr(n)
	case 1:
		return "!" + g.variable()
	case 2:
		return fmt.Sprintf("(int)%s %s (int)%s", g.expr(n), g.pick("<", ">", "<=", ">="), g.expr(n))
	}
	return fmt.Sprintf("%s %s %s", g.expr(n), g.pick("==", "!=", "<", ">", "<=", ">=", "=="), g.expr(n))
}

func (g *generator) sink() {
	g.sites++
	g.pf("sink(%d", g.sites)
	for range 6 {
		g.pf(", %s", g.expr(g.r.IntN(3)))
	}
	g.pf(");\n")
}

func (g *generator) block() {
	g.depth++
	g.pf("{\n")
	for range 1 + g.r.IntN(3) {
		g.statement()
	}
	g.pf("}\n")
	g.depth--
}

func (g *generator) statement() {
	n := g.r.IntN(24)
	if g.depth > 3 && n >= 14 && n < 20 {
		n = 0
	}
	switch {
	case n < 6:
		g.pf("%s = %s;\n", g.variable(), g.expr(g.r.IntN(3)))
	case n < 9:
		g.sink()
	case n < 10:
		g.pf("%s(&%s);\n", g.pick("poke", "keep", "poke"), g.pick("x", "y", "s.a", "s.g[2]", "m[1]"))
	case n < 11:
		g.pf("later();\n")
	case n < 12:
		g.pf("%s = get();\n", g.variable())
	case n < 13:
		g.pf("%s;\n", g.pick("fill(&s)", "memset(&s, 0, sizeof s)", "s = preset", "memcpy(&s, &preset, 24)",
			"memset(m, 0x11, sizeof m)", "put(&z, 4)", "put(&s.b, x)", "s = (struct s){0}"))
	case n < 14:
		g.pf("m[%s & 3] = %s;\n", g.expr(1), g.expr(1))
	case n < 17:
		g.pf("if (%s) ", g.cond(1))
		g.block()
		if g.r.IntN(2) == 0 {
			g.pf("else ")
			g.block()
		}
	case n < 18:
		g.loops++
		g.pf("for (u32 i%d = 0; i%d < %s; i%d++) ", g.loops, g.loops, g.pick("3", "(a & 3)", "20", "(b & 7)"), g.loops)
		g.block()
	case n < 20:
		g.pf("switch (%s & 7) {\n", g.expr(1))
		for i := range 3 + g.r.IntN(5) {
			g.pf("case %d: ", i)
			g.block()
			if g.r.IntN(4) != 0 {
				g.pf("break;\n")
			}
		}
		g.pf("}\n")
	case n < 21:
		p := g.pick("x", "y", "s.a", "m[3]")
		g.pf("{ u32 *p = %s ? &%s : &%s; *p = %s; x += *p; }\n", g.cond(1), p, g.variable32(), g.expr(1))
	case n < 22:
		g.pf("if (%s) return %s;\n", g.cond(0), g.expr(1))
	default:
		g.pf("%s %s %s;\n", g.variable(), g.pick("+=", "|=", "&=", "^=", "-="), g.expr(1))
	}
}

func (g *generator) variable32() string { return g.pick("x", "z", "w", "s.b", "m[0]") }

func (g *generator) function(i int) {
	g.pf("u32 f%d(u32 a, u32 b, u32 c) {\nu32 x = %s, y = b, z = 0, w = 0x80000001u, v = c, m[4] = {1, 2, 3, 4};\n"+
		"struct s s = %s; begin();\n", i, g.pick("a", "1", "3"), g.pick("{0}", "preset", "{1, 2, 3}"))
	for range 3 + g.r.IntN(6) {
		g.statement()
	}
	g.sink()
	if g.r.IntN(2) == 0 {
		g.sink()
		g.pf("return x;}\n")
	} else {
		g.pf("return x + y + s.a + s.g[2] + m[2] + v;}\n")
	}
}

const soundnessDriver = `
#include <stdio.h>
typedef unsigned int u32; typedef unsigned char u8; typedef unsigned short u16; typedef unsigned long u64;
struct s { u32 a, b; u8 c, d; u16 e; u64 f; u32 g[4]; };
u32 loose = 5; static u32 n; static u32 *kept;
void sink(u32 id, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f) { printf("%u %u %u %u %u %u %u\n", id, a, b, c, d, e, f); n++; }
void begin(void) { kept = 0; }
void poke(u32 *p) { *p = 0x5000 + n++; loose++; }
void keep(u32 *p) { kept = p; }
void later(void) { if (kept) *kept ^= 0x77; n++; }
u32 get(void) { return n % 3 == 0 ? 0 : n * 77; }
void fill(struct s *s) { s->a = n; s->c = 9; s->g[1] = 4; s->g[2]++; n++; }
`

func TestSoundness(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("SKIPPED: gcc is not installed; the soundness of the flow engine is not tested")
	}
	values, complete, exact := 0, 0, 0
	for file := range *soundnessFiles {
		seed := *soundnessSeed + uint64(file)
		g := &generator{r: rand.New(rand.NewPCG(seed, 7))}
		g.pf("%s", soundnessPrelude)
		for i := range functionsPerFile {
			g.function(i)
		}
		source := g.b.String()
		seen := runNatively(t, source)
		failed := false
		for _, target := range []string{"arm64-apple-macos13", "x86_64-apple-macos13"} {
			for i, level := range levels {
				if i%2 != file%2 {
					continue // each file at two of the levels
				}
				flags := []string{level}
				if i == file%4 {
					flags = append(flags, "-march="+map[bool]string{true: "haswell", false: "armv8.5-a"}[target[0] == 'x'])
				}
				o := open(t, compile(t, source, target, flags...))
				var calls []flow.Call
				for k := range functionsPerFile {
					c, r := o.calls(fmt.Sprintf("_f%d", k), "_sink", 7)
					if r.Problem != "" {
						t.Logf("seed %d %s %s f%d: %s after %d instructions, %d operations", seed, target, level, k, r.Problem,
							r.Insts, r.Ops)
					}
					calls = append(calls, c...)
				}
				for _, c := range calls {
					for _, a := range c.Args[1:] {
						values++
						if a.Trunc(32).Complete() {
							complete++
						}
						if _, ok := a.Trunc(32).Const(); ok {
							exact++
						}
					}
				}
				for _, run := range seen {
					if why := covered(calls, run); why != "" {
						t.Errorf("seed %d %s %s: native run passed %#x: %s", seed, target, level, run, why)
						failed = true
						break
					}
				}
			}
		}
		if failed && *soundnessKeep != "" {
			os.WriteFile(filepath.Join(*soundnessKeep, fmt.Sprintf("seed%d.c", seed)), []byte(source), 0o666)
		}
	}
	t.Logf("%d arguments analysed, %d of them complete, %d one constant", values, complete, exact)
	if values > 0 && complete*10 < values {
		t.Errorf("only %d of %d arguments are understood: the test proves nothing", complete, values)
	}
}

// covered tells why no call that carries the number of a run's sink admits its values; empty where one does.
func covered(calls []flow.Call, run [7]uint32) string {
	why := "no call has this number"
next:
	for _, c := range calls {
		if !c.Args[0].Trunc(32).MayBe(uint64(run[0])) {
			continue
		}
		if !c.Reached {
			why = fmt.Sprintf("the call at %#x is said not to be reached", c.Site)
			continue
		}
		for i, x := range run {
			if v := c.Args[i].Trunc(32); !v.MayBe(uint64(x)) {
				why = fmt.Sprintf("at %#x argument %d is said to be %s", c.Site, i, v)
				continue next
			}
			if set, ok := c.Args[i].Trunc(32).Consts(); ok && !slices.Contains(set, uint64(x)) {
				why = fmt.Sprintf("at %#x argument %d is said to be one of %#x", c.Site, i, set)
				continue next
			}
		}
		return ""
	}
	return why
}

// runNatively compiles and runs the functions here and returns what sink was given.
func runNatively(t *testing.T, source string) [][7]uint32 {
	t.Helper()
	dir := t.TempDir()
	var main strings.Builder
	main.WriteString(soundnessDriver)
	for i := range functionsPerFile {
		fmt.Fprintf(&main, "u32 f%d(u32, u32, u32);\n", i)
	}
	main.WriteString("int main(void) { static const u32 in[][3] = {{0,0,0},{1,2,3},{4,0x80000001,7},{0xffffffff,5,6},{2,6,16},{7,7,1}};\n" +
		"for (int i = 0; i < 6; i++) {\n")
	for i := range functionsPerFile {
		fmt.Fprintf(&main, "f%d(in[i][0], in[i][1], in[i][2]);\n", i)
	}
	main.WriteString("} return 0; }\n")
	for name, text := range map[string]string{"f.c": source, "main.c": main.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "run")
	cmd := exec.Command("gcc", "-w", "-O0", "-fwrapv", "-fno-strict-aliasing", "-o", out, filepath.Join(dir, "f.c"),
		filepath.Join(dir, "main.c"))
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, msg)
	}
	text, err := exec.Command(out).Output()
	if err != nil {
		t.Fatal(err)
	}
	var runs [][7]uint32
	set := map[[7]uint32]bool{}
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		var r [7]uint32
		if n, _ := fmt.Sscan(sc.Text(), &r[0], &r[1], &r[2], &r[3], &r[4], &r[5], &r[6]); n == 7 && !set[r] {
			set[r] = true
			runs = append(runs, r)
		}
	}
	if len(runs) < functionsPerFile {
		t.Fatalf("the native run passed only %d sets of values", len(runs))
	}
	return runs
}
