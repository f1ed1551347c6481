package mach

import (
	"fmt"
	"strconv"
	"strings"
)

// integer is any of the number types of this package.
type integer interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int32
}

// pair ties a number to its name.
type pair[T integer] struct {
	value T
	name  string
}

// table converts between numbers and names. Where a number has several names the first one listed is printed and all
// are read.
type table[T integer] struct {
	names  map[T]string
	values map[string]T
}

func newTable[T integer](pairs ...pair[T]) table[T] {
	t := table[T]{make(map[T]string, len(pairs)), make(map[string]T, len(pairs))}
	for _, p := range pairs {
		if _, ok := t.names[p.value]; !ok {
			t.names[p.value] = p.name
		}
		t.values[p.name] = p.value
	}
	return t
}

// name returns the name of v, or its type and number where it has none.
func (t table[T]) name(kind string, v T) string {
	if s, ok := t.names[v]; ok {
		return s
	}
	return fmt.Sprintf("%s(%#x)", kind, uint64(v))
}

// parse returns the number called s; numbers in any base Go writes are read as well.
func (t table[T]) parse(s string) (T, bool) {
	s = strings.TrimSpace(s)
	if v, ok := t.values[s]; ok {
		return v, true
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if v := T(n); err == nil && uint64(v) == n {
		return v, true
	}
	return 0, false
}

// flags converts between a set of bits and the names of its members joined by "|". Members of more than one bit stand
// before the bits they are made of.
type flags[T integer] []pair[T]

// list returns the members of v in table order; bits without a name follow as one hexadecimal number.
func (f flags[T]) list(v T) string {
	if v == 0 {
		return "0"
	}
	var b strings.Builder
	for _, p := range f {
		if v&p.value != p.value {
			continue
		}
		v &^= p.value
		appendMember(&b, p.name)
	}
	if v != 0 {
		appendMember(&b, fmt.Sprintf("%#x", uint64(v)))
	}
	return b.String()
}

func appendMember(b *strings.Builder, s string) {
	if b.Len() > 0 {
		b.WriteByte('|')
	}
	b.WriteString(s)
}

// parse reads what list writes; blanks around members are allowed.
func (f flags[T]) parse(s string) (T, bool) {
	var v T
members:
	for m := range strings.SplitSeq(s, "|") {
		m = strings.TrimSpace(m)
		for _, p := range f {
			if p.name == m {
				v |= p.value
				continue members
			}
		}
		n, err := strconv.ParseUint(m, 0, 64)
		if err != nil || uint64(T(n)) != n {
			return 0, false
		}
		v |= T(n)
	}
	return v, true
}
