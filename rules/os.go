package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Version is a macOS release, the clock by which the table keeps history. The zero value is "not known".
type Version struct{ Major, Minor int }

// String returns "14.4".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// MarshalText implements encoding.TextMarshaler.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Known reports whether v is a release at all.
func (v Version) Known() bool { return v.Major != 0 }

// Before reports whether v came out before w.
func (v Version) Before(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

// OS is the system a report comes from. The zero value is "unknown".
type OS struct {
	Platform     string // macOS, iOS, tvOS, watchOS, visionOS, bridgeOS
	Major, Minor int
}

// Known reports whether the system is known.
func (o OS) Known() bool { return o.Platform != "" }

// String returns "macOS 14.4".
func (o OS) String() string {
	if !o.Known() {
		return "unknown system"
	}
	return fmt.Sprintf("%s %d.%d", o.Platform, o.Major, o.Minor)
}

// Release returns the macOS release built from the same kernel generation: iOS 18.5 and macOS 15.5 share a kernel, so
// the history, which is kept by macOS release, serves all systems. The zero Version stands for an unknown system.
//
// The pairs are those of Apple's published release dates: from version 26 on all systems carry one number.
func (o OS) Release() Version {
	if !o.Known() {
		return Version{}
	}
	maj, minor := o.Major, o.Minor
	if o.Platform == "macOS" || maj >= 26 {
		return Version{maj, minor}
	}
	switch o.Platform {
	case "iOS", "tvOS":
	case "watchOS":
		maj += 7 // watchOS 11 and iOS 18
	case "visionOS":
		maj += 16 // visionOS 1 and iOS 17
		if maj == 17 {
			minor += 3 // visionOS 1.1 and iOS 17.4
		}
	case "bridgeOS":
		maj += 9 // bridgeOS 9 and iOS 18
		if maj == 19 {
			return Version{26, minor}
		}
	default:
		return Version{}
	}
	switch { // maj.minor is an iOS version now
	case maj >= 17:
		return Version{maj - 3, minor}
	case maj == 16, maj == 15: // iOS 16.5 and macOS 13.4, iOS 15.4 and macOS 12.3
		return Version{maj - 3, max(minor-1, 0)}
	case maj == 14:
		return Version{11, max(minor-2, 0)} // iOS 14.2 and macOS 11.0
	case maj >= 9:
		return Version{10, maj + 2} // iOS 13 and macOS 10.15, iOS 12 and 10.14
	}
	return Version{10, 0}
}

var osPattern = regexp.MustCompile(
	`(?i)\b(mac ?os(?: ?x)?|os x|iphone ?os|ipados|ios|apple ?tv ?os|tvos|watch ?os|xros|visionos|bridge ?os)` +
		`(?: version)?[ :]*([0-9]{1,3})(?:\.([0-9]{1,3}))?`)

// ParseOS reads a system as reports and users write it: "macOS 14.4 (23E214)", "iPhone OS 18.5 (22F76)",
// "visionOS 2.4", "Mac OS X 10.15.7 (19H15)". It finds the first such phrase in s.
func ParseOS(s string) (OS, bool) {
	m := osPattern.FindStringSubmatch(s)
	if m == nil {
		return OS{}, false
	}
	var o OS
	switch name := strings.ReplaceAll(strings.ToLower(m[1]), " ", ""); name {
	case "macos", "macosx", "osx":
		o.Platform = "macOS"
	case "iphoneos", "ipados", "ios":
		o.Platform = "iOS"
	case "appletvos", "tvos":
		o.Platform = "tvOS"
	case "watchos":
		o.Platform = "watchOS"
	case "xros", "visionos":
		o.Platform = "visionOS"
	default:
		o.Platform = "bridgeOS"
	}
	o.Major, _ = strconv.Atoi(m[2]) // three digits at most
	o.Minor, _ = strconv.Atoi(m[3]) // absent: 0
	if o.Major == 0 {
		return OS{}, false
	}
	return o, true
}
