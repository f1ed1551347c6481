// Package defs holds the interfaces that the kernel and its bootstrap server speak, written in the MIG language, and
// below it the Go code that the compiler makes of them: a client and a server for each.
//
// The definitions are in our own words. Message ids, argument lists and layouts are XNU's, so that a client built
// against either is served by both. What only debugging kernels serve, and what nobody serves any longer, is skipped:
// an id without a routine.
package defs

import "embed"

// Files are the definitions: NAME.defs for each subsystem, and types.defs, which they include.
//
//go:embed *.defs
var Files embed.FS

//go:generate go run generate.go
