package check

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
)

// loader is a program that has a module in its process, and how it came there.
type loader struct {
	program *module
	chain   []*module // from the program to the module, both included
	bundled bool      // some link of the chain is no load command: a plug-in lies in the program's bundle
}

// loading is what is known of the programs that load a module. Programs of the same level and with the same
// entitlements come to the same judgement, so one of each sort is kept.
type loading struct {
	by       []loader
	sorts    []string // of by
	programs int
}

// add counts a program, and keeps it where it is the first of its sort.
func (l *loading) add(by loader) {
	l.programs++
	sort := by.program.sort()
	if !slices.Contains(l.sorts, sort) {
		l.by, l.sorts = append(l.by, by), append(l.sorts, sort)
	}
}

// sort tells apart programs in which the same call may come to different ends.
func (m *module) sort() string {
	keys := []string{m.level().String(), fmt.Sprint(m.declares)}
	for _, e := range m.decision.Effects {
		if e.Active {
			keys = append(keys, e.Key)
		}
	}
	return strings.Join(keys, " ")
}

// maxSteps bounds the work of finding out who loads whom. A folder of some thousand apps takes a few per cent of it.
const maxSteps = 20_000_000

// linker finds the modules that load commands mean.
type linker struct {
	byPath    map[string][]*module // libraries by unversioned name
	byBase    map[string][]*module // libraries by the last element of their path
	byInstall map[string][]*module
	homes     map[*module]string // outermost program bundle around a module; "" where there is none
	steps     int
}

// linking is who loads what.
type linking struct {
	by       map[*module]loading   // the programs that load a module
	loads    map[*module][]*module // the modules with hits that a program loads
	complete bool                  // it did not give up on the way
}

// loaders finds, for every module that is no program, the programs that load it: by the load commands, over any number
// of libraries, and, for what no load command names (plug-ins and what they load), by the bundle it lies in.
func loaders(modules []*module, infos map[string]container.Info) linking {
	l := &linker{byPath: map[string][]*module{}, byBase: map[string][]*module{}, byInstall: map[string][]*module{},
		homes: map[*module]string{}}
	var programs []*module
	for _, m := range modules {
		l.homes[m] = home(m.name())
		if m.kind == macho.Execute {
			programs = append(programs, m)
			continue
		}
		name := unversioned(m.name())
		l.byPath[name] = append(l.byPath[name], m)
		l.byBase[path.Base(name)] = append(l.byBase[path.Base(name)], m)
		if m.install != "" {
			l.byInstall[m.install] = append(l.byInstall[m.install], m)
		}
	}
	out := linking{by: map[*module]loading{}, loads: map[*module][]*module{}}
	reached := map[*module]bool{}
	record := func(p *module, t *tree, bundled bool) {
		for _, m := range t.order {
			reached[m] = true
			if len(m.hits) > 0 {
				of := out.by[m]
				of.add(loader{p, t.chain(m), bundled})
				out.by[m] = of
				out.loads[p] = append(out.loads[p], m)
			}
		}
	}
	for _, p := range programs {
		record(p, l.grow(p, nil), false)
	}
	bundles := bundlePrograms(programs, infos)
	for _, kind := range []macho.Type{macho.Bundle, macho.Dylib} { // plug-ins may link to libraries, not the reverse
		for _, m := range modules {
			if m.kind != kind || reached[m] {
				continue
			}
			if p := bundles.program(m); p != nil {
				record(p, l.grow(p, m), true)
			}
		}
	}
	out.complete = l.steps <= maxSteps
	return out
}

// tree is what one program loads, each module once, by the shortest way.
type tree struct {
	parent map[*module]*module
	order  []*module // without the program
}

// chain returns the way from the program to m.
func (t *tree) chain(m *module) []*module {
	var c []*module
	for ; m != nil; m = t.parent[m] {
		c = append(c, m)
	}
	slices.Reverse(c)
	return c
}

// grow follows the load commands from a program, or from a plug-in that it loads by itself.
func (l *linker) grow(program, plugin *module) *tree {
	t := &tree{parent: map[*module]*module{program: nil}}
	queue := []*module{program}
	if plugin != nil {
		t.parent[plugin] = program
		t.order = []*module{plugin}
		queue = t.order
	}
	for ; len(queue) > 0; queue = queue[1:] {
		from := queue[0]
		for _, load := range from.loads {
			if l.steps++; l.steps > maxSteps {
				return t
			}
			m := l.resolve(load, from, t)
			if m == nil {
				continue
			}
			if _, seen := t.parent[m]; seen {
				continue
			}
			t.parent[m] = from
			t.order = append(t.order, m)
			queue = append(queue, m)
		}
	}
	return t
}

