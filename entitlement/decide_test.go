package entitlement

import (
	"math/big"
	"strings"
	"testing"

	"portcullis.dev/rules"
)

func signed(pairs ...Pair) Inputs {
	return Inputs{Product: ProductExecutable, Platform: "macOS", Arch: "arm64", DER: setOf(pairs...),
		Signature: &Signature{}}
}

// TestAppleTable is Apple's own table: XNU tests, validate_platform_restrictions_entitlements_parsing. Version -1
// stands for a program that does not start.
func TestAppleTable(t *testing.T) {
	key, str := KeyRestrictions, KeyRestrictionsString
	for _, tt := range []struct {
		name    string
		pairs   []Pair
		version int
	}{
		{"int-0", []Pair{{key, Int(0)}}, 2},
		{"int-1", []Pair{{key, Int(1)}}, 2},
		{"int-2", []Pair{{key, Int(2)}}, 2},
		{"int-255", []Pair{{key, Int(255)}}, 2},
		{"int-with-string-value", []Pair{{key, String("2")}}, 2},
		{"int-with-bool-true-value", []Pair{{key, Bool(true)}}, 2},
		{"int-with-bool-false-value", []Pair{{key, Bool(false)}}, 2},
		{"str-empty", []Pair{{str, String("")}}, -1},
		{"str-invalid", []Pair{{str, String("abc")}}, -1},
		{"str-with-int-value", []Pair{{str, Int(2)}}, -1},
		{"str-with-bool-true-value", []Pair{{str, Bool(true)}}, -1},
		{"str-with-bool-false-value", []Pair{{str, Bool(false)}}, -1},
		{"str-with-trailing-bad-data", []Pair{{str, String("2x")}}, -1},
		{"str-0", []Pair{{str, String("0")}}, -1},
		{"str-1", []Pair{{str, String("1")}}, -1},
		{"str-8", []Pair{{str, String("8")}}, -1},
		{"str-2", []Pair{{str, String("2")}}, 2},
		{"str-7", []Pair{{str, String("7")}}, 7},
		{"mixed", []Pair{{key, Int(2)}, {str, String("5")}}, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := signed(tt.pairs...)
			d := checkDecision(t, in)
			if tt.version < 0 {
				if d.Line != LineRefused || !strings.Contains(d.Refusals[0].Outcome, "EINVAL") {
					t.Errorf("decided %s with %+v, want refused with EINVAL", d.Line, d.Refusals)
				}
				return
			}
			if d.Version != tt.version || d.Line == LineRefused {
				t.Errorf("version %d by %s, want %d", d.Version, d.Line, tt.version)
			}
			want := rules.Level2
			if tt.version >= 3 {
				want = rules.Level3
			}
			if d.Level != want {
				t.Errorf("level %s, want %s", d.Level, want)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	browser := Pair{browserKeys[3], Bool(true)}
	legacy := legacyHardenedPrefix
	runtime := &Signature{Flags: FlagRuntime}
	for _, tt := range []struct {
		name  string
		in    Inputs
		with  func(*Inputs)
		level rules.Level
		line  Line
	}{
		{"nothing", signed(), nil, rules.LevelNone, LineNothing},
		{"browser", signed(browser), nil, rules.Level1, LineBrowserEngine},
		{"browser false", signed(Pair{browser.Key, Bool(false)}), nil, rules.LevelNone, LineNothing},
		{"browser string", signed(Pair{browser.Key, String("yes")}), nil, rules.Level1, LineBrowserEngine},
		{"browser replaced", signed(browser, pairRestrictions), nil, rules.Level2, LineStringKey},
		{"hardened runtime", signed(), func(i *Inputs) { i.Signature = runtime }, rules.LevelHardenedRuntime,
			LineHardenedRuntime},
		{"hardened runtime, key", signed(pairRestrictions), func(i *Inputs) { i.Signature = runtime }, rules.Level2,
			LineStringKey},
		{"hardened runtime, iOS", signed(), func(i *Inputs) { i.Signature, i.Platform = runtime, "iOS" }, rules.LevelNone,
			LineNothing},
		{"hardened runtime, Catalyst", signed(), func(i *Inputs) { i.Signature, i.Platform = runtime, "Mac Catalyst" },
			rules.LevelHardenedRuntime, LineHardenedRuntime},
		{"hardened runtime, 15", signed(), func(i *Inputs) { i.Signature, i.OS = runtime, system("macOS", 15, 4) },
			rules.LevelNone, LineNothing},
		{"platform binary", signed(Pair{KeyRestrictionsString, String("0")}),
			func(i *Inputs) { i.Signature = &Signature{Platform: 14} },
			rules.LevelPlatform, LinePlatformBinary},
		{"string on 26.0", signed(pairRestrictions), func(i *Inputs) { i.OS = system("macOS", 26, 0) }, rules.LevelNone,
			LineNothing},
		{"bad string on 26.3", signed(Pair{KeyRestrictionsString, Bool(true)}), func(i *Inputs) {
			i.OS = system("", 26,
				3)
		}, rules.LevelNone, LineNothing},
		{"string on 26.4", signed(pairRestrictions), func(i *Inputs) { i.OS = system("macOS", 26, 4) }, rules.Level2,
			LineStringKey},
		{"both on 26.0", signed(Pair{KeyRestrictionsString, String("7")}, pairRestrictionsInt),
			func(i *Inputs) { i.OS = system("macOS", 26, 0) }, rules.Level2, LineIntegerKey},
		{"integer on 18", signed(pairRestrictionsInt), func(i *Inputs) { i.OS = system("iOS", 18, 0) }, rules.LevelNone,
			LineNothing},
		{"browser on 18", signed(browser), func(i *Inputs) { i.OS = system("iOS", 18, 0) }, rules.Level1, LineBrowserEngine},
		{"library", signed(pairRestrictions), func(i *Inputs) { i.Product = ProductLibrary }, rules.LevelNone, LineNoProgram},
		{"blank", signed(Pair{KeyRestrictionsString, String(" 2")}), nil, rules.Level2, LineStringKey},
		{"sign", signed(Pair{KeyRestrictionsString, String("+3")}), nil, rules.Level3, LineStringKey},
		{"leading zeros", signed(Pair{KeyRestrictionsString, String("002")}), nil, rules.Level2, LineStringKey},
		{"trailing blank", signed(Pair{KeyRestrictionsString, String("2 ")}), nil, rules.LevelNone, LineRefused},
		{"sign alone", signed(Pair{KeyRestrictionsString, String("-")}), nil, rules.LevelNone, LineRefused},
		{"wraps to 2", signed(Pair{KeyRestrictionsString, String("18446744073709551618")}), nil, rules.LevelNone,
			LineRefused},
		{"negative wraps to 2", signed(Pair{KeyRestrictionsString, String("-18446744073709551614")}), nil, rules.Level2,
			LineStringKey},
		{"4294967298", signed(Pair{KeyRestrictionsString, String("4294967298")}), nil, rules.LevelNone, LineRefused},
		{"array", signed(Pair{KeyRestrictionsString, Array(String("2"))}), nil, rules.LevelNone, LineRefused},

		{"both spellings", signed(pairHardened, Pair{legacy, Bool(true)}), nil, rules.LevelNone, LineRefused},
		{"both spellings, one false", signed(pairHardened, Pair{legacy, Bool(false)}, pairRestrictions), nil,
			rules.Level2, LineStringKey},
		{"both spellings, string", signed(pairHardened, Pair{legacy, String("")}), nil, rules.LevelNone, LineRefused},
		{"both heaps", signed(Pair{KeyHardenedHeap, Bool(true)}, Pair{legacy + ".hardened-heap", Bool(true)}), nil,
			rules.LevelNone, LineRefused},
		{"both allocations, not hardened",
			signed(Pair{KeyCheckedAllocs, Bool(true)}, Pair{legacy + ".checked-allocations", Bool(true)}), nil,
			rules.LevelNone, LineNothing},
		{"both allocations, hardened", signed(pairHardened, Pair{KeyCheckedAllocs, Bool(true)},
			Pair{legacy + ".checked-allocations", Bool(true)}), nil, rules.LevelNone, LineRefused},
		{"both spellings, platform binary", signed(pairHardened, Pair{legacy, Bool(true)}),
			func(i *Inputs) { i.Signature = &Signature{Platform: 1} }, rules.LevelNone, LineRefused},
		{"no legacy dyld-ro", signed(Pair{KeyDyldReadOnly, Bool(true)}, Pair{legacy + ".dyld-ro", Bool(true)}), nil,
			rules.LevelNone, LineNothing},
		{"version string bad", signed(pairHardened, Pair{KeyVersionString, String("new")}), nil, rules.LevelNone,
			LineRefused},
		{"version string bad, not hardened", signed(Pair{KeyVersionString, Int(1)}), nil, rules.LevelNone, LineNothing},
		{"version string bad, 26.0", signed(pairHardened, Pair{KeyVersionString, Int(1)}),
			func(i *Inputs) { i.OS = system("iOS", 26, 0) }, rules.LevelNone, LineNothing},

		{"DER decides", signed(pairRestrictions), func(i *Inputs) { i.XML = setOf(Pair{KeyRestrictionsString, String("7")}) },
			rules.Level2, LineStringKey},
		{"XML alone, macOS", Inputs{Product: ProductExecutable, Platform: "macOS", XML: setOf(pairRestrictions),
			Signature: &Signature{}},
			nil, rules.Level2, LineStringKey},
		{"XML alone, iOS", Inputs{Product: ProductExecutable, Platform: "iOS", XML: setOf(pairRestrictions),
			Signature: &Signature{}},
			nil, rules.LevelNone, LineNothing},
		{"XML alone, simulator", Inputs{Product: ProductExecutable, Platform: "iOS", Simulator: true,
			XML:       setOf(pairRestrictions),
			Signature: &Signature{}}, nil, rules.Level2, LineStringKey},
		{"no signature", Inputs{Product: ProductExecutable, Platform: "macOS"}, nil, rules.LevelNone, LineNothing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			if tt.with != nil {
				tt.with(&in)
			}
			d := checkDecision(t, in)
			if d.Level != tt.level || d.Line != tt.line {
				t.Errorf("level %s by %s (%s), want %s by %s", d.Level, d.Line, d.Why, tt.level, tt.line)
			}
		})
	}
}

// checkDecision holds for every input: what a decision must say of itself, and that the advice knows every refusal.
func checkDecision(t testing.TB, in Inputs) Decision {
	t.Helper()
	d := Decide(in)
	if d.Why == "" || d.Source == "" || d.Line == "" {
		t.Errorf("a decision without a reason: %+v", d)
	}
	if d.Version < 0 || d.Version > 7 {
		t.Errorf("version %d", d.Version)
	}
	if (d.Line == LineRefused) != (len(d.Refusals) > 0) {
		t.Errorf("line %s with %d refusals", d.Line, len(d.Refusals))
	}
	for _, r := range d.Refusals {
		found := false
		for _, i := range Lint(in) {
			found = found || i.Severity == SeverityError && i.Key == r.Key
		}
		if !found {
			t.Errorf("the kernel refuses because of %s, and no advice says so", r.Key)
		}
	}
	return d
}

func TestHardenedVersion(t *testing.T) {
	huge := Value{Kind: KindInteger, Int: new(big.Int).Lsh(big.NewInt(1), 80)}
	for _, tt := range []struct {
		name  string
		pairs []Pair
		want  int
	}{
		{"off", nil, 0},
		{"no version: latest", []Pair{pairHardened}, 2},
		{"string 1", []Pair{pairHardened, {KeyVersionString, String("1")}}, 1},
		{"string 9 is clamped", []Pair{pairHardened, {KeyVersionString, String("9")}}, 2},
		{"string wins", []Pair{pairHardened, {KeyVersionString, String("0")}, {KeyVersion, Int(1)}}, 0},
		{"integer", []Pair{pairHardened, {KeyVersion, Int(1)}}, 1},
		{"integer is clamped", []Pair{pairHardened, {KeyVersion, Int(300)}}, 2},
		{"negative is huge", []Pair{pairHardened, {KeyVersion, Int(-1)}}, 2},
		{"beyond 64 bits", []Pair{pairHardened, {KeyVersion, huge}}, 2},
		{"integer key with a string: as absent", []Pair{pairHardened, {KeyVersion, String("1")}}, 2},
		{"not hardened", []Pair{{KeyVersion, Int(1)}}, 0},
	} {
		if d := checkDecision(t, signed(tt.pairs...)); d.HardenedVersion != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, d.HardenedVersion, tt.want)
		}
	}
}

