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
// [TestReal] finds them.
func TestApple(t *testing.T) {
	migcom := os.Getenv("PORTCULLIS_MIGCOM")
	if migcom == "" {
		t.Skip("PORTCULLIS_MIGCOM does not say where Apple's compiler is")
	}
	roots := filepath.SplitList(os.Getenv("PORTCULLIS_DEFS"))
	include := append(filepath.SplitList(os.Getenv("PORTCULLIS_DEFS_INCLUDE")), roots...)
	var files, good, structures int
	for _, root := range append([]string{"../defs", "testdata/golden"}, roots...) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".defs") {
				return err
			}
			text, ok := preprocessed(path, include)
			if !ok {
				t.Logf("%s includes what is not here", path)
				return nil
			}
			files++
			dir := t.TempDir()
			header, server := filepath.Join(dir, "h.h"), filepath.Join(dir, "s.c")
			cmd := exec.Command(migcom, "-user", os.DevNull, "-header", header, "-server", server, "-sheader", os.DevNull,
				"-dheader", os.DevNull, "-iheader", os.DevNull)
			cmd.Stdin = bytes.NewReader(text)
			out, err := cmd.CombinedOutput()
			i, errs := Compile(path, Options{Include: include})
			if ok := errs.Errors() == 0; ok != (err == nil) {
				t.Errorf("%s: accepted: %v, by Apple's compiler: %v\n%s", path, ok, err == nil, out)
			}
			if err == nil && errs.Errors() == 0 {
				good++
				structures += compareApple(t, path, i, header, server)
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
func preprocessed(path string, include []string) ([]byte, bool) {
	args := []string{"-undef", "-I", filepath.Dir(path)}
	for _, d := range predefined {
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
func compareApple(t *testing.T, path string, i *model.Interface, header, server string) int {
	t.Helper()
	theirs, err := os.ReadFile(header)
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
	compareParams(t, i, header)
	text, err := os.ReadFile(server)
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
