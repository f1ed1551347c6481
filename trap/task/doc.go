// Package task makes a Go program a task of a Mach kernel: it joins the kernel that PORTCULLIS_KERNEL names, as the
// programs do that portcullis run starts, and makes calls.
//
//	t, err := task.Join(ctx)
//	th, err := t.NewThread()
//	port, err := th.Allocate(mach.RightReceive)
//
// A [Thread] is a Mach thread: it has a control port, a reply port, and makes one call at a time; it belongs to whichever
// goroutine uses it. Calls of interfaces, compiled by portcullis mig, go through [Thread.Kernel] to the kernel's objects and
// through [Thread.Peer] to other tasks.
//
// Errors of calls are a [mach.KernReturn], which errors.As finds; a context that ends a call is in the error too.
//
// A call that violates a restriction does not return: the kernel asks the thread where it stands, for the crash report, and
// ends the process.
package task
