package flow_test

import (
	"testing"

	"portcullis.dev/check/flow"
)

// TestOutlined holds the engine to what the compiler's outliner does: code that is shared between functions sets
// arguments and saved registers against all conventions.
func TestOutlined(t *testing.T) {
	source := prelude + `
		int f(u32 p) { int x[8]; x[1] = 7; number(); take(x); other(); return task_set_exception_ports(p, x[1], 9, 3, 16) + 1; }
		int g(u32 p) { int x[8]; x[1] = 7; take(0); take(x); other(); return task_set_exception_ports(p, x[1], 8, 4, 17) + 2; }
		int h(u32 p) { int x[8]; x[1] = 7; other(); take(x); other(); return task_set_exception_ports(p, x[1], 7, 5, 18) + 3; }`
	o := open(t, compile(t, source, "arm64-apple-macos13", "-Oz", "-moutline",
		"-fno-stack-protector"))
	outlined := 0
	for _, s := range o.f.Symtab.Syms {
		if len(s.Name) > 17 && s.Name[:17] == "_OUTLINED_FUNCTIO" {
			outlined++
		}
	}
	if outlined == 0 {
		t.Fatal("the compiler outlined nothing")
	}
	n := 0
	for i, name := range []string{"_f", "_g", "_h"} {
		calls, r := o.calls(name, "_task_set_exception_ports", 5)
		if r.Problem != "" {
			t.Errorf("%s: %s", name, r.Problem)
		}
		for _, c := range calls {
			n++
			if v, ok := c.Args[3].Trunc(32).Const(); !ok || v != uint64(3+i) {
				t.Errorf("%s: behavior is %s", name, c.Args[3])
			}
			if set, complete := c.Args[1].Trunc(32).Consts(); complete {
				t.Errorf("%s: mask is said to be just %#x, which the outlined call may have changed", name, set)
			}
		}
	}
	if n != 3 {
		t.Errorf("%d outlined functions, %d calls left in place", outlined, n)
	}
}

// TestTraps recovers numbers and arguments of system calls.
func TestTraps(t *testing.T) {
	for target, source := range map[string]string{
		"arm64-apple-macos13": `long f(void *m) { register long x16 __asm__("x16") = -31; register long x0 __asm__("x0") = (long)m;
			register long x1 __asm__("x1") = 3; __asm__ volatile("svc #0x2a" : "+r"(x0) : "r"(x16), "r"(x1) : "memory"); return x0; }`,
		"x86_64-apple-macos13": `long f(void *m) { long r; __asm__ volatile("syscall" : "=a"(r) : "0"(-31L), "D"(m), "S"(3L) :
			"rcx", "r11", "memory"); return r; }`,
	} {
		for _, level := range levels {
			o := open(t, compile(t, source, target, level))
			r := flow.Analyze(o.function("_f"), o, flow.Model{Traps: 2, Want: func(string) (int, bool) { return 0, false }})
			if len(r.Calls) != 1 || !r.Calls[0].Trap {
				t.Errorf("%s %s: %+v", target, level, r.Calls)
				continue
			}
			c := r.Calls[0]
			if n, ok := c.Number.Const(); !ok || int64(n) != -31 {
				t.Errorf("%s %s: number is %s", target, level, c.Number)
			}
			if n, ok := c.Args[1].Const(); !ok || n != 3 {
				t.Errorf("%s %s: second argument is %s", target, level, c.Args[1])
			}
			if s := c.Args[0].Sources(); len(s) != 1 || s[0].Kind != flow.KindParam {
				t.Errorf("%s %s: first argument is %s", target, level, c.Args[0])
			}
		}
	}
}

// TestTaken finds the address of a wanted function that is passed on and not called.
func TestTaken(t *testing.T) {
	source := prelude + `void f(void) { take(task_set_exception_ports); }
		void g(u32 p) { s32 (*volatile h)(u32, u32, u32, s32, s32) = task_set_exception_ports; h(1, 2, p, 3, 4); }`
	for _, target := range targets {
		o := open(t, compile(t, source, target, "-O1"))
		if calls, r := o.calls("_f", "_task_set_exception_ports", 5); len(calls) != 0 || len(r.Taken) != 1 {
			t.Errorf("%s: %d calls, taken %+v", target, len(calls), r.Taken)
		}
		if calls, r := o.calls("_g", "_task_set_exception_ports", 5); len(calls)+len(r.Taken) != 1 {
			t.Errorf("%s: %d calls, taken %+v through a volatile variable", target, len(calls), r.Taken)
		}
	}
}

// TestLandingPads follows calls that only an exception reaches.
func TestLandingPads(t *testing.T) {
	source := `extern "C" { int task_set_exception_ports(unsigned, unsigned, unsigned, int, int); void other(); }
		extern "C" void f(unsigned p) { int b = 2; try { other(); } catch (...) { b = 1; task_set_exception_ports(5, 2, p, b, 6); }
		task_set_exception_ports(5, 2, p, b, 7); }`
	for _, target := range targets {
		for _, level := range levels {
			o := open(t, compile(t, source, target, "-xc++", "-fexceptions", level))
			calls, _ := o.calls("_f", "_task_set_exception_ports", 5)
			one, two := false, false
			for _, c := range calls {
				if !c.Reached {
					t.Errorf("%s %s: the call at %#x was not reached", target, level, c.Site)
				}
				flavor, b := c.Args[4].Trunc(32), c.Args[3].Trunc(32)
				if flavor.MayBe(6) {
					one = b.MayBe(1)
				}
				if flavor.MayBe(7) {
					two = b.MayBe(1) && b.MayBe(2)
				}
			}
			if !one || !two {
				t.Errorf("%s %s: %d calls; in the handler %v, after it %v", target, level, len(calls), one, two)
			}
		}
	}
}

func BenchmarkAnalyze(b *testing.B) {
	for _, c := range cases {
		if c.name != "switch" && c.name != "message on the stack" {
			continue
		}
		o := open(b, compile(b, prelude+c.source, "arm64-apple-macos13", "-O1"))
		f := o.function("_f")
		m := flow.Model{Want: func(s string) (int, bool) { return c.args, s == c.symbol }}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				flow.Analyze(f, o, m)
			}
		})
	}
}
