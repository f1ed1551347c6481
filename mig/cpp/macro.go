package cpp

import "strings"

// macro is a #define.
type macro struct {
	name     string
	function bool
	variadic bool
	params   []string
	body     []Token
}

// hideset is the list of macros whose expansion a token stems from: it is not expanded by them again. This is how the C
// standard's rule against endless expansion is commonly implemented (Prosser, X3J11/86-196).
type hideset struct {
	name string
	next *hideset
}

func (h *hideset) has(name string) bool {
	for ; h != nil; h = h.next {
		if h.name == name {
			return true
		}
	}
	return false
}

func (h *hideset) with(name string) *hideset {
	if h.has(name) {
		return h
	}
	return &hideset{name, h}
}

func (h *hideset) union(o *hideset) *hideset {
	for ; o != nil; o = o.next {
		h = h.with(o.name)
	}
	return h
}

func (h *hideset) intersect(o *hideset) (r *hideset) {
	for ; h != nil; h = h.next {
		if o.has(h.name) {
			r = r.with(h.name)
		}
	}
	return r
}

// stream is a source of tokens with push-back: the file, or a list.
type stream struct {
	pending []Token // in reverse order
	more    func() Token
}

func (s *stream) next() Token {
	if n := len(s.pending); n > 0 {
		t := s.pending[n-1]
		s.pending = s.pending[:n-1]
		return t
	}
	if s.more == nil {
		return Token{Kind: EOF}
	}
	return s.more()
}

func (s *stream) push(tokens ...Token) {
	for i := len(tokens) - 1; i >= 0; i-- {
		s.pending = append(s.pending, tokens[i])
	}
}

func listStream(tokens []Token) *stream {
	s := &stream{}
	s.push(tokens...)
	return s
}

// expandAll expands every macro in a list of tokens.
func (p *Preprocessor) expandAll(tokens []Token) []Token {
	var out []Token
	s := listStream(tokens)
	for {
		t := s.next()
		if t.Kind == EOF {
			return out
		}
		if !p.expand(s, &t) {
			out = append(out, t)
		}
		if p.overrun {
			return out
		}
	}
}

// expand replaces t by its expansion, pushed back onto s, and reports whether it was a macro.
func (p *Preprocessor) expand(s *stream, t *Token) bool {
	if t.Kind != Ident || p.overrun {
		return false
	}
	m := p.macros[t.Text]
	if m == nil {
		return p.builtin(s, t)
	}
	if t.hide.has(m.name) {
		return false
	}
	if !m.function {
		p.pushBody(s, t, p.substitute(m, nil, t), t.hide.with(m.name))
		return true
	}
	args, closing, ok := p.arguments(s, m, t)
	if !ok {
		return false
	}
	p.pushBody(s, t, p.substitute(m, args, t), t.hide.intersect(closing.hide).with(m.name))
	return true
}

// pushBody puts an expansion back for another look, within the limit on how much macros may write.
func (p *Preprocessor) pushBody(s *stream, t *Token, body []Token, hide *hideset) {
	if !p.spend(t, len(body)+1) {
		return
	}
	for i := range body {
		body[i].hide = body[i].hide.union(hide)
		body[i].Pos = t.Pos
		body[i].Start = false
	}
	if len(body) > 0 {
		body[0].Space = t.Space
	}
	s.push(body...)
}

// spend counts tokens that macros write.
func (p *Preprocessor) spend(t *Token, n int) bool {
	p.written += n
	if p.written > maxExpansion && !p.overrun {
		p.overrun = true
		p.errs.Errorf(t.Pos, t.Text, "macros expand to more than %d tokens", maxExpansion)
	}
	return !p.overrun
}

func (p *Preprocessor) builtin(s *stream, t *Token) bool {
	switch t.Text {
	case "__LINE__":
		_, line, _ := t.Pos.Place()
		s.push(Token{Kind: Number, Text: itoa(line), Pos: t.Pos, Space: t.Space})
	case "__FILE__":
		name, _, _ := t.Pos.Place()
		s.push(Token{Kind: String, Text: "\"" + name + "\"", Pos: t.Pos, Space: t.Space})
	default:
		return false
	}
	return true
}

