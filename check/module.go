package check

import (
	"path"
	"slices"
	"strings"

	"portcullis.dev/entitlement"
	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
	"portcullis.dev/rules"
)

// module is what is remembered of an image when its bytes are gone: enough to say who loads whom.
type module struct {
	path, member string // as in finding.Where
	archived     string // archive member of a static library; "" elsewhere
	arch         string
	kind         macho.Type
	install      string   // install name of a library
	loads        []string // install names it links against
	uuid         macho.UUID
	hits         []hit

	// Of a program only.
	decision entitlement.Decision
	declares bool // the program declares a level by itself
}

// name is the module's place as one path with slashes.
func (m *module) name() string {
	if m.member == "" {
		return m.path
	}
	return m.path + "!/" + m.member
}

// family is the architecture without its variant: an arm64e program loads arm64e libraries, but which slice of a file
// the linker meant is not for us to doubt.
func (m *module) family() string {
	if strings.HasPrefix(m.arch, "arm64") {
		return "arm64"
	}
	return "x86_64"
}

// level is the level a program is judged at where the user gave none: what it declares, or that of the entitlement.
func (m *module) level() rules.Level {
	if m.declares {
		return m.decision.Level
	}
	return rules.Level2
}

// holds tells whether a program has an entitlement that the kernel honours.
func (m *module) holds(key string) bool {
	return slices.ContainsFunc(m.decision.Effects, func(e entitlement.Effect) bool { return e.Key == key && e.Active })
}

// loader is a program that has a module in its process, and how it came there.
type loader struct {
	program *module
	chain   []*module // from the program to the module, both included
	bundled bool      // nothing links to the module; it lies in the program's bundle
}

// loaders finds, for every module that is no program, the programs that load it: by the load commands, over any number
// of libraries, and, for what no load command names (plug-ins), by the bundle it lies in.
func loaders(modules []*module, infos map[string]container.Info) map[*module][]loader {
	index := make(map[string][]*module) // libraries by the last element of their path
	byInstall := make(map[string][]*module)
	var programs []*module
	for _, m := range modules {
		if m.kind == macho.Execute {
			programs = append(programs, m)
			continue
		}
		index[path.Base(m.name())] = append(index[path.Base(m.name())], m)
		if m.install != "" {
			byInstall[m.install] = append(byInstall[m.install], m)
		}
	}
	out := make(map[*module][]loader)
	for _, p := range programs {
		seen := map[*module]bool{p: true}
		for queue := [][]*module{{p}}; len(queue) > 0; queue = queue[1:] {
			chain := queue[0]
			last := chain[len(chain)-1]
			for _, load := range last.loads {
				m := resolve(load, last, index, byInstall)
				if m == nil || seen[m] {
					continue
				}
				seen[m] = true
				next := append(slices.Clone(chain), m)
				out[m] = append(out[m], loader{p, next, false})
				queue = append(queue, next)
			}
		}
	}
	for _, m := range modules {
		if m.kind != macho.Dylib && m.kind != macho.Bundle || len(out[m]) > 0 {
			continue
		}
		if p := bundleProgram(m, programs, infos); p != nil {
			out[m] = append(out[m], loader{p, []*module{p, m}, true})
		}
	}
	return out
}

// resolve finds the module that a load command means: the one with the same install name, or whose path ends as the
// load command's does, nearest to the module that loads it.
func resolve(load string, from *module, index, byInstall map[string][]*module) *module {
	candidates := byInstall[load]
	if len(candidates) == 0 {
		tail := loadTail(load)
		if tail == "" {
			return nil
		}
		for _, m := range index[path.Base(tail)] {
			if strings.HasSuffix("/"+unversioned(m.name()), "/"+tail) {
				candidates = append(candidates, m)
			}
		}
	}
	var best *module
	score := -1
	for _, m := range candidates {
		if m.family() != from.family() || m == from {
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

// unversioned takes the Versions/A of a framework out of a path.
func unversioned(name string) string {
	i := strings.Index(name, ".framework/Versions/")
	if i < 0 {
		return name
	}
	head, rest := name[:i+len(".framework/")], name[i+len(".framework/Versions/"):]
	if _, after, ok := strings.Cut(rest, "/"); ok {
		return head + after
	}
	return name
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

// bundleProgram finds the main executable of the program bundle around a module.
func bundleProgram(m *module, programs []*module, infos map[string]container.Info) *module {
	b, ok := container.ProgramOf(m.name())
	if !ok {
		return nil
	}
	for _, p := range programs {
		if p.family() == m.family() && b.IsExecutable(p.name(), infos[b.Path].Executable) {
			return p
		}
	}
	return nil
}
