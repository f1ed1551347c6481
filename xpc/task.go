package xpc

import (
	"os"

	"portcullis.dev/mach"
)

// Task is the Mach task that XPC works in. Names are those of its space.
type Task interface {
	// NewThread makes a thread of the task to make calls with.
	NewThread() (Thread, error)
	// Bootstrap returns the name of a send right to the bootstrap port, 0 if there is none.
	Bootstrap() mach.Name
	// Store makes bytes memory of the task, to be sent out of line, and returns its address. The task may keep b.
	Store(b []byte) (uint64, error)
	// Load returns memory that came out of line and gives it up.
	Load(address uint64, size int) ([]byte, error)
}

// Lender is what a Task implements that has no use for what Store was given once it has been sent, or loaded again.
type Lender interface{ LendsMemory() }

// Call is one mach_msg2 call: a message to send, a port to receive from, or both in this order.
type Call struct {
	Options mach.Option
	Send    []byte // written anew if sending fails half way
	Receive mach.Name
	Buffer  []byte // for the message and its trailer
	Timeout uint32 // milliseconds
}

// Thread makes the kernel calls that XPC needs, one at a time. What it returns is what XNU's calls of like names
// return.
type Thread interface {
	Msg2(*Call) mach.KernReturn
	// Interrupt makes the call that sleeps return MACH_SEND_INTERRUPTED or MACH_RCV_INTERRUPTED, if there is one. It may
	// be called from anywhere.
	Interrupt()
	SpecialReplyPort() mach.Name
	Construct(*PortOptions) (mach.Name, mach.KernReturn)
	Destruct(name mach.Name, sends int32, guard uint64) mach.KernReturn
	Deallocate(mach.Name) mach.KernReturn
	ModRefs(name mach.Name, r mach.Right, delta int32) mach.KernReturn
	// MakeSend inserts a send right beside the receive right of a name.
	MakeSend(mach.Name) mach.KernReturn
	// Request arms a notification on name that is sent to notify, a receive right of the task.
	Request(name mach.Name, id int32, sync uint32, notify mach.Name) mach.KernReturn
	Close()
}

// PortOptions are the options of mach_port_construct.
type PortOptions struct {
	Flags      mach.ConstructFlags
	QueueLimit uint32
	Guard      uint64
	Service    mach.Name // connection ports: a send right to the service
}

// AnonymousService is the service of connection ports that belong to none (MPO_ANONYMOUS_SERVICE).
const AnonymousService mach.Name = 0xfffffffe

// FilePorts is what a Task implements where files can be handed over.
type FilePorts interface {
	// FilePort returns a send right to a port that stands for a copy of the file.
	FilePort(*os.File) (mach.Name, error)
	// OpenFilePort returns the file that a port stands for, and keeps the right.
	OpenFilePort(mach.Name) (*os.File, error)
}

// Regions is what a Task implements where memory can be shared.
type Regions interface {
	// NewRegion returns fresh memory, of whole pages, and a send right to its entry port.
	NewRegion(size int) ([]byte, mach.Name, error)
	// MapRegion maps the memory that an entry port stands for, all of it, shared; the right is kept.
	MapRegion(mach.Name) ([]byte, error)
	// UnmapRegion ends the use of what either returned.
	UnmapRegion([]byte) error
}

// Identifier is what a Task implements where more can be learned of a peer than its token says.
type Identifier interface {
	// Identify returns what is known of the process of a token. A later process with the same id is not it: then, and
	// if the process is gone, there is an error.
	Identify(mach.AuditToken) (*Identity, error)
}

// Identity is what is known of a process beyond its token.
type Identity struct {
	Executable   string         // absolute path with symbolic links resolved
	Entitlements map[string]any // as package plist decodes them
}
