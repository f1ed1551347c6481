// Package raced tells tests whether they run under the race detector, which makes them ten times slower.
package raced

import (
	"runtime/debug"
	"slices"
	"testing"
)

// On says that the program was built with -race.
func On() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Skip skips a test that is too much for the race detector, to which it has nothing new to tell.
func Skip(t testing.TB) {
	t.Helper()
	if On() {
		t.Skip("SKIPPED: too slow under the race detector; run without -race as well")
	}
}
