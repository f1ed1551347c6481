package finding

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// LevelDeclared stands in [Summary.Level] where programs were judged at the different levels that they declare.
const LevelDeclared = "declared"

// UnknownRule is the rule of a finding whose number is in no public table.
const UnknownRule = "UNKNOWN"

// Add joins another report to r: findings, what was not read, notes, and the sums.
func (r *Report) Add(o *Report) {
	r.finished = false
	if r.Moment == "" {
		r.Moment = o.Moment
	}
	r.Findings = append(r.Findings, o.Findings...)
	r.Unread = append(r.Unread, o.Unread...)
	r.Notes = append(r.Notes, o.Notes...)
	r.Programs = append(r.Programs, o.Programs...)
	s, t := &r.Summary, &o.Summary
	if s.Level == "" {
		s.Level = t.Level
	} else if t.Level != "" && t.Level != s.Level {
		s.Level = LevelDeclared
	}
	s.Files += t.Files
	s.Images += t.Images
	s.Bytes += t.Bytes
	s.Suppressed += t.Suppressed
}

// Finish brings a report into the form in which it is rendered: schema set, lists present, findings sorted (by place;
// those of explain stay in the order of their reports), equal ones of check listed once, counted by rule and
// fingerprinted. Rendering the same findings twice gives the same bytes. It does nothing to a finished report.
func (r *Report) Finish() {
	if r.finished {
		return
	}
	r.finished = true
	r.Schema = Schema
	if r.Moment == "" && len(r.Findings) > 0 {
		r.Moment = r.Findings[0].Moment
	}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	if r.Unread == nil {
		r.Unread = []Unread{}
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; strings.TrimSpace(f.Rule) == "" {
			f.Rule = UnknownRule
		}
	}
	slices.SortStableFunc(r.Findings, compareFindings)
	r.Findings = dropDoubles(r.Findings)
	slices.SortStableFunc(r.Unread, func(a, b Unread) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Member, b.Member), cmp.Compare(a.Offset, b.Offset))
	})
	r.Unread = slices.Compact(r.Unread)
	slices.SortStableFunc(r.Notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Member, b.Member))
	})
	r.Notes = slices.Compact(r.Notes)
	fingerprint(r.Findings)
	r.finishPrograms()
	r.count()
}

// dropDoubles keeps the first of findings of check that are equal in all. A file that is reached twice, by a link or
// because two arguments name it, shall not count twice. Equal crash reports are as many crashes.
func dropDoubles(findings []Finding) []Finding {
	seen := map[string]bool{}
	return slices.DeleteFunc(findings, func(f Finding) bool {
		if f.Moment != MomentCheck {
			return false
		}
		f.Fingerprint = ""
		key, err := json.Marshal(f)
		if err != nil {
			return false
		}
		double := seen[string(key)]
		seen[string(key)] = true
		return double
	})
}

// count fills Summary.ByRule.
func (r *Report) count() {
	r.Summary.ByRule = map[string]int{}
	for i := range r.Findings {
		r.Summary.ByRule[r.Findings[i].Rule]++
	}
}

// compareFindings orders findings by place, then by what they are.
func compareFindings(a, b Finding) int {
	if c := cmp.Or(cmp.Compare(a.Where.Path, b.Where.Path), cmp.Compare(a.Where.Member, b.Where.Member)); c != 0 {
		return c
	}
	if a.Moment == MomentExplain && b.Moment == MomentExplain {
		return 0
	}
	return cmp.Or(
		cmp.Compare(a.Where.Arch, b.Where.Arch),
		cmp.Compare(address(a.Where.Address), address(b.Where.Address)),
		cmp.Compare(a.Where.Function, b.Where.Function),
		cmp.Compare(a.Where.File, b.Where.File),
		cmp.Compare(a.Where.Line, b.Where.Line),
		cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.Callee, b.Callee),
		cmp.Compare(b.Confidence.Rank(), a.Confidence.Rank()),
		cmp.Compare(a.Message, b.Message),
	)
}

// address reads Where.Address; 0 where it is none.
func address(s string) uint64 {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 0, 64)
	if err != nil {
		return 0
	}
	return n
}

// Counts reports whether a finding makes a command fail: it was predicted or recorded, not read in a crash report; it
// kills at the judged level; is at least as sure as failOn; and is not as it was in the version compared with.
func (f *Finding) Counts(failOn Confidence) bool {
	return f.Moment != MomentExplain && f.Change.Matters() && f.KillsHere && f.Confidence.Rank() >= failOn.Rank()
}

// Exit codes of check and explain.
const (
	ExitClean    = 0 // everything was read, and nothing counts
	ExitFindings = 1 // some finding counts
	ExitUnread   = 3 // some input could not be read, whatever was found
)

// ExitCode returns the exit code of the command whose report this is. Where something could not be read the code is 3
// even if findings count: those are printed all the same, and only so can a job that takes findings for granted,
// because it uploads them or lives with them for now, still tell that the answer is incomplete.
func (r *Report) ExitCode(failOn Confidence) int {
	if len(r.Unread) > 0 {
		return ExitUnread
	}
	for i := range r.Findings {
		if r.Findings[i].Counts(failOn) {
			return ExitFindings
		}
	}
	return ExitClean
}
