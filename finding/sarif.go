package finding

import (
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"portcullis.dev/rules"
)

// SARIFOptions says who writes a SARIF log and where its paths begin.
type SARIFOptions struct {
	Version  string // of the tool
	Revision string // commit the tool was built from, may be empty
	// Root is the folder to which paths in the log are relative: absolute path, normally the working folder. Empty
	// leaves paths as they are.
	Root string
	// Exists reports whether a source file, relative to Root, is there; a finding whose source is there is shown at its
	// line. nil stands for no source at all.
	Exists func(path string) bool
}

// GitHub's demands on top of the standard (GitHub Docs, "SARIF support for code scanning"): each result has a rule, a
// message, a location with start and end of a region and a fingerprint; texts of rules have a limit; so has the
// number of results.
const (
	maxSARIFText    = 1024 // shortDescription and fullDescription, in characters
	maxSARIFResults = 25000
	maxExact        = 1 << 53 // larger numbers lose digits in many JSON readers
	sarifSchemaURI  = "https://json.schemastore.org/sarif-2.1.0.json"
	home            = "https://portcullis.dev/"
	hashKey         = "primaryLocationLineHash" // the one key of partialFingerprints that GitHub reads
)

// The parts of SARIF 2.1.0 that are written, with OASIS's names.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Automation  *sarifAutomation  `json:"automationDetails,omitempty"`
		Invocations []sarifInvocation `json:"invocations"`
		ColumnKind  string            `json:"columnKind"`
		Results     []sarifResult     `json:"results"`
		Properties  *sarifRunBag      `json:"properties,omitempty"`
	}
	sarifRunBag struct {
		Summary Summary `json:"summary"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		SemVer         string      `json:"semanticVersion,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifRule struct {
		ID     string       `json:"id"`
		Name   string       `json:"name"`
		Short  sarifText    `json:"shortDescription"`
		Full   sarifText    `json:"fullDescription"`
		Config sarifConfig  `json:"defaultConfiguration"`
		Help   sarifText    `json:"help"`
		Page   string       `json:"helpUri"`
		Bag    sarifRuleBag `json:"properties"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifRuleBag struct {
		Tags      []string `json:"tags"`
		Precision string   `json:"precision"`
		Severity  string   `json:"problem.severity"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Kind         string            `json:"kind"`
		Level        string            `json:"level"`
		Baseline     string            `json:"baselineState,omitempty"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Related      []sarifLocation   `json:"relatedLocations,omitempty"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   sarifResultBag    `json:"properties"`
	}
	sarifResultBag struct {
		Confidence Confidence        `json:"confidence"`
		KillsFrom  rules.Level       `json:"killsFrom"`
		KillsHere  bool              `json:"killsHere"`
		Code       *rules.Code       `json:"code,omitempty"`
		Payload    string            `json:"payload,omitempty"`
		Arch       string            `json:"arch,omitempty"`
		Address    string            `json:"address,omitempty"`
		Callee     string            `json:"callee,omitempty"`
		Arguments  map[string]string `json:"arguments,omitempty"`
		Chain      []string          `json:"chain,omitempty"`
		SDK        *SDK              `json:"sdk,omitempty"`
	}
	sarifLocation struct {
		ID       int             `json:"id,omitempty"`
		Physical *sarifPhysical  `json:"physicalLocation,omitempty"`
		Logical  []sarifFunction `json:"logicalLocations,omitempty"`
		Message  *sarifText      `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
		Address  *sarifAddress `json:"address,omitempty"`
	}
	sarifArtifact struct {
		URI    string `json:"uri"`
		BaseID string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn"`
	}
	sarifAddress struct {
		Absolute uint64 `json:"absoluteAddress"`
		Kind     string `json:"kind"`
	}
	sarifFunction struct {
		Name      string `json:"name"`
		Decorated string `json:"decoratedName,omitempty"`
		Kind      string `json:"kind"`
	}
)

