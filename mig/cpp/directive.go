package cpp

import (
	"strconv"
	"strings"
)

// condition is an #if that is open.
type condition struct {
	directive Token
	taken     bool // a group of it was live
	live      bool // this group is
	outer     bool // the text around it is
	elseSeen  bool
}

// rest reads the tokens up to the end of the line.
func rest(l *lexer) []Token {
	var out []Token
	for {
		t := l.next()
		if t.Kind == newline || t.Kind == EOF {
			return out
		}
		out = append(out, t)
	}
}

// directive obeys the line that begins with hash.
func (p *Preprocessor) directive(l *lexer, hash Token, open *[]condition) {
	live := len(*open) == 0 || (*open)[len(*open)-1].live
	l.quiet = !live
	t := l.next()
	if t.Kind == newline || t.Kind == EOF {
		return
	}
	if t.Kind == Number && live {
		p.lineMarker(l, t)
		return
	}
	switch t.Text {
	case "if", "ifdef", "ifndef":
		c := condition{directive: hash, outer: live}
		if live {
			c.live = p.holds(t.Text, l, t)
			c.taken = c.live
		} else {
			rest(l)
		}
		*open = append(*open, c)
		return
	case "elif", "else", "endif":
		p.branch(l, t, open)
		return
	}
	if !live {
		rest(l)
		return
	}
	switch t.Text {
	case "include", "import", "include_next":
		p.include(l, t)
	case "define":
		p.define(l)
	case "undef":
		if name := l.next(); name.Kind == Ident {
			delete(p.macros, name.Text)
		} else {
			p.errs.Errorf(name.Pos, name.Text, "expected a name after \"#undef\", found %s", describe(name))
			if name.Kind == newline {
				return
			}
		}
		rest(l)
	case "line":
		p.lineMarker(l, l.next())
	case "error", "warning":
		p.complain(l, t)
	case "pragma":
		if words := rest(l); len(words) == 1 && words[0].Text == "once" {
			p.once[l.file.Name] = true
		}
	case "ident", "sccs":
		rest(l)
	default:
		p.errs.Errorf(t.Pos, t.Text, "unknown directive %q", "#"+t.Text)
		rest(l)
	}
}

func (p *Preprocessor) complain(l *lexer, t Token) {
	from := l.at
	rest(l)
	text := strings.TrimSpace(strings.ReplaceAll(string(l.text[from:min(l.at, len(l.text))]), "\x01", ""))
	if t.Text == "error" {
		p.errs.Errorf(t.Pos, t.Text, "#error: %s", text)
	} else {
		p.errs.Warnf(t.Pos, t.Text, "#warning: %s", text)
	}
}

// lineMarker obeys "# 12 "file"" and "#line 12 "file"".
func (p *Preprocessor) lineMarker(l *lexer, number Token) {
	n, err := strconv.Atoi(number.Text)
	if err != nil || n < 0 || number.Kind != Number {
		p.errs.Errorf(number.Pos, number.Text, "expected a line number, found %s", describe(number))
		if number.Kind != newline {
			rest(l)
		}
		return
	}
	name := ""
	if words := rest(l); len(words) > 0 && words[0].Kind == String {
		name = strings.Trim(words[0].Text, "\"")
	}
	l.file.Rename(number.Pos.Offset, n, name)
}

// holds evaluates the condition of an #if, #ifdef, #ifndef or #elif.
func (p *Preprocessor) holds(word string, l *lexer, at Token) bool {
	line := rest(l)
	if word == "ifdef" || word == "ifndef" {
		if len(line) == 0 || line[0].Kind != Ident {
			p.errs.Errorf(at.Pos, at.Text, "expected a name after \"#%s\"", word)
			return false
		}
		return (p.macros[line[0].Text] != nil) == (word == "ifdef")
	}
	if len(line) == 0 {
		p.errs.Errorf(at.Pos, at.Text, "expected an expression after \"#%s\"", word)
		return false
	}
	line = p.expandAll(p.defined(line))
	e := &evaluator{tokens: line, end: l.pos(max(l.at-1, 0)), errs: p.errs}
	v := e.ternary(true)
	if e.at < len(line) && !e.failed {
		e.fail(line[e.at], "expected the end of the expression, found %s", describe(line[e.at]))
	}
	return v != 0 && !e.failed
}

