package check

import (
	"portcullis.dev/mach"
)

// judgeConstruct judges mach_port_construct: from level 1 on, two types of port need an entitlement. The flags are the
// first field of the options that the second argument points to.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_construct; osfmk/ipc/ipc_policy.c for the types' entitlements.
func judgeConstruct(s *site) []verdict {
	if len(s.call.Args) < 2 {
		return nil
	}
	flags := s.call.Args[1].Load(0, 4)
	set, complete := flags.Consts()
	key, id, hits := "", "", 0
	for _, c := range set {
		switch mach.ConstructFlags(c) & mach.ConstructTypeMask {
		case mach.WeakReplyPort:
			key, id, hits = "com.apple.private.allow-weak-reply-port", "weak-reply", hits+1
		case mach.ConnectionPortWithPortArray:
			key, id, hits = "com.apple.developer.allow-connection-port-with-port-array", "port-array", hits+1
		}
	}
	if hits == 0 {
		return nil // flags that are not known prove nothing against the call
	}
	r := mustRule(mpoEntitlement)
	v := verdict{
		rule:      r,
		killsFrom: killsFrom(r, id),
		waiver:    key,
		arguments: map[string]string{"flags": describe(flags)},
		message:   "creates a port of a type that needs the entitlement " + key,
	}
	p := &proof{}
	p.see("flags", flags)
	v.confidence = p.confidence(complete && hits == len(set), true)
	v.evidence = p.facts()
	if c, ok := flags.Const(); ok {
		code := v.rule.Code(uint32(c))
		v.code = &code
		v.payload = "0x0"
	}
	return []verdict{v}
}
