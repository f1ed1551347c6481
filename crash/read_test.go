package crash

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// answer is what matters of an explanation: rule, code, payload, function, of every finding.
func answer(input string) []string {
	res := Read("input", strings.NewReader(input))
	var out []string
	for _, r := range res.Reports {
		findings, notes := Explain(r, "input")
		for _, f := range findings {
			code := "-"
			if f.Code != nil {
				code = f.Code.String()
			}
			out = append(out, f.Rule+" "+code+" "+f.Payload+" "+f.Where.Function)
		}
		for _, n := range notes {
			out = append(out, n.Message)
		}
	}
	return out
}

// TestSurroundings explains reports that went through mail programs, web pages and editors: the answer stays the same.
func TestSurroundings(t *testing.T) {
	lines := func(f func(string) string) func(string) string {
		return func(s string) string {
			var b strings.Builder
			for l := range strings.Lines(s) {
				b.WriteString(f(strings.TrimRight(l, "\n")) + "\n")
			}
			return b.String()
		}
	}
	damages := map[string]func(string) string{
		"as it is":       func(s string) string { return s },
		"indented":       lines(func(l string) string { return "    " + l }),
		"quoted":         lines(func(l string) string { return "> " + l }),
		"quoted twice":   lines(func(l string) string { return "> > " + l }),
		"doubled blanks": lines(func(l string) string { return l + "\n" }),
		"crlf":           lines(func(l string) string { return l + "\r" }),
		"fenced":         func(s string) string { return "Hello,\n\n```\n" + s + "```\nbye\n" },
		"details": func(s string) string {
			return "<details><summary>The Crash Report</summary>\n<p>\n\n```\n" + s + "\n```\n\n</p>\n</details>\n"
		},
		"entities":     func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "&", "&amp;"), `"`, "&quot;") },
		"curly quotes": func(s string) string { return strings.ReplaceAll(s, `"`, "”") },
		"bom":          func(s string) string { return "\xef\xbb\xbf" + s },
		"in json":      func(s string) string { return `{"title":"crash","body":` + fmt.Sprintf("%q", s) + `}` },
		"bad escapes":  func(s string) string { return strings.ReplaceAll(s, `\/`, `\/\*`) },
		"utf-16": func(s string) string {
			out := []byte{0xff, 0xfe}
			for i := range len(s) {
				out = append(out, s[i], 0)
			}
			return string(out)
		},
	}
	for _, name := range []string{"dotnet-diagnostics-4551.txt", "synthetic-illegal-move.ips", "dota2-gameplay-34029.txt",
		"synthetic-ios14.ips", "apple-forum-84034.crash", "synthetic-v1.ips"} {
		text := read(t, name)
		want := answer(text)
		if len(want) != 1 {
			t.Fatalf("%s: %q", name, want)
		}
		for how, damage := range damages {
			if how == "in json" && strings.Contains(text, "…") {
				continue
			}
			if diff := cmp.Diff(want, answer(damage(text))); diff != "" {
				t.Errorf("%s, %s:\n%s", name, how, diff)
			}
		}
	}
}

// TestStreams reads several reports in one input, in any mixture of forms.
func TestStreams(t *testing.T) {
	names := []string{"dotnet-diagnostics-4551.txt", "synthetic-illegal-move.ips", "synthetic-kobject-reply.ips",
		"dota2-gameplay-34029.txt", "synthetic-ios14.ips", "frida-core-524.txt", "synthetic-not-a-guard.txt", "synthetic-v1.ips"}
	var all strings.Builder
	var want []string
	for _, n := range names {
		s := read(t, n)
		all.WriteString(s + "\n")
		want = append(want, answer(s)...)
	}
	if diff := cmp.Diff(want, answer(all.String())); diff != "" {
		t.Error(diff)
	}
	twice := read(t, "synthetic-illegal-move.ips")
	if got := answer(twice + "\n" + twice); len(got) != 1 {
		t.Errorf("one incident counted %d times", len(got))
	}
}

// TestCut cuts whole reports off everywhere: the answer gets poorer, never wrong.
func TestCut(t *testing.T) {
	for _, name := range []string{"synthetic-illegal-move.ips", "dota2-gameplay-34029.txt"} {
		text := read(t, name)
		for n := 0; n < len(text); n += 7 {
			for _, a := range answer(text[:n]) {
				if !strings.HasPrefix(a, "ILLEGAL_MOVE ") && !strings.HasPrefix(a, "INVALID_OPTIONS ") &&
					!strings.HasPrefix(a, "GUARD_TYPE_MACH_PORT ") && !strings.HasPrefix(a, "EXC_GUARD ") &&
					!strings.HasPrefix(a, "not a Mach restriction: a crash") {
					t.Errorf("%s cut at %d reads as %q", name, n, a)
				}
			}
		}
	}
}

