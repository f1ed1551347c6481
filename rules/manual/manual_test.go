package manual

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/rules"
)

var update = flag.Bool("update", false, "rewrite docs/restrictions.md and the golden files")

// golden compares text with a file, or writes the file with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale: run 'go test ./rules/manual -update' (-file +table):\n%s", path, diff)
	}
}

func render(t *testing.T, f func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPage fails where docs/restrictions.md was not generated again after the table changed.
func TestPage(t *testing.T) {
	golden(t, filepath.Join("..", "..", rules.HelpPage), render(t,
		func(b *bytes.Buffer) error { return WriteMarkdown(b) }))
}

// TestPageAnchors: what Rule.Help promises is on the page, once, and every link inside the page leads somewhere.
func TestPageAnchors(t *testing.T) {
	page := string(render(t, func(b *bytes.Buffer) error { return WriteMarkdown(b) }))
	anchors := map[string]int{}
	for _, m := range regexp.MustCompile(`<a id="([^"]+)"></a>`).FindAllStringSubmatch(page, -1) {
		anchors[m[1]]++
	}
	for _, r := range rules.All() {
		place, ok := strings.CutPrefix(r.Help(), rules.HelpPage+"#")
		if !ok || anchors[place] != 1 {
			t.Errorf("%s: %s is on the page %d times", r.Name, r.Help(), anchors[place])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		slug := strings.ToLower(regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(m[1], ""))
		anchors[strings.ReplaceAll(slug, " ", "-")]++
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(page, -1) {
		if anchors[m[1]] == 0 {
			t.Errorf("link to #%s leads nowhere", m[1])
		}
	}
}

// TestPageTables: every row of a table has as many cells as its head.
func TestPageTables(t *testing.T) {
	page := string(render(t, func(b *bytes.Buffer) error { return WriteMarkdown(b) }))
	cells := 0
	for i, l := range strings.Split(page, "\n") {
		if !strings.HasPrefix(l, "|") {
			cells = 0
			continue
		}
		n := strings.Count(strings.ReplaceAll(l, `\|`, ""), "|")
		if cells == 0 {
			cells = n
		}
		if n != cells {
			t.Errorf("line %d has %d bars, want %d: %s", i+1, n, cells, l)
		}
	}
}

func TestTextGoldens(t *testing.T) {
	one := func(name string) *rules.Rule {
		r, ok := rules.ByName(name)
		if !ok {
			t.Fatalf("no rule %s", name)
		}
		return r
	}
	payload := uint64(0x6e)
	zero := uint64(0)
	explain := func(code rules.Code, p *uint64, os rules.OS) func(*bytes.Buffer) error {
		return func(b *bytes.Buffer) error { return WriteExplanation(b, rules.Explain(code, p, os), Style{}) }
	}
	tests := map[string]func(*bytes.Buffer) error{
		"table.txt":          func(b *bytes.Buffer) error { return WriteTable(b, Style{}) },
		"behavior.txt":       func(b *bytes.Buffer) error { return WriteRule(b, one("SET_EXCEPTION_BEHAVIOR"), Style{}) },
		"narrow.txt":         func(b *bytes.Buffer) error { return WriteRule(b, one("ILLEGAL_MOVE"), Style{Width: 60}) },
		"retired.txt":        func(b *bytes.Buffer) error { return WriteRule(b, one("RIGHT_EXISTS"), Style{}) },
		"explain.txt":        explain(0x2000000680000001, &payload, rules.OS{}),
		"explain-os.txt":     explain(0x200000066a4227d0, &zero, rules.OS{Platform: "macOS", Major: 14, Minor: 4}),
		"explain-others.txt": explain(0x2080000000001303, nil, rules.OS{}),
		"explain-none.txt":   explain(0x2000006000000000, nil, rules.OS{}),
		"bare.txt": func(b *bytes.Buffer) error {
			return WriteBare(b, rules.GuardMachPort, 0x2703, rules.ReadBare(rules.GuardMachPort, 0x2703), Style{})
		},
		"bare-flavor.txt": func(b *bytes.Buffer) error {
			return WriteBare(b, rules.GuardMachPort, 6, rules.ReadBare(rules.GuardMachPort, 6), Style{})
		},
		"explain.md": func(b *bytes.Buffer) error {
			return WriteExplanationMarkdown(b, rules.Explain(0x2080000000001303, nil, rules.OS{}))
		},
		"rule.md": func(b *bytes.Buffer) error { return WriteRuleMarkdown(b, one("OOL_PORT_ARRAY")) },
		"explain.json": func(b *bytes.Buffer) error {
			return WriteExplanationJSON(b, rules.Explain(0x2000004300800303, &zero, rules.OS{Platform: "macOS",
				Major: 26, Minor: 4}))
		},
		"rule.json": func(b *bytes.Buffer) error { return WriteRuleJSON(b, one("ILLEGAL_MOVE")) },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) { golden(t, filepath.Join("testdata", name), render(t, f)) })
	}
}

// TestWidth: no line of prose is wider than asked for; code and long names are printed as they are.
func TestWidth(t *testing.T) {
	for _, width := range []int{80, 120} {
		for _, r := range rules.All() {
			text := string(render(t, func(b *bytes.Buffer) error { return WriteRule(b, r, Style{Width: width}) }))
			code := false
			for l := range strings.SplitSeq(text, "\n") {
				if l != "" && l[0] != ' ' {
					code = l == "Wrong" || l == "Right"
				}
				if n := utf8.RuneCountInString(l); n > width && !code && len(strings.Fields(l)) > 1 {
					t.Errorf("%s at %d: line of %d: %s", r.Name, width, n, l)
				}
			}
		}
	}
}

// TestTableJSON: the whole table is one document that reads back.
func TestTableJSON(t *testing.T) {
	var d struct {
		Schema string
		Rules  []struct {
			Name, Class, Help, Code string
			KillsFrom               rules.Level `json:"kills_from"`
		}
		Policies []struct{ Name, Mode string }
	}
	if err := json.Unmarshal(render(t, func(b *bytes.Buffer) error { return WriteTableJSON(b) }), &d); err != nil {
		t.Fatal(err)
	}
	if d.Schema != Schema || len(d.Rules) != len(rules.All()) || len(d.Policies) != len(rules.Policies()) {
		t.Fatalf("schema %q, %d rules, %d policies", d.Schema, len(d.Rules), len(d.Policies))
	}
	for i, r := range rules.All() {
		if got := d.Rules[i]; got.Name != r.Name || got.KillsFrom != r.KillsFrom || got.Class != r.Class.String() ||
			got.Help != r.Help() || got.Code != r.Code(0).String() {
			t.Errorf("rule %d reads back as %+v", i, got)
		}
	}
}

// TestStyle: colours change nothing but colours.
func TestStyle(t *testing.T) {
	mark := func(s string) string { return "\x1b[1m" + s + "\x1b[0m" }
	colourful := Style{Heading: mark, Name: mark, Level: mark, Bad: mark, Good: mark, Dim: mark}
	strip := regexp.MustCompile("\x1b\\[[0-9]+m")
	payload := uint64(0x6e)
	x := rules.Explain(0x2000000680000001, &payload, rules.OS{})
	for name, f := range map[string]func(*bytes.Buffer, Style) error{
		"table":   func(b *bytes.Buffer, s Style) error { return WriteTable(b, s) },
		"rule":    func(b *bytes.Buffer, s Style) error { return WriteRule(b, rules.Documented()[5], s) },
		"explain": func(b *bytes.Buffer, s Style) error { return WriteExplanation(b, x, s) },
	} {
		plain := string(render(t, func(b *bytes.Buffer) error { return f(b, Style{}) }))
		coloured := string(render(t, func(b *bytes.Buffer) error { return f(b, colourful) }))
		if coloured == plain {
			t.Errorf("%s: no colours", name)
		}
		if diff := cmp.Diff(plain, strip.ReplaceAllString(coloured, "")); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}
