package cgen_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/mig"
	"portcullis.dev/mig/cgen"
)

var update = flag.Bool("update", false, "rewrite golden files")

// objects is the header that testdata/golden/layout.defs imports for its translations.
const objects = `typedef struct object *obj_t;
extern obj_t port_to_obj(mach_port_t);
extern mach_port_t obj_to_port(obj_t);
extern void obj_release(obj_t);
`

// TestCompile compiles stubs that between them have every kind of argument, with every C compiler there is, without a
// warning. The structures assert their sizes themselves.
func TestCompile(t *testing.T) {
	var compilers []string
	for _, c := range []string{"gcc", "clang", "clang-19"} {
		if p, err := exec.LookPath(c); err == nil {
			compilers = append(compilers, p)
		}
	}
	if len(compilers) == 0 {
		t.Skip("no C compiler is installed")
	}
	files := generate(t, "../testdata/golden/layout.defs", mig.Options{})
	dir := t.TempDir()
	files = append(files, cgen.File{Name: "obj.h", Data: []byte(objects)})
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range compilers {
		for _, f := range files {
			if !strings.HasSuffix(f.Name, ".c") {
				continue
			}
			cmd := exec.Command(c, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-c", "-o", os.DevNull, f.Name)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s %s: %v\n%s", c, f.Name, err, out)
			}
		}
	}
}

// generate compiles an interface.
func generate(t *testing.T, defs string, options mig.Options) []cgen.File {
	t.Helper()
	i, errs := mig.Compile(defs, options)
	if errs.Errors() > 0 {
		t.Fatal(errs.All[0].String())
	}
	files, err := cgen.Generate(i)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRoom: the caller's count says how much room there is with CountInOut alone. Otherwise the arrays have room for as
// many elements as the type has, whatever the count was before: real programs leave it 0.
func TestRoom(t *testing.T) {
	const defs = `subsystem room 100;
type uint32_t = MACH_MSG_TYPE_INTEGER_32;
type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
type words_t = array[*:8] of uint32_t;
type ports_t = array[*:8] of mach_port_t;
routine fixed(port : mach_port_t; out words : words_t; out ports : ports_t, SameCount);
routine asked(port : mach_port_t; out given : words_t, CountInOut);
`
	files := generate(t, "room.defs", mig.Options{Read: func(string) ([]byte, error) { return []byte(defs), nil }})
	for _, f := range files {
		if f.Name != "roomUser.c" {
			continue
		}
		b := string(f.Data)
		if strings.Contains(b, "> *wordsCnt") || strings.Contains(b, "< *wordsCnt") || !strings.Contains(b, "*wordsCnt = ") {
			t.Error("the count that the caller happens to have limits what comes back")
		}
		if !strings.Contains(b, "> *givenCnt") {
			t.Error("CountInOut does not limit what comes back")
		}
		return
	}
	t.Error("no stubs")
}

// TestText compares all that is generated for an interface of each kind of call with what people have read.
func TestText(t *testing.T) {
	files := generate(t, "testdata/calls.defs", mig.Options{})
	for _, f := range files {
		if !strings.HasPrefix(f.Name, "calls") {
			continue // the header of all interfaces
		}
		golden := filepath.Join("testdata", f.Name)
		if *update {
			if err := os.WriteFile(golden, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != string(f.Data) {
			t.Errorf("%s is not what it was: run go test ./mig/cgen -update and read the difference", golden)
		}
	}
}

// TestIndentation: what leaves a function stands as deep as the braces around it are, or one deeper behind a condition.
func TestIndentation(t *testing.T) {
	for _, name := range []string{"testdata/calls.defs", "../testdata/golden/layout.defs", "../testdata/golden/job.defs"} {
		files := generate(t, name, mig.Options{})
		for _, f := range files {
			if !strings.HasSuffix(f.Name, ".c") {
				continue
			}
			depth, at, before := 0, 0, ""
			for n, line := range strings.Split(string(f.Data), "\n") {
				text := strings.TrimLeft(line, "\t")
				want := depth
				if strings.HasPrefix(before, "if (") && strings.HasSuffix(before, ")") || before == "else" {
					want = at + 1
				}
				got := len(line) - len(text)
				if strings.HasPrefix(text, "return ") && got != want {
					t.Errorf("%s:%d: stands at %d, want %d: %s", f.Name, n+1, got, want, text)
				}
				depth += strings.Count(line, "{") - strings.Count(line, "}")
				at, before = got, text
			}
		}
	}
}
