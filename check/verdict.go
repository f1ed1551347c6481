package check

import (
	"portcullis.dev/check/flow"
	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// verdict is what the arguments of one call prove. A call that violates nothing has none.
type verdict struct {
	rule       *rules.Rule
	killsFrom  rules.Level
	confidence finding.Confidence
	code       *rules.Code
	payload    string
	message    string
	arguments  map[string]string
	evidence   []string
	// waiver is the entitlement of a program in which the call is allowed; "" where there is none.
	waiver string
	// needs is the entitlement of a program in which alone the call is forbidden; "" where it is in all.
	needs string
	// restores tells that the call puts back what was there before, so that its being in software which is known to
	// violate proves nothing.
	restores bool
}

// proof gathers what stands between a call and certainty.
type proof struct {
	evidence []string
	doubts   []string
}

// see adds what is known of an argument to the evidence.
func (p *proof) see(name string, v flow.Value) {
	for _, w := range v.Why() {
		p.evidence = append(p.evidence, name+": "+w)
	}
}

// doubt adds a reason why the call may be harmless after all.
func (p *proof) doubt(why string) { p.doubts = append(p.doubts, why) }

// facts returns the evidence with the doubts behind it.
func (p *proof) facts() []string {
	out := p.evidence
	for _, d := range p.doubts {
		out = append(out, "not certain: "+d)
	}
	return out
}

// confidence grades a violation that happens on every path (always), on a path that is proven (some), or on none that
// could be proven.
func (p *proof) confidence(always, some bool) finding.Confidence {
	switch {
	case always && len(p.doubts) == 0:
		return finding.Certain
	case some:
		return finding.Likely
	}
	return finding.Possible
}

// weaker returns the next lower confidence.
func weaker(c finding.Confidence) finding.Confidence {
	if c == finding.Certain {
		return finding.Likely
	}
	return finding.Possible
}
