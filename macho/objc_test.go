package macho

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// classes links testdata/classes.m.
func classes(t testing.TB, arch string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "classes")
	args := []string{"-arch", arch, "-platform_version", "macos", "13.0", "14.0", "-dylib", "-undefined", "dynamic_lookup",
		"-o", out, source(t, arch, "classes.m"), filepath.Join("testdata", "libSystem.tbd")}
	run(t, nil, "ld64.lld-19", append(args, flags...)...)
	return out
}

// Compilers name the implementation of a method after its class and selector: the symbol table says what is to be found.
func TestObjCClasses(t *testing.T) {
	files := map[string]string{"relative": classes(t, "arm64", "-objc_relative_method_lists")}
	for _, arch := range arches {
		files[arch+" object"] = source(t, arch, "classes.m")
		files[arch+" chained"] = classes(t, arch, "-fixup_chains")
		files[arch+" classic"] = classes(t, arch, "-no_fixup_chains")
	}
	for name, path := range files {
		t.Run(name, func(t *testing.T) {
			m := openOne(t, path)
			var want, got []string
			for s := range m.Symbols() {
				if s.Defined() && strings.HasSuffix(s.Name, "]") {
					want = append(want, fmt.Sprintf("%s %#x", strings.Replace(s.Name, "(More)", "", 1), s.Addr))
				}
			}
			for _, c := range m.ObjCClasses() {
				who := c.Name
				if who == "NSObject" {
					who = "NSObject(Ours)"
				}
				for _, me := range c.Methods {
					got = append(got, fmt.Sprintf("-[%s %s] %#x", who, me.Selector, me.Code))
				}
				for _, me := range c.ClassMethods {
					got = append(got, fmt.Sprintf("+[%s %s] %#x", who, me.Selector, me.Code))
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if d := cmp.Diff(want, slices.Compact(got)); d != "" || len(want) < 7 {
				t.Errorf("-symbols +classes:\n%s", d)
			}
			if len(m.SelectorRefs("first")) == 0 || len(m.SelectorRefs("nothing")) > 0 {
				t.Errorf("references: %#x, %#x", m.SelectorRefs("first"), m.SelectorRefs("nothing"))
			}
			noProblems(t, m)
		})
	}
}
