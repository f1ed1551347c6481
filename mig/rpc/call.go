package rpc

import "portcullis.dev/mach"

// Options say how a request is sent.
type Options struct {
	Extra     mach.Option // of msgoption
	Timed     bool        // waiting for room, and for the answer, ends after Timeout
	SendTimed bool        // waiting for room ends after Timeout
	Timeout   uint32      // milliseconds
	Special   bool        // use the thread's special reply port
	OwnReply  bool        // Message.Reply was given by the caller
	Trailer   uint32      // elements of the reply's trailer that are wanted
	Consume   Consume
}

// Consume says when a request that could not be sent is destroyed.
type Consume uint8

const (
	ConsumeNone    Consume = iota // never: its rights stay with the caller
	ConsumeTimeout                // when sending took too long
	ConsumeAny                    // and when the destination is dead
)

// Caller sends messages for a client.
type Caller[P comparable] interface {
	Destroyer[P]
	// Call sends the request and waits for the answer, on a proper reply port unless o.OwnReply says otherwise. It
	// reports what mach_msg returns.
	Call(req *Message[P], o *Options) (*Message[P], mach.KernReturn)
	// Send sends a message for which there is no answer.
	Send(req *Message[P], o *Options) mach.KernReturn
}

// Do sends the request of a routine and checks the answer against its shape; the id of the answer is that of the
// request plus 100. What a refused answer brought is destroyed.
func Do[P comparable](c Caller[P], req *Message[P], o *Options, s *Shape) (*Message[P], mach.KernReturn) {
	rep, kr := c.Call(req, o)
	if kr != 0 {
		consume(c, req, o, kr)
		return nil, kr
	}
	if kr := checkReply(rep, req.ID+mach.ReplyOffset, s); kr != 0 {
		Refuse(c, rep)
		return nil, kr
	}
	return rep, 0
}

// Post sends the request of a simpleroutine.
func Post[P comparable](c Caller[P], req *Message[P], o *Options) mach.KernReturn {
	kr := c.Send(req, o)
	if kr != 0 {
		consume(c, req, o, kr)
	}
	return kr
}

// Refuse destroys an answer with all it brought, the right to answer back included.
func Refuse[P comparable](c Destroyer[P], rep *Message[P]) {
	rep.Destroy(c)
	destroy(c, rep.Reply, rep.ReplyDisposition)
}

func consume[P comparable](c Caller[P], req *Message[P], o *Options, kr mach.KernReturn) {
	if o.Consume == ConsumeTimeout && kr == mach.SendTimedOut ||
		o.Consume == ConsumeAny && (kr == mach.SendTimedOut || kr == mach.SendInvalidDest) {
		Refuse(c, req)
	}
}

// Begin makes the reply to a request, addressed and with the code that generated servers replace.
func Begin[P comparable](req *Message[P]) *Message[P] {
	rep := &Message[P]{ID: req.ID + mach.ReplyOffset, Dest: req.Reply, DestDisposition: req.ReplyDisposition}
	rep.SetCode(0)
	return rep
}

// SetCode makes m a simple reply that says nothing but the code. It keeps descriptors, for [Answer] to destroy.
func (m *Message[P]) SetCode(kr mach.KernReturn) {
	m.Complex = false
	m.Body = append(m.Body[:0], ndr[:]...)
	m.Body = le.AppendUint32(m.Body, uint32(kr))
}

// Answer does what the receiver of a request owes after a server has served it, with the code that the server
// returned: it destroys what nobody took, and says whether the reply is to be sent. With MIG_NO_REPLY the server has
// taken everything, the right to answer too.
func Answer[P comparable](d Destroyer[P], req, rep *Message[P], kr mach.KernReturn) (send bool) {
	if kr == mach.MigNoReply {
		return false
	}
	req.Destroy(d)
	var none P
	send = rep.Dest != none
	if kr != 0 || !send {
		rep.Destroy(d)
	}
	return send
}
