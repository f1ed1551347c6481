//go:build linux

package linux

import (
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// Tracer is told of calls, by many goroutines at once, while the caller waits. The Linux thread id is 0 for threads that
// are bound to none.
type Tracer interface {
	// Call tells of a message call before it happens; it may number the message that is sent.
	Call(th *object.Thread, tid int, a *ipc.Args)
	// Return tells what came of it. Received bytes are in a.Buffer, which is not kept.
	Return(th *object.Thread, tid int, a *ipc.Args, kr mach.KernReturn)
	// Operation tells of any other call once it is over, and how long it took.
	Operation(th *object.Thread, tid int, op trap.Op, args *[12]uint64, result *[8]uint64, kr mach.KernReturn,
		took time.Duration)
}
