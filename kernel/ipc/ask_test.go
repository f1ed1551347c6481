package ipc

import (
	"testing"
	"time"

	"portcullis.dev/mach"
)

// asked is one question on its way: a thread of a task asks a port that another task receives on.
type asked struct {
	*testing.T
	k             *Kernel
	asker, server *testTask
	port          *Port
	name          mach.Name // the server's
	done          chan struct{}
	answer        *Answer
	kr            mach.KernReturn
}

func newAsked(t *testing.T) *asked {
	k := New(Config{Clock: realClock{}})
	q := &asked{T: t, k: k, asker: newTask(t, k, 1), server: newTask(t, k, 2), done: make(chan struct{})}
	q.name = q.server.port()
	p, kr := q.server.SendPort(q.name)
	q.server.ok(kr)
	q.port = p.CopySend()
	return q
}

func (q *asked) ask(items ...Item) {
	go func() {
		q.answer, q.kr = q.asker.t.Ask(q.port, 2405, []byte("body"), items...)
		close(q.done)
	}()
}

func (q *asked) wait() {
	q.Helper()
	select {
	case <-q.done:
	case <-time.After(10 * time.Second):
		q.Fatal("the question still waits")
	}
}

// receive takes the question and returns its header.
func (q *asked) receive() (h mach.Header, b []byte) {
	q.Helper()
	b = make([]byte, 256)
	q.server.ok(q.server.t.Msg2(&Args{Options: mach.RcvMsg, Receive: q.name, Buffer: b}))
	h.Decode(b)
	return h, b[:h.Size]
}

// end ends everything and checks that nothing is left.
func (q *asked) end() {
	q.Helper()
	q.port.ReleaseSend()
	q.server.Terminate()
	q.asker.Terminate()
	if s := q.k.Stats(); s != (Stats{}) {
		q.Errorf("left behind: %+v", s)
	}
}

func TestAsk(t *testing.T) {
	q := newAsked(t)
	extra := q.k.NewObjectPort(mach.PortTypeTaskName, new(asker))
	q.ask(Item{Type: mach.DescriptorPort, Disposition: mach.MoveSend, Port: extra.MakeSend()})
	h, b := q.receive()
	if h.ID != 2405 || h.Bits != mach.BitsComplex|mach.MakeBits(mach.MoveSendOnce, mach.MoveSend, 0) ||
		h.Size != mach.HeaderSize+mach.BodySize+mach.PortDescriptorSize+4 || string(b[len(b)-4:]) != "body" {
		t.Errorf("%+v, %q", h, b)
	}
	if rights, _ := q.server.Type(q.server.t, h.Remote); rights != mach.TypeSendOnce {
		t.Errorf("the right to answer is %v", rights)
	}
	reply := message(mach.MakeBits(mach.MoveSendOnce, mach.MakeSend, 0), h.Remote, q.name, 2505, []byte("done"),
		mach.Descriptor{Type: mach.DescriptorPort, Disposition: mach.CopySend, Name: q.name})
	send := &Args{Options: mach.SendMsg | mach.SendMQCall, Send: reply}
	q.server.ok(q.server.t.Msg2(send))
	q.wait()
	a := q.answer
	if q.kr != 0 || a.ID != 2505 || string(a.Body) != "done" || len(a.Items) != 1 || a.Items[0].Port != q.port ||
		a.Reply != q.port || a.Sender.Audit.PID() != 2 || !a.Complex {
		t.Errorf("%v: %+v", q.kr, a)
	}
	q.server.want(q.server.t.Msg2(send), mach.SendInvalidDest) // the right is used up
	a.Reply.Release(a.ReplyDisposition)
	a.Items[0].Port.Release(a.Items[0].Disposition)
	extra.Destroy()
	q.end()
}

// TestAskIdentity: the trailer of a message of the kernel's says so.
func TestAskIdentity(t *testing.T) {
	q := newAsked(t)
	q.ask()
	b := make([]byte, 256)
	q.server.ok(q.server.t.Msg2(&Args{Options: mach.RcvMsg | mach.Option(mach.TrailerAudit)<<24, Receive: q.name,
		Buffer: b}))
	var h mach.Header
	h.Decode(b)
	var tr mach.Trailer
	tr.Decode(b[h.Size:])
	if tr.Security != [2]uint32{0, 1} || tr.Audit != (mach.AuditToken{}) {
		t.Errorf("%+v", tr)
	}
	q.server.ok(q.server.Deallocate(q.server.t, h.Remote))
	q.wait()
	q.end()
}

