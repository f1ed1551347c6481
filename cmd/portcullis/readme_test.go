package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A block of documentation that shows a command and what it prints. The command is of the form
//
//	$ portcullis WORD...
//	$ echo 'TEXT' | portcullis WORD...
var console = regexp.MustCompile("(?m)^```console\n\\$ (?:echo '([^']*)' \\| )?portcullis (.*)\n((?:[^`].*\n|\n)*)```$")

// TestDocumentedOutput runs the commands that the documentation shows and compares what they print with what stands
// there. With -update it writes it there.
func TestDocumentedOutput(t *testing.T) {
	root := filepath.Join("..", "..")
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		old, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		fresh := console.ReplaceAllStringFunc(string(old), func(block string) string {
			blocks++
			m := console.FindStringSubmatch(block)
			var out, stderr bytes.Buffer
			run(append([]string{"--color", "never"}, strings.Fields(m[2])...), strings.NewReader(m[1]+"\n"), &out, &stderr)
			if stderr.Len() > 0 {
				t.Errorf("%s: portcullis %s: %s", page, m[2], &stderr)
			}
			head, _, _ := strings.Cut(strings.TrimPrefix(block, "```console\n"), "\n")
			return "```console\n" + head + "\n" + out.String() + "```"
		})
		if fresh == string(old) {
			continue
		}
		if *update {
			if err := os.WriteFile(page, []byte(fresh), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("%s shows other output than is printed; go test ./cmd/portcullis -update mends it. -shown +printed:\n%s",
			page, cmp.Diff(string(old), fresh))
	}
	if blocks == 0 {
		t.Error("the documentation shows no command with its output")
	}
}
