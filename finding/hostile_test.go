package finding

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"portcullis.dev/rules"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain":           "plain",
		"":                "",
		"\x1b[31m":        `\x1b[31m`,
		"\u009b31m":       `\u009b31m`,
		"a\tb\n":          `a\x09b\x0a`,
		"\u202egpj.exe":   `\u202egpj.exe`,
		"\u2028":          `\u2028`,
		"zero\u200bwidth": `zero\u200bwidth`,
		"\ufeff":          `\ufeff`,
		"bad\xff":         `bad\xff`,
		"\U000e0041":      `\U000e0041`,
		"\x7f":            `\x7f`,
		"café 漢字 🙂":       "café 漢字 🙂",
		"\u3164hangul":    `\u3164hangul`,
		"\ufffd":          "\ufffd",
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFunctionName(t *testing.T) {
	for in, want := range map[string]string{
		"_main":                                 "main",
		"__ZN7kscrash15installHandlersEP4Portj": "kscrash::installHandlers",
		"_ZN3foo3barEv":                         "foo::bar",
		"__RNvCs1234_7mycrate4main":             "mycrate::main",
		"__ZN4core3ptr13drop_in_place17h0123456789abcdefE": "core::ptr::drop_in_place",
		"-[Handler install:]":                              "-[Handler install:]",
		"_$s5MyApp7HandlerC7installyyF":                    "MyApp.Handler.install",
		"_$s5MyApp7installyyF":                             "MyApp.install",
		"_$s5MyApp7HandlerC5InnerV3fooyyF":                 "MyApp.Handler.Inner.foo",
		"_$s99999MyApp":                                    "$s99999MyApp",
		"_$sSS":                                            "$sSS",
		"___stack_chk_fail":                                "__stack_chk_fail",
		"_":                                                "_",
		"":                                                 "",
		"_\x1b[2J":                                         `\x1b[2J`,
	} {
		if got := FunctionName(in); got != want {
			t.Errorf("FunctionName(%q) = %q, want %q", in, got, want)
		}
	}
	// Crash reports have left out the underscore of Mach-O.
	for in, want := range map[string]string{
		"_pthread_start": "_pthread_start", "main": "main", "_ZN3foo3barEv": "foo::bar", "": "",
	} {
		f := Finding{Moment: MomentExplain, Where: Where{Function: in}}
		if got := f.function(); got != want {
			t.Errorf("in a crash report %q is %q, want %q", in, got, want)
		}
	}
	if long := "_" + strings.Repeat("x", maxMangled+1); FunctionName(long) != long {
		t.Error("a very long name is changed")
	}
	// Substitutions that double at each step are cut, not spelt out.
	bomb := "__Z1fI" + strings.Repeat("NSt4pairI", 200) + "ii" + strings.Repeat("EE", 200) + "Evv"
	if got := FunctionName(bomb); len(got) > 1<<14 {
		t.Errorf("a hostile name grows to %d bytes", len(got))
	}
}

// checkText fails where text would make a terminal do more than print.
func checkText(t interface{ Errorf(string, ...any) }, form, text string) {
	if !utf8.ValidString(text) {
		t.Errorf("%s: not UTF-8", form)
	}
	for i, r := range text {
		if r != '\n' && !showable(r) {
			t.Errorf("%s: %U at byte %d", form, r, i)
			return
		}
	}
}

// elements are all that the page is made of.
var elements = strings.Fields(`html head meta title style body a header p svg path span h1 h2 h3 dl div dt dd main
	section table wbr thead tbody tr th td form label input output article code ol ul li pre script
	figure figcaption details summary g rect text desc`)

// checkHTML fails where the page has an element or an attribute that its template does not have.
func checkHTML(t interface{ Errorf(string, ...any) }, page string) {
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, append([]string{"wbr"}, xml.HTMLAutoClose...), xml.HTMLEntity
	scripts := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Errorf("page does not parse: %v", err)
			return
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains(elements, e.Name.Local) {
			t.Errorf("page has an element %s", e.Name.Local)
		}
		if e.Name.Local == "script" {
			scripts++
		}
		for _, a := range e.Attr {
			if strings.HasPrefix(a.Name.Local, "on") {
				t.Errorf("page has an attribute %s", a.Name.Local)
			}
			if a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#") && !strings.HasPrefix(a.Value, "https://") &&
				!strings.HasPrefix(a.Value, "http://") && strings.Contains(a.Value, ":") && !strings.HasPrefix(a.Value, "#Z") {
				t.Errorf("page links to %s", a.Value)
			}
		}
	}
	if scripts != 1 {
		t.Errorf("page has %d scripts, want 1", scripts)
	}
}

// checkAll renders a report in every form and checks each.
func checkAll(t interface {
	Errorf(string, ...any)
	Fatalf(string, ...any)
}, make func() *Report) {
	for form, write := range renderings {
		var b bytes.Buffer
		if err := write(&b, make()); err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		text := b.String()
		switch form {
		case "ansi":
			text = sgr.ReplaceAllString(text, "")
		case "html":
			checkHTML(t, text)
			text = strings.ReplaceAll(text, "\t", "")
		case "json", "sarif", "baseline.json":
			if !json.Valid(b.Bytes()) {
				t.Errorf("%s: not JSON", form)
			}
		}
		checkText(t, form, text)
		if form == "sarif" {
			if err := validateSARIF(b.Bytes()); err != nil {
				t.Errorf("sarif: %v", err)
			}
		}
	}
}

func TestHostile(t *testing.T) { checkAll(t, sampleHostile) }

