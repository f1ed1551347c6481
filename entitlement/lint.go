package entitlement

import (
	"fmt"
	"slices"
	"strings"

	"portcullis.dev/rules"
)

// Severity grades an [Issue].
type Severity string

const (
	SeverityError   Severity = "error"   // the program does not start, or does not get what its keys claim
	SeverityWarning Severity = "warning" // works by luck, or only on some systems
	SeverityNote    Severity = "note"    // worth knowing
)

// Issue is one piece of advice.
type Issue struct {
	ID       string   `json:"id"` // stable, such as "string-key-type"; docs/entitlements.md lists them
	Severity Severity `json:"severity"`
	Key      string   `json:"key,omitempty"`
	At       Origin   `json:"at,omitzero"`
	Message  string   `json:"message"`
	// Fix is what to write instead: lines of an XML property list. "" where nothing is to be written.
	Fix string `json:"fix,omitempty"`
}

// Lint returns what is wrong or surprising about the entitlements of one program, errors first.
func Lint(in Inputs) []Issue {
	l := linter{in: in, os: in.runsOn()}
	l.set, _ = in.Effective()
	if l.set == nil && in.XML != nil {
		l.set = in.XML // not read by the system, but what its author meant
	}
	switch in.Product {
	case ProductLibrary, ProductBundle, ProductOther:
		l.notExecutable()
	case ProductProfile:
		// An allow-list: what a program makes of it is judged at the program.
	default:
		l.stringKey()
		l.plainKey()
		l.versionKeys()
		l.spellings()
		l.prerequisites()
		l.browser()
		l.effects()
		l.unknownKeys()
		l.forms()
		l.profile()
	}
	slices.SortStableFunc(l.issues, func(a, b Issue) int { return rank(a.Severity) - rank(b.Severity) })
	return l.issues
}

func rank(s Severity) int {
	return slices.Index([]Severity{SeverityError, SeverityWarning, SeverityNote}, s)
}

type linter struct {
	in     Inputs
	os     rules.OS
	set    *Set
	issues []Issue
}

func (l *linter) add(id string, s Severity, e Entry, fix, format string, args ...any) {
	l.issues = append(l.issues, Issue{id, s, e.Key, e.At, fmt.Sprintf(format, args...), fix})
}

