package ipc

import "portcullis.dev/mach"

// cleanup collects what has to be done once locks are gone. The zero value is ready, and costs nothing if it stays
// empty.
type cleanup struct{ tasks []task }

type task struct {
	kind  taskKind
	port  *Port
	other *Port
	msg   *Message
	disp  mach.Disposition
	id    int32
	value uint32
}

type taskKind uint8

const (
	taskRight           taskKind = iota // destroy a right to port, as disp says
	taskMessage                         // destroy msg
	taskNotify                          // send notification id with value, consuming the send-once right to port
	taskSendOnceGone                    // a send-once right to port goes unused
	taskPortDestroyed                   // send other's receive right to port in a port-destroyed notification
	taskObjectNoSenders                 // tell port's object
	taskAttachedDied                    // tell what is attached to port
)

func (c *cleanup) add(t task) { c.tasks = append(c.tasks, t) }

// right writes down that a right is to be destroyed.
func (c *cleanup) right(p *Port, d mach.Disposition) {
	if p.valid() {
		c.add(task{kind: taskRight, port: p, disp: d})
	}
}

// deleted writes down a port-deleted notification for a request that went with its name.
func (c *cleanup) deleted(notify *Port, name mach.Name) {
	if notify != nil {
		c.add(task{kind: taskNotify, port: notify, id: mach.NotifyPortDeleted, value: uint32(name)})
	}
}

// run does everything, and everything that follows from it. Nothing is locked.
func (c *cleanup) run(k *Kernel) {
	for i := 0; i < len(c.tasks); i++ {
		t := c.tasks[i]
		c.tasks[i] = task{}
		switch t.kind {
		case taskRight:
			t.port.dropRight(c, t.disp)
		case taskMessage:
			t.msg.destroy(c)
		case taskNotify:
			k.notify(c, t.port, t.id, t.value)
		case taskSendOnceGone:
			k.notify(c, t.port, mach.NotifySendOnce, 0)
		case taskPortDestroyed:
			k.notifyDestroyed(c, t.port, t.other)
		case taskObjectNoSenders:
			if o := t.port.Object(); o != nil {
				o.NoSenders(t.port, t.value)
			}
		case taskAttachedDied:
			t.port.attached.PortDied()
		}
		if i == len(c.tasks)-1 {
			c.tasks, i = c.tasks[:0], -1 // all done: what comes next starts from the front
		}
	}
	if cap(c.tasks) > maxKept {
		c.tasks = nil
	}
}

// maxKept is the longest list that a thread keeps for its next call.
const maxKept = 256

// dropRight destroys a right that is in no space.
func (p *Port) dropRight(c *cleanup, d mach.Disposition) {
	if d == mach.MoveSendOnce {
		c.add(task{kind: taskSendOnceGone, port: p})
		return
	}
	p.mu.Lock()
	if p.dead.Load() {
		p.mu.Unlock()
		return
	}
	if d == mach.MoveReceive {
		p.destroy(c)
		return
	}
	p.dropSend(c)
	p.mu.Unlock()
}

// notify sends a notification through a send-once right, which it consumes. A send-once right that goes unused is
// told of too, by a notification of its own.
//
// Source of the layouts: XNU osfmk/mach/notify.h.
func (k *Kernel) notify(c *cleanup, to *Port, id int32, value uint32) {
	to.mu.Lock()
	if to.dead.Load() {
		to.mu.Unlock()
		return
	}
	if to.kernelOwned {
		to.sendOnces--
		to.mu.Unlock()
		if w, ok := to.object.(Notified); ok {
			w.Notified(to, id)
		}
		return
	}
	m := k.newMessageTo(to, messageCost)
	if m == nil {
		to.sendOnces--
		to.mu.Unlock()
		return
	}
	m.id, m.dest, m.destDisp = id, to, mach.MoveSendOnce
	m.size = mach.HeaderSize
	if id != mach.NotifySendOnce {
		m.body = append(m.body, 0, 0, 0, 0, 1, 0, 0, 0, // NDR record: little endian, ASCII, IEEE
			byte(value), byte(value>>8), byte(value>>16), byte(value>>24))
		m.size += 12
	}
	to.post(c, m)
}

// notifyDestroyed sends the receive right of p to whoever asked to have it back.
func (k *Kernel) notifyDestroyed(c *cleanup, to, p *Port) {
	m := k.newMessageTo(to, messageCost)
	if m == nil {
		c.right(to, mach.MoveSendOnce)
		c.right(p, mach.MoveReceive)
		return
	}
	m.id, m.dest, m.destDisp = mach.NotifyPortDestroyed, to, mach.MoveSendOnce
	m.desc = append(m.desc, Item{Type: mach.DescriptorPort, Disposition: mach.MoveReceive, Port: p})
	m.size = mach.HeaderSize + mach.BodySize + mach.PortDescriptorSize
	m.complex = true
	if k.circular(p, to) {
		c.add(task{kind: taskMessage, msg: m})
		return
	}
	to.mu.Lock()
	if to.dead.Load() || to.kernelOwned {
		to.mu.Unlock()
		c.add(task{kind: taskMessage, msg: m})
		return
	}
	to.post(c, m)
}

// circular says that putting the receive right of p into a message to dest would make ports and messages hold each
// other with nobody left to receive. If not, it notes where p is going. p is in limbo.
//
// Links between ports in transit are only made under Kernel.transit; they may go at any time, but not the last link of
// a chain that ends at p, because nobody can receive from p.
//
// Source: XNU osfmk/ipc/ipc_port.c, ipc_port_check_circularity.
func (k *Kernel) circular(p, dest *Port) bool {
	k.transit.Lock()
	defer k.transit.Unlock()
	for at := dest; at != nil; {
		if at == p {
			return true
		}
		at.mu.Lock()
		next := at.destination
		at.mu.Unlock()
		at = next
	}
	p.mu.Lock()
	p.destination = dest
	p.mu.Unlock()
	return false
}
