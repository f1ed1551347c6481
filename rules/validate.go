package rules

import (
	"errors"
	"fmt"
	"strings"
)

// Ranges of Mach port flavors.
//
// Source: XNU osfmk/mach/port.h, MAX_FATAL_kGUARD_EXC_CODE and MAX_OPTIONAL_kGUARD_EXC_CODE.
const (
	maxFatalFlavor    = 0x80
	maxOptionalFlavor = 0x80000
)

// Validate reports every inconsistency of the table and of the policies: rows that contradict themselves, each other,
// or a policy. It returns nil when there is none.
func Validate() error { return validate(table(), policies) }

func validate(rows []*Rule, ps []Policy) error {
	v := &validator{
		names: map[string]*Rule{}, codes: map[Code]*Rule{}, anchors: map[string]*Rule{}, policies: map[string]*Policy{},
	}
	for i := range ps {
		v.policy(i, &ps[i])
	}
	for _, r := range rows {
		v.rule(r)
	}
	for _, r := range rows { // an alias may not be the canonical name of another row
		for _, n := range r.names() {
			if o, ok := v.names[foldName(n)]; ok && o != r && r.Guard == GuardMachPort && o.Guard == GuardMachPort &&
				!historical(r, n) {
				v.fail(r, "answers to %q, which is the name of another rule", n)
			}
		}
	}
	documented := 0
	for _, r := range rows {
		if r.Documented {
			documented++
		}
	}
	if documented != 6 {
		v.errs = append(v.errs, fmt.Errorf("%d rules are marked as documented by Apple, want 6", documented))
	}
	for i := range ps {
		v.raises(&ps[i], rows)
	}
	return errors.Join(v.errs...)
}

type validator struct {
	errs     []error
	names    map[string]*Rule
	codes    map[Code]*Rule
	anchors  map[string]*Rule
	policies map[string]*Policy
}

func (v *validator) fail(r *Rule, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("rule %s: "+format, append([]any{r.Name}, args...)...))
}

// historical reports whether a rule bears a name only in an era of its past.
func historical(r *Rule, name string) bool {
	for _, e := range r.History {
		if e.Enum == name {
			return true
		}
	}
	return false
}

func (v *validator) rule(r *Rule) {
	switch {
	case r.Name == "":
		v.fail(r, "no name")
	case strings.ContainsAny(r.Name, " #()"):
		v.fail(r, "name makes no anchor")
	}
	if v.names[foldName(r.Name)] != nil {
		v.fail(r, "name is used twice")
	}
	v.names[foldName(r.Name)] = r
	if v.anchors[r.Anchor()] != nil {
		v.fail(r, "anchor %q is used twice", r.Anchor())
	}
	v.anchors[r.Anchor()] = r
	if c := r.Code(0); r.Retired == "" {
		if v.codes[c] != nil {
			v.fail(r, "number %#x is that of %s", r.Flavor, v.codes[c].Name)
		}
		v.codes[c] = r
	}
	for _, text := range [...]struct{ what, s string }{
		{"title", r.Title}, {"sentence", r.Happened}, {"trigger", r.Trigger}, {"remedy", r.Remedy}, {"enum", r.Enum},
	} {
		if text.s == "" {
			v.fail(r, "no %s", text.what)
		}
	}
	if !strings.HasSuffix(r.Happened, ".") {
		v.fail(r, "sentence does not end with a full stop")
	}
	if len(r.Sources) == 0 {
		v.fail(r, "no source")
	}
	if !r.Verified && len(r.Doubts) == 0 {
		v.fail(r, "unverified without saying what is in doubt")
	}
	if r.Documented && (r.Wrong == "" || r.Right == "" || r.Gain == "" || r.Return == "") {
		v.fail(r, "documented by Apple, but without example, gain or return code")
	}
	if r.Guard < GuardMachPort || r.Guard > GuardFrozen {
		v.fail(r, "unknown guard type %d", r.Guard)
	}
	if r.Flavor > 0x1fffffff {
		v.fail(r, "flavor %#x does not fit its 29 bits", r.Flavor)
	}
	v.class(r)
	v.cases(r)
	v.history(r)
}

func (v *validator) class(r *Rule) {
	switch r.Class {
	case Soft:
		if r.KillsFrom != Never {
			v.fail(r, "soft, yet kills from level %s", r.KillsFrom)
		}
	case Fatal, Optional:
		if r.KillsFrom == Never {
			v.fail(r, "%s, yet never kills", r.Class)
		}
	default:
		v.fail(r, "no class")
	}
	if r.Guard != GuardMachPort {
		return
	}
	want := Soft
	switch {
	case r.Flavor <= maxFatalFlavor:
		want = Fatal
	case r.Flavor <= maxOptionalFlavor:
		want = Optional
	}
	if r.Class != want {
		v.fail(r, "class %s, but number %#x lies in the range of %s ones", r.Class, r.Flavor, want)
	}
	if r.Class == Optional && r.Retired == "" && r.KillsFrom != Level1 {
		v.fail(r, "optional Mach port guards kill from level 1, not %s", r.KillsFrom)
	}
}

