package finding

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// wrap breaks text, which is [Printable], into lines of at most width columns. Words are never broken: a path or a
// symbol can be copied whole.
func wrap(text string, width int) []string {
	var lines []string
	var line strings.Builder
	columns := 0
	for word := range strings.FieldsSeq(text) {
		w := lipgloss.Width(word)
		if columns > 0 && columns+1+w > width {
			lines = append(lines, line.String())
			line.Reset()
			columns = 0
		}
		if columns > 0 {
			line.WriteByte(' ')
			columns++
		}
		line.WriteString(word)
		columns += w
	}
	if columns > 0 || len(lines) == 0 {
		lines = append(lines, line.String())
	}
	return lines
}
