// Package model gives the statements of an interface definition their meaning: the types, the routines with their
// message ids, and the layout of every request and reply to the byte.
//
// # How a message lies in memory
//
// A message is a header, then the descriptors of rights and out-of-line memory if there are any, then an NDR record
// (eight bytes that say in which byte order and encoding the sender writes) if data follows or memory is out of line,
// then the data. Everything is padded to four bytes and nothing to eight. A variable array lies behind its count and
// takes only the room its elements need; what follows slides down. The counts of out-of-line arrays stand in the data,
// where the argument stands.
//
// A request carries what goes in, a reply what comes out, and a simple reply (one without descriptors) begins with the
// return code. A reply that says nothing but an error is always simple and 36 bytes long, whatever success would look
// like. The id of a reply is that of the request plus 100.
package model

import (
	"portcullis.dev/mig/source"
	"portcullis.dev/mig/syntax"
)

// Interface is a checked interface definition.
type Interface struct {
	Name                     string
	Base                     int32
	KernelServer, KernelUser bool
	ServerPrefix, UserPrefix string // those in force at the end; routines keep what was in force at theirs
	ServerDemux              string
	Slots                    []*Routine // by message id from Base on; nil for skip
	Types                    []*Type    // in the order of declaration, without those declared anew later
	Imports                  []Import
	File                     string
}

// Routines returns the routines in the order of their ids.
func (i *Interface) Routines() []*Routine {
	var out []*Routine
	for _, r := range i.Slots {
		if r != nil {
			out = append(out, r)
		}
	}
	return out
}

// Import is a header that generated C includes.
type Import struct {
	Word string // import, uimport, simport, iimport or dimport
	File string // with its quotes or angle brackets
}

// Direction says who gives an argument and who gets it.
type Direction uint8

const (
	In Direction = iota + 1
	Out
	InOut
	RequestPort
	ReplyPort        // seen by both sides
	UserReplyPort    // ureplyport: seen by the client alone
	ServerReplyPort  // sreplyport: seen by the server alone
	WaitTime         // the client's own: how long to wait for both sending and receiving
	SendTime         // how long to wait for sending
	MsgOption        // options of the client's mach_msg
	MsgSeqno         // from the request's trailer, for the server
	SecToken         // security token, for both sides
	ServerSecToken   //
	UserSecToken     //
	AuditToken       // audit token, for both sides
	ServerAuditToken //
	UserAuditToken   //
	ServerContext    // servercontexttoken: the context of the port
	ServerImpl       // an implicit argument of the server
	UserImpl         // an implicit argument of the client
)

var directionWords = map[string]Direction{
	"in": In, "out": Out, "inout": InOut, "requestport": RequestPort, "replyport": ReplyPort,
	"ureplyport": UserReplyPort, "sreplyport": ServerReplyPort, "waittime": WaitTime, "sendtime": SendTime,
	"msgoption": MsgOption, "msgseqno": MsgSeqno, "sectoken": SecToken, "serversectoken": ServerSecToken,
	"usersectoken": UserSecToken, "audittoken": AuditToken, "serveraudittoken": ServerAuditToken,
	"useraudittoken": UserAuditToken, "servercontexttoken": ServerContext, "serverimpl": ServerImpl,
	"userimpl": UserImpl,
}

// Sent says that the argument goes in.
func (d Direction) Sent() bool { return d == In || d == InOut }

// Returned says that the argument comes out.
func (d Direction) Returned() bool { return d == Out || d == InOut }

// UserSees says that the client's function has the argument.
func (d Direction) UserSees() bool {
	switch d {
	case ServerReplyPort, MsgSeqno, ServerSecToken, ServerAuditToken, ServerContext, ServerImpl:
		return false
	}
	return true
}

// ServerSees says that the server's function has the argument.
func (d Direction) ServerSees() bool {
	switch d {
	case UserReplyPort, WaitTime, SendTime, MsgOption, UserSecToken, UserAuditToken, UserImpl:
		return false
	}
	return true
}

// Trailer returns the elements of the request's and of the reply's trailer that the argument needs; 0 for none.
func (d Direction) Trailer() (request, reply uint32) {
	switch d {
	case MsgSeqno:
		return 1, 0
	case SecToken:
		return 2, 2
	case ServerSecToken:
		return 2, 0
	case UserSecToken:
		return 0, 2
	case AuditToken:
		return 3, 3
	case ServerAuditToken:
		return 3, 0
	case UserAuditToken:
		return 0, 3
	case ServerContext:
		return 4, 0
	case ServerImpl:
		return 7, 0
	case UserImpl:
		return 0, 7
	}
	return 0, 0
}

// Dealloc says what becomes of the sender's out-of-line memory.
type Dealloc uint8

const (
	Keep Dealloc = iota // it stays
	Free                // it goes: "dealloc"
	Ask                 // an argument of its own decides: "dealloc[]"
)

// Arg is an argument of a routine.
type Arg struct {
	Name      string
	Pos       source.Pos
	Direction Direction
	Type      *Type

	Dealloc      Dealloc
	CountInOut   bool // the client says how many elements it has room for
	SameCount    *Arg // the argument whose count this one shares
	RetCode      bool
	PhysicalCopy bool
	Overwrite    bool
	Const        bool
	Auto         bool
}

// Counted says that the argument has a count of its own, as a parameter and in the message. Strings carry their length
// inside.
func (a *Arg) Counted() bool { return a.Type.Shape == VarArray && a.SameCount == nil }

// ConsumeOnError says when a client destroys a request that could not be sent.
type ConsumeOnError uint8

const (
	ConsumeNone    ConsumeOnError = iota
	ConsumeTimeout                // when sending took too long
	ConsumeAny                    // and when the destination is dead, too
)

// Routine is a routine with its messages.
type Routine struct {
	Name       string
	Pos        source.Pos
	Simple     bool // simpleroutine: no reply is waited for
	ID         int32
	UserName   string // with the prefix
	ServerName string
	Args       []*Arg

	RequestPort *Arg
	ReplyPort   *Arg // nil where there is no such argument
	RetCode     *Arg

	MsgOption string // C name, "" for none
	WaitTime  string // C name or number
	SendTime  string
	OnError   string // C function
	Special   bool   // use the thread's special reply port
	Consume   ConsumeOnError

	Request, Reply Message

	RequestTrailer, ReplyTrailer uint32 // elements that arguments need
}

// ByDirection returns the first argument with a direction, or nil.
func (r *Routine) ByDirection(d Direction) *Arg {
	for _, a := range r.Args {
		if a.Direction == d {
			return a
		}
	}
	return nil
}

// Check gives statements their meaning. It returns nil where there is no subsystem; the interface is whole where errs
// has no errors.
func Check(stmts []syntax.Statement, d syntax.Dialect, file string, errs *source.List) *Interface {
	c := &checker{dialect: d, errs: errs, types: map[string]*Type{}, out: &Interface{File: file}}
	c.importing = map[*source.File]bool{}
	for _, s := range stmts {
		if im, ok := s.(*syntax.Import); ok && (im.Word == "import" || im.Word == "iimport") {
			c.importing[im.Pos.File] = true
		}
	}
	for _, s := range stmts {
		if errs.Full() {
			break
		}
		c.statement(s)
	}
	for _, t := range c.order {
		if c.types[t.Name] == t {
			c.out.Types = append(c.out.Types, t)
		}
	}
	if c.subsystem == nil {
		if errs.Errors() == 0 {
			errs.Errorf(source.Pos{}, "", "%s: no subsystem: the file declares types alone", file)
		}
		return nil
	}
	return c.out
}
