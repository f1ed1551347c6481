package manual

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"portcullis.dev/rules"
)

// page writes Markdown: one paragraph or table row a call.
type page struct{ b strings.Builder }

func (p *page) f(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

// para writes a paragraph, wrapped so that changes of the table show as changes of a line.
func (p *page) para(text string) {
	for _, l := range wrap(text, 120) {
		p.b.WriteString(l + "\n")
	}
	p.b.WriteByte('\n')
}

// cell makes a text fit into a table.
func cell(s string) string { return strings.ReplaceAll(prose(s), "|", `\|`) }

// prose protects what Markdown and HTML would take for markup. Names with underscores inside words are safe.
func prose(s string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "*", `\*`).Replace(s)
}

// link links a rule on its page.
func link(r *rules.Rule) string { return fmt.Sprintf("[%s](#%s)", r.Name, r.Anchor()) }

// WriteMarkdown writes docs/restrictions.md.
func WriteMarkdown(w io.Writer) error {
	p := &page{}
	p.f("<!-- Generated from the table in package rules by 'portcullis rules --format markdown'. Do not edit. -->")
	p.f("")
	p.f("# Restrictions")
	p.f("")
	p.para("This page lists everything that the exception EXC_GUARD can mean on Apple's systems: first the six Mach IPC " +
		"restrictions that Apple's documentation names, then every other guard. It is the table that `portcullis check` " +
		"predicts from and `portcullis explain` looks things up in, and is generated from it.")
	p.contents()
	p.numbers()
	p.levels()
	p.matrix()
	p.index()
	p.f("## The six restrictions")
	p.f("")
	for _, r := range rules.Documented() {
		p.rule(r)
	}
	p.f("## All other guards")
	p.f("")
	for _, s := range sections()[1:] {
		p.f("### %s", s.Title)
		p.f("")
		p.para(s.Intro)
		for _, r := range s.rules {
			p.rule(r)
		}
	}
	p.changes()
	p.policies()
	p.doubts()
	p.sources()
	_, err := io.WriteString(w, strings.TrimRight(p.b.String(), "\n")+"\n")
	return err
}

// WriteRuleMarkdown writes one row.
func WriteRuleMarkdown(w io.Writer, r *rules.Rule) error {
	p := &page{}
	p.rule(r)
	_, err := io.WriteString(w, strings.TrimRight(p.b.String(), "\n")+"\n")
	return err
}

// WriteExplanationMarkdown writes what a code says.
func WriteExplanationMarkdown(w io.Writer, x rules.Explanation) error {
	p := &page{}
	name := "not in the table"
	if x.Rule != nil {
		name = x.Rule.Name
	}
	p.f("**%s** (`%s`)", name, x.Code)
	p.f("")
	p.para(prose(x.Sentence))
	for _, s := range []struct{ label, text string }{{"Target", x.Target}, {"Payload", x.PayloadText}} {
		if s.text != "" {
			p.f("- %s: %s", s.label, prose(s.text))
		}
	}
	if x.Rule != nil {
		p.f("- Kills: %s", from(x.KillsFrom))
	}
	for _, s := range x.Facts {
		p.f("- %s", prose(s))
	}
	for _, a := range x.Others {
		p.f("- Or, on %s: %s. %s%s", a.When, a.Name, prose(a.Sentence), prose(details(a)))
	}
	for _, s := range x.Unverified {
		p.f("- Not verified: %s", prose(s))
	}
	if x.Remedy != "" {
		p.f("")
		p.para("What to do: " + prose(x.Remedy))
	}
	_, err := io.WriteString(w, strings.TrimRight(p.b.String(), "\n")+"\n")
	return err
}

func (p *page) contents() {
	for _, s := range [][2]string{
		{"How to read a code", "how-to-read-a-code"}, {"Levels", "levels"}, {"Which level kills " +
			"what", "which-level-kills-what"},
		{"Every guard", "every-guard"}, {"The six restrictions", "the-six-restrictions"},
		{"All other guards", "all-other-guards"}, {"Numbers that changed their " +
			"meaning", "numbers-that-changed-their-meaning"},
		{"The kernel's policies", "the-kernels-policies"}, {"What nobody could verify", "what-nobody-could-verify"},
		{"Sources", "sources"},
	} {
		p.f("- [%s](#%s)", s[0], s[1])
	}
	p.f("")
}

func (p *page) numbers() {
	p.f("## How to read a code")
	p.f("")
	p.para("The code is a number of 64 bits. It stands, in decimal, after `Namespace GUARD, Code` in the Termination " +
		"Reason of a crash report; some tools print it in hexadecimal or, for guard types 4 and above, as a negative number.")
	p.f("| Bits | Meaning |")
	p.f("|---|---|")
	p.f("| 63 to 61 | guard type |")
	p.f("| 60 to 32 | flavor: which guard was violated |")
	p.f("| 31 to 0 | target |")
	p.f("")
	p.f("| Guard type | Name | Guards |")
	p.f("|---|---|---|")
	for _, t := range rules.GuardTypes() {
		p.f("| %d | %s (`--type %s`) | %s |", uint8(t), t, t.Text(), t.Thing())
	}
	p.f("")
	p.para("The payload, or subcode, is a second number of 64 bits; reports print it as `guarded with 0x…`. What target " +
		"and payload mean depends on the flavor and on the release of the system; each row below says so. " +
		"`portcullis rules 2305843037130981377 --payload 0x6e` does it for you.")
	p.para("Do not decode `Exception Codes`: from macOS 12 on its first number holds only the lowest 20 bits of the " +
		"target.")
}

