package finding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// BaselineSchema identifies the JSON form of a [Baseline].
const BaselineSchema = "portcullis.baseline/1"

// maxBaseline bounds the size of a baseline file in bytes.
const maxBaseline = 64 << 20

// Baseline is a list of findings that are known and lived with. It lets a project fail on new findings only.
type Baseline struct {
	Schema string  `json:"schema"`
	Known  []Known `json:"known"`
}

// Known is one finding of a baseline. Fingerprint decides; the rest is for people who read the file, and for noticing
// that a known finding has become worse.
type Known struct {
	Fingerprint string     `json:"fingerprint"`
	Rule        string     `json:"rule"`
	Where       string     `json:"where,omitempty"`
	Arch        string     `json:"arch,omitempty"`
	Function    string     `json:"function,omitempty"`
	Callee      string     `json:"callee,omitempty"`
	KillsHere   bool       `json:"kills_here"`
	Confidence  Confidence `json:"confidence"`
	Why         string     `json:"why,omitempty"` // why it is lived with; written by hand
}

// NewBaseline returns the baseline that knows all findings of a report.
func NewBaseline(r *Report) *Baseline {
	r.Finish()
	return knownOf(r)
}

// knownOf lists the findings of a report under the fingerprints that they have.
func knownOf(r *Report) *Baseline {
	b := &Baseline{Schema: BaselineSchema, Known: []Known{}}
	for i := range r.Findings {
		f := &r.Findings[i]
		b.Known = append(b.Known, Known{
			Fingerprint: f.Fingerprint, Rule: f.Rule, Where: path.Join(stablePath(f.Where.Path), f.Where.Member),
			Arch: f.Where.Arch, Function: f.Where.Function, Callee: f.Callee,
			KillsHere: f.KillsHere, Confidence: f.Confidence,
		})
	}
	return b
}

// KeepReasons copies the Why of entries of an older baseline, so that writing a new one does not lose them.
func (b *Baseline) KeepReasons(old *Baseline) {
	why := map[string]string{}
	for _, k := range old.Known {
		why[k.Fingerprint] = k.Why
	}
	for i := range b.Known {
		if k := &b.Known[i]; k.Why == "" {
			k.Why = why[k.Fingerprint]
		}
	}
}

// ReadBaseline reads a baseline file, or the JSON form of a [Report], whose findings are then the known ones. name
// stands in errors.
func ReadBaseline(in io.Reader, name string) (*Baseline, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxBaseline+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxBaseline {
		return nil, fmt.Errorf("%s: larger than %d MiB, which no baseline is", name, maxBaseline>>20)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var file struct {
		Baseline
		Findings []Finding `json:"findings"`
	}
	if err := dec.Decode(&file); err != nil {
		return nil, jsonError(name, "baseline", dec.InputOffset(), len(data), err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: at offset %d: something follows the baseline", name, dec.InputOffset())
	}
	b := &file.Baseline
	switch b.Schema {
	case BaselineSchema:
	case Schema:
		b = knownOf(&Report{Findings: file.Findings})
	default:
		return nil, fmt.Errorf("%s: schema is %q, want %q or %q", name, b.Schema, BaselineSchema, Schema)
	}
	for i, k := range b.Known {
		if k.Fingerprint == "" {
			return nil, fmt.Errorf("%s: known[%d]: no fingerprint", name, i)
		}
		if k.Confidence != "" && k.Confidence.Rank() == 0 {
			return nil, fmt.Errorf("%s: known[%d]: unknown confidence %q", name, i, k.Confidence)
		}
	}
	if b.Known == nil {
		b.Known = []Known{}
	}
	return b, nil
}

// jsonError names the place of an error of package json; what is read stands in it.
func jsonError(name, what string, offset int64, size int, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		field := strings.TrimPrefix(kind.Field, "Baseline.")
		return fmt.Errorf("%s: at offset %d: %s is a JSON %s", name, kind.Offset, field, kind.Value)
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: at offset %d: the file ends inside the %s", name, size, what)
	}
	return fmt.Errorf("%s: at offset %d: %s", name, offset, strings.TrimPrefix(err.Error(), "json: "))
}

// Write writes the baseline as JSON, sorted, so that it changes in version control only where findings do.
func (b *Baseline) Write(w io.Writer) error {
	sorted := Baseline{Schema: BaselineSchema, Known: slices.Clone(b.Known)}
	if sorted.Known == nil {
		sorted.Known = []Known{}
	}
	slices.SortStableFunc(sorted.Known, func(a, b Known) int {
		return strings.Compare(a.Where+"\x00"+a.Rule+"\x00"+a.Fingerprint, b.Where+"\x00"+b.Rule+"\x00"+b.Fingerprint)
	})
	return writeJSON(w, sorted)
}

// Apply takes the findings that the baseline knows out of a report and counts them in Summary.Suppressed. A finding
// that has become worse than it was, now kills or is surer, stays. An entry that matches nothing is mentioned in a note
// that bears name, the name of the baseline file: the finding is gone and so may be the entry.
func (b *Baseline) Apply(r *Report, name string) {
	r.Finish()
	known := map[string]*Known{}
	for i := range b.Known {
		known[b.Known[i].Fingerprint] = &b.Known[i]
	}
	used := map[string]bool{}
	kept := r.Findings[:0:0]
	for _, f := range r.Findings {
		k := known[f.Fingerprint]
		if k == nil {
			kept = append(kept, f)
			continue
		}
		used[f.Fingerprint] = true
		if worse(&f, k) {
			kept = append(kept, f)
			continue
		}
		r.Summary.Suppressed++
	}
	if kept == nil {
		kept = []Finding{}
	}
	r.Findings = kept
	r.count()
	for i := range b.Known {
		if k := &b.Known[i]; !used[k.Fingerprint] && known[k.Fingerprint] == k {
			r.Notes = append(r.Notes, Note{Path: name, Message: unusedEntry(k)})
		}
	}
}

// worse reports whether a finding is more serious than when it was written into the baseline.
func worse(f *Finding, k *Known) bool {
	if f.KillsHere && !k.KillsHere {
		return true
	}
	return k.Confidence != "" && f.Confidence.Rank() > k.Confidence.Rank()
}

// unusedEntry says which entry is no longer needed.
func unusedEntry(k *Known) string {
	s := "the baseline entry " + k.Fingerprint
	if k.Rule != "" {
		s += " (" + k.Rule
		if k.Where != "" {
			s += " in " + k.Where
		}
		s += ")"
	}
	return s + " matches no finding any more and can be removed"
}
