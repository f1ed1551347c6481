package local_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"portcullis.dev/rules"
	"portcullis.dev/xpc"
)

// TestCapacity registers 10,000 services, makes 1,000 connections to one of them, and queues 100,000 messages that
// nobody takes until all are there. docs/performance.md says what that needs.
func TestCapacity(t *testing.T) {
	services, connections, each := 10000, 1000, 100
	if testing.Short() {
		services, connections = 1000, 100
	}
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // a slow machine, with the race detector
	defer cancel()
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := heap()
	server := w.start(rules.Level2)
	var listeners []*xpc.Listener
	for i := range services {
		listeners = append(listeners, server.offer(fmt.Sprintf("com.example.service.%d", i)))
	}
	registered := heap()
	peers := make(chan *xpc.Connection, connections)
	go listeners[0].Serve(ctx, func(c *xpc.Connection) { peers <- c })
	var all []*xpc.Connection
	client := w.start(rules.Level2)
	begun := time.Now()
	for i := range connections {
		c := client.dial("com.example.service.0")
		c.Activate(nil)
		for j := range each {
			if err := c.Send(ctx, dict("n", xpc.Int64(i*each+j))); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, c)
	}
	took := time.Since(begun)
	queued := heap()
	if n := w.IPC.Stats().Messages; n < int64(connections*each) {
		t.Errorf("%d messages are queued", n)
	}
	t.Logf("%d services: %d KiB; %d connections with %d messages: %d KiB, in %v", services, (registered-before)>>10,
		connections, connections*each, (queued-registered)>>10, took)
	if queued-before > 100<<20 {
		t.Errorf("%d MiB", (queued-before)>>20)
	}
	got := make(chan int, connections*each)
	for range connections {
		(<-peers).Activate(xpc.HandlerFuncs{Message: func(m *xpc.Message) { got <- int(m.Int64("n")) }})
	}
	next := make([]int, connections)
	for range connections * each {
		n := <-got
		if n%each != next[n/each] {
			t.Fatalf("message %d of connection %d came in place of %d", n%each, n/each, next[n/each])
		}
		next[n/each]++
	}
	for _, c := range all {
		c.Cancel()
	}
	for _, l := range listeners {
		l.Close()
	}
	w.end()
}
