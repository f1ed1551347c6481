package rules

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Offender is a piece of software that is known to violate a rule, or known to look as if it did.
type Offender struct {
	Name     string   `json:"name"`
	Rule     string   `json:"rule"`               // Rule.Name
	Does     string   `json:"does"`               // what it calls, with what, and when
	Harmless bool     `json:"harmless,omitempty"` // it looks like a violation and is none
	Since    string   `json:"since,omitempty"`    // first version that violates; "" for as far back as was read
	FixedIn  string   `json:"fixed_in,omitempty"` // first version that conforms; "" where none does
	Read     []string `json:"read"`               // versions or commits whose source was read for this entry
	Verified bool     `json:"verified"`           // by reading its source; otherwise from the reports named
	Note     string   `json:"note,omitempty"`
	Sources  []Source `json:"sources"` // the one to cite comes first
	Signs    Signs    `json:"signs"`
}

// Source is a public reference.
type Source struct {
	What string `json:"what"`
	URL  string `json:"url"`
}

// Signs are what gives a piece of software away. Symbols and functions match where the sign is a part of the name, so
// that copies under a prefix or suffix are known too.
type Signs struct {
	Bundles    []string      `json:"bundles,omitempty"`     // CFBundleIdentifier
	Images     []string      `json:"images,omitempty"`      // Foo.framework/Foo or libfoo.dylib
	Symbols    []string      `json:"symbols,omitempty"`     // in the symbol table
	Strings    []string      `json:"strings,omitempty"`     // in constant data
	Functions  []string      `json:"functions,omitempty"`   // that make the call
	FixedMarks []string      `json:"fixed_marks,omitempty"` // strings that only conforming versions contain
	Versions   []VersionSign `json:"versions,omitempty"`
}

// VersionSign finds a version in constant data: between two strings, as in "/wasmtime-36.0.2/src/".
type VersionSign struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

//go:embed offenders.json
var offenderData []byte

var offenders = sync.OnceValue(func() []Offender {
	d := json.NewDecoder(bytes.NewReader(offenderData))
	d.DisallowUnknownFields()
	var list []Offender
	if err := d.Decode(&list); err != nil {
		panic(fmt.Sprintf("offenders.json: %v", err)) // embedded, and read by the tests
	}
	return list
})

// Offenders returns the known offenders, more specific ones (forks) before what they were made from.
func Offenders() []Offender { return slices.Clone(offenders()) }

// Evidence is what is known about the place of a finding: an image, or a frame of a crash report. Everything is
// optional.
type Evidence struct {
	Rule          string                  // Rule.Name of the finding; "" matches offenders of every rule
	Function      string                  // that makes the call; "" where it has no name of its own
	InstallName   string                  // LC_ID_DYLIB, or the path of the image in a report
	BundleID      string                  // CFBundleIdentifier of the innermost bundle around the image
	BundleVersion string                  // CFBundleShortVersionString of the same
	Path          string                  // of the file, with the member inside an archive if there is one
	Symbols       iter.Seq[string]        // the symbol table
	Data          func() iter.Seq[[]byte] // constant data: __cstring, __const, __objc_methname
	Seen          *Seen                   // what Look saw, instead of Symbols and Data
}

// Seen is what an image tells about all offenders at once, so that several findings in it cost one search.
type Seen struct {
	signs    map[string]string      // sign to the symbol or text it was found in
	versions map[VersionSign]string // version found by a sign
}

// Look searches symbols and constant data, either of which may be nil, for the signs of every offender, in one pass
// each.
func Look(symbols iter.Seq[string], data func() iter.Seq[[]byte]) *Seen {
	seen := &Seen{signs: make(map[string]string), versions: make(map[VersionSign]string)}
	var names, texts []string
	var versions []VersionSign
	for i := range offenders() {
		signs := &offenders()[i].Signs
		names = append(names, signs.Symbols...)
		texts = append(append(texts, signs.Strings...), signs.FixedMarks...)
		versions = append(versions, signs.Versions...)
	}
	if symbols != nil {
		names = unique(names)
		for name := range symbols {
			for _, s := range names {
				if _, ok := seen.signs[s]; !ok && strings.Contains(name, s) {
					seen.signs[s] = name
				}
			}
		}
	}
	if data != nil {
		texts, versions = unique(texts), unique(versions)
		for d := range data() {
			for _, s := range texts {
				if _, ok := seen.signs[s]; !ok && bytes.Contains(d, []byte(s)) {
					seen.signs[s] = s
				}
			}
			for _, v := range versions {
				if seen.versions[v] == "" {
					seen.versions[v] = v.find(d)
				}
			}
		}
	}
	return seen
}

