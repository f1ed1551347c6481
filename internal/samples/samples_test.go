package samples

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portcullis.dev/check"
)

// sample is a C file of a page.
type sample struct {
	name   string
	old    string // the restriction that it violates; "" if it violates none
	source string
}

var firstLine = regexp.MustCompile(`^/\* ([a-z]+)\.c: (?:secure|old, ([A-Z_]+) from level [123]) \*/$`)

// samples reads the C files of a page. Each says in its first line what it is.
func samples(t *testing.T, page string) (all []sample) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(b), "```c\n")[1:] {
		source, _, closed := strings.Cut(part, "```\n")
		first, _, _ := strings.Cut(source, "\n")
		m := firstLine.FindStringSubmatch(first)
		if m == nil || !closed {
			t.Fatalf("%s: the first line of program %d does not say what it is: %q", page, i+1, first)
		}
		all = append(all, sample{m[1], m[2], source})
	}
	return all
}

const page = "migrating-crash-reporters.md"

// TestPairs: every old program is followed by its secure twin.
func TestPairs(t *testing.T) {
	all := samples(t, page)
	if len(all) < 10 {
		t.Fatalf("%d programs", len(all))
	}
	for i, s := range all {
		if s.old != "" && (i+1 == len(all) || all[i+1].name != s.name || all[i+1].old != "") {
			t.Errorf("old %s has no secure twin behind it", s.name)
		}
	}
}

// TestVerdicts builds every program for macOS: check finds in the old ones what they are said to violate, and nothing in
// the secure ones.
func TestVerdicts(t *testing.T) {
	cc, err := exec.LookPath("clang-19")
	if err != nil {
		if os.Getenv("REQUIRE_TOOLCHAIN") != "" {
			t.Fatalf("clang-19 is required: %v", err)
		}
		t.Skip("SKIPPED: clang-19 is not installed")
	}
	for _, s := range samples(t, page) {
		for _, arch := range []string{"arm64", "x86_64"} {
			object := filepath.Join(t.TempDir(), s.name+".o")
			cmd := exec.Command(cc, "-target", arch+"-apple-macos13", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1",
				"-ffreestanding", "-I", filepath.Join("testdata", "include"), "-xc", "-c", "-", "-o", object)
			cmd.Stdin = strings.NewReader(s.source)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", s.name, err, out)
			}
			report, err := check.Run(t.Context(), []string{object}, check.Options{})
			if err != nil || len(report.Unread) > 0 {
				t.Fatalf("%s: %v, %+v", s.name, err, report.Unread)
			}
			var found []string
			for _, f := range report.Findings {
				if !slices.Contains(found, f.Rule) {
					found = append(found, f.Rule)
				}
			}
			if got := strings.Join(found, ", "); got != s.old {
				t.Errorf("%s (%s, old: %q): found %q", s.name, arch, s.old, got)
			}
		}
	}
}
