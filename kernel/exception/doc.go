// Package exception brings what befell a thread to whoever handles it: from a fault as Linux tells of it to a Mach
// exception, from there to messages and answers, and back to the signal that is due if nobody handled it.
//
// # Delivery
//
// [Raise] asks the handler of the thread, then that of its task, then that of the host, until one says that it handled
// the exception. A handler is asked by a message (subsystems exc and mach_exc) whose form the registered behaviour
// says; the thread waits for the answer. What the handler can do wrong, and what becomes of it:
//
//	it dies, or gives up the right to answer   the next handler is asked
//	its port is dead, or dies with the message the next handler is asked
//	it answers with an error                   the next handler is asked
//	it answers with MACH_RCV_PORT_DIED         no other handler is asked
//	it answers with anything else than what
//	was asked for: id, size, NDR, rights,
//	memory, a count that is wrong              all of it is destroyed, the next handler is asked
//	it returns registers no thread can have    they are not set, the next handler is asked
//	it answers twice                           there is no right to the second time: MACH_SEND_INVALID_DEST
//	it never answers                           the thread waits until it, or its task, is ended; or until thread_abort,
//	                                           after which the next handlers are sent the message and not waited for;
//	                                           but thread_abort does not end the wait for EXC_CRASH, EXC_GUARD and
//	                                           EXC_RESOURCE
//	it faults itself, and would have to
//	handle that too                            both threads wait: the same
//
// Nothing of this holds up another thread of the kernel.
//
// # Who calls what
//
// Whoever serves the threads of a process makes each an object.Thread whose object.Runner has the registers, and calls,
// in the thread's name, when it faults:
//
//	x, ok := exception.OfAMD64(info, &registers)   // false: a signal that somebody sent
//	outcome := exception.Raise(thread, x)
//	thread.AwaitRelease()                          // it may have been suspended meanwhile
//
// Handled: the thread goes on with the registers it has now. Unhandled: x.Signal says which signal is due, with its
// handler if the program has one; if it kills, [Crash] is raised next, before the process is gone. Ended: nothing goes on.
//
// Guards that a call ran into (restrict.Thread.Return) go through [Guard].
//
// Source: XNU osfmk/kern/exception.c, newest public tree, where not said otherwise.
package exception
