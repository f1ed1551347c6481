package mig

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/mig/cgen"
	"portcullis.dev/mig/model"
)

// TestApple compares with Apple's compiler, migcom of bootstrap_cmds-138 built from its source, where PORTCULLIS_MIGCOM
// names it: the verdict of each file; the structures of messages, member for member; and the words of parameters in the
// table of a server. Files are our own definitions, and all below the folders in PORTCULLIS_DEFS, with headers as
// [TestReal] finds them; each as a program of a user, the kernel's server, and the kernel as a client sees it.
func TestApple(t *testing.T) {
	migcom := os.Getenv("PORTCULLIS_MIGCOM")
	if migcom == "" {
		t.Skip("PORTCULLIS_MIGCOM does not say where Apple's compiler is")
	}
	roots := filepath.SplitList(os.Getenv("PORTCULLIS_DEFS"))
	include := append(filepath.SplitList(os.Getenv("PORTCULLIS_DEFS_INCLUDE")), roots...)
	for _, define := range [][]string{nil, {"KERNEL_SERVER=1"}, {"KERNEL_USER=1"}, {"PRIVATE=1", "IOKIT=1"}} {
		t.Run(strings.Join(define, " "), func(t *testing.T) { compareAll(t, migcom, roots, include, define) })
	}
}

func compareAll(t *testing.T, migcom string, roots, include, define []string) {
	var files, good, structures int
	for _, root := range append([]string{"../defs", "testdata/golden"}, roots...) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".defs") {
				return err
			}
			text, ok := preprocessed(path, include, define)
			if !ok {
				t.Logf("%s includes what is not here", path)
				return nil
			}
			files++
			dir := t.TempDir()
			at := func(n string) string { return filepath.Join(dir, n) }
			cmd := exec.Command(migcom, "-user", os.DevNull, "-header", at("h.h"), "-server", at("s.c"), "-sheader",
				at("s.h"), "-dheader", os.DevNull, "-iheader", os.DevNull)
			cmd.Stdin = bytes.NewReader(text)
			out, err := cmd.CombinedOutput()
			i, errs := Compile(path, Options{Include: include, Define: define})
			if ok := errs.Errors() == 0; ok != (err == nil) {
				t.Errorf("%s: accepted: %v, by Apple's compiler: %v\n%s", path, ok, err == nil, out)
			}
			if err == nil && errs.Errors() == 0 {
				good++
				structures += compareApple(t, path, i, at)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d files, %d good; %d structures are the same", files, good, structures)
}

// preprocessed is what Apple's driver hands to its compiler.
func preprocessed(path string, include, define []string) ([]byte, bool) {
	args := []string{"-undef", "-I", filepath.Dir(path)}
	for _, d := range append(define, predefined...) {
		args = append(args, "-D"+d)
	}
	for _, dir := range include {
		args = append(args, "-I", dir)
	}
	out, err := exec.Command("cpp", append(args, path)...).Output()
	if err != nil {
		return nil, false
	}
	var b bytes.Buffer
	for line := range bytes.Lines(out) {
		if !bytes.HasPrefix(line, []byte("#pragma")) {
			b.Write(line)
		}
	}
	return b.Bytes(), true
}

var (
	structure = regexp.MustCompile(`typedef struct \{([^{}]*)\} (__(?:Request|Reply)__\w+_t)\b`)
	declared  = regexp.MustCompile(`(\w+)((?:\[[^\]]*\])*);`)
	comment   = regexp.MustCompile(`/\*.*?\*/`)
	row       = regexp.MustCompile(`\b_X(\w+), (\d+), `)
)

// compareApple compares the generated files of both, and returns how many structures there are.
func compareApple(t *testing.T, path string, i *model.Interface, at func(string) string) int {
	t.Helper()
	theirs, err := os.ReadFile(at("h.h"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := cgen.Generate(i)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return 0
	}
	var ours []byte
	for _, f := range files {
		if strings.HasSuffix(f.Name, "Messages.h") {
			ours = f.Data
		}
	}
	want, got := members(string(theirs)), members(string(ours))
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-Apple +ours):\n%s", path, d)
	}
	compareParams(t, i, at("h.h"), false)
	compareParams(t, i, at("s.h"), true)
	text, err := os.ReadFile(at("s.c"))
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		words[m[1]] = m[2]
	}
	for _, r := range i.Routines() {
		if w := words[r.Name]; w != fmt.Sprint(r.Words()) {
			t.Errorf("%s: %s has %d words of parameters, %s with Apple's compiler", path, r.Name, r.Words(), w)
		}
	}
	return len(want)
}

// members lists the members of each structure: names, and the bounds of padding and descriptors.
func members(header string) map[string][]string {
	out := map[string][]string{}
	for _, m := range structure.FindAllStringSubmatch(header, -1) {
		for line := range strings.Lines(comment.ReplaceAllString(m[1], "")) {
			d := declared.FindStringSubmatch(line)
			if d == nil {
				continue
			}
			member := d[1]
			if strings.HasSuffix(member, "Pad") || strings.Contains(line, "descriptor_t") {
				member += d[2]
			}
			out[m[2]] = append(out[m[2]], member)
		}
	}
	return out
}