// unique returns the elements of list, each once.
func unique[T comparable](list []T) []T {
	known := make(map[T]bool, len(list))
	out := list[:0]
	for _, e := range list {
		if !known[e] {
			known[e] = true
			out = append(out, e)
		}
	}
	return out
}

// Verdict says what the version found means.
type Verdict string

const (
	Violates Verdict = "violates" // this version, or every version there is
	Mended   Verdict = "fixed"    // this version conforms
	Unsure   Verdict = "unknown"  // some versions conform, and the version could not be told
	Harmless Verdict = "harmless" // known not to violate, whatever it looks like
)

// Match is an offender that evidence points to.
type Match struct {
	*Offender
	Version string   // as found; "" where it could not be told
	Verdict Verdict  // what to make of it
	Why     []string // what gave it away, one fact each
}

// How much a sign says about the place of the finding. The function is the very place; the image is a library that
// holds little else; symbols and strings only say that the software is somewhere in the same image.
const (
	signNone = iota
	signString
	signSymbol
	signImage
	signFunction
)

// MatchOffender tells which known offender a finding lies in, if any. Where the function that makes the call has a
// name which is none of the offender's, symbols and strings elsewhere in the image count for nothing: an app that
// contains a crash reporter has code of its own as well. It reads through symbols and constant data once or a few
// times, so it is meant to be called for findings, not for every image.
func MatchOffender(ev Evidence) (Match, bool) {
	var best *Offender
	rank, why := signNone, []string(nil)
	seen := ev.Seen
	if seen == nil {
		seen = Look(ev.Symbols, ev.Data)
	}
	for i := range offenders() {
		o := &offenders()[i]
		if ev.Rule != "" && o.Rule != ev.Rule {
			continue
		}
		// An image that holds something harmless can hold something harmful as well.
		if r, w := ev.match(o, seen.signs); r > rank && (!o.Harmless || r >= signImage) {
			best, rank, why = o, r, w
		}
	}
	if best == nil {
		return Match{}, false
	}
	m := Match{Offender: best, Why: why}
	m.Version = ev.version(best, rank, seen)
	m.Verdict = m.verdict(seen)
	return m, true
}

// match says how well an offender fits, and by what.
func (ev *Evidence) match(o *Offender, found map[string]string) (rank int, why []string) {
	note := func(r int, format string, args ...any) {
		rank = max(rank, r)
		why = append(why, fmt.Sprintf(format, args...))
	}
	if ev.BundleID != "" && slices.Contains(o.Signs.Bundles, ev.BundleID) {
		note(signImage, "its bundle is %s", ev.BundleID)
	}
	for _, name := range []string{ev.InstallName, ev.Path} {
		if image := imageName(name); image != "" && rank < signImage && slices.Contains(o.Signs.Images, image) {
			note(signImage, "its image is %s", image)
		}
	}
	for _, s := range o.Signs.Symbols {
		if name, ok := found[s]; ok {
			note(signSymbol, "it holds the symbol %s", name)
			break
		}
	}
	for _, s := range o.Signs.Strings {
		if _, ok := found[s]; ok {
			note(signString, "it holds the string %q", s)
			break
		}
	}
	if ev.Function == "" || len(o.Signs.Functions) == 0 {
		return rank, why
	}
	i := slices.IndexFunc(o.Signs.Functions, func(s string) bool { return strings.Contains(ev.Function, s) })
	switch {
	case i < 0 && rank < signImage:
		return signNone, nil
	case i >= 0 && (rank > signNone || isTelling(o.Signs.Functions[i])):
		note(signFunction, "the call is in %s", ev.Function)
	}
	return rank, why
}

// isTelling reports whether a function's name can stand for its owner alone. Names such as installExceptionHandler are
// used by many; those with a name space or prefix of their own are not.
func isTelling(function string) bool {
	return strings.ContainsAny(function, ":_0123456789") || strings.HasPrefix(function, "FIRCLS") ||
		strings.Contains(function, "PLCrash")
}

