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
