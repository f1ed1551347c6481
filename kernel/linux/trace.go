//go:build linux

package linux

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
)

// Tracer is told of message calls, by many goroutines at once, while the caller waits.
type Tracer interface {
	// Call tells what a thread asks for, before it happens.
	Call(t Caller, a *ipc.Args)
	// Return tells what came of it. Received bytes are in a.Buffer, which is not kept.
	Return(t Caller, a *ipc.Args, kr mach.KernReturn)
}

// Caller is a thread that makes a call.
type Caller interface {
	Process() *Process
	TID() int
	Thread() *object.Thread
}

// Process returns the lane's process.
func (l *lane) Process() *Process { return l.process }

// TID returns the thread's Linux thread id.
func (l *lane) TID() int { return l.tid }

// Thread returns the Mach thread.
func (l *lane) Thread() *object.Thread { return l.thread }
