package ipc

import (
	"sync"
	"sync/atomic"

	"portcullis.dev/mach"
)

// Port is a queue of messages with one receiver and any number of senders, counted.
//
// Its receive right is in a space (receiver is set), owned by the kernel, in limbo (taken out of a space and not yet
// anywhere), or in transit in a message (destination is set).
type Port struct {
	kernel *Kernel
	typ    mach.PortType
	policy *TypePolicy
	owner  *account // who made it; nil for the kernel
	dead   atomic.Bool

	mu           sync.Mutex
	receiver     *Space
	receiverName mach.Name
	destination  *Port // port whose queue holds the message this port's receive right is in
	kernelOwned  bool
	object       Object     // never changes
	attached     Attachment // never changes
	service      *ServiceInfo

	immovable    bool // the receive right may not leave its space
	afterPD      bool // a port-destroyed notification is carrying it
	enforceReply bool
	filtered     bool // messages of filtered tasks to it are
	guarded      bool
	strict       bool
	throttled    bool // the service, says launchd
	donation     bool // messages to it pass importance on, which shows in its status alone
	tempOwner    bool // whoever it was given to for the time being gets the importance
	keepsGuard   bool // of the service; back home, the port is guarded again with homeGuard
	homeGuard    uint64
	context      uint64

	makeSends uint32 // send rights made since it arrived
	sends     int    // send rights: one for each space with a name for it, one for each in a message
	sendOnces int

	queue     queue
	receivers waitList
	senders   waitList
	members   []*member // sets it belongs to

	noSenders     *Port // send-once rights to notify, taken
	portDestroyed *Port
	requests      *request // armed on names of this port, in a list
	armed         bool     // a send-possible request waits for room in the queue
	died          uint64   // stamp of its death
}

// deadPort stands in messages for a right whose port was dead when it was sent.
var deadPort = func() *Port { p := new(Port); p.dead.Store(true); return p }()

// valid says that p is a port and not null or dead (IP_VALID).
func (p *Port) valid() bool { return p != nil && p != deadPort }

// nameOf returns the name that stands for p if it is null or dead.
func nameOf(p *Port) mach.Name {
	if p == deadPort {
		return mach.DeadName
	}
	return mach.NullName
}

func (k *Kernel) newPort(typ mach.PortType, owner *account) *Port {
	pol := k.restrict.Type(typ)
	p := &Port{kernel: k, typ: typ, policy: pol, owner: owner, immovable: pol.Movability == MoveNever}
	p.queue.limit = mach.QueueLimitDefault
	k.live.ports.Add(1)
	return p
}

// Type returns the type.
func (p *Port) Type() mach.PortType { return p.typ }

// Policy returns how ports of its type behave.
func (p *Port) Policy() *TypePolicy { return p.policy }

// Active says that the port is not dead. The answer may be stale at once, but death is final.
func (p *Port) Active() bool { return !p.dead.Load() }

// Object returns what a kernel-owned port stands for, or stood for when it lived; nil for others.
func (p *Port) Object() Object { return p.object }

// EnforcesReply says that messages to the port need a proper reply port, by its type or its own wish.
func (p *Port) EnforcesReply() bool { return p.enforceReply || p.policy.EnforceReply }

// Filtered says that the sandbox has its say about messages to the port.
func (p *Port) Filtered() bool { return p.filtered }

// ReceiverName returns the receiver's name for the port: 0 in transit, 1 for the kernel.
func (p *Port) ReceiverName() mach.Name {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.receiverName
}

// ReceiveImmovable says that the receive right may not leave its space. Call with that space or the port locked, as
// Restrictions are where they are asked.
func (p *Port) ReceiveImmovable() bool { return p.immovable }

// HoldReceiver makes the receive right immovable; false if the port is dead.
func (p *Port) HoldReceiver() bool {
	for {
		s := p.Receiver()
		if s != nil {
			s.mu.Lock()
		}
		p.mu.Lock()
		alive, there := !p.dead.Load(), p.receiver == s
		if alive && there {
			p.immovable = true
		}
		p.mu.Unlock()
		if s != nil {
			s.mu.Unlock()
		}
		if !alive || there {
			return alive
		}
	}
}

