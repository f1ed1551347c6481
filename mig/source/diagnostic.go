package source

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Severity says what a diagnostic means for the compilation.
type Severity uint8

const (
	Warning Severity = iota + 1
	Error
)

// String returns "warning" or "error".
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// Diagnostic is a sentence about a place.
type Diagnostic struct {
	Pos      Pos
	Length   int // bytes of the word it speaks of, for the underline; at least one is underlined
	Severity Severity
	Message  string // lower case, no full stop
	Notes    []string
	Rule     string // the restriction it warns of, where it does
	Level    string // the level from which the restriction kills
}

// String returns the first line of what is printed: "file:line:column: error: message".
func (d *Diagnostic) String() string {
	name, line, column := d.Pos.Place()
	rule := ""
	if d.Rule != "" {
		rule = " [" + d.Rule + ", level " + d.Level + "]"
	}
	if name == "" {
		return fmt.Sprintf("%s: %s%s", d.Severity, printable(d.Message), rule)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s%s", printable(name), line, column, d.Severity, printable(d.Message), rule)
}

// maxShown is how much of a source line is shown.
const maxShown = 160

// WriteTo prints the diagnostic: the place and sentence, the line with a caret, notes, and how the file was reached.
func (d *Diagnostic) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	for p := d.Pos; p.Known() && p.File.From.Known(); p = p.File.From {
		name, line, _ := p.File.From.Place()
		fmt.Fprintf(&b, "in a file included from %s:%d:\n", printable(name), line)
	}
	b.WriteString(d.String())
	b.WriteByte('\n')
	if d.Pos.Known() {
		d.excerpt(&b)
	}
	for _, n := range d.Notes {
		fmt.Fprintf(&b, "    note: %s\n", printable(n))
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// excerpt writes the line and a caret under the word.
func (d *Diagnostic) excerpt(b *strings.Builder) {
	_, line, _ := d.Pos.Place()
	_, column := d.Pos.File.place(d.Pos.Offset)
	text := d.Pos.line()
	at := min(column-1, len(text))
	if at > maxShown {
		return // a line nobody wrote by hand
	}
	shown := text
	if len(shown) > maxShown {
		shown = strings.ToValidUTF8(shown[:maxShown], "") + " ..."
	}
	fmt.Fprintf(b, "%5d | %s\n", line, printable(shown))
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, text[:at])
	word := text[at:min(len(text), at+max(d.Length, 1))]
	fmt.Fprintf(b, "      | %s^%s\n", pad, strings.Repeat("~", max(utf8.RuneCountInString(word)-1, 0)))
}

// List collects diagnostics. Its zero value is empty and ready.
type List struct {
	All    []Diagnostic
	errors int
}

// MaxErrors is how many errors are kept; after them reading stops.
const MaxErrors = 50

// Errorf adds an error about a word at a place.
func (l *List) Errorf(p Pos, word string, format string, args ...any) *Diagnostic {
	return l.Add(Diagnostic{Pos: p, Length: len(word), Severity: Error, Message: fmt.Sprintf(format, args...)})
}

// Warnf adds a warning about a word at a place.
func (l *List) Warnf(p Pos, word string, format string, args ...any) *Diagnostic {
	return l.Add(Diagnostic{Pos: p, Length: len(word), Severity: Warning, Message: fmt.Sprintf(format, args...)})
}

// Add adds a diagnostic and returns it, so that notes can be added.
func (l *List) Add(d Diagnostic) *Diagnostic {
	if d.Severity == Error {
		l.errors++
	}
	if len(l.All) >= 20*MaxErrors {
		return &d
	}
	l.All = append(l.All, d)
	return &l.All[len(l.All)-1]
}

// Errors counts the errors.
func (l *List) Errors() int { return l.errors }

// Full says that there are so many errors that more would not help.
func (l *List) Full() bool { return l.errors >= MaxErrors }

// Sort puts diagnostics in the order of the text; files come in the order in which something was found in them.
func (l *List) Sort() {
	order := map[*File]int{}
	for _, d := range l.All {
		if _, ok := order[d.Pos.File]; !ok {
			order[d.Pos.File] = len(order)
		}
	}
	slices.SortStableFunc(l.All, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(order[a.Pos.File], order[b.Pos.File]), cmp.Compare(a.Pos.Offset, b.Pos.Offset))
	})
}

// Write prints all of them.
func (l *List) Write(w io.Writer) error {
	for i := range l.All {
		if _, err := l.All[i].WriteTo(w); err != nil {
			return err
		}
	}
	return nil
}
