package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"portcullis.dev/rules"
)

// group is what a report says about one rule. All renderings for people are made of groups.
type group struct {
	Name     string
	Rule     *rules.Rule // nil where the table does not have the name
	Findings []*Finding  // worst first
	Kills    bool        // some finding kills at the judged level
	Remedies []string    // distinct, in the order of the findings
	Help     string
}

// severity orders findings: those that kill before those that do not, the sure before the unsure.
func severity(f *Finding) int {
	s := f.Confidence.Rank()
	if f.KillsHere {
		s += 10
	}
	return s
}

// groups sorts findings into groups, worst first: by the worst finding, then the order of the rules' table.
func groups(findings []Finding) []*group {
	byName := map[string]*group{}
	var all []*group
	for i := range findings {
		f := &findings[i]
		g := byName[f.Rule]
		if g == nil {
			g = &group{Name: f.Rule}
			g.Rule, _ = rules.ByName(f.Rule)
			byName[f.Rule] = g
			all = append(all, g)
		}
		g.Findings = append(g.Findings, f)
		g.Kills = g.Kills || f.KillsHere
		if g.Help == "" {
			g.Help = f.Help
		}
	}
	position := map[string]int{}
	for i, r := range rules.All() {
		position[r.Name] = i
	}
	for _, g := range all {
		slices.SortStableFunc(g.Findings, func(a, b *Finding) int { return cmp.Compare(severity(b), severity(a)) })
		for _, f := range g.Findings {
			if f.Remedy != "" && !slices.Contains(g.Remedies, f.Remedy) {
				g.Remedies = append(g.Remedies, f.Remedy)
			}
		}
		if g.Rule != nil {
			if len(g.Remedies) == 0 && g.Rule.Remedy != "" {
				g.Remedies = []string{g.Rule.Remedy}
			}
			if g.Help == "" {
				g.Help = g.Rule.Help()
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *group) int {
		known := func(g *group) int {
			if p, ok := position[g.Name]; ok {
				return p
			}
			return len(position)
		}
		return cmp.Or(cmp.Compare(severity(b.Findings[0]), severity(a.Findings[0])),
			cmp.Compare(known(a), known(b)), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// entry is what is shown as one: a finding, and the same call in other slices of a universal file.
type entry struct {
	*Finding
	Also []*Finding
}

// entries joins the findings of a group that differ in nothing but the slice they are in. Calls are matched in order:
// the first of a function in one slice with the first of it in another.
func (g *group) entries() []*entry {
	var all []*entry
	first := map[string]*entry{}
	count := map[string]int{}
	for _, f := range g.Findings {
		w := &f.Where
		key := strings.Join([]string{w.Path, w.Member, w.Function, w.File, fmt.Sprint(w.Line), f.Callee, f.Message,
			string(f.Confidence), f.KillsFrom.String(), fmt.Sprint(f.KillsHere), f.arguments(), string(f.Moment)}, "\x00")
		nth := count[key+"\x00"+w.Arch]
		count[key+"\x00"+w.Arch]++
		key += "\x00" + strconv.Itoa(nth)
		if e := first[key]; e != nil && f.Moment == MomentCheck {
			e.Also = append(e.Also, f)
			continue
		}
		e := &entry{Finding: f}
		all = append(all, e)
		first[key] = e
	}
	return all
}

// archs lists the slices: "arm64, x86_64".
func (e *entry) archs() string {
	s := e.Where.Arch
	for _, f := range e.Also {
		s += ", " + f.Where.Arch
	}
	return s
}

// call says what is called and where the call stands, in each slice.
func (e *entry) call() string {
	s := call(e.Finding)
	for _, f := range e.Also {
		if f.Where.Address != "" {
			s += "; in " + f.Where.Arch + " at " + f.Where.Address
		}
	}
	return s
}

// Title says in a few words what the restriction is about; "" where the table does not have it.
func (g *group) Title() string {
	if g.Rule == nil {
		return ""
	}
	return g.Rule.Title
}

// Code is a short example of what to write instead, "" where there is none.
func (g *group) Code() string {
	if g.Rule == nil {
		return ""
	}
	return g.Rule.Right
}

// more says where to read on.
func (g *group) more() string {
	if g.Rule == nil {
		return g.Help
	}
	return "portcullis rules " + g.Rule.Name + "; " + g.Help
}

// level returns the level a finding was judged at, as text; "" where nobody said.
func (r *Report) level(f *Finding) string {
	if f.Level != nil {
		return f.Level.String()
	}
	if r.Summary.Level != LevelDeclared {
		return r.Summary.Level
	}
	return ""
}

// atLevel writes a level into a sentence: "at level 2", "under the hardened runtime".
func atLevel(level string) string {
	switch level {
	case "":
		return "at the judged level"
	case rules.LevelNone.String():
		return "at level none"
	case rules.LevelHardenedRuntime.String():
		return "under the hardened runtime"
	case rules.LevelPlatform.String():
		return "in a platform binary"
	}
	return "at level " + level
}

// fromLevel writes the level from which a finding is fatal: "from level 1 on".
func fromLevel(l rules.Level) string {
	switch l {
	case rules.Never:
		return "never kills"
	case rules.LevelNone:
		return "kills any process"
	case rules.LevelHardenedRuntime:
		return "kills from the hardened runtime on"
	case rules.LevelPlatform:
		return "kills platform binaries"
	}
	return "kills from level " + l.String() + " on"
}

// verdict says whether a finding kills where it was judged, and from which level it does.
func (r *Report) verdict(f *Finding) string {
	if f.Moment != MomentCheck {
		if f.KillsHere {
			return "killed the process"
		}
		return "was recorded and did not kill the process"
	}
	from := fromLevel(f.KillsFrom)
	if f.KillsHere {
		kills := "kills "
		if f.Confidence == Possible {
			kills = "may kill "
		}
		if f.KillsFrom == rules.LevelNone || f.KillsFrom.String() == r.level(f) {
			return kills + strings.TrimPrefix(from, "kills ")
		}
		return kills + atLevel(r.level(f)) + " (" + strings.TrimPrefix(from, "kills ") + ")"
	}
	if f.KillsFrom == rules.Never {
		return "never kills; it is reported as telemetry at most"
	}
	if r.level(f) == rules.LevelNone.String() {
		return "does not kill an ordinary process (" + from + ")"
	}
	return "does not kill " + atLevel(r.level(f)) + " (" + from + ")"
}

// file names the file of a place as its reader finds it.
func (w *Where) file() string {
	if w.Member == "" {
		return w.Path
	}
	if w.Path == "" {
		return w.Member
	}
	return strings.TrimSuffix(w.Path, "/") + "/" + strings.TrimPrefix(w.Member, "/")
}

// source names the line of the source, "" where it is not known.
func (w *Where) source() string {
	if w.File == "" || w.Line <= 0 {
		return w.File
	}
	return fmt.Sprintf("%s:%d", w.File, w.Line)
}

// maxInlined limits how many inlined functions people are told of.
const maxInlined = 8

// inlined lists the functions that the call was inlined from: "setup, called at boot.c:12; install, called at main.c:3".
func (w *Where) inlined() string {
	var parts []string
	for i, in := range w.Inlined {
		if i == maxInlined {
			parts = append(parts, fmt.Sprintf("and %d more", len(w.Inlined)-i))
			break
		}
		name := in.Function
		if plain := demangled(name); plain != "" {
			name = plain
		}
		if name == "" {
			name = "a function without a name"
		}
		if at := (&Where{File: in.File, Line: in.Line}).source(); at != "" {
			name += ", called at " + at
		}
		parts = append(parts, name)
	}
	return strings.Join(parts, "; ")
}

// about says which SDK this is and whether a version of it conforms: "KSCrash 1.15; fixed in 2.0".
func (s *SDK) about() string {
	t := s.Name
	if s.Version != "" {
		t += " " + s.Version
	}
	if s.FixedIn != "" {
		return t + "; fixed in " + s.FixedIn
	}
	return t + "; no version that conforms is known"
}

// arguments lists the decoded arguments, sorted by name: "behavior=0x80000001, flavor=0x6".
func (f *Finding) arguments() string {
	var parts []string
	for name, value := range f.Arguments {
		parts = append(parts, name+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// plural writes "1 file", "2 files", "no files".
func plural(n int, noun string) string {
	switch {
	case n == 0:
		return "no " + noun + "s"
	case n == 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ByteCount writes a size in bytes for people: "99 bytes", "4.5 MB".
func ByteCount(n int64) string {
	if n < 1000 {
		return plural(int(max(n, 0)), "byte")
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if v /= 1000; v < 999.95 {
			break
		}
	}
	if v < 10 {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// empty reports whether check found nothing that it could have looked at.
func (r *Report) empty() bool {
	return r.Moment == MomentCheck && len(r.Findings) == 0 && r.Summary.Suppressed == 0 && r.Summary.Images == 0
}

// countKills says how many findings kill, and how sure they are: "3 findings that kill at level 2 (1 certain, 2
// likely), 1 that does not".
func (r *Report) countKills(level string) string {
	kills, rest := 0, 0
	sure := map[Confidence]int{}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.KillsHere {
			kills++
			sure[f.Confidence]++
		} else {
			rest++
		}
	}
	if kills == 0 {
		return fmt.Sprintf("%s, none that kills %s", plural(rest, "finding"), level)
	}
	var parts []string
	for _, c := range []Confidence{Certain, Likely, Possible} {
		if sure[c] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", sure[c], c))
		}
	}
	verb := "kill"
	if kills == 1 {
		verb = "kills"
	}
	s := fmt.Sprintf("%s that %s %s (%s)", plural(kills, "finding"), verb, level, strings.Join(parts, ", "))
	switch rest {
	case 0:
		return s
	case 1:
		return s + ", 1 that does not"
	}
	return s + fmt.Sprintf(", %d that do not", rest)
}

// headline is the summary in one or two sentences. It never says that a program is safe: what nobody found may be
// there.
func (r *Report) headline() string {
	var b strings.Builder
	explain := r.Moment == MomentExplain
	level := atLevel(r.Summary.Level)
	if r.Summary.Level == LevelDeclared {
		level = "at the level its program declares"
	}
	switch {
	case explain && len(r.Findings) == 0:
		fmt.Fprintf(&b, "no violation of a restriction in %s", plural(r.Summary.Images, "report"))
	case explain:
		fmt.Fprintf(&b, "%s in %s", plural(len(r.Findings), "violation"), plural(r.Summary.Images, "report"))
	case len(r.Findings) == 0 && r.Summary.Suppressed > 0:
		b.WriteString("no new violation found")
	case r.empty():
		b.WriteString("nothing to check: no Mach-O image found")
	case len(r.Findings) == 0:
		b.WriteString("no known violation found")
	default:
		b.WriteString(r.countKills(level))
	}
	if n := r.Summary.Suppressed; n > 0 {
		fmt.Fprintf(&b, "; %d known from the baseline left out", n)
	}
	switch {
	case r.empty() && r.Summary.Files > 0:
		fmt.Fprintf(&b, " in %s", plural(r.Summary.Files, "file"))
	case !explain && !r.empty():
		fmt.Fprintf(&b, "; read %s in %s, %s", plural(r.Summary.Images, "image"), plural(r.Summary.Files, "file"),
			ByteCount(r.Summary.Bytes))
	}
	if n := len(r.Unread); n > 0 {
		fmt.Fprintf(&b, "; %s could not be read", plural(n, "input"))
	}
	return b.String()
}
