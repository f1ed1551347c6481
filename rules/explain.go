package rules

import (
	"fmt"
	"strings"

	"portcullis.dev/mach"
)

// Explanation is what a code and its payload say.
type Explanation struct {
	Rule        *Rule     `json:"-"` // nil where no public table has the number
	Code        Code      `json:"code"`
	Payload     uint64    `json:"-"`
	HavePayload bool      `json:"-"`
	OS          OS        `json:"-"` // as given; zero where unknown
	Type        GuardType `json:"guard_type"`
	Flavor      uint32    `json:"flavor"`

	Case      *Case  `json:"-"`               // the case that the numbers prove; nil where they leave it open
	Class     Class  `json:"class,omitempty"` // in that release
	KillsFrom Level  `json:"kills_from"`      // of the case, or of the rule in that release
	Level     *Level `json:"level,omitempty"` // the level the process ran at, where the numbers tell

	Sentence    string        `json:"sentence"` // what happened: one plain sentence, never empty
	Target      string        `json:"target,omitempty"`
	PayloadText string        `json:"payload_text,omitempty"`
	Facts       []string      `json:"facts,omitempty"`        // more, in the order of interest
	Unverified  []string      `json:"unverified,omitempty"`   // what nobody could verify about this reading
	Remedy      string        `json:"remedy,omitempty"`       // for this case
	Others      []Alternative `json:"alternatives,omitempty"` // readings by other releases that fit as well
}

// Alternative is another reading of the same numbers, right where the report comes from those releases.
type Alternative struct {
	When        string `json:"when"` // "macOS 13.0 to 15.3"
	Rule        *Rule  `json:"-"`
	Name        string `json:"rule"`
	Sentence    string `json:"sentence"`
	Target      string `json:"target,omitempty"`
	PayloadText string `json:"payload_text,omitempty"`
}

// candidate is one era of one rule that a code may come from; until is where the era ends, zero for "not yet".
type candidate struct {
	rule  *Rule
	era   Era
	until Version
}

// reading is what a rule's tell function works on.
type reading struct {
	*Explanation
	era     Era
	target  uint32
	release Version // zero where unknown
}

// Explain reads a guard code, and the payload where there is one. The same number reads differently in different
// releases: with os unknown the likeliest reading is explained and the others that fit stand in Others.
func Explain(code Code, payload *uint64, os OS) Explanation {
	x := Explanation{Code: code, OS: os, Type: code.Type(), Flavor: code.Flavor(), KillsFrom: Never}
	if payload != nil {
		x.Payload, x.HavePayload = *payload, true
	}
	if x.Type == GuardNone {
		explainNoGuard(&x)
		return x
	}
	release := os.Release()
	flavor := x.Flavor
	if x.Type == GuardVirtMemory && flavor&tagSoftMode != 0 {
		flavor &^= tagSoftMode
		x.Unverified = append(x.Unverified,
			"the soft-mode flag stands in the flavor here; public kernel source sets it in the target")
	}
	all := candidatesFor(x.Type, flavor)
	fits := joined(all)
	if release.Known() {
		fits = covering(all, release)
		if len(fits) == 0 && len(all) > 0 && (x.Type == GuardMachPort || x.Type == GuardVirtMemory) {
			x.Unverified = append(x.Unverified, fmt.Sprintf(
				"%s is not known to raise this number; it is read as in the releases that do", os))
		}
		if len(fits) == 0 {
			fits = joined(all)
		}
	}
	best, rest := rank(fits, code.Target(), payload)
	if best == nil {
		explainUnknown(&x)
		return x
	}
	x.read(*best, release)
	for _, c := range rest {
		alt := Explanation{Code: code, Type: x.Type, Flavor: x.Flavor, Payload: x.Payload, HavePayload: x.HavePayload}
		alt.read(c, release)
		if c.rule == best.rule && alt.Sentence == x.Sentence && alt.Target == x.Target &&
			alt.PayloadText == x.PayloadText {
			continue
		}
		x.Others = append(x.Others, Alternative{When: c.span(), Rule: c.rule, Name: c.rule.Name, Sentence: alt.Sentence,
			Target: alt.Target, PayloadText: alt.PayloadText})
	}
	return x
}

// covering keeps the candidates whose era holds a release.
func covering(all []candidate, release Version) []candidate {
	var out []candidate
	for _, c := range all {
		if !release.Before(c.era.From) && (!c.until.Known() || release.Before(c.until)) {
			out = append(out, c)
		}
	}
	return out
}

// rank picks the likeliest candidate, the newest among equals, and returns the others that are possible.
func rank(cs []candidate, target uint32, payload *uint64) (best *candidate, rest []candidate) {
	score := func(c *candidate) plausibility {
		s := c.era.Target.fits(target)
		if payload != nil {
			s = min(s, c.era.Payload.fits(*payload))
		}
		return s
	}
	for i := range cs {
		c := &cs[i]
		if best == nil || score(c) > score(best) ||
			score(c) == score(best) && c.rule == best.rule && best.era.From.Before(c.era.From) ||
			score(c) == score(best) && c.rule != best.rule && c.newer(best) {
			best = c
		}
	}
	for i := range cs {
		if c := &cs[i]; c != best && score(c) != impossible {
			rest = append(rest, *c)
		}
	}
	return best, rest
}

// newer reports whether c still holds while d has ended.
func (c *candidate) newer(d *candidate) bool { return !c.until.Known() && d.until.Known() }

