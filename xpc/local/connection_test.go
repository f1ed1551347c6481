package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis.dev/rules"
	"portcullis.dev/xpc"
)

var levels = []rules.Level{rules.LevelNone, rules.LevelHardenedRuntime, rules.Level1, rules.Level2, rules.Level3,
	rules.LevelPlatform}

// echo answers every message with itself and a count.
func echo(n *atomic.Int64) xpc.Handler {
	return xpc.HandlerFuncs{Message: func(m *xpc.Message) {
		k := n.Add(1)
		if m.Expects() {
			m.Reply(m.Dictionary.Set("count", xpc.Int64(k)))
		}
	}}
}

func serve(t testing.TB, l *xpc.Listener, h xpc.Handler) {
	go l.Serve(context.Background(), func(c *xpc.Connection) { c.Activate(h) })
	t.Cleanup(l.Close)
}

// TestLevels runs through everything at every level, on both sides: no guard may be raised.
func TestLevels(t *testing.T) {
	for _, level := range levels {
		t.Run(level.String(), func(t *testing.T) {
			w := newWorld(t)
			ctx := inTime(t)
			server, client := w.start(level), w.start(level)
			l := server.offer("com.example.echo")
			var n atomic.Int64
			serve(t, l, echo(&n))
			c := client.dial("com.example.echo")
			c.Activate(nil)
			big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // beside the message
			wide := make(xpc.Array, 9000)                          // a message that is out of line itself
			for i := range wide {
				wide[i] = xpc.Int64(i)
			}
			for i, d := range []*xpc.Dictionary{
				dict("a", xpc.String("b")),
				dict("big", xpc.Data(big)),
				dict("wide", wide),
				dict("wide", wide, "big", xpc.Data(big), "deep", dict("big", xpc.Data(big[:xpc.LargeData+1]))),
				dict("medium", xpc.Data(big[:xpc.LargeData])),
			} {
				want := dict("count", xpc.Int64(i+1))
				for k, v := range d.All() {
					want.Set(k, v)
				}
				got, err := c.Call(ctx, d)
				if err != nil {
					t.Fatal(err)
				}
				if !xpc.Equal(got, want) {
					t.Fatalf("message %d came back as %.200v", i, got)
				}
			}
			if c.Peer().PID() != server.token.PID() {
				t.Errorf("the peer is %d", c.Peer().PID())
			}
			if err := c.Send(ctx, dict()); err != nil {
				t.Error(err)
			}
			done := make(chan error, 1)
			if err := c.CallAsync(ctx, dict("x", xpc.Null{}), func(d *xpc.Dictionary, err error) {
				if err == nil && d.Int64("count") != 7 {
					err = fmt.Errorf("%v", d)
				}
				done <- err
			}); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			c.Cancel()
			l.Close()
			w.end()
		})
	}
}

// recorder takes down what a connection hears.
type recorder struct {
	mu     sync.Mutex
	events []string
	all    chan string
}

func newRecorder() *recorder { return &recorder{all: make(chan string, 1<<16)} }

func (r *recorder) HandleMessage(m *xpc.Message) { r.note(m.Text("say")) }
func (r *recorder) HandleError(err error) {
	switch {
	case errors.Is(err, xpc.ErrInterrupted):
		r.note("interrupted")
	case errors.Is(err, xpc.ErrInvalid):
		r.note("invalid")
	default:
		r.note(err.Error())
	}
}
func (r *recorder) note(s string) {
	r.mu.Lock()
	r.events = append(r.events, s)
	r.mu.Unlock()
	r.all <- s
}