func TestPieces(t *testing.T) {
	tests := []struct{ in, want string }{
		{"2305843030688530432\n", "THREAD_SET_STATE 0x2000000500000000  "},
		{"0x2000000680000001", "SET_EXCEPTION_BEHAVIOR 0x2000000680000001  "},
		{"-9223372019674906547", "VNG_UNLINK 0x800000040000004d  "},
		{"Termination Reason:    Namespace GUARD, Code\n2305843030688530432", "THREAD_SET_STATE 0x2000000500000000  "},
		{"Termination Reason: GUARD 2305845208236959491", "INVALID_NAME 0x2000020000002703  "},
		{"it says SET_EXCEPTION_BEHAVIOR on mach port 2147483649 (guarded with 0x6e)",
			"SET_EXCEPTION_BEHAVIOR 0x2000000680000001 0x000000000000006e "},
		{"x kernel: [a:1] EXC_GUARD AST: type=0x1 flavor=0x20 target=0x203 code=0x2000", "ILLEGAL_MOVE 0x2000002000000203  "},
		{"Exception Type:  EXC_RESOURCE (SIGKILL)", "not a Mach restriction: EXC_RESOURCE (SIGKILL)"},
		{"mach_msg_trap() called with msgh_id 3405. The trap is not allowed on this platform.",
			"INVALID_OPTIONS 0x2000000300000d4d  "},
	}
	for _, tt := range tests {
		got := answer(tt.in)
		if len(got) != 1 || got[0] != tt.want {
			t.Errorf("%q reads as %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestDisagreement shows that the termination code wins, and that the contradiction is told.
func TestDisagreement(t *testing.T) {
	in := strings.Replace(read(t, "synthetic-illegal-move.ips"), `"ILLEGAL_MOVE"`, `"INVALID_NAME"`, 1)
	in = strings.Replace(in, `"port": 515`, `"port": 516`, 1)
	res := Read("x", strings.NewReader(in))
	f, _ := Explain(res.Reports[0], "x")
	all := strings.Join(f[0].Evidence, "\n")
	if f[0].Rule != "ILLEGAL_MOVE" || !strings.Contains(all, "names INVALID_NAME, but the termination code") ||
		!strings.Contains(all, "the target as 516, but in the termination code it is 515") {
		t.Errorf("%s:\n%s", f[0].Rule, all)
	}
}

func TestWrongTypes(t *testing.T) {
	const in = `{"app_name":7,"bug_type":"309","os_version":["x"]}
{"procName":"a","pid":"x","exception":{"type":"EXC_GUARD","violations":"INVALID_NAME","port":[1],"rawCodes":"no"},
"termination":{"namespace":"GUARD","code":2305845208236959491},"threads":{"a":1},"usedImages":7,"faultingThread":"0"}`
	res := Read("x", strings.NewReader(in))
	if len(res.Reports) != 1 || len(res.Unread) < 5 {
		t.Fatalf("%d reports, unread %v", len(res.Reports), res.Unread)
	}
	f, _ := Explain(res.Reports[0], "x")
	if len(f) != 1 || f[0].Rule != "INVALID_NAME" {
		t.Errorf("%+v", f)
	}
}

// noise gives n bytes that look like text, JSON, or nothing at all, with a report at the end.
func noise(kind string, n int, tail string) io.Reader {
	unit := map[string]string{
		"zeros": strings.Repeat("\x00", 4096), "braces": "{\n{\"a\":{\n[[[\n", "quotes": "{\"\n\"exception\" : {\n",
		"labels": "Exception Type: x\nThread 1:\n0 a 0x1 b\n", "lines": "EXC_ something happened = 1 (GUARD)\n",
		"one line": "GUARD EXC_ xception { \"", "open": "\"exception\" : [\n",
	}[kind]
	return io.MultiReader(io.LimitReader(&repeat{s: unit}, int64(n)), strings.NewReader("\n\n"+tail))
}

type repeat struct {
	s  string
	at int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], r.s[r.at:])
		n += c
		r.at = (r.at + c) % len(r.s)
	}
	return n, nil
}

// TestNoise reads noise of every kind; a report behind it is still found where the noise leaves it alone.
func TestNoise(t *testing.T) {
	size := 2 << 20
	if os.Getenv("PORTCULLIS_LONG") != "" {
		size = 100 << 20
	}
	tail := read(t, "yabai-2433.txt")
	for _, kind := range []string{"zeros", "braces", "quotes", "labels", "lines", "one line", "open"} {
		t.Run(kind, func(t *testing.T) {
			res := Read(kind, noise(kind, size, tail))
			found := false
			for _, r := range res.Reports {
				found = found || r.Termination.Code == 2305843030688530432
			}
			for _, u := range res.Unread {
				found = found || strings.Contains(u.Reason, "what follows was not read")
			}
			if !found && kind != "one line" {
				t.Errorf("the report behind the noise is lost; %d reports, unread %v", len(res.Reports), len(res.Unread))
			}
			if res.Bytes < int64(size) && kind != "labels" {
				t.Errorf("read %d bytes of %d", res.Bytes, size)
			}
		})
	}
}

// TestWindows reads more than a window: reports on both sides of the cut are found whole.
func TestWindows(t *testing.T) {
	report := read(t, "synthetic-illegal-move.ips")
	var in []io.Reader
	const n = 3
	for range n {
		in = append(in, strings.NewReader(report), io.LimitReader(&repeat{s: "a line of a log that tells nothing\n"}, window/2))
	}
	res := Read("x", io.MultiReader(in...))
	if len(res.Reports) != 1 { // one incident
		t.Errorf("%d reports, unread %v", len(res.Reports), res.Unread)
	}
}

func TestDeepNesting(t *testing.T) {
	for _, open := range []string{"[", `{"a":`, `{"exception":{"a":`, `[{"exception":[`} {
		in := strings.Repeat(open, 200_000)
		res := Read("x", strings.NewReader(in))
		if len(res.Reports)+len(res.Unread) == 0 {
			t.Errorf("%q: neither a report nor a reason", open)
		}
	}
}

func TestNothingFound(t *testing.T) {
	for in, want := range map[string]string{"": emptyInput, "hello\n": noReport, "{}": noReport, "Process: x [1]\n": noReport} {
		res := Read("x", strings.NewReader(in))
		if len(res.Unread) != 1 || res.Unread[0].Reason != want {
			t.Errorf("%q: %v, %d reports", in, res.Unread, len(res.Reports))
		}
	}
}

func TestOtherKinds(t *testing.T) {
	r := explainFixture(t, "synthetic-not-a-guard.txt")
	want := "not a Mach restriction: EXC_BAD_ACCESS (SIGSEGV), in main (Example)"
	if len(r.Findings) != 0 || len(r.Unread) != 0 || len(r.Notes) != 1 || r.Notes[0].Message != want {
		t.Errorf("%+v", r)
	}
}

// TestFolder explains a folder: in the order of names, whatever finishes first.
func TestFolder(t *testing.T) {
	want := ExplainFiles([]string{"testdata"}, nil, nil)
	for range 3 {
		got := ExplainFiles([]string{"testdata"}, nil, nil)
		var a, b bytes.Buffer
		if err := finding.WriteJSON(&a, want); err != nil {
			t.Fatal(err)
		}
		if err := finding.WriteJSON(&b, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a.String(), b.String()); diff != "" {
			t.Fatal(diff)
		}
	}
	if len(want.Findings) < len(fixtureTests) {
		t.Errorf("%d findings in %d reports", len(want.Findings), len(fixtureTests))
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range fixtures(f) {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		res := readBytes("fuzz", data)
		if len(res.Reports)+len(res.Unread) == 0 {
			t.Error("neither a report nor a reason why there is none")
		}
		for _, u := range res.Unread {
			if u.Offset < 0 || u.Reason == "" {
				t.Errorf("%+v", u)
			}
		}
		for _, r := range res.Reports {
			findings, notes := Explain(r, "fuzz")
			if len(findings)+len(notes) != 1 {
				t.Errorf("%d findings and %d notes for one report", len(findings), len(notes))
			}
			for _, fd := range findings {
				if fd.Rule == "" || fd.Message == "" {
					t.Errorf("a finding without a rule or a message: %+v", fd)
				}
				if fd.Code != nil && fd.Code.Type() == rules.GuardNone {
					t.Errorf("%s is no guard code", fd.Code)
				}
			}
		}
	})
}
