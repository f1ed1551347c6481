package check

import (
	"fmt"
	"path"
	"strings"

	"portcullis.dev/finding"
	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
	"portcullis.dev/rules"
)

// maxComponents bounds what is told about programs: thousands of programs that load thousands of libraries.
const maxComponents = 20_000

// inventory gathers, for each program, the components that something was found in.
type inventory struct {
	infos    map[string]container.Info
	given    *rules.Level
	programs []*entryOf
	byPlace  map[place]*entryOf
	parts    int
	complete bool
}

// entryOf is a program in the making; its slices are joined.
type entryOf struct {
	finding.Program
	identifier string // of its bundle
	components map[componentKey]*component
}

// componentKey tells components of a program apart: by their image, and the known software in it.
type componentKey struct {
	at  place
	sdk string
}

// component counts the blockers of each slice.
type component struct {
	*finding.Component
	slices map[string]map[blockerKey]*finding.Blocker
}

type blockerKey struct {
	rule      string
	killsFrom rules.Level
	waived    bool
}

// takeInventory sums up by program what was found.
func (c *checker) takeInventory(links linking, judged map[*module][]judgedHit) {
	v := newInventory(c.infos, c.opts.Level)
	for _, m := range c.modules {
		if m.kind == macho.Execute {
			for _, of := range append([]*module{m}, links.loads[m]...) {
				for _, jh := range judged[of] {
					v.add(m, of, jh.hit, jh.finding)
				}
			}
		} else if len(links.by[m].by) == 0 {
			for _, jh := range judged[m] {
				v.add(nil, m, jh.hit, jh.finding)
			}
		}
	}
	c.report.Programs = v.list()
	if !v.complete {
		c.report.Notes = append(c.report.Notes, finding.Note{
			Message: fmt.Sprintf("the sum by program stops at %d components", maxComponents)})
	}
}

func newInventory(infos map[string]container.Info, given *rules.Level) *inventory {
	return &inventory{infos: infos, given: given, byPlace: map[place]*entryOf{}, complete: true}
}

// program returns the entry of a program, that of no program for nil.
func (v *inventory) program(p *module) *entryOf {
	at := place{}
	if p != nil {
		at = place{p.path, p.member}
	}
	if e := v.byPlace[at]; e != nil {
		return e
	}
	e := &entryOf{components: map[componentKey]*component{}}
	e.Level = rules.Level2
	if p != nil {
		e.Path, e.Member, e.Level, e.Declares = p.path, p.member, p.level(), p.declares && v.given == nil
		e.Name = path.Base(p.name())
		if b, ok := container.ProgramOf(p.name()); ok && b.IsExecutable(p.name(), v.infos[b.Path].Executable) {
			info := v.infos[b.Path]
			e.Name, e.Version, e.identifier = path.Base(b.Path), info.ShortVersion, info.Identifier
		}
	}
	if v.given != nil {
		e.Level = *v.given
	}
	v.byPlace[at] = e
	v.programs = append(v.programs, e)
	return e
}

// add counts a call of module m in the process of program p, which is nil where there is none.
func (v *inventory) add(p, m *module, h *hit, f *finding.Finding) {
	waived := false
	if p != nil {
		if h.needs != "" && !p.holds(h.needs) {
			return
		}
		waived = h.waiver != "" && p.holds(h.waiver)
	}
	e := v.program(p)
	key := componentKey{at: place{m.path, m.member}}
	if m.member == "" && m.archived != "" {
		key.at = place{path: m.path}
	}
	if f.SDK != nil {
		key.sdk = f.SDK.Name
	}
	c := e.components[key]
	if c == nil {
		if v.parts++; v.parts > maxComponents {
			v.complete = false
			return
		}
		c = &component{&finding.Component{Path: m.path, Member: m.member, SDK: f.SDK}, map[string]map[blockerKey]*finding.Blocker{}}
		c.Name, c.Version = v.nameOf(m)
		c.Owner, c.Why = v.owner(e, p, m, f.SDK)
		e.components[key] = c
		e.Components = append(e.Components, c.Component)
	}
	if c.slices[m.arch] == nil {
		c.slices[m.arch] = map[blockerKey]*finding.Blocker{}
	}
	k := blockerKey{f.Rule, f.KillsFrom, waived}
	b := c.slices[m.arch][k]
	if b == nil {
		b = &finding.Blocker{Rule: k.rule, KillsFrom: k.killsFrom, Waived: k.waived}
		c.slices[m.arch][k] = b
	}
	switch f.Confidence {
	case finding.Certain:
		b.Certain++
	case finding.Likely:
		b.Likely++
	default:
		b.Possible++
	}
}

// nameOf names an image as people know it: the bundle whose main executable it is, or the file.
func (v *inventory) nameOf(m *module) (name, version string) {
	if b, ok := container.BundleOf(m.name()); ok && b.IsExecutable(m.name(), v.infos[b.Path].Executable) {
		return path.Base(b.Path), v.infos[b.Path].ShortVersion
	}
	return path.Base(m.name()), ""
}

// owner judges whose a component is. The program itself is its maker's, but for software in it that is known to be
// somebody else's. Frameworks are told by the identifier of their bundle: within one company it begins alike, with
// the company's domain in reverse (Apple, "CFBundleIdentifier").
func (v *inventory) owner(e *entryOf, p, m *module, sdk *finding.SDK) (finding.Owner, string) {
	switch {
	case sdk != nil:
		return finding.OwnerVendor, "known software"
	case p == m || p != nil && m.kind == macho.Execute:
		return finding.OwnerSelf, "the program itself"
	}
	b, ok := container.BundleOf(m.name())
	if !ok || !b.IsExecutable(m.name(), v.infos[b.Path].Executable) {
		return finding.OwnerUnknown, "it is in no bundle of its own"
	}
	id := v.infos[b.Path].Identifier
	switch company := companyOf(id); {
	case company == "":
		return finding.OwnerUnknown, "its bundle has no identifier"
	case company == "org.cocoapods":
		return finding.OwnerVendor, "a pod, by its bundle identifier " + id
	case e.identifier == "":
		return finding.OwnerUnknown, "the program has no bundle identifier to compare " + id + " with"
	case company == companyOf(e.identifier):
		return finding.OwnerSelf, "its bundle identifier " + id + " begins as that of the program"
	}
	return finding.OwnerVendor, "its bundle identifier " + id + " begins otherwise than " + e.identifier
}

// companyOf returns the first two parts of a bundle identifier: com.example of com.example.app.
func companyOf(id string) string {
	parts := strings.SplitN(id, ".", 3)
	if len(parts) < 2 {
		return ""
	}
	return strings.ToLower(parts[0] + "." + parts[1])
}

// list returns the programs. A call that several slices have counts once: the slice that has most of a kind counts.
func (v *inventory) list() []finding.Program {
	var out []finding.Program
	for _, e := range v.programs {
		for _, c := range e.components {
			most := map[blockerKey]*finding.Blocker{}
			for _, slice := range c.slices {
				for k, b := range slice {
					m := most[k]
					if m == nil {
						most[k] = b
						continue
					}
					m.Certain, m.Likely, m.Possible = max(m.Certain, b.Certain), max(m.Likely, b.Likely), max(m.Possible, b.Possible)
				}
			}
			for _, b := range most {
				c.Blockers = append(c.Blockers, *b)
			}
		}
		out = append(out, e.Program)
	}
	return out
}
