package check

import (
	"slices"
	"strings"

	"portcullis.dev/entitlement"
	"portcullis.dev/macho"
	"portcullis.dev/rules"
)

// module is what is remembered of an image when its bytes are gone: enough to say who loads whom.
type module struct {
	path, member string // as in finding.Where
	archived     string // archive member of a static library; "" elsewhere
	arch         string
	kind         macho.Type
	install      string   // install name of a library
	loads        []string // install names it links against, each once
	rpaths       []string // where it has @rpath looked for
	uuid         macho.UUID
	hits         []hit

	// Of a program only.
	decision   entitlement.Decision
	declares   bool   // the program declares a level by itself
	undeclared string // why not, where it does not
	unsigned   error  // why its signature cannot be read; nil where it can, and where there is none
}

// readEntitlements finds out at which level a program runs.
func (m *module) readEntitlements(img *macho.Image) {
	in, err := entitlement.FromImage(img)
	if err != nil {
		m.undeclared, m.unsigned = "the program's entitlements could not be read", err
		return
	}
	m.decision = entitlement.Decide(in)
	m.declares = m.decision.Version > 0
	set, why := in.Effective()
	switch {
	case len(m.decision.Refusals) > 0:
		m.undeclared = "the kernel refuses to start the program with the entitlements it has"
	case set == nil && in.XML != nil:
		m.undeclared = "the program declares no level: " + why
	case m.decision.Line == entitlement.LineHardenedRuntime:
		m.undeclared = "the program declares no level, only the hardened runtime"
	default:
		m.undeclared = "the program declares no level"
	}
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