func (v *validator) cases(r *Rule) {
	seen := map[string]bool{}
	lowest, ordinary := Never, false
	for i := range r.Cases {
		c := &r.Cases[i]
		if c.ID == "" || c.When == "" || seen[c.ID] {
			v.fail(r, "case %q has no condition or is there twice", c.ID)
		}
		seen[c.ID] = true
		if r.Class == Soft && c.KillsFrom != Never {
			v.fail(r, "soft, yet case %q kills", c.ID)
		}
		if !c.Special {
			ordinary = true
			lowest = min(lowest, c.KillsFrom) // Never is the highest
		}
		if len(c.On) > 0 && len(c.NotOn) > 0 {
			v.fail(r, "case %q is both limited to and excepted from platforms", c.ID)
		}
		if c.Policy == "" {
			continue
		}
		p := v.policies[c.Policy]
		switch {
		case p == nil:
			v.fail(r, "case %q names the policy %s, which does not exist", c.ID, c.Policy)
		case p.Flavor != r.Flavor || r.Guard != GuardMachPort:
			v.fail(r, "case %q names the policy %s, which raises %#x", c.ID, c.Policy, p.Flavor)
		case p.Mode == ModeEnforced && p.From != c.KillsFrom:
			v.fail(r, "case %q kills from level %s, its policy from %s", c.ID, c.KillsFrom, p.From)
		case p.Mode != ModeEnforced && c.KillsFrom != Never:
			v.fail(r, "case %q kills, its policy is %s", c.ID, p.Mode)
		}
	}
	if ordinary && lowest != r.KillsFrom {
		v.fail(r, "kills from level %s, its cases from %s", r.KillsFrom, lowest)
	}
}

func (v *validator) history(r *Rule) {
	if !r.Since.Known() {
		v.fail(r, "no first release")
	}
	if len(r.History) == 0 {
		return
	}
	if r.History[0].From != r.Since {
		v.fail(r, "since %s, but its history begins at %s", r.Since, r.History[0].From)
	}
	for i, e := range r.History {
		if i > 0 && !r.History[i-1].From.Before(e.From) {
			v.fail(r, "history is out of order at %s", e.From)
		}
		if e.Class == Soft != (e.KillsFrom == Never) && e.Flavor != 0 {
			v.fail(r, "in %s it is %s and kills from %s", e.From, e.Class, e.KillsFrom)
		}
		if e.XNU == "" {
			v.fail(r, "history at %s names no kernel", e.From)
		}
	}
	last := r.History[len(r.History)-1]
	if r.Retired == "" && (last.Flavor != r.Flavor || last.Class != r.Class || last.KillsFrom != r.KillsFrom ||
		last.Target != r.Target || last.Payload != r.Payload) {
		v.fail(r, "history ends otherwise than the row says")
	}
}

func (v *validator) policy(i int, p *Policy) {
	fail := func(format string, args ...any) {
		v.errs = append(v.errs, fmt.Errorf("policy %d %s: "+format, append([]any{p.ID, p.Name}, args...)...))
	}
	if p.ID != i+1 {
		fail("is at place %d", i+1)
	}
	if p.Name == "" || p.What == "" || p.Source == "" {
		fail("lacks name, description or source")
	}
	if v.policies[p.Name] != nil {
		fail("name is used twice")
	}
	v.policies[p.Name] = p
	switch p.Mode {
	case ModeEnforced:
		if p.Flavor == 0 || p.Flavor > maxFatalFlavor {
			fail("enforced, but guard %#x is not a fatal one", p.Flavor)
		}
		if p.Report != ReportCrash {
			fail("enforced, but reported as %s", p.Report)
		}
		if p.From == Never {
			fail("enforced at no level")
		}
	case ModeTelemetry:
		switch p.Report {
		case ReportAnalytics:
			if p.Flavor != 0 {
				fail("analytics raise no guard, but it names %#x", p.Flavor)
			}
		case ReportSimulatedCrash:
			if p.Flavor <= maxOptionalFlavor {
				fail("simulated crash, but guard %#x is not a soft one", p.Flavor)
			}
		default:
			fail("telemetry, but reported as %s", p.Report)
		}
	case ModeOff:
		if p.Flavor != 0 || p.Report != ReportNone {
			fail("off, yet it raises or reports something")
		}
	default:
		fail("no mode")
	}
}

// raises checks that the guard of a policy is a rule, and that an enforced one is a case of it.
func (v *validator) raises(p *Policy, rows []*Rule) {
	if p.Flavor == 0 {
		return
	}
	for _, r := range rows {
		if r.Guard != GuardMachPort || r.Flavor != p.Flavor || r.Retired != "" {
			continue
		}
		for i := range r.Cases {
			if r.Cases[i].Policy == p.Name {
				return
			}
		}
		v.fail(r, "no case for the policy %s", p.Name)
		return
	}
	v.errs = append(v.errs, fmt.Errorf("policy %d %s: guard %#x is no rule", p.ID, p.Name, p.Flavor))
}
