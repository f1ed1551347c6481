// Package entitlement reads the entitlements of a program and decides which level of the Mach IPC restrictions they
// give it.
//
// Entitlements are claims, a dictionary of keys and values, that a code signature carries. They are written as a
// property list (an .entitlements file), and signing embeds them twice: as XML and as DER, Apple's canonical binary
// form. When a program starts, the kernel looks at the signature of its main executable, and at nothing else: not at
// its frameworks, not at its parent. It reads the DER form where there is one. From a handful of keys it computes the
// platform-restrictions version of the process, a number from 0 to 7 which stays the same until the next exec.
//
// The package has three parts, which build on one another:
//
//   - reading: [ParsePlist], [ParseDER], [ParseProfile] and [ParseSignature] yield a [Set], typed values that know
//     where they stand (a line of XML, an offset in DER);
//   - deciding: [Decide] walks the kernel's decision list and names the line of it that decided;
//   - advising: [Lint] finds what people get wrong, with the property list lines to write instead.
//
// What is decided mirrors the newest public XNU: bsd/kern/kern_exec.c (imgact_setup_runtime_mitigations,
// imgact_setup_platform_restrictions, exec_check_security_entitlement) and bsd/kern/mach_loader.c (load_machfile).
package entitlement

import (
	"fmt"
	"slices"
	"strings"
)

// Format is the encoding in which entitlements were found.
type Format string

const (
	FormatXML    Format = "XML"                  // XML property list
	FormatBinary Format = "binary property list" // bplist00
	FormatDER    Format = "DER"                  // CoreEntitlements
)

// Origin says where a key stands. Unknown parts are zero.
type Origin struct {
	Format Format `json:"format,omitempty"`
	Line   int    `json:"line,omitempty"`   // of the <key>, counted from 1; XML alone has lines
	Offset int    `json:"offset,omitempty"` // of the key's pair within the DER payload, in bytes
}

// String returns the place as messages name it: "line 12", "DER offset 0x1c", "binary property list".
func (o Origin) String() string {
	switch {
	case o.Line > 0:
		return fmt.Sprintf("line %d", o.Line)
	case o.Format == FormatDER:
		return fmt.Sprintf("DER offset %#x", o.Offset)
	}
	return string(o.Format)
}

// Entry is one entitlement: a key, its value and the place it was read from.
type Entry struct {
	Key   string
	Value Value
	At    Origin
}

// Set is the entitlements of one source, in the order of the source. Keys are unique; where a source repeats a key the
// last one stands in Entries, as property list readers have it, and the key is named in Repeated.
type Set struct {
	Format   Format
	Entries  []Entry
	Repeated []Entry // earlier occurrences that a later one replaced, without their values
}

// Get returns the entry of key. A nil set has no entries.
func (s *Set) Get(key string) (Entry, bool) {
	if s == nil {
		return Entry{}, false
	}
	for _, e := range s.Entries {
		if e.Key == key {
			return e, true
		}
	}
	return Entry{}, false
}

// Has reports whether key is present, with any value.
func (s *Set) Has(key string) bool {
	_, ok := s.Get(key)
	return ok
}

// Len returns the number of entries; a nil set has none.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.Entries)
}

// Keys returns the keys, sorted.
func (s *Set) Keys() []string {
	keys := make([]string, 0, s.Len())
	if s != nil {
		for _, e := range s.Entries {
			keys = append(keys, e.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// dict returns the set as a dictionary value, sorted by key as DER wants it.
func (s *Set) dict() Value {
	pairs := make([]Pair, 0, s.Len())
	if s != nil {
		for _, e := range s.Entries {
			pairs = append(pairs, Pair{e.Key, e.Value})
		}
	}
	return Dict(pairs...)
}

// Difference is a key whose value is not the same in the XML and the DER form of one signature. A missing side is nil.
type Difference struct {
	Key      string
	XML, DER *Entry
}

// String says the difference in words: `key: XML has "2" (line 4), DER has 1 (DER offset 0x9)`.
func (d Difference) String() string {
	side := func(name string, e *Entry) string {
		if e == nil {
			return name + " does not have it"
		}
		return fmt.Sprintf("%s has %s (%s)", name, e.Value, e.At)
	}
	return d.Key + ": " + side("XML", d.XML) + ", " + side("DER", d.DER)
}

// Compare returns the keys whose values differ between an XML and a DER set, sorted by key. Two sets agree when the
// kernel's rewriting of the one would give the other, so types count: the integer 2 is not the string "2".
func Compare(xml, der *Set) []Difference {
	var out []Difference
	keys := append(xml.Keys(), der.Keys()...)
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		x, inXML := xml.Get(k)
		d, inDER := der.Get(k)
		if inXML && inDER && x.Value.Equal(d.Value) {
			continue
		}
		diff := Difference{Key: k}
		if inXML {
			diff.XML = &x
		}
		if inDER {
			diff.DER = &d
		}
		out = append(out, diff)
	}
	return out
}

// joinWords joins words as a sentence does: a, b and c.
func joinWords(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
