package ipc

import (
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/mach"
)

// Clock lends the kernel deadlines.
type Clock interface {
	// AfterFunc calls f once, from anywhere, after d; stop cancels it.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Limits bound what one task may make the kernel hold. Zero fields take the default.
type Limits struct {
	Names int   // entries of one space; default 1<<18
	Ports int64 // live ports and sets made by one space, wherever they are now, and memberships; default 1<<18
	// Bytes bounds the undelivered messages of one space, with out-of-line memory and port arrays, and those that the
	// kernel itself sent to ports the space made; default 256 MiB.
	Bytes int64
}

// Config says what a kernel is made of.
type Config struct {
	Restrictions Restrictions // nil: none
	Clock        Clock        // nil: timeouts other than 0 never expire
	Limits       Limits
	// Release, if not nil, gets back what Memory.CopyIn brought and nobody received; it may be called more than once for
	// no bytes, and must not block. It also gets memory that objects put into replies, which it did not bring: it has to
	// know its own.
	Release func([]byte)
	// Bring, if not nil, puts into a buffer what a Lender has lent; it is called before memory that came with a message is
	// kept. It gets other memory, too.
	Bring func([]byte)
}

// Keep returns what [Memory.CopyOut] was given in a form that may be kept: itself, or a copy where somebody gets it back
// (Config.Release), to whom it has gone then.
func (k *Kernel) Keep(b []byte) []byte {
	if !k.lent {
		return b
	}
	k.bring(b)
	own := append([]byte(nil), b...)
	k.release(b)
	return own
}

// Kernel is one Mach world: ports of different kernels never meet.
type Kernel struct {
	restrict Restrictions
	clock    Clock
	limits   Limits
	release  func([]byte)
	bring    func([]byte)
	lent     bool          // release is not nothing
	transit  sync.Mutex    // see the package comment
	deaths   atomic.Uint64 // orders the deaths of ports
	live     counters
}

type counters struct{ spaces, ports, sets, messages, bytes atomic.Int64 }

// Stats counts what a kernel holds.
type Stats struct{ Spaces, Ports, Sets, Messages, Bytes int64 }

// New makes a kernel.
func New(c Config) *Kernel {
	k := &Kernel{restrict: c.Restrictions, clock: c.Clock, limits: c.Limits, release: c.Release, bring: c.Bring,
		lent: c.Release != nil}
	if k.release == nil {
		k.release = func([]byte) {}
	}
	if k.bring == nil {
		k.bring = func([]byte) {}
	}
	if k.restrict == nil {
		k.restrict = Unrestricted{}
	}
	if k.limits.Names == 0 {
		k.limits.Names = 1 << 18
	}
	if k.limits.Ports == 0 {
		k.limits.Ports = 1 << 18
	}
	if k.limits.Bytes == 0 {
		k.limits.Bytes = 256 << 20
	}
	return k
}

// Stats returns what the kernel holds now.
func (k *Kernel) Stats() Stats {
	return Stats{k.live.spaces.Load(), k.live.ports.Load(), k.live.sets.Load(), k.live.messages.Load(),
		k.live.bytes.Load()}
}

// account is what one space has made the kernel hold; it outlives the space as long as a port or message does.
type account struct{ ports, members, bytes atomic.Int64 }

// chargePort counts a port or set against the account; false if it would pass the limit.
func (k *Kernel) chargePort(a *account) bool {
	if a == nil {
		return true
	}
	if a.ports.Add(1) > k.limits.Ports {
		a.ports.Add(-1)
		return false
	}
	return true
}

// chargeBytes counts bytes of a message against the account; false if it would pass the limit.
func (k *Kernel) chargeBytes(a *account, n int64) bool {
	if a != nil && a.bytes.Add(n) > k.limits.Bytes {
		a.bytes.Add(-n)
		return false
	}
	k.live.bytes.Add(n)
	return true
}

func (k *Kernel) refundBytes(a *account, n int64) {
	if a != nil {
		a.bytes.Add(-n)
	}
	k.live.bytes.Add(-n)
}

// Object is what a kernel-owned port stands for.
type Object interface {
	// Serve handles a message sent to the port, in the sender's thread, and may reply once through the call.
	// It returns before the sender's call does. Nothing is locked.
	Serve(t *Thread, call *Call)
	// NoSenders tells that the last send right to the port is gone.
	NoSenders(p *Port, makeSendCount uint32)
}

// Substituter is an [Object] some of whose ports turn into others for some receivers.
type Substituter interface {
	// Substitute returns the send right that a space is given in place of one to p; nil if p will do. Nothing is locked.
	//
	// Source: XNU osfmk/kern/ipc_kobject.c, ipc_kobject_label_check.
	Substitute(p *Port, to *Space) *Port
}

// Notified is an [Object] that is told when a send-once right to its port is used up by a notification: mach.NotifySendOnce
// if the right goes unused.
type Notified interface {
	// Notified tells which notification it was. Nothing is locked.
	Notified(p *Port, id int32)
}

// NewObjectPort makes a port whose receiver is the kernel. It lives until [Port.Destroy].
func (k *Kernel) NewObjectPort(typ mach.PortType, o Object) *Port {
	p := k.newPort(typ, nil)
	p.kernelOwned, p.object, p.receiverName = true, o, mach.SpecialDefaultName
	return p
}
