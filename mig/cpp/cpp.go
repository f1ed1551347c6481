// Package cpp is the C preprocessor that interface definitions are written for, as far as they use it: #include, macros
// with and without arguments, # and ##, #if with its expressions, #error, #warning, #line.
//
// The compiler brings its own instead of starting the system's for three reasons. Interface definitions must compile
// where no C compiler is installed. Errors must point at the column in the user's file, not at a line of preprocessed
// text. And the text may come from anywhere: everything here is bounded, in depth, in size and in what macros expand
// to.
package cpp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"portcullis.dev/mig/source"
)

// Bounds on what a compilation may read and write.
const (
	maxDepth     = 64       // files that include each other
	maxInput     = 32 << 20 // bytes read, all files together
	maxTokens    = 1 << 20  // tokens that reach the parser
	maxExpansion = 1 << 18  // tokens that macros write
	maxToken     = 64 << 10 // bytes of a token that ## makes
	maxIncludes  = 4096     // files read, counting one as often as it is included
)

// Config says where files are and what is defined before the first line.
type Config struct {
	Include []string                     // folders for #include, searched in order
	Define  []string                     // "NAME" or "NAME=VALUE", as after -D
	Undef   []string                     // names that are not defined after all, as after -U
	Read    func(string) ([]byte, error) // reads a file; nil: from the disk
}

// Preprocessor turns files into tokens.
type Preprocessor struct {
	config  Config
	errs    *source.List
	macros  map[string]*macro
	files   map[string][]byte
	once    map[string]bool
	read    int
	count   int
	written int
	overrun bool
	out     []Token
	depth   int
}

// Process reads the file at path and everything it includes and returns the tokens that remain, without the end.
// Errors go to errs; what can be read is returned in spite of them.
func Process(c Config, path string, errs *source.List) []Token {
	p := &Preprocessor{config: c, errs: errs, macros: map[string]*macro{}, files: map[string][]byte{},
		once: map[string]bool{}}
	for _, d := range c.Define {
		p.commandLine(d)
	}
	for _, name := range c.Undef {
		delete(p.macros, name)
	}
	text, err := p.load(path)
	if err != nil {
		errs.Errorf(source.Pos{}, "", "cannot read %s: %v", path, cause(err))
		return nil
	}
	p.file(&source.File{Name: path, Text: text})
	return p.out
}

// commandLine defines what -D NAME[=VALUE] says.
func (p *Preprocessor) commandLine(d string) {
	name, value, ok := strings.Cut(d, "=")
	if !ok {
		value = "1"
	}
	f := &source.File{Name: "<command line>", Text: []byte(name + " " + value + "\n")}
	p.define(newLexer(f, p.errs))
}

// load reads a file once.
func (p *Preprocessor) load(path string) ([]byte, error) {
	if text, ok := p.files[path]; ok {
		return text, nil
	}
	read := p.config.Read
	if read == nil {
		read = readFile
	}
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	if p.read += len(text); p.read > maxInput {
		return nil, fmt.Errorf("more than %d MiB of text", maxInput>>20)
	}
	p.files[path] = text
	return text, nil
}

func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	case st.Size() > maxInput:
		return nil, fmt.Errorf("is larger than %d MiB", maxInput>>20)
	}
	return os.ReadFile(path)
}

// cause strips the operation and name that package os puts before an error.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// condition is an #if that is open.
type condition struct {
	directive Token
	taken     bool // a group of it was live
	live      bool // this group is
	outer     bool // the text around it is
	elseSeen  bool
}

// file reads one file to its end.
func (p *Preprocessor) file(f *source.File) {
	l := newLexer(f, p.errs)
	var open []condition
	live := func() bool { return len(open) == 0 || open[len(open)-1].live }
	s := &stream{}
	s.more = func() Token {
		for {
			t := l.next()
			if t.Start && t.Is("#") {
				// A directive between the arguments of a macro acts at once, as with GNU cpp.
				p.directive(l, t, &open)
				l.quiet = !live()
				continue
			}
			if t.Kind == EOF || live() {
				return t
			}
		}
	}
	for {
		t := s.next()
		if t.Kind == EOF {
			break
		}
		if t.Kind == newline || p.expand(s, &t) {
			continue
		}
		if p.overrun || p.errs.Full() {
			return
		}
		if len(p.out) >= maxTokens {
			p.errs.Errorf(t.Pos, t.Text, "more than %d tokens", maxTokens)
			p.overrun = true
			return
		}
		p.out = append(p.out, t)
	}
	for _, c := range open {
		p.errs.Errorf(c.directive.Pos, "#", "conditional is not closed: expected \"#endif\" before the end of the file")
	}
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

// include obeys an #include.
func (p *Preprocessor) include(l *lexer, t Token) {
	from := l.at
	name, quoted, ok := l.headerName()
	line := rest(l)
	if !ok {
		var b strings.Builder
		for _, t := range p.expandAll(line) {
			b.WriteString(t.Text)
		}
		if s := b.String(); len(s) > 2 && (s[0] == '<' && s[len(s)-1] == '>' || s[0] == '"' && s[len(s)-1] == '"') {
			name, quoted, ok = s[1:len(s)-1], s[0] == '"', true
		}
	}
	if !ok {
		p.errs.Errorf(t.Pos, t.Text, "expected \"FILE\" or <FILE> after \"#%s\"", t.Text)
		return
	}
	at := l.pos(from + 1)
	path, text, err := p.find(name, quoted, at)
	if err != nil {
		d := p.errs.Errorf(at, strings.Repeat("x", len(name)+2), "cannot include %q: %v", name, cause(err))
		if errors.Is(err, fs.ErrNotExist) {
			d.Notes = append(d.Notes, "folders are added with -I")
		}
		return
	}
	if p.once[path] {
		return
	}
	p.count++
	if p.depth++; p.depth > maxDepth || p.count > maxIncludes {
		p.errs.Errorf(at, name, "%q is included %d files deep, or as the %dth file: does it include itself?", name,
			p.depth, p.count)
		p.overrun = true
		return
	}
	p.file(&source.File{Name: path, Text: text, From: at})
	p.depth--
}

// find looks a file up: beside the one that includes it where it is quoted, then in the folders of the configuration.
func (p *Preprocessor) find(name string, quoted bool, at source.Pos) (string, []byte, error) {
	var dirs []string
	if filepath.IsAbs(name) {
		dirs = []string{""}
	} else {
		if quoted {
			dirs = append(dirs, filepath.Dir(at.File.Name))
		}
		dirs = append(dirs, p.config.Include...)
	}
	for _, d := range dirs {
		path := filepath.Join(d, name)
		text, err := p.load(path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return path, text, err
		}
	}
	return "", nil, fs.ErrNotExist
}