// plistLines writes pairs as they stand in an XML property list.
func plistLines(pairs ...Pair) string {
	var b strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&b, "<key>%s</key>\n", escape(p.Key))
		switch p.Value.Kind {
		case KindBool:
			fmt.Fprintf(&b, "<%t/>\n", p.Value.Bool)
		case KindInteger:
			fmt.Fprintf(&b, "<integer>%s</integer>\n", p.Value.Int)
		default:
			fmt.Fprintf(&b, "<string>%s</string>\n", escape(p.Value.Str))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace

var (
	pairRestrictions    = Pair{KeyRestrictionsString, String("2")}
	pairRestrictionsInt = Pair{KeyRestrictions, Int(2)}
	pairVersion         = Pair{KeyVersionString, String("2")}
	pairHardened        = Pair{KeyHardenedProcess, Bool(true)}
)

const doesNotStart = "the program does not start: posix_spawn fails with EINVAL, execve ends in SIGKILL"

func (l *linter) stringKey() {
	e, ok := l.set.Get(KeyRestrictionsString)
	if !ok {
		return
	}
	fix := plistLines(pairRestrictions)
	if e.Value.Kind == KindBool {
		l.add("string-key-type", SeverityError, e, fix, "%s is a boolean where a string is due; %s. App Review has "+
			"asked for a boolean here (Apple developer forums, thread 821464); the kernel refuses it", e.Key, doesNotStart)
		return
	}
	if e.Value.Kind != KindString {
		l.add("string-key-type", SeverityError, e, fix, "%s is %s where a string is due; %s",
			e.Key, e.Value.Kind.WithArticle(), doesNotStart)
		return
	}
	n, lenient, err := parseRestrictions(e.Value)
	switch {
	case err != nil:
		l.add("string-key-value", SeverityError, e, fix, "%s is %s: %v; the kernel accepts 2 to 7, and %s",
			e.Key, e.Value, err, doesNotStart)
	case lenient:
		l.add("string-key-blank", SeverityWarning, e, fix, "%s is %s: leading blanks or a sign pass the kernel's strtoul "+
			"as C defines it, which no public test confirms", e.Key, e.Value)
	case n > 2:
		l.add("string-key-level", SeverityNote, e, "", "%s is %s: level 3, stricter than the 2 that Apple documents",
			e.Key, e.Value)
	}
	if min := l.in.MinOS; err == nil && before(min, 26, 4) && !l.set.Has(KeyRestrictions) {
		why := "systems before 26.4 ignore it, and the program runs there without the restrictions"
		fix := ""
		if !before(min, 26, 0) {
			why += "; an integer key beside it covers 26.0 to 26.3"
			fix = plistLines(pairRestrictions, pairRestrictionsInt)
		}
		l.add("string-key-old-system", SeverityNote, e, fix, "%s, and the deployment target is %s: %s", e.Key,
			describeOS(min), why)
	}
}

func (l *linter) plainKey() {
	e, ok := l.set.Get(KeyRestrictions)
	if !ok {
		return
	}
	_, hasString := l.set.Get(KeyRestrictionsString)
	if e.Value.Kind != KindInteger || !e.Value.Equal(Int(2)) {
		fix := plistLines(pairRestrictions)
		msg := "%s is %s; the kernel does not look at the value, any gives version 2"
		if e.Value.IsFalse() || e.Value.Kind == KindInteger && e.Value.Int.Sign() <= 0 {
			msg += ": this does not turn the restrictions off, only removing the key does"
			fix = ""
		}
		if !hasString {
			l.add("integer-key-value", SeverityWarning, e, fix, msg, e.Key, e.Value)
		}
	}
	min := l.in.MinOS
	switch {
	case hasString && (min.Major == 0 || before(min, 26, 4)):
		l.add("both-keys", SeverityNote, e, "", "%s beside %s: from 26.4 on the string wins, 26.0 to 26.3 read the integer "+
			"alone", e.Key, KeyRestrictionsString)
	case hasString:
		l.add("both-keys", SeverityWarning, e, plistLines(pairRestrictions), "%s beside %s: the string wins on every "+
			"system from the deployment target %s on; remove the integer", e.Key, KeyRestrictionsString, describeOS(min))
	case min.Major != 0 && !before(min, 26, 0) && before(min, 26, 4):
		l.add("integer-key", SeverityWarning, e, plistLines(pairRestrictions, pairRestrictionsInt),
			"%s is deprecated: Xcode 26.4 writes the -string key, which 26.4 and later prefer; systems 26.0 to 26.3 know "+
				"the integer alone, so with the deployment target %s keep both", e.Key, describeOS(min))
	default:
		l.add("integer-key", SeverityWarning, e, plistLines(pairRestrictions),
			"%s is deprecated: Xcode 26.4 replaces it by the -string key. Profiles allow the string \"*\", which an "+
				"integer does not match: systems before 26 may refuse to install (Apple developer forums, thread 806195). "+
				"Systems 26.0 to 26.3 know the integer alone and run without the restrictions where it is missing", e.Key)
	}
}

func (l *linter) versionKeys() {
	_, current := claims(l.set, KeyHardenedProcess)
	_, legacy := claims(l.set, legacyHardenedPrefix)
	hardened := current || legacy
	str, hasString := l.set.Get(KeyVersionString)
	if hasString {
		if _, _, err := parseNumber(str.Value); err != nil {
			outcome, sev := "no effect without "+KeyHardenedProcess+"; with it the program would not start", SeverityWarning
			if hardened {
				outcome, sev = "the program does not start: its image does not load", SeverityError
			}
			l.add("version-key", sev, str, plistLines(pairVersion), "%s is %s: %v; %s", str.Key, str.Value, err, outcome)
		}
	}
	if e, ok := l.set.Get(KeyVersion); ok && !hasString {
		l.add("integer-version-key", SeverityWarning, e, plistLines(pairVersion),
			"%s is deprecated: Xcode 26.4 replaces it by the -string key; as an integer it does not match the string \"*\" of "+
				"profiles (Apple developer forums, thread 806195)", e.Key)
	}
}

func (l *linter) spellings() {
	if l.set == nil {
		return
	}
	for _, sp := range spellings {
		old, isOld := claims(l.set, sp.legacy)
		if !isOld {
			continue
		}
		fix := plistLines(Pair{sp.current, Bool(true)})
		if now, both := claims(l.set, sp.current); both {
			l.add("both-spellings", SeverityError, now, fix, "%s and %s (%s) at once: the kernel refuses the image; "+
				"remove the second", sp.current, sp.legacy, old.At)
			continue
		}
		l.add("deprecated-spelling", SeverityWarning, old, fix, "%s is the old spelling of %s", sp.legacy, sp.current)
	}
	for _, e := range l.set.Entries {
		rest, ok := strings.CutPrefix(e.Key, legacyHardenedPrefix+".")
		if !ok || slices.ContainsFunc(spellings, func(sp struct {
			legacy, current string
			stage           refusalStage
			needsHardened   bool
		}) bool {
			return sp.legacy == e.Key
		}) {
			continue
		}
		fix := ""
		if current := hardenedPrefix + "." + rest; slices.Contains(hardenedKeys, current) {
			fix = plistLines(Pair{current, e.Value})
			if rest == "platform-restrictions" {
				fix = plistLines(pairRestrictions)
			}
		}
		l.add("deprecated-spelling", SeverityError, e, fix, "%s: the kernel does not know this key under %s and ignores it",
			e.Key, legacyHardenedPrefix)
	}
}

func (l *linter) prerequisites() {
	e, ok := l.set.Get(KeyRestrictionsString)
	if !ok {
		if e, ok = l.set.Get(KeyRestrictions); !ok {
			return
		}
	}
	var missing []string
	var pairs []Pair
	_, current := claims(l.set, KeyHardenedProcess)
	_, legacy := claims(l.set, legacyHardenedPrefix)
	if !current && !legacy {
		missing, pairs = append(missing, KeyHardenedProcess), append(pairs, pairHardened)
	}
	if !l.set.Has(KeyVersionString) && !l.set.Has(KeyVersion) {
		missing, pairs = append(missing, KeyVersionString), append(pairs, pairVersion)
	}
	if len(missing) == 0 {
		return
	}
	l.add("prerequisite", SeverityWarning, e, plistLines(pairs...), "Apple's documentation says that %s requires %s; "+
		"the kernel restricts without", e.Key, joinWords(missing))
}

func (l *linter) browser() {
	b, ok := browserEngine(l.set)
	if !ok {
		return
	}
	for _, k := range []string{KeyRestrictionsString, KeyRestrictions} {
		if e, ok := l.set.Get(k); ok {
			l.add("browser-and-restrictions", SeverityNote, e, "", "%s (%s) alone gives level 1; %s replaces that",
				b.Key, b.At, e.Key)
			return
		}
	}
}

func (l *linter) effects() {
	for _, k := range effectKeys {
		e, ok := l.set.Get(k.key)
		if !ok {
			continue
		}
		d := Decision{}
		d.effects(&Set{Entries: []Entry{e}})
		switch {
		case !d.Effects[0].Active && !e.Value.IsFalse():
			l.add("effect-key-value", SeverityWarning, e, plistLines(Pair{e.Key, Bool(true)}), "%s is %s: the kernel accepts "+
				"the boolean true alone, so it has no effect", e.Key, e.Value)
		case !d.Effects[0].Active:
		case k.private:
			l.add("private-key", SeverityWarning, e, "", "%s: %s. Private entitlements are Apple's own: AMFI kills other "+
				"programs that claim them, unless System Integrity Protection is off", e.Key, k.what)
		case k.relaxes:
			l.add("relaxing-key", SeverityNote, e, "", "%s: %s", e.Key, k.what)
		default:
			l.add("tightening-key", SeverityNote, e, "", "%s: %s", e.Key, k.what)
		}
	}
	for _, k := range []string{KeyGetTaskAllow, KeyGetTaskAllowMac} {
		if e, ok := l.set.Get(k); ok && e.Value.IsTrue() {
			l.add("get-task-allow", SeverityNote, e, "", "%s does not relax the restrictions: the program dies as a release "+
				"build does. Only a debugger that is attached lifts one rule of THREAD_SET_STATE", e.Key)
		}
	}
}

func (l *linter) notExecutable() {
	if l.set == nil {
		return
	}
	var keys []string
	var first Entry
	for _, e := range l.set.Entries {
		if strings.HasPrefix(e.Key, hardenedPrefix) || strings.HasPrefix(e.Key, legacyHardenedPrefix) ||
			slices.Contains(browserKeys, e.Key) || isEffectKey(e.Key) {
			if len(keys) == 0 {
				first = e
			}
			keys = append(keys, e.Key)
		}
	}
	if len(keys) > 0 {
		l.add("not-executable", SeverityWarning, first, "", "%s: no effect in a %s; entitlements count on the main "+
			"executable alone, move them there", joinWords(keys), l.in.Product)
	}
}

func isEffectKey(key string) bool {
	for _, k := range effectKeys {
		if k.key == key {
			return true
		}
	}
	return false
}
