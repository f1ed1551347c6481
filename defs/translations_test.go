package defs_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"portcullis.dev/defs/internal/generate"
	"portcullis.dev/defs/internal/translated"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// translationsH is what the generated C server includes: the types that its functions see.
const translationsH = `
typedef struct object { mach_port_t port; } *object_t;
typedef struct { int64_t from, to; } span_t;
typedef int64_t kelvin_t;
extern object_t object_of(mach_port_t);
extern mach_port_t port_of(object_t);
extern void object_release(object_t);
extern span_t span_of(pair_t);
extern pair_t pair_of(span_t);
extern void span_release(span_t);
extern kelvin_t kelvin_of(int32_t);
extern int32_t celsius_of(kelvin_t);
extern void token_release(int32_t);
extern void batch_release(int32_t *);
extern void scratch_release(char *);
`

// translatedC is a server in C. It writes down what is called in which order, and how many objects there are.
const translatedC = `
#include "translatedServer.h"
` + runtimeC + `
static char text[1024];
static int live;
static void note(const char *what, int64_t v)
{
	size_t n = strlen(text);
	snprintf(text + n, sizeof text - n, "%s %lld\n", what, (long long)v);
}
static object_t new_object(mach_port_t p) { object_t o = malloc(sizeof *o); o->port = p; live++; return o; }
static void drop(object_t o) { free(o); live--; }
object_t object_of(mach_port_t p) { note("object_of", p); return new_object(p); }
mach_port_t port_of(object_t o) { mach_port_t p = o->port; note("port_of", p); drop(o); return p; }
void object_release(object_t o) { note("object_release", o->port); drop(o); }
span_t span_of(pair_t p) { note("span_of", p.val[0]); return (span_t){ p.val[0], (int64_t)p.val[0] + p.val[1] }; }
pair_t pair_of(span_t s) { note("pair_of", s.from); return (pair_t){ { (int32_t)s.from, (int32_t)(s.to - s.from) } }; }
void span_release(span_t s) { note("span_release", s.to); }
kelvin_t kelvin_of(int32_t c) { note("kelvin_of", c); return c + (kelvin_t)273; }
int32_t celsius_of(kelvin_t k) { note("celsius_of", k); return (int32_t)(k - 273); }
void token_release(int32_t t) { note("token_release", t); }
void batch_release(int32_t *b) { note("batch_release", b[3]); }
void scratch_release(char *p) { note("scratch_release", p[7]); }

kern_return_t
act(object_t o, object_t other, object_t any, mach_msg_type_name_t anyPoly, span_t span, kelvin_t warmth, int32_t token,
    four_t batch, page_t scratch, object_t *both, span_t *spans, kelvin_t *heat, object_t *made, span_t *width,
    kelvin_t *cold)
{
	note("act", o->port + anyPoly);
	if (token == 13) {
		drop(*both);
		return 5;
	}
	*made = new_object(other->port + any->port);
	*width = (span_t){ span.from, spans->to };
	*cold = warmth - *heat;
	(*both)->port++;
	spans->to += token + batch[0];
	*heat += scratch[0];
	return 0;
}

kern_return_t
history(mach_port_t o, text_t out)
{
	(void)o;
	snprintf(out, 2048, "%slive %d\n", text, live);
	text[0] = 0;
	return 0;
}

kern_return_t
overflow(mach_port_t o, mach_port_t taken, few_t few, mach_msg_type_number_t *fewCnt)
{
	(void)o; (void)taken; (void)few;
	*fewCnt = 5;
	return 0;
}
int main(void) { return mig_serve(translated_server, 1 << 16, 0x2203, 0) == 0x10004009 ? 0 : 5; }
`

// The same server in Go.
type (
	object struct{ port mach.Name }
	span   struct{ from, to int64 }
	kelvin int64
)

type translatedServer struct {
	text strings.Builder
	live int
	t    *testing.T
	gone int
}

func (s *translatedServer) note(what string, v int64) { fmt.Fprintf(&s.text, "%s %d\n", what, v) }

func (s *translatedServer) object(p mach.Name) *object {
	s.live++
	return &object{p}
}