// TestAskUnanswered: whatever becomes of the right to answer, the question ends.
func TestAskUnanswered(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(q *asked)
		id   int32
		kr   mach.KernReturn
	}{
		{"right given up", func(q *asked) {
			h, _ := q.receive()
			q.server.ok(q.server.Deallocate(q.server.t, h.Remote))
		}, mach.NotifySendOnce, 0},
		{"receiver ends before", func(q *asked) { q.server.Terminate() }, mach.NotifySendOnce, 0},
		{"receiver ends after", func(q *asked) {
			q.receive()
			q.server.Terminate()
		}, mach.NotifySendOnce, 0},
		{"port destroyed", func(q *asked) { q.server.ok(q.server.Destroy(q.server.t, q.name)) }, mach.NotifySendOnce, 0},
		{"right used for something else", func(q *asked) {
			h, _ := q.receive()
			_, kr := q.server.RequestNotification(q.server.t, q.server.port(), mach.NotifyNoSenders, 0, h.Remote,
				mach.MoveSendOnce)
			q.server.want(kr, mach.KernInvalidCapability)
			q.server.ok(q.server.Deallocate(q.server.t, h.Remote))
		}, mach.NotifySendOnce, 0},
		{"interrupted", func(q *asked) {
			h, _ := q.receive()
			for {
				q.asker.t.Interrupt()
				select {
				case <-q.done:
					q.server.ok(q.server.t.Msg2(&Args{Options: mach.SendMsg | mach.SendMQCall,
						Send: message(mach.MakeBits(mach.MoveSendOnce, 0, 0), h.Remote, 0, 2505, nil)}))
					return
				case <-time.After(time.Millisecond):
				}
			}
		}, 0, mach.RcvInterrupted},
		{"killed", func(q *asked) { q.asker.t.Kill() }, 0, mach.RcvInterrupted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := newAsked(t)
			q.ask()
			tt.do(q)
			q.wait()
			if q.kr != tt.kr || q.answer != nil && q.answer.ID != tt.id || (q.answer == nil) != (tt.kr != 0) {
				t.Errorf("%v, %+v; want %v, id %d", q.kr, q.answer, tt.kr, tt.id)
			}
			q.end()
		})
	}
}

// TestAskRefused: what cannot be sent ends at once, and the rights that were to go along are gone.
func TestAskRefused(t *testing.T) {
	q := newAsked(t)
	q.server.ok(q.server.Destroy(q.server.t, q.name))
	q.ask()
	if q.wait(); q.kr != 0 || q.answer.ID != mach.NotifySendOnce {
		t.Errorf("dead port: %v, %+v", q.kr, q.answer)
	}
	q.end()

	q = newAsked(t)
	q.k.limits.Bytes = 100
	extra := q.k.NewObjectPort(mach.PortTypeTaskName, new(asker))
	q.ask(Item{Type: mach.DescriptorPort, Disposition: mach.MoveSend, Port: extra.MakeSend()})
	if q.wait(); q.kr != mach.SendNoBuffer || extra.HasSenders() {
		t.Errorf("no bytes: %v, senders left: %v", q.kr, extra.HasSenders())
	}
	extra.Destroy()
	q.k.limits.Bytes = 1 << 20
	q.end()

	q = newAsked(t)
	q.port.queue.count += mach.QueueLimitKernel
	q.ask()
	if q.wait(); q.kr != mach.SendNoBuffer {
		t.Errorf("full: %v", q.kr)
	}
	q.end()
}

// substitute gives one space another port.
type substitute struct {
	asker
	to *Space
	by *Port
}

func (s *substitute) Substitute(_ *Port, to *Space) *Port {
	if to == s.to {
		return s.by.MakeSend()
	}
	return nil
}

func TestSubstitute(t *testing.T) {
	q := newAsked(t)
	control := q.k.NewObjectPort(mach.PortTypeTaskControl, new(asker))
	read := q.k.NewObjectPort(mach.PortTypeTaskRead, &substitute{to: q.server.Space, by: control})
	for _, tt := range []struct {
		to   *testTask
		want *Port
	}{{q.server, control}, {q.asker, read}} {
		n, kr := tt.to.InsertSend(read.MakeSend(), false)
		tt.to.ok(kr)
		if got, _ := tt.to.SendPort(n); got != tt.want {
			t.Errorf("got the port of type %v", got.Type())
		}
	}
	q.server.Terminate()
	if control.HasSenders() || !read.HasSenders() {
		t.Error("rights are lost or left")
	}
	q.asker.Terminate()
	q.port.ReleaseSend()
	control.Destroy()
	read.Destroy()
	if s := q.k.Stats(); s != (Stats{}) {
		t.Errorf("left behind: %+v", s)
	}
}