// TestAnyReport renders reports of any content.
func TestAnyReport(t *testing.T) {
	texts := rapid.OneOf(rapid.SampledFrom(hostile), rapid.String(), rapid.StringMatching(`_?_?Z[A-Z0-9a-z_]{0,30}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }))
	lists := rapid.SliceOfN(texts, 0, 3)
	levels := rapid.SampledFrom(append(rules.Levels(), rules.Never))
	names := rapid.OneOf(texts, rapid.Map(rapid.SampledFrom(rules.All()), func(r *rules.Rule) string { return r.Name }))
	findings := rapid.Custom(func(t *rapid.T) Finding {
		level := levels.Draw(t, "level")
		code := rules.Code(rapid.Uint64().Draw(t, "code"))
		thread := rapid.Int().Draw(t, "thread")
		f := Finding{
			Rule: names.Draw(t, "rule"), Code: &code, Payload: texts.Draw(t, "payload"), KillsFrom: levels.Draw(t, "from"),
			KillsHere: rapid.Bool().Draw(t, "kills"), Callee: texts.Draw(t, "callee"),
			Confidence: rapid.SampledFrom([]Confidence{Certain, Likely, Possible}).Draw(t, "confidence"),
			Moment:     rapid.SampledFrom([]Moment{MomentCheck, MomentRun, MomentExplain}).Draw(t, "moment"),
			Where: Where{Path: texts.Draw(t, "path"), Member: texts.Draw(t, "member"), Arch: texts.Draw(t, "arch"),
				Function: texts.Draw(t, "function"), Address: texts.Draw(t, "address"), File: texts.Draw(t, "file"),
				Line: rapid.Int().Draw(t, "line"), Image: texts.Draw(t, "image"), Thread: &thread,
				Inlined: []Inlined{{texts.Draw(t, "inlined"), texts.Draw(t, "file"), rapid.Int().Draw(t, "line")}}},
			Arguments: rapid.MapOfN(texts, texts, 0, 3).Draw(t, "arguments"), Evidence: lists.Draw(t, "evidence"),
			Backtrace: lists.Draw(t, "backtrace"), Chain: lists.Draw(t, "chain"), Message: texts.Draw(t, "message"),
			Remedy: texts.Draw(t, "remedy"), Help: texts.Draw(t, "help"),
			SDK: &SDK{texts.Draw(t, "sdk"), texts.Draw(t, "version"), texts.Draw(t, "fixed"), texts.Draw(t, "source")},
		}
		if level != rules.Never {
			f.Level = &level
		}
		return f
	})
	programs := rapid.Custom(func(t *rapid.T) Program {
		p := Program{Path: texts.Draw(t, "path"), Member: texts.Draw(t, "member"), Name: texts.Draw(t, "name"),
			Version: texts.Draw(t, "version"), Level: levels.Draw(t, "level"), Declares: rapid.Bool().Draw(t, "declares")}
		for range rapid.IntRange(0, 3).Draw(t, "components") {
			p.Components = append(p.Components, &Component{Path: texts.Draw(t, "path"), Member: texts.Draw(t, "member"),
				Name: texts.Draw(t, "name"), Owner: Owner(texts.Draw(t, "owner")), Why: texts.Draw(t, "why"),
				SDK: &SDK{texts.Draw(t, "sdk"), texts.Draw(t, "version"), texts.Draw(t, "fixed"), texts.Draw(t, "source")},
				Blockers: []Blocker{{Rule: names.Draw(t, "rule"), KillsFrom: levels.Draw(t, "from"),
					Certain: rapid.Int().Draw(t, "certain"), Waived: rapid.Bool().Draw(t, "waived")}}})
		}
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		r := Report{
			Programs: rapid.SliceOfN(programs, 0, 2).Draw(t, "programs"),
			Findings: rapid.SliceOfN(findings, 0, 4).Draw(t, "findings"),
			Unread: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Unread {
				return Unread{texts.Draw(t, "path"), texts.Draw(t, "member"), rapid.Int64().Draw(t, "offset"), texts.Draw(t, "why")}
			}), 0, 2).Draw(t, "unread"),
			Notes: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Note {
				return Note{texts.Draw(t, "path"), texts.Draw(t, "member"), texts.Draw(t, "message")}
			}), 0, 2).Draw(t, "notes"),
			Summary: Summary{Files: rapid.Int().Draw(t, "files"), Images: rapid.Int().Draw(t, "images"),
				Bytes: rapid.Int64().Draw(t, "bytes"), Level: texts.Draw(t, "judged")},
		}
		checkAll(t, func() *Report {
			c := r
			c.Findings, c.Unread, c.Notes = slices.Clone(r.Findings), slices.Clone(r.Unread), slices.Clone(r.Notes)
			return &c
		})
	})
}

// A writer that fails hands its error to whoever renders.
func TestWriteError(t *testing.T) {
	full := errors.New("disk full")
	for form, write := range renderings {
		if err := write(failing{full}, sampleCheck()); !errors.Is(err, full) {
			t.Errorf("%s: error is %v, want %v", form, err, full)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestWebPage: the page links to pages of the web alone, whatever a finding has for a source.
func TestWebPage(t *testing.T) {
	for address, want := range map[string]string{
		"https://example.com/a?b#c": "https://example.com/a?b#c", "http://example.com": "http://example.com",
		"": "", "/:": "", "a.html": "", "//example.com": "", "https:": "", "https:/a": "", "javascript:alert(1)": "",
		"file:///etc/passwd": "", "https://a b": "", "https://example.com/\"onclick": "https://example.com/%22onclick",
	} {
		if got := webPage(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
		if want != "" {
			continue
		}
		var b strings.Builder
		r := Report{Findings: []Finding{{Rule: "ILLEGAL_MOVE", SDK: &SDK{Name: "a", Source: address}}}}
		if err := WriteHTML(&b, &r, HTMLOptions{}); err != nil {
			t.Fatal(err)
		}
		checkHTML(t, b.String())
	}
}
