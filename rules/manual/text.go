package manual

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"portcullis.dev/rules"
)

// Style says how text looks on a terminal. The zero Style is plain text, wrapped at 100 columns.
type Style struct {
	Heading func(string) string // titles
	Name    func(string) string // names of rules
	Level   func(string) string // levels from which something kills
	Bad     func(string) string // the code to avoid
	Good    func(string) string // the code to write
	Dim     func(string) string // side matters
	Width   int
}

func paint(f func(string) string, s string) string {
	if f == nil || s == "" {
		return s
	}
	return f(s)
}

func (s Style) width() int {
	if s.Width < 40 {
		return 100
	}
	return s.Width
}

// printer collects text, so that no write error is lost and none is checked twice.
type printer struct {
	Style
	b strings.Builder
}

func (p *printer) line(s string) { p.b.WriteString(strings.TrimRight(s, " ") + "\n") }

// flow writes a label and a text wrapped beside it: every line after the first begins at column indent.
func (p *printer) flow(label, text string, indent int) {
	first := label
	if n := utf8.RuneCountInString(label); n < indent {
		first += strings.Repeat(" ", indent-n)
	}
	for i, l := range wrap(text, p.width()-indent) {
		if i > 0 {
			first = strings.Repeat(" ", indent)
		}
		p.line(first + l)
	}
}

// wrap breaks a text at spaces into lines of at most width columns; a longer word stands alone.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// WriteTable prints every row, grouped.
func WriteTable(w io.Writer, style Style) error {
	p := &printer{Style: style}
	wide, numbers, levels := 0, len("NUMBER"), len("KILLS FROM")
	for _, r := range rules.All() {
		wide = max(wide, len(r.Name))
		numbers = max(numbers, len(number(r.Flavor)))
		levels = max(levels, len(killsFrom(r)))
	}
	for i, s := range sections() {
		if i > 0 {
			p.line("")
		}
		p.line(paint(p.Heading, s.Title))
		for _, l := range wrap(s.Intro, p.width()) {
			p.line(paint(p.Dim, l))
		}
		p.line("")
		p.line(paint(p.Dim, "  "+pad("NAME", wide)+"  "+pad("NUMBER", numbers)+"  "+pad("KILLS FROM", levels)+"  WHAT"))
		for _, r := range s.rules {
			what := r.Title
			if r.Retired != "" && r.Class == rules.Soft {
				what += " (retired)"
			}
			p.line("  " + paint(p.Name, r.Name) + pad("", wide-len(r.Name)) + "  " + pad(number(r.Flavor), numbers) + "  " +
				paint(p.Level, killsFrom(r)) + pad("", levels-len(killsFrom(r))) + "  " + what)
		}
	}
	p.line("")
	p.line(paint(p.Dim, "Levels: none, hardened-runtime, 1, 2, 3, platform; several in one row: it depends on the case."))
	p.line(paint(p.Dim, "portcullis rules NAME tells all about a row; portcullis rules NUMBER explains a code."))
	_, err := io.WriteString(w, p.b.String())
	return err
}

// WriteRule prints a row in full.
func WriteRule(w io.Writer, r *rules.Rule, style Style) error {
	p := &printer{Style: style}
	const column = 14
	p.line(paint(p.Heading, r.Name))
	p.line(r.Title)
	p.line("")
	p.flow("  number", fmt.Sprintf("%s, guard type %s; code %s", number(r.Flavor), r.Guard.Text(), code(r)), column)
	p.flow("  class", r.Class.String(), column)
	if r.Retired != "" {
		p.flow("  retired", r.Retired, column)
	}
	p.flow("  reports say", printedName(r), column)
	if names := otherNames(r); len(names) > 0 {
		p.flow("  also", strings.Join(names, ", "), column)
	}
	if r.Return != "" {
		p.flow("  returns", r.Return, column)
	}
	p.flow("  target", targetText(r), column)
	p.flow("  payload", payloadText(r), column)

	p.section("What happens", r.Happened+" "+r.Trigger)
	if r.Gain != "" {
		p.section("Why it is forbidden", r.Gain)
	}
	p.cases(r)
	p.section("What to do", r.Remedy)
	if r.Wrong != "" {
		p.example("Wrong", r.Wrong, p.Bad)
		p.example("Right", r.Right, p.Good)
	}
	if len(r.History) > 0 {
		p.line("")
		p.line(paint(p.Heading, "History"))
		for _, e := range r.History {
			label := "  " + pad(release(e), 12) + " " + pad(eraNumber(e, r), 10) + " " + pad(from(e.KillsFrom), 22)
			text := eraText(e)
			if text == "" {
				text = e.Class.String()
			}
			p.flow(label, text, len(label)+1)
		}
		p.line(paint(p.Dim, "  Other systems follow the macOS of the same kernel: iOS 18.5 is macOS 15.5."))
	}
	p.list("Not verified", r.Doubts)
	p.list("Sources", r.Sources)
	p.line("")
	p.line(paint(p.Dim, r.Help()))
	_, err := io.WriteString(w, p.b.String())
	return err
}

