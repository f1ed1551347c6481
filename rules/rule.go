// Package rules is the one place that knows what a restriction is.
//
// When a process on an Apple system misuses a guarded resource, the kernel raises the exception EXC_GUARD with a 64-bit
// [Code] and a 64-bit payload. The code holds a guard type (Mach port, file descriptor, virtual memory …), a flavor
// (which restriction was violated) and a target (what was being done, or to which port). Every flavor that Apple's
// kernel has ever raised is one [Rule] of the table: its names, its numbers by operating system version, the [Level]
// from which it kills, what triggers it, what the target and the payload mean, and what to write instead.
//
// [All], [ByName] and [ByCode] look rows up; [Explain] turns a code and a payload into sentences; [Policies] lists the
// kernel's own switchboard of Mach IPC policies; [Validate] proves that the rows agree with each other.
//
// A restriction that Apple adds tomorrow is one new row. A row says how to decode its numbers by naming a [TargetKind]
// and a [PayloadKind]; a row that wants more than the standard sentence brings a function of its own.
package rules

import "strings"

// Class says what a violation does to the process, by the range its flavor lies in.
//
// Source: XNU osfmk/ipc/ipc_policy.c, mach_port_guard_exception and mach_port_guard_ast.
type Class uint8

const (
	// Fatal violations always end the process. For Mach ports: flavors up to MSG_FILTERED (0x80).
	Fatal Class = iota + 1
	// Optional violations end the process where its task_exc_guard settings say so, which they do for platform
	// binaries and from level 1 on. In an ordinary process they only return an error. Up to RCV_INVALID_NAME (0x80000).
	Optional
	// Soft violations never end the process: they are reported, at most as a simulated crash.
	Soft
)

