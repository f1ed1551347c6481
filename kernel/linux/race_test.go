//go:build linux && race

package linux_test

const raceEnabled = true
