package flow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"portcullis.dev/check/flow"
)

// The declarations are this project's own; only names and argument order are Apple's.
const prelude = `
typedef unsigned int u32; typedef int s32; typedef unsigned long u64;
extern u32 mach_task_self_;
u32 mach_thread_self(void);
s32 task_set_exception_ports(u32 task, u32 mask, u32 port, s32 behavior, s32 flavor);
s32 task_get_exception_ports(u32 task, u32 mask, u32 *masks, u32 *n, u32 *ports, s32 *behaviors, s32 *flavors);
s32 mach_port_allocate(u32 task, u32 right, u32 *name);
s32 mach_port_construct(u32 task, void *options, u64 context, u32 *name);
s32 mach_msg(void *msg, s32 option, u32 send, u32 receive, u32 name, u32 timeout, u32 notify);
void other(void); void take(void *p); s32 number(void);
`

var targets = []string{"arm64-apple-macos13", "arm64e-apple-macos13", "x86_64-apple-macos13"}
var levels = []string{"-O0", "-O1", "-O2", "-Os"}

// expectation is what must be known of one argument at a call.
type expectation struct {
	arg  int
	want string // set, "?" behind it where unknown values may join, or a text that String must contain after "~"
}

var cases = []struct {
	name   string
	source string
	symbol string
	args   int
	calls  int // 0 means one
	want   []expectation
	levels []string // nil means all
	tail   bool     // at -O1 and above the call must be a tail call
}{
	{name: "constants", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(u32 p) { task_set_exception_ports(mach_task_self_, 0x3ffe, p, (int)0x80000001, 6); other(); }`,
		want: []expectation{{0, "~value of _mach_task_self_"}, {1, "3ffe"}, {2, "~parameter 1"}, {3, "80000001"}, {4, "6"}}},
	{name: "tail call", symbol: "_task_set_exception_ports", args: 5, tail: true, source: `
		int f(u32 p) { other(); return task_set_exception_ports(mach_task_self_, 2, 0, (int)0x80000003, 6); }`,
		want: []expectation{{1, "2"}, {2, "0"}, {3, "80000003"}}},
	{name: "conditional", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(int c) { task_set_exception_ports(mach_task_self_, 2, 7, c ? (int)0x80000003 : 3, 6); other(); }`,
		want: []expectation{{2, "7"}, {3, "3 80000003"}}},
	{name: "branches", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(int c) { int b = 1; if (c) { other(); b = 2; } else other();
		task_set_exception_ports(mach_task_self_, 2, 7, b, 6); other(); }`,
		want: []expectation{{3, "1 2"}}, levels: []string{"-O0", "-O1"}},
	{name: "switch", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(int c) { int b; switch (c) { case 0: b = 1; other(); break; case 1: b = 9; number(); break; case 2: b = 3; take(0);
		break; case 3: b = 0x80000005; mach_thread_self(); break; case 4: b = 7; other(); other(); break; default: return; }
		task_set_exception_ports(mach_task_self_, 2, 7, b, 6); other(); }`,
		want: []expectation{{3, "1 3 7 9 80000005"}}},
	{name: "loop", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(int n) { for (int i = 0; i < n; i++) { task_set_exception_ports(mach_task_self_, 1 << i, 7, 1, 6); other(); } }`,
		want: []expectation{{2, "7"}, {3, "1"}}},
	{name: "null port", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(u32 p) { if (p) { task_set_exception_ports(mach_task_self_, 2, p, 1, 6); other(); } }`,
		want: []expectation{{2, "~parameter 1"}, {2, "nonzero"}, {3, "1"}}},
	{name: "port is null", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(u32 p) { if (!p) { task_set_exception_ports(mach_task_self_, 2, p, 1, 6); other(); } }`,
		want: []expectation{{2, "0"}}},
	{name: "allocated port", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(void) { u32 p; if (mach_port_allocate(mach_task_self_, 1, &p)) return;
		task_set_exception_ports(mach_task_self_, 2, p, 1, 6); other(); }`,
		want: []expectation{{2, "~what _mach_port_allocate"}, {3, "1"}}},
	{name: "restore what was saved", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(void) { u32 m[14], n = 14, p[14]; s32 b[14], v[14];
		task_get_exception_ports(mach_task_self_, 0x3ffe, m, &n, p, b, v);
		for (u32 i = 0; i < n; i++) task_set_exception_ports(mach_task_self_, m[i], p[i], b[i], v[i]); }`,
		want: []expectation{{3, "?"}}},
	{name: "saved first", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(void) { u32 m[14], n = 14, p[14]; s32 b[14], v[14];
		task_get_exception_ports(mach_task_self_, 0x3ffe, m, &n, p, b, v);
		task_set_exception_ports(mach_task_self_, m[0], p[0], b[0], v[0]); }`,
		want: []expectation{{3, "~what _task_get_exception_ports"}}},
	{name: "globals", symbol: "_task_set_exception_ports", args: 5, source: `
		const volatile s32 fixed = 0x80000001; s32 loose = 1;
		void f(void) { task_set_exception_ports(mach_task_self_, loose, 7, fixed, 6); other(); }`,
		want: []expectation{{1, "?"}, {3, "80000001"}}},
	{name: "struct on the stack", symbol: "_mach_port_construct", args: 4, source: `
		struct o { u32 flags, limit; u64 r[2]; };
		void f(void) { u32 name; struct o x = { 0x8010 }; mach_port_construct(mach_task_self_, &x, 0, &name); other(); }`,
		want: []expectation{{1, "load 0 4 = 8010"}, {1, "load 4 4 = 0"}, {2, "0"}}},
	{name: "message on the stack", symbol: "_mach_msg", args: 7, source: `
		struct m { u32 bits, size, remote, local, voucher; s32 id; u32 n; struct { u32 name, pad; u32 pad2 : 16, disp : 8, type : 8; } d; };
		void f(u32 to) { struct m x; x.bits = 0x80001513; x.size = sizeof x; x.remote = to; x.local = 0; x.voucher = 0; x.id = 3418;
		x.n = 1; x.d.name = 5; x.d.disp = 19; x.d.type = 2; mach_msg(&x, 3, 40, 64, 9, 0, 0); other(); }`,
		want: []expectation{{0, "load 0 4 = 80001513"}, {0, "load 20 4 = d5a"}, {0, "load 39 1 = 2"}, {0, "load 38 1 = 13"}, {1, "3"},
			{6, "0"}}},
	{name: "seventh argument", symbol: "_mach_msg", args: 7, source: `
		void f(void *m, int c) { mach_msg(m, 3, 24, 64, 9, 0, c ? 0x11 : 0x12); other(); }`,
		want: []expectation{{0, "~parameter 1"}, {5, "0"}, {6, "11 12"}}},
	{name: "through a pointer", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(u32 p) { s32 (*volatile g)(u32, u32, u32, s32, s32); (void)g;
		s32 (*h)(u32, u32, u32, s32, s32) = task_set_exception_ports; other(); h(mach_task_self_, 2, p, 1, 6); other(); }`,
		want: []expectation{{3, "1"}}},
	{name: "escaped", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(void) { s32 b = 1; take(&b); task_set_exception_ports(mach_task_self_, 2, 7, b, 6); other(); }`,
		want: []expectation{{2, "7"}, {3, "1?"}}},
	{name: "escaped early", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(void) { s32 b = 1; take(&b); b = 2; other(); task_set_exception_ports(mach_task_self_, 2, 7, b, 6); other(); }`,
		want: []expectation{{3, "2?"}}},
	{name: "a field of an object", symbol: "_task_set_exception_ports", args: 5, source: `
		struct h { u64 isa; s32 b, v; }; void f(struct h *h) { task_set_exception_ports(mach_task_self_, 2, 7, h->b, h->v); other(); }`,
		want: []expectation{{3, "~field 0x8 of parameter 1"}, {4, "~field 0xc of parameter 1"}}},
	{name: "thread", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(void) { task_set_exception_ports(mach_thread_self(), 2, 7, number() | 0x80000000, 6); other(); }`,
		want: []expectation{{0, "~result of _mach_thread_self"}, {3, "?"}}},
	{name: "static array", symbol: "_task_set_exception_ports", args: 5, source: `
		static const volatile s32 t[4] = {1, 3, 5, 7};
		void f(u32 i) { task_set_exception_ports(mach_task_self_, 2, 7, t[i & 3], 6); other(); }`,
		want: []expectation{{3, "1 3 5 7"}}},
	{name: "early return", symbol: "_task_set_exception_ports", args: 5, source: `
		int f(int c) { if (c == 3) { other(); return 1; } if (c == 5) return 2; other();
		return task_set_exception_ports(mach_task_self_, 2, 7, c == 9 ? 1 : 2, 6) + 1; }`,
		want: []expectation{{3, "1 2"}}},
	{name: "equal", symbol: "_task_set_exception_ports", args: 5, source: `
		void f(int b) { if (b == 4 || b == 5) { task_set_exception_ports(mach_task_self_, 2, 7, b, 6); other(); } }`,
		want: []expectation{{3, "4 5?"}}},
}

