package entitlement

import (
	"strings"

	"portcullis.dev/rules"
)

// before reports whether the version of o is known and earlier than major.minor. An unknown version stands for the
// newest kernel.
func before(o rules.OS, major, minor int) bool {
	return o.Major != 0 && (o.Major < major || o.Major == major && o.Minor < minor)
}

// describeOS names a system, of which platform and version may be unknown.
func describeOS(o rules.OS) string {
	if o.Major == 0 {
		return strings.TrimSpace("the newest " + o.Platform)
	}
	return strings.TrimPrefix(o.String(), "unknown system")
}
