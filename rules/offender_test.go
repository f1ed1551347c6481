package rules_test

import (
	"debug/macho"
	"iter"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/internal/corpus"
	"portcullis.dev/rules"
)

func TestOffendersAreSound(t *testing.T) {
	type key struct{ name, rule string }
	seen := map[key]bool{}
	for _, o := range rules.Offenders() {
		k := key{o.Name, o.Rule}
		if seen[k] || o.Name == "" {
			t.Errorf("%v: twice, or without a name", k)
		}
		seen[k] = true
		if r, ok := rules.ByName(o.Rule); !ok || r.Name != o.Rule {
			t.Errorf("%s: no rule is called %q", o.Name, o.Rule)
		}
		if o.Does == "" || len(o.Read) == 0 || len(o.Sources) == 0 {
			t.Errorf("%s: what it does, what was read or the source is missing", o.Name)
		}
		if !o.Verified && o.Note == "" {
			t.Errorf("%s: unverified, and no note says how it is known", o.Name)
		}
		for _, s := range o.Sources {
			u, err := url.Parse(s.URL)
			if err != nil || u.Scheme != "https" || u.Host != "github.com" || s.What == "" {
				t.Errorf("%s: source %v", o.Name, s)
			}
			if strings.Contains(u.Path, "/blob/main/") || strings.Contains(u.Path, "/blob/master/") {
				t.Errorf("%s: %s can change under the reader", o.Name, s.URL)
			}
		}
		for _, v := range []string{o.Since, o.FixedIn} {
			if v != "" && rules.CompareVersions(v, "no version") <= 0 {
				t.Errorf("%s: %q is no version", o.Name, v)
			}
		}
		signs := slices.Concat(o.Signs.Bundles, o.Signs.Images, o.Signs.Symbols, o.Signs.Strings, o.Signs.Functions)
		if len(signs) == 0 {
			t.Errorf("%s: nothing gives it away", o.Name)
		}
		for _, s := range signs {
			if len(s) < 8 {
				t.Errorf("%s: the sign %q is too short to mean anything", o.Name, s)
			}
		}
		if len(o.Signs.FixedMarks) > 0 && o.FixedIn == "" {
			t.Errorf("%s: marks of a fix that is not there", o.Name)
		}
	}
}

func data(texts ...string) func() iter.Seq[[]byte] {
	return func() iter.Seq[[]byte] {
		return func(yield func([]byte) bool) {
			for _, s := range texts {
				if !yield([]byte("noise\x00" + s + "\x00more noise")) {
					return
				}
			}
		}
	}
}

