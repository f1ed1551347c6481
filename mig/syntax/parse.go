package syntax

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"portcullis.dev/mig/cpp"
	"portcullis.dev/mig/source"
)

// Parse reads the statements of a file. Errors go to errs; after one, reading goes on behind the next ";".
func Parse(tokens []cpp.Token, d Dialect, errs *source.List) []Statement {
	p := &parser{tokens: tokens, dialect: d, errs: errs}
	if n := len(tokens); n > 0 {
		last := tokens[n-1]
		p.end = cpp.Token{Kind: cpp.EOF, Pos: last.Pos}
		p.end.Pos.Offset += int32(len(last.Text))
	}
	for p.peek().Kind != cpp.EOF && !errs.Full() {
		p.statement()
	}
	return p.out
}

// failure unwinds the parser to the statement that failed.
type failure struct{}

type parser struct {
	tokens  []cpp.Token
	at      int
	end     cpp.Token
	dialect Dialect
	errs    *source.List
	out     []Statement
	depth   int
	doing   string // what is being read, for messages: `routine "foo"`
}

func (p *parser) peek() cpp.Token {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return p.end
}

func (p *parser) next() cpp.Token {
	t := p.peek()
	p.at++
	return t
}

// fail reports an error about t and gives the statement up.
func (p *parser) fail(t cpp.Token, format string, args ...any) {
	p.report(t, format, args...)
	panic(failure{})
}

func (p *parser) report(t cpp.Token, format string, args ...any) *source.Diagnostic {
	return p.errs.Errorf(t.Pos, t.Text, format, args...)
}

// found says what stands where something else was expected.
func (p *parser) found(t cpp.Token) string {
	switch {
	case t.Kind == cpp.EOF:
		return "the end of the file"
	case t.Kind == cpp.Ident && p.dialect.word(t.Text) != "":
		return "the word " + strconv.Quote(t.Text)
	case t.Kind == cpp.String || t.Kind == cpp.Char:
		return t.Text
	}
	return strconv.Quote(t.Text)
}

// expect takes the punctuation s; after says what it must follow.
func (p *parser) expect(s, after string) cpp.Token {
	t := p.peek()
	if !t.Is(s) {
		p.fail(p.missing(t, s), "expected %q %s, found %s", s, after, p.found(t))
	}
	p.at++
	return t
}

// missing returns the place to point at where punctuation is missing: where it should stand, if the text breaks the
// line there, or else what stands instead.
func (p *parser) missing(t cpp.Token, s string) cpp.Token {
	if p.at == 0 || s == ":" || s == "[" || s == "=" || !(t.Start || t.Kind == cpp.EOF) {
		return t
	}
	last := p.tokens[p.at-1]
	last.Pos.Offset += int32(len(last.Text))
	last.Text = ""
	return last
}

// nextIs says that the punctuation s is next.
func (p *parser) nextIs(s string) bool {
	t := p.peek()
	return t.Is(s)
}

// accept takes the punctuation s if it is there.
func (p *parser) accept(s string) bool {
	if t := p.peek(); t.Is(s) {
		p.at++
		return true
	}
	return false
}

// is says that the next token is the word w of the language.
func (p *parser) is(w string) bool {
	t := p.peek()
	return t.Kind == cpp.Ident && p.dialect.word(t.Text) == w
}

func (p *parser) acceptWord(w string) bool {
	if p.is(w) {
		p.at++
		return true
	}
	return false
}

// name takes a name; what says what it names.
func (p *parser) name(what string) Ident {
	t := p.peek()
	if t.Kind != cpp.Ident {
		p.fail(t, "expected %s, found %s", what, p.found(t))
	}
	if w := p.dialect.word(t.Text); w != "" {
		p.fail(t, "expected %s, found %q, which is a word of the language", what, t.Text)
	}
	if strings.Trim(t.Text, nameCharacters) != "" {
		p.fail(t, "expected %s of letters, digits and \"_\", found %q", what, t.Text)
	}
	p.at++
	return Ident{t.Text, t.Pos}
}

// nameCharacters are what names consist of. C compilers, and our preprocessor, take more.
const nameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

// number takes a decimal number.
func (p *parser) number(what string) int64 {
	t := p.peek()
	if t.Kind != cpp.Number {
		p.fail(t, "expected %s, found %s", what, p.found(t))
	}
	p.at++
	return p.value(t)
}

func (p *parser) value(t cpp.Token) int64 {
	n, err := strconv.ParseInt(t.Text, 10, 32)
	if err != nil {
		if strings.Trim(t.Text, "0123456789") == "" {
			p.fail(t, "%s is larger than a message id or size can be", t.Text)
		}
		p.fail(t, "expected a decimal number, found %q", t.Text)
	}
	return n
}

// statement reads one statement and its ";". On an error it skips to the next one.
func (p *parser) statement() {
	from := p.at
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(failure); !ok {
				panic(r)
			}
			p.depth = 0
			p.recover(from)
		}
	}()
	if p.accept(";") {
		return
	}
	p.doing = "the statement"
	t := p.peek()
	if t.Kind == cpp.Ident {
		if s := p.body(t); s != nil {
			p.out = append(p.out, s)
		}
	} else {
		p.fail(t, "expected a statement such as \"routine\" or \"type\", found %s", p.found(t))
	}
	p.expect(";", "after "+p.doing)
}

