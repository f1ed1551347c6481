package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/internal/corpus"
)

// A block of documentation that shows a command and what it prints. It is of one of the forms
//
//	$ portcullis WORD...
//	$ echo 'TEXT' | portcullis WORD...
//	$ npm pack --silent PACKAGE
//	FILE.tgz
//	$ portcullis WORD...
//
// What run prints differs from one time to the next: … stands for anything on a line, and alone for any lines.
var console = regexp.MustCompile("(?m)^```console\n" +
	"(?:\\$ npm pack --silent (\\S+)\n(\\S+)\n)?" +
	"\\$ (?:echo '([^']*)' \\| )?portcullis (.*)\n" +
	"((?:[^`].*\n|\n)*)```$")

// TestDocumentedOutput runs the commands that the documentation shows and compares what they print with what stands
// there. With -update it writes it there.
func TestDocumentedOutput(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range console.FindAllSubmatch(text, -1) {
			blocks++
			spec, file, input, line, shown := string(m[1]), string(m[2]), string(m[3]), string(m[4]), string(m[5])
			t.Run(filepath.Base(page)+"/"+line, func(t *testing.T) {
				if spec != "" {
					tarball := corpus.NPM(t, spec)
					t.Chdir(t.TempDir())
					if err := os.Symlink(tarball, file); err != nil {
						t.Fatal(err)
					}
				}
				if strings.HasPrefix(line, "run ") {
					runs(t, root, line, shown)
					return
				}
				printed := output(t, line, input)
				if printed == shown {
					return
				}
				if !*update {
					t.Fatalf("%s shows other output than is printed; go test ./cmd/portcullis -update mends it. -shown "+
						"+printed:\n%s", page, cmp.Diff(shown, printed))
				}
				block := strings.TrimSuffix(string(m[0]), shown+"```") + printed + "```"
				text = bytes.Replace(text, m[0], []byte(block), 1)
				if err := os.WriteFile(page, text, 0o644); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	if blocks == 0 {
		t.Error("the documentation shows no command with its output")
	}
}

// output runs a command line, whose words are set apart by single spaces, and returns its standard output.
func output(t *testing.T, line, input string) string {
	t.Helper()
	var out, stderr bytes.Buffer
	words := append([]string{"--color", "never"}, strings.Fields(line)...)
	run(words, strings.NewReader(input+"\n"), &out, &stderr)
	if stderr.Len() > 0 {
		t.Errorf("portcullis %s: %s", line, &stderr)
	}
	return out.String()
}

// elided turns a text in which … stands for what is left out into a pattern.
func elided(text string) *regexp.Regexp {
	p := strings.ReplaceAll(regexp.QuoteMeta(text), "\n…\n", "\n(?:.*\n)*?")
	return regexp.MustCompile(`^` + strings.ReplaceAll(p, "…", ".*?") + `$`)
}

// runs runs a program of examples as the documentation shows it: in a process of its own, whose output comes as in a
// terminal.
func runs(t *testing.T, root, line, shown string) {
	if runtime.GOOS != "linux" {
		t.Skip("programs run on Linux")
	}
	if _, err := exec.LookPath("cc"); err != nil {
		if os.Getenv("REQUIRE_TOOLCHAIN") != "" {
			t.Fatalf("cc is required: %v", err)
		}
		t.Skip("SKIPPED: cc is not installed")
	}
	binary := filepath.Join(t.TempDir(), "portcullis")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Chdir(t.TempDir())
	if err := os.Symlink(filepath.Join(root, "examples"), "examples"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binary, append([]string{"--color", "never"}, strings.Fields(line)...)...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if !elided(shown).Match(out) {
		t.Errorf("the page shows other output than portcullis %s prints:\n%s", line, out)
	}
}