func TestMatchOffender(t *testing.T) {
	const behavior = "SET_EXCEPTION_BEHAVIOR"
	symbols := func(names ...string) iter.Seq[string] { return slices.Values(names) }
	for name, tt := range map[string]struct {
		ev            rules.Evidence
		want, version string
		verdict       rules.Verdict
	}{
		"nothing":     {rules.Evidence{Rule: behavior}, "", "", ""},
		"unconcerned": {rules.Evidence{Symbols: symbols("_main"), Data: data("text"), BundleID: "org.example"}, "", "", ""},
		"framework by install name": {rules.Evidence{Rule: behavior, InstallName: "@rpath/Sentry.framework/Sentry",
			BundleVersion: "9.26.0"}, "Sentry for Apple platforms (SentryCrash)", "9.26.0", rules.Violates},
		"framework with versions": {rules.Evidence{Path: "A.app/Contents/Frameworks/Sentry.framework/Versions/A/Sentry"},
			"Sentry for Apple platforms (SentryCrash)", "", rules.Violates},
		"framework in an archive": {rules.Evidence{Path: "a.zip!/KSCrash.framework/KSCrash"}, "KSCrash", "", rules.Violates},
		"a folder is not enough":  {rules.Evidence{Path: "Sentry.framework/Helper"}, "", "", ""},
		"bundle": {rules.Evidence{BundleID: "com.bugsnag.Bugsnag", BundleVersion: "6.37.0"},
			"Bugsnag for Apple platforms (BSG_KSCrash)", "6.37.0", rules.Violates},
		"namespaced KSCrash": {rules.Evidence{Symbols: symbols("_main", "_kscm_machexception_getAPI_mylib")}, "KSCrash", "",
			rules.Violates},
		"a fork is not its origin": {rules.Evidence{Function: "_installExceptionHandler",
			Symbols: symbols("_sentrycrashcm_machexception_getAPI")}, "Sentry for Apple platforms (SentryCrash)", "",
			rules.Violates},
		"the app's own call beside a crash reporter": {rules.Evidence{Rule: behavior, Function: "-[AppDelegate setUp]",
			Symbols: symbols("_kscm_machexception_getAPI")}, "", "", ""},
		"a common name alone": {rules.Evidence{Function: "_installExceptionHandler"}, "", "", ""},
		"a telling name alone": {rules.Evidence{Function: "FIRCLSMachExceptionRegister"}, "Firebase Crashlytics", "",
			rules.Unsure},
		"crashlytics before": {rules.Evidence{InstallName: "@rpath/FirebaseCrashlytics.framework/FirebaseCrashlytics",
			BundleVersion: "12.8.0"}, "Firebase Crashlytics", "12.8.0", rules.Violates},
		"crashlytics after": {rules.Evidence{InstallName: "@rpath/FirebaseCrashlytics.framework/FirebaseCrashlytics",
			BundleVersion: "12.10"}, "Firebase Crashlytics", "12.10", rules.Mended},
		"the app's version is not the SDK's": {rules.Evidence{Symbols: symbols("_FIRCLSMachExceptionInit"),
			BundleID: "org.example.app", BundleVersion: "99.0"}, "Firebase Crashlytics", "", rules.Unsure},
		"crashlytics by what only the fix has": {rules.Evidence{Symbols: symbols("_FIRCLSMachExceptionInit"),
			Data: data("machExceptionDefaultBehavior")}, "Firebase Crashlytics", "", rules.Mended},
		"prefixed PLCrashReporter": {rules.Evidence{Function: "-[XYZPLCrashMachExceptionPort registerForTask:]",
			Symbols: symbols("_OBJC_CLASS_$_XYZPLCrashMachExceptionPort")}, "PLCrashReporter", "", rules.Violates},
		"appdynamics": {rules.Evidence{Symbols: symbols("_OBJC_CLASS_$_APPDPLCrashMachExceptionServer")},
			"AppDynamics iOS agent (PLCrashReporter)", "", rules.Violates},
		"stripped runtime": {rules.Evidence{Data: data("PAL_MachExceptionMode")}, ".NET runtime (CoreCLR)", "", rules.Violates},
		"wasmtime of old": {rules.Evidence{Symbols: symbols("__ZN8wasmtime7runtime2vm3sys4unix9machports3foo17h0E"),
			Data: data("x/wasmtime-wasi-latest/src/", "/wasmtime-0.25.1/src/lib.rs")}, "wasmtime", "0.25.1", rules.Mended},
		"wasmtime's handler sets the state of a thread in an exception": {rules.Evidence{Rule: "THREAD_SET_STATE",
			Function: "__ZN8wasmtime7runtime2vm3sys4unix9machports14handler_thread17h0E"}, "wasmtime", "", rules.Harmless},
		"wasmtime": {rules.Evidence{Rule: behavior, Data: data("see `Config::macos_use_mach_ports`",
			"/wasmtime-36.0.2/src/runtime.rs")}, "wasmtime", "36.0.2", rules.Violates},
		"llvm": {rules.Evidence{Rule: behavior,
			Function: "__ZN4llvm3sys27PrintStackTraceOnErrorSignalENS_9StringRefEb"},
			"LLVM (sys::PrintStackTraceOnErrorSignal)", "", rules.Harmless},
		"llvm somewhere in the image": {rules.Evidence{Rule: behavior,
			Symbols: symbols("__ZN4llvm3sys27PrintStackTraceOnErrorSignalENS_9StringRefEb")}, "", "", ""},
		"frame of a report": {rules.Evidence{Rule: "INVALID_RIGHT",
			Function: "core::ptr::drop_in_place<minidumper::ipc::server::Server>"},
			"minidumper (Rust crate, through crash-context)", "", rules.Violates},
		"another rule": {rules.Evidence{Rule: "OOL_PORT_ARRAY", InstallName: "@rpath/Sentry.framework/Sentry"}, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, ok := rules.MatchOffender(tt.ev)
			once := tt.ev
			once.Symbols, once.Data, once.Seen = nil, nil, rules.Look(tt.ev.Symbols, tt.ev.Data)
			if other, found := rules.MatchOffender(once); found != ok || !cmp.Equal(m, other) {
				t.Errorf("looked up beforehand: %+v, want %+v", other, m)
			}
			got := ""
			if m.Offender != nil {
				got = m.Name
			}
			if ok != (tt.want != "") || got != tt.want || m.Version != tt.version || m.Verdict != tt.verdict {
				t.Errorf("%q %q %q %q, want %q %q %q", got, m.Version, m.Verdict, m.Why, tt.want, tt.version, tt.verdict)
			}
			if ok && len(m.Why) == 0 {
				t.Error("without a reason")
			}
		})
	}
}

