package lenient

import (
	"bytes"
	"fmt"
)

// MaxDepth bounds how deep objects and arrays may nest. Crash reports nest about eight deep.
const MaxDepth = 200

// Raw is a JSON value as it stands in the text; empty where there is none. It shares the memory of the text.
type Raw []byte

// Error is a defect in the text, at an offset from the start of what was scanned.
type Error struct {
	Offset int
	Reason string
}

// Error implements the error interface.
func (e *Error) Error() string { return fmt.Sprintf("%s at offset %d", e.Reason, e.Offset) }

// Space returns the index of the first byte of b at or after i that is not white space. Marks that quote a line in a
// mail or in markdown ("> ") count as white space after a line break, and so does a no-break space.
func Space(b []byte, i int) int {
	line := false
	for i < len(b) {
		switch c := b[i]; {
		case c == '\n':
			line = true
		case c == ' ' || c == '\t' || c == '\r':
		case c == '>' && line:
		case c == 0xc2 && i+1 < len(b) && b[i+1] == 0xa0:
			i++
		default:
			return i
		}
		i++
	}
	return i
}

// scanString returns the index behind the closing quote of the string that opens at b[i]. Line breaks inside a string
// are taken as an editor's wrapping.
func scanString(b []byte, i int) (int, bool) {
	i++
	for {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b), false
		}
		end := i + n
		k := end
		for k > i && b[k-1] == '\\' {
			k--
		}
		i = end + 1
		if (end-k)%2 == 0 {
			return i, true
		}
	}
}

// scanWord returns the index behind a number, true, false, null or another bare word.
func scanWord(b []byte, i int) int {
	for i < len(b) {
		switch c := b[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '+', c == '.', c == '_':
			i++
		default:
			return i
		}
	}
	return i
}

// Scan returns the value that starts at the first non-space byte of b at or after i, and the index behind it. A value
// that is defective or cut comes back as far as it goes, with an error that tells where and why.
func Scan(b []byte, i int) (Raw, int, *Error) {
	start := Space(b, i)
	end, err := skip(b, start)
	return Raw(b[start:end]), end, err
}

// skip returns the index behind the value at b[i]. It matches brackets and leaves the grammar between them to whoever
// reads the value.
func skip(b []byte, i int) (int, *Error) {
	if i >= len(b) {
		return i, &Error{i, "the text ends where a value is due"}
	}
	switch b[i] {
	case '"':
		end, ok := scanString(b, i)
		if !ok {
			return end, &Error{i, "a string is cut off"}
		}
		return end, nil
	case '{', '[':
	default:
		end := scanWord(b, i)
		if end == i {
			return i, &Error{i, fmt.Sprintf("a value is due, found %q", b[i])}
		}
		return end, nil
	}
	var open [MaxDepth]byte
	depth := 0
	for j := i; j < len(b); {
		switch c := b[j]; c {
		case '"':
			end, ok := scanString(b, j)
			if !ok {
				return end, &Error{j, "a string is cut off"}
			}
			j = end
			continue
		case '{', '[':
			if depth == MaxDepth {
				return j, &Error{j, fmt.Sprintf("nested deeper than %d", MaxDepth)}
			}
			open[depth] = c + 2 // the closing bracket of both stands two behind
			depth++
		case '}', ']':
			if open[depth-1] != c {
				return j, &Error{j, fmt.Sprintf("%q closes what it did not open", c)}
			}
			if depth--; depth == 0 {
				return j + 1, nil
			}
		}
		j++
	}
	return len(b), &Error{len(b), "the text ends inside a value"}
}

// Kind returns the first byte of the value: '{', '[', '"', a digit or '-', a letter, or 0 where there is none.
func (r Raw) Kind() byte {
	if len(r) == 0 {
		return 0
	}
	return r[0]
}

// Members calls f for every member of an object until f returns false. The key is unescaped. It returns the first
// defect; members in front of it have been delivered, and the value that is cut comes last, as far as it goes. A value
// that is no object has no members and is a defect.
func (r Raw) Members(f func(key []byte, value Raw) bool) *Error {
	if r.Kind() != '{' {
		return &Error{0, "an object is due"}
	}
	_, err := members(r, 1, f)
	return err
}

// OpenMembers reads members from b at i as if a brace stood before them: a piece cut out of an object. It returns the
// index behind the last member that it understood.
func OpenMembers(b []byte, i int, f func(key []byte, value Raw) bool) (int, *Error) {
	return members(b, i, f)
}

func members(b []byte, i int, f func(key []byte, value Raw) bool) (int, *Error) {
	good := i
	for {
		for i = Space(b, i); i < len(b) && b[i] == ','; i = Space(b, i) {
			i++
		}
		if i >= len(b) {
			return good, &Error{i, "the text ends inside an object"}
		}
		if b[i] == '}' {
			return i + 1, nil
		}
		if b[i] != '"' {
			return good, &Error{i, fmt.Sprintf("a member's name is due, found %q", b[i])}
		}
		end, ok := scanString(b, i)
		if !ok {
			return good, &Error{i, "a member's name is cut off"}
		}
		key := Raw(b[i:end]).bytes()
		i = Space(b, end)
		if i >= len(b) || b[i] != ':' {
			return good, &Error{min(i, len(b)), "a colon is due"}
		}
		value, end, err := Scan(b, i+1)
		if value.cut(end == len(b), err) {
			return good, &Error{len(b), "the text ends inside a value"}
		}
		if !f(key, value) {
			return end, nil
		}
		if err != nil {
			return good, err
		}
		i, good = end, end
	}
}

// cut reports whether the text ends inside a string, a number or a word, so that what is there of it says nothing.
func (r Raw) cut(atEnd bool, err *Error) bool {
	return r.Kind() != '{' && r.Kind() != '[' && len(r) > 0 && (err != nil || atEnd && r[0] != '"')
}

// Elements calls f for every element of an array until f returns false, as [Raw.Members] does.
func (r Raw) Elements(f func(i int, value Raw) bool) *Error {
	if r.Kind() != '[' {
		return &Error{0, "an array is due"}
	}
	i := 1
	for n := 0; ; n++ {
		for i = Space(r, i); i < len(r) && r[i] == ','; i = Space(r, i) {
			i++
		}
		if i >= len(r) {
			return &Error{i, "the text ends inside an array"}
		}
		if r[i] == ']' {
			return nil
		}
		value, end, err := Scan(r, i)
		if value.cut(end == len(r), err) {
			return &Error{len(r), "the text ends inside a value"}
		}
		if !f(n, value) {
			return nil
		}
		if err != nil {
			return err
		}
		i = end
	}
}

// Get returns the member of an object with a key, empty where there is none.
func (r Raw) Get(key string) Raw {
	var got Raw
	_ = r.Members(func(k []byte, v Raw) bool { // what is cut behind the member does not matter
		if string(k) != key {
			return true
		}
		got = v
		return false
	})
	return got
}
