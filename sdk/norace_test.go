//go:build linux && !race

package sdk_test

const raceEnabled = false
