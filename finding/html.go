package finding

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"strconv"
	"strings"

	"portcullis.dev/rules"
)

// HTMLOptions says what a page tells beside the report.
type HTMLOptions struct {
	Title   string // "" stands for "Portcullis"
	Version string // of the tool
}

var (
	//go:embed report.html
	htmlPage string
	//go:embed report.css
	htmlStyle string
	//go:embed report.js
	htmlScript string

	htmlTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
		"id":    htmlID,
		"parts": func(name string) []string { return strings.SplitAfter(name, "_") },
	}).Parse(htmlPage))
)

// The page as the template sees it. All texts are [Printable] already.
type (
	htmlReport struct {
		Title, Version, Headline, Caution, Policy string
		Style                                     template.CSS
		Script                                    template.JS
		Levels                                    []htmlLevel
		Groups                                    []htmlGroup
		Unread, Notes                             []htmlNote
		Explain                                   bool
		Facts                                     []htmlFact
		Programs                                  []htmlProgram
		MorePrograms                              int
		Compared                                  string
		Gone                                      []string
		GoneSince                                 string
		MoreGone                                  int
	}
	htmlLevel struct {
		Name   string
		Judged bool
	}
	htmlGroup struct {
		Name, Title, Help, Code string
		Kills                   bool
		Cells                   []htmlCell
		Remedies                []string
		Findings, Folded        []htmlFinding // those that are shown, and those behind a fold
	}
	htmlCell struct {
		Count, Heat int
		Judged      bool
	}
	htmlFinding struct {
		ID, Function, Symbol, File, Arch, Confidence, Verdict, Call, Message, Arguments string
		Inlined, SDK, SDKSource, Code, Head                                             string
		Change                                                                          Change
		MoreEvidence                                                                    int
		Kills, Explain                                                                  bool
		Chain, Evidence, Backtrace                                                      []string
	}
	htmlNote struct{ Place, Text string }
	htmlFact struct{ Name, Value string }
)

// Limits of what the page shows. The JSON form has everything.
const (
	maxHTMLOpen = 25  // findings of a restriction before the fold
	maxHTMLGone = 200 // findings that an earlier version had
)