// arguments reads the arguments of a use of a function-like macro. Without a "(" it is no use, and nothing is taken.
func (p *Preprocessor) arguments(s *stream, m *macro, name *Token) (args [][]Token, closing Token, ok bool) {
	var skipped []Token
	for {
		t := s.next()
		skipped = append(skipped, t)
		if t.Kind == newline {
			continue
		}
		if !t.Is("(") {
			s.push(skipped...)
			return nil, t, false
		}
		break
	}
	var arg []Token
	for depth, n := 1, 0; ; n++ {
		t := s.next()
		switch {
		case t.Kind == EOF || n > maxExpansion:
			p.errs.Errorf(name.Pos, name.Text, "arguments of macro %q are not closed: expected \")\"", m.name)
			s.push(t)
			return nil, t, false
		case t.Kind == newline:
			continue
		case t.Is("("):
			depth++
		case t.Is(")"):
			if depth--; depth == 0 {
				args = append(args, arg)
				return p.checkArguments(m, name, args, t)
			}
		case t.Is(",") && depth == 1 && (!m.variadic || len(args) < len(m.params)-1):
			args = append(args, arg)
			arg = nil
			continue
		}
		arg = append(arg, t)
	}
}

func (p *Preprocessor) checkArguments(m *macro, name *Token, args [][]Token, closing Token) ([][]Token, Token, bool) {
	if len(m.params) == 0 && len(args) == 1 && len(args[0]) == 0 {
		args = nil
	}
	if m.variadic && len(args) == len(m.params)-1 {
		args = append(args, nil)
	}
	if len(args) != len(m.params) {
		p.errs.Errorf(name.Pos, name.Text, "macro %q takes %d arguments, not %d", m.name, len(m.params), len(args))
		for len(args) < len(m.params) {
			args = append(args, nil)
		}
		args = args[:len(m.params)]
	}
	return args, closing, true
}

// substitute returns the body of m with its parameters replaced.
func (p *Preprocessor) substitute(m *macro, args [][]Token, use *Token) []Token {
	var out []Token
	expanded := make([][]Token, len(args))
	done := make([]bool, len(args))
	param := func(t *Token) int {
		if t.Kind == Ident {
			for i, n := range m.params {
				if n == t.Text {
					return i
				}
			}
		}
		return -1
	}
	for i := 0; i < len(m.body) && !p.overrun; i++ {
		t := m.body[i]
		if m.function && t.Is("#") && i+1 < len(m.body) {
			if k := param(&m.body[i+1]); k >= 0 {
				out = append(out, Token{Kind: String, Text: stringify(args[k]), Space: t.Space})
				i++
				continue
			}
		}
		if t.Is("##") && len(out) > 0 && i+1 < len(m.body) {
			i++
			right := []Token{m.body[i]}
			if k := param(&m.body[i]); k >= 0 {
				right = args[k]
			}
			out = p.paste(out, right, use)
			continue
		}
		k := param(&t)
		if k < 0 {
			out = append(out, t)
			continue
		}
		if i+1 < len(m.body) && m.body[i+1].Is("##") {
			if len(args[k]) == 0 {
				out = append(out, Token{Kind: placeholder})
			}
			out = append(out, args[k]...)
		} else {
			if !done[k] {
				expanded[k], done[k] = p.expandAll(args[k]), true
			}
			if !p.spend(use, len(expanded[k])) {
				break
			}
			from := len(out)
			out = append(out, expanded[k]...)
			if len(out) > from {
				out[from].Space = t.Space
			}
		}
	}
	n := 0
	for _, t := range out {
		if t.Kind != placeholder {
			out[n] = t
			n++
		}
	}
	return out[:n]
}

// paste joins the last of left with the first of right.
func (p *Preprocessor) paste(left, right []Token, use *Token) []Token {
	if len(right) == 0 {
		return left
	}
	last := &left[len(left)-1]
	if last.Kind == placeholder {
		first := right[0]
		first.Space = last.Space
		*last = first
		return append(left, right[1:]...)
	}
	text := last.Text + right[0].Text
	if len(text) > maxToken {
		p.spend(use, maxExpansion+1)
		return left
	}
	switch {
	case last.Kind == Ident || last.Kind == Number:
	case strings.Contains(" ## << >> <= >= == != && || ", " "+text+" "):
	default:
		p.errs.Errorf(use.Pos, use.Text, "\"##\" joins %q and %q, which is not a word", last.Text, right[0].Text)
	}
	last.Text = text
	last.hide = last.hide.intersect(right[0].hide)
	return append(left, right[1:]...)
}

func stringify(arg []Token) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, t := range arg {
		if i > 0 && t.Space {
			b.WriteByte(' ')
		}
		for _, c := range []byte(t.Text) {
			if (c == '"' || c == '\\') && (t.Kind == String || t.Kind == Char) {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