// imageName reduces an install name or path to what Signs.Images hold: "Foo.framework/Foo" for the binary of
// a framework, whatever the version folder, and the base name for anything else.
func imageName(name string) string {
	if name == "" {
		return ""
	}
	name = strings.ReplaceAll(name, "!/", "/")
	base := path.Base(name)
	for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if framework := path.Base(dir); framework == base+".framework" {
			return framework + "/" + base
		}
	}
	return base
}

// version finds the version: a bundle's own version counts where the bundle itself is the offender's.
func (ev *Evidence) version(o *Offender, rank int, seen *Seen) string {
	for _, s := range o.Signs.Versions {
		if v := seen.versions[s]; v != "" {
			return v
		}
	}
	own := slices.Contains(o.Signs.Bundles, ev.BundleID) ||
		slices.Contains(o.Signs.Images, imageName(ev.InstallName)) ||
		slices.Contains(o.Signs.Images, imageName(ev.Path))
	if own && rank >= signImage {
		if _, ok := parseVersion(ev.BundleVersion); ok {
			return ev.BundleVersion
		}
	}
	return ""
}

// find returns the first version in data between the two strings.
func (s VersionSign) find(data []byte) string {
	for {
		_, rest, ok := bytes.Cut(data, []byte(s.Before))
		if !ok {
			return ""
		}
		data = rest
		if i := bytes.Index(rest[:min(len(rest), 64)], []byte(s.After)); i > 0 {
			if v := string(rest[:i]); isVersion(v) {
				return v
			}
		}
	}
}

func isVersion(s string) bool {
	_, ok := parseVersion(s)
	return ok && strings.Contains(s, ".")
}

func (m *Match) verdict(seen *Seen) Verdict {
	switch {
	case m.Harmless:
		return Harmless
	case m.Version != "" && m.Since != "" && CompareVersions(m.Version, m.Since) < 0:
		return Mended
	case m.FixedIn == "":
		return Violates
	case m.Version != "":
		if CompareVersions(m.Version, m.FixedIn) >= 0 {
			return Mended
		}
		return Violates
	}
	for _, s := range m.Signs.FixedMarks {
		if _, ok := seen.signs[s]; ok {
			m.Why = append(m.Why, fmt.Sprintf("it holds the string %q, which only versions from %s on do", s, m.FixedIn))
			return Mended
		}
	}
	return Unsure
}

// version is a version taken apart: numbers, and what follows a "-".
type version struct {
	numbers []uint64
	pre     []string
}

// parseVersion reads versions as software for Apple systems writes them: numbers between dots, perhaps with a v before,
// a pre-release behind "-" and build data behind "+".
func parseVersion(s string) (version, bool) {
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "v"), "+")
	core, pre, hasPre := strings.Cut(s, "-")
	var v version
	for part := range strings.SplitSeq(core, ".") {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			return version{}, false
		}
		v.numbers = append(v.numbers, n)
	}
	if hasPre {
		v.pre = strings.Split(pre, ".")
	}
	return v, true
}

// CompareVersions orders versions by the rules of Semantic Versioning 2.0, for any count of numbers: 1.2 equals 1.2.0,
// and 2.0.0-beta.2 comes before 2.0.0. What is no version comes before all that are.
func CompareVersions(a, b string) int {
	x, okX := parseVersion(a)
	y, okY := parseVersion(b)
	if !okX || !okY {
		return cmp.Or(cmp.Compare(boolRank(okX), boolRank(okY)), cmp.Compare(a, b))
	}
	for i := range max(len(x.numbers), len(y.numbers)) {
		if c := cmp.Compare(numberAt(x.numbers, i), numberAt(y.numbers, i)); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(boolRank(len(x.pre) == 0), boolRank(len(y.pre) == 0)); c != 0 {
		return c
	}
	return slices.CompareFunc(x.pre, y.pre, comparePre)
}

// comparePre orders identifiers of a pre-release: numbers by value and before words.
func comparePre(a, b string) int {
	n, errN := strconv.ParseUint(a, 10, 64)
	m, errM := strconv.ParseUint(b, 10, 64)
	switch {
	case errN == nil && errM == nil:
		return cmp.Compare(n, m)
	case errN != nil && errM != nil:
		return cmp.Compare(a, b)
	}
	return cmp.Compare(boolRank(errN != nil), boolRank(errM != nil))
}

func numberAt(n []uint64, i int) uint64 {
	if i < len(n) {
		return n[i]
	}
	return 0
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}
