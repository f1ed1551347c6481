package defs_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"portcullis.dev/mach"
	"portcullis.dev/mig/gogen"
	"portcullis.dev/mig/model"
	"portcullis.dev/mig/rpc"
)

// exchange is one call of a routine with random values.
type exchange struct {
	t       *testing.T
	r       *model.Routine
	row     row
	in, out map[*model.Arg][]byte
	room    map[*model.Arg]int
	kr      mach.KernReturn // what the server returns
	mem     memory

	request []byte // as the client sent it
	reply   []byte
	served  bool
	damaged bool // the message was changed on its way: values may be any
	freed   int
	short   bool                                // the reply's trailer has nothing in it
	wire    func(request []byte) (reply []byte) // another server than the Go one
}

func newExchange(t *testing.T, rnd *rand.Rand, i *model.Interface, r *model.Routine) *exchange {
	x := &exchange{t: t, r: r, row: registry[i.Name], mem: memory{}, room: map[*model.Arg]int{}}
	for _, a := range r.Args {
		if a.CountInOut {
			x.room[a] = rnd.IntN(a.Type.Count + 1)
		}
	}
	x.in, x.out = random(rnd, r, true, nil), random(rnd, r, false, x.room)
	if rnd.IntN(8) == 0 {
		x.kr = mach.KernReturn(1 + rnd.IntN(50))
	}
	return x
}

// trailed appends the trailer of a reply.
func (x *exchange) trailed(b []byte) []byte {
	if x.short {
		return withShortTrailer(b)
	}
	return withTrailer(b)
}

const destination, replyPort = mach.Name(0x2203), mach.Name(0x1003)

// Destroy implements rpc.Destroyer.
func (x *exchange) Destroy(mach.Name, mach.Disposition) { x.freed++ }

// Call implements rpc.Caller.
func (x *exchange) Call(req *rpc.Message[mach.Name], o *rpc.Options) (*rpc.Message[mach.Name], mach.KernReturn) {
	req.Reply, req.ReplyDisposition = replyPort, mach.MakeSendOnce
	x.transmit(req)
	m, err := rpc.Decode(x.trailed(deliver(x.reply)), x.mem)
	if err != nil {
		x.t.Fatal(err)
	}
	return m, 0
}

// Send implements rpc.Caller.
func (x *exchange) Send(req *rpc.Message[mach.Name], o *rpc.Options) mach.KernReturn {
	x.transmit(req)
	return 0
}

func (x *exchange) transmit(req *rpc.Message[mach.Name]) {
	b, err := rpc.Encode(req, x.mem)
	if err != nil {
		x.t.Fatal(err)
	}
	x.request = b
	if x.wire != nil {
		x.reply = x.wire(b)
	} else {
		x.serve(b)
	}
}

// serve lets the generated Go server serve a request as it was sent.
func (x *exchange) serve(b []byte) {
	m, err := rpc.Decode(withTrailer(deliver(b)), x.mem)
	if err != nil {
		x.t.Fatal(err)
	}
	rep, kr := x.row.serve(x.server(), m)
	if kr != x.kr {
		x.t.Errorf("the server's code is %v, want %v", kr, x.kr)
	}
	if !rpc.Answer(x, m, rep, kr) && !x.r.Simple {
		x.t.Error("the reply is not to be sent")
	}
	if x.reply, err = rpc.Encode(rep, x.mem); err != nil {
		x.t.Fatal(err)
	}
}