// WriteSARIF writes a report as a SARIF 2.1.0 log that code-scanning services accept. What could not be read stands in
// it as a notification of the tool, and the run is then marked as not successful.
func WriteSARIF(w io.Writer, r *Report, o SARIFOptions) error {
	r.Finish()
	run := sarifRun{
		Tool: sarifTool{Driver: sarifDriver{
			Name: "Portcullis", Version: Printable(o.Version), InformationURI: home, Rules: []sarifRule{},
		}},
		Invocations: []sarifInvocation{{Successful: len(r.Unread) == 0, Notifications: []sarifNotification{}}},
		ColumnKind:  "utf16CodeUnits",
		Results:     []sarifResult{},
		Properties:  &sarifRunBag{Summary: r.Summary},
	}
	if o.Revision != "" {
		run.Tool.Driver.Version = strings.TrimSpace(run.Tool.Driver.Version + " (" + Printable(o.Revision) + ")")
	}
	if v, ok := strings.CutPrefix(o.Version, "v"); ok {
		run.Tool.Driver.SemVer = Printable(v)
	}
	if r.Moment != "" {
		run.Automation = &sarifAutomation{ID: "portcullis/" + string(r.Moment) + "/"}
	}
	tell := &run.Invocations[0].Notifications
	for i := range r.Unread {
		u := &r.Unread[i]
		*tell = append(*tell, sarifNotification{Level: "error",
			Message:   sarifText{Text: "not read: " + Printable(u.String())},
			Locations: o.at(&Where{Path: u.Path, Member: u.Member})})
	}
	for _, n := range r.Notes {
		*tell = append(*tell, sarifNotification{Level: "note", Message: sarifText{Text: Printable(n.Message)},
			Locations: o.at(&Where{Path: n.Path, Member: n.Member})})
	}
	shown := r.Findings
	if len(shown) > maxSARIFResults {
		*tell = append(*tell, sarifNotification{Level: "warning", Message: sarifText{Text: fmt.Sprintf(
			"%d findings are more than a run may hold; the worst %d are listed", len(shown), maxSARIFResults)}})
		shown = slices.Clone(shown)
		slices.SortStableFunc(shown, func(a, b Finding) int { return severity(&b) - severity(&a) })
		shown = shown[:maxSARIFResults]
	}
	index := map[string]int{}
	for _, g := range groups(shown) {
		index[g.Name] = len(run.Tool.Driver.Rules)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, newSARIFRule(g))
	}
	for i := range shown {
		run.Results = append(run.Results, o.result(r, &shown[i], index[shown[i].Rule]))
	}
	return writeJSON(w, sarifLog{Schema: sarifSchemaURI, Version: "2.1.0", Runs: []sarifRun{run}})
}

// newSARIFRule describes a restriction.
func newSARIFRule(g *group) sarifRule {
	title := cut(Printable(sentence(g.Title(), g.Name)), maxSARIFText)
	rule := sarifRule{
		ID: ruleID(g.Name), Name: ruleID(g.Name), Short: sarifText{Text: title}, Full: sarifText{Text: title},
		Config: sarifConfig{Level: "error"}, Page: helpURI(g.Help),
		Bag: sarifRuleBag{Tags: []string{"security", "mach-ipc"}, Precision: "high", Severity: "error"},
	}
	var plain, mark strings.Builder
	if g.Rule != nil {
		if g.Rule.Documented {
			rule.Bag.Tags = append(rule.Bag.Tags, "documented")
		}
		if g.Rule.KillsFrom == rules.Never {
			rule.Config.Level, rule.Bag.Severity = "note", "recommendation"
		}
		if full := strings.TrimSpace(g.Rule.Happened + " " + g.Rule.Trigger); full != "" {
			rule.Full.Text = cut(Printable(full), maxSARIFText)
		}
		fmt.Fprintf(&plain, "%s\n\n%s\n", g.Rule.Trigger, sentence(fromLevel(g.Rule.KillsFrom), ""))
		fmt.Fprintf(&mark, "%s\n\n**%s**\n", g.Rule.Trigger, sentence(fromLevel(g.Rule.KillsFrom), ""))
	}
	for _, remedy := range g.Remedies {
		fmt.Fprintf(&plain, "\nInstead: %s\n", remedy)
		fmt.Fprintf(&mark, "\n### Instead\n\n%s\n", remedy)
	}
	if code := g.Code(); code != "" {
		fmt.Fprintf(&plain, "\n%s\n", code)
		fmt.Fprintf(&mark, "\n```c\n%s\n```\n", code)
	}
	if plain.Len() == 0 {
		plain.WriteString(title)
		mark.WriteString(title)
	}
	rule.Help = sarifText{Text: printableLines(strings.TrimSpace(plain.String())),
		Markdown: printableLines(strings.TrimSpace(mark.String()))}
	return rule
}

// ruleID is the name of a rule within the limit of the services, 255 characters.
func ruleID(name string) string { return cut(Printable(name), 255) }

// baselineStates are the words of the standard (SARIF 2.1.0, section 3.27.24).
var baselineStates = map[Change]string{
	ChangeNew: "new", ChangeWorse: "updated", ChangeBetter: "updated", ChangeSame: "unchanged"}

// result writes one finding.
func (o *SARIFOptions) result(r *Report, f *Finding, rule int) sarifResult {
	w := &f.Where
	res := sarifResult{
		RuleID: ruleID(f.Rule), RuleIndex: rule, Kind: "fail", Level: sarifLevel(f),
		Message: sarifText{Text: printableLines(sarifMessage(r, f))},
		Fingerprints: map[string]string{
			"portcullisFinding/v1": f.Fingerprint,
			hashKey:                f.Fingerprint + ":1",
		},
		Properties: sarifResultBag{Confidence: f.Confidence, KillsFrom: f.KillsFrom, KillsHere: f.KillsHere, Code: f.Code,
			Payload: f.Payload, Arch: w.Arch, Address: w.Address, Callee: f.Callee, Arguments: f.Arguments, Chain: f.Chain,
			SDK: f.SDK},
		Baseline: baselineStates[f.Change],
	}
	binary := sarifLocation{Physical: &sarifPhysical{Artifact: o.artifact(w.file()), Region: line(1)}}
	if a := address(w.Address); a > 0 && a < maxExact {
		binary.Physical.Address = &sarifAddress{Absolute: a, Kind: "instruction"}
	}
	if w.Function != "" {
		binary.Logical = []sarifFunction{{Name: f.function(), Decorated: Printable(w.Function), Kind: "function"}}
	}
	res.Locations = []sarifLocation{binary}
	if src := o.source(w); src != "" {
		at := sarifLocation{Physical: &sarifPhysical{Artifact: o.artifact(src), Region: line(w.Line)},
			Logical: binary.Logical}
		binary.ID, binary.Message = 1, &sarifText{Text: "the call in the binary"}
		res.Locations, res.Related = []sarifLocation{at}, []sarifLocation{binary}
	}
	return res
}