// defined replaces defined(NAME) and __has_include(...) by 0 or 1.
func (p *Preprocessor) defined(line []Token) []Token {
	var out []Token
	for i := 0; i < len(line); i++ {
		t := line[i]
		if t.Kind != Ident || t.Text != "defined" && !strings.HasPrefix(t.Text, "__has_") || p.macros[t.Text] != nil {
			out = append(out, t)
			continue
		}
		value := "0"
		switch {
		case t.Text == "defined" && i+1 < len(line) && line[i+1].Kind == Ident:
			i++
			if p.macros[line[i].Text] != nil {
				value = "1"
			}
		case t.Text == "defined" && i+3 < len(line) && line[i+1].Is("(") && line[i+3].Is(")"):
			if p.macros[line[i+2].Text] != nil {
				value = "1"
			}
			i += 3
		case t.Text == "defined":
			p.errs.Errorf(t.Pos, t.Text, "expected a name after \"defined\"")
		case i+1 < len(line) && line[i+1].Is("("): // a question to the C compiler: no, but for files
			name, depth := "", 0
			for i++; i < len(line); i++ {
				if line[i].Is("(") {
					depth++
				} else if line[i].Is(")") {
					if depth--; depth == 0 {
						break
					}
				} else {
					name += line[i].Text
				}
			}
			if t.Text == "__has_include" && len(name) > 2 {
				if _, _, err := p.find(name[1:len(name)-1], name[0] == '"', t.Pos); err == nil {
					value = "1"
				}
			}
		}
		out = append(out, Token{Kind: Number, Text: value, Pos: t.Pos, Space: t.Space})
	}
	return out
}

// branch obeys #elif, #else and #endif.
func (p *Preprocessor) branch(l *lexer, t Token, open *[]condition) {
	if len(*open) == 0 {
		p.errs.Errorf(t.Pos, t.Text, "\"#%s\" without \"#if\"", t.Text)
		rest(l)
		return
	}
	c := &(*open)[len(*open)-1]
	switch {
	case t.Text == "endif":
		*open = (*open)[:len(*open)-1]
		rest(l)
		return
	case c.elseSeen:
		p.errs.Errorf(t.Pos, t.Text, "\"#%s\" after \"#else\"", t.Text)
		rest(l)
	case t.Text == "else":
		c.elseSeen = true
		c.live = c.outer && !c.taken
		rest(l)
	case c.outer && !c.taken:
		l.quiet = false
		c.live = p.holds("elif", l, t)
	default:
		c.live = false
		rest(l)
	}
	c.taken = c.taken || c.live
}

// define obeys the rest of a #define line.
func (p *Preprocessor) define(l *lexer) {
	name := l.next()
	if name.Kind != Ident || name.Text == "defined" {
		p.errs.Errorf(name.Pos, name.Text, "expected a name after \"#define\", found %s", describe(name))
		if name.Kind != newline && name.Kind != EOF {
			rest(l)
		}
		return
	}
	m := &macro{name: name.Text}
	body := rest(l)
	if len(body) > 0 && body[0].Is("(") && !body[0].Space {
		m.function = true
		end := p.parameters(m, body)
		if end < 0 {
			p.errs.Errorf(name.Pos, name.Text, "expected names, commas and \")\" in the parameters of macro %q", m.name)
			return
		}
		body = body[end:]
	}
	if n := len(body); n > 0 && (body[0].Is("##") || body[n-1].Is("##")) {
		p.errs.Errorf(name.Pos, name.Text, "\"##\" at an end of macro %q joins nothing", m.name)
		return
	}
	m.body = body
	p.macros[m.name] = m
}

// parameters reads the parameter list at the start of a macro's body and returns its length, or -1.
func (p *Preprocessor) parameters(m *macro, body []Token) int {
	for i := 1; i < len(body); i++ {
		switch t := body[i]; {
		case t.Is(")") && i == 1:
			return i + 1
		case t.Is("..."):
			m.variadic = true
			m.params = append(m.params, "__VA_ARGS__")
		case t.Kind == Ident:
			m.params = append(m.params, t.Text)
			if i+1 < len(body) && body[i+1].Is("...") {
				m.variadic = true
				i++
			}
		default:
			return -1
		}
		if i++; i >= len(body) {
			return -1
		}
		if body[i].Is(")") {
			return i + 1
		}
		if !body[i].Is(",") || m.variadic {
			return -1
		}
	}
	return -1
}
