package rules

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	if err := Validate(); err != nil {
		t.Fatal(err)
	}
}

// TestValidateFails spoils one row at a time and wants the validator to say so.
func TestValidateFails(t *testing.T) {
	rule := func(rows []*Rule, name string) *Rule {
		for _, r := range rows {
			if r.Name == name {
				return r
			}
		}
		t.Fatalf("no rule %s", name)
		return nil
	}
	tests := []struct {
		name  string
		spoil func(rows []*Rule, ps []Policy)
		want  string
	}{
		{"number twice", func(rows []*Rule, _ []Policy) { rule(rows, "DESTROY").Flavor = 0x04 }, "number 0x4 is " +
			"that of"},
		{"name twice", func(rows []*Rule, _ []Policy) { rule(rows, "DESTROY").Name = "SET_CONTEXT" }, "name is used " +
			"twice"},
		{"anchor twice", func(rows []*Rule, _ []Policy) { rule(rows, "UNGUARDED").Name = "FD_CLOSE" }, "anchor"},
		{"bad anchor", func(rows []*Rule, _ []Policy) { rule(rows, "DESTROY").Name = "DE STROY" }, "anchor"},
		{"alias of another", func(rows []*Rule, _ []Policy) { rule(rows, "DESTROY").Aliases = []string{"UNGUARDED"} },
			"name of another rule"},
		{"no source", func(rows []*Rule, _ []Policy) { rule(rows, "DESTROY").Sources = nil }, "no source"},
		{"no remedy", func(rows []*Rule, _ []Policy) { rule(rows, "DESTROY").Remedy = "" }, "no remedy"},
		{"no sentence", func(rows []*Rule, _ []Policy) { rule(rows, "DESTROY").Happened = "It" }, "full stop"},
		{"no example", func(rows []*Rule, _ []Policy) { rule(rows, "ILLEGAL_MOVE").Right = "" }, "without example"},
		{"five documented", func(rows []*Rule, _ []Policy) { rule(rows, "ILLEGAL_MOVE").Documented = false }, "want 6"},
		{"soft that kills", func(rows []*Rule, _ []Policy) { rule(rows, "OVERDEALLOC_SOFT").KillsFrom = Level2 },
			"soft, yet kills"},
		{"fatal that does " +
			"not", func(rows []*Rule, _ []Policy) { rule(rows, "DESTROY").KillsFrom = Never }, "never kills"},
		{"class against range", func(rows []*Rule, _ []Policy) { rule(rows, "INVALID_NAME").Class = Fatal }, "range"},
		{"optional at level 2", func(rows []*Rule, _ []Policy) { rule(rows, "INVALID_NAME").KillsFrom = Level2 }, "level 1"},
		{"flavor too large", func(rows []*Rule, _ []Policy) { rule(rows, "VNG_LINK").Flavor = 1 << 29 }, "29 bits"},
		{"level against cases", func(rows []*Rule, _ []Policy) { rule(rows, "THREAD_SET_STATE").KillsFrom = Level3 },
			"its cases from 1"},
		{"case twice", func(rows []*Rule, _ []Policy) {
			r := rule(rows, "ILLEGAL_MOVE")
			r.Cases = append(append([]Case{}, r.Cases...), r.Cases[0])
		}, "is there twice"},
		{"case without policy", func(rows []*Rule, _ []Policy) {
			r := rule(rows, "KOBJECT_REPLY_PORT_SEMANTICS")
			r.Cases = []Case{r.Cases[0]}
			r.Cases[0].Policy = "GONE"
		}, "does not exist"},
		{"level against policy", func(_ []*Rule, ps []Policy) { ps[1].From = Level1 }, "its policy from 1"},
		{"history out of order", func(rows []*Rule, _ []Policy) {
			r := rule(rows, "ILLEGAL_MOVE")
			r.History = append([]Era{}, r.History...)
			r.History[1].From = Version{27, 0}
		}, "out of order"},
		{"history ends " +
			"otherwise", func(rows []*Rule, _ []Policy) { rule(rows, "SET_EXCEPTION_BEHAVIOR").Payload = PayloadGuard },
			"history ends otherwise"},
		{"history begins " +
			"otherwise", func(rows []*Rule, _ []Policy) { rule(rows, "SET_EXCEPTION_BEHAVIOR").Since = Version{9, 9} },
			"its history begins"},
		{"enforced without guard", func(_ []*Rule, ps []Policy) { ps[0].Flavor = 0 }, "not a fatal one"},
		{"enforced with soft guard", func(_ []*Rule, ps []Policy) { ps[0].Flavor = 0x100004 }, "not a fatal one"},
		{"telemetry with a fatal guard", func(_ []*Rule, ps []Policy) { ps[4].Flavor = 0x07 }, "not a soft one"},
		{"analytics with a guard", func(_ []*Rule, ps []Policy) { ps[7].Flavor = 0x100007 }, "raise no guard"},
		{"telemetry unreported", func(_ []*Rule, ps []Policy) { ps[7].Report = ReportNone }, "telemetry, but reported"},
		{"no mode", func(_ []*Rule, ps []Policy) { ps[15].Mode = 0 }, "no mode"},
		{"off but reporting", func(_ []*Rule, ps []Policy) { ps[15].Report = ReportAnalytics }, "off, yet"},
		{"policy out of place", func(_ []*Rule, ps []Policy) { ps[3].ID = 9 }, "is at place 4"},
		{"guard of no rule", func(_ []*Rule, ps []Policy) { ps[5].Flavor = 0x60 }, "is no rule"},
		{"policy without " +
			"case", func(rows []*Rule, _ []Policy) { rule(rows, "SERVICE_PORT_VIOLATION_FATAL").Cases = nil },
			"no case for the policy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var rows []*Rule
			for _, r := range All() {
				c := *r
				rows = append(rows, &c)
			}
			ps := Policies()
			tt.spoil(rows, ps)
			err := validate(rows, ps)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("validate: %v, want an error with %q", err, tt.want)
			}
		})
	}
}
