package defs_test

import (
	"testing"

	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// TestNoReply lets servers answer MIG_NO_REPLY: nothing is sent, and nothing of the request is destroyed.
func TestNoReply(t *testing.T) {
	for _, i := range all(t) {
		t.Run(i.Name, func(t *testing.T) {
			_, path := build(t, i)
			c := start(t, path)
			rnd := random64(i)
			for _, r := range i.Routines() {
				x := newExchange(t, rnd, i, r)
				x.kr = 5
				x.call() // makes the request
				x.kr = mach.MigNoReply
				m, err := rpc.Decode(withTrailer(answerable(deliver(x.request))), x.mem)
				if err != nil {
					t.Fatal(err)
				}
				rep, kr := x.row.serve(x.server(), m)
				x.freed = 0
				if rpc.Answer(x, m, rep, kr) || x.freed != 0 {
					t.Errorf("%s: the Go server sends, or destroyed %d rights", r.Name, x.freed)
				}
				x.noReplyC(c)
			}
		})
	}
}

func (x *exchange) noReplyC(c *program) {
	defer x.recovered()
	c.in.WriteByte('M')
	c.answer(withTrailer(answerable(deliver(x.request))), x.mem)
	if l := c.letter(); l != 'C' {
		x.t.Fatalf("%s: the C server says %q, want a call", x.r.Name, l)
	}
	x.skipCall(c)
	code := mach.MigNoReply
	c.putU32(uint32(int32(code)))
	if n := c.done(); n != 0 {
		x.t.Errorf("%s: the C server destroyed %d rights", x.r.Name, n)
	}
}

// TestTrailers gives both sides messages whose trailer lacks what an argument asks of it.
func TestTrailers(t *testing.T) {
	requests, replies := 0, 0
	for _, i := range all(t) {
		client, server := build(t, i)
		cc, cs := start(t, client), start(t, server)
		rnd := random64(i)
		for _, r := range i.Routines() {
			x := newExchange(t, rnd, i, r)
			x.kr = 0
			x.call()
			if r.RequestTrailer > 0 {
				requests++
				x.kr, x.served = 5, false
				x.refused(damage{"short trailer", nil, []mach.KernReturn{mach.MigTrailerError}}, cs,
					withShortTrailer(answerable(deliver(x.request))))
			}
			if r.ReplyTrailer > 0 {
				replies++
				x.kr, x.short = 0, true
				x.refusedReply("short trailer", []mach.KernReturn{mach.MigTrailerError}, cc, x.reply)
			}
		}
		cc.putU32(0)
	}
	if requests == 0 || replies < 2 {
		t.Errorf("%d requests and %d replies ask for a trailer", requests, replies)
	}
}

// TestBadIDs sends messages that no routine has: before the first id, behind the last, and ids that are skipped.
func TestBadIDs(t *testing.T) {
	for _, i := range all(t) {
		t.Run(i.Name, func(t *testing.T) {
			_, path := build(t, i)
			c := start(t, path)
			rnd := random64(i)
			ids := []int32{i.Base - 1, i.Base + int32(len(i.Slots)), -1}
			for n, r := range i.Slots {
				if r == nil {
					ids = append(ids, i.Base+int32(n))
				}
			}
			for n, id := range ids {
				r := i.Routines()[n%len(i.Routines())]
				x := newExchange(t, rnd, i, r)
				x.kr = 5
				x.call() // makes the request
				b := answerable(deliver(x.request))
				le.PutUint32(b[20:], uint32(id))
				x.served = false
				x.refused(damage{"bad id", nil, []mach.KernReturn{mach.MigBadID}}, c, withTrailer(b))
			}
		})
	}
}
