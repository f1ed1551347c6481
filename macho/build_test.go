package macho

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The tests read images that the LLVM 19 tools and the Go linker make while they run. Where the tools are missing the
// tests are skipped and say so; set REQUIRE_TOOLCHAIN to have them fail instead.

var builds struct {
	mu    sync.Mutex
	dir   string
	files map[string][]byte
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "macho-test")
	if err != nil {
		panic(err)
	}
	builds.dir, builds.files = dir, map[string][]byte{}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("REQUIRE_TOOLCHAIN") != "" {
			t.Fatalf("%s is required: %v", name, err)
		}
		t.Skipf("SKIPPED: %s is not installed, so no image can be built to test with", name)
	}
	return path
}

func run(t testing.TB, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool(t, name), args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// made returns the path of a file that make writes, made once for each key.
func made(t testing.TB, key string, make func(out string)) string {
	t.Helper()
	builds.mu.Lock()
	defer builds.mu.Unlock()
	sum := sha256.Sum256([]byte(key))
	out := filepath.Join(builds.dir, hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(out); err != nil {
		make(out)
	}
	return out
}

// source compiles a file of testdata for arch ("arm64", "x86_64") and returns the path of the object file.
func source(t testing.TB, arch, name string, flags ...string) string {
	t.Helper()
	key := "cc " + arch + " " + name + " " + strings.Join(flags, " ")
	return made(t, key, func(out string) {
		args := append([]string{"-target", arch + "-apple-macos13", "-O1", "-fno-exceptions", "-fno-rtti"}, flags...)
		if strings.HasSuffix(name, ".s") {
			args = []string{"-target", arch + "-apple-macos13"}
		}
		run(t, nil, "clang-19", append(args, "-c", filepath.Join("testdata", name), "-o", out)...)
	})
}

// link links objects for arch with the given flags of the linker.
func link(t testing.TB, arch string, flags []string, objects ...string) string {
	t.Helper()
	key := "ld " + arch + " " + strings.Join(flags, " ") + " " + strings.Join(objects, " ")
	return made(t, key, func(out string) {
		args := []string{"-arch", arch, "-platform_version", "macos", "13.0", "14.2", "-adhoc_codesign",
			"-U", "_optional_call", filepath.Join("testdata", "libSystem.tbd"), "-o", out}
		run(t, nil, "ld64.lld-19", append(append(args, flags...), objects...)...)
	})
}

var (
	arches  = []string{"arm64", "x86_64"}
	chained = []string{"-fixup_chains"}
	classic = []string{"-no_fixup_chains"}
	asDylib = []string{"-dylib", "-install_name", "@rpath/libw.dylib", "-current_version", "7.8.9",
		"-rpath", "@loader_path/x"}
	bundle = []string{"-bundle", "-undefined", "dynamic_lookup"}
)

func program(t testing.TB, arch string, flags ...string) string {
	t.Helper()
	return link(t, arch, flags, source(t, arch, "calls.c", "-g"))
}

func library(t testing.TB, arch string, flags ...string) string {
	t.Helper()
	return link(t, arch, append(flags[:len(flags):len(flags)], asDylib...), source(t, arch, "calls.c", "-g"),
		source(t, arch, "weak.cc", "-g"), source(t, arch, "message_"+arch+".s"))
}

func plugin(t testing.TB, arch string, flags ...string) string {
	t.Helper()
	return link(t, arch, append(flags[:len(flags):len(flags)], bundle...), source(t, arch, "calls.c", "-g"))
}

// goProgram builds a Go program for darwin.
func goProgram(t testing.TB, goarch, ldflags string) string {
	t.Helper()
	return made(t, "go "+goarch+" "+ldflags, func(out string) {
		env := []string{"GOOS=darwin", "GOARCH=" + goarch, "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off"}
		run(t, env, "go", "build", "-ldflags="+ldflags, "-o", out,
			filepath.Join("testdata", "hello.go"))
	})
}

// images returns every kind of linked image and object the tests look at, by a name for each.
func images(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, arch := range arches {
		out[arch+" program, chained"] = program(t, arch, chained...)
		out[arch+" program, classic"] = program(t, arch, classic...)
		out[arch+" library, chained"] = library(t, arch, chained...)
		out[arch+" library, classic"] = library(t, arch, classic...)
		out[arch+" plug-in, chained"] = plugin(t, arch, chained...)
		out[arch+" object"] = source(t, arch, "calls.c", "-g")
		out[arch+" object, C++"] = source(t, arch, "weak.cc", "-g")
		out[arch+" object, large model"] = source(t, arch, "calls.c", "-g", "-O0", "-fno-plt")
	}
	return out
}

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	for _, err := range f.Errors {
		t.Errorf("%s: %v", path, err)
	}
	return f
}

// openOne opens a file with one image.
func openOne(t testing.TB, path string) *Image {
	t.Helper()
	f := open(t, path)
	if len(f.Images) != 1 {
		t.Fatalf("%s: %d images, want 1", path, len(f.Images))
	}
	return f.Images[0]
}

func noProblems(t testing.TB, m *Image) {
	t.Helper()
	for _, err := range m.Problems() {
		t.Errorf("problem: %v", err)
	}
}
