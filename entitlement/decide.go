package entitlement

import (
	"fmt"
	"strings"

	"portcullis.dev/rules"
)

// Product is what kind of image entitlements stand in. Only those of a main executable count.
type Product string

const (
	ProductExecutable Product = "executable"
	ProductLibrary    Product = "dynamic library"
	ProductBundle     Product = "loadable bundle"
	ProductOther      Product = "other image" // object files, dyld, kernel extensions
	ProductFile       Product = "entitlements file"
	ProductProfile    Product = "provisioning profile"
)

// Inputs is all that the level of one program, or of one slice of it, depends on.
type Inputs struct {
	Product   Product
	Plist     *Set       // an entitlements file
	Linux     bool       // an ELF file
	Note      *Set       // what portcullis sign put into an ELF file
	XML, DER  *Set       // the two forms in a code signature
	Signature *Signature // nil where there is none
	Profile   *Profile   // the provisioning profile beside the program, or the input itself

	Arch      string   // arm64, arm64e, x86_64
	Platform  string   // an OS name, as built for; "Mac Catalyst"; "" where unknown
	Simulator bool     // built for a simulator
	MinOS     rules.OS // deployment target; zero where unknown
	OS        rules.OS // judge as this version does; zero: the newest
}

// runsOn returns the system that the decision is for.
func (in Inputs) runsOn() rules.OS {
	o := in.OS
	if o.Platform == "" {
		o.Platform = in.Platform
		if o.Platform == "Mac Catalyst" {
			o.Platform = "macOS"
		}
	}
	return o
}

// Effective returns the set that the kernel goes by, and the reason why it is that one. DER wins where both forms
// exist: AMFI answers the kernel's questions from it. A signature with XML alone counts on macOS only; iOS 15, tvOS 15,
// watchOS 8 and later refuse it (Apple: Using the latest code signature format).
func (in Inputs) Effective() (*Set, string) {
	switch {
	case in.DER != nil && in.XML != nil:
		return in.DER, "the signature has XML and DER; the kernel reads the DER"
	case in.DER != nil:
		return in.DER, "the signature has DER entitlements"
	case in.XML != nil:
		if in.needsDER() {
			return nil, "the signature has XML entitlements and no DER; " + in.runsOn().Platform + " does not read them"
		}
		return in.XML, "the signature has XML entitlements and no DER"
	case in.Plist != nil:
		return in.Plist, "an entitlements file, as signing would embed it"
	case in.Note != nil:
		return in.Note, "a note in the ELF file"
	case in.Profile != nil && in.Product == ProductProfile:
		return in.Profile.Entitlements, "a provisioning profile: what a program may claim, not what one claims"
	case in.Signature != nil:
		return nil, "the signature has no entitlements"
	case in.Linux:
		return nil, "no note in the ELF file, so no entitlements"
	}
	return nil, "no code signature, so no entitlements"
}

func (in Inputs) needsDER() bool {
	switch in.runsOn().Platform {
	case "iOS", "tvOS", "watchOS", "visionOS":
		return !in.Simulator
	}
	return false
}

// Line is a line of the kernel's decision list, the one that decided.
type Line string

const (
	LineRefused         Line = "refused"          // the kernel does not start the program
	LinePlatformBinary  Line = "platform-binary"  // Apple's own code
	LineStringKey       Line = "string-key"       // platform-restrictions-string
	LineIntegerKey      Line = "integer-key"      // platform-restrictions, with any value
	LineBrowserEngine   Line = "browser-engine"   // a web-browser-engine key
	LineHardenedRuntime Line = "hardened-runtime" // a flag of the code signature, macOS
	LineNothing         Line = "nothing"          // none of the above
	LineNoProgram       Line = "no-program"       // a library: the program that loads it decides
)

type refusalStage string

const (
	stageLoad     refusalStage = "load"     // load_machfile
	stageActivate refusalStage = "activate" // imgact_setup_runtime_mitigations
)

// Refusal is a reason for which the kernel does not start the program.
type Refusal struct {
	Key    string `json:"key"`
	At     Origin `json:"at"`
	Reason string `json:"reason"`
	// Outcome says what the caller of posix_spawn and of execve sees.
	Outcome string `json:"outcome"`
}

func refusal(stage refusalStage, e Entry, format string, args ...any) Refusal {
	outcome := "posix_spawn fails with EINVAL; a plain execve ends in SIGKILL with the exec reason BAD_MACHO"
	if stage == stageLoad {
		outcome = "the image does not load (LOAD_BADMACHO): posix_spawn fails, a plain execve ends in SIGKILL"
	}
	return Refusal{e.Key, e.At, fmt.Sprintf(format, args...), outcome}
}

