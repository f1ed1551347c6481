package launchd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Overrides keep what Enable set beyond the life of a Launchd, which reads them once and writes them at every change.
type Overrides interface {
	// Read returns whether jobs are disabled, by label; nil if nothing was kept.
	Read(Owner) (map[string]bool, error)
	// Write replaces what was kept.
	Write(Owner, map[string]bool) error
}

// Owner says whose jobs overrides are about: SystemDomain, or the number of a user, whose two domains share them, as
// they share one file on macOS.
type Owner string

// ownerOf returns whose domain it is.
func ownerOf(domain string) Owner {
	if uid, ok := DomainUID(domain); ok {
		return Owner(strconv.FormatUint(uint64(uid), 10))
	}
	return SystemDomain
}

// overridden returns the overrides of a domain. They are read when the domain is first heard of.
func (l *Launchd) overridden(domain string) map[string]bool {
	o := ownerOf(domain)
	m, ok := l.overrides[o]
	if !ok {
		var err error
		if l.c.Overrides != nil {
			if m, err = l.c.Overrides.Read(o); err != nil {
				l.log(nil, "warning: what is enabled and disabled is not known: %v", err)
				m = nil
			}
		}
		l.overrides[o] = m
	}
	return m
}

// Switch says whether a job may be loaded.
type Switch bool

// What Enable sets.
const (
	On  Switch = true
	Off Switch = false
)

// Enable lets a job be loaded, or not, whatever its file says. A job that is loaded stays so. What cannot be kept is not
// set.
func (l *Launchd) Enable(domain, label string, s Switch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !ValidDomain(domain):
		return fmt.Errorf("%w: %s", ErrNoDomain, domain)
	case !validLabel(label):
		return fmt.Errorf("%w: %q", ErrLabel, label)
	case l.down:
		return ErrDown
	}
	o, old := ownerOf(domain), l.overridden(domain)
	if off, set := old[label]; set && off == (s == Off) {
		return nil
	}
	m := maps.Clone(old)
	if m == nil {
		m = make(map[string]bool)
	}
	m[label] = s == Off
	if l.c.Overrides != nil {
		if err := l.c.Overrides.Write(o, m); err != nil {
			return fmt.Errorf("it cannot be kept: %w", err)
		}
	}
	l.overrides[o] = m
	l.others()
	return nil
}

// validLabel says that a job may have this label, and that every kind of property list can hold it.
func validLabel(s string) bool {
	return s != "" && len(s) <= maxLabel && utf8.ValidString(s) && !strings.ContainsRune(s, '/') &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// PrintDisabled says, for people to read, which jobs of a domain enable and disable were called for.
func (l *Launchd) PrintDisabled(domain string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ValidDomain(domain) {
		return "", fmt.Errorf("%w: %s", ErrNoDomain, domain)
	}
	m := l.overridden(domain)
	if l.domains[domain] == nil && len(m) == 0 { // a domain can have overrides before it has jobs
		return "", fmt.Errorf("%w: %s", ErrNoDomain, domain)
	}
	var b strings.Builder
	b.WriteString("disabled services = {\n")
	for _, label := range slices.Sorted(maps.Keys(m)) {
		word := "enabled"
		if m[label] {
			word = "disabled"
		}
		fmt.Fprintf(&b, "\t%q => %s\n", label, word)
	}
	b.WriteString("}\n")
	return b.String(), nil
}
