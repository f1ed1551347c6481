package finding

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/rules"
)

func TestExitCode(t *testing.T) {
	kills := func(c Confidence, m Moment) Finding {
		return Finding{Rule: "THREAD_SET_STATE", KillsHere: true, Confidence: c, Moment: m}
	}
	unread := []Unread{{Path: "x", Reason: "cut off"}}
	for _, c := range []struct {
		name   string
		report Report
		failOn Confidence
		want   int
	}{
		{"nothing", Report{}, Possible, 0},
		{"certain", Report{Findings: []Finding{kills(Certain, MomentCheck)}}, Certain, 1},
		{"possible counts", Report{Findings: []Finding{kills(Possible, MomentCheck)}}, Possible, 1},
		{"possible does not count", Report{Findings: []Finding{kills(Possible, MomentCheck)}}, Likely, 0},
		{"likely against certain", Report{Findings: []Finding{kills(Likely, MomentCheck)}}, Certain, 0},
		{"kills elsewhere", Report{Findings: []Finding{{Rule: "A", Confidence: Certain, Moment: MomentCheck}}}, Possible, 0},
		{"recorded", Report{Findings: []Finding{kills(Certain, MomentRun)}}, Certain, 1},
		{"explained", Report{Findings: []Finding{kills(Certain, MomentExplain)}}, Possible, 0},
		{"unread", Report{Unread: unread}, Possible, 3},
		{"unread wins", Report{Unread: unread, Findings: []Finding{kills(Certain, MomentCheck)}}, Possible, 3},
	} {
		if got := c.report.ExitCode(c.failOn); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAdd(t *testing.T) {
	var r Report
	r.Add(sampleCheck())
	r.Add(&Report{Summary: Summary{Files: 1, Images: 1, Bytes: 5, Level: "3"},
		Unread: []Unread{{Path: "z", Reason: "gone"}}})
	r.Finish()
	want := Summary{Files: 13, Images: 4, Bytes: 4_512_350, Level: LevelDeclared,
		ByRule: map[string]int{"SET_EXCEPTION_BEHAVIOR": 2, "THREAD_SET_STATE": 1, "OOL_PORT_ARRAY": 1}}
	if diff := cmp.Diff(want, r.Summary); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(r.Unread) != 2 || r.Moment != MomentCheck {
		t.Errorf("unread %v, moment %s", r.Unread, r.Moment)
	}
}

// Findings that are equal in all are one; those that differ in anything are two.
func TestFinishDropsDoubles(t *testing.T) {
	a := Finding{Rule: "A", Moment: MomentCheck, Where: Where{Path: "p", Address: "0x10"},
		Arguments: map[string]string{"a": "1"}}
	b := a
	b.Arguments = map[string]string{"a": "2"}
	r := Report{Findings: []Finding{b, a, a, b, a}}
	r.Finish()
	if len(r.Findings) != 2 {
		t.Errorf("%d findings, want 2", len(r.Findings))
	}
	same := Report{Findings: []Finding{a, a}}
	same.Finish()
	if len(same.Findings) != 1 {
		t.Errorf("%d findings, want 1", len(same.Findings))
	}
	a.Moment = MomentExplain
	twice := Report{Findings: []Finding{a, a}}
	twice.Finish()
	if len(twice.Findings) != 2 {
		t.Errorf("two equal crash reports became %d", len(twice.Findings))
	}
}

// Findings are ordered by place, addresses as numbers; the reports of explain keep the order of their stream.
func TestFinishSorts(t *testing.T) {
	at := func(path, address string) Finding {
		return Finding{Rule: "A", Moment: MomentCheck, Where: Where{Path: path, Address: address}}
	}
	r := Report{Findings: []Finding{at("b", "0x1"), at("a", "0x100"), at("a", "0x20"), at("a", "")}}
	r.Finish()
	var got []string
	for _, f := range r.Findings {
		got = append(got, f.Where.Path+f.Where.Address)
	}
	if want := []string{"a", "a0x20", "a0x100", "b0x1"}; !slices.Equal(got, want) {
		t.Errorf("order is %v, want %v", got, want)
	}
	stream := Report{Findings: []Finding{at("-", "0x9"), at("-", "0x1")}}
	for i := range stream.Findings {
		stream.Findings[i].Moment = MomentExplain
	}
	stream.Finish()
	if stream.Findings[0].Where.Address != "0x9" {
		t.Error("the reports of a stream changed places")
	}
}

func TestFingerprint(t *testing.T) {
	prints := func(findings ...Finding) []string {
		r := Report{Findings: findings}
		r.Finish()
		var out []string
		for _, f := range r.Findings {
			out = append(out, f.Fingerprint)
		}
		return out
	}
	base := Finding{Rule: "THREAD_SET_STATE", Moment: MomentCheck, Callee: "thread_set_state", Confidence: Certain,
		Where: Where{Path: "build/App.app", Member: "App", Arch: "arm64", Function: "_f", Address: "0x100"}}
	want := prints(base)[0]
	if len(want) != 32 {
		t.Fatalf("fingerprint is %q", want)
	}
	for name, change := range map[string]func(*Finding){
		"address":     func(f *Finding) { f.Where.Address = "0x200" },
		"confidence":  func(f *Finding) { f.Confidence = Possible },
		"message":     func(f *Finding) { f.Message = "other words" },
		"line":        func(f *Finding) { f.Where.File, f.Where.Line = "a.c", 9 },
		"dotted path": func(f *Finding) { f.Where.Path = "./build//App.app" },
	} {
		f := base
		change(&f)
		if got := prints(f)[0]; got != want {
			t.Errorf("another %s changes the fingerprint", name)
		}
	}
	for name, change := range map[string]func(*Finding){
		"rule":     func(f *Finding) { f.Rule = "OOL_PORT_ARRAY" },
		"member":   func(f *Finding) { f.Where.Member = "Helper" },
		"arch":     func(f *Finding) { f.Where.Arch = "x86_64" },
		"function": func(f *Finding) { f.Where.Function = "_g" },
		"callee":   func(f *Finding) { f.Callee = "thread_create_running" },
		"path":     func(f *Finding) { f.Where.Path = "build/Other.app" },
	} {
		f := base
		change(&f)
		if got := prints(f)[0]; got == want {
			t.Errorf("another %s keeps the fingerprint", name)
		}
	}
	second := base
	second.Where.Address = "0x300"
	if p := prints(base, second); p[0] != want || p[1] == want {
		t.Error("two calls in one function are not told apart")
	}
	for _, c := range [][2]string{
		{"__ZN3foo3bar17h0123456789abcdefE", "__ZN3foo3bar17hfedcba9876543210E"},
		{"_f.llvm.123", "_f.llvm.456"},
		{"sub_100003f58", "sub_100004000"},
		{"", "sub_100004000"},
	} {
		a, b := base, base
		a.Where.Function, b.Where.Function = c[0], c[1]
		if prints(a)[0] != prints(b)[0] {
			t.Errorf("%s and %s have different fingerprints", c[0], c[1])
		}
	}
	a, b := base, base
	a.Where.Path, b.Where.Path = "/home/one/App.app", "/home/two/App.app"
	if prints(a)[0] != prints(b)[0] {
		t.Error("the folder of an absolute path is part of the fingerprint")
	}
	// Two crash reports of one fault.
	a.Moment, b.Moment = MomentExplain, MomentExplain
	a.Where.Path, b.Where.Path = "1.ips", "2.ips"
	if pa, pb := prints(a)[0], prints(b)[0]; pa != pb {
		t.Error("the name of a crash report is part of the fingerprint")
	}
}

// The keys of the JSON form are promises.
func TestJSONKeys(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, sampleCheck()); err != nil {
		t.Fatal(err)
	}
	var report map[string]any
	if err := json.Unmarshal(b.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if report["schema"] != "portcullis.findings/1" {
		t.Errorf("schema is %v", report["schema"])
	}
	find := func(v any, path string) (any, bool) {
		for key := range strings.SplitSeq(path, ".") {
			m, ok := v.(map[string]any)
			if !ok {
				return nil, false
			}
			if v, ok = m[key]; !ok {
				return nil, false
			}
		}
		return v, true
	}
	var certain any
	for _, f := range report["findings"].([]any) {
		if c, _ := find(f, "confidence"); c == "certain" {
			certain = f
			break
		}
	}
	for path, want := range map[string]any{
		"rule": "SET_EXCEPTION_BEHAVIOR", "code": "0x2000000680000001", "kills_from": "1", "kills_here": true,
		"moment": "check", "where.path": "MyApp.app", "where.member": "Contents/Frameworks/Foo.framework/Foo",
		"where.arch": "arm64", "where.function": "__ZN7kscrash15installHandlersEP4Portj", "where.address": "0x3f58",
		"where.file": "handler.cpp", "where.line": 42.0, "callee": "task_set_exception_ports",
		"arguments.behavior": "0x80000001", "sdk.name": "KSCrash",
	} {
		if got, ok := find(certain, path); !ok || got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	for _, path := range []string{"where.thread", "where.image", "payload", "backtrace", "help"} {
		if got, ok := find(certain, path); ok {
			t.Errorf("%s is not known and stands there as %v", path, got)
		}
	}
	for path, want := range map[string]any{"summary.files": 12.0, "summary.images": 3.0, "summary.bytes": 4512345.0,
		"summary.level": "2", "summary.by_rule.SET_EXCEPTION_BEHAVIOR": 2.0} {
		if got, _ := find(report, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	for _, list := range []string{"findings", "unread"} {
		var empty bytes.Buffer
		if err := WriteJSON(&empty, &Report{}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(empty.String(), `"`+list+`": []`) {
			t.Errorf("an empty %s is not a list", list)
		}
	}
}

// What is written as JSON reads back the same.
func TestJSONRoundTrip(t *testing.T) {
	want := sampleCheck()
	var b bytes.Buffer
	if err := WriteJSON(&b, want); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	got.finished = true
	if diff := cmp.Diff(*want, got, cmp.AllowUnexported(Report{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A report without findings never says that a program is safe.
func TestHonestWords(t *testing.T) {
	for name, report := range reports {
		if name == "hostile" {
			continue
		}
		for form, write := range renderings {
			var b bytes.Buffer
			if err := write(&b, report()); err != nil {
				t.Fatal(err)
			}
			for _, word := range []string{"safe", "secure", "passed", "all good", "no problems"} {
				text := b.String()
				if form == "html" {
					_, text, _ = strings.Cut(text, "<body>") // behind the style
				}
				if name == "nothing" && strings.Contains(strings.ToLower(text), word) {
					t.Errorf("%s as %s says %q", name, form, word)
				}
			}
		}
	}
	for want, r := range map[string]*Report{
		"no known violation found; read 1 image in 2 files, 9 bytes": {
			Moment: MomentCheck, Summary: Summary{Files: 2, Images: 1, Bytes: 9}},
		"nothing to check: no Mach-O image found in 1 file": {Moment: MomentCheck, Summary: Summary{Files: 1}},
		"nothing to check: no Mach-O image found; 1 input could not be read": {
			Moment: MomentCheck, Unread: []Unread{{Path: "gone"}}},
		"no violation of a restriction in 1 report": {Moment: MomentExplain, Summary: Summary{Files: 1, Images: 1}},
	} {
		if r.Finish(); r.headline() != want {
			t.Errorf("headline is %q, want %q", r.headline(), want)
		}
	}
}

// The same call in two slices of a universal file is shown once; a second call in one slice is not.
func TestEntries(t *testing.T) {
	at := func(arch, address string) Finding {
		return Finding{Rule: "THREAD_SET_STATE", Moment: MomentCheck, Confidence: Certain, Callee: "thread_set_state",
			Where: Where{Path: "App", Arch: arch, Function: "_f", Address: address}}
	}
	r := Report{Findings: []Finding{at("arm64", "0x10"), at("arm64", "0x20"), at("x86_64", "0x30"), at("x86_64", "0x40"),
		at("x86_64", "0x50")}}
	r.Finish()
	var got []string
	for _, e := range groups(r.Findings)[0].entries() {
		got = append(got, e.archs()+": "+e.call())
	}
	want := []string{
		"arm64, x86_64: thread_set_state at 0x10; in x86_64 at 0x30",
		"arm64, x86_64: thread_set_state at 0x20; in x86_64 at 0x40",
		"x86_64: thread_set_state at 0x50",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	crash := Report{Findings: []Finding{at("arm64", "0x10"), at("x86_64", "0x10")}}
	for i := range crash.Findings {
		crash.Findings[i].Moment = MomentExplain
	}
	if n := len(groups(crash.Findings)[0].entries()); n != 2 {
		t.Errorf("two crash reports are shown as %d", n)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 10, []string{""}},
		{"one two three", 7, []string{"one two", "three"}},
		{"one two three", 6, []string{"one", "two", "three"}},
		{"averylongpath/that/stays/whole is", 10, []string{"averylongpath/that/stays/whole", "is"}},
		{"漢字 漢字 漢字", 9, []string{"漢字 漢字", "漢字"}},
	} {
		if got := wrap(c.text, c.width); !slices.Equal(got, c.want) {
			t.Errorf("wrap(%q, %d) = %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestByteCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "no bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 kB", 4_512_345: "4.5 MB", 62_000_000: "62 MB",
		999_949_999: "1000 MB", 999_960_000: "1.0 GB", 1 << 62: "4611686 TB", -1: "no bytes",
	} {
		if got := ByteCount(n); got != want {
			t.Errorf("ByteCount(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	level := func(l rules.Level) *rules.Level { return &l }
	r := &Report{}
	for _, c := range []struct {
		f    Finding
		want string
	}{
		{Finding{KillsHere: true, KillsFrom: rules.LevelNone, Level: level(rules.LevelNone)},
			"kills any process"},
		{Finding{KillsHere: true, KillsFrom: rules.Level1, Level: level(rules.Level3)},
			"kills at level 3 (from level 1 on)"},
		{Finding{KillsHere: true, Confidence: Possible, KillsFrom: rules.Level1, Level: level(rules.Level1)},
			"may kill from level 1 on"},
		{Finding{KillsFrom: rules.Level3, Level: level(rules.Level2)}, "does not kill at level 2 (kills from level 3 on)"},
		{Finding{KillsFrom: rules.Level1, Level: level(rules.LevelNone)},
			"does not kill an ordinary process (kills from level 1 on)"},
		{Finding{KillsFrom: rules.Never, Level: level(rules.Level2)}, "never kills; it is reported as telemetry at most"},
		{Finding{Moment: MomentExplain, KillsHere: true}, "killed the process"},
		{Finding{Moment: MomentRun}, "was recorded and did not kill the process"},
	} {
		if c.f.Moment == "" {
			c.f.Moment = MomentCheck
		}
		if got := r.verdict(&c.f); got != c.want {
			t.Errorf("verdict is %q, want %q", got, c.want)
		}
	}
}