// Effect is a key that relaxes or tightens a single restriction.
type Effect struct {
	Key     string `json:"key"`
	At      Origin `json:"at"`
	Relaxes bool   `json:"relaxes"`
	Active  bool   `json:"active"` // false: present with a value that the kernel does not accept
	What    string `json:"what"`
}

// Decision is the level a program runs at, and why.
type Decision struct {
	Level rules.Level
	// Version is the platform-restrictions version of the task, 0 to 7. For a platform binary it is 3.
	Version int
	Line    Line
	Key     string // the key that decided; "" where none did
	At      Origin
	Why     string // one sentence
	Source  string // which of the sets decided, and why that one

	// HardenedVersion is the version of Enhanced Security, 0 to 2; 0 is off.
	HardenedVersion int
	Refusals        []Refusal
	Effects         []Effect
	Exempt          []string // conditions that lift every restriction, whatever the level
	Unverified      []string // what could not be confirmed from public sources
}

// Decide walks the kernel's decision list for one program:
//
//  1. conflicting or unreadable Enhanced Security keys: refused
//  2. a platform binary: version 3, the keys are not looked at
//  3. platform-restrictions-string present: its number, 2 to 7; anything else is refused   (since 26.4)
//  4. platform-restrictions present, whatever its value: version 2                           (since 26.0)
//  5. a web-browser-engine key that is not false: version 1
//  6. macOS, the hardened runtime: version 0, level hardened-runtime                        (since 26.0)
//  7. nothing
//
// Source: XNU bsd/kern/kern_exec.c, imgact_setup_platform_restrictions; bsd/kern/mach_loader.c, load_machfile.
func Decide(in Inputs) Decision {
	set, source := in.Effective()
	d := Decision{Line: LineNothing, Level: rules.LevelNone, Source: source}
	os := in.runsOn()
	switch in.Product {
	case ProductLibrary, ProductBundle, ProductOther:
		d.Line = LineNoProgram
		d.Why = "entitlements count on the main executable alone; the program that loads this " + string(in.Product) +
			" decides"
		return d
	}

	d.hardenedProcess(set, os)
	d.effects(set)
	d.exemptions(in, os)

	if in.Signature.PlatformBinary() {
		d.Level, d.Version, d.Line = rules.LevelPlatform, 3, LinePlatformBinary
		d.Why = fmt.Sprintf("the code directory names platform %d: a platform binary, which gets the highest level "+
			"whatever its keys say", in.Signature.Platform)
		d.Unverified = append(d.Unverified,
			"the kernel takes code for a platform binary only where its trust caches hold it")
	} else {
		d.restrictions(set, os)
		if d.Line == LineNothing && in.Signature.HardenedRuntime() && os.Platform == "macOS" && !before(os, 26, 0) {
			d.Level, d.Line = rules.LevelHardenedRuntime, LineHardenedRuntime
			d.Why = "no key; the code directory asks for the hardened runtime, which on macOS gives the lowest level"
		}
	}
	if len(d.Refusals) > 0 {
		d.Line = LineRefused
		d.Level, d.Version = rules.LevelNone, 0
		first := d.Refusals[0]
		d.Key, d.At = first.Key, first.At
		d.Why = "the kernel refuses to start the program: " + first.Reason
	}
	return d
}

// restrictions is lines 3 to 5 of the list, for code that is no platform binary.
func (d *Decision) restrictions(set *Set, os rules.OS) {
	str, hasStr := set.Get(KeyRestrictionsString)
	plain, hasPlain := set.Get(KeyRestrictions)
	var ignored []string
	if hasStr && before(os, 26, 4) {
		ignored = append(ignored, KeyRestrictionsString+" is unknown to "+describeOS(os)+
			", which ignores it (first known in 26.4)")
		hasStr = false
	}
	if hasPlain && before(os, 26, 0) {
		ignored = append(ignored, KeyRestrictions+" is unknown to "+describeOS(os)+
			", which ignores it (first known in 26.0)")
		hasPlain = false
	}
	switch browser, isBrowser := browserEngine(set); {
	case hasStr:
		d.stringKey(str, os)
	case hasPlain:
		d.Level, d.Version, d.Line, d.Key, d.At = rules.Level2, 2, LineIntegerKey, plain.Key, plain.At
		d.Why = fmt.Sprintf("the key is present; any value, here %s, gives version 2", plain.Value)
		if before(os, 26, 4) && (plain.Value.Kind != KindInteger || plain.Value.Int.Sign() <= 0) {
			d.Unverified = append(d.Unverified,
				"how "+describeOS(os)+" reads this value; the newest kernel takes any")
		}
	case isBrowser:
		d.Level, d.Version, d.Line, d.Key, d.At = rules.Level1, 1, LineBrowserEngine, browser.Key, browser.At
		d.Why = fmt.Sprintf("the key is %s: a process of a web browser engine", browser.Value)
	default:
		d.Why = "neither platform-restrictions key, no web-browser-engine key"
		if len(ignored) > 0 {
			d.Why = "no platform-restrictions key that the system knows, no web-browser-engine key"
		}
	}
	if len(ignored) > 0 {
		d.Why += "; " + strings.Join(ignored, "; ")
	}
}

