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
	System  map[string][]byte            // what #include finds where no folder has the file, by the name it asks for
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

// find looks a file up: beside the one that includes it where it is quoted, then in the folders of the configuration,
// and at last among the system's.
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
	if text, ok := p.config.System[name]; ok {
		return "<built in>/" + name, text, nil
	}
	return "", nil, fs.ErrNotExist
}
