package finding

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes text that came out of a file fit for a terminal: control characters, terminal escapes, characters
// that reverse or hide the direction of writing, line and paragraph separators, and bytes that are not UTF-8 are
// written as escapes such as \x1b or \u202e. A file may call its functions what it likes; it shall not move the
// reader's cursor, colour the reader's screen or show one name and mean another.
func Printable(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			writeHex(&b, 'x', uint32(s[i]), 2)
		case showable(r):
			b.WriteRune(r)
		case r < 0x80:
			writeHex(&b, 'x', uint32(r), 2)
		case r <= 0xffff:
			writeHex(&b, 'u', uint32(r), 4)
		default:
			writeHex(&b, 'U', uint32(r), 8)
		}
		i += n
	}
	return b.String()
}

// isPlain reports whether s is printable ASCII, as nearly every name is.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// showable reports whether a character may reach a terminal as it is.
func showable(r rune) bool {
	switch {
	case r == ' ':
		return true
	case r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0, r == 0x2800: // letters that show nothing
		return false
	}
	// IsPrint holds for letters, marks, numbers, punctuation and symbols: no control (Cc) and no format characters
	// (Cf: the bidirectional controls, zero-width joiners, tags), no separators but the space, nothing unassigned.
	return unicode.IsPrint(r)
}

const hexDigits = "0123456789abcdef"

func writeHex(b *strings.Builder, kind byte, v uint32, digits int) {
	b.WriteByte('\\')
	b.WriteByte(kind)
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[v>>shift&15])
	}
}
