package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/finding"
)

// makeWithSymbols makes Foo.app with a dSYM in the folder that is given, and returns the line of the call.
func makeWithSymbols(t *testing.T, app, symbols string) {
	t.Helper()
	m := newMaker(t)
	// dsymutil reads the object file where the linker found it.
	path := m.link(filepath.Join(app, "Foo"), m.object("handler.c", "-DMAIN", "-g"))
	run(t, "dsymutil-19", "-o", filepath.Join(symbols, filepath.Base(app)+".dSYM"), path)
	run(t, "llvm-strip-19", "-S", path)
}

func expectLine(t *testing.T, f finding.Finding) {
	t.Helper()
	source := strings.Split(string(read(t, "testdata/handler.c")), "\n")
	if filepath.Base(f.Where.File) != "handler.c" || f.Where.Line < 1 || f.Where.Line > len(source) ||
		!strings.Contains(source[f.Where.Line-1], f.Callee) {
		t.Errorf("%s: %q line %d", f.Where.Path, f.Where.File, f.Where.Line)
	}
}

// Debug symbols give lines wherever they were met.
func TestLines(t *testing.T) {
	dir := t.TempDir()
	at := func(p string) string { return filepath.Join(dir, p) }
	makeWithSymbols(t, at("in/Products/Foo.app"), at("in/dSYMs"))
	one := func(r *finding.Report) finding.Finding {
		t.Helper()
		if len(r.Findings) != 1 {
			t.Fatalf("%d findings", len(r.Findings))
		}
		return r.Findings[0]
	}
	if f := one(checkAll(t, Options{}, at("in/Products"))); f.Where.File != "" || f.Where.Line != 0 {
		t.Errorf("lines without symbols: %+v", f.Where)
	}
	expectLine(t, one(checkAll(t, Options{}, at("in"))))
	expectLine(t, one(checkAll(t, Options{}, at("in/Products"), at("in/dSYMs"))))
	expectLine(t, one(checkAll(t, Options{}, zipOf(t, at("in"), at("in.zip")))))
	// Symbols that lie elsewhere are found where the user says, also in an archive; an unstripped copy will do.
	expectLine(t, one(checkAll(t, Options{Symbols: []string{at("in/dSYMs")}}, at("in/Products"))))
	expectLine(t, one(checkAll(t, Options{Symbols: []string{zipOf(t, at("in/dSYMs"), at("dSYMs.zip"))}}, at("in/Products"))))
	empty := filepath.Join(t.TempDir(), "none")
	write(t, empty, nil)
	if r := checkAll(t, Options{Symbols: []string{empty}}, at("in/Products")); len(r.Notes) != 1 ||
		one(r).Where.Line != 0 {
		t.Errorf("no symbols at the path: %+v", r)
	}
	// Two copies of one build share the symbols.
	write(t, at("in/Copies/Foo"), read(t, at("in/Products/Foo.app/Foo")))
	r := checkAll(t, Options{}, at("in"))
	if len(r.Findings) != 2 {
		t.Fatalf("%d findings", len(r.Findings))
	}
	for _, f := range r.Findings {
		expectLine(t, f)
	}
	// Symbols of another build are not taken.
	m := newMaker(t)
	other := m.link(at("other/Foo"), m.object("handler.c", "-DMAIN", "-DNAME=other", "-g"))
	run(t, "dsymutil-19", "-o", at("mixed/Foo.app.dSYM"), other)
	write(t, at("mixed/Foo.app/Foo"), read(t, at("in/Products/Foo.app/Foo")))
	if f := one(checkAll(t, Options{}, at("mixed"))); f.Where.Line != 0 {
		t.Errorf("lines of another build: %+v", f.Where)
	}
}

// A dSYM beside what is checked is found, though it is not among it.
func TestLinesBeside(t *testing.T) {
	dir := t.TempDir()
	app := filepath.Join(dir, "Foo.app")
	makeWithSymbols(t, app, dir)
	for _, path := range []string{app, filepath.Join(app, "Foo")} {
		r := checkAll(t, Options{}, path)
		if len(r.Findings) != 1 {
			t.Fatalf("%d findings", len(r.Findings))
		}
		expectLine(t, r.Findings[0])
	}
	// One that is cut off gives no lines and disturbs nothing.
	dwarf := filepath.Join(dir, "Foo.app.dSYM/Contents/Resources/DWARF/Foo")
	for _, size := range []int64{0, 10, 1000, int64(len(read(t, dwarf))) / 2} {
		if err := os.Truncate(dwarf, size); err != nil {
			t.Fatal(err)
		}
		if r := checkAll(t, Options{}, app); len(r.Findings) != 1 {
			t.Errorf("symbols cut off at %d: %d findings", size, len(r.Findings))
		}
	}
}

// A function that was stripped of its name gets it back from the debug symbols, and those inlined into it are told.
func TestInlined(t *testing.T) {
	dir := t.TempDir()
	at := func(p string) string { return filepath.Join(dir, p) }
	m := newMaker(t)
	path := m.link(at("Foo"), m.object("handler.c", "-DMAIN", "-DINLINE", "-g"))
	run(t, "dsymutil-19", "-o", at("symbols/Foo.dSYM"), path)
	run(t, "llvm-strip-19", "-S", "-x", path)
	r := checkAll(t, Options{Symbols: []string{at("symbols")}}, path)
	if len(r.Findings) != 1 {
		t.Fatalf("%d findings", len(r.Findings))
	}
	f := r.Findings[0]
	expectLine(t, f)
	if len(f.Where.Inlined) != 1 || f.Where.Inlined[0].Function != "install_handler" || f.Where.Inlined[0].Line == 0 {
		t.Errorf("inlined: %+v", f.Where.Inlined)
	}
	if f.Where.Function != "_setup" || has(f, "the function has no name in the file") {
		t.Errorf("function %q, evidence %q", f.Where.Function, f.Evidence)
	}
}
