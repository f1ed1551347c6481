package rules

import (
	"encoding/json"
	"testing"
)

func TestLevelText(t *testing.T) {
	for _, l := range append(Levels(), Never) {
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var back Level
		if err := json.Unmarshal(b, &back); err != nil || back != l {
			t.Errorf("%s reads back as %s, %v", l, back, err)
		}
		if got, err := ParseLevel(l.String()); l != Never && (err != nil || got != l) {
			t.Errorf("ParseLevel(%q) = %s, %v", l.String(), got, err)
		}
	}
	for _, s := range []string{"", "0", "4", "V2", "never", "Platform"} {
		if l, err := ParseLevel(s); err == nil {
			t.Errorf("ParseLevel(%q) = %s, want an error", s, l)
		}
	}
	for l, want := range map[Level]string{LevelNone: "DEFAULT", LevelHardenedRuntime: "V0", Level3: "V3", LevelPlatform: "PLATFORM",
		Never: ""} {
		if got := l.XNU(); got != want {
			t.Errorf("%s.XNU() = %q, want %q", l, got, want)
		}
	}
}

func TestCode(t *testing.T) {
	tests := []struct {
		text   string
		guard  GuardType
		flavor uint32
		target uint32
	}{
		{"2305843037130981377", GuardMachPort, 6, 0x80000001},
		{"0x2000000680000001", GuardMachPort, 6, 0x80000001},
		{" 2305845208236959491\n", GuardMachPort, 0x200, 0x2703},
		{"11529215905061928960", GuardVirtMemory, 200, 0},
		{"-6917528168647622656", GuardVirtMemory, 200, 0},
		{"13835058055282163713", GuardRejectedSC, 0, 1},
		{"0xffffffffffffffff", GuardFrozen, 0x1fffffff, 0xffffffff},
	}
	for _, tt := range tests {
		c, err := ParseCode(tt.text)
		if err != nil {
			t.Errorf("ParseCode(%q): %v", tt.text, err)
			continue
		}
		if c.Type() != tt.guard || c.Flavor() != tt.flavor || c.Target() != tt.target {
			t.Errorf("ParseCode(%q) = %s, %#x, %#x", tt.text, c.Type(), c.Flavor(), c.Target())
		}
		if again := MakeCode(tt.guard, tt.flavor, tt.target); again != c {
			t.Errorf("MakeCode gives %s, want %s", again, c)
		}
		b, err := json.Marshal(c)
		var back Code
		if err != nil || json.Unmarshal(b, &back) != nil || back != c {
			t.Errorf("%s reads back as %s", c, back)
		}
	}
	for _, s := range []string{"", "0x", "five", "18446744073709551616", "-9223372036854775809", "1.5"} {
		if c, err := ParseCode(s); err == nil {
			t.Errorf("ParseCode(%q) = %s, want an error", s, c)
		}
	}
}
