package trace

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
	"portcullis.dev/trap"
)

// Sink writes events. A recorder calls it from one goroutine at a time.
type Sink interface {
	Write(*Event)
	// Close writes what is left, and returns the first error there was.
	Close() error
}

// Recorder turns calls into events. Its methods may be called by many goroutines at once.
type Recorder struct {
	began   time.Time
	numbers atomic.Uint64

	mu      sync.Mutex
	sink    Sink
	closed  bool
	open    map[*object.Thread]*Event // calls that are not over
	senders [1 << 14]sender           // of the latest messages, by number
}

type sender struct {
	number uint64
	who    Who
}

// New makes a recorder.
func New(s Sink) *Recorder {
	return &Recorder{began: time.Now(), sink: s, open: map[*object.Thread]*Event{}}
}

func (r *Recorder) now() time.Duration { return time.Since(r.began) }

// who tells a thread. Thread id 0 means that it is bound to none of the operating system.
func who(th *object.Thread, tid int) Who {
	t := th.Task()
	w := Who{program(t), t.PID(), uint64(tid)}
	if tid == 0 {
		w.Thread = th.ID()
	}
	return w
}

// Call tells of a message call before it happens, and numbers the message that is sent.
func (r *Recorder) Call(th *object.Thread, tid int, a *ipc.Args) {
	e := &Event{Kind: Called, Who: who(th, tid), Sends: a.Options&mach.SendMsg != 0, Receives: a.Options&mach.RcvMsg != 0}
	if e.Sends {
		a.Number = r.numbers.Add(1)
		e.Sent = sent(th, a)
	}
	e.Begin = r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.open[th] = e
	if e.Sends {
		r.senders[a.Number%uint64(len(r.senders))] = sender{a.Number, e.Who}
	}
	r.sink.Write(e)
}

// sent describes the message that a thread is about to send.
func sent(th *object.Thread, a *ipc.Args) *Message {
	var h mach.Header
	if len(a.Send) < mach.HeaderSize || !h.Decode(a.Send) {
		return &Message{Number: a.Number, Size: uint32(len(a.Send)), What: "nothing, for it is too short"}
	}
	m := &Message{Number: a.Number, ID: h.ID, Size: uint32(len(a.Send)), Port: h.Remote, With: short(h.Bits.Remote()),
		Reply: h.Local, ReplyBy: short(h.Bits.Local()), What: "no port"}
	if e, ok := th.Task().Space.Entry(h.Remote); ok && e.Port != nil {
		m.What, m.to, m.Kernel = describe(th.Task().Machine(), e.Port)
	}
	to := tasks
	if m.Kernel {
		to = toKernel
	}
	m.Routine = routine(h.ID, to)
	if h.Bits&mach.BitsComplex != 0 {
		m.Items = items(a.Send)
	}
	return m
}

// Return tells what came of a call.
func (r *Recorder) Return(th *object.Thread, tid int, a *ipc.Args, kr mach.KernReturn) {
	e := &Event{Kind: Returned, Who: who(th, tid), Result: kr, Sends: a.Options&mach.SendMsg != 0,
		Receives: a.Options&mach.RcvMsg != 0}
	if e.Receives && kr == 0 {
		e.Received = received(th, a)
	}
	e.End = r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	e.Begin = e.End
	if call := r.open[th]; call != nil {
		e.Begin, e.Sent = call.Begin, call.Sent
		delete(r.open, th)
		if e.Received != nil && e.Sent != nil {
			e.Received.answers(e.Sent)
		}
	}
	if m := e.Received; m != nil && m.Number != 0 {
		if s := r.senders[m.Number%uint64(len(r.senders))]; s.number == m.Number {
			m.From = &s.who
		}
	}
	r.sink.Write(e)
}

// received describes the message that a thread has received.
func received(th *object.Thread, a *ipc.Args) *Message {
	var h mach.Header
	if !h.Decode(a.Buffer) {
		return nil
	}
	m := &Message{Number: a.Received, ID: h.ID, Size: h.Size, Port: h.Local, With: short(h.Bits.Local()), Reply: h.Remote,
		ReplyBy: short(h.Bits.Remote())}
	from := tasks
	if m.Number == 0 {
		from = fromKernel
	}
	m.Routine = routine(h.ID, from)
	if h.Bits&mach.BitsComplex != 0 {
		m.Items = items(a.Buffer)
	}
	return m
}

// Operation tells of a call other than for messages.
func (r *Recorder) Operation(th *object.Thread, tid int, op trap.Op, args *[12]uint64, result *[8]uint64,
	kr mach.KernReturn, took time.Duration) {
	now := r.now()
	r.write(&Event{Kind: Operated, Who: who(th, tid), Begin: now - took, End: now, Result: kr,
		Text: operation(op, args, result, kr)})
}

// Started tells of a task.
func (r *Recorder) Started(t *object.Task) {
	r.write(&Event{Kind: Started, Who: Who{program(t), t.PID(), 0}, Text: "level " + t.Restrict.Policy.Level().String()})
}

// Ended tells of the end of a task. Calls of its threads are over.
func (r *Recorder) Ended(t *object.Task) {
	e := &Event{Kind: Ended, Who: Who{program(t), t.PID(), 0}}
	r.mu.Lock()
	for th := range r.open {
		if th.Task() == t {
			delete(r.open, th)
		}
	}
	r.mu.Unlock()
	r.write(e)
}

// Violated tells of a guard that a thread ran into.
func (r *Recorder) Violated(t *object.Task, tid int, v *restrict.Violation) {
	name := v.Code.String()
	if x := rules.Explain(v.Code, &v.Subcode, rules.OS{}); x.Rule != nil {
		name = x.Rule.Name
	}
	r.write(&Event{Kind: Violated, Who: Who{program(t), t.PID(), uint64(tid)},
		Text: fmt.Sprintf("%s: code %#x, payload %#x, %s", name, uint64(v.Code), v.Subcode, v.Fate)})
}

func (r *Recorder) write(e *Event) {
	if e.End == 0 {
		e.Begin = r.now()
		e.End = e.Begin
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.sink.Write(e)
	}
}

// Close writes down calls that are not over, and closes the sink.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	return r.sink.Close()
}