// String returns "fatal", "optional" or "soft".
func (c Class) String() string {
	switch c {
	case Fatal:
		return "fatal"
	case Optional:
		return "optional"
	case Soft:
		return "soft"
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Case is one of several conditions under which a rule is violated, with the level from which that one is fatal.
type Case struct {
	ID        string   `json:"id"`                   // short and stable: "bootstrap-port"
	When      string   `json:"when"`                 // continues "the process is killed when …"
	KillsFrom Level    `json:"kills_from"`           // lowest level at which this case is fatal
	On        []string `json:"on,omitempty"`         // only on these platforms ("macOS"); empty: on all
	NotOn     []string `json:"not_on,omitempty"`     // on none of these platforms
	Special   bool     `json:"special,omitempty"`    // needs more than the level; does not count for Rule.KillsFrom
	OfTarget  bool     `json:"of_target,omitempty"`  // the level is that of the task acted upon, not of the caller
	Exempt    string   `json:"exempt,omitempty"`     // who escapes, beside simulated, translated and opted-out processes
	Policy    string   `json:"policy,omitempty"`     // Policy.Name that decides it, where the kernel has one
	Unsure    string   `json:"unverified,omitempty"` // what nobody could verify about this case
}

// AppliesOn reports whether the case exists on a platform ("macOS", "iOS", …). An unknown platform, "", has every case.
func (c *Case) AppliesOn(platform string) bool {
	if platform == "" {
		return true
	}
	for _, p := range c.NotOn {
		if strings.EqualFold(p, platform) {
			return false
		}
	}
	if len(c.On) == 0 {
		return true
	}
	for _, p := range c.On {
		if strings.EqualFold(p, platform) {
			return true
		}
	}
	return false
}

// Era is a span of operating system versions in which a rule kept one number and one meaning. It lasts until the next
// era of the rule.
type Era struct {
	From      Version     `json:"from"`           // macOS release; other systems by their sibling release, see OS
	XNU       string      `json:"xnu"`            // kernel in which it was read
	Flavor    uint32      `json:"flavor"`         // number in that era; 0 where the restriction had none
	Enum      string      `json:"enum,omitempty"` // where it differed from Rule.Enum
	Class     Class       `json:"class"`
	KillsFrom Level       `json:"kills_from"`
	Target    TargetKind  `json:"target"`
	Payload   PayloadKind `json:"payload"`
	Note      string      `json:"note,omitempty"`       // what was different
	Unsure    string      `json:"unverified,omitempty"` // what nobody could verify about this era
}

// Rule is one row of the table.
type Rule struct {
	// Name is the canonical name: that of Apple's documentation for the six restrictions it names, else the name that
	// ReportCrash prints, else XNU's enumeration name without its prefix.
	Name        string    `json:"name"`
	Guard       GuardType `json:"guard_type"`
	Flavor      uint32    `json:"flavor"`                 // newest number
	Enum        string    `json:"enum"`                   // newest name in XNU's headers
	ReportCrash string    `json:"report_crash,omitempty"` // name that ReportCrash prints; empty where it has none
	Aliases     []string  `json:"aliases,omitempty"`      // other names, accepted as input everywhere
	Documented  bool      `json:"documented,omitempty"`   // one of the six of Apple's documentation
	Title       string    `json:"title"`                  // what it is about, a few words

	Class     Class  `json:"class"`
	KillsFrom Level  `json:"kills_from"` // lowest level at which an ordinary case is fatal; Never for soft ones
	Cases     []Case `json:"cases,omitempty"`
	Retired   string `json:"retired,omitempty"` // why the newest kernel does not raise it; empty where it does

	Since   Version `json:"since"`             // first release that had it in any form
	History []Era   `json:"history,omitempty"` // oldest first; empty where nothing changed since Since

	Happened string `json:"happened"`         // one sentence: what the process did
	Trigger  string `json:"trigger"`          // when exactly the kernel raises it
	Gain     string `json:"gain,omitempty"`   // what an attacker gains where it is not enforced
	Return   string `json:"return,omitempty"` // what the call would have returned

	Target      TargetKind  `json:"target_kind"`
	TargetNote  string      `json:"target,omitempty"` // what the target means, for a reader
	Payload     PayloadKind `json:"payload_kind"`
	PayloadNote string      `json:"payload,omitempty"` // what the payload means, for a reader

	Remedy string `json:"remedy"`
	Wrong  string `json:"wrong,omitempty"` // C; present for the six
	Right  string `json:"right,omitempty"`

	Verified bool     `json:"verified"`         // read in public kernel source, or seen in a public report
	Doubts   []string `json:"doubts,omitempty"` // what nobody could verify
	Sources  []string `json:"sources"`          // public texts: file and function, or document title

	tell func(*reading) // adds what the kinds alone do not say; may be nil
}

// KillsAt reports whether some ordinary case of the rule is fatal at a level. [Rule.CasesAt] tells which.
func (r *Rule) KillsAt(l Level) bool { return r.KillsFrom != Never && l != Never && l >= r.KillsFrom }

// CasesAt returns the cases that are fatal at a level on a platform, "" standing for any.
func (r *Rule) CasesAt(l Level, platform string) []*Case {
	var out []*Case
	for i := range r.Cases {
		c := &r.Cases[i]
		if c.KillsFrom != Never && l != Never && l >= c.KillsFrom && c.AppliesOn(platform) {
			out = append(out, c)
		}
	}
	return out
}

// Case returns the case with an ID.
func (r *Rule) Case(id string) (*Case, bool) {
	for i := range r.Cases {
		if r.Cases[i].ID == id {
			return &r.Cases[i], true
		}
	}
	return nil, false
}

// Anchor returns the rule's anchor on the documentation page.
func (r *Rule) Anchor() string {
	if r.Guard == GuardFD {
		return "fd_" + strings.ToLower(r.Name)
	}
	return strings.ToLower(r.Name)
}

// HelpPage is the page on which every rule has an anchor.
const HelpPage = "docs/restrictions.md"

// Help returns the place of the rule in the documentation: "docs/restrictions.md#set_exception_behavior".
func (r *Rule) Help() string { return HelpPage + "#" + r.Anchor() }

// Code returns the code the newest kernel raises for a target.
func (r *Rule) Code(target uint32) Code { return MakeCode(r.Guard, r.Flavor, target) }

// Eras returns the rule's history; a rule without changes has one era.
func (r *Rule) Eras() []Era {
	if len(r.History) > 0 {
		return r.History
	}
	return []Era{{
		From: r.Since, Flavor: r.Flavor, Class: r.Class, KillsFrom: r.KillsFrom, Target: r.Target, Payload: r.Payload,
	}}
}
