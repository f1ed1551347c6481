package ipc

import (
	"net"
	"testing"

	"portcullis.dev/mach"
)

// pingPong sends a message to a server task and waits for its reply, b.N times. The server answers with the send-once
// right it is given, in one call with its next receive, as servers do.
func pingPong(b *testing.B, request func(c *testTask, to, reply mach.Name) []byte, o mach.Option) {
	k := New(Config{})
	client, server := newTask(b, k, 1), newTask(b, k, 2)
	port := server.port()
	to := server.give(client, port, mach.CopySend)
	reply := client.receiveRight()
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(server, port, o)
	}()
	msg := request(client, to, reply)
	send := make([]byte, len(msg))
	buf := make([]byte, 512)
	args := Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendMQCall, Send: send, Receive: reply, Buffer: buf}
	b.ReportAllocs()
	for b.Loop() {
		copy(send, msg)
		if kr := client.t.Msg2(&args); kr != 0 {
			b.Fatal(kr)
		}
	}
	b.StopTimer()
	client.Terminate()
	server.t.Kill()
	<-done
	atZero(b, k, server)
}

// serve answers requests until the thread is killed; rights and memory that come along are given up.
func serve(s *testTask, port mach.Name, o mach.Option) {
	buf, out := make([]byte, 512), make([]byte, mach.HeaderSize)
	args := Args{Options: mach.RcvMsg | o, Receive: port, Buffer: buf, Send: out}
	for s.t.Msg2(&args) == 0 {
		var h mach.Header
		h.Decode(buf)
		if h.Bits&mach.BitsComplex != 0 {
			var d mach.Descriptor
			d.Decode(buf[mach.HeaderSize+mach.BodySize:])
			if d.Type == mach.DescriptorPort {
				s.Deallocate(s.t, d.Name)
			} else {
				s.mem.CopyIn(s.t, d.Address, d.Size, true)
			}
		}
		h.Bits, h.Local = mach.MakeBits(h.Bits.Remote(), 0, 0), 0
		h.Encode(out)
		args.Options = mach.SendMsg | mach.RcvMsg | mach.SendMQCall | o
	}
}

var requestBits = mach.MakeBits(mach.CopySend, mach.MakeSendOnce, 0)

func BenchmarkRoundTrip(b *testing.B) {
	pingPong(b, func(_ *testTask, to, reply mach.Name) []byte {
		return message(requestBits, to, reply, 1, make([]byte, 32))
	}, 0)
}

func BenchmarkRoundTripPort(b *testing.B) {
	pingPong(b, func(c *testTask, to, reply mach.Name) []byte {
		return message(requestBits, to, reply, 1, nil, mach.Descriptor{Name: c.port(), Disposition: mach.CopySend})
	}, 0)
}

// lender lends one buffer again and again, so that what is measured is what the kernel does with out-of-line memory.
type lender struct{ buf []byte }

func (l *lender) CopyIn(*Thread, uint64, uint32, bool) ([]byte, bool) { return l.buf, true }
func (l *lender) CopyOut(_ *Thread, b []byte) (uint64, bool)          { return 1, true }

func BenchmarkRoundTripOOL1MiB(b *testing.B) {
	pingPong(b, func(c *testTask, to, reply mach.Name) []byte {
		c.memory = &lender{make([]byte, 1<<20)}
		return message(requestBits, to, reply, 1, nil, mach.Descriptor{Type: mach.DescriptorOOL, Address: 1,
			Size: 1 << 20, Copy: mach.CopyVirtual, Deallocate: true})
	}, 0)
}

// BenchmarkRoundTripOOL1MiBCopied is the same with a sender that keeps its memory: one copy.
func BenchmarkRoundTripOOL1MiBCopied(b *testing.B) {
	pingPong(b, func(c *testTask, to, reply mach.Name) []byte {
		addr := c.mem.put(make([]byte, 1<<20))
		return message(requestBits, to, reply, 1, nil, mach.Descriptor{Type: mach.DescriptorOOL, Address: addr,
			Size: 1 << 20, Copy: mach.CopyPhysical})
	}, 0)
}

// BenchmarkSendReceive is a message through a queue without a change of threads.
func BenchmarkSendReceive(b *testing.B) {
	k := New(Config{})
	t := newTask(b, k, 1)
	port := t.port()
	msg := message(mach.MakeBits(mach.CopySend, 0, 0), port, 0, 1, make([]byte, 32))
	args := Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendMQCall, Send: msg, Receive: port,
		Buffer: make([]byte, 256)}
	b.ReportAllocs()
	for b.Loop() {
		if kr := t.t.Msg2(&args); kr != 0 {
			b.Fatal(kr)
		}
	}
	atZero(b, k, t)
}

// BenchmarkManyPorts sends to 100,000 ports of one space in turn.
func BenchmarkManyPorts(b *testing.B) {
	k := New(Config{})
	t := newTask(b, k, 1)
	ports := make([]mach.Name, 100_000)
	for i := range ports {
		ports[i] = t.port()
	}
	msg := message(mach.MakeBits(mach.CopySend, 0, 0), 0, 0, 1, nil)
	args := Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendMQCall, Send: msg, Buffer: make([]byte, 256)}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		n := ports[i]
		if i++; i == len(ports) {
			i = 0
		}
		h := mach.Header{Bits: mach.MakeBits(mach.CopySend, 0, 0), Remote: n}
		h.Encode(msg)
		args.Receive = n
		if kr := t.t.Msg2(&args); kr != 0 {
			b.Fatal(kr)
		}
	}
	atZero(b, k, t)
}

// BenchmarkManyTasks has 1,000 tasks; each round trip is with the next.
func BenchmarkManyTasks(b *testing.B) {
	k := New(Config{})
	client := newTask(b, k, 1)
	reply := client.receiveRight()
	servers := make([]*testTask, 1000)
	to := make([]mach.Name, len(servers))
	done := make(chan struct{}, len(servers))
	for i := range servers {
		s := newTask(b, k, uint32(i)+2)
		port := s.port()
		servers[i], to[i] = s, s.give(client, port, mach.CopySend)
		go func() {
			serve(s, port, 0)
			done <- struct{}{}
		}()
	}
	msg := message(requestBits, 0, reply, 1, make([]byte, 32))
	args := Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendMQCall, Send: msg, Receive: reply,
		Buffer: make([]byte, 256)}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		h := mach.Header{Bits: requestBits, Remote: to[i%len(to)], Local: reply}
		h.Encode(msg)
		i++
		if kr := client.t.Msg2(&args); kr != 0 {
			b.Fatal(kr)
		}
	}
	b.StopTimer()
	client.Terminate()
	for _, s := range servers {
		s.t.Kill()
	}
	for range servers {
		<-done
	}
	atZero(b, k, servers...)
}

// The yardsticks.

func BenchmarkYardstickChannel(b *testing.B) {
	there, back := make(chan [56]byte), make(chan [56]byte)
	go func() {
		for m := range there {
			back <- m
		}
	}()
	var m [56]byte
	b.ReportAllocs()
	for b.Loop() {
		there <- m
		m = <-back
	}
	close(there)
}

func BenchmarkYardstickPipe(b *testing.B) {
	client, server := net.Pipe()
	go func() {
		buf := make([]byte, 56)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			server.Write(buf[:n])
		}
	}()
	buf := make([]byte, 56)
	b.ReportAllocs()
	for b.Loop() {
		client.Write(buf)
		client.Read(buf)
	}
	client.Close()
}
