package hostile

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// stub declares the part of the system library that the program needs.
const stub = `--- !tapi-tbd
tbd-version:     4
targets:         [ arm64-macos, x86_64-macos ]
install-name:    '/usr/lib/libSystem.B.dylib'
exports:
  - targets:     [ arm64-macos, x86_64-macos ]
    symbols:     [ _mach_task_self_, _mach_port_allocate, _task_set_exception_ports, _thread_set_state,
                   dyld_stub_binder ]
...
`

// program sets an exception handler in a way that the restrictions forbid, in a function called install, and the
// registers of a thread.
const program = `
extern unsigned mach_task_self_;
int mach_port_allocate(unsigned, int, unsigned *);
int task_set_exception_ports(unsigned, unsigned, unsigned, int, int);
int thread_set_state(unsigned, int, unsigned *, unsigned);
static const char *names[] = {"one", "two", "three"};
const char *name(int i) { return names[i % 3]; }
__attribute__((always_inline)) static inline int with(unsigned port) {
	return 1 + task_set_exception_ports(mach_task_self_, 0x6e, port, 0x80000001, 5);
}
__attribute__((noinline)) int install(void) {
	unsigned port;
	mach_port_allocate(mach_task_self_, 1, &port);
	return with(port) + 1;
}
__attribute__((noinline)) int set(unsigned thread, int flavor) {
	unsigned state[2] = {0};
	return 1 + thread_set_state(thread, flavor, state, 2);
}
int main(int n, char **v) { return install() + set(n, n) + (name(n) != 0); }
`

// Images builds real images with the LLVM 19 tools: by name, programs, libraries and object files of both architectures
// with old and new fixups, all of which violate a restriction, a static library and a universal file. Where the tools
// are missing the test is skipped, or fails where REQUIRE_TOOLCHAIN is set.
func Images(t testing.TB) map[string][]byte {
	t.Helper()
	out, _ := build(t)
	return out
}

// Symbols builds images as [Images] does, and the debug symbols (dSYM files) of two of them under the same names:
// arm64-chained has version 5 of DWARF, x86_64-classic version 2.
func Symbols(t testing.TB) (images, symbols map[string][]byte) {
	t.Helper()
	return build(t)
}

// build builds images and debug symbols.
func build(t testing.TB) (images, symbols map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	tool := func(name string, args ...string) {
		t.Helper()
		path, err := exec.LookPath(name)
		if err != nil {
			if os.Getenv("REQUIRE_TOOLCHAIN") != "" {
				t.Fatalf("%s is required: %v", name, err)
			}
			t.Skipf("SKIPPED: %s is not installed, so no image can be built to test with", name)
		}
		cmd := exec.Command(path, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	for name, text := range map[string]string{"libSystem.tbd": stub, "program.c": program} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	out := map[string][]byte{}
	add := func(name string) {
		t.Helper()
		out[name] = read(name)
	}
	for arch, dwarf := range map[string]string{"arm64": "-gdwarf-5", "x86_64": "-gdwarf-2"} {
		object := arch + ".o"
		tool("clang-19", "-target", arch+"-apple-macos13", "-O1", dwarf, "-fno-stack-protector", "-c",
			"program.c", "-o", object)
		add(object)
		link := func(name string, flags ...string) {
			tool("ld64.lld-19", append([]string{"-arch", arch, "-platform_version", "macos", "13.0", "14.2",
				"-adhoc_codesign", "libSystem.tbd", object, "-o", name}, flags...)...)
			add(name)
		}
		link(arch+"-chained", "-fixup_chains")
		link(arch+"-classic", "-no_fixup_chains")
		link(arch+".dylib", "-dylib", "-install_name", "@rpath/x.dylib")
		tool("llvm-libtool-darwin-19", "-static", "-o", arch+".a", object)
		add(arch + ".a")
	}
	tool("llvm-lipo-19", "-create", "arm64-chained", "x86_64-classic", "-output", "universal")
	add("universal")
	symbols = map[string][]byte{}
	for _, name := range []string{"arm64-chained", "x86_64-classic"} {
		tool("dsymutil-19", "-o", name+".dSYM", name)
		symbols[name] = read(filepath.Join(name+".dSYM", "Contents", "Resources", "DWARF", name))
	}
	return out, symbols
}
