// Package server answers the messages that are sent to the kernel's objects: the MIG interfaces of defs, whose servers
// are generated, over the methods of kernel/object and kernel/ipc.
//
// # The way of a call
//
// [Server.Serve] turns the message into the open form that generated code reads, lets the subsystem that the message id
// lies in check and decode it, and turns what comes back into the reply. A method here does three things: it converts
// the port that the message came to into what the call needs (a space, a task of some strength, a thread, the host, a
// clock…), calls the method of the object, and gives up what nobody keeps. What a port stands for is not looked at
// before: as in XNU, a call to the wrong kind of port fails in its conversion, with the return value that XNU has for it.
//
// # Rights
//
// Rights that come in belong to the message until a method returns success; then the method has taken or released each.
// If it fails they go with the message. Rights in a reply are made for it, and go with it if nobody receives it.
//
// # What is asked of others
//
// What only an operating system knows (memory, times, what a program's name is) comes from [AddressSpace], [TaskFacts],
// [ThreadFacts] and [HostFacts], which may be missing. Without them a task has no memory, has used no time, and a call
// that needs them fails as XNU fails for a task that is about to end.
//
// Return values and orders of checks are those of XNU (osfmk/ipc/mach_port.c and mach_debug.c, osfmk/kern/task.c,
// thread_act.c, host.c, clock_oldops.c, ipc_tt.c, osfmk/vm/vm_user.c of 11417.101.15 and, where it differs, the newest
// public tree).
package server
