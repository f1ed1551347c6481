package entitlement

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"portcullis.dev/finding"
	"portcullis.dev/macho/container"
	"portcullis.dev/rules"
)

// Style is the look of the text form. A nil function leaves its part as it is.
type Style struct {
	Heading, Level, Error, Warning, Dim func(string) string
	Width                               int // columns to fold at; 0 for 100
}

func paint(f func(string) string, s string) string {
	if f == nil {
		return s
	}
	return f(s)
}

const (
	defaultWidth = 100
	textMargin   = 13 // columns of the labels on the left
)

// WriteText writes reports for a person: each program with its level first, then what decided, then the advice.
// Slices that say the same are told together, libraries without anything to tell are counted.
func WriteText(w io.Writer, style Style, reports ...Report) error {
	t := textWriter{style: style, width: style.Width}
	if t.width <= 0 {
		t.width = defaultWidth
	}
	for _, r := range reports {
		t.report(r)
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

type textWriter struct {
	b     strings.Builder
	style Style
	width int
	first bool
}

func (t *textWriter) report(r Report) {
	silent := 0
	for i := 0; i < len(r.Programs); {
		p := r.Programs[i]
		arches := []string{p.Inputs.Arch}
		exempt := exemptions(&p)
		j := i + 1
		for ; j < len(r.Programs) && r.Programs[j].name() == p.name() && sameAnswer(&p, &r.Programs[j]); j++ {
			arches = append(arches, r.Programs[j].Inputs.Arch)
			exempt = append(exempt, exemptions(&r.Programs[j])...)
		}
		p.Decision.Exempt = slices.Compact(exempt)
		if p.Decision.Line == LineNoProgram && len(p.Issues) == 0 && len(r.Programs) > j-i {
			silent++
		} else {
			t.program(p, arches)
		}
		i = j
	}
	if silent > 0 {
		t.gap()
		what := "libraries and other images: their entitlements decide nothing"
		if silent == 1 {
			what = "library or other image: its entitlements decide nothing"
		}
		t.b.WriteString(paint(t.style.Dim, fmt.Sprintf("%d %s", silent, what)) + "\n")
	}
	for _, u := range r.Unread {
		t.gap()
		fmt.Fprintf(&t.b, "%s %s: %s\n", paint(t.style.Error, "could not be read:"),
			finding.Printable(container.Item{Path: u.Path, Member: u.Member}.Name()), finding.Printable(u.Reason))
	}
}

// exemptions returns what exempts a slice, with the slice's architecture in front.
func exemptions(p *Program) []string {
	var out []string
	for _, x := range p.Decision.Exempt {
		if p.Inputs.Arch != "" {
			x = p.Inputs.Arch + ": " + x
		}
		out = append(out, x)
	}
	return out
}

// sameAnswer reports whether two slices of a file are told alike.
func sameAnswer(p, q *Program) bool {
	a, b := *p, *q
	a.Inputs.Arch, b.Inputs.Arch = "", ""
	a.Inputs.MinOS, b.Inputs.MinOS = rules.OS{}, rules.OS{}
	a.Decision.Exempt, b.Decision.Exempt = nil, nil
	// Advice about the whole file stands at the first slice.
	a.Issues = slices.DeleteFunc(slices.Clone(a.Issues), func(i Issue) bool { return i.ID == "slices-differ" })
	x, errX := json.Marshal(a.json())
	y, errY := json.Marshal(b.json())
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func (t *textWriter) gap() {
	if t.first {
		t.b.WriteByte('\n')
	}
	t.first = true
}

func (t *textWriter) program(p Program, arches []string) {
	t.gap()
	in, d := p.Inputs, p.Decision
	about := []string{string(in.Product)}
	if a := strings.Join(slices.DeleteFunc(arches, func(a string) bool { return a == "" }), ", "); a != "" {
		about = append(about, a)
	}
	if in.Platform != "" {
		platform := in.Platform
		if in.Simulator {
			platform += " Simulator"
		}
		if in.MinOS.Major != 0 {
			platform += fmt.Sprintf(" %d.%d and later", in.MinOS.Major, in.MinOS.Minor)
		}
		about = append(about, platform)
	}
	if p.Bundle != "" {
		about = append(about, "main executable of "+p.Bundle)
	}
	fmt.Fprintf(&t.b, "%s  %s\n", paint(t.style.Heading, finding.Printable(p.name())),
		paint(t.style.Dim, finding.Printable(strings.Join(about, ", "))))

	switch d.Line {
	case LineNoProgram:
		t.painted("level", t.style.Dim, "none of its own")
	case LineRefused:
		t.painted("level", t.style.Dim, paint(t.style.Error, "refused: does not start"))
	default:
		t.painted("level", t.style.Dim, paint(t.style.Level, d.Level.String())+
			fmt.Sprintf(" (platform-restrictions version %d)", d.Version))
	}
	decided := string(d.Line)
	if d.Key != "" {
		decided += ": " + d.Key + " at " + d.At.String()
	}
	t.row("decided by", decided)
	t.row("", d.Why)
	for _, r := range d.Refusals {
		t.row("refused", fmt.Sprintf("%s at %s: %s. %s", r.Key, r.At, r.Reason, r.Outcome))
	}
	if d.Line != LineNoProgram && d.Line != LineRefused {
		t.row("kills", killText(p.Kills()))
	}
	t.row("read from", d.Source)
	for _, e := range d.Effects {
		label := "tightens"
		if e.Relaxes {
			label = "relaxes"
		}
		what := e.What
		if !e.Active {
			what = "no effect with this value"
		}
		t.row(label, e.Key+": "+what)
	}
	for _, x := range d.Exempt {
		t.row("exempt", x)
	}
	for _, u := range d.Unverified {
		t.row("unverified", u)
	}
	for _, i := range p.Issues {
		if i.ID != "relaxing-key" && i.ID != "tightening-key" { // told by the effects above
			t.issue(i)
		}
	}
}

func (t *textWriter) issue(i Issue) {
	colour := t.style.Dim
	switch i.Severity {
	case SeverityError:
		colour = t.style.Error
	case SeverityWarning:
		colour = t.style.Warning
	}
	head := string(i.Severity)
	body := "[" + i.ID + "] "
	if i.At != (Origin{}) && i.Key != "" {
		body += i.At.String() + ": "
	}
	t.painted(head, colour, finding.Printable(body+i.Message))
	if i.Fix != "" {
		t.row("", "write instead:")
		for l := range strings.SplitSeq(i.Fix, "\n") {
			fmt.Fprintf(&t.b, "%s    %s\n", strings.Repeat(" ", textMargin), finding.Printable(l))
		}
	}
}

func killText(kills []Kill) string {
	if len(kills) == 0 {
		return "none of the six documented restrictions"
	}
	words := make([]string, len(kills))
	for i, k := range kills {
		words[i] = k.Rule
		if len(k.Cases) > 0 {
			words[i] += " (" + strings.Join(k.Cases, ", ") + ")"
		}
	}
	return strings.Join(words, ", ")
}

func (t *textWriter) row(label, text string) {
	if text != "" {
		t.painted(label, t.style.Dim, finding.Printable(text))
	}
}

// painted writes a row, its text folded at blanks. Text from files is stripped of control characters before; what this
// package paints itself passes.
func (t *textWriter) painted(label string, colour func(string) string, text string) {
	pad := strings.Repeat(" ", max(0, textMargin-2-len(label)))
	if label != "" {
		label = paint(colour, label)
	}
	t.b.WriteString("  " + label + pad)
	column := textMargin
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		if i > 0 && column+1+n > t.width {
			t.b.WriteString("\n" + strings.Repeat(" ", textMargin))
			column = textMargin
		} else if i > 0 {
			t.b.WriteByte(' ')
			column++
		}
		t.b.WriteString(word)
		column += n
	}
	t.b.WriteByte('\n')
}