func TestCompareVersions(t *testing.T) {
	ordered := []string{"", "latest", "0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2",
		"1.0.0-beta.11", "1.0.0-rc.1", "1.0", "1.0.1", "1.9.9", "1.10", "v2", "2.0.0.1", "12.8.0", "12.9.0", "12.10.0"}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := rules.CompareVersions(a, b); got != want {
				t.Errorf("%q and %q: %d, want %d", a, b, got, want)
			}
		}
	}
	for _, same := range [][2]string{{"1.2", "1.2.0"}, {"v1.2.3", "1.2.3+build7"}} {
		if rules.CompareVersions(same[0], same[1]) != 0 {
			t.Errorf("%q differ", same)
		}
	}
}

// TestMatchOffenderInRealPrograms reads published programs.
func TestMatchOffenderInRealPrograms(t *testing.T) {
	type want struct {
		Name, Version string
		Verdict       rules.Verdict
	}
	for _, tt := range []struct {
		pkg, file string
		want      want
	}{
		{"@bytecodealliance/wizer-darwin-arm64@10.0.0", "wizer", want{"wasmtime", "36.0.2", rules.Violates}},
		{"clang-format-node@3.0.7", "bin/cfn-darwin-arm64/clang-format",
			want{}}, // LLVM, but stripped: nothing says that the call is LLVM's
		{"fsevents@2.3.3", "fsevents.node", want{}},
	} {
		t.Run(tt.pkg, func(t *testing.T) {
			m, ok := rules.MatchOffender(realEvidence(t, corpus.File(t, tt.pkg, tt.file)))
			got := want{Version: m.Version, Verdict: m.Verdict}
			if ok {
				got.Name = m.Name
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("%q -want +got\n%s", m.Why, d)
			}
		})
	}
}

func realEvidence(t testing.TB, path string) rules.Evidence {
	t.Helper()
	f, err := macho.Open(path)
	if err != nil {
		fat, fatErr := macho.OpenFat(path)
		if fatErr != nil {
			t.Fatal(err, fatErr)
		}
		f = fat.Arches[0].File
	}
	var sections [][]byte
	for _, s := range f.Sections {
		if s.Name == "__cstring" || s.Name == "__const" || s.Name == "__objc_methname" {
			d, err := s.Data()
			if err != nil {
				t.Fatal(err)
			}
			sections = append(sections, d)
		}
	}
	return rules.Evidence{
		Rule: "SET_EXCEPTION_BEHAVIOR", Path: path, Data: func() iter.Seq[[]byte] { return slices.Values(sections) },
		Symbols: func(yield func(string) bool) {
			if f.Symtab == nil {
				return
			}
			for _, s := range f.Symtab.Syms {
				if !yield(s.Name) {
					return
				}
			}
		},
	}
}

func BenchmarkMatchOffender(b *testing.B) {
	ev := realEvidence(b, corpus.File(b, "@bytecodealliance/wizer-darwin-arm64@10.0.0", "wizer"))
	b.ReportAllocs()
	for b.Loop() {
		rules.MatchOffender(ev)
	}
}
