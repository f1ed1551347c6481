package manual

import (
	"encoding/json"
	"fmt"
	"io"

	"portcullis.dev/rules"
)

// Schema identifies the JSON of this package.
const Schema = "portcullis.rules/1"

// document is the JSON answer; one of its parts is set.
type document struct {
	Schema      string           `json:"schema"`
	Rules       []ruleJSON       `json:"rules,omitempty"`
	Policies    []rules.Policy   `json:"policies,omitempty"`
	Explanation *explanationJSON `json:"explanation,omitempty"`
	Readings    []rules.Bare     `json:"readings,omitzero"`
}

type ruleJSON struct {
	*rules.Rule
	Code string `json:"code"` // for target 0
	Help string `json:"help"`
}

type explanationJSON struct {
	Rule    string `json:"rule,omitempty"`
	Case    string `json:"case,omitempty"`
	Target0 string `json:"target_value"`
	Payload string `json:"payload,omitempty"`
	OS      string `json:"os,omitempty"`
	rules.Explanation
	Help string `json:"help,omitempty"`
}

func write(w io.Writer, d document) error {
	d.Schema = Schema
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(d)
}

func toJSON(r *rules.Rule) ruleJSON {
	return ruleJSON{Rule: r, Code: r.Code(0).String(), Help: r.Help()}
}

// WriteTableJSON writes every row and every policy.
func WriteTableJSON(w io.Writer) error {
	d := document{Policies: rules.Policies()}
	for _, r := range rules.All() {
		d.Rules = append(d.Rules, toJSON(r))
	}
	return write(w, d)
}

// WriteRuleJSON writes one row.
func WriteRuleJSON(w io.Writer, r *rules.Rule) error {
	return write(w, document{Rules: []ruleJSON{toJSON(r)}})
}

// WriteExplanationJSON writes what a code says. Numbers of 64 bits are strings.
func WriteExplanationJSON(w io.Writer, x rules.Explanation) error {
	j := &explanationJSON{Explanation: x, Target0: fmt.Sprintf("%#x", x.Code.Target())}
	if x.HavePayload {
		j.Payload = fmt.Sprintf("%#x", x.Payload)
	}
	if x.OS.Known() {
		j.OS = x.OS.String()
	}
	if x.Rule != nil {
		j.Rule, j.Help = x.Rule.Name, x.Rule.Help()
	}
	if x.Case != nil {
		j.Case = x.Case.ID
	}
	return write(w, document{Explanation: j})
}

// WriteBareJSON writes what a number standing alone can be.
func WriteBareJSON(w io.Writer, readings []rules.Bare) error {
	if readings == nil {
		readings = []rules.Bare{}
	}
	return write(w, document{Readings: readings})
}
