package finding

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"portcullis.dev/rules"
)

// Limits of what the text tells of programs. The JSON form has everything.
const (
	maxTextPrograms   = 12
	maxTextComponents = 12
)

// programs writes what it would take: for each program whether it is ready, and which components keep it from that.
// Where all that was found is in one program's own code the findings have said so.
func (t *text) programs() {
	programs := t.report.Programs
	if len(programs) == 0 || len(programs) == 1 && len(programs[0].Components) == 1 &&
		programs[0].Components[0].Owner != OwnerVendor {
		return
	}
	t.WriteString(t.name("what it would take") + "\n")
	for i := range programs {
		if i == maxTextPrograms {
			t.hanging(fmt.Sprintf("and %d more, see --format json", len(programs)-i))
			break
		}
		t.program(&programs[i])
	}
	t.WriteByte('\n')
	t.matrix()
}

// program writes what keeps one program from being ready.
func (t *text) program(p *Program) {
	t.hanging(p.title() + ", " + p.judged() + ": " + p.ready())
	for i, c := range p.Components {
		if i == maxTextComponents {
			t.labelled(4, "", fmt.Sprintf("and %d more components, see --format json", len(p.Components)-i))
			return
		}
		name := strings.TrimSpace(c.Name + " " + c.Version)
		if c.SDK != nil {
			name += ", in it " + strings.TrimSpace(c.SDK.Name+" "+c.SDK.Version)
		}
		t.labelled(4, "", name+" ("+c.Owner.phrase()+": "+c.Why+")")
		for _, what := range c.what() {
			t.labelled(6, "", what)
		}
		t.labelled(6, "", c.conform())
	}
}

// matrix writes how many findings kill at which level, by restriction.
func (t *text) matrix() {
	gs := groups(t.report.Findings)
	if len(gs) < 2 {
		return
	}
	width := 0
	for _, g := range gs {
		width = max(width, lipgloss.Width(Printable(g.Name)))
	}
	pad := func(s string, n int) string { return s + strings.Repeat(" ", max(0, n-lipgloss.Width(s))) }
	t.WriteString(t.name("findings that kill, by level") + "\n  " + pad("", width))
	for _, l := range rules.Levels() {
		t.WriteString("  " + t.dim(shortLevel(l)))
	}
	t.WriteByte('\n')
	for _, g := range gs {
		t.WriteString("  " + pad(Printable(g.Name), width))
		for _, l := range rules.Levels() {
			n, paint := "-", t.dim
			if count := g.killsAt(l); count > 0 {
				n, paint = fmt.Sprint(count), t.kill
			}
			t.WriteString("  " + strings.Repeat(" ", max(0, len(shortLevel(l))-len(n))) + paint(n))
		}
		t.WriteByte('\n')
	}
	t.WriteByte('\n')
}

// shortLevel is the name of a level for the head of a column.
func shortLevel(l rules.Level) string {
	if l == rules.LevelHardenedRuntime {
		return "hardened"
	}
	return fmt.Sprintf("%4s", l)
}

// killsAt counts the findings of a group that kill at a level.
func (g *group) killsAt(l rules.Level) int {
	n := 0
	for _, f := range g.Findings {
		if f.KillsFrom != rules.Never && f.KillsFrom <= l {
			n++
		}
	}
	return n
}