// kernelReceives says that rights sent to the port reach no other task: it is the kernel's, or dead.
func (p *Port) kernelReceives() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kernelOwned || p.dead.Load()
}

// full says that an ordinary sender has to wait.
func (p *Port) full() bool { return p.queue.count >= p.queue.limit }

// Destroy ends a kernel-owned port.
func (p *Port) Destroy() {
	var c cleanup
	p.mu.Lock()
	if p.dead.Load() {
		p.mu.Unlock()
		return
	}
	p.destroy(&c)
	c.run(p.kernel)
}

// destroy takes the receive right away from whoever has it: the port dies, or, if a port-destroyed notification is
// armed, its receive right travels in that. The port is locked and active; destroy unlocks it.
func (p *Port) destroy(c *cleanup) {
	pd := p.portDestroyed
	p.portDestroyed = nil
	p.loseReceiver()
	if pd != nil {
		p.afterPD = true
		p.mu.Unlock()
		c.add(task{kind: taskPortDestroyed, port: pd, other: p})
		return
	}
	p.died = p.kernel.deaths.Add(1)
	p.dead.Store(true)
	for m := p.queue.takeAll(); m != nil; {
		next := m.next
		m.next = nil
		c.add(task{kind: taskMessage, msg: m})
		m = next
	}
	p.senders.wakeAll(waitRestart)
	if ns := p.noSenders; ns != nil {
		p.noSenders = nil
		c.add(task{kind: taskSendOnceGone, port: ns})
	}
	for r := p.requests; r != nil; r = r.next {
		if r.notify != nil {
			c.add(task{kind: taskNotify, port: r.notify, id: mach.NotifyDeadName, value: uint32(r.name)})
			r.notify, r.told = nil, true
		}
	}
	p.mu.Unlock()
	if p.attached != nil {
		c.add(task{kind: taskAttachedDied, port: p})
	}
	p.kernel.live.ports.Add(-1)
	if p.owner != nil {
		p.owner.ports.Add(-1)
	}
}

// loseReceiver puts a receive right in limbo: guards, counts and set memberships go, and waiting receivers are told.
// The port is locked.
func (p *Port) loseReceiver() {
	for _, m := range p.members {
		m.set.remove(m)
		m.set.owner.members.Add(-1)
	}
	p.members = nil
	p.receivers.wakeAll(waitRestart)
	p.makeSends, p.queue.seqno = 0, 0
	p.context, p.guarded, p.strict, p.immovable, p.tempOwner = 0, false, false, false, false
	p.receiver, p.receiverName, p.destination, p.kernelOwned = nil, 0, nil, false
}

// dropSend gives back one send right of an active, locked port.
func (p *Port) dropSend(c *cleanup) {
	p.sends--
	if p.sends > 0 || p.dead.Load() {
		return
	}
	if ns := p.noSenders; ns != nil {
		p.noSenders = nil
		c.add(task{kind: taskNotify, port: ns, id: mach.NotifyNoSenders, value: p.makeSends})
	}
	if p.object != nil {
		c.add(task{kind: taskObjectNoSenders, port: p, value: p.makeSends})
	}
}

// request is a dead-name or send-possible notification armed on a name.
type request struct {
	name         mach.Name
	notify       *Port // send-once right; nil once it was used
	told         bool  // of the port's death; the name counts that
	sendPossible bool
	armed        bool // send-possible: a send has failed since
	port         *Port
	prev, next   *request
}

// typeBits returns what mach_port_type shows of a request.
func (r *request) typeBits() mach.RightType {
	if r == nil || r.notify == nil {
		return 0
	}
	t := mach.TypeDeadNameRequest
	if r.sendPossible {
		t |= mach.TypeSendPossibleRequest
		if !r.armed {
			t |= mach.TypeSendPossibleRequestDelayed
		}
	}
	return t
}

func (p *Port) addRequest(r *request) {
	r.port, r.next = p, p.requests
	if r.next != nil {
		r.next.prev = r
	}
	p.requests = r
}

// cancelRequest unlinks the request of an entry and returns the send-once right it held, nil if none. The port is
// locked and active.
func (p *Port) cancelRequest(e *entry) *Port {
	r := e.request
	e.request = nil
	if r == nil {
		return nil
	}
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		p.requests = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	}
	return r.notify
}