func (p *page) levels() {
	p.f("## Levels")
	p.f("")
	p.para("A level says how much of Mach IPC is restricted for a process. Each adds to the one before it.")
	p.f("| Level | XNU | Who runs at it |")
	p.f("|---|---|---|")
	who := map[rules.Level]string{
		rules.LevelNone:            "an ordinary program",
		rules.LevelHardenedRuntime: "a macOS program signed with the hardened runtime and nothing more",
		rules.Level1:               "a program with a web-browser-engine entitlement",
		rules.Level2: "a program with com.apple.security.hardened-process.platform-restrictions (any value), or the " +
			"-string key with the value 2",
		rules.Level3:        "a program with the -string key and a value from 3 to 7",
		rules.LevelPlatform: "a part of the system",
	}
	for _, l := range rules.Levels() {
		p.f("| `%s` | %s | %s |", l, l.XNU(), who[l])
	}
	p.f("")
	p.para("Processes of a simulator, processes translated by Rosetta and processes that macOS opts out (platform " +
		"programs " +
		"that host plug-ins) escape most restrictions, but not the binding of port types (ILLEGAL_MOVE).")
}

func (p *page) matrix() {
	p.f("## Which level kills what")
	p.f("")
	header, rule := "| Guard | The process is killed when |", "|---|---|"
	for _, l := range rules.Levels() {
		header += fmt.Sprintf(" %s |", l)
		rule += ":---:|"
	}
	p.f("%s", header)
	p.f("%s", rule)
	for _, r := range rules.All() {
		if r.Guard != rules.GuardMachPort || r.Class != rules.Fatal || len(r.Cases) == 0 {
			continue
		}
		for i := range r.Cases {
			c := &r.Cases[i]
			when := c.When
			if s := platforms(c); s != "" {
				when += " (" + s + ")"
			}
			row := fmt.Sprintf("| %s | %s |", link(r), cell(when))
			for _, l := range rules.Levels() {
				mark := "no"
				if c.KillsFrom != rules.Never && l >= c.KillsFrom {
					mark = "**kills**"
				}
				row += " " + mark + " |"
			}
			p.f("%s", row)
		}
	}
	p.f("")
	p.para("Optional guards (INVALID_NAME and its like) kill from level 1 on and platform binaries; soft guards never " +
		"kill.")
}

func (p *page) index() {
	p.f("## Every guard")
	p.f("")
	for _, s := range sections() {
		p.f("**%s.** %s", s.Title, s.Intro)
		p.f("")
		p.f("| Number | Name | Kills from | What | XNU |")
		p.f("|---|---|---|---|---|")
		for _, r := range s.rules {
			title := r.Title
			if r.Retired != "" {
				title += " (retired)"
			}
			p.f("| `%s` | %s | %s | %s | `%s` |", number(r.Flavor), link(r), killsFrom(r), cell(title), r.Enum)
		}
		p.f("")
	}
}

func (p *page) rule(r *rules.Rule) {
	p.f("<a id=\"%s\"></a>", r.Anchor())
	p.f("")
	p.f("#### %s", r.Name)
	p.f("")
	p.para(prose(r.Happened))
	p.f("| | |")
	p.f("|---|---|")
	p.f("| Number | flavor `%s` of %s; code `%s` |", number(r.Flavor), r.Guard, code(r))
	p.f("| Class | %s |", r.Class)
	if len(r.Cases) == 0 {
		p.f("| Kills | %s |", from(r.KillsFrom))
	}
	if r.Retired != "" {
		p.f("| Retired | %s |", cell(r.Retired))
	}
	p.f("| ReportCrash prints | %s |", cell(printedName(r)))
	if names := otherNames(r); len(names) > 0 {
		p.f("| Other names | %s |", cell(strings.Join(names, ", ")))
	}
	if r.Return != "" {
		p.f("| Call returns | %s |", cell(r.Return))
	}
	p.f("| Target | %s |", cell(targetText(r)))
	p.f("| Payload | %s |", cell(payloadText(r)))
	p.f("")
	p.para("**When.** " + prose(r.Trigger))
	if len(r.Cases) > 0 {
		p.f("| Kills | When |")
		p.f("|---|---|")
		for i := range r.Cases {
			c := &r.Cases[i]
			when := strings.Join(append([]string{c.When}, caseNotes(c)...), "; ")
			p.f("| %s | %s |", from(c.KillsFrom), cell(when))
		}
		p.f("")
	}
	if r.Gain != "" {
		p.para("**Why it is forbidden.** " + prose(r.Gain))
	}
	p.para("**What to do.** " + prose(r.Remedy))
	if r.Wrong != "" {
		p.f("Wrong:\n\n```c\n%s\n```\n", r.Wrong)
		p.f("Right:\n\n```c\n%s\n```\n", r.Right)
	}
	if len(r.History) > 0 {
		p.f("| From | Kernel | Number | Kills | Target | Payload | What changed |")
		p.f("|---|---|---|---|---|---|---|")
		for _, e := range r.History {
			p.f("| %s | %s | `%s` | %s | %s | %s | %s |", release(e), e.XNU, eraNumber(e, r), from(e.KillsFrom),
				cell(e.Target.Meaning()), cell(e.Payload.Meaning()), cell(eraText(e)))
		}
		p.f("")
	} else {
		p.para(fmt.Sprintf("Since macOS %s.", r.Since))
	}
	for _, d := range r.Doubts {
		p.para("*Not verified:* " + prose(d) + ".")
	}
	p.para("Sources: " + prose(strings.Join(r.Sources, "; ")) + ".")
}

