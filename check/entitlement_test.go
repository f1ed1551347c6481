package check

import (
	"path/filepath"
	"testing"

	"portcullis.dev/entitlement"
	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// What a program claims decides over its calls.
func TestProgramLevels(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sign   *signature // nil: as the linker leaves it
		ios    bool
		level  string
		kills  bool
		why    string // in the evidence
		note   string // in a note; "" for none
		unread string
	}{
		{name: "none", level: "2", kills: true,
			why: "the program declares no level; judged at level 2, which the entitlement gives"},
		{name: "no claims", sign: &signature{claims: claims{}}, level: "2", kills: true,
			why: "the program declares no level; "},
		{name: "integer key", sign: &signature{claims: claims{entitlement.KeyRestrictions: 1}}, level: "2", kills: true,
			why: "level 2: the key is present; any value, here 1, gives version 2"},
		{name: "string 3", sign: &signature{claims: claims{entitlement.KeyRestrictionsString: "3"}}, level: "3", kills: true,
			why: `level 3: the value "3" is a number from 2 to 7: version 3`},
		{name: "XML alone on macOS", sign: &signature{claims: claims{entitlement.KeyRestrictionsString: "2"}, xmlOnly: true},
			level: "2", kills: true, why: "level 2: "},
		{name: "DER on iOS", sign: &signature{claims: claims{entitlement.KeyRestrictionsString: "3"}}, ios: true,
			level: "3", kills: true, why: "level 3: "},
		{name: "XML alone on iOS", sign: &signature{claims: claims{entitlement.KeyRestrictionsString: "3"}, xmlOnly: true},
			ios: true, level: "2", kills: true, why: "XML entitlements and no DER; iOS does not read them; judged at level 2"},
		{name: "browser engine",
			sign:  &signature{claims: claims{"com.apple.developer.web-browser-engine.webcontent": true}},
			level: "1", kills: true, why: "level 1: the key is true: a process of a web browser engine"},
		{name: "hardened runtime alone", sign: &signature{runtime: true}, level: "2", kills: true,
			why: "the program declares no level, only the hardened runtime; judged at level 2"},
		{name: "platform binary", sign: &signature{platform: 14}, level: "platform", kills: true,
			why: "level platform: the code directory names platform 14"},
		{name: "refused", sign: &signature{claims: claims{entitlement.KeyRestrictionsString: "1"}}, level: "2", kills: true,
			why: "the kernel refuses to start the program with the entitlements it has; judged at level 2",
			note: "the kernel refuses to start this program: com.apple.security.hardened-process." +
				"platform-restrictions-string"},
		{name: "waived", sign: &signature{claims: claims{
			entitlement.KeyRestrictionsString: "2", entitlement.KeySetExceptionPort: true}}, level: "2",
			why: "the program holds com.apple.private.set-exception-port, which allows it"},
		{name: "waiver with a value that does not count", sign: &signature{claims: claims{
			entitlement.KeyRestrictionsString: "2", entitlement.KeySetExceptionPort: "true"}}, level: "2", kills: true,
			why: "level 2: "},
		{name: "another waiver", sign: &signature{claims: claims{
			entitlement.KeyRestrictionsString: "2", entitlement.KeyThreadSetState: true}}, level: "2", kills: true,
			why: "level 2: "},
		{name: "damaged", sign: &signature{claims: claims{entitlement.KeyRestrictionsString: "3"}, damaged: true}, level: "2",
			kills: true, why: "the program's entitlements could not be read; judged at level 2",
			unread: "judged without its entitlements: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMaker(t)
			if tt.ios {
				m.system = "ios15"
			}
			path := m.offender(filepath.Join(t.TempDir(), "tool"))
			if tt.sign != nil {
				sign(t, path, *tt.sign)
			}
			r := checkPaths(t, Options{}, path)
			if len(r.Findings) != 1 {
				t.Fatalf("%d findings, want 1", len(r.Findings))
			}
			f := r.Findings[0]
			if f.Level == nil || f.Level.String() != tt.level || f.KillsHere != tt.kills || f.Confidence != finding.Certain {
				t.Errorf("level %v, kills %v, %s; want %s, %v, certain", f.Level, f.KillsHere, f.Confidence, tt.level, tt.kills)
			}
			if r.Summary.Level != tt.level {
				t.Errorf("summary level %q, want %q", r.Summary.Level, tt.level)
			}
			if !has(f, tt.why) {
				t.Errorf("evidence %q lacks %q", f.Evidence, tt.why)
			}
			if f.Chain != nil {
				t.Errorf("a chain %q for the program's own call", f.Chain)
			}
			expectText(t, "note", noteTexts(r), tt.note)
			expectText(t, "unread", unreadTexts(r), tt.unread)
			code := finding.ExitClean
			switch {
			case tt.unread != "":
				code = finding.ExitUnread
			case tt.kills:
				code = finding.ExitFindings
			}
			if got := r.ExitCode(finding.Likely); got != code {
				t.Errorf("exit code %d, want %d", got, code)
			}
		})
	}
}

