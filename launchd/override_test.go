package launchd

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

// memory is Overrides in memory.
type memory struct {
	kept   map[Owner]map[string]bool
	broken error
	writes int
}

func (m *memory) Read(o Owner) (map[string]bool, error) { return m.kept[o], m.broken }
func (m *memory) Write(o Owner, d map[string]bool) error {
	if m.broken == nil {
		m.kept[o] = maps.Clone(d)
		m.writes++
	}
	return m.broken
}

// TestOverrides: what was enabled and disabled holds for the next launchd, for the domains that it was said of.
func TestOverrides(t *testing.T) {
	m := &memory{kept: make(map[Owner]map[string]bool)}
	w := newWorldWith(t, m)
	for _, c := range []struct {
		domain, label string
		s             Switch
	}{{SystemDomain, "a", Off}, {SystemDomain, "b", On}, {"gui/501", "a", On}, {"user/501", "c", Off}, {"gui/501", "c", Off}} {
		if err := w.Enable(c.domain, c.label, c.s); err != nil {
			t.Fatal(err)
		}
	}
	if m.writes != 4 { // what is as it was is not written
		t.Errorf("%d writes", m.writes)
	}
	w = newWorldWith(t, m)
	for _, c := range []struct {
		domain, label string
		disabled      bool // by its file
		want          error
	}{
		{SystemDomain, "a", false, ErrDisabled}, {SystemDomain, "b", true, nil}, {SystemDomain, "c", false, nil},
		{"gui/501", "a", true, nil}, {"gui/501", "b", true, ErrDisabled}, {"gui/501", "c", false, ErrDisabled},
		{"user/501", "c", false, ErrDisabled}, {"user/502", "c", false, nil},
	} {
		j := w.job(c.label, "")
		j.Disabled = c.disabled
		if err := w.Load(c.domain, j); !errors.Is(err, c.want) {
			t.Errorf("%s/%s: %v, want %v", c.domain, c.label, err, c.want)
		}
	}
	text, err := w.PrintDisabled("user/501")
	if want := "disabled services = {\n\t\"a\" => enabled\n\t\"c\" => disabled\n}\n"; err != nil || text != want {
		t.Errorf("%q, %v", text, err)
	}
}

// TestPrintDisabled: what is disabled in a domain can be seen before the domain has jobs.
func TestPrintDisabled(t *testing.T) {
	w := newWorld(t)
	if err := w.Enable("user/501", "a", Off); err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]error{"user/501": nil, "gui/501": nil, SystemDomain: nil, "user/502": ErrNoDomain,
		"nowhere": ErrNoDomain} {
		text, err := w.PrintDisabled(domain)
		if has := strings.Contains(text, `"a" => disabled`); !errors.Is(err, want) || has != strings.HasSuffix(domain, "/501") {
			t.Errorf("%s: %q, %v", domain, text, err)
		}
	}
}

// TestBrokenOverrides: what cannot be read is told, what cannot be kept is not set.
func TestBrokenOverrides(t *testing.T) {
	m := &memory{broken: errors.New("the disk is gone")}
	w := newWorldWith(t, m)
	if !w.has("what is enabled and disabled is not known: the disk is gone") {
		t.Errorf("log: %q", w.log)
	}
	if err := w.Enable(SystemDomain, "a", Off); !errors.Is(err, m.broken) {
		t.Errorf("%v", err)
	}
	w.load("a", "")
}

// TestEnableLabel: what cannot be the label of a job cannot be enabled.
func TestEnableLabel(t *testing.T) {
	w := newWorld(t)
	for label, want := range map[string]error{"com.example.ü (1)": nil, "": ErrLabel, "a/b": ErrLabel, "a\nb": ErrLabel,
		"a\xffb": ErrLabel, "a\x01": ErrLabel, strings.Repeat("a", 255): nil, strings.Repeat("a", 256): ErrLabel} {
		if err := w.Enable(SystemDomain, label, Off); !errors.Is(err, want) {
			t.Errorf("%q: %v", label, err)
		}
	}
	w.Shutdown()
	if err := w.Enable(SystemDomain, "late", Off); !errors.Is(err, ErrDown) {
		t.Errorf("after the end: %v", err)
	}
}
