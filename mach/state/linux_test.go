package state_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/mach/state"
)

// TestLinuxLayout asks the C compiler of an x86_64 Linux where its registers lie.
func TestLinuxLayout(t *testing.T) {
	dir := t.TempDir()
	source, bin := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	program := `#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <ucontext.h>
#ifndef __x86_64__
#error other processor
#endif
int main(void) {
	printf("gregs %zu fx %zu", sizeof(gregset_t), sizeof(struct _libc_fpstate));
	printf(" mxcsr %zu xmm %zu", offsetof(struct _libc_fpstate, mxcsr), offsetof(struct _libc_fpstate, _xmm));
	int all[] = {`
	for _, name := range gregs {
		program += "REG_" + strings.Replace(strings.ToUpper(name), "EFLAGS", "EFL", 1) + ", "
	}
	program += `};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i] != (int)i) printf(" register %zu is at %d", i, all[i]);
	printf("\n");
}
`
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-o", bin, source).CombinedOutput(); err != nil {
		if strings.Contains(string(out), "other processor") || os.Getenv("REQUIRE_TOOLCHAIN") == "" && len(out) == 0 {
			t.Skipf("no C compiler for x86_64: %v", err)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("gregs %d fx %d mxcsr 24 xmm 160\n", 8*state.AMD64Words, state.FXSaveSize)
	if string(out) != want {
		t.Errorf("got %swant %s", out, want)
	}
}
