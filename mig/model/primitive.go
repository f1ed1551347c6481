package model

import (
	"strconv"

	"portcullis.dev/mach"
	"portcullis.dev/mig/syntax"
)

// Primitive numbers that are no dispositions of ports.
const (
	primUnstructured = 0
	primInteger16    = 1
	primInteger32    = 2
	primInteger64    = 3
	primChar         = 8
	primInteger8     = 9
	primReal32       = 10
	primReal64       = 11
	primString       = 12

	// Polymorphic stands for a disposition that is known at run time alone.
	Polymorphic = -1
)

// primitive is a row of the table of primitive types: what the sender writes, what the receiver sees, and the size.
type primitive struct {
	name    string
	in, out int32
	bits    int
}

// primitives are the names after MACH_MSG_TYPE_ that both dialects have.
//
// Source: Apple's bootstrap_cmds migcom.tproj/lexxer.l and XNU osfmk/mach/message.h; GNU MIG lexxer.l.
var primitives = []primitive{
	{"BOOLEAN", 0, 0, 32},
	{"INTEGER_16", primInteger16, primInteger16, 16},
	{"INTEGER_32", primInteger32, primInteger32, 32},
	{"INTEGER_64", primInteger64, primInteger64, 64},
	{"UNSTRUCTURED", 0, 0, 1},
	{"BIT", 0, 0, 1},
	{"CHAR", primChar, primChar, 8},
	{"BYTE", primInteger8, primInteger8, 8},
	{"INTEGER_8", primInteger8, primInteger8, 8},
	{"STRING", primString, primString, 8},
	{"STRING_C", primString, primString, 8},
	{"PORT_NAME", int32(mach.PortName), int32(mach.PortName), 32},
	{"MOVE_RECEIVE", int32(mach.MoveReceive), int32(mach.MoveReceive), 32},
	{"MOVE_SEND", int32(mach.MoveSend), int32(mach.MoveSend), 32},
	{"MOVE_SEND_ONCE", int32(mach.MoveSendOnce), int32(mach.MoveSendOnce), 32},
	{"COPY_SEND", int32(mach.CopySend), int32(mach.MoveSend), 32},
	{"MAKE_SEND", int32(mach.MakeSend), int32(mach.MoveSend), 32},
	{"MAKE_SEND_ONCE", int32(mach.MakeSendOnce), int32(mach.MoveSendOnce), 32},
	{"PORT_RECEIVE", Polymorphic, int32(mach.MoveReceive), 32},
	{"PORT_SEND", Polymorphic, int32(mach.MoveSend), 32},
	{"PORT_SEND_ONCE", Polymorphic, int32(mach.MoveSendOnce), 32},
	{"POLYMORPHIC", Polymorphic, Polymorphic, 32},
}

// applePrimitives and gnuPrimitives are names of one dialect alone.
var (
	applePrimitives = []primitive{
		{"REAL_32", primReal32, primReal32, 32},
		{"REAL_64", primReal64, primReal64, 64},
	}
	gnuPrimitives = []primitive{
		{"REAL", primReal32, primReal32, 32},
		{"PROTECTED_PAYLOAD", int32(mach.MoveSend), int32(mach.MoveSend), 64},
	}
)

// findPrimitive looks a name or number up; a number has the size of the first name with it.
func findPrimitive(d syntax.Dialect, name string) (primitive, bool) {
	extra := applePrimitives
	if d == syntax.GNU {
		extra = gnuPrimitives
	}
	n, err := strconv.ParseInt(name, 10, 32)
	for _, list := range [][]primitive{primitives, extra} {
		for _, p := range list {
			if p.name == name || err == nil && int64(p.in) == n && n != 0 {
				return p, true
			}
		}
	}
	if err == nil && n == 0 {
		return primitive{"UNSTRUCTURED", 0, 0, 1}, true
	}
	return primitive{}, false
}

// isPort says that a primitive number is a right.
func isPort(n int32) bool {
	return n == Polymorphic || n >= int32(mach.MoveReceive) && n <= int32(mach.MakeSendOnce)
}
