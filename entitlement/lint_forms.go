package entitlement

import (
	"fmt"
	"slices"
	"strings"

	"portcullis.dev/rules"
)

// forms looks at the XML and the DER of a signature, and at the text of an XML property list.
func (l *linter) forms() {
	if s := l.in.Signature; s != nil {
		for _, b := range s.Broken {
			l.add("unsealed", SeverityError, Entry{}, "", "%s; the kernel does not use such a signature, sign again", b)
		}
	}
	switch {
	case l.in.XML != nil && l.in.DER != nil:
		l.disagreement()
	case l.in.XML != nil && l.in.XML.Len() > 0 && l.in.needsDER():
		l.add("der-missing", SeverityError, Entry{}, "", "the signature has XML entitlements and no DER: iOS 15, tvOS 15, "+
			"watchOS 8 and later do not launch it (Apple: Using the latest code signature format); sign with "+
			"codesign --generate-entitlement-der")
	case l.in.XML != nil && l.in.XML.Len() > 0:
		l.add("der-missing", SeverityWarning, Entry{}, "",
			"the signature has XML entitlements and no DER; macOS still reads "+
				"them, codesign writes both since macOS 12")
	}
	for _, s := range []*Set{l.in.Plist, l.in.Note, l.in.XML} {
		if s == nil {
			continue
		}
		for _, r := range s.Repeated {
			last, _ := s.Get(r.Key)
			l.add("repeated-key", SeverityWarning, r, "", "%s stands here and again on %s; which one counts depends on the "+
				"reader", r.Key, last.At)
		}
	}
}

func (l *linter) disagreement() {
	diffs := Compare(l.in.XML, l.in.DER)
	if len(diffs) == 0 {
		return
	}
	const most = 5
	sev := SeverityWarning
	var words []string
	for i, d := range diffs {
		if decides(d.Key) {
			sev = SeverityError
		}
		if i < most {
			words = append(words, d.String())
		}
	}
	if len(diffs) > most {
		words = append(words, fmt.Sprintf("%d more", len(diffs)-most))
	}
	first := Entry{Key: diffs[0].Key}
	if diffs[0].DER != nil {
		first = *diffs[0].DER
	}
	l.add("xml-der-differ", sev, first, "",
		"XML and DER entitlements disagree, and the kernel reads the DER: %s; sign again",
		strings.Join(words, "; "))
}

// decides reports whether a key has a say in what this package decides.
func decides(key string) bool {
	return strings.HasPrefix(key, hardenedPrefix) || strings.HasPrefix(key, legacyHardenedPrefix) ||
		slices.Contains(browserKeys, key) || isEffectKey(key)
}

// profile compares what the program claims with what its provisioning profile allows.
func (l *linter) profile() {
	p := l.in.Profile
	if p == nil || l.set == nil {
		return
	}
	for _, e := range l.set.Entries {
		if !strings.HasPrefix(e.Key, hardenedPrefix) {
			continue
		}
		allowed, ok := p.Entitlements.Get(e.Key)
		name := p.Name
		if name == "" {
			name = p.UUID
		}
		switch {
		case !ok && strings.HasPrefix(e.Key, KeyHardenedProcess):
			l.add("profile-key", SeverityWarning, e, "", "%s is not in the provisioning profile %q: where the key is "+
				"restricted, the system refuses to install or launch; add the capability and renew the profile", e.Key, name)
		case ok && allowed.Value.Equal(String("*")) && e.Value.Kind != KindString:
			fix := ""
			if e.Key == KeyRestrictions {
				fix = plistLines(pairRestrictions)
			} else if e.Key == KeyVersion {
				fix = plistLines(pairVersion)
			}
			l.add("profile-wildcard", SeverityWarning, e, fix, "%s is %s, and the provisioning profile %q allows the string "+
				"\"*\": the types do not match, and systems before 26 refuse to install (Apple developer forums, thread 806195)",
				e.Key, e.Value.Kind.WithArticle(), name)
		case ok && !permits(allowed.Value, e.Value):
			l.add("profile-value", SeverityWarning, e, "", "%s is %s, and the provisioning profile %q allows %s", e.Key, e.Value,
				name, allowed.Value)
		}
	}
}