func (p *printer) section(title, text string) {
	p.line("")
	p.line(paint(p.Heading, title))
	p.flow("  ", text, 2)
}

func (p *printer) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	p.line("")
	p.line(paint(p.Heading, title))
	for _, s := range items {
		p.flow("  - ", s, 4)
	}
}

func (p *printer) example(title, text string, colour func(string) string) {
	p.line("")
	p.line(paint(p.Heading, title))
	for l := range strings.SplitSeq(text, "\n") {
		p.line("    " + paint(colour, strings.ReplaceAll(l, "\t", "    ")))
	}
}

func (p *printer) cases(r *rules.Rule) {
	p.line("")
	p.line(paint(p.Heading, "When it kills"))
	if len(r.Cases) == 0 {
		p.flow("  ", from(r.KillsFrom), 2)
		return
	}
	const column = 26
	for i := range r.Cases {
		c := &r.Cases[i]
		p.flow("  "+from(c.KillsFrom), c.When, column)
		for _, side := range caseNotes(c) {
			p.flow("", side, column)
		}
	}
}

// caseNotes says what limits a case.
func caseNotes(c *rules.Case) []string {
	var out []string
	if s := platforms(c); s != "" {
		out = append(out, s)
	}
	if c.OfTarget {
		out = append(out, "the level of the task acted upon counts")
	}
	if c.Exempt != "" {
		out = append(out, "exempt: "+c.Exempt)
	}
	if c.Unsure != "" {
		out = append(out, "unverified: "+c.Unsure)
	}
	return out
}

// WriteExplanation prints what a code says.
func WriteExplanation(w io.Writer, x rules.Explanation, style Style) error {
	p := &printer{Style: style}
	const column = 12
	if x.Rule != nil {
		p.line(paint(p.Heading, x.Rule.Name) + "  " + paint(p.Dim, x.Rule.Title))
	} else {
		p.line(paint(p.Heading, "not in the table"))
	}
	p.line("")
	p.flow("  ", x.Sentence, 2)
	if x.Rule != nil || x.HavePayload || x.Type != rules.GuardNone {
		p.line("")
	}
	if x.Type != rules.GuardNone {
		p.flow("  code", fmt.Sprintf("%s: %s, flavor %s, target "+
			"%#x", x.Code, x.Type, number(x.Flavor), x.Code.Target()), column)
	}
	if x.HavePayload {
		p.flow("  subcode", fmt.Sprintf("%#016x", x.Payload), column)
	}
	if x.Target != "" {
		p.flow("  target", x.Target, column)
	}
	if x.PayloadText != "" {
		p.flow("  payload", x.PayloadText, column)
	}
	if x.Rule != nil {
		p.flow("  kills", from(x.KillsFrom), column)
	}
	if x.Level != nil {
		p.flow("  ran at", x.Level.String(), column)
	}
	p.list("More", x.Facts)
	if x.Remedy != "" {
		p.section("What to do", x.Remedy)
	}
	if len(x.Others) > 0 {
		p.line("")
		p.line(paint(p.Heading, "It may also be"))
		for _, a := range x.Others {
			p.flow("  - ", fmt.Sprintf("%s: %s. %s%s", a.When, a.Name, a.Sentence, details(a)), 4)
		}
		p.line(paint(p.Dim, `  Name the system to decide: --os "macOS 14.4".`))
	}
	p.list("Not verified", x.Unverified)
	if x.Rule != nil {
		p.line("")
		p.line(paint(p.Dim, "portcullis rules "+x.Rule.Name+"    "+x.Rule.Help()))
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// details writes the numbers of another reading.
func details(a rules.Alternative) string {
	var parts []string
	if a.Target != "" && !strings.HasPrefix(a.Target, "port name") { // the sentence names the port
		parts = append(parts, "target "+a.Target)
	}
	if a.PayloadText != "" {
		parts = append(parts, "payload "+a.PayloadText)
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// WriteBare prints what a number standing alone can be.
func WriteBare(w io.Writer, t rules.GuardType, n uint32, readings []rules.Bare, style Style) error {
	p := &printer{Style: style}
	p.line(paint(p.Heading, fmt.Sprintf("%#x (%d) for %s", n, n, t.Thing())))
	p.line("")
	if len(readings) == 0 {
		p.flow("  ", "No rule of the table has this flavor, and none reads it as a target.", 2)
	}
	for _, r := range readings {
		p.flow("  as "+r.As, r.Text, 22)
		if r.As == "target" {
			p.flow("", "of "+strings.Join(r.Rules, ", "), 22)
		}
	}
	p.line("")
	p.flow("", "A number alone does not say which of them it is: the whole code stands after \"Namespace GUARD, Code\" "+
		"in the "+
		"Termination Reason of the report.", 0)
	_, err := io.WriteString(w, p.b.String())
	return err
}
