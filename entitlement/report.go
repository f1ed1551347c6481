package entitlement

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// Schema identifies the JSON form. Fields keep their meaning while it stays the same.
const Schema = "portcullis.entitlements/1"

type jsonReport struct {
	Schema   string           `json:"schema"`
	Programs []jsonProgram    `json:"programs"`
	Unread   []finding.Unread `json:"unread"`
}

type jsonProgram struct {
	Path       string  `json:"path"`
	Member     string  `json:"member,omitempty"` // path inside the archive at Path
	Arch       string  `json:"arch,omitempty"`
	Product    Product `json:"product,omitempty"`
	Platform   string  `json:"platform,omitempty"`
	Simulator  bool    `json:"simulator,omitempty"`
	MinOS      string  `json:"min_os,omitempty"`
	Bundle     string  `json:"bundle,omitempty"`
	Identifier string  `json:"identifier,omitempty"`
	Team       string  `json:"team,omitempty"`
	Signed     bool    `json:"signed"`
	AdHoc      bool    `json:"ad_hoc,omitempty"`
	Runtime    bool    `json:"hardened_runtime,omitempty"`
	JudgedAs   string  `json:"judged_as,omitempty"` // the system asked for

	Level           rules.Level `json:"level"`
	Version         int         `json:"platform_restrictions_version"`
	HardenedVersion int         `json:"hardened_process_version"`
	DecidedBy       Line        `json:"decided_by"`
	Key             string      `json:"key,omitempty"`
	At              *Origin     `json:"at,omitempty"`
	Why             string      `json:"why"`
	Source          string      `json:"source,omitempty"`
	Kills           []Kill      `json:"kills"`
	Refusals        []Refusal   `json:"refusals,omitempty"`
	Effects         []Effect    `json:"effects,omitempty"`
	Exempt          []string    `json:"exempt,omitempty"`
	Unverified      []string    `json:"unverified,omitempty"`
	Issues          []Issue     `json:"issues"`

	Profile      *Profile         `json:"profile,omitempty"`
	Entitlements map[string]Value `json:"entitlements"`
}

// Kill is one of the six restrictions of Apple's documentation, as far as it ends a process at a level.
type Kill struct {
	Rule  string   `json:"rule"`
	Cases []string `json:"cases,omitempty"` // rules.Case.ID, where not every case kills
}

// Kills returns which of the six restrictions that Apple documents kill at a level on a platform, "" standing for any.
func Kills(level rules.Level, platform string) []Kill {
	out := []Kill{}
	for _, r := range rules.Documented() {
		special := func(c *rules.Case) bool { return c.Special } // those need more than a level
		cases := slices.DeleteFunc(r.CasesAt(level, platform), special)
		all := slices.DeleteFunc(r.CasesAt(rules.LevelPlatform, platform), special)
		switch {
		case len(cases) > 0 && len(cases) < len(all):
			k := Kill{Rule: r.Name}
			for _, c := range cases {
				k.Cases = append(k.Cases, c.ID)
			}
			out = append(out, k)
		case len(cases) > 0, len(r.Cases) == 0 && r.KillsAt(level):
			out = append(out, Kill{Rule: r.Name})
		}
	}
	return out
}

// Kills returns which restrictions kill the program; none where it does not start or is no program.
func (p *Program) Kills() []Kill {
	switch {
	case p.Decision.Line == LineRefused, p.Decision.Line == LineNoProgram, p.Inputs.Simulator:
		return []Kill{}
	}
	return Kills(p.Decision.Level, p.Inputs.runsOn().Platform)
}

// json returns the program as WriteJSON writes it; docs/entitlements.md describes the fields.
func (p Program) json() jsonProgram {
	in, d := p.Inputs, p.Decision
	j := jsonProgram{
		Path: p.Path, Member: p.Member, Arch: in.Arch, Product: in.Product, Platform: in.Platform,
		Simulator: in.Simulator, Bundle: p.Bundle,
		Level: d.Level, Version: d.Version, HardenedVersion: d.HardenedVersion, DecidedBy: d.Line, Key: d.Key, Why: d.Why,
		Source: d.Source, Kills: p.Kills(), Refusals: d.Refusals, Effects: d.Effects, Exempt: d.Exempt,
		Unverified: d.Unverified, Issues: p.Issues, Profile: in.Profile, Entitlements: map[string]Value{},
	}
	if j.Issues == nil {
		j.Issues = []Issue{}
	}
	if in.MinOS.Major != 0 {
		j.MinOS = fmt.Sprintf("%d.%d", in.MinOS.Major, in.MinOS.Minor)
	}
	if in.OS.Major != 0 {
		j.JudgedAs = describeOS(in.OS)
	}
	if d.Key != "" {
		j.At = &d.At
	}
	if s := in.Signature; s != nil {
		j.Signed, j.Identifier, j.Team = true, s.Identifier, s.TeamID
		j.AdHoc, j.Runtime = s.Flags&FlagAdHoc != 0, s.HardenedRuntime()
	}
	if set, _ := in.Effective(); set != nil {
		for _, e := range set.Entries {
			j.Entitlements[e.Key] = e.Value
		}
	}
	return j
}

// WriteJSON writes reports as one JSON document.
func WriteJSON(w io.Writer, reports ...Report) error {
	j := jsonReport{Schema: Schema, Programs: []jsonProgram{}, Unread: []finding.Unread{}}
	for _, r := range reports {
		for _, p := range r.Programs {
			j.Programs = append(j.Programs, p.json())
		}
		j.Unread = append(j.Unread, r.Unread...)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(j)
}
