package ipc

import (
	"sync"

	"portcullis.dev/mach"
)

// Answer is the message that came back to a question of the kernel's ([Thread.Ask]). Its rights are the caller's;
// memory that came along is not kept.
type Answer struct {
	ID               int32 // of the message; mach.NotifySendOnce if the right to answer went unused
	Complex          bool
	Reply            *Port // right to answer back, which no answer should have; nil for none
	ReplyDisposition mach.Disposition
	Items            []Item
	Body             []byte
	Sender           Identity
}

// Ask sends a message of the kernel's to a port, to which the caller holds a send right and keeps it, and waits for the
// answer. The kernel makes a port for the answer and gives the receiver one send-once right to it. Room in the queue is
// not waited for, and the limit of the queue does not count. The rights in items are used up, whatever happens; the
// thread's space pays for the message.
//
// It returns MACH_SEND_NO_BUFFER if the space has no bytes left for messages, or the queue is as long as even the
// kernel may make it; MACH_RCV_INTERRUPTED if the thread was interrupted or killed: an answer that comes later is
// destroyed. A port that is dead, or dies, gives an answer: mach.NotifySendOnce.
//
// Source: XNU osfmk/kern/ipc_mig.c, kernel_mach_msg_rpc; osfmk/kern/ipc_tt.c, thread_get_kernel_special_reply_port.
func (t *Thread) Ask(to *Port, id int32, body []byte, items ...Item) (*Answer, mach.KernReturn) {
	k := t.space.kernel
	a := new(asker)
	box := k.NewObjectPort(mach.PortTypeSpecialReply, a)
	defer box.Destroy()
	if kr := t.post(to, box, id, body, items); kr != 0 {
		return nil, kr
	}
	a.mu.Lock()
	for a.answer == nil {
		kr := a.line.Sleep(t, &a.mu, false, 0, nil)
		a.mu.Lock()
		if kr != 0 && a.answer == nil {
			a.over = true
			a.mu.Unlock()
			return nil, mach.RcvInterrupted
		}
	}
	defer a.mu.Unlock()
	return a.answer, 0
}

// post sends a message of the kernel's with the right to answer it.
func (t *Thread) post(to, box *Port, id int32, body []byte, items []Item) mach.KernReturn {
	var c cleanup
	k, account := t.space.kernel, t.space.account
	defer c.run(k)
	cost := messageCost + itemCost*int64(len(items)) + int64(len(body))
	if !k.chargeBytes(account, cost) {
		for i := range items {
			c.right(items[i].Port, items[i].Disposition)
		}
		return mach.SendNoBuffer
	}
	m := k.newMessage(account)
	m.charged, m.sender = cost, kernelIdentity
	m.fill(id, body, items)
	m.dest, m.destDisp = to.CopySend(), mach.MoveSend
	m.reply, m.replyDisp = box, mach.MoveSendOnce
	box.mu.Lock()
	box.sendOnces++
	box.mu.Unlock()
	if m.dest == deadPort {
		c.add(task{kind: taskMessage, msg: m})
		return 0
	}
	kr := t.deliver(&c, m, mach.SendMsg|sendAlways, 0)
	if kr != 0 {
		c.add(task{kind: taskMessage, msg: m})
	}
	return kr
}

// asker is what the port for an answer stands for.
type asker struct {
	mu     sync.Mutex
	line   Waiters
	answer *Answer
	over   bool // nobody waits any more
}

// put hands over an answer; false if there is one already, or nobody waits for it.
func (a *asker) put(answer *Answer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || a.answer != nil {
		return false
	}
	a.answer = answer
	a.line.WakeAll()
	return true
}

// Serve implements [Object].
func (a *asker) Serve(t *Thread, c *Call) {
	m := c.message
	answer := &Answer{ID: c.ID, Complex: m.complex, Reply: m.reply, ReplyDisposition: m.replyDisp,
		Items: append([]Item(nil), c.Items...), Body: append([]byte(nil), c.Body...), Sender: c.Sender}
	for i := range answer.Items {
		answer.Items[i].Data = nil
	}
	if a.put(answer) {
		m.reply = nil
		for i := range m.desc {
			m.desc[i].Port, m.desc[i].Ports = nil, nil
		}
	}
}

// Notified implements [Notified]: the right to answer went unused, or was given for a notification.
func (a *asker) Notified(_ *Port, id int32) { a.put(&Answer{ID: id}) }

// NoSenders implements [Object]. There are no send rights to such a port.
func (a *asker) NoSenders(*Port, uint32) {}
