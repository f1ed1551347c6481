package rules

import (
	"slices"
	"strings"
	"sync"
)

// table is every row in the order of the documentation: the six first, then by guard type and flavor.
var table = sync.OnceValue(func() []*Rule {
	var all []*Rule
	for _, group := range [][]Rule{
		documentedRules, fatalPortRules, optionalPortRules, softPortRules,
		fdRules, userRules, vnRules, memoryRules, syscallRules,
	} {
		for i := range group {
			all = append(all, &group[i])
		}
	}
	return all
})

// All returns every rule: the six of Apple's documentation first, then by guard type and number. The rules are shared;
// do not change them.
func All() []*Rule { return slices.Clone(table()) }

// Documented returns the six rules of Apple's documentation.
func Documented() []*Rule {
	var out []*Rule
	for _, r := range table() {
		if r.Documented {
			out = append(out, r)
		}
	}
	return out
}

// names lists every name a rule answers to.
func (r *Rule) names() []string {
	names := append([]string{r.Name, r.ReportCrash, r.Enum, strings.TrimPrefix(r.Enum, "kGUARD_EXC_")}, r.Aliases...)
	for _, a := range r.Aliases {
		names = append(names, strings.TrimPrefix(a, "kGUARD_EXC_"))
	}
	for _, e := range r.History {
		names = append(names, e.Enum)
	}
	return slices.DeleteFunc(names, func(s string) bool { return s == "" })
}

// byName is made in two passes, so that a name one rule owns is never lost to the alias of another.
var byName = sync.OnceValue(func() map[string]*Rule {
	m := make(map[string]*Rule)
	for _, r := range table() {
		if _, taken := m[foldName(r.Name)]; !taken {
			m[foldName(r.Name)] = r
		}
	}
	for _, r := range table() {
		for _, n := range r.names() {
			if _, taken := m[foldName(n)]; !taken {
				m[foldName(n)] = r
			}
		}
	}
	return m
})

func foldName(s string) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", " ", "_").Replace(strings.TrimSpace(s)))
}

// ByName finds a rule by its canonical name, the name ReportCrash prints, XNU's enumeration name with or without
// prefix, or an alias, in any case.
func ByName(name string) (*Rule, bool) {
	r, ok := byName()[foldName(name)]
	return r, ok
}

// ByCode finds the rule that the newest kernel means by a code or, where it means none, the rule that an older one
// meant. [Explain] knows of numbers that changed their meaning.
func ByCode(c Code) (*Rule, bool) {
	flavor := c.Flavor()
	if c.Type() == GuardVirtMemory {
		flavor &^= tagSoftMode
	}
	cs := joined(candidatesFor(c.Type(), flavor))
	for i := range cs {
		if !cs[i].until.Known() {
			return cs[i].rule, true
		}
	}
	if len(cs) > 0 {
		return cs[0].rule, true
	}
	return nil, false
}

// numbered reports whether flavor 0 is a number of the guard type and not the lack of one.
func (t GuardType) numbered() bool {
	return t == GuardMachPort || t == GuardVirtMemory || t == GuardFD || t == GuardVN
}

// candidatesFor returns the eras in which a number had a meaning, in the order of the table.
func candidatesFor(t GuardType, flavor uint32) []candidate {
	if flavor == 0 && t.numbered() {
		return nil
	}
	var out []candidate
	for _, r := range table() {
		if r.Guard != t {
			continue
		}
		eras := r.Eras()
		for i, e := range eras {
			if e.Flavor != flavor {
				continue
			}
			c := candidate{rule: r, era: e}
			if i+1 < len(eras) {
				c.until = eras[i+1].From
			}
			out = append(out, c)
		}
	}
	return out
}

// joined joins eras that follow each other without a change of meaning. What was said of one alone is dropped.
func joined(cs []candidate) []candidate {
	var out []candidate
	for _, c := range cs {
		if last := len(out) - 1; last >= 0 && goesOn(out[last], c) {
			c.era.From, c.era.Note, c.era.Unsure = out[last].era.From, "", ""
			out[last] = c
			continue
		}
		out = append(out, c)
	}
	return out
}

// goesOn reports whether d begins where c ends and means the same.
func goesOn(c, d candidate) bool {
	return c.rule == d.rule && c.until == d.era.From && c.era.Target == d.era.Target && c.era.Payload == d.era.Payload &&
		c.era.Class == d.era.Class && c.era.KillsFrom == d.era.KillsFrom
}

// Suggest returns the canonical names of rules whose names come near to one that is not known, nearest first, at most
// five.
func Suggest(name string) []string {
	type near struct {
		rule *Rule
		far  int
	}
	want := foldName(name)
	if want == "" || len(want) > 80 {
		return nil // nothing, or longer than any name
	}
	var found []near
	for _, r := range table() {
		best := len(want) // farther than any match worth showing
		for _, n := range r.names() {
			n = foldName(n)
			d := EditDistance(want, n)
			if len(want) >= 3 && strings.Contains(n, want) {
				d = min(d, 1)
			}
			best = min(best, d)
		}
		if best <= max(2, len(want)/3) {
			found = append(found, near{r, best})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return a.far - b.far })
	var out []string
	for _, n := range found[:min(5, len(found))] {
		out = append(out, n.rule.Name)
	}
	return out
}

// EditDistance counts the bytes to insert, delete or replace to make one word of another: how [Suggest] and others that
// guess what was meant compare names. It takes time in proportion to the product of the lengths; cut what is not trusted.
func EditDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next := min(row[j]+1, row[j-1]+1, diagonal+cost)
			diagonal, row[j] = row[j], next
		}
	}
	return row[len(b)]
}