// A level that the user gives overrules what programs declare, and their waivers stay.
func TestGivenLevel(t *testing.T) {
	path := newMaker(t).offender(filepath.Join(t.TempDir(), "tool"))
	sign(t, path, signature{claims: claims{entitlement.KeyRestrictionsString: "3"}})
	none := rules.LevelNone
	r := checkAll(t, Options{Level: &none}, path)
	f := r.Findings[0]
	if f.KillsHere || *f.Level != none || r.Summary.Level != "none" || has(f, "level 3") {
		t.Errorf("kills %v at %s, summary %s, evidence %q", f.KillsHere, f.Level, r.Summary.Level, f.Evidence)
	}
	sign(t, path, signature{claims: claims{entitlement.KeySetExceptionPort: true}})
	three := rules.Level3
	if f := checkAll(t, Options{Level: &three}, path).Findings[0]; f.KillsHere || !has(f, "which allows it") {
		t.Errorf("kills %v, evidence %q", f.KillsHere, f.Evidence)
	}
}

// A program that declares that it has one exception port only may register none, not even a null one.
func TestOnlyOneExceptionPort(t *testing.T) {
	m := newMaker(t)
	object := m.object("handler.c", "-DMAIN", "-DCLEAR")
	path := m.link(filepath.Join(t.TempDir(), "tool"), object)
	if got := verdicts(checkAll(t, Options{}, path)); len(got) != 1 || got["_clear_handlers"] != "" {
		t.Errorf("undeclared: %v", got)
	}
	claim := claims{entitlement.KeyRestrictionsString: "2", entitlement.KeyOneExceptionPort: true}
	sign(t, path, signature{claims: claim})
	r := checkAll(t, Options{}, path)
	var clear []finding.Finding
	for _, f := range r.Findings {
		if f.Where.Function == "_clear_handlers" {
			clear = append(clear, f)
		}
	}
	if len(clear) != 1 || clear[0].Confidence != finding.Certain || !clear[0].KillsHere ||
		clear[0].KillsFrom != rules.Level1 || !has(clear[0], "the program declares "+entitlement.KeyOneExceptionPort) {
		t.Errorf("%+v", clear)
	}
	// A library is judged so only in programs that declare it, and alone it is not.
	object = m.object("handler.c", "-DCLEAR")
	dir := t.TempDir()
	lib := m.link(filepath.Join(dir, "libclear.dylib"), "-dylib", "-install_name", "@rpath/libclear.dylib", object)
	if got := verdicts(checkAll(t, Options{}, lib)); got["_clear_handlers"] != "" {
		t.Errorf("a library alone: %v", got)
	}
	program := m.program(filepath.Join(dir, "tool"), lib, "-rpath", "@executable_path")
	sign(t, program, signature{claims: claim})
	if got := verdicts(checkAll(t, Options{}, dir)); got["_clear_handlers"] != "SET_EXCEPTION_BEHAVIOR certain 1" {
		t.Errorf("a library in a program: %v", got)
	}
	// The private entitlement lifts this restriction, too.
	claim[entitlement.KeySetExceptionPort] = true
	sign(t, program, signature{claims: claim})
	for _, f := range checkAll(t, Options{}, dir).Findings {
		if f.KillsHere || !has(f, "which allows it") {
			t.Errorf("%s: kills %v, evidence %q", f.Where.Function, f.KillsHere, f.Evidence)
		}
	}
}
