//go:build linux

// Package linux makes Linux processes tasks of a Mach kernel. A process connects to the kernel's Unix socket; who it is,
// Linux says. Its threads make calls through lanes (package trap), each served by a goroutine, so that what blocks in the
// kernel blocks one thread of one task.
//
// # Life and death
//
// A process that says hello becomes a task, with what the nearest ancestor that is a task leaves it. A forked child proves
// its parent by a token that the parent got before the fork; a program that was started otherwise inherits from the
// ancestor that Linux names. When the process ends, replaces its program, or hangs up, the task ends: its space, its
// threads, all that others expected of it. A program that replaces another inherits what that had. A task that runs into a
// fatal guard never gets an answer: it is killed, after whoever asked for it (Config.Violated) has taken down how it stood,
// and whoever handles EXC_CORPSE_NOTIFY has answered.
//
// # Locks
//
//	Kernel.mu           processes, tokens of forks, what programs leave to those that replace them
//	  Process.mu        lanes, files that are being handed over
//
// Neither is held while a call is served or a packet is sent.
package linux
