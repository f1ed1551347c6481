// Package manual turns the table of restrictions into reading matter: tables and rows for a terminal, JSON for
// programs, and the page docs/restrictions.md, which is this table and nothing else. It adds no fact of its own.
package manual

import (
	"fmt"
	"slices"
	"strings"

	"portcullis.dev/rules"
)

// section is a group of rules as tables show them.
type section struct {
	Title string
	Intro string
	rules []*rules.Rule
}

// sections groups the table: the six first.
func sections() []section {
	all := []section{
		{Title: "The six restrictions of Apple's documentation",
			Intro: "These are the names of \"Conforming to Mach IPC security restrictions\"."},
		{Title: "Mach ports: other guards that always kill", Intro: "Fatal for every process from the level named."},
		{Title: "Mach ports: optional guards", Intro: "They kill platform binaries and processes at level 1 and above; an " +
			"ordinary process only gets an error back."},
		{Title: "Mach ports: soft guards", Intro: "They are reported, at most as a simulated crash. The process lives."},
		{Title: "File descriptors", Intro: "A library guards a descriptor, and other code of the process touches it."},
		{Title: "Virtual memory", Intro: "Memory freed wrongly, memory tagging, and memory that the system protects."},
		{Title: "Other guards", Intro: "Files, faults that a process reports itself, and rejected system calls."},
	}
	for _, r := range rules.All() {
		i := 6
		switch {
		case r.Documented:
			i = 0
		case r.Guard == rules.GuardMachPort && r.Class == rules.Fatal:
			i = 1
		case r.Guard == rules.GuardMachPort && r.Class == rules.Optional:
			i = 2
		case r.Guard == rules.GuardMachPort:
			i = 3
		case r.Guard == rules.GuardFD:
			i = 4
		case r.Guard == rules.GuardVirtMemory:
			i = 5
		}
		all[i].rules = append(all[i].rules, r)
	}
	return all
}

// killsFrom writes the levels from which the ordinary cases of a rule kill: "none, 2".
func killsFrom(r *rules.Rule) string {
	if r.Retired != "" && r.Class != rules.Soft {
		return "(retired)"
	}
	levels := []rules.Level{r.KillsFrom}
	for _, c := range r.Cases {
		if !c.Special && !slices.Contains(levels, c.KillsFrom) {
			levels = append(levels, c.KillsFrom)
		}
	}
	slices.Sort(levels)
	var out []string
	for _, l := range levels {
		out = append(out, l.String())
	}
	return strings.Join(out, ", ")
}

// from says when something kills: "from level 2", "at every level", "never".
func from(l rules.Level) string {
	switch l {
	case rules.LevelNone:
		return "at every level"
	case rules.Never:
		return "never"
	case rules.LevelPlatform:
		return "platform binaries only"
	case rules.LevelHardenedRuntime:
		return "from hardened-runtime"
	}
	return "from level " + l.String()
}

// number writes a flavor as reports and headers do.
func number(flavor uint32) string { return fmt.Sprintf("0x%02x", flavor) }

// code writes the code of a rule with its target left open.
func code(r *rules.Rule) string {
	return fmt.Sprintf("0x%08x_tttttttt", uint64(r.Code(0))>>32)
}

// otherNames lists the names of a rule beside the canonical one.
func otherNames(r *rules.Rule) []string {
	names := []string{r.Enum}
	if r.ReportCrash != r.Name && r.ReportCrash != "" {
		names = append(names, r.ReportCrash)
	}
	for _, e := range r.History {
		names = append(names, e.Enum)
	}
	names = append(names, r.Aliases...)
	var out []string
	for _, n := range names {
		if n != "" && n != r.Name && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// printedName says what ReportCrash prints.
func printedName(r *rules.Rule) string {
	if r.ReportCrash == "" {
		return fmt.Sprintf("nothing; it prints \"Unknown %s flavor %d\"", r.Guard, r.Flavor)
	}
	return r.ReportCrash
}

// platforms writes on which systems a case exists, "" for all.
func platforms(c *rules.Case) string {
	switch {
	case len(c.On) > 0:
		return "on " + strings.Join(c.On, " and ")
	case len(c.NotOn) > 0:
		return "not on " + strings.Join(c.NotOn, " and ")
	}
	return ""
}

// targetText and payloadText say what the two numbers mean for a rule, newest form.
func targetText(r *rules.Rule) string {
	if r.TargetNote != "" {
		return r.TargetNote
	}
	return r.Target.Meaning()
}

func payloadText(r *rules.Rule) string {
	if r.PayloadNote != "" {
		return r.PayloadNote
	}
	return r.Payload.Meaning()
}

// release writes the release of an era.
func release(e rules.Era) string { return "macOS " + e.From.String() }

// eraText writes what an era was like.
func eraText(e rules.Era) string {
	var parts []string
	if e.Note != "" {
		parts = append(parts, e.Note)
	}
	if e.Unsure != "" {
		parts = append(parts, "unverified: "+e.Unsure)
	}
	return strings.Join(parts, "; ")
}

// eraNumber writes the number of an era.
func eraNumber(e rules.Era, r *rules.Rule) string {
	if e.Flavor == 0 && (r.Guard == rules.GuardMachPort || r.Guard == rules.GuardVirtMemory) {
		return "none"
	}
	return number(e.Flavor)
}
