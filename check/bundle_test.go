package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/entitlement"
	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// makeIOSApp makes Foo.app as iOS has it: a framework that links to another library, and an extension that uses the
// app's framework and one of its own.
func makeIOSApp(t *testing.T, app string) {
	t.Helper()
	m := newMaker(t)
	m.system = "ios15"
	baz := m.library(filepath.Join(app, "Frameworks/libbaz.dylib"), "@executable_path/Frameworks/libbaz.dylib")
	deep := m.library(filepath.Join(app, "Frameworks/Deep.framework/Deep"), "@rpath/Deep.framework/Deep")
	bar := m.library(filepath.Join(app, "Frameworks/Bar.framework/Bar"), "@rpath/Bar.framework/Bar", deep)
	sign(t, m.program(filepath.Join(app, "Foo"), bar, baz, "-rpath", "@executable_path/Frameworks"),
		signature{claims: claims{entitlement.KeyRestrictionsString: "2"}})
	own := m.library(filepath.Join(app, "PlugIns/Share.appex/Frameworks/Own.framework/Own"), "@rpath/Own.framework/Own")
	sign(t, m.program(filepath.Join(app, "PlugIns/Share.appex/Share"), own, deep,
		"-rpath", "@executable_path/Frameworks", "-rpath", "@executable_path/../../Frameworks"),
		signature{claims: claims{entitlement.KeyRestrictionsString: "3"}})
	info(t, filepath.Join(app, "Info.plist"), map[string]any{"CFBundleExecutable": "Foo"})
}

// tailOf cuts the folder of the test out of the names in a chain.
func chainOf(f finding.Finding, dir string) []string {
	var out []string
	for _, c := range f.Chain {
		out = append(out, strings.TrimPrefix(strings.TrimPrefix(c, dir), "/"))
	}
	return out
}

func TestIOSApp(t *testing.T) {
	dir := t.TempDir()
	makeIOSApp(t, filepath.Join(dir, "in/Payload/Foo.app"))
	const app = "Payload/Foo.app/"
	want := map[string][]string{
		"_libbaz_install": {app + "Foo (level 2)", app + "Frameworks/libbaz.dylib"},
		"_Bar_install":    {app + "Foo (level 2)", app + "Frameworks/Bar.framework/Bar"},
		// Loaded by two programs: the one with the higher level counts.
		"_Deep_install": {app + "PlugIns/Share.appex/Share (level 3)", app + "Frameworks/Deep.framework/Deep"},
		"_Own_install": {app + "PlugIns/Share.appex/Share (level 3)",
			app + "PlugIns/Share.appex/Frameworks/Own.framework/Own"},
	}
	in := filepath.Join(dir, "in")
	ipa, tgz := zipOf(t, in, filepath.Join(dir, "Foo.ipa")), tgzOf(t, in, filepath.Join(dir, "Foo.tgz"))
	for _, path := range []string{in, ipa, tgz} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := checkAll(t, Options{}, path)
			prefix := path
			if path != in {
				prefix += "!"
			}
			got := map[string][]string{}
			for name, f := range findingsByFunction(t, r) {
				got[name] = chainOf(f, prefix)
				if !f.KillsHere || f.Confidence != finding.Certain {
					t.Errorf("%s: kills %v, %s", name, f.KillsHere, f.Confidence)
				}
				if path != in && (f.Where.Path != path || !strings.HasPrefix(f.Where.Member, app)) {
					t.Errorf("%s: path %q member %q", name, f.Where.Path, f.Where.Member)
				}
				level := got[name][0]
				if !has(f, "level "+f.Level.String()+" of the program that loads it: ") ||
					!strings.Contains(level, f.Level.String()) {
					t.Errorf("%s: level %s, evidence %q", name, f.Level, f.Evidence)
				}
				more := has(f, "2 programs load it; shown is one in which the call does most harm")
				if more != (name == "_Deep_install") {
					t.Errorf("%s: evidence %q", name, f.Evidence)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error("-want +got\n" + diff)
			}
			if r.Summary.Level != finding.LevelDeclared || r.Summary.Images != 6 {
				t.Errorf("summary %+v", r.Summary)
			}
		})
	}
}

