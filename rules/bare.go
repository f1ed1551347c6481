package rules

import (
	"fmt"
	"slices"
	"strings"

	"portcullis.dev/mach"
)

// Bare is one thing that a number may mean that stands alone, without the guard type and flavor around it.
type Bare struct {
	As    string   `json:"as"`              // "flavor", "target" or "exception code"
	Text  string   `json:"text"`            // what it says
	Rules []string `json:"rules,omitempty"` // the rules that read it so
}

// ReadBare says what a number of at most 32 bits can be for a guard type: the flavor of a rule, or the target of one.
// Crash reports print such numbers: "Exception Codes: 0x0000000000002703" is a target alone.
func ReadBare(t GuardType, n uint32) []Bare {
	var out []Bare
	current := map[*Rule]bool{}
	numbers := joined(candidatesFor(t, n))
	for _, c := range numbers {
		current[c.rule] = current[c.rule] || !c.until.Known()
	}
	for _, c := range numbers {
		if c.until.Known() && current[c.rule] {
			continue // the rule has the number today as well
		}
		text := fmt.Sprintf("%s (%s)", c.rule.Name, c.rule.Title)
		if c.until.Known() {
			text += ", number of " + c.span()
		}
		out = append(out, Bare{As: "flavor", Text: text, Rules: []string{c.rule.Name}})
	}
	targets := len(out)
	place := map[string]int{}
	for _, r := range table() {
		if r.Guard != t || r.Retired != "" || !r.Target.reads(n) {
			continue
		}
		text := r.Target.text(n, Version{})
		if text == "" {
			continue
		}
		i, seen := place[text]
		if !seen {
			i = len(out)
			place[text] = i
			out = append(out, Bare{As: "target", Text: text})
		}
		out[i].Rules = append(out[i].Rules, r.Name)
	}
	slices.SortStableFunc(out[targets:], func(a, b Bare) int { return len(b.Rules) - len(a.Rules) }) // likeliest first
	if n>>20&0xf == 12 && n>>24 != 0 && n>>24 < 32 {
		out = append(out, Bare{As: "exception code", Text: fmt.Sprintf(
			"first exception code of a crash report: signal %d, EXC_GUARD, low 20 bits of the target "+
				"%#x", n>>24, n&0xfffff)})
	}
	return out
}

// reads reports whether a number standing alone is worth reading as a target of the kind: stricter than fits, since
// nothing else speaks for it.
func (k TargetKind) reads(v uint32) bool {
	switch k {
	case TargetUnused, TargetKernelPointer, TargetDefenseID:
		return false
	case TargetPortName, TargetReceiverName:
		return v>>8 != 0
	case TargetThreadFlavor:
		return !strings.Contains(flavorText(v), "unknown")
	case TargetPolicyWord:
		return v&1 != 0 && v&^(0x7ff|wordMachMsg2|0x300000) == 0 && v > 1
	case TargetLegacyMessageID:
		_, ok := mach.RoutineName(int32(v))
		return ok
	case TargetMPOFlags:
		const guarded = mach.WeakReplyPort | mach.ConnectionPortWithPortArray
		return mach.ConstructFlags(v)&^mach.ConstructFlagsKnown == 0 && mach.ConstructFlags(v)&guarded != 0
	case TargetPortType:
		return v < uint32(mach.PortTypeUnknown)
	}
	return k.fits(v) == expected
}
