package entitlement

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// file is an entitlements file with these pairs; the keys stand on lines 5, 7, 9 …
func file(t testing.TB, pairs ...Pair) Inputs {
	t.Helper()
	set, err := ParsePlist(xmlOf(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return Inputs{Product: ProductFile, Plist: set}
}

func TestLint(t *testing.T) {
	full := []Pair{pairHardened, pairVersion}
	with := func(pairs ...Pair) []Pair { return append(slices.Clone(full), pairs...) }
	str := func(s string) Pair { return Pair{KeyRestrictionsString, String(s)} }
	legacy := legacyHardenedPrefix
	for _, tt := range []struct {
		name  string
		pairs []Pair
		edit  func(*Inputs)
		want  []string // "severity id line"
		fix   string   // lines of the first issue
	}{
		{"as Xcode writes it", with(pairRestrictions), nil, nil, ""},
		{"nothing", nil, nil, nil, ""},
		{"integer", with(pairRestrictionsInt), nil, []string{"warning integer-key line 9"},
			"<key>" + KeyRestrictionsString + "</key>\n<string>2</string>"},
		{"integer, deployment 26.0", with(pairRestrictionsInt), func(i *Inputs) { i.MinOS = system("iOS", 26, 0) },
			[]string{"warning integer-key line 9"},
			"<key>" + KeyRestrictionsString + "</key>\n<string>2</string>\n" +
				"<key>" + KeyRestrictions + "</key>\n<integer>2</integer>"},
		{"integer false", with(Pair{KeyRestrictions, Bool(false)}), nil,
			[]string{"warning integer-key-value line 9", "warning integer-key line 9"}, ""},
		{"integer 1", with(Pair{KeyRestrictions, Int(1)}), nil,
			[]string{"warning integer-key-value line 9", "warning integer-key line 9"}, plistLines(pairRestrictions)},
		{"both keys", with(pairRestrictions, pairRestrictionsInt), nil, []string{"note both-keys line 11"}, ""},
		{"both keys, 26.4", with(pairRestrictions, pairRestrictionsInt), func(i *Inputs) { i.MinOS = system("macOS", 26, 4) },
			[]string{"warning both-keys line 11"}, plistLines(pairRestrictions)},
		{"boolean string", with(Pair{KeyRestrictionsString, Bool(true)}), nil, []string{"error string-key-type line 9"},
			plistLines(pairRestrictions)},
		{"integer string", with(Pair{KeyRestrictionsString, Int(2)}), nil, []string{"error string-key-type line 9"},
			plistLines(pairRestrictions)},
		{"string 1", with(str("1")), nil, []string{"error string-key-value line 9"}, plistLines(pairRestrictions)},
		{"string 0", with(str("0")), nil, []string{"error string-key-value line 9"}, plistLines(pairRestrictions)},
		{"string 8", with(str("8")), nil, []string{"error string-key-value line 9"}, plistLines(pairRestrictions)},
		{"empty", with(str("")), nil, []string{"error string-key-value line 9"}, plistLines(pairRestrictions)},
		{"trailing blank", with(str("2 ")), nil, []string{"error string-key-value line 9"}, plistLines(pairRestrictions)},
		{"leading blank", with(str(" 2")), nil, []string{"warning string-key-blank line 9"}, plistLines(pairRestrictions)},
		{"level 3", with(str("3")), nil, []string{"note string-key-level line 9"}, ""},
		{"old system", with(pairRestrictions), func(i *Inputs) { i.MinOS = system("iOS", 18, 0) },
			[]string{"note string-key-old-system line 9"}, ""},
		{"26.0", with(pairRestrictions), func(i *Inputs) { i.MinOS = system("iOS", 26, 0) },
			[]string{"note string-key-old-system line 9"}, plistLines(pairRestrictions, pairRestrictionsInt)},
		{"alone", []Pair{pairRestrictions}, nil, []string{"warning prerequisite line 5"}, plistLines(pairHardened,
			pairVersion)},
		{"no version", []Pair{pairHardened, pairRestrictions}, nil, []string{"warning prerequisite line 7"},
			plistLines(pairVersion)},
		{"version type", []Pair{pairHardened, {KeyVersionString, Bool(true)}}, nil, []string{"error version-key line 7"},
			plistLines(pairVersion)},
		{"version type, not hardened", []Pair{{KeyVersionString, Bool(true)}}, nil,
			[]string{"warning version-key line 5"}, plistLines(pairVersion)},
		{"integer version", []Pair{pairHardened, {KeyVersion, Int(1)}}, nil,
			[]string{"warning integer-version-key line 7"}, plistLines(pairVersion)},
		{"old spelling", []Pair{{legacy, Bool(true)}}, nil, []string{"warning deprecated-spelling line 5"},
			plistLines(pairHardened)},
		{"old spelling of nothing", []Pair{{legacy + ".platform-restrictions", Int(2)}}, nil,
			[]string{"error deprecated-spelling line 5"}, plistLines(pairRestrictions)},
		{"old dyld-ro", []Pair{{legacy + ".dyld-ro", Bool(true)}}, nil,
			[]string{"error deprecated-spelling line 5"}, plistLines(Pair{KeyDyldReadOnly, Bool(true)})},
		{"both spellings", []Pair{pairHardened, {legacy, Bool(true)}}, nil, []string{"error both-spellings line 5"},
			plistLines(pairHardened)},
		{"browser", with(pairRestrictions, Pair{browserKeys[0], Bool(true)}), nil,
			[]string{"note browser-and-restrictions line 9"}, ""},
		{"get-task-allow", []Pair{{KeyGetTaskAllow, Bool(true)}}, nil, []string{"note get-task-allow line 5"}, ""},
		{"relaxing", []Pair{{KeyMovableControlPort, Bool(true)}}, nil, []string{"note relaxing-key line 5"}, ""},
		{"tightening", []Pair{{KeyOneExceptionPort, Bool(true)}}, nil, []string{"note tightening-key line 5"}, ""},
		{"private", []Pair{{KeySetExceptionPort, Bool(true)}}, nil, []string{"warning private-key line 5"}, ""},
		{"no effect", []Pair{{KeyMovableControlPort, String("yes")}}, nil, []string{"warning effect-key-value line 5"},
			plistLines(Pair{KeyMovableControlPort, Bool(true)})},
		{"off", []Pair{{KeyMovableControlPort, Bool(false)}}, nil, nil, ""},
		{"typing error", []Pair{{hardenedPrefix + ".platform-restriction-string", String("2")}}, nil,
			[]string{"error unknown-key line 5"}, plistLines(pairRestrictions)},
		{"typing error in the prefix", []Pair{{"com.apple.security.hardend-process.dyld-ro", Bool(true)}}, nil,
			[]string{"error unknown-key line 5"}, plistLines(Pair{KeyDyldReadOnly, Bool(true)})},
		{"unknown", []Pair{{hardenedPrefix + ".entirely-new-thing", Bool(true)}}, nil,
			[]string{"warning unknown-key line 5"}, ""},
		{"others are left alone", []Pair{{"com.apple.security.app-sandbox", Bool(true)},
			{"com.apple.security.network.client", Bool(true)},
			{"application-identifier", String("ABCDE12345.com.example")}}, nil, nil, ""},
		{"library", with(pairRestrictions), func(i *Inputs) { i.Product = ProductLibrary; i.XML, i.Plist = i.Plist, nil },
			[]string{"warning not-executable line 5"}, ""},
		{"XML alone on iOS", with(pairRestrictions), func(i *Inputs) {
			i.Product, i.Platform, i.XML, i.Plist = ProductExecutable, "iOS", i.Plist, nil
		}, []string{"error der-missing "}, ""},
		{"XML alone on macOS", with(pairRestrictions), func(i *Inputs) {
			i.Product, i.Platform, i.XML, i.Plist = ProductExecutable, "macOS", i.Plist, nil
		}, []string{"warning der-missing "}, ""},
		{"forms disagree", with(pairRestrictions), func(i *Inputs) {
			i.Product, i.XML, i.Plist, i.DER = ProductExecutable, i.Plist, nil, setOf(full...)
		}, []string{"error xml-der-differ "}, ""},
		{"forms disagree elsewhere", full, func(i *Inputs) {
			i.Product, i.XML, i.Plist, i.DER = ProductExecutable, i.Plist, nil, setOf(with(Pair{"x", Int(1)})...)
		}, []string{"warning xml-der-differ "}, ""},
		{"broken seal", nil, func(i *Inputs) {
			i.Product, i.DER, i.Signature = ProductExecutable, setOf(), &Signature{Broken: []string{"DER entitlements: no"}}
		}, []string{"error unsealed "}, ""},
		{"profile wildcard", with(pairRestrictionsInt), func(i *Inputs) {
			i.Profile = &Profile{Name: "P", Entitlements: setOf(pairHardened, Pair{KeyVersionString, String("*")},
				Pair{KeyRestrictions, String("*")})}
		}, []string{"warning integer-key line 9", "warning profile-wildcard line 9"}, plistLines(pairRestrictions)},
		{"profile allows", with(pairRestrictions), func(i *Inputs) {
			i.Profile = &Profile{Entitlements: setOf(pairHardened, Pair{KeyVersionString, String("*")},
				Pair{KeyRestrictionsString, Array(String("1"), String("2"))})}
		}, nil, ""},
		{"profile lacks", with(pairRestrictions), func(i *Inputs) {
			i.Profile = &Profile{Name: "P", Entitlements: setOf(pairHardened, Pair{KeyVersionString, String("1*")})}
		}, []string{"warning profile-value line 7", "warning profile-key line 9"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := file(t, tt.pairs...)
			if tt.edit != nil {
				tt.edit(&in)
			}
			var got []string
			issues := Lint(in)
			for _, i := range issues {
				got = append(got, string(i.Severity)+" "+i.ID+" "+i.At.String())
				if _, err := ParsePlist([]byte("<plist><dict>" + i.Fix + "</dict></plist>")); err != nil {
					t.Errorf("%s: what to write is no property list: %v\n%s", i.ID, err, i.Fix)
				}
				if strings.HasSuffix(i.Message, ".") || strings.Contains(i.Message, "%!") {
					t.Errorf("%s: message %q", i.ID, i.Message)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if len(issues) > 0 && issues[0].Fix != tt.fix {
				t.Errorf("what to write:\n%s\nwant:\n%s", issues[0].Fix, tt.fix)
			}
			checkDecision(t, in)
		})
	}
}

func TestLintRepeated(t *testing.T) {
	set, err := ParsePlist([]byte("<plist><dict>\n<key>a</key><true/>\n<key>a</key><false/></dict></plist>"))
	if err != nil {
		t.Fatal(err)
	}
	issues := Lint(Inputs{Product: ProductFile, Plist: set})
	if len(issues) != 1 || issues[0].ID != "repeated-key" || issues[0].At.Line != 2 {
		t.Errorf("got %+v", issues)
	}
}

func TestLintSlices(t *testing.T) {
	a, b := signed(pairRestrictions), signed(pairRestrictions)
	b.Arch = "x86_64"
	if got := LintSlices([]Inputs{a, b}); got != nil {
		t.Errorf("slices agree, got %+v", got)
	}
	b.DER = setOf()
	got := LintSlices([]Inputs{a, b})
	if len(got) != 1 || got[0].Severity != SeverityError || !strings.Contains(got[0].Message, "arm64 gives level 2") {
		t.Errorf("got %+v", got)
	}
	b.DER = setOf(pairRestrictions, Pair{"x", Bool(true)})
	got = LintSlices([]Inputs{a, b})
	if len(got) != 1 || got[0].Severity != SeverityWarning {
		t.Errorf("got %+v", got)
	}
}
