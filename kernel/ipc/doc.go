// Package ipc is the heart of a Mach kernel: spaces of names, ports, rights, and the messages that carry rights
// between spaces. It is pure: it knows no process, socket, file or clock, and imports nothing but the vocabulary.
//
// # Locks, outermost first
//
//	Kernel.transit       a receive right is being put into a message; circles are looked for under it
//	  Space.mu           the table of names; two spaces are never locked at once
//	    Port.mu          everything about one port, its queue included; two ports are never locked at once
//	      PortSet.mu     members with messages, and threads waiting for one
//	waiter.state         who wakes a sleeping thread, a compare-and-swap, under any of these
//
// Nothing is locked while a thread sleeps, while a kernel object serves a call, while a task's memory is touched, or
// while [Restrictions] could block. What has to happen after the locks are gone (notifications, messages and ports that
// die with a right) is written down in a cleanup and done at the end of the call, one thing after the other, so that a
// chain of dying ports of any length costs no stack.
//
// # How to read it
//
// A [Space] holds entries; an entry ties a [mach.Name] to a [Port] or [PortSet] and says which rights the name denotes.
// Taking a right out of a space is copyin, putting one in is copyout; between the two a right is in transit in a
// [Message]. The rules of copyin are the rules of Mach. A port that dies stays in entries until somebody looks at them;
// the entry then turns into a dead name.
//
// What may not be done although the rights would allow it is not decided here: the package asks [Restrictions].
// Return values and orders of checks are those of XNU (osfmk/ipc of 11417.101.15 and, where it differs, the newest
// public tree); what a test pins names the function it mirrors.
package ipc
