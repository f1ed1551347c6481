package defs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/mig"
	"portcullis.dev/mig/cgen"
	"portcullis.dev/mig/model"
)

// TestStubs compiles the C stubs of every interface, with gcc and with clang, without a warning, and the headers as C++.
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
			for _, cc := range compilers {
				how := "-O1" // some warnings of gcc's need the optimizer
				if strings.Contains(cc, "clang") {
					how = "-fsyntax-only"
				}
				compileStubs(t, i, cc, how)
				compileHeaders(t, i, cc)
			}
		})
	}
}

// TestStubsWithHeaders compiles the C stubs with a set of Mach headers in place of what portcullis_mig.h declares: that
// in the folder PORTCULLIS_MACH_HEADERS, by clang with the options in PORTCULLIS_MACH_CFLAGS. The size that each message
// must have is asserted of the structures that those headers' types make.
func TestStubsWithHeaders(t *testing.T) {
	headers := os.Getenv("PORTCULLIS_MACH_HEADERS")
	if headers == "" {
		t.Skip("PORTCULLIS_MACH_HEADERS names no folder with Mach headers")
	}
	names, err := filepath.Glob("*.defs")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name == "types.defs" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			i, errs := mig.Compile(name, mig.Options{Define: []string{"MACH_HEADERS"}})
			if errs.Errors() > 0 {
				t.Fatal(errs.All[0].String())
			}
			args := append([]string{"-isystem", headers}, strings.Fields(os.Getenv("PORTCULLIS_MACH_CFLAGS"))...)
			compileStubs(t, i, "clang", args...)
		})
	}
}

// compileStubs compiles the stubs of both sides without a warning.
func compileStubs(t *testing.T, i *model.Interface, cc string, args ...string) {
	t.Helper()
	dir := writeStubs(t, i)
	args = append([]string{"-std=c11", "-Wall", "-Wextra", "-Werror", "-c"}, args...)
	compile(t, dir, cc, append(args, i.Name+"User.c", i.Name+"Server.c")...)
}

// compileHeaders compiles the header of each side as C++.
func compileHeaders(t *testing.T, i *model.Interface, cc string) {
	t.Helper()
	dir := writeStubs(t, i)
	for _, header := range []string{i.Name + ".h", i.Name + "Server.h"} {
		if err := os.WriteFile(filepath.Join(dir, "a.cpp"), []byte("#include \""+header+"\"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		compile(t, dir, cc, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "a.cpp")
	}
}

func compile(t *testing.T, dir, cc string, args ...string) {
	t.Helper()
	cmd := exec.Command(cc, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", cc, err, out)
	}
}

// writeStubs writes the generated files into a folder.
func writeStubs(t *testing.T, i *model.Interface) string {
	t.Helper()
	files, err := cgen.Generate(i)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
