package check

import (
	"path/filepath"
	"testing"

	"portcullis.dev/finding"
)

// What is known about software decides how sure a finding is, and fails no run for a version that conforms.
func TestKnownSoftware(t *testing.T) {
	const (
		sentry      = "Sentry for Apple platforms (SentryCrash)"
		crashlytics = "Firebase Crashlytics"
		forbidden   = "-DBEHAVIOR=(int)0x80000001"
		unknown     = "-DBEHAVIOR=(*(volatile int*)&mach_task_self_)"
	)
	for _, tt := range []struct {
		name, framework, version string
		flags                    []string
		sdk, found, fixed        string
		confidence               finding.Confidence
		evidence                 string
		code                     int
	}{
		{"no version conforms", "Sentry", "9.26.0", []string{forbidden}, sentry, "9.26.0", "",
			finding.Certain, "known to violate: ", finding.ExitFindings},
		{"without a version", "Sentry", "", []string{forbidden}, sentry, "", "",
			finding.Certain, "known to violate: ", finding.ExitFindings},
		{"what could not be recovered is likely", "Sentry", "9.26.0", []string{unknown},
			sentry, "9.26.0", "", finding.Likely, "known to violate: ", finding.ExitFindings},
		{"the last that violates", "FirebaseCrashlytics", "12.8.0", []string{unknown}, crashlytics, "12.8.0", "12.9.0",
			finding.Likely, "known to violate: ", finding.ExitFindings},
		{"the first that conforms", "FirebaseCrashlytics", "12.9.0", []string{unknown}, crashlytics, "12.9.0",
			"12.9.0", finding.Possible, "known to conform: ", finding.ExitClean},
		{"proven, but known to be for old systems", "FirebaseCrashlytics", "12.10.0", []string{forbidden},
			crashlytics, "12.10.0", "12.9.0", finding.Possible, "known to conform: ", finding.ExitClean},
		{"version unknown", "FirebaseCrashlytics", "", []string{forbidden}, crashlytics, "", "12.9.0",
			finding.Certain, "known to conform since 12.9.0; which version this is could not be told", finding.ExitFindings},
		{"version unknown, call unresolved", "FirebaseCrashlytics", "", []string{unknown}, crashlytics, "", "12.9.0",
			finding.Possible, "known to conform since 12.9.0; which version this is could not be told", finding.ExitClean},
		{"known by what only the fix has", "FirebaseCrashlytics", "", []string{
			forbidden, "-DNAME=FIRCLSMachExceptionRegister", `-DMARK="machExceptionDefaultBehavior"`}, crashlytics, "", "12.9.0", finding.Possible,
			"known to conform: ", finding.ExitClean},
		{"nobody's", "Mine", "12.9.0", []string{forbidden}, "", "", "", finding.Certain, "no program", finding.ExitFindings},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMaker(t)
			dir := filepath.Join(t.TempDir(), tt.framework+".framework")
			object := m.object("handler.c", tt.flags...)
			m.link(filepath.Join(dir, tt.framework), "-dylib", object,
				"-install_name", "@rpath/"+tt.framework+".framework/"+tt.framework)
			if tt.version != "" {
				info(t, filepath.Join(dir, "Info.plist"), map[string]any{"CFBundleShortVersionString": tt.version})
			}
			r := checkAll(t, Options{}, dir)
			if len(r.Findings) != 1 {
				t.Fatalf("%d findings", len(r.Findings))
			}
			f := r.Findings[0]
			sdk := finding.SDK{}
			if f.SDK != nil {
				sdk = *f.SDK
			}
			if sdk.Name != tt.sdk || sdk.Version != tt.found || sdk.FixedIn != tt.fixed || (sdk.Source != "") != (tt.sdk != "") {
				t.Errorf("sdk %+v", sdk)
			}
			if f.Confidence != tt.confidence || !has(f, tt.evidence) || !f.KillsHere {
				t.Errorf("%s, want %s; kills %v; evidence %q", f.Confidence, tt.confidence, f.KillsHere, f.Evidence)
			}
			if got := r.ExitCode(finding.Likely); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
		})
	}
}

// An app that holds software which conforms can have a call of its own that does not.
func TestConformingSoftwareExcusesNobodyElse(t *testing.T) {
	m := newMaker(t)
	object := m.object("handler.c", "-DMAIN", `-DMARK="FIRCLSMachException machExceptionDefaultBehavior"`)
	path := m.link(filepath.Join(t.TempDir(), "tool"), object, "-exported_symbol", "_main")
	// With names the call is known to be the app's own.
	f := checkAll(t, Options{}, path).Findings[0]
	if f.SDK != nil || f.Confidence != finding.Certain {
		t.Errorf("%s %+v", f.Confidence, f.SDK)
	}
	// Without names it could be either's, and what is proven stays so.
	run(t, "llvm-strip-19", "--strip-all", path)
	f = checkAll(t, Options{}, path).Findings[0]
	if f.Where.Function != "" {
		t.Fatalf("function %q in a stripped program", f.Where.Function)
	}
	if f.SDK == nil || f.Confidence != finding.Certain || !has(f, "this call is not known to be its own") {
		t.Errorf("%s %+v %q", f.Confidence, f.SDK, f.Evidence)
	}
}