func TestCompiled(t *testing.T) {
	// One file holds all: case i is function f<i>.
	source := prelude
	for i, c := range cases {
		source += fmt.Sprintf("#undef f\n#define f f%d\n%s\n", i, c.source)
	}
	for _, target := range targets {
		for _, level := range levels {
			at := fmt.Sprintf("%s %s", target, level)
			o := open(t, compile(t, source, target, level))
			for i, c := range cases {
				if c.levels != nil && !slices.Contains(c.levels, level) {
					continue
				}
				t.Run(strings.ReplaceAll(c.name+" "+at, " ", "-"), func(t *testing.T) {
					calls, r := o.calls(fmt.Sprintf("_f%d", i), c.symbol, c.args)
					if len(calls) == 0 || r.Problem != "" {
						t.Fatalf("%d calls, problem %q", len(calls), r.Problem)
					}
					for _, call := range calls {
						if !call.Reached {
							t.Errorf("call at %#x was not reached", call.Site)
						}
						if c.tail && level != "-O0" && !call.Tail {
							t.Errorf("call at %#x is a tail call", call.Site)
						}
					}
					for _, e := range c.want {
						checkArg(t, at, calls, e)
					}
				})
			}
		}
	}
}

// checkArg compares what the calls together bring for an argument.
func checkArg(t *testing.T, at string, calls []flow.Call, e expectation) {
	t.Helper()
	var set []uint64
	complete := true
	texts := ""
	nonzero := true
	want := e.want
	for _, call := range calls {
		v := call.Args[e.arg].Trunc(32)
		var off int64
		var size int
		if n, _ := fmt.Sscanf(want, "load %d %d =", &off, &size); n == 2 {
			v = call.Args[e.arg].Load(off, size)
		}
		s, ok := v.Consts()
		set = append(set, s...)
		complete = complete && ok
		texts += v.String() + "; "
		nonzero = nonzero && v.NonZero()
	}
	if _, after, ok := strings.Cut(want, " = "); ok {
		want = after
	}
	slices.Sort(set)
	set = slices.Compact(set)
	switch {
	case want == "nonzero":
		if !nonzero {
			t.Errorf("%s: argument %d may be zero: %s", at, e.arg, texts)
		}
	case strings.HasPrefix(want, "~"):
		if !strings.Contains(texts, want[1:]) {
			t.Errorf("%s: argument %d is %s want %s", at, e.arg, texts, want[1:])
		}
		if complete {
			t.Errorf("%s: argument %d is %s, which is no constant", at, e.arg, texts)
		}
	case want == "?":
		if complete {
			t.Errorf("%s: argument %d is said to be just %s", at, e.arg, texts)
		}
	default:
		open := strings.HasSuffix(want, "?")
		var got []string
		for _, x := range set {
			got = append(got, fmt.Sprintf("%x", x))
		}
		if g := strings.Join(got, " "); g != strings.TrimSuffix(want, "?") && !(open && g == "") || !open && !complete {
			t.Errorf("%s: argument %d is {%s} complete=%v (%s), want %s", at, e.arg, g, complete, texts, want)
		}
	}
}
