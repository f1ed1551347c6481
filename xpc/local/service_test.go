package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portcullis.dev/rules"
	"portcullis.dev/xpc"
)

type pair struct {
	A, B int
}

// arithmetic is a service as its users see it.
type arithmetic interface {
	Add(context.Context, pair) (int, error)
	Divide(context.Context, pair) (int, error)
	Reset(context.Context) error
	WhoAmI(context.Context) (int32, error)
}

type arithmeticService struct{ resets atomic.Int32 }

func (s *arithmeticService) Add(_ context.Context, p pair) (int, error) { return p.A + p.B, nil }
func (s *arithmeticService) Divide(_ context.Context, p pair) (int, error) {
	if p.B == 0 {
		return 0, &xpc.RemoteError{Message: "division by zero", Code: 33}
	}
	return p.A / p.B, nil
}
func (s *arithmeticService) Reset(context.Context) error { s.resets.Add(1); return nil }
func (s *arithmeticService) WhoAmI(ctx context.Context) (int32, error) {
	return xpc.MessageOf(ctx).Peer().PID(), nil
}

var upper = xpc.Method[[]string, map[string]string]{Name: "upper"}

func TestTypedCalls(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	server, client := w.start(rules.Level2), w.start(rules.Level2)
	l := server.offer("s")
	mux := &xpc.Mux{}
	service := &arithmeticService{}
	xpc.Export[arithmetic](mux, service)
	upper.Serve(mux, func(_ context.Context, words []string) (map[string]string, error) {
		m := make(map[string]string)
		for _, w := range words {
			m[w] = strings.ToUpper(w)
		}
		return m, nil
	})
	serve(t, l, mux)
	c := client.dial("s")
	c.Activate(nil)
	if n, err := xpc.Invoke[int](ctx, c, "Add", pair{2, 3}); n != 5 || err != nil {
		t.Errorf("2+3: %d, %v", n, err)
	}
	var remote *xpc.RemoteError
	if _, err := xpc.Invoke[int](ctx, c, "Divide", pair{1, 0}); !errors.As(err, &remote) || remote.Code != 33 {
		t.Errorf("1/0: %v", err)
	}
	if _, err := xpc.Invoke[int](ctx, c, "Nothing", 1); !errors.As(err, &remote) || remote.Code != xpc.CodeUnknownMethod {
		t.Errorf("an unknown method: %v", err)
	}
	if _, err := xpc.Invoke[int](ctx, c, "Add", "text"); !errors.As(err, &remote) || remote.Code != xpc.CodeBadArguments {
		t.Errorf("bad arguments: %v", err)
	}
	if _, err := xpc.Invoke[string](ctx, c, "Add", pair{1, 1}); err == nil {
		t.Error("a number went into a string")
	}
	if pid, err := xpc.Invoke[int32](ctx, c, "WhoAmI", struct{}{}); pid != client.token.PID() || err != nil {
		t.Errorf("who am I: %d, %v", pid, err)
	}
	if m, err := upper.Call(ctx, c, []string{"a", "b"}); err != nil || m["b"] != "B" || len(m) != 2 {
		t.Errorf("upper: %v, %v", m, err)
	}
	if err := xpc.Notify(ctx, c, "Reset", struct{}{}); err != nil {
		t.Error(err)
	}
	if _, err := xpc.Invoke[struct{}](ctx, c, "Reset", struct{}{}); err != nil || service.resets.Load() != 2 {
		t.Errorf("reset: %v, %d", err, service.resets.Load())
	}
	c.Cancel()
	l.Close()
	w.end()
}

// TestParallel checks that requests wait for each other exactly where they should.
func TestParallel(t *testing.T) {
	for parallel, together := range map[int]int64{0: 1, 4: 4} {
		w := newWorld(t)
		ctx := inTime(t)
		server, client := w.start(rules.Level2), w.start(rules.Level2)
		l := server.offer("s")
		mux := &xpc.Mux{Parallel: parallel}
		var now, most atomic.Int64
		xpc.Handle(mux, "work", func(context.Context, struct{}) (struct{}, error) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(20 * time.Millisecond)
			now.Add(-1)
			return struct{}{}, nil
		})
		serve(t, l, mux)
		c := client.dial("s")
		c.Activate(nil)
		done := make(chan error)
		for range 8 {
			go func() { _, err := xpc.Invoke[struct{}](ctx, c, "work", struct{}{}); done <- err }()
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if most.Load() != together {
			t.Errorf("with %d, %d ran at the same time", parallel, most.Load())
		}
		c.Cancel()
		l.Close()
		w.end()
	}
}

func BenchmarkCall(b *testing.B) {
	for _, size := range []int{0, 1 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := newWorld(b)
			server, client := w.start(rules.Level2), w.start(rules.Level2)
			l := server.offer("s")
			mux := &xpc.Mux{}
			xpc.Handle(mux, "echo", func(_ context.Context, p []byte) ([]byte, error) { return p, nil })
			serve(b, l, mux)
			c := client.dial("s")
			c.Activate(nil)
			payload := bytes.Repeat([]byte{1}, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := xpc.Invoke[[]byte](context.Background(), c, "echo", payload); err != nil {
					b.Fatal(err)
				}
			}
			c.Cancel()
			l.Close()
		})
	}
}