// resolve finds the module that a load command means. First it looks where dyld would (man page dyld(1): @rpath is
// tried for the run paths of every image from the one that loads up to the program). Before an app is packed its parts
// often lie elsewhere, so then any library will do that has the install name, or whose path ends as the load command
// does: the one nearest to the image that loads it, but none inside an app that this image is no part of.
func (l *linker) resolve(load string, from *module, t *tree) *module {
	for _, place := range l.places(load, from, t) {
		if m := l.nearest(l.byPath[unversioned(place)], from); m != nil {
			return m
		}
	}
	if m := l.nearest(l.byInstall[load], from); m != nil {
		return m
	}
	tail := loadTail(load)
	if tail == "" {
		return nil
	}
	var candidates []*module
	for _, m := range l.byBase[path.Base(tail)] {
		l.steps++
		if strings.HasSuffix("/"+unversioned(m.name()), "/"+tail) {
			candidates = append(candidates, m)
		}
	}
	return l.nearest(candidates, from)
}

// places returns the paths at which dyld looks for what a load command names.
func (l *linker) places(load string, from *module, t *tree) []string {
	rest, ok := strings.CutPrefix(load, "@rpath/")
	if !ok {
		if p := expand(load, from, t); p != "" {
			return []string{p}
		}
		return nil
	}
	var places []string
	for m := from; m != nil; m = t.parent[m] {
		for _, r := range m.rpaths {
			l.steps++
			if p := expand(r, m, t); p != "" {
				places = append(places, path.Join(p, rest))
			}
		}
	}
	return places
}

// expand puts the folder of the program, or of the image that names the path, in a path; "" where neither is asked for.
func expand(p string, m *module, t *tree) string {
	if rest, ok := strings.CutPrefix(p+"/", "@loader_path/"); ok {
		return path.Join(path.Dir(m.name()), rest)
	}
	if rest, ok := strings.CutPrefix(p+"/", "@executable_path/"); ok {
		for t.parent[m] != nil {
			m = t.parent[m]
		}
		return path.Join(path.Dir(m.name()), rest)
	}
	return ""
}

// nearest picks the module that shares most folders with the one that loads it, and its architecture.
func (l *linker) nearest(candidates []*module, from *module) *module {
	var best *module
	score := -1
	for _, m := range candidates {
		l.steps++
		if m.family() != from.family() || m == from || l.homes[m] != "" && l.homes[m] != l.homes[from] {
			continue
		}
		n := 2 * commonPrefix(m.name(), from.name())
		if m.arch == from.arch {
			n++
		}
		if n > score {
			best, score = m, n
		}
	}
	return best
}

// home returns the outermost program bundle that a file lies in; "" where it lies in none.
func home(name string) string {
	for _, b := range container.Bundles(path.Dir(name)) {
		if b.Kind.IsProgram() {
			return b.Path
		}
	}
	return ""
}

// loadTail is the part of an install name that says where a library stands relative to a search path; "" for the
// system's own libraries.
func loadTail(load string) string {
	for _, prefix := range []string{"@rpath/", "@executable_path/", "@loader_path/"} {
		if rest, ok := strings.CutPrefix(load, prefix); ok {
			rest = path.Clean("/" + rest)
			return unversioned(strings.TrimPrefix(rest, "/"))
		}
	}
	return ""
}

// unversioned takes the Versions/A of frameworks out of a path.
func unversioned(name string) string {
	const mark = ".framework/Versions/"
	for at := 0; ; {
		i := strings.Index(name[at:], mark)
		if i < 0 {
			return name
		}
		at += i + len(".framework/")
		_, after, ok := strings.Cut(name[at+len("Versions/"):], "/")
		if !ok {
			return name
		}
		name = name[:at] + after
	}
}

// commonPrefix counts the folders two paths share from the start.
func commonPrefix(a, b string) int {
	n := 0
	for i := 0; i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		if a[i] == '/' {
			n++
		}
	}
	return n
}

// mains holds the main executables of program bundles, by the path of the bundle.
type mains map[string][]*module

func bundlePrograms(programs []*module, infos map[string]container.Info) mains {
	out := mains{}
	for _, p := range programs {
		if b, ok := container.ProgramOf(p.name()); ok && b.IsExecutable(p.name(), infos[b.Path].Executable) {
			out[b.Path] = append(out[b.Path], p)
		}
	}
	return out
}

// program returns the main executable of the program bundle around a module, nil where there is none.
func (s mains) program(m *module) *module {
	b, ok := container.ProgramOf(m.name())
	if !ok {
		return nil
	}
	var best *module
	for _, p := range s[b.Path] {
		if p.family() == m.family() && (best == nil || p.arch == m.arch) {
			best = p
		}
	}
	return best
}

// distinct returns the strings in their order, each once.
func distinct(list []string) []string {
	seen := make(map[string]bool, len(list))
	var out []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