func TestEffects(t *testing.T) {
	in := signed(Pair{KeySetExceptionPort, Bool(true)}, Pair{KeyOneExceptionPort, String("yes")},
		Pair{KeyContainmentIPC, Int(1)}, Pair{KeyMovableControlPort, Bool(false)})
	got := map[string]bool{}
	for _, e := range Decide(in).Effects {
		got[e.Key] = e.Active
	}
	want := map[string]bool{KeySetExceptionPort: true, KeyOneExceptionPort: false, KeyContainmentIPC: true,
		KeyMovableControlPort: false}
	for k, active := range want {
		if a, ok := got[k]; !ok || a != active {
			t.Errorf("%s: active %t (present %t), want %t", k, a, ok, active)
		}
	}
}

func TestExempt(t *testing.T) {
	for _, tt := range []struct {
		in   Inputs
		want string
	}{
		{Inputs{Product: ProductExecutable, Platform: "iOS", Simulator: true, Arch: "x86_64"}, "simulator"},
		{Inputs{Product: ProductExecutable, Platform: "macOS", Arch: "x86_64"}, "Rosetta"},
		{Inputs{Product: ProductExecutable, Platform: "macOS", Arch: "arm64"}, ""},
		{Inputs{Product: ProductExecutable, Platform: "iOS", Arch: "arm64"}, ""},
	} {
		got := strings.Join(Decide(tt.in).Exempt, "\n")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
			t.Errorf("%s %s: %q, want %q", tt.in.Platform, tt.in.Arch, got, tt.want)
		}
	}
}

func system(platform string, major, minor int) rules.OS {
	return rules.OS{Platform: platform, Major: major, Minor: minor}
}
