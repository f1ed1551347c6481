//go:build linux

package sdk_test

import (
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/kernel/restrict"
)

// TestPrograms runs every program of testdata/programs as a task of a kernel, without restrictions beyond everybody's and
// at level 2. A program exits with 0 if all is as it should be.
func TestPrograms(t *testing.T) {
	cc := compiler(t, "gcc", "clang")
	all, err := filepath.Glob("testdata/programs/*.c")
	if err != nil || len(all) == 0 {
		t.Fatal("no programs", err)
	}
	for _, source := range all {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		t.Run(name, func(t *testing.T) {
			program := build(t, cc, source)
			for _, p := range []restrict.Policy{restrict.Default, restrict.Default | restrict.EnhancedV2} {
				w := newWorld(t, p)
				out, end := w.run(program, args(p)...)
				if !end.Success() {
					t.Errorf("policy %#x: %v\n%s", p, end, out)
				}
				for _, v := range w.violations {
					t.Errorf("policy %#x: %+v", p, v.Violation)
				}
			}
		})
	}
}

// args tells a program under which policy it runs: one more argument above everybody's.
func args(p restrict.Policy) []string {
	if p&restrict.Enhanced != 0 {
		return []string{"--hardened"}
	}
	return nil
}
