package ipc

import "portcullis.dev/mach"

// State is everything about a port at one moment, for whoever looks on from outside.
type State struct {
	Active       bool
	Receiver     *Space    // nil: the kernel, a message, or nobody
	ReceiverName mach.Name // in Receiver
	KernelOwned  bool
	Destination  *Port // in whose queue the message is that carries the receive right; nil if none does

	Immovable, Guarded, Strict bool   // of the receive right
	Context                    uint64 // and guard
	MakeSends                  uint32
	Sends, SendOnces           int // in spaces and messages
	Messages, QueueLimit       int
	Seqno                      uint32
	NoSenders, PortDestroyed   bool // notifications that are asked for
	Requests                   int  // dead-name and send-possible notifications that are asked for
	Sets                       []*PortSet
	Service                    *ServiceInfo
}

// State looks at the port.
func (p *Port) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := State{Active: !p.dead.Load(), Receiver: p.receiver, ReceiverName: p.receiverName, KernelOwned: p.kernelOwned,
		Destination: p.destination, Immovable: p.immovable, Guarded: p.guarded, Strict: p.strict, Context: p.context,
		MakeSends: p.makeSends, Sends: p.sends, SendOnces: p.sendOnces, Messages: p.queue.count,
		QueueLimit: p.queue.limit, Seqno: p.queue.seqno, NoSenders: p.noSenders != nil,
		PortDestroyed: p.portDestroyed != nil}
	for r := p.requests; r != nil; r = r.next {
		if r.notify != nil {
			st.Requests++
		}
	}
	for _, m := range p.members {
		st.Sets = append(st.Sets, m.set)
	}
	if p.service != nil {
		service := *p.service
		st.Service = &service
	}
	return st
}

// Entry describes what a name denotes; false if it denotes nothing.
func (s *Space) Entry(name mach.Name) (info EntryInfo, ok bool) {
	s.locked(func(*cleanup) mach.KernReturn {
		if e, _ := s.lookup(name); e != nil {
			info, ok = EntryInfo{Name: name, Port: e.port, Set: e.set}, true
			info.Type, info.Refs = s.info(e)
		}
		return 0
	})
	return info, ok
}
