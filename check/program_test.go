package check

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"portcullis.dev/entitlement"
	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// What an app would have to change is told by component, and whose each is.
func TestPrograms(t *testing.T) {
	app := filepath.Join(t.TempDir(), "Foo.app")
	at := func(p string) string { return filepath.Join(app, p) }
	m := newMaker(t)
	m.system = "ios15"
	libs := []string{"-rpath", "@executable_path/Frameworks"}
	for name, id := range map[string]string{
		"Own": "com.example.own", "Theirs": "com.vendor.theirs", "Pod": "org.cocoapods.Pod", "None": ""} {
		framework := "Frameworks/" + name + ".framework/"
		libs = append(libs, m.library(at(framework+name), "@rpath/"+name+".framework/"+name))
		info(t, at(framework+"Info.plist"), map[string]any{"CFBundleExecutable": name, "CFBundleIdentifier": id,
			"CFBundleShortVersionString": "1.2"})
	}
	libs = append(libs, m.library(at("Frameworks/libplain.dylib"), "@rpath/libplain.dylib"))
	sign(t, m.offender(at("Foo"), libs...), signature{claims: claims{entitlement.KeyRestrictionsString: "2"}})
	info(t, at("Info.plist"), map[string]any{"CFBundleExecutable": "Foo", "CFBundleIdentifier": "com.example.foo",
		"CFBundleShortVersionString": "3.4"})
	m.library(filepath.Join(filepath.Dir(app), "libalone.dylib"), "@rpath/libalone.dylib")

	r := checkAll(t, Options{}, filepath.Dir(app))
	r.Finish()
	one := []finding.Blocker{{Rule: setBehavior, KillsFrom: rules.Level1, Certain: 1}}
	component := func(name, version string, owner finding.Owner) *finding.Component {
		return &finding.Component{Name: name, Version: version, Owner: owner, Blockers: one}
	}
	verdicts := []finding.Verdict{
		{Level: rules.LevelNone, Status: finding.Clear}, {Level: rules.LevelHardenedRuntime, Status: finding.Clear},
		{Level: rules.Level1, Status: finding.Blocked}, {Level: rules.Level2, Status: finding.Blocked},
		{Level: rules.Level3, Status: finding.Blocked}, {Level: rules.LevelPlatform, Status: finding.Blocked},
	}
	want := []finding.Program{
		{Name: "Foo.app", Version: "3.4", Level: rules.Level2, Declares: true, Verdicts: verdicts,
			Components: []*finding.Component{
				component("Foo.app", "3.4", finding.OwnerSelf),
				component("None.framework", "1.2", finding.OwnerUnknown),
				component("Own.framework", "1.2", finding.OwnerSelf),
				component("Pod.framework", "1.2", finding.OwnerVendor),
				component("Theirs.framework", "1.2", finding.OwnerVendor),
				component("libplain.dylib", "", finding.OwnerUnknown),
			}},
		{Level: rules.Level2, Verdicts: verdicts,
			Components: []*finding.Component{component("libalone.dylib", "", finding.OwnerUnknown)}},
	}
	ignore := cmp.Options{cmpopts.IgnoreFields(finding.Program{}, "Path", "Member"),
		cmpopts.IgnoreFields(finding.Component{}, "Path", "Member", "Why")}
	if diff := cmp.Diff(want, r.Programs, ignore); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// A universal program's call counts once; a call that an entitlement allows blocks nothing.
func TestProgramSlices(t *testing.T) {
	dir := t.TempDir()
	var thin []string
	for _, arch := range []string{"arm64", "x86_64"} {
		m := newMaker(t)
		m.arch = arch
		thin = append(thin, m.offender(filepath.Join(dir, arch)))
	}
	universal := filepath.Join(dir, "in/Foo")
	write(t, universal, nil)
	run(t, "llvm-lipo-19", append([]string{"-create", "-output", universal}, thin...)...)
	r := checkAll(t, Options{}, universal)
	r.Finish()
	want := []finding.Blocker{{Rule: setBehavior, KillsFrom: rules.Level1, Certain: 1}}
	if len(r.Programs) != 1 || len(r.Programs[0].Components) != 1 {
		t.Fatalf("programs %+v", r.Programs)
	}
	if diff := cmp.Diff(want, r.Programs[0].Components[0].Blockers); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	m := newMaker(t)
	allowed := m.offender(filepath.Join(dir, "allowed/Foo"))
	sign(t, allowed, signature{claims: claims{entitlement.KeyRestrictionsString: "2",
		"com.apple.private.set-exception-port": true}})
	r = checkAll(t, Options{}, allowed)
	r.Finish()
	if len(r.Programs) != 1 || r.Programs[0].Verdicts[len(r.Programs[0].Verdicts)-1].Status != finding.Clear {
		t.Errorf("waived: %+v", r.Programs)
	}
}
