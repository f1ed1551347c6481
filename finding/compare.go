package finding

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Change says how a finding stands to an earlier version of what was checked.
type Change string

const (
	ChangeNew    Change = "new"
	ChangeWorse  Change = "worse"  // it kills now and did not, or is surer
	ChangeSame   Change = "same"   // neither better nor worse
	ChangeBetter Change = "better" // it kills no more, or is less sure
)

// Matters tells whether a change makes a command fail: what was there before does not.
func (c Change) Matters() bool { return c == "" || c == ChangeNew || c == ChangeWorse }

// Comparison says what became of an earlier version of what was checked. How each finding changed stands with it.
type Comparison struct {
	With   string    `json:"with"` // the earlier version: a path
	New    int       `json:"new"`
	Worse  int       `json:"worse"`
	Better int       `json:"better"`
	Same   int       `json:"same"`
	Gone   []Finding `json:"gone"` // found then and no more
}

// CompareWith compares a report with that of an earlier version, named with. Two findings are the same where rule,
// architecture, function and function called are, and the place within the app, archive or folder; one that has moved
// to another file counts as the same if its function has a name. What the folders, archives and apps themselves are
// called does not matter, for a version often stands there.
func (r *Report) CompareWith(old *Report, with string) {
	r.Finish()
	old.Finish()
	c := &Comparison{With: with, Gone: []Finding{}}
	single := oneFile(r.Findings) && oneFile(old.Findings)
	before := make([]*Finding, len(old.Findings))
	for i := range old.Findings {
		before[i] = &old.Findings[i]
	}
	now := make([]*Finding, len(r.Findings))
	for i := range r.Findings {
		now[i] = &r.Findings[i]
	}
	now, before = match(now, before, func(f *Finding) string { return sameCall(f) + "\x00" + placeWithin(f, single) })
	now, before = match(now, before, func(f *Finding) string {
		if f.Where.Function == "" {
			return "" // would match any other
		}
		return sameCall(f)
	})
	for _, f := range now {
		f.Change = ChangeNew
	}
	for _, f := range before {
		c.Gone = append(c.Gone, *f)
	}
	for i := range r.Findings {
		switch r.Findings[i].Change {
		case ChangeNew:
			c.New++
		case ChangeWorse:
			c.Worse++
		case ChangeBetter:
			c.Better++
		default:
			c.Same++
		}
	}
	r.Comparison = c
}

// match pairs findings of equal keys, the worst with the worst, notes how those of now have changed, and returns what is
// left of both. An empty key matches nothing.
func match(now, before []*Finding, key func(*Finding) string) (left, gone []*Finding) {
	worstFirst := func(list []*Finding) []*Finding {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b *Finding) int { return cmp.Compare(severity(b), severity(a)) })
		return list
	}
	byKey := map[string][]*Finding{}
	for _, f := range worstFirst(before) {
		byKey[key(f)] = append(byKey[key(f)], f)
	}
	paired := map[*Finding]bool{}
	for _, f := range worstFirst(now) {
		k := key(f)
		if k == "" || len(byKey[k]) == 0 {
			continue
		}
		was := byKey[k][0]
		byKey[k] = byKey[k][1:]
		paired[f], paired[was] = true, true
		f.Change = changeFrom(was, f)
	}
	isPaired := func(f *Finding) bool { return paired[f] }
	return slices.DeleteFunc(now, isPaired), slices.DeleteFunc(before, isPaired)
}

// changeFrom compares two findings about the same call.
func changeFrom(was, is *Finding) Change {
	sure := cmp.Compare(is.Confidence.Rank(), was.Confidence.Rank())
	switch {
	case is.KillsHere && !was.KillsHere:
		return ChangeWorse
	case was.KillsHere && !is.KillsHere:
		return ChangeBetter
	case sure > 0:
		return ChangeWorse
	case sure < 0:
		return ChangeBetter
	}
	return ChangeSame
}

// sameCall is what does not change with the file a call is in.
func sameCall(f *Finding) string {
	return strings.Join([]string{f.Rule, f.Where.Arch, stableFunction(f.Where.Function), f.Callee}, "\x00")
}

// placeWithin is the place of a finding inside the app, archive or folder that was checked.
func placeWithin(f *Finding, single bool) string {
	if single {
		return ""
	}
	name := filepath.ToSlash(f.Where.file())
	if _, inside, ok := strings.Cut(name, ".app/"); ok {
		return inside
	}
	if f.Where.Member != "" {
		return f.Where.Member
	}
	return path.Base(name)
}

// oneFile tells whether all findings are in one file.
func oneFile(findings []Finding) bool {
	for i := range findings {
		if findings[i].Where.file() != findings[0].Where.file() {
			return false
		}
	}
	return true
}

// headline is the comparison in a sentence: "1 new, 2 gone, 3 as before".
func (c *Comparison) headline() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{c.New, "new"}, {c.Worse, "worse"}, {c.Better, "better"}, {len(c.Gone), "gone"}, {c.Same, "as before"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing then, nothing now"}
	}
	return "compared with " + c.With + ": " + strings.Join(parts, ", ")
}

// IsReport tells whether data begins as the JSON form of a [Report] does, rather than as a binary or an archive.
func IsReport(data []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) }

// maxReport bounds the size of a report that is read, in bytes.
const maxReport = 256 << 20

// ReadReport reads the JSON form of a [Report]. name stands in errors.
func ReadReport(in io.Reader, name string) (*Report, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxReport+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxReport {
		return nil, fmt.Errorf("%s: larger than %d MiB, which no report is", name, maxReport>>20)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var r Report
	if err := dec.Decode(&r); err != nil {
		return nil, jsonError(name, "report", dec.InputOffset(), len(data), err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: at offset %d: something follows the report", name, dec.InputOffset())
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("%s: schema is %q, want %q", name, r.Schema, Schema)
	}
	for i, p := range r.Programs {
		for j, c := range p.Components {
			if c == nil {
				return nil, fmt.Errorf("%s: programs[%d].components[%d]: is null", name, i, j)
			}
		}
	}
	return &r, nil
}
