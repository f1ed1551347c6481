package check

import (
	"iter"

	"portcullis.dev/finding"
	"portcullis.dev/macho"
	"portcullis.dev/macho/container"
	"portcullis.dev/rules"
)

// recognise says which known software each hit lies in, as far as the image tells. The image is searched once.
func recognise(m *module, img *macho.Image) {
	if len(m.hits) == 0 {
		return
	}
	symbols := func(yield func(string) bool) {
		for s := range img.Symbols() {
			if !yield(s.Name) {
				return
			}
		}
	}
	seen := rules.Look(symbols, func() iter.Seq[[]byte] { return constants(img) })
	for i := range m.hits {
		h := &m.hits[i]
		ev := m.evidence(h)
		ev.Seen = seen
		if match, ok := rules.MatchOffender(ev); ok {
			byName, ok := rules.MatchOffender(m.evidence(h))
			h.known, h.placed = &match, ok && byName.Offender == match.Offender
		}
	}
}

// evidence is what a module tells about the place of a hit by its names alone.
func (m *module) evidence(h *hit) rules.Evidence {
	return rules.Evidence{Rule: h.rule.Name, Function: h.function, InstallName: m.install, Path: m.name()}
}

// constants returns the sections of an image in which version strings and the like stand.
func constants(img *macho.Image) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range img.Sections {
			s := &img.Sections[i]
			switch s.Name {
			case "__cstring", "__const", "__objc_methname", "__ustring":
				if data := s.Data(); data != nil && !yield(data) {
					return
				}
			}
		}
	}
}

// versionFromBundle asks again for hits whose software is known but not its version, now that the bundles' Info.plist
// files have been read.
func (m *module) versionFromBundle(infos map[string]container.Info) {
	b, ok := container.BundleOf(m.name())
	if !ok {
		return
	}
	info := infos[b.Path]
	for i := range m.hits {
		h := &m.hits[i]
		if h.known != nil && h.known.Version != "" {
			continue
		}
		ev := m.evidence(h)
		ev.BundleID, ev.BundleVersion = info.Identifier, info.ShortVersion
		if match, ok := rules.MatchOffender(ev); ok && (h.known == nil || match.Version != "") {
			h.known, h.placed = &match, true
		}
	}
}

// addKnown adds to a finding which software it lies in, and what that is known to do.
//
// Where the version is known to violate, an unresolved call becomes likely, unless it only restores what was there
// before. Where it is known to conform, the call is there for older systems or other circumstances, so that the finding
// becomes merely possible: by default it fails no run. That holds where the name of the function or of the image says
// that the call is that software's. Where the software only is somewhere in the image, the call may as well be
// another's; what is proven on all paths then stays certain, for software that conforms at least has another path.
func addKnown(f *finding.Finding, h *hit) {
	k := h.known
	if k == nil {
		return
	}
	// What never violates, or did not yet, has no version that conforms and needs none.
	if k.FixedIn != "" || k.Verdict == rules.Violates {
		f.SDK = &finding.SDK{Name: k.Name, Version: k.Version, FixedIn: k.FixedIn}
		if len(k.Sources) > 0 {
			f.SDK.Source = k.Sources[0].URL
		}
	}
	for _, w := range k.Why {
		f.Evidence = append(f.Evidence, "known software: "+k.Name+": "+w)
	}
	switch k.Verdict {
	case rules.Violates:
		if f.Confidence == finding.Possible && !h.restores {
			f.Confidence = finding.Likely
		}
		f.Evidence = append(f.Evidence, "known to violate: "+k.Does)
	case rules.Mended, rules.Harmless:
		if h.placed || f.Confidence != finding.Certain {
			f.Confidence = finding.Possible
			f.Evidence = append(f.Evidence, "known to conform: "+k.Does)
		} else {
			f.Evidence = append(f.Evidence, k.Name+" is known to conform, but this call is not known to be its own")
		}
	case rules.Unsure:
		f.Evidence = append(f.Evidence,
			"known to conform since "+k.FixedIn+"; which version this is could not be told: "+k.Does)
	}
}