// recover skips to behind the ";" that ends the statement which began at token from, or to a word at the start of a
// line that begins a statement: a missing ";" must not cost the next one.
func (p *parser) recover(from int) {
	depth := 0
	for i := from; i < p.at && i < len(p.tokens); i++ {
		depth += nesting(p.tokens[i])
	}
	for p.at = max(p.at, from); p.at < len(p.tokens); p.at++ {
		t := p.tokens[p.at]
		if t.Is(";") && depth <= 0 {
			p.at++
			return
		}
		if t.Start && p.at > from && t.Kind == cpp.Ident {
			switch p.dialect.word(t.Text) {
			case "routine", "simpleroutine", "type", "subsystem", "skip":
				return
			}
		}
		depth += nesting(t)
	}
}

func nesting(t cpp.Token) int {
	switch {
	case t.Is("("):
		return 1
	case t.Is(")"):
		return -1
	}
	return 0
}

// body reads a statement that begins with the word t, without its ";".
func (p *parser) body(t cpp.Token) Statement {
	if p.dialect == Apple && (t.Text == "UserTypeLimit" || t.Text == "OnStackLimit") {
		p.at++
		v := p.peek()
		p.number("a number after " + strconv.Quote(t.Text))
		return &Option{Pos: t.Pos, Word: strings.ToLower(t.Text), Value: v.Text, At: v.Pos}
	}
	w := p.dialect.word(t.Text)
	if w != "" {
		p.at++
		p.doing = strconv.Quote(w)
	}
	switch w {
	case "subsystem":
		return p.subsystem(t)
	case "type":
		return p.typeDecl(t)
	case "routine", "simpleroutine":
		return p.routine(t, w == "simpleroutine")
	case "skip":
		return &Skip{t.Pos}
	case "import", "uimport", "simport", "iimport", "dimport":
		return &Import{Pos: t.Pos, Word: w, File: p.fileName(w)}
	case "msgoption", "waittime", "sendtime", "consumeonsenderror":
		v := p.peek()
		return &Option{Pos: t.Pos, Word: w, Value: p.raw(w), At: v.Pos}
	case "nowaittime", "nosendtime":
		return &Option{Pos: t.Pos, Word: w, At: t.Pos}
	case "usespecialreplyport":
		v := p.peek()
		p.number("a number after \"UseSpecialReplyPort\"")
		return &Option{Pos: t.Pos, Word: w, Value: v.Text, At: v.Pos}
	case "error", "serverprefix", "userprefix", "serverdemux":
		v := p.name("a name after " + strconv.Quote(w))
		return &Option{Pos: t.Pos, Word: w, Value: v.Name, At: v.Pos}
	case "rcsid":
		v := p.next()
		if v.Kind != cpp.String {
			p.fail(v, "expected a quoted string after \"rcsid\", found %s", p.found(v))
		}
		return &Option{Pos: t.Pos, Word: w, Value: v.Text, At: v.Pos}
	}
	p.unknown(t)
	return nil
}

// unknown reports a statement that begins with a word that begins none.
func (p *parser) unknown(t cpp.Token) {
	d := p.report(t, "expected a statement such as \"routine\" or \"type\", found %s", p.found(t))
	low := strings.ToLower(t.Text)
	other := 1 - p.dialect
	switch {
	case other.word(low) != "" && slices.Contains(statementWords, low):
		d.Notes = append(d.Notes, fmt.Sprintf("%s MIG has the statement %q, %s MIG does not", other, low, p.dialect))
	case low == "procedure" || low == "function" || low == "simpleprocedure":
		d.Notes = append(d.Notes, fmt.Sprintf("%q was a word of the first MIG; write \"routine\" or \"simpleroutine\"", low))
	default:
		for _, w := range statementWords {
			if Near(low, strings.ToLower(w)) {
				d.Notes = append(d.Notes, fmt.Sprintf("did you mean %q?", w))
				break
			}
		}
	}
	panic(failure{})
}

// Near says that one letter more, less, or other, or two exchanged, make a of b.
func Near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || a == b {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

func (p *parser) subsystem(t cpp.Token) Statement {
	s := &Subsystem{Pos: t.Pos}
	for {
		if p.acceptWord("kernelserver") {
			s.KernelServer = true
		} else if p.acceptWord("kerneluser") {
			s.KernelUser = true
		} else {
			break
		}
	}
	s.Name = p.name("the name of the subsystem")
	s.Base = p.number("the number of the subsystem's first message")
	p.doing = "subsystem " + strconv.Quote(s.Name.Name)
	return s
}

// raw takes an unquoted string: [-/._$A-Za-z0-9]+, without space in it.
func (p *parser) raw(after string) string {
	var b strings.Builder
	for {
		t := p.peek()
		ok := t.Kind == cpp.Ident || t.Kind == cpp.Number || t.Is("-") || t.Is("/") || t.Is(".") || t.Is("...")
		if !ok || b.Len() > 0 && t.Space {
			break
		}
		b.WriteString(t.Text)
		p.at++
	}
	if b.Len() == 0 {
		p.fail(p.peek(), "expected a C name or number after %q, found %s", after, p.found(p.peek()))
	}
	return b.String()
}

// fileName takes "NAME" or <NAME>.
func (p *parser) fileName(after string) string {
	t := p.next()
	if t.Kind == cpp.String {
		return t.Text
	}
	if !t.Is("<") {
		p.fail(t, "expected \"FILE\" or <FILE> after %q, found %s", after, p.found(t))
	}
	var b strings.Builder
	b.WriteByte('<')
	for {
		n := p.peek()
		if n.Kind == cpp.EOF || n.Start || n.Is(";") {
			p.fail(p.missing(n, ">"), "expected \">\" after the file name, found %s", p.found(n))
		}
		p.at++
		b.WriteString(n.Text)
		if n.Is(">") {
			return b.String()
		}
	}
}