func (s *translatedServer) ObjectOf(p mach.Name) *object {
	s.note("object_of", int64(p))
	return s.object(p)
}

func (s *translatedServer) PortOf(o *object) mach.Name {
	s.note("port_of", int64(o.port))
	s.live--
	return o.port
}

func (s *translatedServer) ObjectRelease(o *object) {
	s.note("object_release", int64(o.port))
	s.live--
}

func (s *translatedServer) SpanOf(p [2]int32) span {
	s.note("span_of", int64(p[0]))
	return span{int64(p[0]), int64(p[0]) + int64(p[1])}
}

func (s *translatedServer) PairOf(v span) [2]int32 {
	s.note("pair_of", v.from)
	return [2]int32{int32(v.from), int32(v.to - v.from)}
}

func (s *translatedServer) SpanRelease(v span) { s.note("span_release", v.to) }

func (s *translatedServer) KelvinOf(c int32) kelvin {
	s.note("kelvin_of", int64(c))
	return kelvin(c) + 273
}

func (s *translatedServer) CelsiusOf(k kelvin) int32 {
	s.note("celsius_of", int64(k))
	return int32(k - 273)
}

func (s *translatedServer) TokenRelease(t int32)      { s.note("token_release", int64(t)) }
func (s *translatedServer) BatchRelease(b [4]int32)   { s.note("batch_release", int64(b[3])) }
func (s *translatedServer) ScratchRelease(p [8]uint8) { s.note("scratch_release", int64(p[7])) }

func (s *translatedServer) Act(req *rpc.Message[mach.Name], o, other, any *object, v span, warmth kelvin, token int32,
	batch [4]int32, scratch [8]uint8, both *object, spans span, heat kelvin) (*object, span, kelvin, *object, span, kelvin,
	mach.KernReturn) {
	s.note("act", int64(o.port)+int64(req.Items[1].Disposition))
	if token == 13 {
		s.live--
		return nil, span{}, 0, nil, span{}, 0, 5
	}
	both.port++
	made := s.object(other.port + any.port)
	width := span{v.from, spans.to}
	spans.to += int64(token) + int64(batch[0])
	return both, spans, heat + kelvin(scratch[0]), made, width, warmth - heat, 0
}

func (s *translatedServer) History(*rpc.Message[mach.Name], mach.Name) (string, mach.KernReturn) {
	text := fmt.Sprintf("%slive %d\n", s.text.String(), s.live)
	s.text.Reset()
	return text, 0
}

func (s *translatedServer) Overflow(*rpc.Message[mach.Name], mach.Name, mach.Name) ([]int32, mach.KernReturn) {
	return make([]int32, 5), 0
}

// Destroy implements rpc.Destroyer.
func (s *translatedServer) Destroy(mach.Name, mach.Disposition) { s.gone++ }

// server serves a request, as the receiver has it, and returns the reply and how many rights were destroyed.
type server func(b []byte) (reply []byte, gone int)

func (s *translatedServer) serve(mem memory) server {
	return func(b []byte) ([]byte, int) {
		m, err := rpc.Decode(b, mem)
		if err != nil {
			s.t.Fatal(err)
		}
		s.gone = 0
		rep, kr := translated.Serve(s, m)
		if !rpc.Answer(s, m, rep, kr) {
			s.t.Fatal("nothing is to be sent")
		}
		out, err := rpc.Encode(rep, mem)
		if err != nil {
			s.t.Fatal(err)
		}
		return out, s.gone
	}
}

// client calls act and then history.
type client func(s server, token int32) (kr mach.KernReturn, out string, history string)

// caller sends what the Go client says to a server.
type caller struct {
	t     *testing.T
	mem   memory
	serve server
	gone  int
}

func (c *caller) Destroy(mach.Name, mach.Disposition) { c.t.Error("the client destroys a right") }

func (c *caller) Send(*rpc.Message[mach.Name], *rpc.Options) mach.KernReturn { return mach.KernFailure }