// permits mirrors how a profile's value allows a claim: the same value, a string pattern with a trailing "*", or a list
// that holds one of these (Apple technote TN3125, Inside Code Signing: Provisioning Profiles).
func permits(allowed, claimed Value) bool {
	if allowed.Equal(claimed) {
		return true
	}
	if allowed.Kind == KindArray {
		return slices.ContainsFunc(allowed.List, func(a Value) bool { return permits(a, claimed) })
	}
	if allowed.Kind == KindString && claimed.Kind == KindString {
		prefix, wild := strings.CutSuffix(allowed.Str, "*")
		return wild && strings.HasPrefix(claimed.Str, prefix)
	}
	return false
}

// unknownKeys finds keys of the family that nobody reads, and keys a slip away from one that is read.
func (l *linter) unknownKeys() {
	if l.set == nil {
		return
	}
	known := slices.Clone(hardenedKeys)
	known = append(known, browserKeys...)
	for _, k := range effectKeys {
		known = append(known, k.key)
	}
	for _, e := range l.set.Entries {
		if slices.Contains(known, e.Key) || strings.HasPrefix(e.Key, legacyHardenedPrefix) {
			continue
		}
		family := strings.HasPrefix(strings.ToLower(e.Key), hardenedPrefix+".")
		near, slips := nearest(e.Key, known)
		limit := 2
		if family {
			limit = max(2, (len(e.Key)-len(hardenedPrefix))/4)
		}
		switch {
		case near != "" && slips <= limit:
			v := e.Value
			if near == KeyRestrictionsString {
				v = String("2")
			}
			fix := ""
			if v.Kind == KindBool || v.Kind == KindInteger || v.Kind == KindString {
				fix = plistLines(Pair{near, v})
			}
			sev := SeverityError
			if !family && !strings.HasPrefix(near, hardenedPrefix) {
				sev = SeverityWarning
			}
			l.add("unknown-key", sev, e, fix, "%s is no key that the kernel knows, so it has no effect; %s was probably meant",
				e.Key, near)
		case family:
			l.add("unknown-key", SeverityWarning, e, "", "%s is no key that this version of Portcullis knows", e.Key)
		}
	}
}

// nearest returns the known key with the smallest edit distance to key, and that distance.
// Long keys are cut: no key that is known comes near the limit.
func nearest(key string, known []string) (string, int) {
	const most = 256 // bytes compared
	best, slips := "", len(key)+1
	for _, k := range known {
		if d := len(k) - len(key); d >= slips || -d >= slips {
			continue
		}
		if n := rules.EditDistance(key[:min(len(key), most)], k[:min(len(k), most)]); n < slips {
			best, slips = k, n
		}
	}
	return best, slips
}

// LintSlices returns the advice about a file as a whole: slices of one program whose entitlements give different
// answers, so that the answer depends on the processor.
func LintSlices(slice []Inputs) []Issue {
	if len(slice) < 2 {
		return nil
	}
	first, _ := slice[0].Effective()
	for _, other := range slice[1:] {
		set, _ := other.Effective()
		var keys []string
		for _, d := range Compare(first, set) {
			keys = append(keys, d.Key)
		}
		a, b := Decide(slice[0]), Decide(other)
		if len(keys) == 0 && a.Level == b.Level {
			continue
		}
		what := "other entitlements"
		if len(keys) > 0 {
			what = "other values of " + joinWords(keys[:min(len(keys), 5)])
		}
		sev := SeverityWarning
		if a.Level != b.Level || a.Line != b.Line {
			sev = SeverityError
		}
		return []Issue{{ID: "slices-differ", Severity: sev, Message: fmt.Sprintf(
			"the slices disagree: %s gives level %s, %s has %s and gives level %s; sign both with the same file",
			slice[0].Arch, a.Level, other.Arch, what, b.Level)}}
	}
	return nil
}