// makeMacApp makes an app with the versioned folders and links of macOS, a plug-in, a service and a helper.
func makeMacApp(t *testing.T, contents string, level string) {
	t.Helper()
	m := newMaker(t)
	at := func(path string) string { return filepath.Join(contents, path) }
	baz := m.library(at("Frameworks/libbaz.dylib"), "@executable_path/../Frameworks/libbaz.dylib")
	bar := m.library(at("Frameworks/Bar.framework/Versions/A/Bar"), "@rpath/Bar.framework/Versions/A/Bar")
	for link, to := range map[string]string{"Versions/Current": "A", "Bar": "Versions/Current/Bar"} {
		if err := os.Symlink(to, at("Frameworks/Bar.framework/"+link)); err != nil {
			t.Fatal(err)
		}
	}
	sign(t, m.program(at("MacOS/Main"), bar, baz, "-rpath", "@loader_path/../Frameworks"),
		signature{claims: claims{entitlement.KeyRestrictionsString: level}})
	info(t, at("Info.plist"), map[string]any{"CFBundleExecutable": "Main"})
	// A plug-in that no load command names, and a library that only it loads.
	helper := m.library(at("PlugIns/Look.bundle/Contents/Frameworks/libhelp.dylib"),
		"@loader_path/../Frameworks/libhelp.dylib")
	m.link(at("PlugIns/Look.bundle/Contents/MacOS/Look"), "-bundle", helper, m.object("handler.c", "-DNAME=look"))
	// A service is a program of its own and declares nothing.
	m.link(at("XPCServices/Net.xpc/Contents/MacOS/Net"), m.object("handler.c", "-DNAME=net", "-DMAIN"))
}

func TestMacApp(t *testing.T) {
	dir := t.TempDir()
	makeMacApp(t, filepath.Join(dir, "Foo.app/Contents"), "3")
	const in = "Foo.app/Contents/"
	r := checkAll(t, Options{}, filepath.Join(dir, "Foo.app"))
	got, levels := map[string][]string{}, map[string]string{}
	for name, f := range findingsByFunction(t, r) {
		got[name], levels[name] = chainOf(f, dir), f.Level.String()
		if bundled := has(f, "no load command leads to it from the program, in whose bundle it lies"); bundled !=
			(name == "_look" || name == "_libhelp_install") {
			t.Errorf("%s: evidence %q", name, f.Evidence)
		}
	}
	want := map[string][]string{
		"_libbaz_install": {in + "MacOS/Main (level 3)", in + "Frameworks/libbaz.dylib"},
		"_Bar_install":    {in + "MacOS/Main (level 3)", in + "Frameworks/Bar.framework/Versions/A/Bar"},
		"_look":           {in + "MacOS/Main (level 3)", in + "PlugIns/Look.bundle/Contents/MacOS/Look"},
		"_libhelp_install": {in + "MacOS/Main (level 3)", in + "PlugIns/Look.bundle/Contents/MacOS/Look",
			in + "PlugIns/Look.bundle/Contents/Frameworks/libhelp.dylib"},
		"_net": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("chains -want +got\n" + diff)
	}
	if levels["_net"] != "2" || levels["_look"] != "3" || r.Summary.Level != finding.LevelDeclared {
		t.Errorf("levels %v, summary %s", levels, r.Summary.Level)
	}
}