func (d *Decision) stringKey(e Entry, os rules.OS) {
	d.Key, d.At = e.Key, e.At
	n, lenient, err := parseRestrictions(e.Value)
	if err != nil {
		d.Refusals = append(d.Refusals, refusal(stageActivate, e, "%s is %s: %v", e.Key, e.Value, err))
		return
	}
	d.Line, d.Version, d.Level = LineStringKey, n, rules.Level2
	d.Why = fmt.Sprintf("the value %s is a number from 2 to 7: version %d", e.Value, n)
	if n >= 3 {
		d.Level = rules.Level3
		if before(os, 27, 0) {
			d.Unverified = append(d.Unverified,
				"whether "+describeOS(os)+" already tells version 3 from 2; the newest public kernel does")
		}
	}
	if lenient {
		d.Unverified = append(d.Unverified,
			"leading blanks or a sign pass the kernel's strtoul as the C standard has it; no public test covers them")
	}
}

// browserEngine returns the first web-browser-engine key that counts: IOVnodeHasEntitlement accepts every value but
// the boolean false.
func browserEngine(set *Set) (Entry, bool) {
	for _, k := range browserKeys {
		if e, ok := claims(set, k); ok {
			return e, true
		}
	}
	return Entry{}, false
}

// claims mirrors IOVnodeHasEntitlement, which asks on behalf of exec: present, and not the boolean false. A string or
// a number counts. Source: XNU iokit/bsddev/IOKitBSDInit.cpp.
func claims(set *Set, key string) (Entry, bool) {
	e, ok := set.Get(key)
	return e, ok && !e.Value.IsFalse()
}

// hardenedProcess mirrors what load_machfile and imgact_setup_runtime_mitigations do with the Enhanced Security keys.
func (d *Decision) hardenedProcess(set *Set, os rules.OS) {
	if before(os, 26, 0) {
		return
	}
	_, isCurrent := claims(set, KeyHardenedProcess)
	_, isLegacy := claims(set, legacyHardenedPrefix)
	hardened := isCurrent || isLegacy
	for _, sp := range spellings {
		_, old := claims(set, sp.legacy)
		now, both := claims(set, sp.current)
		if !old || !both || sp.needsHardened && !hardened {
			continue
		}
		reason := fmt.Sprintf("both %s and %s", sp.legacy, sp.current)
		if sp.needsHardened {
			reason += " (on devices with memory tagging)"
		}
		d.Refusals = append(d.Refusals, refusal(sp.stage, now, "%s", reason))
	}
	if !hardened || isCurrent && isLegacy {
		return
	}
	d.HardenedVersion = latestHardenedVersion
	if e, ok := set.Get(KeyVersionString); ok && !before(os, 26, 4) {
		n, _, err := parseNumber(e.Value)
		if err != nil {
			d.HardenedVersion = 0
			d.Refusals = append(d.Refusals, refusal(stageLoad, e, "%s is %s: %v", e.Key, e.Value, err))
			return
		}
		d.HardenedVersion = int(min(n, latestHardenedVersion))
	} else if e, ok := set.Get(KeyVersion); ok && e.Value.Kind == KindInteger {
		// The kernel reads the number as unsigned, so that a negative one is above the latest.
		if e.Value.Int.Sign() >= 0 && e.Value.Int.IsInt64() {
			d.HardenedVersion = int(min(e.Value.Int.Int64(), latestHardenedVersion))
		}
	}
}

// latestHardenedVersion: higher versions count as this one (XNU bsd/kern/kern_exec_internal.h).
const latestHardenedVersion = 2

func (d *Decision) effects(set *Set) {
	for _, k := range effectKeys {
		e, ok := set.Get(k.key)
		if !ok {
			continue
		}
		active := e.Value.IsTrue()
		if k.key == KeyContainmentIPC || k.key == KeyNoGuardObjects {
			active = !e.Value.IsFalse() // these two are asked for at exec, by claims
		}
		d.Effects = append(d.Effects, Effect{k.key, e.At, k.relaxes, active, k.what})
	}
}

func (d *Decision) exemptions(in Inputs, os rules.OS) {
	if in.Simulator {
		d.Exempt = append(d.Exempt, "a simulator process: the kernel of the Mac applies no Mach restriction to it")
	}
	if in.Arch == "x86_64" && !in.Simulator && (os.Platform == "macOS" || os.Platform == "") {
		d.Exempt = append(d.Exempt,
			"translated by Rosetta on Apple silicon: then no Mach restriction applies; on an Intel Mac they do")
	}
}