// server makes a Go server whose function for the routine checks what it is given and returns what is wanted.
func (x *exchange) server() any {
	funcs := x.row.funcs()
	field := reflect.ValueOf(funcs).Elem().FieldByName("Do" + gogen.Name(x.r))
	field.Set(reflect.MakeFunc(field.Type(), func(args []reflect.Value) []reflect.Value {
		x.served = true
		args = args[1:]
		next := func() reflect.Value {
			v := args[0]
			args = args[1:]
			return v
		}
		var results []reflect.Value
		for _, a := range x.r.Args {
			switch {
			case a.Direction == model.RequestPort:
				if got := next().Interface(); got != destination {
					x.t.Errorf("%s: request port %v", x.r.Name, got)
				}
			case a.Direction == model.ServerReplyPort:
				if got := next().Interface().(rpc.Right[mach.Name]); got.Port != replyPort || got.Disposition != mach.MoveSendOnce {
					x.t.Errorf("%s: reply port %v", x.r.Name, got)
				}
			case a.Direction.Sent():
				x.equal("server is given", a, flat(next()), x.in[a])
			case a.Direction != model.Out && a.Direction.ServerSees():
				next() // from the trailer
			}
			if a.CountInOut {
				if got := next().Interface(); got != uint32(x.room[a]) && !x.damaged {
					x.t.Errorf("%s: room %v, want %d", x.r.Name, got, x.room[a])
				}
			}
			if a.Direction.Returned() {
				v := reflect.New(field.Type().Out(len(results))).Elem()
				fill(v, x.out[a])
				if v.Kind() == reflect.Struct {
					v.FieldByName("Disposition").SetUint(uint64(chosen(a)))
				}
				results = append(results, v)
				if a.Dealloc == model.Ask {
					results = append(results, reflect.ValueOf(true))
				}
			}
		}
		if x.kr != 0 {
			for i := range results {
				results[i] = reflect.Zero(results[i].Type())
			}
		}
		return append(results, reflect.ValueOf(x.kr))
	}))
	return funcs
}

func (x *exchange) equal(what string, a *model.Arg, got, want []byte) {
	if !bytes.Equal(got, want) && !x.damaged {
		x.t.Errorf("%s: %s %s: %d bytes, want %d:\n% x\n% x", x.r.Name, what, a.Name, len(got), len(want),
			got[:min(len(got), 64)], want[:min(len(want), 64)])
	}
}

// arguments are those of the generated Go client function f, with room for so many elements where that is asked for.
func (x *exchange) arguments(f reflect.Value, room func(*model.Arg) uint32) []reflect.Value {
	args := []reflect.Value{reflect.ValueOf(rpc.Caller[mach.Name](x))}
	next := func() reflect.Value { return reflect.New(f.Type().In(len(args))).Elem() }
	port := func(a *model.Arg, b []byte) {
		v := next()
		fill(v, b)
		if v.Kind() == reflect.Struct {
			v.FieldByName("Disposition").SetUint(uint64(chosen(a)))
		}
		args = append(args, v)
		if a.Dealloc == model.Ask {
			args = append(args, reflect.ValueOf(true))
		}
	}
	for _, a := range x.r.Args {
		switch {
		case a.Direction == model.RequestPort:
			port(a, binary.LittleEndian.AppendUint32(nil, uint32(destination)))
		case a.Direction.Sent():
			port(a, x.in[a])
		case a.Direction == model.WaitTime || a.Direction == model.SendTime || a.Direction == model.MsgOption:
			args = append(args, next())
		}
		if a.CountInOut {
			args = append(args, reflect.ValueOf(room(a)))
		}
	}
	return args
}

// call calls the generated Go client function and checks what it returns.
func (x *exchange) call() {
	f := reflect.ValueOf(x.row.clients[x.r.Name])
	results := f.Call(x.arguments(f, func(a *model.Arg) uint32 { return uint32(x.room[a]) }))
	if kr := results[len(results)-1].Interface(); kr != x.kr && !x.r.Simple {
		x.t.Errorf("%s: the client's code is %v, want %v", x.r.Name, kr, x.kr)
	}
	if x.kr != 0 {
		return
	}
	for _, a := range x.r.Args {
		switch {
		case a.Direction.Returned():
			x.equal("client gets", a, flat(results[0]), x.out[a])
			results = results[1:]
		case a.Direction == model.UserAuditToken:
			if got := results[0].Interface().(mach.AuditToken); got.PID() != 6 {
				x.t.Errorf("%s: audit token %v", x.r.Name, got)
			}
			results = results[1:]
		case fromTrailer(a) && !x.r.Simple:
			if got := results[0].Interface().([2]uint32); got != [2]uint32{501, 20} {
				x.t.Errorf("%s: security token %v", x.r.Name, got)
			}
			results = results[1:]
		}
	}
}

