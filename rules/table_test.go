package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestByName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"SET_EXCEPTION_BEHAVIOR", "SET_EXCEPTION_BEHAVIOR"},
		{"set_exception_behavior", "SET_EXCEPTION_BEHAVIOR"},
		{"set-exception-behavior", "SET_EXCEPTION_BEHAVIOR"},
		{"kGUARD_EXC_EXCEPTION_BEHAVIOR_ENFORCE", "SET_EXCEPTION_BEHAVIOR"},
		{"EXCEPTION_BEHAVIOR_ENFORCE", "SET_EXCEPTION_BEHAVIOR"},
		{"DESCRIPTOR_VIOLATION", "OOL_PORT_ARRAY"},
		{"kguard_exc_descriptor_violation", "OOL_PORT_ARRAY"},
		{"IMMOVABLE", "ILLEGAL_MOVE"},
		{"kGUARD_EXC_IMMOVABLE", "ILLEGAL_MOVE"},
		{"OVER_DEALLOC", "MOD_REFS"},
		{"IMMOVABLE_NON_FATAL", "ILLEGALMOVE_SOFT"},
		{"MOD_REFS_NON_FATAL", "OVERDEALLOC_SOFT"},
		{"WEAK_REPLY_PORT", "PROVISIONAL_REPLY_PORT"},
		{"MOVE_PROVISIONAL_REPLY_PORT", "MOVE_WEAK_REPLY_PORT"},
		{"kGUARD_EXC_REQUIRE_REPLY_PORT_SEMANTICS", "REQUIRE_REPLY_PORT_SEMANTICS"},
		{"CLOSE", "CLOSE"}, {"FD_CLOSE", "CLOSE"},
		{"RENAME_TO", ""}, {"VNG_RENAME_TO", "VNG_RENAME_TO"}, {"vn_rename_to", "VNG_RENAME_TO"},
		{"MTE_SYNC_FAULT", "GUARD_EXC_MTE_SYNC_FAULT"},
		{"MTE_ASYNC_KERN_FAULT", "kGUARD_EXC_MTE_ASYNC_KERN_FAULT"},
		{"SEC_ACCESS_FAULT", "GUARD_EXC_SEC_ACCESS_FAULT"},
		{"USER", "GUARD_TYPE_USER"}, {"REJECTED_SC", "GUARD_TYPE_REJECTED_SC"},
		{"", ""}, {"NO_SUCH_RULE", ""},
	}
	for _, tt := range tests {
		got := ""
		if r, ok := ByName(tt.in); ok {
			got = r.Name
		}
		if got != tt.want {
			t.Errorf("ByName(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	for _, r := range All() { // every row is found by its own name and by what ReportCrash prints
		for _, n := range []string{r.Name, strings.ToLower(r.Name), r.ReportCrash} {
			if got, ok := ByName(n); n != "" && (!ok || got != r) {
				t.Errorf("ByName(%q) does not find %s", n, r.Name)
			}
		}
	}
}

func TestByCode(t *testing.T) {
	tests := []struct {
		code Code
		want string
	}{
		{0x2000000680000001, "SET_EXCEPTION_BEHAVIOR"},
		{0x2000004300800303, "OOL_PORT_ARRAY"},
		{0x2080000000001303, "REQUIRE_REPLY_PORT_SEMANTICS"}, // number of macOS 13 to 15
		{0x2100000000001303, "SET_EXCEPTION_BEHAVIOR"},       // number of macOS 14.0
		{0x2001000000000103, "SEND_INVALID_REPLY"},
		{0x2002000000000103, "SEND_INVALID_VOUCHER"},
		{0x2004000000000103, "SEND_INVALID_RIGHT"},
		{0x2008000000000103, "RCV_INVALID_NAME"},
		{0xa000000700000000, "GUARD_EXC_SEC_ACCESS_FAULT"},
		{0xa000006200000000, "GUARD_EXC_SEC_ACCESS_FAULT"},
		{0xa01000c800000000, "GUARD_EXC_MTE_SYNC_FAULT"},
		{0x4000000200000003, "DUP"},
		{0x2000006000000000, ""}, {0x2000000000000000, ""}, {0x2703, ""},
	}
	for _, tt := range tests {
		got := ""
		if r, ok := ByCode(tt.code); ok {
			got = r.Name
		}
		if got != tt.want {
			t.Errorf("ByCode(%s) = %q, want %q", tt.code, got, tt.want)
		}
	}
}

func TestKillsAt(t *testing.T) {
	tests := []struct {
		rule string
		want []Level // levels at which it kills
	}{
		{"REQUIRE_REPLY_PORT_SEMANTICS", Levels()},
		{"KOBJECT_REPLY_PORT_SEMANTICS", []Level{Level1, Level2, Level3, LevelPlatform}},
		{"OOL_PORT_ARRAY", []Level{Level2, Level3, LevelPlatform}},
		{"THREAD_SET_STATE", []Level{Level1, Level2, Level3, LevelPlatform}},
		{"SET_EXCEPTION_BEHAVIOR", []Level{Level1, Level2, Level3, LevelPlatform}},
		{"ILLEGAL_MOVE", Levels()},
		{"INVALID_NAME", []Level{Level1, Level2, Level3, LevelPlatform}},
		{"OVERDEALLOC_SOFT", nil},
	}
	for _, tt := range tests {
		r, ok := ByName(tt.rule)
		if !ok {
			t.Fatalf("no rule %s", tt.rule)
		}
		var got []Level
		for _, l := range append(Levels(), Never) {
			if r.KillsAt(l) {
				got = append(got, l)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.rule, diff)
		}
	}
}

func TestCasesAt(t *testing.T) {
	tests := []struct {
		rule     string
		level    Level
		platform string
		want     []string
	}{
		{"REQUIRE_REPLY_PORT_SEMANTICS", Level1, "", []string{"service-port"}},
		{"REQUIRE_REPLY_PORT_SEMANTICS", Level2, "macOS", []string{"service-port", "bootstrap-port"}},
		{"ILLEGAL_MOVE", LevelNone, "macOS", []string{"immovable-type", "guarded-receive"}},
		{"ILLEGAL_MOVE", LevelNone, "iOS", []string{"immovable-type", "guarded-receive", "own-control-port"}},
		{"ILLEGAL_MOVE", Level1, "macos", []string{"immovable-type", "guarded-receive", "own-control-port-macos"}},
		{"OOL_PORT_ARRAY", Level2, "visionOS", nil},
		{"OOL_PORT_ARRAY", Level1, "macOS", nil},
		{"THREAD_SET_STATE", Level1, "macOS", []string{"registers", "debug-registers"}},
		{"THREAD_SET_STATE", Level1, "iOS", []string{"registers", "in-exception", "debug-registers"}},
		{"OVERDEALLOC_SOFT", LevelPlatform, "", nil},
	}
	for _, tt := range tests {
		r, _ := ByName(tt.rule)
		var got []string
		for _, c := range r.CasesAt(tt.level, tt.platform) {
			got = append(got, c.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s at %s on %q (-want +got):\n%s", tt.rule, tt.level, tt.platform, diff)
		}
	}
}

func TestDocumented(t *testing.T) {
	want := []string{"REQUIRE_REPLY_PORT_SEMANTICS", "KOBJECT_REPLY_PORT_SEMANTICS", "OOL_PORT_ARRAY", "THREAD_SET_STATE",
		"SET_EXCEPTION_BEHAVIOR", "ILLEGAL_MOVE"}
	var got []string
	for _, r := range Documented() {
		got = append(got, r.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if h := Documented()[4].Help(); h != "docs/restrictions.md#set_exception_behavior" {
		t.Errorf("help %q", h)
	}
}

func TestSuggest(t *testing.T) {
	tests := []struct{ in, first string }{
		{"SET_EXCEPTION_BEHAVIOUR", "SET_EXCEPTION_BEHAVIOR"},
		{"ilegal_move", "ILLEGAL_MOVE"},
		{"OOL_PORTS", "OOL_PORT_ARRAY"},
		{"kobject", "KOBJECT_REPLY_PORT_SEMANTICS"},
		{"zzzzzzzz", ""},
		{"", ""},
		{strings.Repeat("A", 1000), ""},
	}
	for _, tt := range tests {
		first := ""
		got := Suggest(tt.in)
		if len(got) > 0 {
			first = got[0]
		}
		if first != tt.first || len(got) > 5 {
			t.Errorf("Suggest(%q) = %q, want %q first", tt.in, got, tt.first)
		}
	}
}

func TestParseOS(t *testing.T) {
	tests := []struct {
		in      string
		want    OS
		release Version
	}{
		{"macOS 14.4 (23E214)", OS{"macOS", 14, 4}, Version{14, 4}},
		{"macOS 26.5.2 (25F84)", OS{"macOS", 26, 5}, Version{26, 5}},
		{"OS Version:            macOS 13.0.1 (22A400)", OS{"macOS", 13, 0}, Version{13, 0}},
		{"Mac OS X 10.15.7 (19H15)", OS{"macOS", 10, 15}, Version{10, 15}},
		{"macos 26", OS{"macOS", 26, 0}, Version{26, 0}},
		{"iPhone OS 18.5 (22F76)", OS{"iOS", 18, 5}, Version{15, 5}},
		{"iPhone OS 26.1 (23B85)", OS{"iOS", 26, 1}, Version{26, 1}},
		{"iOS 17.4", OS{"iOS", 17, 4}, Version{14, 4}},
		{"iOS 16.5", OS{"iOS", 16, 5}, Version{13, 4}},
		{"iPhone OS 15.0 (19A346)", OS{"iOS", 15, 0}, Version{12, 0}},
		{"iOS 14.5.1", OS{"iOS", 14, 5}, Version{11, 3}},
		{"iOS 13.3", OS{"iOS", 13, 3}, Version{10, 15}},
		{"iPadOS 18.0", OS{"iOS", 18, 0}, Version{15, 0}},
		{"AppleTV OS 17.4", OS{"tvOS", 17, 4}, Version{14, 4}},
		{"Watch OS 11.4 (22T251)", OS{"watchOS", 11, 4}, Version{15, 4}},
		{"xrOS 1.1 (21O209)", OS{"visionOS", 1, 1}, Version{14, 4}},
		{"visionOS 2.4", OS{"visionOS", 2, 4}, Version{15, 4}},
		{"visionOS 26.0", OS{"visionOS", 26, 0}, Version{26, 0}},
		{"Bridge OS 9.1", OS{"bridgeOS", 9, 1}, Version{15, 1}},
		{"", OS{}, Version{}},
		{"14.4", OS{}, Version{}},
		{"macOS", OS{}, Version{}},
		{"Windows 11.0", OS{}, Version{}},
		{"macOS 99999999999999999999.1", OS{"macOS", 999, 0}, Version{999, 0}},
	}
	for _, tt := range tests {
		got, ok := ParseOS(tt.in)
		if got != tt.want || ok != (tt.want != OS{}) {
			t.Errorf("ParseOS(%q) = %v, %v, want %v", tt.in, got, ok, tt.want)
		}
		if r := got.Release(); r != tt.release {
			t.Errorf("ParseOS(%q).Release() = %s, want %s", tt.in, r, tt.release)
		}
	}
}

func TestParseGuardType(t *testing.T) {
	for _, g := range append(GuardTypes(), GuardNone) {
		for _, s := range []string{g.String(), g.Text(), strings.ToUpper(g.Text())} {
			if got, err := ParseGuardType(s); err != nil || got != g {
				t.Errorf("ParseGuardType(%q) = %v, %v, want %v", s, got, err, g)
			}
		}
	}
	for _, s := range []string{"", "8", "ports", "-1"} {
		if g, err := ParseGuardType(s); err == nil {
			t.Errorf("ParseGuardType(%q) = %v, want an error", s, g)
		}
	}
}

func TestPolicies(t *testing.T) {
	ps := Policies()
	if len(ps) != 21 {
		t.Fatalf("%d policies, want 21", len(ps))
	}
	byMode := map[Mode][]int{}
	for _, p := range ps {
		byMode[p.Mode] = append(byMode[p.Mode], p.ID)
	}
	want := map[Mode][]int{
		ModeEnforced:  {1, 2, 3, 4, 6, 7},
		ModeTelemetry: {5, 8, 9, 10, 11, 12, 13, 14, 15, 20},
		ModeOff:       {16, 17, 18, 19, 21},
	}
	if diff := cmp.Diff(want, byMode); diff != "" {
		t.Error(diff)
	}
	ps[0].Name = "changed"
	if Policies()[0].Name == "changed" {
		t.Error("Policies hands out its own rows")
	}
}
