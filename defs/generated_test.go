package defs_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"portcullis.dev/defs"
	"portcullis.dev/defs/internal/generate"
	"portcullis.dev/mach"
	"portcullis.dev/mig/model"
)

// subsystems compiles every definition.
func subsystems(t testing.TB) []*model.Interface {
	t.Helper()
	out, err := generate.Interfaces(defs.Files)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// all compiles every definition and the sample, which has the kinds of arguments that the kernel's interfaces lack.
func all(t testing.TB) []*model.Interface {
	t.Helper()
	sample, err := generate.Interfaces(os.DirFS("internal/sample"))
	if err != nil {
		t.Fatal(err)
	}
	return append(subsystems(t), sample...)
}

// TestGenerated compares the Go code below this folder with what the compiler makes of the definitions now.
func TestGenerated(t *testing.T) {
	files, err := generate.Files(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the definitions say: run go generate", path)
		}
	}
}

// TestNumbers compares ids and names with the kernel's, as package mach has them.
func TestNumbers(t *testing.T) {
	n := 0
	for _, i := range subsystems(t) {
		if i.Name == "bootstrap" {
			continue
		}
		for _, r := range i.Routines() {
			n++
			name, ok := mach.RoutineName(r.ID)
			same := []string{name, "_" + name, "_kernelrpc_" + name, "_kernelrpc_" + name + "3"}
			if !ok {
				t.Errorf("%s: the kernel has no message %d", r.Name, r.ID)
			} else if !slices.Contains(same, r.Name) {
				t.Errorf("message %d is %s here and %s in the kernel", r.ID, r.Name, name)
			}
		}
	}
	if n < 190 {
		t.Errorf("%d routines of the kernel, want 190 at least", n)
	}
}
