package finding

import "charm.land/lipgloss/v2"

// palette colours parts of the text. Nothing is said by colour alone.
type palette struct {
	kill, warn, good, name, dim, code func(string) string
}

// newPalette returns the colours, the sixteen of the terminal's own theme, or none.
func newPalette(color bool) *palette {
	if !color {
		same := func(s string) string { return s }
		return &palette{same, same, same, same, same, same}
	}
	paint := func(s lipgloss.Style) func(string) string {
		return func(text string) string { return s.Render(text) }
	}
	return &palette{
		kill: paint(lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red)),
		warn: paint(lipgloss.NewStyle().Foreground(lipgloss.Yellow)),
		good: paint(lipgloss.NewStyle().Foreground(lipgloss.Green)),
		name: paint(lipgloss.NewStyle().Bold(true)),
		dim:  paint(lipgloss.NewStyle().Faint(true)),
		code: paint(lipgloss.NewStyle().Foreground(lipgloss.Cyan)),
	}
}

// confidence colours a confidence.
func (p *palette) confidence(f *Finding) func(string) string {
	switch {
	case f.KillsHere && f.Confidence != Possible:
		return p.kill
	case f.KillsHere:
		return p.warn
	}
	return p.dim
}