func (r *recorder) wait(t testing.TB, want string) {
	t.Helper()
	select {
	case got := <-r.all:
		if got != want {
			t.Fatalf("heard %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("heard nothing, want %q", want)
	}
}

func (r *recorder) silent(t testing.TB) {
	t.Helper()
	select {
	case got := <-r.all:
		t.Fatalf("heard %q, want nothing", got)
	case <-time.After(50 * time.Millisecond):
	}
}

// TestOrder checks that messages arrive in the order of sends, of both kinds, and none twice.
func TestOrder(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	server, client := w.start(rules.Level2), w.start(rules.Level2)
	l := server.offer("s")
	got := make(chan int64, 5000)
	serve(t, l, xpc.HandlerFuncs{Message: func(m *xpc.Message) {
		got <- m.Int64("n")
		if m.Expects() {
			m.Reply(dict("n", xpc.Int64(m.Int64("n"))))
		}
	}})
	c := client.dial("s")
	c.Activate(nil)
	var answers sync.WaitGroup
	for i := range 2000 {
		d := dict("n", xpc.Int64(i))
		var err error
		switch i % 3 {
		case 0:
			err = c.Send(ctx, d)
		case 1:
			_, err = c.Call(ctx, d)
		default:
			answers.Add(1)
			err = c.CallAsync(ctx, d, func(d *xpc.Dictionary, err error) {
				if err != nil || d.Int64("n") != int64(i) {
					t.Errorf("answer %d: %v, %v", i, d, err)
				}
				answers.Done()
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Barrier(ctx); err != nil {
		t.Fatal(err)
	}
	answers.Wait()
	for i := range int64(2000) {
		if n := <-got; n != i {
			t.Fatalf("message %d came in place of %d", n, i)
		}
	}
	c.Cancel()
	l.Close()
	w.end()
}

// TestOneCheckIn lets many goroutines use a new connection at once: there is one connection, not many.
func TestOneCheckIn(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	server, client := w.start(rules.Level2), w.start(rules.Level2)
	l := server.offer("s")
	var n, peers atomic.Int64
	go l.Serve(ctx, func(c *xpc.Connection) { peers.Add(1); c.Activate(echo(&n)) })
	c := client.dial("s")
	c.Activate(nil)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := c.Call(ctx, dict()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if peers.Load() != 1 || n.Load() != 50 {
		t.Errorf("%d connections, %d messages", peers.Load(), n.Load())
	}
	c.Cancel()
	l.Close()
	w.end()
}

// TestBothWays checks that a server sends to its client, and that a client's context is kept.
func TestBothWays(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	server, client := w.start(rules.Level2), w.start(rules.Level1)
	l := server.offer("s")
	peers := make(chan *xpc.Connection, 1)
	serve(t, l, xpc.HandlerFuncs{Message: func(m *xpc.Message) { peers <- m.Connection() }})
	c := client.dial("s")
	c.SetContext("mine")
	var n atomic.Int64
	c.Activate(echo(&n))
	if err := c.Send(ctx, dict("hello", xpc.Null{})); err != nil {
		t.Fatal(err)
	}
	peer := <-peers
	d, err := peer.Call(ctx, dict("q", xpc.Int64(1)))
	if err != nil || d.Int64("count") != 1 {
		t.Errorf("%v, %v", d, err)
	}
	if c.Context() != "mine" || peer.Context() != nil || peer.Peer().UID() != 501 || peer.Peer().PID() != client.token.PID() {
		t.Errorf("peer %+v, context %v", peer.Peer().Token, c.Context())
	}
	c.Cancel()
	if _, err := c.Call(ctx, dict()); !errors.Is(err, xpc.ErrInvalid) {
		t.Errorf("a call on a cancelled connection: %v", err)
	}
	l.Close()
	w.end()
}

// TestActivation checks what waits for Activate and Resume, and what Cancel does before.
func TestActivation(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	server, client := w.start(rules.Level2), w.start(rules.Level2)
	l := server.offer("s")
	c := client.dial("s")
	sent := make(chan error, 1)
	go func() { sent <- c.Send(ctx, dict("say", xpc.String("one"))) }()
	select {
	case <-sent:
		t.Fatal("a message went before activation")
	case <-time.After(20 * time.Millisecond):
	}
	c.Activate(nil)
	c.Activate(nil)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	peer.Suspend()
	peer.Suspend()
	peer.Activate(r)
	peer.Resume()
	r.silent(t)
	peer.Resume()
	r.wait(t, "one")
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := l.Accept(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("accept without a client: %v", err)
	}
	other := client.dial("s")
	other.Cancel()
	late := newRecorder()
	other.Activate(late)
	late.wait(t, "invalid")
	peer.Cancel()
	r.wait(t, "invalid")
	r.silent(t)
	c.Cancel()
	l.Close()
	if _, err := l.Accept(ctx); !errors.Is(err, xpc.ErrInvalid) {
		t.Errorf("accept on a closed listener: %v", err)
	}
	w.end()
}

// TestInterrupted lets a service die and start anew: its client hears of it once, requests on their way fail, messages
// that nobody had taken are there for the successor, and the connection goes on.
func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	first, client := w.start(rules.Level2), w.start(rules.Level2)
	l := first.offer("s")
	stuck := make(chan struct{}, 1)
	go l.Serve(ctx, func(c *xpc.Connection) {
		c.Activate(xpc.HandlerFuncs{Message: func(m *xpc.Message) { m.Hold(); stuck <- struct{}{} }})
	})
	c := client.dial("s")
	r := newRecorder()
	c.Activate(r)
	failed := make(chan error, 1)
	go func() { _, err := c.Call(ctx, dict()); failed <- err }()
	<-stuck
	first.Terminate()
	if err := <-failed; !errors.Is(err, xpc.ErrInterrupted) {
		t.Errorf("a request to a service that died: %v", err)
	}
	r.wait(t, "interrupted")
	w.comeHome()
	// Nobody is there: the check-in and the message wait.
	if err := c.Send(ctx, dict("say", xpc.String("still here"))); err != nil {
		t.Fatal(err)
	}
	second := w.start(rules.Level2)
	again := second.offer("s")
	peer, err := again.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	heard := newRecorder()
	peer.Activate(heard)
	heard.wait(t, "still here")
	r.silent(t)
	c.Cancel()
	r.wait(t, "invalid")
	heard.wait(t, "invalid")
	again.Close()
	w.end()
}

// TestNoAnswer checks that a request whose answer is dropped fails, in both ways of asking.
func TestNoAnswer(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	server, client := w.start(rules.Level2), w.start(rules.LevelNone)
	l := server.offer("s")
	held := make(chan *xpc.Message, 2)
	serve(t, l, xpc.HandlerFuncs{Message: func(m *xpc.Message) {
		if m.Bool("hold") {
			m.Hold()
			held <- m
		}
	}})
	c := client.dial("s")
	c.Activate(nil)
	if _, err := c.Call(ctx, dict()); !errors.Is(err, xpc.ErrInterrupted) {
		t.Errorf("a dropped request: %v", err)
	}
	done := make(chan error, 1)
	c.CallAsync(ctx, dict(), func(_ *xpc.Dictionary, err error) { done <- err })
	if err := <-done; !errors.Is(err, xpc.ErrInterrupted) {
		t.Errorf("a dropped request: %v", err)
	}
	go func() {
		d, err := c.Call(ctx, dict("hold", xpc.Bool(true)))
		if err == nil && d.Text("late") != "yes" {
			err = fmt.Errorf("%v", d)
		}
		done <- err
	}()
	m := <-held
	if server.Transactions() != 1 || !m.Expects() {
		t.Errorf("%d transactions", server.Transactions())
	}
	if err := m.Reply(dict("late", xpc.String("yes"))); err != nil {
		t.Error(err)
	}
	if err := m.Reply(dict()); err == nil {
		t.Error("a second answer went away")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	// A caller that gives up: the answer finds nobody, and the next one is not mistaken.
	short, cancel := context.WithCancel(ctx)
	go func() { _, err := c.Call(short, dict("hold", xpc.Bool(true))); done <- err }()
	m = <-held
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call: %v", err)
	}
	if err := m.Reply(dict("late", xpc.String("too late"))); err != nil {
		t.Errorf("an answer to nobody: %v", err)
	}
	go func() { _, err := c.Call(ctx, dict("hold", xpc.Bool(true))); done <- err }()
	(<-held).Reply(dict())
	if err := <-done; err != nil {
		t.Error(err)
	}
	go func() { _, err := c.Call(ctx, dict("hold", xpc.Bool(true))); done <- err }()
	m = <-held
	c.Cancel()
	if err := <-done; !errors.Is(err, xpc.ErrInvalid) {
		t.Errorf("a call on its way when the connection was cancelled: %v", err)
	}
	m.Drop()
	if n := server.Transactions(); n != 0 {
		t.Errorf("%d transactions are left", n)
	}
	l.Close()
	w.end()
}

// TestEndpoint hands the way to an anonymous listener to a third program.
func TestEndpoint(t *testing.T) {
	for _, level := range levels {
		w := newWorld(t)
		ctx := inTime(t)
		broker, host, guest := w.start(level), w.start(level), w.start(level)
		l := broker.offer("broker")
		var left *xpc.Endpoint
		serve(t, l, xpc.HandlerFuncs{Message: func(m *xpc.Message) {
			if e := m.Endpoint("room"); e != nil {
				left = e
			}
			m.Reply(dict("room", left))
		}})
		anonymous, err := host.Anonymous()
		if err != nil {
			t.Fatal(err)
		}
		var n atomic.Int64
		serve(t, anonymous, echo(&n))
		e, err := anonymous.Endpoint()
		if err != nil {
			t.Fatal(err)
		}
		c := host.dial("broker")
		c.Activate(nil)
		if _, err := c.Call(ctx, dict("room", e)); err != nil {
			t.Fatal(err)
		}
		g := guest.dial("broker")
		g.Activate(nil)
		d, err := g.Call(ctx, dict())
		if err != nil {
			t.Fatal(err)
		}
		direct := d.Endpoint("room").Connect()
		r := newRecorder()
		direct.Activate(r)
		if d, err = direct.Call(ctx, dict("hello", xpc.Bool(true))); err != nil || d.Int64("count") != 1 {
			t.Fatalf("%v, %v", d, err)
		}
		if direct.Peer().PID() != host.token.PID() {
			t.Errorf("the peer is %d", direct.Peer().PID())
		}
		host.Terminate()
		r.wait(t, "invalid")
		if _, err = direct.Call(ctx, dict()); !errors.Is(err, xpc.ErrInvalid) {
			t.Errorf("a call to a host that is gone: %v", err)
		}
		g.Cancel()
		l.Close()
		w.end()
	}
}

// TestThings passes a file, shared memory and bare rights.
func TestThings(t *testing.T) {
	for _, level := range levels {
		w := newWorld(t)
		ctx := inTime(t)
		server, client := w.start(level), w.start(level)
		l := server.offer("s")
		serve(t, l, xpc.HandlerFuncs{Message: func(m *xpc.Message) {
			f := m.Get("file").(*xpc.FD)
			text, _ := io.ReadAll(f.File)
			f.File.Close()
			shared := m.Get("memory").(*xpc.SharedMemory)
			copy(shared.Bytes(), "written there")
			shared.Close()
			m.Reply(dict("text", xpc.Data(text), "right", m.Get("right")))
		}})
		r, pipe, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(pipe, "from the other side")
		pipe.Close()
		memory, err := client.NewSharedMemory(100)
		if err != nil {
			t.Fatal(err)
		}
		anonymous, err := client.Anonymous()
		if err != nil {
			t.Fatal(err)
		}
		e, _ := anonymous.Endpoint()
		c := client.dial("s")
		c.Activate(nil)
		d, err := c.Call(ctx, dict("file", &xpc.FD{File: r}, "memory", memory, "right", e))
		if err != nil {
			t.Fatal(err)
		}
		if string(d.Data("text")) != "from the other side" || d.Endpoint("right") == nil {
			t.Errorf("%v", d)
		}
		if got := string(memory.Bytes()[:13]); got != "written there" || memory.Len() != os.Getpagesize() {
			t.Errorf("%q in %d bytes", got, memory.Len())
		}
		memory.Close()
		r.Close()
		e.Close()
		if _, err := c.Call(ctx, dict("right", e)); err == nil {
			t.Error("a closed endpoint was sent")
		}
		c.Cancel()
		anonymous.Close()
		l.Close()
		w.end()
	}
}

// TestUnknown checks that a name that nobody offers is the end of a connection.
func TestUnknown(t *testing.T) {
	w := newWorld(t)
	client := w.start(rules.Level2)
	c := client.dial("nobody")
	r := newRecorder()
	c.Activate(r)
	if _, err := c.Call(inTime(t), dict()); !errors.Is(err, xpc.ErrUnknownService) {
		t.Errorf("%v", err)
	}
	r.wait(t, "invalid")
	w.end()
}

// TestFull checks that senders wait for room, and that waiting ends with the context.
func TestFull(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	server, client := w.start(rules.Level2), w.start(rules.Level2)
	l := server.offer("s")
	c := client.dial("s")
	c.Activate(nil)
	for i := range xpc.QueueLimit {
		if err := c.Send(ctx, dict("say", xpc.String(fmt.Sprint(i)))); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	e, err := client.Anonymous()
	if err != nil {
		t.Fatal(err)
	}
	way, _ := e.Endpoint()
	if err := c.Send(short, dict("say", xpc.String("no room"), "way", way)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a message too many: %v", err)
	}
	peer, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	peer.Activate(r)
	for i := range xpc.QueueLimit {
		r.wait(t, fmt.Sprint(i))
	}
	r.silent(t)
	c.Cancel()
	r.wait(t, "invalid")
	e.Close()
	l.Close()
	w.end()
}
