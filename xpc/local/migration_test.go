package local_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
	"portcullis.dev/xpc"
	"portcullis.dev/xpc/local/internal/observers"
)

// The worked case of docs/migrating-to-xpc.md: a service that programs give the rights by which they want to be told of
// changes. Its MIG interface is mig/xpcgen/testdata/observers.defs.

// TestBeforeMigration sends the message that the MIG stub of watch makes: an out-of-line array of port rights. It works
// up to level 1; from level 2 on the client is killed.
func TestBeforeMigration(t *testing.T) {
	for _, level := range levels {
		w := newWorld(t)
		w.quiet = true
		client, server := w.start(level), w.start(level)
		th, _ := client.Task.Task.NewThread(object.PThread, nil, nil)
		port, kr := server.Task.Space.Allocate(nil, mach.RightReceive)
		w.ok(kr)
		right, _ := server.Task.Space.ReceivePort(port)
		to, kr := client.Task.Space.InsertSend(right.MakeSend(), false)
		w.ok(kr)
		var names []byte
		for range 3 {
			n, kr := client.Task.Space.Allocate(th.IPC, mach.RightReceive)
			w.ok(kr)
			w.ok(client.Task.Space.InsertRight(th.IPC, n, n, mach.MakeSend))
			names = binary.LittleEndian.AppendUint32(names, uint32(n))
		}
		address, err := client.Task.Store(names)
		if err != nil {
			t.Fatal(err)
		}
		m := make([]byte, 64)
		(&mach.Header{Bits: mach.BitsComplex | mach.MakeBits(mach.CopySend, 0, 0), Size: 64, Remote: to, ID: 5200}).Encode(m)
		m[mach.HeaderSize] = 1
		(&mach.Descriptor{Type: mach.DescriptorOOLPorts, Disposition: mach.CopySend, Size: 3, Address: address}).Encode(m[28:])
		kr = th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall, Send: m})
		killed := slices.ContainsFunc(restrict.Of(th.IPC).Return(kr), func(v restrict.Violation) bool {
			return v.Fate == restrict.Killed && v.Guard() == ipc.GuardDescriptor
		})
		if want := level >= rules.Level2; killed != want {
			t.Errorf("level %v: killed %v, want %v (%v)", level, killed, want, kr)
		}
		w.end()
	}
}

// watcher is the service after the migration.
type watcher struct {
	mu   sync.Mutex
	seen map[string][]*xpc.Connection
}

func (s *watcher) Watch(_ context.Context, r observers.WatchRequest) (observers.WatchReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Path == "" {
		return observers.WatchReply{}, mach.KernInvalidArgument
	}
	for _, e := range r.Observers {
		c := e.Connect()
		c.Activate(nil)
		s.seen[r.Path] = append(s.seen[r.Path], c)
	}
	return observers.WatchReply{Id: uint32(len(s.seen))}, nil
}

func (s *watcher) Touch(ctx context.Context, r observers.TouchRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.seen[r.Path] {
		if err := xpc.Notify(ctx, c, "touch", r); err != nil {
			return err
		}
	}
	return nil
}

func (s *watcher) Digest(_ context.Context, r observers.DigestRequest) (d observers.DigestReply, err error) {
	for _, b := range r.Content[r.Part[0] : r.Part[0]+r.Part[1]] {
		d.Sum[0] ^= b
	}
	d.Tag[15] = byte(len(r.Content))
	return d, nil
}

func (s *watcher) Sort(_ context.Context, r observers.SortRequest) (observers.SortReply, error) {
	slices.Sort(r.Words)
	return observers.SortReply{Sorted: r.Words}, nil
}

// TestAfterMigration runs the XPC twin that portcullis mig --xpc wrote, at every level, with endpoints in place of the
// array of rights. No guard is raised.
func TestAfterMigration(t *testing.T) {
	for _, level := range levels {
		w := newWorld(t)
		ctx := inTime(t)
		client, server := w.start(level), w.start(level)
		l := server.offer("com.example.observers")
		mux := &xpc.Mux{}
		observers.Register(mux, &watcher{seen: make(map[string][]*xpc.Connection)})
		serve(t, l, mux)
		c := client.dial("com.example.observers")
		c.Activate(nil)
		o := observers.Client{Connection: c}
		heard := make(chan string, 3)
		var ends []*xpc.Endpoint
		var listeners []*xpc.Listener
		for i := range 3 {
			a, err := client.Anonymous()
			if err != nil {
				t.Fatal(err)
			}
			events := &xpc.Mux{}
			xpc.Handle(events, "touch", func(_ context.Context, r observers.TouchRequest) (struct{}, error) {
				heard <- fmt.Sprint(i, r.Path)
				return struct{}{}, nil
			})
			serve(t, a, events)
			e, err := a.Endpoint()
			if err != nil {
				t.Fatal(err)
			}
			ends, listeners = append(ends, e), append(listeners, a)
		}
		if r, err := o.Watch(ctx, observers.WatchRequest{Path: "/a", Observers: ends}); err != nil || r.Id != 1 {
			t.Fatalf("watch: %+v, %v", r, err)
		}
		if err := o.Touch(ctx, observers.TouchRequest{Path: "/a"}); err != nil {
			t.Fatal(err)
		}
		got := []string{<-heard, <-heard, <-heard}
		slices.Sort(got)
		if !slices.Equal(got, []string{"0/a", "1/a", "2/a"}) {
			t.Errorf("heard %q", got)
		}
		_, err := o.Watch(ctx, observers.WatchRequest{})
		var remote *xpc.RemoteError
		if !errors.As(err, &remote) || remote.Code != int64(mach.KernInvalidArgument) {
			t.Errorf("watch of nothing: %v", err)
		}
		if r, err := o.Sort(ctx, observers.SortRequest{Words: []int32{3, -1, 2}}); err != nil ||
			!slices.Equal(r.Sorted, []int32{-1, 2, 3}) {
			t.Errorf("sort: %+v, %v", r, err)
		}
		d, err := o.Digest(ctx, observers.DigestRequest{Content: []byte{1, 2, 4, 8}, Part: [2]uint64{1, 2}})
		if err != nil || d.Sum[0] != 6 || d.Tag[15] != 4 {
			t.Errorf("digest: %+v, %v", d, err)
		}
		c.Cancel()
		for _, a := range listeners {
			a.Close()
		}
		l.Close()
		w.end()
	}
}
