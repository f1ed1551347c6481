package defs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/mig/cgen"
)

// TestStubs compiles the C stubs of every interface, with gcc and with clang, without a warning.
func TestStubs(t *testing.T) {
	var compilers []string
	for _, names := range [][]string{{"gcc"}, {"clang", "clang-19"}} {
		for _, name := range names {
			if path, err := exec.LookPath(name); err == nil {
				compilers = append(compilers, path)
				break
			}
		}
	}
	if len(compilers) < 2 {
		t.Logf("compilers: %v; gcc and clang are wanted", compilers)
	}
	for _, i := range all(t) {
		t.Run(i.Name, func(t *testing.T) {
			files, err := cgen.Generate(i)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			var sources []string
			for _, f := range files {
				if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(f.Name, ".c") {
					sources = append(sources, f.Name)
				}
			}
			for _, cc := range compilers {
				args := []string{"-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-c"}
				cmd := exec.Command(cc, append(args, sources...)...)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", cc, err, out)
				}
			}
		})
	}
}
