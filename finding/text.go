package finding

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"charm.land/lipgloss/v2"
)

// TextOptions says how to render a report for people.
type TextOptions struct {
	Color bool // use terminal colours
	Width int  // columns to wrap sentences at; 0 stands for 100
}

// Limits of what the text shows of one finding. The JSON form has everything.
const (
	maxEvidence  = 12
	maxBacktrace = 16
)

// text is a text in the making.
type text struct {
	bytes.Buffer
	*palette
	report *Report
	width  int
	told   map[string]bool // advice that stands above already
}

// WriteText writes a report for people: what was predicted grouped by restriction, worst first; what crash reports tell
// one report after the other; then notes, what could not be read, and the sum. With equal options equal reports give
// equal bytes, and without Color there is nothing in them that a terminal would act upon.
func WriteText(w io.Writer, r *Report, o TextOptions) error {
	r.Finish()
	if o.Width <= 0 {
		o.Width = 100
	}
	t := &text{palette: newPalette(o.Color), report: r, width: o.Width, told: map[string]bool{}}
	var rest []Finding
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Moment == MomentExplain {
			t.explained(f)
		} else if f.Change.Matters() {
			rest = append(rest, *f)
		}
	}
	for _, g := range groups(rest) {
		t.group(g)
	}
	t.gone()
	t.programs()
	t.notes()
	t.unread()
	t.sum()
	_, err := w.Write(t.Bytes())
	return err
}

// labelWidth is the width of the column of labels under a finding.
const labelWidth = 9

// labelled writes a paragraph with a label before its first line. An empty text writes nothing.
func (t *text) labelled(indent int, label, body string) { t.painted(indent, label, body, nil) }

// painted is labelled with the text in a colour.
func (t *text) painted(indent int, label, body string, paint func(string) string) {
	if body == "" {
		return
	}
	margin := indent
	if label != "" {
		margin += labelWidth
	}
	for i, line := range wrap(Printable(body), max(t.width-margin, 20)) {
		if i == 0 && label != "" {
			t.WriteString(strings.Repeat(" ", indent) + t.dim(label) + strings.Repeat(" ", max(1, labelWidth-len(label))))
		} else {
			t.WriteString(strings.Repeat(" ", margin))
		}
		if paint != nil {
			line = paint(line)
		}
		t.WriteString(line + "\n")
	}
}

// instead writes what to do, in full for the first report that needs it.
func (t *text) instead(g *group) {
	advice := strings.Join(append(g.Remedies, g.Code(), g.Help), "\x00")
	if t.told[advice] {
		t.labelled(2, "instead", "as said above for "+g.Name)
		return
	}
	t.told[advice] = true
	t.remedies(2, "instead", g.Remedies, g.Code())
	t.labelled(2, "more", g.more())
}

// group writes the findings of one restriction and, once, what to write instead.
func (t *text) group(g *group) {
	paint := t.name
	if g.Kills {
		paint = t.kill
	}
	t.WriteString(paint(Printable(g.Name)) + t.dim("  "+plural(len(g.Findings), "finding")) + "\n")
	t.labelled(0, "", g.Title())
	for _, e := range g.entries() {
		t.WriteByte('\n')
		t.finding(e)
	}
	t.WriteByte('\n')
	t.remedies(2, "instead", g.Remedies, g.Code())
	t.labelled(2, "more", g.more())
	t.WriteByte('\n')
}

// finding writes one finding: file and function first, then how sure and how bad, then why.
func (t *text) finding(e *entry) {
	f := e.Finding
	w := &f.Where
	place := Printable(w.file())
	if w.Arch != "" {
		place += " (" + Printable(e.archs()) + ")"
	}
	function := "a function without a name"
	if w.Function != "" {
		function = f.function()
	}
	gap := "  "
	if lipgloss.Width(function)+lipgloss.Width(place)+4 > t.width {
		gap = "\n    "
	}
	change := ""
	if f.Change != "" {
		change = t.warn(string(f.Change)) + "  "
	}
	t.WriteString("  " + change + t.name(function) + gap + t.dim(place) + "\n")
	t.painted(4, string(f.Confidence), t.report.verdict(f), t.confidence(f))
	t.labelled(4, "call", e.call())
	t.labelled(4, "inlined", w.inlined())
	t.labelled(4, "what", f.Message)
	t.labelled(4, "with", f.arguments())
	t.facts(4, f)
	t.labelled(4, "loaded", strings.Join(f.Chain, " -> "))
	t.sdk(4, f)
	t.backtrace(4, f)
}