// WriteHTML writes a report as one page that needs nothing beside itself: no script from elsewhere, no file, no
// font; its pictures are drawn in it. It follows the reader's light or dark theme and reads without its script, which only filters.
func WriteHTML(w io.Writer, r *Report, o HTMLOptions) error {
	r.Finish()
	if o.Title == "" {
		o.Title = "Portcullis"
	}
	page := htmlReport{
		Title: Printable(o.Title), Version: Printable(o.Version), Headline: sentence(Printable(r.headline()), ""),
		Style: template.CSS(htmlStyle), Script: template.JS(htmlScript), Explain: r.Moment == MomentExplain,
		Policy: "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + sourceHash(htmlStyle) +
			"; script-src " + sourceHash(htmlScript),
	}
	if !page.Explain && len(r.Findings) == 0 && !r.empty() {
		page.Caution = caution
	}
	for _, l := range rules.Levels() {
		page.Levels = append(page.Levels, htmlLevel{Name: l.String(), Judged: l.String() == r.Summary.Level})
	}
	for _, g := range groups(r.Findings) {
		page.Groups = append(page.Groups, r.htmlGroup(g))
	}
	page.Programs, page.MorePrograms = r.htmlPrograms()
	if c := r.Comparison; c != nil {
		page.Compared, page.GoneSince = sentence(Printable(c.headline()), ""), Printable(c.With)
		for i := range c.Gone {
			if i == maxHTMLGone {
				page.MoreGone = len(c.Gone) - i
				break
			}
			page.Gone = append(page.Gone, Printable(c.Gone[i].inShort()))
		}
	}
	for i := range r.Unread {
		u := &r.Unread[i]
		n := htmlNote{Place: Printable((&Where{Path: u.Path, Member: u.Member}).file()), Text: Printable(u.Reason)}
		if u.Offset > 0 {
			n.Text = "at offset " + strconv.FormatInt(u.Offset, 10) + ": " + n.Text
		}
		page.Unread = append(page.Unread, n)
	}
	for _, n := range r.Notes {
		page.Notes = append(page.Notes, htmlNote{
			Place: Printable((&Where{Path: n.Path, Member: n.Member}).file()), Text: Printable(n.Message)})
	}
	page.Facts = r.htmlFacts()
	var b bytes.Buffer
	if err := htmlTemplate.Execute(&b, &page); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// htmlFacts are the figures at the top of the page.
func (r *Report) htmlFacts() []htmlFact {
	kills := 0
	for i := range r.Findings {
		if r.Findings[i].KillsHere {
			kills++
		}
	}
	images := "images read"
	facts := []htmlFact{}
	if r.Moment == MomentExplain {
		images = "reports read"
		facts = append(facts, htmlFact{"violations", strconv.Itoa(len(r.Findings))})
	} else {
		level := r.Summary.Level
		if level == "" {
			level = "as declared"
		}
		facts = append(facts, htmlFact{"judged at level", Printable(level)},
			htmlFact{"findings", strconv.Itoa(len(r.Findings))},
			htmlFact{"that kill there", strconv.Itoa(kills)})
	}
	facts = append(facts, htmlFact{images, strconv.Itoa(r.Summary.Images)})
	if r.Summary.Suppressed > 0 {
		facts = append(facts, htmlFact{"known, left out", strconv.Itoa(r.Summary.Suppressed)})
	}
	return append(facts, htmlFact{"not read", strconv.Itoa(len(r.Unread))})
}

// htmlGroup prepares what the page shows of one restriction.
func (r *Report) htmlGroup(g *group) htmlGroup {
	h := htmlGroup{Name: Printable(g.Name), Title: sentence(Printable(g.Title()), ""), Help: helpURI(g.Help),
		Code: printableLines(g.Code()), Kills: g.Kills}
	for _, remedy := range g.Remedies {
		h.Remedies = append(h.Remedies, Printable(remedy))
	}
	for _, l := range rules.Levels() {
		n := g.killsAt(l)
		h.Cells = append(h.Cells, htmlCell{Count: n, Heat: heat(n), Judged: l.String() == r.Summary.Level})
	}
	for i, e := range g.entries() {
		if i < maxHTMLOpen {
			h.Findings = append(h.Findings, r.htmlFinding(e))
		} else {
			h.Folded = append(h.Folded, r.htmlFinding(e))
		}
	}
	return h
}

// htmlFinding prepares what the page shows of one finding.
func (r *Report) htmlFinding(e *entry) htmlFinding {
	f := e.Finding
	w := &f.Where
	h := htmlFinding{
		ID: Printable(f.Fingerprint), Function: "a function without a name",
		File: Printable(w.file()), Arch: Printable(e.archs()),
		Confidence: Printable(string(f.Confidence)), Verdict: sentence(Printable(r.verdict(f)), ""), Call: Printable(e.call()),
		Message: sentence(Printable(f.Message), ""), Arguments: Printable(f.arguments()), Kills: f.KillsHere,
		Inlined: Printable(w.inlined()), Change: f.Change, Backtrace: printableAll(f.Backtrace), Chain: printableAll(f.Chain),
	}
	h.Evidence = printableAll(f.Evidence[:min(len(f.Evidence), maxEvidence)])
	h.MoreEvidence = len(f.Evidence) - len(h.Evidence)
	if w.Function != "" {
		h.Function, h.Symbol = f.function(), Printable(w.Function)
	}
	if f.Moment == MomentExplain {
		h.Call, h.Explain = Printable(crashPlace(f)), true
	}
	if f.SDK != nil {
		h.SDK, h.SDKSource = Printable(f.SDK.about()), webPage(f.SDK.Source)
	}
	if f.Code != nil {
		h.Code = f.Code.String()
		if f.Payload != "" {
			h.Code += ", payload " + Printable(f.Payload)
		}
	}
	if len(h.Chain) > 0 {
		h.Chain = append(h.Chain, h.Function)
		if f.Callee != "" {
			h.Chain = append(h.Chain, Printable(f.Callee))
		}
	}
	return h
}

// printableAll is Printable for each of a list.
func printableAll(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, Printable(s))
	}
	return out
}

// sourceHash allows one inline text in a Content-Security-Policy.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// htmlID makes an anchor of a name.
func htmlID(name string) string {
	return "rule-" + strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '_':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
}
