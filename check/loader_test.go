package check

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
)

func moduleAt(name string, kind macho.Type, loads ...string) *module {
	return &module{path: name, arch: "arm64", kind: kind, loads: loads, hits: make([]hit, 1)}
}

func namesOf(l loading) (names [][]string) {
	for _, by := range l.by {
		var chain []string
		for _, m := range by.chain {
			chain = append(chain, m.name())
		}
		names = append(names, chain)
	}
	return names
}

func TestLoaders(t *testing.T) {
	for name, tt := range map[string]struct {
		modules []*module
		want    [][]string // chains to the last module
	}{
		"a ring of libraries": {[]*module{
			moduleAt("tool", macho.Execute, "@loader_path/a.dylib"),
			moduleAt("a.dylib", macho.Dylib, "@loader_path/b.dylib"),
			moduleAt("b.dylib", macho.Dylib, "@loader_path/a.dylib", "@loader_path/b.dylib", "@loader_path/c.dylib"),
			moduleAt("c.dylib", macho.Dylib, "@loader_path/a.dylib"),
		}, [][]string{{"tool", "a.dylib", "b.dylib", "c.dylib"}}},
		"the shortest way": {[]*module{
			moduleAt("tool", macho.Execute, "@loader_path/a.dylib", "@loader_path/b.dylib"),
			moduleAt("a.dylib", macho.Dylib, "@loader_path/b.dylib"),
			moduleAt("b.dylib", macho.Dylib),
		}, [][]string{{"tool", "b.dylib"}}},
		"the program's folder, not the library's": {[]*module{
			moduleAt("bin/tool", macho.Execute, "@executable_path/../lib/a.dylib"),
			moduleAt("lib/sub/x.dylib", macho.Dylib),
			moduleAt("lib/a.dylib", macho.Dylib, "@executable_path/x.dylib"),
			moduleAt("bin/x.dylib", macho.Dylib),
		}, [][]string{{"bin/tool", "lib/a.dylib", "bin/x.dylib"}}},
		"a system library": {[]*module{
			moduleAt("tool", macho.Execute, "/usr/lib/libx.dylib"), moduleAt("libx.dylib", macho.Dylib),
		}, nil},
		"a folder above all": {[]*module{
			moduleAt("tool", macho.Execute, "@executable_path/../../../../x.dylib"), moduleAt("lib/x.dylib", macho.Dylib),
		}, [][]string{{"tool", "lib/x.dylib"}}},
		"the service in the app, not the app": {[]*module{
			moduleAt("A.app/Contents/MacOS/A", macho.Execute),
			moduleAt("A.app/Contents/XPCServices/S.xpc/Contents/MacOS/S", macho.Execute),
			moduleAt("A.app/Contents/XPCServices/S.xpc/Contents/PlugIns/p.bundle/Contents/MacOS/p", macho.Bundle),
		}, [][]string{{"A.app/Contents/XPCServices/S.xpc/Contents/MacOS/S",
			"A.app/Contents/XPCServices/S.xpc/Contents/PlugIns/p.bundle/Contents/MacOS/p"}}},
		"another app's plug-in": {[]*module{
			moduleAt("A.app/A", macho.Execute), moduleAt("B.app/p.bundle/p", macho.Bundle),
		}, nil},
		"another architecture": {[]*module{
			moduleAt("tool", macho.Execute, "@loader_path/x.dylib"),
			{path: "x.dylib", arch: "x86_64", kind: macho.Dylib, hits: make([]hit, 1)},
		}, nil},
	} {
		links := loaders(tt.modules, nil)
		by, complete := links.by, links.complete
		if diff := cmp.Diff(tt.want, namesOf(by[tt.modules[len(tt.modules)-1]])); diff != "" || !complete {
			t.Errorf("%s: complete %v, -want +got\n%s", name, complete, diff)
		}
	}
}

// The slice of the same architecture is preferred, and arm64e stands in for arm64.
func TestLoadersArch(t *testing.T) {
	program := &module{path: "tool", arch: "arm64e", kind: macho.Execute, loads: []string{"@rpath/x.dylib"}}
	plain, signed := moduleAt("x.dylib", macho.Dylib), moduleAt("x.dylib", macho.Dylib)
	signed.arch = "arm64e"
	if by := loaders([]*module{program, plain, signed}, nil).by; len(by[plain].by) != 0 || len(by[signed].by) != 1 {
		t.Errorf("plain %v, signed %v", namesOf(by[plain]), namesOf(by[signed]))
	}
	if by := loaders([]*module{program, plain}, nil).by; len(by[plain].by) != 1 {
		t.Errorf("plain %v", namesOf(by[plain]))
	}
}

// The executable's name is in the Info.plist.
func TestLoadersInfo(t *testing.T) {
	modules := []*module{moduleAt("A.app/A", macho.Execute), moduleAt("A.app/Main", macho.Execute),
		moduleAt("A.app/p.bundle/p", macho.Bundle)}
	by := loaders(modules, map[string]container.Info{"A.app": {Executable: "Main"}}).by
	if diff := cmp.Diff([][]string{{"A.app/Main", "A.app/p.bundle/p"}}, namesOf(by[modules[2]])); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// Thousands of programs that load thousands of libraries of one name, in rings, cost no more than the limit, and of
// what they come to no more is kept than judgement needs.
func TestLoadersHostile(t *testing.T) {
	var modules []*module
	const n = 3000
	for i := range n {
		modules = append(modules, moduleAt(fmt.Sprintf("%d/tool", i), macho.Execute, "@rpath/x.dylib"))
		lib := moduleAt(fmt.Sprintf("%d/x.dylib", i), macho.Dylib, "@rpath/x.dylib", "@rpath/y.dylib")
		lib.install = "@rpath/x.dylib"
		modules = append(modules, lib)
	}
	links := loaders(modules, nil)
	by, complete := links.by, links.complete
	if complete {
		t.Error("the limit was not reached")
	}
	for m, l := range by {
		if len(l.by) > 1 {
			t.Fatalf("%s: %d programs of one sort kept", m.name(), len(l.by))
		}
	}
	// A long chain is followed to its end, once for each program.
	modules = modules[:0]
	for i := range n {
		m := moduleAt(fmt.Sprintf("lib%d.dylib", i), macho.Dylib, fmt.Sprintf("@loader_path/lib%d.dylib", i+1))
		if i%100 != 0 {
			m.hits = nil
		}
		modules = append(modules, m)
	}
	for i := range 100 {
		modules = append(modules, moduleAt(fmt.Sprintf("tool%d", i), macho.Execute, "@loader_path/lib0.dylib"))
	}
	links = loaders(modules, nil)
	by, complete = links.by, links.complete
	last := by[modules[n-100]]
	if !complete || last.programs != 100 || len(last.by) != 1 || len(last.by[0].chain) != n-98 {
		t.Errorf("complete %v, %d programs", complete, last.programs)
	}
}

func TestDistinct(t *testing.T) {
	if got := distinct([]string{"b", "a", "b", "", "a"}); !slices.Equal(got, []string{"b", "a", ""}) {
		t.Errorf("%q", got)
	}
}

func TestUnversionedNested(t *testing.T) {
	for in, want := range map[string]string{
		"A.framework/Versions/A/Frameworks/B.framework/Versions/C/B": "A.framework/Frameworks/B.framework/B",
		"A.framework/Versions/A":                                     "A.framework/Versions/A",
		"A.framework/Versions/A/":                                    "A.framework/",
	} {
		if got := unversioned(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
