// Package attached is XPC in a program of its own: one that has joined a kernel, as programs do that portcullis run,
// kernel and launchd start.
package attached