// fromTrailer says that the client gets the argument from the trailer of the reply.
func fromTrailer(a *model.Arg) bool {
	_, reply := a.Direction.Trailer()
	return reply > 0
}

// chosen is the disposition for a right whose type leaves it open: the receiver may still expect one.
func chosen(a *model.Arg) mach.Disposition {
	if a.Type.Out != model.Polymorphic {
		return mach.Disposition(a.Type.Out)
	}
	return mach.MoveSendOnce
}

const rounds = 20

func random64(i *model.Interface) *rand.Rand { return rand.New(rand.NewPCG(uint64(i.Base), 64)) }

// TestGoToGo calls every routine with random values, from the generated client to the generated server, through bytes.
func TestGoToGo(t *testing.T) {
	n := 0
	for _, i := range all(t) {
		rnd := random64(i)
		for _, r := range i.Routines() {
			n++
			for range rounds {
				x := newExchange(t, rnd, i, r)
				x.call()
				if !x.served {
					t.Errorf("%s was not served", r.Name)
				}
			}
		}
	}
	if n < 190 {
		t.Errorf("%d routines, want 190 at least", n)
	}
}

// TestCToGo calls every routine from the C stub to the Go server; the request must be, to the byte, that of the Go
// client.
func TestCToGo(t *testing.T) {
	for _, i := range all(t) {
		t.Run(i.Name, func(t *testing.T) {
			path, _ := build(t, i)
			c := start(t, path)
			rnd := random64(i)
			for _, r := range i.Routines() {
				for range rounds {
					newExchange(t, rnd, i, r).fromC(c)
				}
			}
			c.putU32(0)
		})
	}
}

// fromC lets the C client call.
func (x *exchange) fromC(c *program) {
	defer x.recovered()
	c.putU32(uint32(x.r.ID))
	for _, q := range x.r.UserParams() {
		a := q.Arg
		switch {
		case q.Role == model.Disposition && a.Direction != model.Out:
			c.putU32(uint32(chosen(a)))
		case q.Role == model.Count && a.CountInOut:
			c.putU32(uint32(x.room[a]))
		case q.Role == model.Value && a.Direction == model.RequestPort:
			c.putBlob(binary.LittleEndian.AppendUint32(nil, uint32(destination)))
		case q.Role == model.Value && a.Direction.Sent():
			c.putBlob(x.in[a])
		}
	}
	if l := c.letter(); l != 'M' {
		x.t.Fatalf("%s: the C client says %q, want a message", x.r.Name, l)
	}
	b := c.message(x.mem)
	x.serve(b)
	if !x.r.Simple {
		c.answer(withTrailer(deliver(x.reply)), x.mem)
	}
	if l := c.letter(); l != 'R' {
		x.t.Fatalf("%s: the C client says %q, want a result", x.r.Name, l)
	}
	if kr := mach.KernReturn(int32(c.u32())); kr != x.kr && !x.r.Simple {
		x.t.Errorf("%s: the C client's code is %v, want %v", x.r.Name, kr, x.kr)
	}
	refused := uint32(0)
	if x.kr != 0 && !x.r.Simple {
		refused = 1
	}
	if messages, rights := c.u32(), c.u32(); messages != refused || rights != 0 {
		x.t.Errorf("%s: the C client destroyed %d messages, %d rights", x.r.Name, messages, rights)
	}
	if x.kr == 0 || x.r.Simple {
		for _, a := range x.r.Args {
			if a.Direction.Returned() {
				x.equal("C client gets", a, c.blob(), x.out[a])
			} else if fromTrailer(a) {
				c.blob()
			}
		}
	}
	y := *x
	y.call()
	if !bytes.Equal(masked(b), masked(y.request)) {
		x.differ("requests", b, y.request)
	}
}

