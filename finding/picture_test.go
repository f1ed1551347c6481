package finding

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"portcullis.dev/rules"
)

func TestPicture(t *testing.T) {
	r := sampleCheck()
	r.Finish()
	p := r.draw(&r.Programs[0], r.held(), 1)
	if p == nil {
		t.Fatal("no picture")
	}
	var got []string
	for _, l := range p.Lines {
		got = append(got, fmt.Sprintf("%s > %s %s", l.from.Full, l.to.Full, l.Tone))
	}
	for _, want := range []string{
		"MyApp.app 2.1 > Foo.framework 3.0 dies",
		"Foo.framework 3.0 > kscrash::installHandlers dies",
		"kscrash::installHandlers > task_set_exception_ports dies",
		"task_set_exception_ports > SET_EXCEPTION_BEHAVIOR dies",
		"MyApp.app 2.1 > MyApp.app 2.1 maybe",
		"MyApp.app 2.1 > MyApp.Profile.resume maybe",
		"no name > mach_msg lives",
	} {
		if !strings.Contains(strings.Join(got, "\n")+"\n", want+"\n") {
			t.Errorf("no line %q in\n%s", want, strings.Join(got, "\n"))
		}
	}
	for _, n := range p.Nodes {
		if n.column == functionColumn && (n.Link == "" || !strings.HasPrefix(n.Link, "f-")) {
			t.Errorf("%s leads to %q", n.Full, n.Link)
		}
	}
}

// Whatever a program holds, boxes do not overlap, every line has a box at both ends, and a picture stays readable.
func TestAnyPicture(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := rules.Level2
		r := &Report{Moment: MomentCheck}
		p := Program{Path: "a", Name: "a", Level: level}
		for c := range rapid.IntRange(0, 30).Draw(t, "components") {
			name := fmt.Sprint("c", c)
			p.Components = append(p.Components, &Component{Path: name, Name: name})
			for f := range rapid.IntRange(0, 60).Draw(t, "functions") {
				r.Findings = append(r.Findings, Finding{
					Rule:  rules.All()[rapid.IntRange(0, 5).Draw(t, "rule")].Name,
					Where: Where{Path: name, Arch: "arm64", Function: fmt.Sprint("_f", f), Address: fmt.Sprintf("%#x", f)},
					Level: &level, KillsHere: rapid.Bool().Draw(t, "kills"), Moment: MomentCheck, Confidence: Certain,
					Callee: rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "callee"),
				})
			}
		}
		r.Programs = []Program{p}
		r.Finish()
		drawn := r.draw(&r.Programs[0], r.held(), 1)
		if drawn == nil {
			if len(r.Findings) > 0 {
				t.Errorf("%d findings and no picture", len(r.Findings))
			}
			return
		}
		if len(drawn.Nodes) > 100 || drawn.Height > 2500 {
			t.Errorf("%d boxes, height %d", len(drawn.Nodes), drawn.Height)
		}
		here := map[*pictureNode]bool{}
		for i, a := range drawn.Nodes {
			here[a] = true
			if a.Y < pictureTop || a.Y+a.Height > drawn.Height || a.X+a.Width > drawn.Width {
				t.Errorf("box %s is outside", a.Full)
			}
			for _, b := range drawn.Nodes[:i] {
				if a.column == b.column && a.Y < b.Y+b.Height && b.Y < a.Y+a.Height {
					t.Errorf("%s and %s overlap", a.Full, b.Full)
				}
			}
		}
		for _, l := range drawn.Lines {
			if !here[l.from] || !here[l.to] || l.to.column != l.from.column+1 {
				t.Errorf("line from %s to %s", l.from.Full, l.to.Full)
			}
		}
	})
}

// Thousands of findings make a page that a browser still opens: most are behind a fold, pictures and tables end.
func TestLargeHTML(t *testing.T) {
	level := rules.Level2
	r := &Report{Moment: MomentCheck}
	for p := range 100 {
		program := Program{Path: fmt.Sprint("p", p), Name: fmt.Sprint("p", p), Level: level}
		for c := range 10 {
			name := fmt.Sprint("p", p, "/c", c)
			program.Components = append(program.Components, &Component{Path: name, Name: name,
				Blockers: []Blocker{{Rule: "SET_EXCEPTION_BEHAVIOR", KillsFrom: rules.Level1, Certain: 5}}})
			for f := range 5 {
				r.Findings = append(r.Findings, Finding{Rule: "SET_EXCEPTION_BEHAVIOR", KillsFrom: rules.Level1, Level: &level,
					KillsHere: true, Confidence: Certain, Moment: MomentCheck, Callee: "task_set_exception_ports",
					Where:    Where{Path: name, Arch: "arm64", Function: fmt.Sprint("_f", f), Address: fmt.Sprintf("%#x", f)},
					Evidence: make([]string, 40)})
			}
		}
		r.Programs = append(r.Programs, program)
	}
	var b bytes.Buffer
	if err := WriteHTML(&b, r, HTMLOptions{}); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if n := strings.Count(page, "<article "); n != len(r.Findings) {
		t.Errorf("%d findings, want %d", n, len(r.Findings))
	}
	front, _, _ := strings.Cut(page, `<details class="fold">`)
	if n := strings.Count(front, "<article "); n > maxHTMLOpen {
		t.Errorf("%d findings before the fold", n)
	}
	if n := strings.Count(page, `class="picture"`); n != maxPictures {
		t.Errorf("%d pictures, want %d", n, maxPictures)
	}
	if b.Len() > 3000*len(r.Findings) {
		t.Errorf("%d bytes", b.Len())
	}
}

func TestShorten(t *testing.T) {
	for _, tt := range []struct {
		in    string
		chars int
		want  string
	}{
		{"", 5, ""}, {"abcde", 5, "abcde"}, {"abcdefgh", 5, "abc…h"}, {"äöüßéèà", 5, "äöü…à"},
	} {
		if got := shorten(tt.in, tt.chars); got != tt.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", tt.in, tt.chars, got, tt.want)
		}
	}
}