func (c *caller) Call(req *rpc.Message[mach.Name], _ *rpc.Options) (*rpc.Message[mach.Name], mach.KernReturn) {
	req.Reply, req.ReplyDisposition = replyPort, mach.MakeSendOnce
	b, err := rpc.Encode(req, c.mem)
	if err != nil {
		c.t.Fatal(err)
	}
	reply, gone := c.serve(withTrailer(deliver(b)))
	c.gone = gone
	rep, err := rpc.Decode(withTrailer(deliver(reply)), c.mem)
	if err != nil {
		c.t.Fatal(err)
	}
	return rep, 0
}

const (
	otherPort = mach.Name(1000)
	anyPort   = mach.Name(200)
	bothPort  = mach.Name(30)
)

var (
	batchValue   = [4]int32{7, 8, 9, 10}
	scratchValue = [8]uint8{3, 0, 0, 0, 0, 0, 0, 4}
)

func (c *caller) call(s server, token int32) (mach.KernReturn, string, string) {
	c.serve = s
	both, spans, heat, made, width, cold, kr := translated.Act(c, destination, otherPort,
		rpc.Right[mach.Name]{Port: anyPort, Disposition: mach.MoveSendOnce}, [2]int32{100, 20}, 30, token, batchValue,
		scratchValue, bothPort, [2]int32{-5, 50}, 20)
	gone := c.gone
	text, kr2 := translated.History(c, destination)
	if kr2 != 0 {
		c.t.Error(kr2)
	}
	if want := map[bool]int{true: 3}[kr != 0]; gone != want {
		c.t.Errorf("the server destroyed %d rights, want %d", gone, want)
	}
	return kr, fmt.Sprint(uint32(both), spans, heat, uint32(made), width, cold), text
}

// TestTranslations calls a server that sees objects where messages carry rights, structs and numbers, from clients in
// Go and C to servers in Go and C. What is translated and destroyed, and in which order, must be the same everywhere.
func TestTranslations(t *testing.T) {
	const before = "object_of 8707\nobject_of 1000\nobject_of 200\nspan_of 100\nkelvin_of 30\nobject_of 30\nspan_of -5\n" +
		"kelvin_of 20\nact 8725\nobject_release 8707\nobject_release 1000\nobject_release 200\nspan_release 120\n" +
		"token_release %d\nbatch_release 10\nscratch_release 4\n"
	const after = "port_of 31\nport_of 1200\npair_of -5\ncelsius_of 296\npair_of 100\ncelsius_of 10\n"
	list, err := generate.Interfaces(os.DirFS("internal/translated"))
	if err != nil {
		t.Fatal(err)
	}
	i := list[0]
	clientPath, serverPath := buildPrograms(t, i, map[string]string{"translations.h": translationsH,
		"client.c": clientC(i), "server.c": translatedC})
	mem := memory{}
	cc, cs := start(t, clientPath), start(t, serverPath)
	goClient := &caller{t: t, mem: mem}
	goServer := &translatedServer{t: t}
	servers := map[string]server{"Go": goServer.serve(mem), "C": cServer(cs, mem)}
	clients := map[string]client{"Go": goClient.call, "C": cClient(t, cc, mem)}
	for from, call := range clients {
		for to, serve := range servers {
			t.Run(from+" to "+to, func(t *testing.T) {
				kr, out, text := call(serve, 6)
				if want := "31 [-5 63] 23 1200 [100 -55] -263"; kr != 0 || out != want {
					t.Errorf("code %v, values %s, want %s", kr, out, want)
				}
				if want := fmt.Sprintf(before, 6) + after + "live 0\n"; text != want {
					t.Errorf("the server did\n%swant\n%s", text, want)
				}
				// The server's function refuses: what it was lent is taken back, and the rights are destroyed.
				kr, _, text = call(serve, 13)
				if kr != 5 {
					t.Errorf("code %v, want 5", kr)
				}
				if want := fmt.Sprintf(before, 13) + "live 0\n"; text != want {
					t.Errorf("the server that refuses did\n%swant\n%s", text, want)
				}
			})
		}
	}
	// A request of another form is refused before anything is translated.
	var request []byte
	if _, _, text := goClient.call(func(b []byte) ([]byte, int) {
		if request == nil {
			request = b
		}
		return servers["Go"](b)
	}, 6); text == "" {
		t.Fatal("no request")
	}
	bad := slices.Clone(request)
	bad[28+10] = byte(mach.MoveReceive) // other
	var answers [][]byte
	for name, serve := range servers {
		reply, gone := serve(bad)
		if gone != 3 {
			t.Errorf("%s: %d rights destroyed, want 3", name, gone)
		}
		if kr := mach.KernReturn(int32(le.Uint32(reply[32:]))); kr != mach.MigTypeError || len(reply) != 36 {
			t.Errorf("%s: code %v in %d bytes", name, kr, len(reply))
		}
		answers = append(answers, reply)
		goClient.serve = serve
		if text, _ := translated.History(goClient, destination); text != "live 0\n" {
			t.Errorf("%s: a refused request was translated:\n%s", name, text)
		}
	}
	for name, serve := range servers {
		goClient.serve = serve
		if _, kr := translated.Overflow(goClient, destination, otherPort); kr != mach.MigArrayTooLarge || goClient.gone != 0 {
			t.Errorf("%s: a server that returns too much: code %v, %d rights destroyed", name, kr, goClient.gone)
		}
	}
	if !bytes.Equal(answers[0], answers[1]) {
		t.Errorf("refusals differ:\n% x\n% x", answers[0], answers[1])
	}
	cc.putU32(0)
}