// Apps beside one another load their own copies, and none loads what only another has.
func TestTwoApps(t *testing.T) {
	dir := t.TempDir()
	m := newMaker(t)
	m.system = "ios15"
	at := func(path string) string { return filepath.Join(dir, path) }
	bar := m.library(at("B.app/Frameworks/Bar.framework/Bar"), "@rpath/Bar.framework/Bar")
	write(t, at("A.app/Frameworks/Bar.framework/Bar"), read(t, bar))
	only := m.library(at("B.app/Frameworks/Only.framework/Only"), "@rpath/Only.framework/Only")
	sign(t, m.program(at("A.app/A"), bar, only, "-rpath", "@executable_path/Frameworks"),
		signature{claims: claims{entitlement.KeyRestrictionsString: "3"}})
	sign(t, m.program(at("B.app/B"), bar, only, "-rpath", "@executable_path/Frameworks"),
		signature{claims: claims{"com.apple.developer.web-browser-engine.host": true}})
	got := map[string][]string{}
	for _, f := range checkAll(t, Options{}, dir).Findings {
		got[strings.TrimPrefix(f.Where.Path, dir+"/")] = chainOf(f, dir)
	}
	want := map[string][]string{
		"A.app/Frameworks/Bar.framework/Bar":   {"A.app/A (level 3)", "A.app/Frameworks/Bar.framework/Bar"},
		"B.app/Frameworks/Bar.framework/Bar":   {"B.app/B (level 1)", "B.app/Frameworks/Bar.framework/Bar"},
		"B.app/Frameworks/Only.framework/Only": {"B.app/B (level 1)", "B.app/Frameworks/Only.framework/Only"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// What is built but not packed yet lies side by side, and install names alone tell what belongs together.
func TestUnpacked(t *testing.T) {
	dir := t.TempDir()
	m := newMaker(t)
	at := func(path string) string { return filepath.Join(dir, path) }
	abs := m.library(at("lib/libabs.dylib"), "/opt/lib/libabs.dylib")
	bare := m.library(at("lib/libbare.dylib"), "libbare.dylib", abs)
	bar := m.library(at("build/Bar.framework/Versions/A/Bar"), "@rpath/Bar.framework/Versions/A/Bar")
	sign(t, m.program(at("bin/tool"), bare, bar), signature{claims: claims{entitlement.KeyRestrictionsString: "3"}})
	got := map[string][]string{}
	for name, f := range findingsByFunction(t, checkAll(t, Options{}, dir)) {
		got[name] = chainOf(f, dir)
	}
	want := map[string][]string{
		"_libbare_install": {"bin/tool (level 3)", "lib/libbare.dylib"},
		"_libabs_install":  {"bin/tool (level 3)", "lib/libbare.dylib", "lib/libabs.dylib"},
		"_Bar_install":     {"bin/tool (level 3)", "build/Bar.framework/Versions/A/Bar"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// Among libraries of the same name the run paths decide, those of the program too.
func TestRunPaths(t *testing.T) {
	dir := t.TempDir()
	m := newMaker(t)
	at := func(path string) string { return filepath.Join(dir, path) }
	near := m.library(at("bin/plain/libx.dylib"), "@rpath/libx.dylib")
	write(t, at("special/libx.dylib"), read(t, near))
	via := m.empty(at("bin/via/libvia.dylib"), "@rpath/via/libvia.dylib", near)
	m.program(at("bin/tool"), via, "-rpath", "@executable_path/../special", "-rpath", "@executable_path")
	for _, f := range checkAll(t, Options{}, dir).Findings {
		chain := chainOf(f, dir)
		path := strings.TrimPrefix(f.Where.Path, dir+"/")
		want := []string(nil)
		if path == "special/libx.dylib" {
			want = []string{"bin/tool (level 2)", "bin/via/libvia.dylib", "special/libx.dylib"}
		}
		if diff := cmp.Diff(want, chain); diff != "" {
			t.Errorf("%s: -want +got\n%s", path, diff)
		}
	}
}

// A call that is harmless in the program with the higher level is judged by the other.
func TestWorstProgramDecides(t *testing.T) {
	dir := t.TempDir()
	m := newMaker(t)
	lib := m.library(filepath.Join(dir, "libx.dylib"), "@rpath/libx.dylib")
	sign(t, m.program(filepath.Join(dir, "exempt"), lib, "-rpath", "@executable_path"), signature{claims: claims{
		entitlement.KeyRestrictionsString: "3", entitlement.KeySetExceptionPort: true}})
	for _, name := range []string{"plain", "twin"} {
		sign(t, m.program(filepath.Join(dir, name), lib, "-rpath", "@executable_path"), signature{claims: claims{
			entitlement.KeyRestrictionsString: "2"}})
	}
	r := checkAll(t, Options{}, dir)
	f := r.Findings[0]
	if len(r.Findings) != 1 || !f.KillsHere || *f.Level != rules.Level2 || !has(f, "3 programs load it") ||
		!slices.Equal(chainOf(f, dir), []string{"plain (level 2)", "libx.dylib"}) {
		t.Errorf("%+v", r.Findings)
	}
	// Without the others the exempt program decides.
	for _, name := range []string{"plain", "twin"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if f := checkAll(t, Options{}, dir).Findings[0]; f.KillsHere || *f.Level != rules.Level3 {
		t.Errorf("%+v", f)
	}
}

// Without a program the level of the entitlement stands in.
func TestNoProgram(t *testing.T) {
	dir := t.TempDir()
	m := newMaker(t)
	lib := m.library(filepath.Join(dir, "libx.dylib"), "@rpath/libx.dylib")
	node := m.link(filepath.Join(dir, "x.node"), "-bundle", m.object("handler.c", "-DNAME=node"))
	object := filepath.Join(dir, "x.o")
	write(t, object, read(t, m.object("handler.c", "-DNAME=object")))
	for path, why := range map[string]string{
		lib: "no program that loads this was read", node: "no program that loads this was read", object: "not linked yet",
	} {
		r := checkAll(t, Options{}, path)
		if len(r.Findings) != 1 {
			t.Fatalf("%s: %d findings", path, len(r.Findings))
		}
		f := r.Findings[0]
		if !f.KillsHere || *f.Level != rules.Level2 || f.Chain != nil || r.Summary.Level != "2" || !has(f, why) {
			t.Errorf("%s: %+v, summary level %s", path, f, r.Summary.Level)
		}
	}
	// A library that nobody loads beside a program with another level.
	sign(t, m.program(filepath.Join(dir, "tool")), signature{claims: claims{entitlement.KeyRestrictionsString: "3"}})
	if r := checkAll(t, Options{}, dir); r.Summary.Level != finding.LevelDeclared {
		t.Errorf("summary level %s", r.Summary.Level)
	}
}
