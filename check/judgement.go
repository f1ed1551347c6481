package check

import (
	"fmt"
	"slices"
	"strings"

	"portcullis.dev/finding"
	"portcullis.dev/macho"
	"portcullis.dev/rules"
)

// judgement turns the hits of a module into findings: which program's level decides, and whether it kills there.
type judgement struct {
	given *rules.Level // level that the user asked for; nil where the programs decide
}

// outcome is what one hit comes to in one program.
type outcome struct {
	loader loader // zero where no program that loads the module was read
	level  rules.Level
	kills  bool
	waived bool
}

// judgedHit is a hit and the finding that became of it.
type judgedHit struct {
	hit     *hit
	finding *finding.Finding
}

// findings returns the findings for a module, given the programs that load it.
func (j judgement) findings(m *module, l loading) []judgedHit {
	var out []judgedHit
	for i := range m.hits {
		h := m.hits[i]
		o, ok := j.worst(h, l.by)
		if !ok {
			continue
		}
		f := j.finding(m, h, o)
		if l.programs > 1 {
			f.Evidence = append(f.Evidence, fmt.Sprintf("%d programs load it; shown is one in which the call does most harm",
				l.programs))
		}
		out = append(out, judgedHit{&m.hits[i], &f})
	}
	return out
}

// worst returns the outcome of a hit in the program where it does most harm. ok is false where the hit concerns none of
// them.
func (j judgement) worst(h hit, by []loader) (worst outcome, ok bool) {
	if len(by) == 0 {
		if h.needs != "" {
			return outcome{}, false
		}
		level := rules.Level2
		if j.given != nil {
			level = *j.given
		}
		return outcome{level: level, kills: level >= h.killsFrom}, true
	}
	for _, l := range by {
		if h.needs != "" && !l.program.holds(h.needs) {
			continue
		}
		o := outcome{loader: l, level: l.program.level()}
		if j.given != nil {
			o.level = *j.given
		}
		o.waived = h.waiver != "" && l.program.holds(h.waiver)
		o.kills = o.level >= h.killsFrom && !o.waived
		if !ok || o.kills && !worst.kills || o.kills == worst.kills && o.level > worst.level {
			worst, ok = o, true
		}
	}
	return worst, ok
}

func (j judgement) finding(m *module, h hit, o outcome) finding.Finding {
	level := o.level
	f := finding.Finding{
		Rule: h.rule.Name, Code: h.code, Payload: h.payload,
		KillsFrom: h.killsFrom, Level: &level, KillsHere: o.kills,
		Confidence: h.confidence, Moment: finding.MomentCheck,
		Where: finding.Where{
			Path: m.path, Member: joinMember(m.member, m.archived), Arch: m.arch,
			Function: h.function, Address: fmt.Sprintf("%#x", h.site), File: h.file, Line: h.line,
		},
		Callee: h.callee, Arguments: h.arguments, Evidence: slices.Clone(h.evidence),
		Message: h.message, Remedy: h.rule.Remedy, Help: h.rule.Help(),
	}
	for _, in := range h.inlined {
		f.Where.Inlined = append(f.Where.Inlined, finding.Inlined{Function: in.Function, File: in.File, Line: in.Line})
	}
	if h.start != 0 {
		f.Evidence = append(f.Evidence, fmt.Sprintf("the function has no name in the file; it begins at %#x", h.start))
	}
	addKnown(&f, &h)
	f.Evidence = append(f.Evidence, j.levelFacts(m, o)...)
	if o.loader.bundled {
		f.Evidence = append(f.Evidence, "no load command leads to it from the program, in whose bundle it lies")
	}
	if o.waived {
		f.Evidence = append(f.Evidence, "the program holds "+h.waiver+", which allows it")
	}
	if h.needs != "" {
		f.Evidence = append(f.Evidence, "the program declares "+h.needs)
	}
	if len(o.loader.chain) > 1 {
		for i, c := range o.loader.chain {
			name := c.name()
			if i == 0 {
				name += " (level " + level.String() + ")"
			}
			f.Chain = append(f.Chain, name)
		}
	}
	return f
}

// levelFacts says where the level comes from that a finding was judged at.
func (j judgement) levelFacts(m *module, o outcome) []string {
	p := o.loader.program
	switch {
	case j.given != nil:
		return nil // the user knows
	case p == nil && m.kind == macho.Object:
		return []string{"not linked yet; judged at level 2, which the entitlement gives"}
	case p == nil:
		return []string{"no program that loads this was read; judged at level 2, which the entitlement gives"}
	case p.declares && p == m:
		return []string{fmt.Sprintf("level %s: %s", o.level, p.decision.Why)}
	case p.declares:
		return []string{fmt.Sprintf("level %s of the program that loads it: %s", o.level, p.decision.Why)}
	}
	return []string{p.undeclared + "; judged at level 2, which the entitlement gives"}
}

// joinMember puts the name of an archive member behind the place of its library.
func joinMember(member, archived string) string {
	switch {
	case archived == "":
		return member
	case member == "":
		return archived
	}
	return strings.Join([]string{member, archived}, "!/")
}
