package rules

import "fmt"

// Level is the IPC space policy a process runs under: how much of Mach IPC is restricted for it. Levels are
// ordered; each adds to the one before it.
//
// Source: ipc_space_policy_t in XNU's osfmk/ipc/ipc_types.h (newest public text); [Level.XNU] gives XNU's names.
type Level uint8

const (
	LevelNone            Level = iota // DEFAULT: an ordinary third-party process
	LevelHardenedRuntime              // V0: macOS code-signing hardened runtime and nothing more
	Level1                            // V1: a web-browser-engine entitlement
	Level2                            // V2: platform-restrictions as an integer, or the string "2"
	Level3                            // V3: the string "3" to "7"
	LevelPlatform                     // PLATFORM|V3: a platform binary

	// Never stands where a level is asked from which a guard is fatal, for guards that kill at no level.
	Never Level = 0xff
)

var levelNames = [...]struct{ text, xnu string }{
	LevelNone:            {"none", "DEFAULT"},
	LevelHardenedRuntime: {"hardened-runtime", "V0"},
	Level1:               {"1", "V1"},
	Level2:               {"2", "V2"},
	Level3:               {"3", "V3"},
	LevelPlatform:        {"platform", "PLATFORM"},
}

// Levels lists every level from the most permissive to the strictest.
func Levels() []Level {
	return []Level{LevelNone, LevelHardenedRuntime, Level1, Level2, Level3, LevelPlatform}
}

// ParseLevel reads a level as users write it: none, hardened-runtime, 1, 2, 3 or platform.
func ParseLevel(s string) (Level, error) {
	for l, n := range levelNames {
		if s == n.text {
			return Level(l), nil
		}
	}
	return 0, fmt.Errorf("unknown level %q: want none, hardened-runtime, 1, 2, 3 or platform", s)
}

// String returns the level as users write it, or "never".
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l].text
	}
	return "never"
}

// XNU returns the name of the level in XNU's IPC_SPACE_POLICY_* constants, without that prefix.
func (l Level) XNU() string {
	if int(l) < len(levelNames) {
		return levelNames[l].xnu
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it accepts "never" as well.
func (l *Level) UnmarshalText(b []byte) error {
	if string(b) == "never" {
		*l = Never
		return nil
	}
	v, err := ParseLevel(string(b))
	if err == nil {
		*l = v
	}
	return err
}
