// Package mach is the vocabulary of Mach IPC as Apple's XNU speaks it: port names, rights, dispositions, port types,
// message layouts, options, return codes, exceptions, traps and MIG routine numbers.
//
// A task (a process) never holds a port, only names for rights to it. A right says what the holder may do: receive,
// send, or send once. A message carries rights, and for each of them a disposition says what is done to the sender's
// own right: moved, copied, or made from the receive right. Everything else in this package is bookkeeping about these.
//
// Numbers are XNU's, exactly. Where they differ between versions the unqualified form is the newest public one and
// the older one has its own function. Every type that has names converts both ways: String and a Parse function
// answer from one table.
//
// The package imports nothing of this project and does no work that needs a kernel.
package mach
