package restrict

import (
	"fmt"
	"strings"

	"portcullis.dev/rules"
)

// Policy is the word that says which restrictions a task's IPC space is under (ipc_space_policy_t).
//
// Source: XNU osfmk/ipc/ipc_types.h, newest public tree.
type Policy uint32

const (
	Default    Policy = 0x001 // everybody
	Enhanced   Policy = 0x002 // set with any version
	Platform   Policy = 0x004
	Contained  Policy = 0x008
	Kernel     Policy = 0x010
	Simulated  Policy = 0x020
	Translated Policy = 0x040
	OptedOut   Policy = 0x080

	EnhancedV0 = Enhanced | 0x100
	EnhancedV1 = Enhanced | 0x200
	EnhancedV2 = Enhanced | 0x300
	EnhancedV3 = Enhanced | 0x400

	versionMask Policy = 0x700
	exempt             = Simulated | Translated | OptedOut
)

var levelPolicies = [...]Policy{
	rules.LevelNone:            Default,
	rules.LevelHardenedRuntime: Default | EnhancedV0,
	rules.Level1:               Default | EnhancedV1,
	rules.Level2:               Default | EnhancedV2,
	rules.Level3:               Default | EnhancedV3,
	rules.LevelPlatform:        Default | Platform | EnhancedV3,
}

// ForLevel returns the policy of a task at a level. Levels that do not exist get none of the restrictions.
func ForLevel(l rules.Level) Policy {
	if int(l) < len(levelPolicies) {
		return levelPolicies[l]
	}
	return Default
}

// Level returns the level that a policy amounts to, exemptions aside.
func (p Policy) Level() rules.Level {
	switch {
	case p&Enhanced == 0:
		return rules.LevelNone
	case p&Platform != 0:
		return rules.LevelPlatform
	}
	switch p & versionMask {
	case 0x100:
		return rules.LevelHardenedRuntime
	case 0x200:
		return rules.Level1
	case 0x300:
		return rules.Level2
	}
	return rules.Level3
}

// Applies says whether a task under p is bound by a restriction for want: Default for everybody, Contained, or one of
// the Enhanced versions, which bind later ones too.
//
// Source: ipc_should_apply_policy.
func (p Policy) Applies(want Policy) bool {
	switch {
	case p&exempt != 0:
		return false
	case want&Contained != 0:
		return p&Contained != 0
	case want&p&Enhanced != 0:
		return p&Platform != 0 || want&versionMask <= p&versionMask
	}
	return p&want != 0
}

// String returns the members joined by "|".
func (p Policy) String() string {
	var s []string
	for _, m := range []struct {
		bit  Policy
		name string
	}{{Default, "DEFAULT"}, {Enhanced, "ENHANCED"}, {Platform, "PLATFORM"}, {Contained, "CONTAINED"},
		{Kernel, "KERNEL"}, {Simulated, "SIMULATED"}, {Translated, "TRANSLATED"}, {OptedOut, "OPTED_OUT"}} {
		if p&m.bit != 0 {
			s = append(s, m.name)
			p &^= m.bit
		}
	}
	if v := p & versionMask; v != 0 {
		s = append(s, [...]string{1: "V0", 2: "V1", 3: "V2", 4: "V3", 5: "V3|V0", 6: "V3|V1", 7: "V3|V2"}[v>>8])
		p &^= versionMask
	}
	if p != 0 {
		s = append(s, fmt.Sprintf("%#x", uint32(p)))
	}
	return strings.Join(s, "|")
}
