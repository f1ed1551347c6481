package check

import (
	"portcullis.dev/mach"
)

// judgeLegacyTrap judges mach_msg_trap and mach_msg_overwrite_trap, the traps that came before mach_msg2. Sending
// through them kills every process but translated ones, 32-bit ones and, for a few messages, programs linked with an
// SDK of macOS 12 or older.
//
// Source: XNU osfmk/ipc/mach_msg.c, mach_msg_overwrite_trap; osfmk/ipc/ipc_policy.c, ipc_policy_allow_legacy_send_trap.
func judgeLegacyTrap(s *site) []verdict {
	option := s.arg(1)
	mask, bits := option.KnownBits()
	send := uint64(mach.SendMsg)
	set, complete := option.Consts()
	some := mask&send != 0 && bits&send != 0
	always := some
	for _, c := range set {
		some = some || c&send != 0
	}
	if !some && (complete || mask&send != 0) {
		return nil // receives only
	}
	r := mustRule(invalidOptions)
	v := verdict{
		rule:      r,
		killsFrom: killsFrom(r, "legacy-trap"),
		arguments: map[string]string{"option": describe(option)},
		message:   "sends a message through the legacy trap",
	}
	p := &proof{}
	p.see("option", option)
	v.confidence = p.confidence(always, some)
	v.evidence = p.facts()
	if !some {
		v.message = "may send a message through the legacy trap: the options could not be recovered: " + option.String()
	}
	return []verdict{v}
}