// changes lists the numbers of Mach port guards that once meant something else.
func (p *page) changes() {
	p.f("## Numbers that changed their meaning")
	p.f("")
	p.para("Reports of older systems use these. Releases are those of macOS; iOS, tvOS, watchOS and visionOS follow " +
		"the macOS " +
		"release of the same kernel (iOS 18.5 reads as macOS 15.5).")
	p.f("| Number | Guard type | Releases | Meant |")
	p.f("|---|---|---|---|")
	for _, r := range rules.All() {
		eras := r.Eras()
		for i, e := range eras[:len(eras)-1] {
			next := eras[i+1]
			if e.Flavor == 0 || e.Flavor == r.Flavor && r.Retired == "" {
				continue
			}
			if i > 0 && eras[i-1].Flavor == e.Flavor {
				continue // told with the era before
			}
			until := next.From
			for _, n := range eras[i+1:] {
				until = n.From
				if n.Flavor != e.Flavor {
					break
				}
			}
			p.f("| `%#x` | %s | macOS %s until %s | %s |", e.Flavor, r.Guard.Text(), e.From, until, link(r))
		}
	}
	p.f("")
}

func (p *page) policies() {
	p.f("## The kernel's policies")
	p.f("")
	p.para("The newest public kernel keeps a list of Mach IPC policies, each enforced, only observed, or off. What is " +
		"observed " +
		"today may be enforced tomorrow. Restrictions that are checked without a policy are not in this list.")
	p.f("| Policy | | Mode | Applies | Guard | Reported as | Restricted is |")
	p.f("|---:|---|---|---|---|---|---|")
	for _, pol := range rules.Policies() {
		applies := from(pol.From)
		if pol.Contained {
			applies = "contained processes"
		}
		if pol.Mode == rules.ModeOff {
			applies = ""
		}
		if len(pol.NotOn) > 0 {
			applies += ", not on " + strings.Join(pol.NotOn, " and ")
		}
		if pol.Condition != "" {
			applies += "; " + pol.Condition
		}
		guard := ""
		if pol.Flavor != 0 {
			guard = "`" + number(pol.Flavor) + "`"
			if r, ok := rules.ByCode(rules.MakeCode(rules.GuardMachPort, pol.Flavor, 0)); ok {
				guard = link(r)
			}
		}
		report := pol.Report.String()
		if pol.Once {
			report += ", once a process"
		}
		p.f("| %d | %s | %s | %s | %s | %s | %s |", pol.ID, pol.Name, pol.Mode, cell(applies), guard, report, cell(pol.What))
	}
	p.f("")
}

func (p *page) doubts() {
	p.f("## What nobody could verify")
	p.f("")
	for _, r := range rules.All() {
		var items []string
		items = append(items, r.Doubts...)
		for i := range r.Cases {
			if u := r.Cases[i].Unsure; u != "" && !slices.Contains(items, u) {
				items = append(items, u)
			}
		}
		for _, e := range r.History {
			if e.Unsure != "" && !slices.Contains(items, e.Unsure) {
				items = append(items, e.Unsure)
			}
		}
		for _, s := range items {
			p.f("- %s: %s", link(r), prose(s))
		}
	}
	p.f("")
}

func (p *page) sources() {
	p.f("## Sources")
	p.f("")
	p.para("Facts only; all wording is ours. XNU is Apple's kernel, published by Apple; \"newest\" is the newest " +
		"public text " +
		"when the row was written, which knows the levels V0 to V3.")
	cited := map[string]bool{}
	for _, r := range rules.All() {
		for _, s := range r.Sources {
			cited[s] = true
		}
	}
	var list []string
	for s := range cited {
		list = append(list, s)
	}
	slices.Sort(list)
	for _, s := range list {
		p.f("- %s", prose(s))
	}
}