// call says what is called and where the call stands.
func call(f *Finding) string {
	w := &f.Where
	var s string
	if f.Callee != "" {
		s = f.Callee
	}
	if w.Address != "" {
		s = strings.TrimSpace(s + " at " + w.Address)
	}
	if src := w.source(); src != "" {
		if s != "" {
			s += ", "
		}
		s += src
	}
	if w.Image != "" && !strings.HasSuffix(w.file(), w.Image) {
		s = strings.TrimSpace(s + " in " + w.Image)
	}
	return s
}

// facts writes the evidence, one fact a line.
func (t *text) facts(indent int, f *Finding) {
	label := "why"
	for i, fact := range f.Evidence {
		if i == maxEvidence {
			t.labelled(indent, " ", fmt.Sprintf("and %d more, see --format json", len(f.Evidence)-i))
			return
		}
		t.labelled(indent, label, fact)
		label = " "
	}
}

// sdk says which known software this is.
func (t *text) sdk(indent int, f *Finding) {
	if f.SDK == nil {
		return
	}
	s := "this is " + f.SDK.about()
	if f.SDK.Source != "" {
		s += " (" + f.SDK.Source + ")"
	}
	t.labelled(indent, "sdk", s)
}

// remedies writes what to do instead, and an example.
func (t *text) remedies(indent int, label string, remedies []string, code string) {
	for _, remedy := range remedies {
		t.labelled(indent, label, remedy)
	}
	if code == "" {
		return
	}
	if len(remedies) > 0 {
		t.WriteByte('\n')
	}
	for line := range strings.Lines(code) {
		line = Printable(strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    "))
		if line == "" {
			t.WriteByte('\n')
			continue
		}
		t.WriteString(strings.Repeat(" ", indent+labelWidth) + t.code(line) + "\n")
	}
	t.WriteByte('\n')
}

// backtrace writes the frames of the faulting thread.
func (t *text) backtrace(indent int, f *Finding) {
	for i, frame := range f.Backtrace {
		label := " "
		if i == 0 {
			label = "stack"
		}
		if i == maxBacktrace {
			t.labelled(indent, label, fmt.Sprintf("and %s more", plural(len(f.Backtrace)-i, "frame")))
			return
		}
		// Not wrapped: frames are columns, and are copied into other tools.
		t.WriteString(strings.Repeat(" ", indent) + t.dim(label) + strings.Repeat(" ", labelWidth-len(label)) +
			Printable(frame) + "\n")
	}
}

// explained writes what a crash report tells: what happened, where, why, and what to do.
func (t *text) explained(f *Finding) {
	w := &f.Where
	t.WriteString(t.name(Printable(w.file())) + "\n")
	head := f.Rule
	if f.Code != nil {
		head += "  " + f.Code.String()
		if f.Payload != "" {
			head += ", payload " + f.Payload
		}
	}
	paint := t.warn
	if f.KillsHere {
		paint = t.kill
	}
	t.WriteString("  " + paint(Printable(head)) + "\n\n")
	t.labelled(2, "what", f.Message)
	t.painted(2, "sure", fmt.Sprintf("%s; it %s", f.Confidence, t.report.verdict(f)), t.confidence(f))
	t.labelled(2, "where", crashPlace(f))
	t.sdk(2, f)
	t.labelled(2, "loaded", strings.Join(f.Chain, " -> "))
	t.labelled(2, "with", f.arguments())
	t.facts(2, f)
	t.WriteByte('\n')
	t.instead(groups([]Finding{*f})[0])
	if len(f.Backtrace) > 0 {
		t.WriteByte('\n')
	}
	t.backtrace(2, f)
	t.WriteByte('\n')
}

// crashPlace names the frame at fault.
func crashPlace(f *Finding) string {
	w := &f.Where
	var s string
	if w.Function != "" {
		s = f.function()
	}
	if w.Image != "" {
		s = strings.TrimSpace(s + " in " + w.Image)
	}
	if w.Address != "" {
		s = strings.TrimSpace(s + " at " + w.Address)
	}
	if src := w.source(); src != "" {
		s = strings.TrimPrefix(s+", "+src, ", ")
	}
	if f.Callee != "" && s != "" {
		s += ", which called " + f.Callee
	}
	if w.Thread != nil {
		s = strings.TrimPrefix(fmt.Sprintf("%s, thread %d", s, *w.Thread), ", ")
	}
	if w.Arch != "" && s != "" {
		s += " (" + w.Arch + ")"
	}
	return s
}

// maxGone limits how many findings are listed that are gone.
const maxGone = 20

// gone lists what an earlier version had and this one has not.
func (t *text) gone() {
	c := t.report.Comparison
	if c == nil || len(c.Gone) == 0 {
		return
	}
	t.WriteString(t.good("gone since "+Printable(c.With)) + "\n")
	for i := range c.Gone {
		if i == maxGone {
			t.hanging(fmt.Sprintf("and %d more, see --format json", len(c.Gone)-i))
			break
		}
		t.hanging(c.Gone[i].inShort())
	}
	t.WriteByte('\n')
}

// inShort is a finding in a line.
func (f *Finding) inShort() string {
	s := f.Rule + ": " + f.Callee
	if f.Where.Function != "" {
		s += " in " + f.function()
	}
	return s + ", " + f.Where.file() + " (" + f.Where.Arch + ", " + string(f.Confidence) + ")"
}

// notes writes what is worth telling and is no finding.
func (t *text) notes() {
	if len(t.report.Notes) == 0 {
		return
	}
	t.WriteString(t.name("notes") + "\n")
	for _, n := range t.report.Notes {
		place := (&Where{Path: n.Path, Member: n.Member}).file()
		if place != "" {
			place += ": "
		}
		t.hanging(place + n.Message)
	}
	t.WriteByte('\n')
}

// unread lists what could not be read.
func (t *text) unread() {
	if len(t.report.Unread) == 0 {
		return
	}
	t.WriteString(t.warn("not read") + "\n")
	for i := range t.report.Unread {
		t.hanging(t.report.Unread[i].String())
	}
	t.WriteByte('\n')
}

// hanging writes a paragraph whose further lines stand further in.
func (t *text) hanging(body string) {
	for i, line := range wrap(Printable(body), max(t.width-6, 20)) {
		if i == 0 {
			t.WriteString("  " + line + "\n")
		} else {
			t.WriteString("      " + line + "\n")
		}
	}
}

// String says what was not read, where and why.
func (u *Unread) String() string {
	s := (&Where{Path: u.Path, Member: u.Member}).file()
	if u.Offset > 0 {
		s += fmt.Sprintf(": at offset %d", u.Offset)
	}
	return s + ": " + u.Reason
}

// sum writes the last lines.
func (t *text) sum() {
	lines := []string{t.report.headline()}
	if c := t.report.Comparison; c != nil {
		lines = append(lines, c.headline())
	}
	for _, sentence := range lines {
		for _, line := range wrap(Printable(sentence), t.width) {
			t.WriteString(t.name(line) + "\n")
		}
	}
	if len(t.report.Findings) == 0 && t.report.Moment != MomentExplain && !t.report.empty() {
		t.painted(0, "", caution, t.dim)
	}
}

// caution stands under the sum where nothing was found.
const caution = "That is no proof that there is none: calls through tables, computed arguments and code made at run " +
	"time are not all seen."
