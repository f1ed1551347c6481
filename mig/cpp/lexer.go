package cpp

import (
	"bytes"

	"portcullis.dev/mig/source"
)

// Kind says what a token is.
type Kind uint8

const (
	EOF    Kind = iota
	Ident       // a word
	Number      // what C calls a preprocessing number: a digit and what may follow it
	String      // "..." with its quotes
	Char        // '...' with its quotes
	Punct       // one of C's operators, or any single byte

	newline     // ends a directive; never leaves the package
	placeholder // an empty argument beside ##
)

// Token is a word of the text.
type Token struct {
	Kind  Kind
	Space bool // white space stood before it
	Start bool // it is the first of its line
	Text  string
	Pos   source.Pos // where it stands or, where a macro wrote it, where the macro was used

	hide *hideset
}

// Is says that the token is the punctuation s.
func (t *Token) Is(s string) bool { return t.Kind == Punct && t.Text == s }

// splice stands in the text for the two bytes of a backslash before the end of a line.
const splice = 0x01

// lexer cuts one file into tokens.
type lexer struct {
	file  *source.File
	text  []byte // with splices marked
	at    int
	start bool
	errs  *source.List
	quiet bool // in a group that is skipped: no errors about its text
}

func newLexer(f *source.File, errs *source.List) *lexer {
	text := f.Text
	if bytes.Contains(text, []byte("\\\n")) || bytes.Contains(text, []byte("\\\r\n")) {
		text = bytes.ReplaceAll(text, []byte("\\\r\n"), []byte{splice, splice, splice})
		text = bytes.ReplaceAll(text, []byte("\\\n"), []byte{splice, splice})
	}
	return &lexer{file: f, text: text, start: true, errs: errs}
}

func isLetter(c byte) bool {
	return c == '_' || c == '$' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// word returns text[from:at] without splices.
func (l *lexer) word(from int) string {
	w := l.text[from:l.at]
	if bytes.IndexByte(w, splice) >= 0 {
		w = bytes.ReplaceAll(w, []byte{splice}, nil)
	}
	return string(w)
}

func (l *lexer) pos(at int) source.Pos { return source.Pos{File: l.file, Offset: int32(at)} }

// next returns the next token; a newline token at the end of each line.
func (l *lexer) next() Token {
	space := false
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' || c == splice:
			l.at++
			space = true
		case c == '/' && l.peek(1) == '/':
			for l.at < len(l.text) && l.text[l.at] != '\n' {
				l.at++
			}
			space = true
		case c == '/' && l.peek(1) == '*':
			l.comment()
			space = true
		default:
			return l.token(c, space)
		}
	}
	return Token{Kind: EOF, Space: space, Start: true, Pos: l.pos(l.at)}
}

func (l *lexer) peek(n int) byte {
	if l.at+n < len(l.text) {
		return l.text[l.at+n]
	}
	return 0
}

func (l *lexer) comment() {
	end := bytes.Index(l.text[l.at+2:], []byte("*/"))
	if end < 0 {
		l.errs.Errorf(l.pos(l.at), "/*", "comment is not closed: expected \"*/\" before the end of the file")
		l.at = len(l.text)
		return
	}
	l.at += 2 + end + 2
}

// token reads the token that begins with c.
func (l *lexer) token(c byte, space bool) Token {
	from := l.at
	t := Token{Space: space, Start: l.start, Pos: l.pos(from)}
	l.start = false
	switch {
	case c == '\n':
		l.at++
		l.start = true
		t.Kind = newline
	case isLetter(c):
		for l.at < len(l.text) && (isLetter(l.text[l.at]) || isDigit(l.text[l.at]) || l.text[l.at] == splice) {
			l.at++
		}
		t.Kind, t.Text = Ident, l.word(from)
	case isDigit(c):
		for l.at < len(l.text) && (isLetter(l.text[l.at]) || isDigit(l.text[l.at]) || l.text[l.at] == '.' ||
			l.text[l.at] == splice) {
			l.at++
		}
		t.Kind, t.Text = Number, l.word(from)
	case c == '"' || c == '\'':
		t.Kind, t.Text = l.quoted(c)
	default:
		t.Kind, t.Text = Punct, l.punct()
	}
	return t
}

// quoted reads a string or a character constant. One that does not end on its line is a lone quote.
func (l *lexer) quoted(q byte) (Kind, string) {
	from := l.at
	for i := from + 1; i < len(l.text) && l.text[i] != '\n'; i++ {
		switch l.text[i] {
		case '\\':
			i++
		case q:
			l.at = i + 1
			if q == '"' {
				return String, l.word(from)
			}
			return Char, l.word(from)
		}
	}
	if q == '"' && !l.quiet {
		l.errs.Errorf(l.pos(from), "\"", "string is not closed: expected a '\"' on the same line")
	}
	l.at++
	return Punct, string(q)
}

// operators of two characters; those of one are any byte.
var operators = [...]string{"##", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||"}

func (l *lexer) punct() string {
	for _, op := range operators {
		if l.text[l.at] == op[0] && l.peek(1) == op[1] {
			l.at += 2
			return op
		}
	}
	if l.text[l.at] == '.' && l.peek(1) == '.' && l.peek(2) == '.' {
		l.at += 3
		return "..."
	}
	l.at++
	return string(l.text[l.at-1 : l.at])
}

// headerName reads <name> or "name" at the place of the lexer, on this line.
func (l *lexer) headerName() (name string, quoted, ok bool) {
	for l.at < len(l.text) && (l.text[l.at] == ' ' || l.text[l.at] == '\t') {
		l.at++
	}
	end := byte('>')
	switch l.peek(0) {
	case '<':
	case '"':
		end, quoted = '"', true
	default:
		return "", false, false
	}
	for i := l.at + 1; i < len(l.text) && l.text[i] != '\n'; i++ {
		if l.text[i] == end {
			name = string(l.text[l.at+1 : i])
			l.at = i + 1
			return name, quoted, name != ""
		}
	}
	return "", quoted, false
}
