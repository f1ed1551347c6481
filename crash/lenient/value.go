package lenient

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// String returns the text of a string, unescaped; ok is false for any other value. Escapes that JSON does not have
// stand for the character behind the backslash, or for both where that is no mark. Line breaks are dropped.
func (r Raw) String() (s string, ok bool) {
	if r.Kind() != '"' {
		return "", false
	}
	return string(r.bytes()), true
}

// bytes returns the unescaped inside of a string, in the text's own memory where nothing had to change.
func (r Raw) bytes() []byte {
	in := []byte(r[1:])
	if n := len(in); n > 0 && in[n-1] == '"' {
		in = in[:n-1]
	}
	if bytes.IndexByte(in, '\\') < 0 && bytes.IndexByte(in, '\n') < 0 && utf8.Valid(in) {
		return in
	}
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		switch c := in[i]; c {
		case '\r', '\n':
		case '\\':
			if i+1 == len(in) { // cut off inside an escape
				break
			}
			i++
			switch e := in[i]; e {
			case 'n':
				out = append(out, '\n')
			case 't':
				out = append(out, '\t')
			case 'r':
				out = append(out, '\r')
			case 'b':
				out = append(out, '\b')
			case 'f':
				out = append(out, '\f')
			case 'u':
				v, n := unicodeEscape(in[i+1:])
				out = utf8.AppendRune(out, v)
				i += n
			default:
				if e >= 'a' && e <= 'z' || e >= 'A' && e <= 'Z' || e >= '0' && e <= '9' {
					out = append(out, '\\')
				}
				out = append(out, e)
			}
		default:
			out = append(out, c)
		}
	}
	return bytes.ToValidUTF8(out, []byte("\ufffd"))
}

// unicodeEscape reads what follows \u and returns how many bytes it took, a second half of a surrogate pair included.
func unicodeEscape(b []byte) (rune, int) {
	hex := func(b []byte) (rune, bool) {
		if len(b) < 4 {
			return 0, false
		}
		v, err := strconv.ParseUint(string(b[:4]), 16, 16)
		return rune(v), err == nil
	}
	v, ok := hex(b)
	if !ok {
		return utf8.RuneError, 0
	}
	if utf16.IsSurrogate(v) {
		if len(b) >= 10 && b[4] == '\\' && b[5] == 'u' {
			if low, ok := hex(b[6:]); ok {
				if r := utf16.DecodeRune(v, low); r != utf8.RuneError {
					return r, 10
				}
			}
		}
		return utf8.RuneError, 4
	}
	return v, 4
}

// Bits returns an integer as the 64 bits it is, whatever its sign: a decimal number, or a string that holds a decimal
// or hexadecimal one. Numbers never pass through a float; one with a fraction or an exponent is no integer.
func (r Raw) Bits() (uint64, bool) {
	s := string(r)
	if t, ok := r.String(); ok {
		s = t
	}
	return ParseBits(s)
}

// ParseBits reads a 64-bit integer: decimal, negative decimal (as two's complement), or hexadecimal behind 0x.
func ParseBits(s string) (uint64, bool) {
	s = strings.TrimSpace(s)
	if h, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		v, err := strconv.ParseUint(h, 16, 64)
		return v, err == nil
	}
	if v, err := strconv.ParseUint(s, 10, 64); err == nil {
		return v, true
	}
	v, err := strconv.ParseInt(s, 10, 64)
	return uint64(v), err == nil
}

// Bool returns true or false, or whether a number is not 0.
func (r Raw) Bool() (value, ok bool) {
	switch string(r) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	if r.Kind() == '"' {
		return false, false
	}
	n, ok := r.Bits()
	return n != 0, ok
}

// Null reports whether the value is null or missing.
func (r Raw) Null() bool { return len(r) == 0 || string(r) == "null" }
