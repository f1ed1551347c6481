package finding

import (
	"fmt"
	"strings"

	"portcullis.dev/rules"
)

// htmlProgram is a program as the page shows it.
type (
	htmlProgram struct {
		ID, Name, File, Judged, Ready string
		Open                          bool // few programs, so that all can be shown at once
		Picture                       *picture
		Cells                         []htmlStatus
		Components                    []htmlComponent
		More                          int // components that have no room
	}
	htmlComponent struct {
		Name, File, Owner, Why, SDK, Conform string
		Vendor                               bool
		What                                 []string
		Cells                                []htmlStatus
	}
	htmlStatus struct {
		Status         Status
		Sure, Possible int
		Heat           int
		Judged         bool
		Level          string
	}
)

// Limits of the table of programs.
const (
	maxHTMLPrograms   = 60
	maxHTMLComponents = 40

	maxHTMLOpenPrograms = 4
)

// htmlPrograms prepares the table of programs, and returns how many have no room in it.
func (r *Report) htmlPrograms() (out []htmlProgram, more int) {
	held := r.held()
	for i := range r.Programs {
		if i == maxHTMLPrograms {
			return out, len(r.Programs) - i
		}
		p := &r.Programs[i]
		h := htmlProgram{ID: fmt.Sprintf("program-%d", i+1), Open: len(r.Programs) <= maxHTMLOpenPrograms, Name: Printable(p.title()), File: Printable((&Where{Path: p.Path, Member: p.Member}).file()),
			Judged: Printable(p.judged()), Ready: sentence(p.ready(), "")}
		if i < maxPictures {
			h.Picture = r.draw(p, held, i+1)
		}
		for _, l := range rules.Levels() {
			s := htmlStatus{Status: p.status(l), Judged: l == p.Level, Level: l.String()}
			for _, c := range p.Components {
				sure, possible := c.kills(l)
				s.Sure, s.Possible = s.Sure+sure, s.Possible+possible
			}
			s.Heat = heat(s.Sure)
			h.Cells = append(h.Cells, s)
		}
		for j, c := range p.Components {
			if j == maxHTMLComponents {
				h.More = len(p.Components) - j
				break
			}
			hc := htmlComponent{Name: Printable(strings.TrimSpace(c.Name + " " + c.Version)), Owner: c.Owner.phrase(),
				File: Printable((&Where{Path: c.Path, Member: c.Member}).file()), Why: Printable(c.Why),
				Vendor: c.Owner == OwnerVendor, Conform: sentence(Printable(c.conform()), ""), What: printableAll(c.what())}
			if c.SDK != nil {
				hc.SDK = Printable(strings.TrimSpace(c.SDK.Name + " " + c.SDK.Version))
			}
			for _, l := range rules.Levels() {
				sure, possible := c.kills(l)
				hc.Cells = append(hc.Cells, htmlStatus{Status: c.status(l), Sure: sure, Possible: possible, Heat: heat(sure),
					Judged: l == p.Level, Level: l.String()})
			}
			h.Components = append(h.Components, hc)
		}
		out = append(out, h)
	}
	return out, 0
}