// sarifLevel grades a finding: an error kills for sure or likely, a warning possibly, a note does not kill here.
func sarifLevel(f *Finding) string {
	switch {
	case !f.KillsHere:
		return "note"
	case f.Confidence == Possible:
		return "warning"
	}
	return "error"
}

// sarifMessage is the text of a result. Services show its first sentence where space is short.
func sarifMessage(r *Report, f *Finding) string {
	var b strings.Builder
	b.WriteString(sentence(f.Message, f.Rule))
	fmt.Fprintf(&b, "\n\n%s: %s.", sentence(string(f.Confidence), "")[:len(f.Confidence)], r.verdict(f))
	if c := call(f); c != "" {
		fmt.Fprintf(&b, "\nCall: %s.", c)
	}
	if f.SDK != nil {
		fmt.Fprintf(&b, "\nThis is %s.", f.SDK.about())
	}
	if len(f.Chain) > 0 {
		fmt.Fprintf(&b, "\nLoaded: %s.", strings.Join(f.Chain, " -> "))
	}
	for i, e := range f.Evidence {
		if i == maxEvidence {
			fmt.Fprintf(&b, "\n- and %d more", len(f.Evidence)-i)
			break
		}
		b.WriteString("\n- " + e)
	}
	if f.Remedy != "" {
		b.WriteString("\n\nInstead: " + f.Remedy)
	}
	return b.String()
}

// at is the location of a notification.
func (o *SARIFOptions) at(w *Where) []sarifLocation {
	if w.file() == "" {
		return nil
	}
	return []sarifLocation{{Physical: &sarifPhysical{Artifact: o.artifact(w.file())}}}
}

// line is the region of one line.
func line(n int) *sarifRegion {
	n = max(n, 1)
	return &sarifRegion{StartLine: n, StartColumn: 1, EndLine: n, EndColumn: 2}
}

// source returns the source file of a finding, relative to Root, where it is known to be there.
func (o *SARIFOptions) source(w *Where) string {
	if o.Exists == nil || w.File == "" || w.Line <= 0 {
		return ""
	}
	p := o.relative(w.File)
	if filepath.IsAbs(p) || !filepath.IsLocal(p) || !o.Exists(p) {
		return ""
	}
	return p
}

// relative makes a path relative to Root where it lies inside.
func (o *SARIFOptions) relative(p string) string {
	if o.Root != "" {
		abs := p
		if !filepath.IsAbs(abs) {
			abs = filepath.Join(o.Root, p)
		}
		if rel, err := filepath.Rel(o.Root, abs); err == nil && filepath.IsLocal(rel) {
			return rel
		}
		return abs
	}
	return filepath.Clean(p)
}

// artifact is the address of a file: relative to the root of the sources where it lies inside, else absolute.
func (o *SARIFOptions) artifact(p string) sarifArtifact {
	switch p {
	case "":
		return sarifArtifact{URI: "unknown"}
	case "-":
		return sarifArtifact{URI: "stdin"}
	}
	p = filepath.ToSlash(o.relative(p))
	p = strings.ToValidUTF8(p, "\uFFFD")
	if strings.HasPrefix(p, "/") {
		return sarifArtifact{URI: (&url.URL{Scheme: "file", Path: p}).String()}
	}
	return sarifArtifact{URI: (&url.URL{Path: p}).String(), BaseID: "%SRCROOT%"}
}

// helpURI makes an absolute address of a page of the documentation.
func helpURI(help string) string {
	if u, err := url.Parse(help); err == nil && u.Scheme == "https" {
		return u.String()
	} else if err == nil && help != "" && u.Scheme == "" && u.Host == "" {
		return home + strings.TrimPrefix(u.String(), "/")
	}
	return home
}

// webPage is the address of a page of the web, "" for what is none: it would lead to somewhere beside the report.
func webPage(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
		return u.String()
	}
	return ""
}

// sentence makes a sentence of a phrase, or of a second one where the first is empty.
func sentence(s, otherwise string) string {
	if s = strings.TrimSpace(s); s == "" {
		s = strings.TrimSpace(otherwise)
	}
	if s == "" {
		return s
	}
	if word, _, _ := strings.Cut(s, " "); !strings.ContainsAny(word, "_(") { // a name stays as it is
		first, n := utf8.DecodeRuneInString(s)
		s = strings.ToUpper(string(first)) + s[n:]
	}
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// cut shortens text to at most n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// printableLines is Printable for text of several lines.
func printableLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\t", "    "), "\n")
	for i := range lines {
		lines[i] = Printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