// differ reports two messages that should be the same, from where they differ.
func (x *exchange) differ(what string, c, g []byte) {
	c, g = masked(c), masked(g)
	at := 0
	for at < len(c) && at < len(g) && c[at] == g[at] {
		at++
	}
	x.t.Errorf("%s: %s of %d (C) and %d (Go) bytes differ at %d:\nC  % x\nGo % x", x.r.Name, what, len(c), len(g), at,
		c[at:min(len(c), at+32)], g[at:min(len(g), at+32)])
}

// masked is a message without the addresses of its memory.
func masked(b []byte) []byte {
	b = append([]byte(nil), b...)
	outOfLine(b, func(at int, d *mach.Descriptor, _ int) { clear(b[at : at+8]) })
	return b
}

func (x *exchange) recovered() {
	if r := recover(); r != nil {
		f, ok := r.(failed)
		if !ok {
			panic(r)
		}
		x.t.Fatalf("%s: %v", x.r.Name, f.err)
	}
}

// TestGoToC calls every routine from the Go client to the C server; the reply must be, to the byte, that of the Go
// server.
func TestGoToC(t *testing.T) {
	for _, i := range all(t) {
		t.Run(i.Name, func(t *testing.T) {
			_, path := build(t, i)
			c := start(t, path)
			rnd := random64(i)
			for _, r := range i.Routines() {
				for range rounds {
					x := newExchange(t, rnd, i, r)
					x.wire = func(b []byte) []byte { return x.toC(c, b) }
					x.call()
					if !x.served {
						t.Errorf("%s was not served", r.Name)
					}
					if r.Simple {
						continue
					}
					y := *x
					y.serve(x.request)
					if !bytes.Equal(masked(x.reply), masked(y.reply)) {
						x.differ("replies", x.reply, y.reply)
					}
				}
			}
		})
	}
}

// toC lets the C server serve a request.
func (x *exchange) toC(c *program, b []byte) []byte {
	defer x.recovered()
	c.in.WriteByte('M')
	c.answer(withTrailer(deliver(b)), x.mem)
	if l := c.letter(); l != 'C' {
		if l == 'M' {
			b := c.message(x.mem)
			x.t.Fatalf("%s: the C server refuses: % x", x.r.Name, b)
		}
		x.t.Fatalf("%s: the C server says %q, want a call", x.r.Name, l)
	}
	x.served = true
	if id := c.u32(); id != uint32(x.r.ID) {
		x.t.Fatalf("the C server serves %d, want %d", id, x.r.ID)
	}
	for _, q := range x.r.ServerParams() {
		a := q.Arg
		switch {
		case q.Role == model.Value && a.Direction == model.RequestPort:
			if got := binary.LittleEndian.Uint32(c.blob()); got != uint32(destination) {
				x.t.Errorf("%s: request port %#x", x.r.Name, got)
			}
		case q.Role == model.Value && a.Direction.Sent():
			x.equal("C server is given", a, c.blob(), x.in[a])
		case q.Role == model.Count && a.CountInOut:
			if got := c.u32(); got != uint32(x.room[a]) {
				x.t.Errorf("%s: room %d, want %d", x.r.Name, got, x.room[a])
			}
		}
	}
	c.putU32(uint32(x.kr))
	if x.kr == 0 {
		for _, a := range x.r.Args {
			if a.Direction.Returned() {
				c.putBlob(x.out[a])
			}
		}
	}
	var reply []byte
	if !x.r.Simple {
		if l := c.letter(); l != 'M' {
			x.t.Fatalf("%s: the C server says %q, want a reply", x.r.Name, l)
		}
		reply = c.message(x.mem)
	}
	want := uint32(0) // a server that returns success has taken everything
	if m, err := rpc.Decode(deliver(b), x.mem); err != nil {
		x.t.Fatal(err)
	} else if x.kr != 0 {
		want = uint32(rights(m))
	}
	if n := c.done(); n != want {
		x.t.Errorf("%s: the C server destroyed %d rights, want %d", x.r.Name, n, want)
	}
	return reply
}

// done waits until a C server has served a request and returns how many rights it destroyed.
func (c *program) done() uint32 {
	if l := c.letter(); l != 'D' {
		panic(failed{fmt.Errorf("the C server says %q, want that it is done", l)})
	}
	return c.u32()
}