func cServer(c *program, mem memory) server {
	return func(b []byte) ([]byte, int) {
		c.in.WriteByte('M')
		c.answer(b, mem)
		if l := c.letter(); l != 'M' {
			panic(failed{fmt.Errorf("the server says %q", l)})
		}
		reply := c.message(mem)
		return reply, int(c.done())
	}
}

func cClient(t *testing.T, c *program, mem memory) client {
	exchange := func(s server) (mach.KernReturn, int) {
		if l := c.letter(); l != 'M' {
			t.Fatalf("the client says %q", l)
		}
		reply, gone := s(withTrailer(deliver(c.message(mem))))
		c.answer(withTrailer(deliver(reply)), mem)
		c.letter()
		kr := mach.KernReturn(int32(c.u32()))
		c.u32()
		if rights := c.u32(); rights != 0 {
			t.Errorf("the C client destroyed %d rights", rights)
		}
		return kr, gone
	}
	words := func(v ...int32) []byte {
		var b []byte
		for _, w := range v {
			b = le.AppendUint32(b, uint32(w))
		}
		return b
	}
	return func(s server, token int32) (mach.KernReturn, string, string) {
		c.putU32(6000)
		c.putBlob(words(int32(destination)))
		c.putBlob(words(int32(otherPort)))
		c.putBlob(words(int32(anyPort)))
		c.putU32(uint32(mach.MoveSendOnce))
		c.putBlob(words(100, 20))
		c.putBlob(words(30))
		c.putBlob(words(token))
		c.putBlob(words(batchValue[:]...))
		c.putBlob(scratchValue[:])
		c.putBlob(words(int32(bothPort)))
		c.putBlob(words(-5, 50))
		c.putBlob(words(20))
		kr, gone := exchange(s)
		if want := map[bool]int{true: 3}[kr != 0]; gone != want {
			t.Errorf("the server destroyed %d rights, want %d", gone, want)
		}
		out := ""
		if kr == 0 {
			n := func(b []byte, i int) int32 { return int32(le.Uint32(b[4*i:])) }
			both, spans, heat, made, width, cold := c.blob(), c.blob(), c.blob(), c.blob(), c.blob(), c.blob()
			out = fmt.Sprint(n(both, 0), [2]int32{n(spans, 0), n(spans, 1)}, n(heat, 0), n(made, 0),
				[2]int32{n(width, 0), n(width, 1)}, n(cold, 0))
		}
		c.putU32(6001)
		c.putBlob(words(int32(destination)))
		if kr, _ := exchange(s); kr != 0 {
			t.Error(kr)
		}
		return kr, out, string(c.blob())
	}
}
