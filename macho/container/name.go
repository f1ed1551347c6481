package container

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// safeName makes a member's name fit to print and to compare: slashes only, relative, without "." and "..", valid
// UTF-8, without control and formatting characters (which could repaint a terminal or reverse the text). Bytes after
// limit do not matter, as the name will be refused.
func safeName(name string, limit int) string {
	if len(name) > limit+1 {
		name = name[:limit+1]
	}
	name = strings.ReplaceAll(name, `\`, "/")
	if len(name) >= 2 && name[1] == ':' { // C:/…
		name = name[2:]
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "(no name)"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(name, string(utf8.RuneError)))
}

// expandedName is the name of what a compressed file holds: its own without the last extension.
func expandedName(name string) string {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	if ext := path.Ext(base); ext != "" && ext != base {
		return strings.TrimSuffix(base, ext)
	}
	return base + " (expanded)"
}
