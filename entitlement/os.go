package entitlement

import (
	"fmt"
	"strconv"
	"strings"
)

// OS is an operating system and its version, as far as they are known. The zero value stands for the newest kernel, on
// whichever platform the image is built for.
type OS struct {
	Name         string // macOS, iOS, iPadOS, tvOS, watchOS, visionOS; "" for the image's own
	Major, Minor int    // 0.0 for the newest
}

var osNames = []string{"macOS", "iOS", "iPadOS", "tvOS", "watchOS", "visionOS"}

// ParseOS reads "macOS 26.4", "iOS 26", or a version alone.
func ParseOS(s string) (OS, error) {
	bad := fmt.Errorf("unknown operating system %q: want a name and a version such as \"macOS 26.4\"", s)
	fields := strings.Fields(s)
	var o OS
	if len(fields) > 0 {
		for _, n := range osNames {
			if strings.EqualFold(fields[0], n) {
				o.Name, fields = n, fields[1:]
				break
			}
		}
	}
	switch {
	case len(fields) > 1 || len(fields) == 0 && o.Name == "":
		return OS{}, bad
	case len(fields) == 0:
		return o, nil
	}
	parts := strings.Split(fields[0], ".")
	if len(parts) > 3 {
		return OS{}, bad
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return OS{}, bad
		}
		n[i] = int(v)
	}
	if n[0] == 0 {
		return OS{}, bad
	}
	o.Major, o.Minor = n[0], n[1]
	return o, nil
}

// String returns the form that [ParseOS] reads; "the newest version" stands for an unknown version.
func (o OS) String() string {
	name := o.Name
	if o.Major == 0 {
		return strings.TrimSpace("the newest " + name)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %d.%d", name, o.Major, o.Minor))
}

// before reports whether the version is known and earlier than major.minor.
func (o OS) before(major, minor int) bool {
	return o.Major != 0 && (o.Major < major || o.Major == major && o.Minor < minor)
}

// mac reports whether the restrictions of macOS apply: Mac Catalyst apps run there too.
func (o OS) mac() bool { return o.Name == "macOS" }
