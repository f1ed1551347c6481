package rules

import (
	"fmt"
	"strings"

	"portcullis.dev/mach"
)

// Bits of an IPC space policy word as it shows in the target of OOL_PORT_ARRAY and, shifted left by 40, in the payload
// of INVALID_OPTIONS.
//
// Source: ipc_space_policy_t, XNU (newest) osfmk/ipc/ipc_types.h; ipc_convert_msg_options_to_space, ipc_policy.c,
// which shifts all of the options down, so that MACH64_MACH_MSG2 (bit 63) arrives as 0x800000.
const (
	wordEnhanced   = 0x002
	wordPlatform   = 0x004
	wordContained  = 0x008
	wordKernel     = 0x010
	wordSimulated  = 0x020
	wordTranslated = 0x040
	wordOptedOut   = 0x080
	wordVersions   = 0x700
	wordMachMsg2   = 0x800000
)

// wordLevel returns the level a policy word stands for.
func wordLevel(w uint32) Level {
	switch {
	case w&wordPlatform != 0:
		return LevelPlatform
	case w&wordEnhanced == 0:
		return LevelNone
	}
	switch w & wordVersions {
	case 0x100:
		return LevelHardenedRuntime
	case 0x200:
		return Level1
	case 0x300:
		return Level2
	}
	return Level3
}

// policyText reads a policy word: "level 2, sent with mach_msg2".
func policyText(w uint32) string {
	parts := []string{levelText(wordLevel(w))}
	for _, b := range []struct {
		bit  uint32
		text string
	}{
		{wordContained, "contained"}, {wordKernel, "the kernel itself"}, {wordSimulated, "in a simulator"},
		{wordTranslated, "translated by Rosetta"}, {wordOptedOut, "opted out"}, {wordMachMsg2, "sent with mach_msg2"},
	} {
		if w&b.bit != 0 {
			parts = append(parts, b.text)
		}
	}
	return strings.Join(parts, ", ")
}

// levelText names a level in a sentence.
func levelText(l Level) string {
	switch l {
	case LevelNone:
		return "no restrictions asked for"
	case LevelHardenedRuntime:
		return "hardened runtime"
	case LevelPlatform:
		return "platform binary"
	}
	return "level " + l.String()
}

// optionLayout says where the kernel keeps its policy bits in message options.
type optionLayout int

const (
	layoutUnknown optionLayout = iota
	layout15                   // macOS 15.4 and 15.5: bits 49 to 57
	layoutNow                  // macOS 26 and later: bits 37 to 50
)

// layoutOf finds the layout of options by the release, or else by the bit DEFAULT that every policy carries.
func layoutOf(o mach.Option, at Version) optionLayout {
	switch {
	case at.Known() && at.Before(Version{15, 4}):
		return layoutUnknown
	case at.Known() && at.Before(oldestUnified):
		return layout15
	case o&mach.PolicyDefault != 0:
		return layoutNow
	case !at.Known() && o&(1<<52) != 0:
		return layout15
	}
	return layoutUnknown
}

const optionUserBits = uint64(mach.MachMsg2) | 1<<37 - 1

func optionText(o mach.Option, at Version) string {
	if o == 0 {
		return ""
	}
	switch layoutOf(o, at) {
	case layoutNow:
		s := "options " + mach.Option(uint64(o)&optionUserBits).String()
		return s + "; sender: " + policyText(uint32(o>>mach.PolicyShift)&0x7ff)
	case layout15:
		return "options " + o.String15()
	}
	s := "options " + mach.Option(uint64(o)&optionUserBits).String()
	if rest := uint64(o) &^ optionUserBits; rest != 0 {
		s += fmt.Sprintf(", and kernel bits %#x of unknown meaning in this release", rest)
	}
	return s
}
