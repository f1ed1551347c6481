// Package xpc is messages of typed values between programs that know and check each other: XPC, over Mach ports.
//
// # Values
//
// A message is a *Dictionary: text keys and values in the order in which they were put in. A Value is one of a dozen
// kinds, from Null to Array and *Dictionary, among them things that only a kernel can hand over: *FD, *SharedMemory,
// *Endpoint and bare Mach rights. Their encoding is Apple's, byte for byte: Marshal and Unmarshal do the form that
// travels over byte streams, connections do the form that travels in Mach messages.
//
// # Connections
//
// A Process is what XPC needs of one Mach task. Process.Connect makes a connection to a service by its name,
// Process.Listen offers one, and Endpoint hands the way to an anonymous listener to somebody. A connection is two
// ports, one for each direction, each with one receiver and one sender:
//
//	client                                 server
//	  send right   ── forward channel ──>  receive right (made by the client, moved once, with the check-in)
//	  receive right <── back channel ────  send right
//
// Both are connection ports, whose send rights cannot be passed on; every request asks for its answer on a reply port,
// to which nobody else can be given a right. So no message of a connection meets a restriction at any level, and no
// peer can divert an answer. Messages stay in the kernel until a handler takes them: what a program that dies has not
// taken from its service's port is there for its successor.
//
// # Who is there
//
// Each message carries the kernel's word on its sender, an audit token with a process id that says which process of
// that number is meant. A Requirement is checked when a connection begins, and the token of every message after that
// must be the same.
//
// # Locks
//
//	Connection.sending    one message after the other; held while the kernel takes it
//	  Connection.linking  one check-in at a time
//	    Connection.mu     everything else of a connection
//	Process.reserve       the thread that is kept back; held while it makes a call
//	Process.mu            threads that are idle
//
// Nothing is locked while a handler runs or a call waits for its answer.
package xpc
