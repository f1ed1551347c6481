// Package run puts programs under a Mach kernel that enforces the restrictions, and leaves a crash report of each that it
// kills: what portcullis run and portcullis kernel do.
package run
