package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The tests judge images that the LLVM 19 tools make while they run. Where the tools are missing the tests are skipped
// and say so; set REQUIRE_TOOLCHAIN to have them fail instead.

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("REQUIRE_TOOLCHAIN") != "" {
			t.Fatalf("%s is required: %v", name, err)
		}
		t.Skipf("SKIPPED: %s is not installed, so no image can be built to test with", name)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// compile makes an object file for a target such as arm64-apple-macos13.
func compile(t testing.TB, target, source string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(source)+".o")
	args := append([]string{"-target", target, "-c", filepath.Join("testdata", source), "-o", out}, flags...)
	run(t, "clang-19", args...)
	return out
}

// link makes a linked image from object files.
func link(t testing.TB, arch, out string, flags ...string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"-arch", arch, "-adhoc_codesign", filepath.Join("testdata", "libSystem.tbd"), "-o", out}
	if !strings.Contains(strings.Join(flags, " "), "-platform_version") {
		args = append(args, "-platform_version", "macos", "13.0", "14.2")
	}
	run(t, "ld64.lld-19", append(args, flags...)...)
	return out
}
