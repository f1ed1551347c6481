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

// Receiver is who serves a message.
type Receiver uint8

const (
	Kernel Receiver = iota
	Task            // exception handlers, the bootstrap server, who is notified
)

// Routine returns the name of the routine that a message with an id asks its receiver for; "" if there is none here. Ids
// say little without a receiver: 400 is host_get_boot_info to the kernel and create_server to the bootstrap server.
func Routine(to Receiver, id int32) string {
	if to == Kernel {
		return ofKernel[id]
	}
	return ofTasks[id]
}
