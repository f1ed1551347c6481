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

	"portcullis.dev/defs"
	"portcullis.dev/mig"
	"portcullis.dev/mig/cgen"
	"portcullis.dev/rules"
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
	var all strings.Builder
	var alone, alonePlus []string
	for i, h := range headers(t, s) {
		if foreign(h) {
			continue
		}
		fmt.Fprintf(&all, "#include <%s>\n", h)
		text := fmt.Sprintf("#include <%s>\n#include <%s>\nextern int empty;\n", h, h)
		alone = append(alone, write(fmt.Sprintf("alone%d.c", i), text))
		alonePlus = append(alonePlus, write(fmt.Sprintf("alone%d.cc", i), text))
	}
	syntax(compiler(t, "gcc", "clang"), alone[0], alone[1:]...)
	syntax(compiler(t, "clang++", "g++"), alonePlus[0], alonePlus[1:]...)
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

// TestNames compiles a program that wants the names which handlers of exceptions use, and their values: those of all
// guards of ports, old names too, and what takes codes apart.
func TestNames(t *testing.T) {
	s, err := sdk.Install(context.Background(), compiler(t, "gcc", "clang"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	text.WriteString("#include <mach/mach.h>\n#include <kern/exc_guard.h>\n#include <kern/exc_resource.h>\n")
	want := func(value uint64, format string, args ...any) {
		fmt.Fprintf(&text, "_Static_assert(%s == %#xULL, \"\");\n", fmt.Sprintf(format, args...), value)
	}
	for _, r := range rules.All() {
		if r.Guard != rules.GuardMachPort {
			continue
		}
		for _, name := range append([]string{r.Enum}, r.Aliases...) {
			if strings.HasPrefix(name, "kGUARD_EXC_") {
				want(uint64(r.Flavor), "(uint64_t)%s", name)
			}
		}
		c := uint64(r.Code(0x1234))
		want(uint64(r.Flavor), "EXC_GUARD_DECODE_GUARD_FLAVOR(%#xULL)", c)
		want(uint64(r.Guard), "EXC_GUARD_DECODE_GUARD_TYPE(%#xULL)", c)
		want(0x1234, "EXC_GUARD_DECODE_GUARD_TARGET(%#xULL)", c)
	}
	want(0x1bfe, "EXC_MASK_ALL")
	want(0xff, "TASK_EXC_GUARD_ALL")
	want(uint64(rules.GuardMachPort), "GUARD_TYPE_MACH_PORT")
	want(1<<56, "MPG_FLAGS_MOD_REFS_PINNED_DEALLOC")
	const cpu = 1<<61 | 2<<58 | 180<<7 | 50 // half a processor for three minutes, and no more of it
	want(1, "EXC_RESOURCE_DECODE_RESOURCE_TYPE(%#xULL)", uint64(cpu))
	want(2, "EXC_RESOURCE_DECODE_FLAVOR(%#xULL)", uint64(cpu))
	want(180, "EXC_RESOURCE_CPUMONITOR_DECODE_INTERVAL(%#xULL)", uint64(cpu))
	want(50, "EXC_RESOURCE_CPUMONITOR_DECODE_PERCENTAGE(%#xULL)", uint64(cpu))
	text.WriteString("exception_port_info_array_t infos;\n")
	file := filepath.Join(t.TempDir(), "names.c")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(compiler(t, "gcc", "clang"), "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I",
		s.Include, file).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestStubs compiles the stubs of both sides of every definition that is part of the SDK, against its headers; the sizes of
// messages are asserted in them. A program may have such stubs of its own beside the headers.
func TestStubs(t *testing.T) {
	s, err := sdk.Install(context.Background(), compiler(t, "gcc", "clang"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(defs.Files, "*.defs")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name == "types.defs" {
			continue
		}
		i, errs := mig.Compile(name, mig.Options{Define: []string{"MACH_HEADERS"}, Read: defs.Files.ReadFile})
		if errs.Errors() > 0 {
			t.Fatal(errs.All[0].String())
		}
		files, err := cgen.Generate(i)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for _, f := range files {
			text := f.Data
			if strings.HasSuffix(f.Name, "User.c") { // a server may have other prototypes
				text = append([]byte("#include <mach/mach.h>\n#include <mach/exc.h>\n#include <mach/mach_exc.h>\n"), text...)
			}
			if err := os.WriteFile(filepath.Join(dir, f.Name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, side := range []string{"User.c", "Server.c"} {
			cc := compiler(t, "gcc", "clang")
			out, err := exec.Command(cc, "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-isystem", s.Include,
				filepath.Join(dir, i.Name+side)).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	}
}

// TestLibrary compiles libmach without a warning.
func TestLibrary(t *testing.T) {
	s, err := sdk.Install(context.Background(), compiler(t, "gcc", "clang"))
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob(filepath.Join(s.Dir, "libmach", "*.c"))
	if err != nil || len(sources) == 0 {
		t.Fatal("no sources", err)
	}
	for _, cc := range []string{compiler(t, "gcc", "clang"), compiler(t, "clang", "gcc")} {
		args := append([]string{"-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I" + s.Include,
			"-I" + filepath.Join(s.Dir, "libmach", "generated")}, sources...)
		if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", cc, err, out)
		}
	}
}
