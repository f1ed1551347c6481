package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"portcullis.dev/rules"
)

// Owner says whose code a component is, as far as the files tell.
type Owner string

const (
	OwnerSelf    Owner = "own"     // of whoever makes the program
	OwnerVendor  Owner = "vendor"  // of somebody else
	OwnerUnknown Owner = "unknown" // nothing tells
)

// Program is a program that was read and, of the code in its process, that in which something was found: what it would
// take to have the program run at a level. One without a path stands for code that no program was found for.
type Program struct {
	Path       string       `json:"path,omitempty"`
	Member     string       `json:"member,omitempty"`
	Name       string       `json:"name,omitempty"`
	Version    string       `json:"version,omitempty"`
	Level      rules.Level  `json:"level"`    // judged at
	Declares   bool         `json:"declares"` // that level by itself
	Verdicts   []Verdict    `json:"verdicts"` // one a level, ascending; Finish fills them in
	Components []*Component `json:"components"`
}

// Component is an image of a program, or known software inside one.
type Component struct {
	Path     string    `json:"path"`
	Member   string    `json:"member,omitempty"`
	Name     string    `json:"name"`
	Version  string    `json:"version,omitempty"`
	Owner    Owner     `json:"owner"`
	Why      string    `json:"why"` // why the owner is held to be that
	SDK      *SDK      `json:"sdk,omitempty"`
	Blockers []Blocker `json:"blockers"`
}

// Blocker counts the calls of a component that a restriction kills for, once each however many slices have them.
type Blocker struct {
	Rule      string      `json:"rule"`
	KillsFrom rules.Level `json:"kills_from"`
	Certain   int         `json:"certain,omitempty"`
	Likely    int         `json:"likely,omitempty"`
	Possible  int         `json:"possible,omitempty"`
	Waived    bool        `json:"waived,omitempty"` // an entitlement of the program allows the calls
}

// Verdict says what happens to a program at a level.
type Verdict struct {
	Level  rules.Level `json:"level"`
	Status Status      `json:"status"`
}

// Status is the sum of what was found. None of them is a promise: what nobody found may be there.
type Status string

const (
	Blocked Status = "blocked" // a certain or likely call kills
	Open    Status = "open"    // only possible ones do: somebody has to look
	Clear   Status = "clear"   // no known violation
)

// kills counts the calls that kill at a level: those that are certain or likely, and those that are possible.
func (c *Component) kills(l rules.Level) (sure, possible int) {
	for _, b := range c.Blockers {
		if b.KillsFrom != rules.Never && b.KillsFrom <= l && !b.Waived {
			sure += b.Certain + b.Likely
			possible += b.Possible
		}
	}
	return sure, possible
}

// status of a component at a level.
func (c *Component) status(l rules.Level) Status {
	switch sure, possible := c.kills(l); {
	case sure > 0:
		return Blocked
	case possible > 0:
		return Open
	}
	return Clear
}

// finishPrograms sorts programs and components, worst first, and gives the verdicts.
func (r *Report) finishPrograms() {
	for i := range r.Programs {
		p := &r.Programs[i]
		if p.Components == nil {
			p.Components = []*Component{}
		}
		for _, c := range p.Components {
			slices.SortFunc(c.Blockers, func(a, b Blocker) int {
				return cmp.Or(cmp.Compare(a.KillsFrom, b.KillsFrom), cmp.Compare(a.Rule, b.Rule))
			})
		}
		slices.SortStableFunc(p.Components, func(a, b *Component) int {
			as, ap := a.kills(rules.LevelPlatform)
			bs, bp := b.kills(rules.LevelPlatform)
			return cmp.Or(cmp.Compare(bs, as), cmp.Compare(bp, ap), cmp.Compare(a.Path, b.Path),
				cmp.Compare(a.Member, b.Member), cmp.Compare(a.Name, b.Name))
		})
		p.Verdicts = nil
		for _, l := range rules.Levels() {
			p.Verdicts = append(p.Verdicts, Verdict{l, p.status(l)})
		}
	}
	slices.SortStableFunc(r.Programs, func(a, b Program) int {
		return cmp.Or(cmp.Compare(b.weight(), a.weight()), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Member, b.Member))
	})
}

// status of the worst component of a program at a level.
func (p *Program) status(l rules.Level) Status {
	worst := Clear
	for _, c := range p.Components {
		switch c.status(l) {
		case Blocked:
			return Blocked
		case Open:
			worst = Open
		}
	}
	return worst
}

// weight puts programs that are blocked first, then those that are open; one that is none comes last of its kind.
func (p *Program) weight() int {
	w := 0
	switch p.status(rules.LevelPlatform) {
	case Blocked:
		w = 4
	case Open:
		w = 2
	}
	if p.Path != "" {
		w++
	}
	return w
}

// title names a program and its version.
func (p *Program) title() string {
	if p.Path == "" {
		return "code that no program was found for"
	}
	return strings.TrimSpace(p.Name + " " + p.Version)
}

// judged says at which level a program is judged, and who says so.
func (p *Program) judged() string {
	if p.Declares {
		return "declares level " + p.Level.String()
	}
	return "judged " + atLevel(p.Level.String())
}

// ready says in a sentence what was found about a program, and from which level on.
func (p *Program) ready() string {
	from := func(s Status) string {
		for _, v := range p.Verdicts {
			if v.Status == s {
				return fromOn(v.Level)
			}
		}
		return ""
	}
	blocked, open := from(Blocked), from(Open)
	switch {
	case blocked != "" && open != "":
		return "not ready " + blocked + ", unsure " + open
	case blocked != "":
		return "not ready " + blocked
	case open != "":
		return "unsure " + open
	}
	return "no known violation at any level"
}

// fromOn writes a level and those above it into a sentence.
func fromOn(l rules.Level) string {
	switch l {
	case rules.LevelNone:
		return "at any level"
	case rules.LevelHardenedRuntime:
		return "from the hardened runtime on"
	case rules.LevelPlatform:
		return "as a platform binary"
	}
	return "from level " + l.String() + " on"
}

// phrase says whose a component is: "yours", "a vendor's".
func (o Owner) phrase() string {
	switch o {
	case OwnerSelf:
		return "yours"
	case OwnerVendor:
		return "a vendor's"
	}
	return "unknown whose"
}

// conform says what is to be done about a component: the version that is known to conform, where there is one.
func (c *Component) conform() string {
	switch {
	case c.SDK != nil && c.SDK.FixedIn != "":
		return c.SDK.Name + " " + c.SDK.FixedIn + " is known to conform"
	case c.SDK != nil:
		return "no version of " + c.SDK.Name + " is known to conform"
	case c.Owner == OwnerVendor:
		return "ask its vendor for a version that conforms"
	}
	return ""
}

// what lists the blockers: "SET_EXCEPTION_BEHAVIOR: 1 certain, 2 possible (from level 1)".
func (c *Component) what() []string {
	var out []string
	for _, b := range c.Blockers {
		var sure []string
		for _, n := range []struct {
			count int
			of    Confidence
		}{{b.Certain, Certain}, {b.Likely, Likely}, {b.Possible, Possible}} {
			if n.count > 0 {
				sure = append(sure, fmt.Sprintf("%d %s", n.count, n.of))
			}
		}
		s := b.Rule + ": " + strings.Join(sure, ", ") + ", " + fromLevel(b.KillsFrom)
		if b.Waived {
			s += "; allowed by an entitlement of the program"
		}
		out = append(out, s)
	}
	return out
}
