package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/macho"
)

// tool finds an LLVM tool by its plain name or with the version that distributions append.
func tool(t *testing.T, name string) string {
	t.Helper()
	for v := 25; v >= 17; v-- {
		if p, err := exec.LookPath(fmt.Sprintf("%s-%d", name, v)); err == nil {
			return p
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIPPED: %s is not installed", name)
	}
	return p
}

// TestSymbols names a frame without a symbol from an image with the same UUID, loaded somewhere else, and leaves a frame
// of another build alone.
func TestSymbols(t *testing.T) {
	clang, lld := tool(t, "clang"), tool(t, "ld64.lld")
	dir := t.TempDir()
	src := "int task_set_exception_ports(int, int);\n" +
		"int first(void) { return task_set_exception_ports(1, 2) + 1; }\n" +
		"int install_handlers(void) { return task_set_exception_ports(3, 4) + 1; }\n"
	if err := os.WriteFile(filepath.Join(dir, "a.c"), []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run(clang, "-target", "arm64-apple-macos13", "-O1", "-c", "a.c", "-o", "a.o")
	run(lld, "-dylib", "-arch", "arm64", "-platform_version", "macos", "13", "13", "-undefined", "dynamic_lookup", "a.o",
		"-o", "Helper")
	f, err := macho.Open(filepath.Join(dir, "Helper"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	im := f.Images[0]
	offset := uint64(0)
	for _, start := range im.Functions() {
		if name, _, ok := im.SymbolName(start); ok && strings.TrimPrefix(name, "_") == "install_handlers" {
			offset = start - im.Base() + 8
		}
	}
	if offset == 0 {
		t.Fatal("install_handlers is not in the image")
	}
	report := func(uuid string) string {
		return fmt.Sprintf(`{"procName":"Example","exception":{"type":"EXC_GUARD"},"faultingThread":0,`+
			`"termination":{"namespace":"GUARD","code":2305843037130981377},`+
			`"threads":[{"frames":[{"imageOffset":7220,"imageIndex":1,"symbol":"task_set_exception_ports"},`+
			`{"imageOffset":%d,"imageIndex":0}]}],`+
			`"usedImages":[{"source":"P","base":77000000,"name":"Helper","path":"/x/Helper","uuid":"%s"},`+
			`{"source":"S","base":9,"name":"libsystem_kernel.dylib","path":"/usr/lib/system/libsystem_kernel.dylib"}]}`, offset, uuid)
	}
	symbols, err := OpenSymbols(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer symbols.Close()
	for uuid, want := range map[string]string{im.UUID.String(): "install_handlers", "00000000-0000-3000-8000-000000000001": ""} {
		path := filepath.Join(t.TempDir(), "r.ips")
		if err := os.WriteFile(path, []byte(report(uuid)), 0o644); err != nil {
			t.Fatal(err)
		}
		r := ExplainFiles([]string{path}, nil, symbols)
		if len(r.Findings) != 1 || strings.TrimPrefix(r.Findings[0].Where.Function, "_") != want {
			t.Errorf("%s: %+v", uuid, r.Findings)
		}
	}
	if _, err := OpenSymbols(t.TempDir()); err == nil {
		t.Error("a folder without images gave symbols")
	}
}