// span says for which releases a candidate holds.
func (c *candidate) span() string {
	if !c.until.Known() {
		return fmt.Sprintf("macOS %s and later", c.era.From)
	}
	return fmt.Sprintf("macOS %s until %s", c.era.From, c.until)
}

// read fills the explanation from one candidate.
func (x *Explanation) read(c candidate, release Version) {
	r := c.rule
	x.Rule, x.Class, x.KillsFrom, x.Remedy = r, c.era.Class, c.era.KillsFrom, r.Remedy
	at := release
	if !at.Known() && c.until.Known() {
		at = c.era.From // an ended era has the numbering of its time
	}
	target := x.Code.Target()
	x.Target = c.era.Target.text(target, at)
	if x.HavePayload {
		x.PayloadText = c.era.Payload.text(x.Payload, target, at)
	}
	x.Sentence = strings.TrimSuffix(r.Happened, ".") + aside(c.era.Target, target) + "."
	if c.era.Note != "" && c.until.Known() {
		x.Facts = append(x.Facts, "From "+c.span()+": "+c.era.Note+".")
	}
	if c.era.Unsure != "" && (c.until.Known() || release.Known() && release.Before(firstSettled)) {
		x.Unverified = append(x.Unverified, c.era.Unsure)
	}
	if !r.Verified {
		x.Unverified = append(x.Unverified, r.Doubts...)
	}
	if r.Retired != "" && !c.until.Known() {
		x.Facts = append(x.Facts, "Retired: "+r.Retired+".")
	}
	d := reading{Explanation: x, era: c.era, target: target, release: at}
	if len(r.Cases) == 1 {
		d.set(r.Cases[0].ID)
	}
	if r.tell != nil {
		r.tell(&d)
	}
	d.tellClass()
}

// aside names the target in the standard sentence.
func aside(k TargetKind, v uint32) string {
	switch k {
	case TargetPortName:
		return ": port " + mach.Name(v).String()
	case TargetFD:
		return fmt.Sprintf(": descriptor %d", v)
	case TargetPortType:
		return ": " + article(portTypeNoun(v, Version{}))
	case TargetReasonNamespace:
		return ": namespace " + namespaceText(v)
	case TargetMPOFlags:
		return ": " + mach.ConstructFlags(v).String()
	}
	return ""
}

// tellClass adds what the class means for the process. It comes last.
func (d *reading) tellClass() {
	switch d.Class {
	case Optional:
		who := "platform binaries and processes at level 1 and above"
		if d.KillsFrom == LevelPlatform {
			who = "platform binaries"
		}
		switch d.Type {
		case GuardVN:
			d.fact("Whether it ends the process is set by the system, not by the process's level.")
		case GuardMachPort, GuardVirtMemory:
			d.fact("This guard is optional: it ends %s; an ordinary process only gets an error back.", who)
		}
	case Soft:
		d.Facts = append(d.Facts, "This guard is soft: it does not end the process.")
	}
	if d.Rule.Return != "" && d.Class != Fatal {
		d.Facts = append(d.Facts, "The call returns "+d.Rule.Return+".")
	}
}

// explainUnknown says what can be said of a number that no public table has.
func explainUnknown(x *Explanation) {
	x.Sentence = fmt.Sprintf("The process violated a guard on %s that no public table names: flavor %#x.",
		x.Type.Thing(), x.Flavor)
	if x.Flavor == 0 {
		x.Sentence = fmt.Sprintf("The code names a guard on %s but no violation: its flavor is 0.", x.Type.Thing())
	}
	if x.Type == GuardMachPort {
		x.Facts = append(x.Facts, fmt.Sprintf("ReportCrash prints it as %q.",
			fmt.Sprintf("Unknown GUARD_TYPE_MACH_PORT flavor %d", x.Flavor)))
		switch {
		case x.Flavor == 0:
		case x.Flavor <= 0x80:
			x.Class, x.KillsFrom = Fatal, LevelNone
			x.Facts = append(x.Facts, "Flavors up to 0x80 are always fatal.")
		case x.Flavor <= 0x80000:
			x.Class, x.KillsFrom = Optional, Level1
			x.Facts = append(x.Facts, "Flavors from 0x100 to 0x80000 are fatal for platform binaries and from level "+
				"1 on.")
		default:
			x.Class = Soft
			x.Facts = append(x.Facts, "Flavors above 0x80000 never end the process.")
		}
	}
	x.Unverified = append(x.Unverified, "what this number means; it may be newer than this table")
}

// explainNoGuard says what a number without a guard type may be.
func explainNoGuard(x *Explanation) {
	v := uint64(x.Code)
	x.Sentence = fmt.Sprintf("%#x is no guard code: the three top bits, the guard type, are 0.", v)
	x.Unverified = append(x.Unverified, "what the number is; it stands alone here")
	signal, exception := v>>24&0xff, v>>20&0xf
	switch {
	case v>>32 == 0 && exception == 12 && signal != 0 && signal < 32:
		x.Sentence = fmt.Sprintf("%#x is not a whole guard code but the first exception code of a crash report: "+
			"signal %d, "+
			"exception EXC_GUARD, and the low 20 bits of the target, %#x.", v, signal, v&0xfffff)
		x.Facts = append(x.Facts, "The whole code stands after \"Namespace GUARD, Code\" in the Termination Reason.")
		x.Unverified = nil
	case v>>32 == 0:
		x.Facts = append(x.Facts, "It may be a target alone, as \"Exception Codes\" prints it, or a flavor alone: "+
			"give its "+
			"guard type to read it (portcullis rules --type mach-port NUMBER).")
	}
}
