//go:build linux

package sdk_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/sdk"
)

// headers returns the names of all headers as programs include them.
func headers(t *testing.T, s *sdk.SDK) (names []string) {
	t.Helper()
	err := filepath.WalkDir(s.Include, func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".h") {
			name, _ := filepath.Rel(s.Include, p)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// foreign are the headers of the other processor, which may not be included beside this one's.
func foreign(name string) bool { return strings.HasPrefix(name, "mach/arm/") }

// TestHeaders compiles headers, each alone and all together, with what C and C++ compilers there are, in strict modes.
func TestHeaders(t *testing.T) {
	s, err := sdk.Install(context.Background(), compiler(t, "gcc", "clang"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	syntax := func(cc, file string, flags ...string) {
		t.Helper()
		args := append([]string{"-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", s.Include}, flags...)
		if out, err := exec.Command(cc, append(args, file)...).CombinedOutput(); err != nil {
			t.Errorf("%s %v: %v\n%s", cc, flags, err, out)
		}
	}
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	var all, alone strings.Builder
	for i, h := range headers(t, s) {
		if foreign(h) {
			continue
		}
		fmt.Fprintf(&all, "#include <%s>\n", h)
		name := fmt.Sprintf("alone%d.c", i)
		fmt.Fprintf(&alone, "%s\n", write(name, fmt.Sprintf("#include <%s>\n#include <%s>\nextern int empty;\n", h, h)))
	}
	syntax(compiler(t, "gcc", "clang"), strings.Fields(alone.String())[0], strings.Fields(alone.String())[1:]...)
	together := write("all.c", all.String()+"int main(void) { return 0; }\n")
	plus := write("all.cc", all.String()+"int main() { return 0; }\n")
	for _, c := range []string{"gcc", "clang"} {
		if _, err := exec.LookPath(c); err == nil {
			syntax(c, together, "-std=c11", "-pedantic")
			syntax(c, together, "-std=gnu89")
			syntax(c, together, "-std=c17", "-Wconversion", "-Wcast-qual", "-Wshadow", "-Wstrict-prototypes")
		}
	}
	for _, c := range []string{"g++", "clang++"} {
		if _, err := exec.LookPath(c); err == nil {
			syntax(c, plus, "-std=c++11", "-pedantic")
			syntax(c, plus, "-std=c++20", "-pedantic", "-Wconversion")
		}
	}
}
