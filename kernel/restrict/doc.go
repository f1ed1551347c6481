// Package restrict says what is forbidden to whom: Apple's Mach IPC security restrictions as decisions that the kernel
// asks for, and what becomes of a task that runs into one.
//
// Every task has a [Policy], computed once when its program starts. A decision compares it with what a restriction asks
// for ([Policy.Applies]) and, if the task is at fault, raises a guard: a 64-bit code and a payload that are kept in the
// calling thread. The call goes on to its return value; only on the way back to the task is the guard looked at
// ([Thread.Return]) and the task killed, reported or left alone. One guard is kept for a call: the first fatal one
// wins.
//
// Nothing here blocks or locks: a thread's guard is the thread's own, and a task's facts do not change.
//
// Rows and orders are those of XNU osfmk/ipc/ipc_policy.c in the newest public tree.
package restrict
