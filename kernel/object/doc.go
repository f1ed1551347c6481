// Package object is what the kernel's own ports stand for: tasks, threads, the host, identity tokens, semaphores; and
// timers, which hang on ports of tasks. It knows no process, file or network: what a thread's registers are, and what
// time it is, somebody else says.
//
// # Ports of objects
//
// To have a send right to an object's port is to be allowed to do something with the object, and the port's type says
// what. A task has four ports, made when they are first asked for, each weaker than the one before: control, read,
// inspect, name; a thread has the first three. A call says which strength it needs, and every port at least that
// strong will do ([Machine.TaskOf], [Machine.ThreadOf]). For control and read ports a policy has its say too: without
// Developer Mode nobody uses the control port of another task.
//
// A program knows its own task by the name that it was born with, and its main thread too: these names are pinned, and
// immovable if the restrictions say so. What is immovable must not be left where others could fetch it, therefore all
// calls that keep a port for others (special ports, registered ports) ask the restrictions first.
//
// # Rights in calls
//
// Calls are methods that take and return rights as [ipc.Call] and its reply carry them. A call that succeeds has taken
// the rights it was given; one that fails has not, and the caller still has to give them up. Rights that come back are
// the caller's. A nil port is MACH_PORT_NULL, and [ipc.DeadRight] is MACH_PORT_DEAD. Methods can be called on nil
// objects, which is what a failed conversion gives, and return what XNU returns for them.
//
// # Locks
//
// Every object has a lock of its own for its own fields: Machine.mu, Task.mu, Thread.mu, Host.mu, Semaphore.mu,
// timer.mu. No two of them are ever held at once. Outside of them, two locks keep stopping and going on in turn:
// Task.stops, and Thread.holds under it. They are held while [Runner] stops a thread or lets it go on. The others come before all locks of kernel/ipc, whose order follows:
// Kernel.transit, Space.mu, Port.mu, PortSet.mu. Under them ports are made, and send rights made, copied and counted.
// Nothing is given up under them, because giving up a right or a port may end in a call of NoSenders or PortDied, which
// locks the object; nor does anything call out to a [Server], [Hooks] or [State], and a thread that sleeps has let go.
// (The locks of stopping are the exception said above.)
//
// Return values and orders of checks are those of XNU (osfmk/kern/ipc_tt.c, ipc_host.c, host.c, task_ident.c,
// sync_sema.c, mk_timer.c of 11417.101.15 and, where it differs, the newest public tree).
package object
