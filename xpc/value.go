package xpc

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// Type numbers the kinds of values as the wire does. The lower 12 bits are zero.
type Type uint32

// The numbers are Apple's. What is missing here never travels.
const (
	TypeNull         Type = 0x1000
	TypeBool         Type = 0x2000
	TypeInt64        Type = 0x3000
	TypeUint64       Type = 0x4000
	TypeDouble       Type = 0x5000
	TypeDate         Type = 0x7000
	TypeData         Type = 0x8000
	TypeString       Type = 0x9000
	TypeUUID         Type = 0xa000
	TypeFD           Type = 0xb000
	TypeSharedMemory Type = 0xc000
	TypeSendRight    Type = 0xd000
	TypeArray        Type = 0xe000
	TypeDictionary   Type = 0xf000
	TypeError        Type = 0x10000
	TypeConnection   Type = 0x11000
	TypeEndpoint     Type = 0x12000
	TypeReceiveRight Type = 0x15000
	TypeFileTransfer Type = 0x1a000
	TypeSendOnce     Type = 0x1b000

	typeLimit Type = 0x1e000 // from here on numbers mean nothing and spoil a message
)

var typeNames = map[Type]string{
	TypeNull: "null", TypeBool: "bool", TypeInt64: "int64", TypeUint64: "uint64", TypeDouble: "double",
	TypeDate: "date", TypeData: "data", TypeString: "string", TypeUUID: "uuid", TypeFD: "fd", TypeSharedMemory: "shmem",
	TypeSendRight: "mach_send", TypeArray: "array", TypeDictionary: "dictionary", TypeError: "error",
	TypeConnection: "connection", TypeEndpoint: "endpoint", TypeReceiveRight: "mach_recv",
	TypeFileTransfer: "file_transfer", TypeSendOnce: "mach_send_once",
}

// String returns Apple's name of the type.
func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("%#x", uint32(t))
}

// Value is a value of a message: one of the types of this package that have a Type method.
type Value interface {
	Type() Type
	sealed()
}

// Plain values.
type (
	Null   struct{}
	Bool   bool
	Int64  int64
	Uint64 uint64
	Double float64
	Date   int64 // nanoseconds since 1970-01-01 UTC
	// Data is bytes. Data that was received may lie in the message it came with; Data of more than LargeData bytes is
	// handed over when it is sent and must not be changed afterwards.
	Data   []byte
	String string // valid as C strings are: without a zero byte
	UUID   [16]byte
	Array  []Value
)

// FD is an open file on its way to another process. Sending it gives the receiver a file of its own; the sender's stays
// open.
type FD struct{ File *os.File }

// FileTransfer stands for a file whose content follows on a stream of its own (RemoteXPC alone).
type FileTransfer struct {
	ID   uint64
	Info Value // dictionary with the size
}

// Error is an error object. Peers do not send them; pending replies and handlers get ErrInterrupted and its kin.
type Error struct{ Info *Dictionary }

func (Null) Type() Type          { return TypeNull }
func (Bool) Type() Type          { return TypeBool }
func (Int64) Type() Type         { return TypeInt64 }
func (Uint64) Type() Type        { return TypeUint64 }
func (Double) Type() Type        { return TypeDouble }
func (Date) Type() Type          { return TypeDate }
func (Data) Type() Type          { return TypeData }
func (String) Type() Type        { return TypeString }
func (UUID) Type() Type          { return TypeUUID }
func (Array) Type() Type         { return TypeArray }
func (*Dictionary) Type() Type   { return TypeDictionary }
func (*FD) Type() Type           { return TypeFD }
func (*SharedMemory) Type() Type { return TypeSharedMemory }
func (*Endpoint) Type() Type     { return TypeEndpoint }
func (*SendRight) Type() Type    { return TypeSendRight }
func (*ReceiveRight) Type() Type { return TypeReceiveRight }
func (*SendOnce) Type() Type     { return TypeSendOnce }
func (*FileTransfer) Type() Type { return TypeFileTransfer }
func (*Error) Type() Type        { return TypeError }

func (Null) sealed()          {}
func (Bool) sealed()          {}
func (Int64) sealed()         {}
func (Uint64) sealed()        {}
func (Double) sealed()        {}
func (Date) sealed()          {}
func (Data) sealed()          {}
func (String) sealed()        {}
func (UUID) sealed()          {}
func (Array) sealed()         {}
func (*Dictionary) sealed()   {}
func (*FD) sealed()           {}
func (*SharedMemory) sealed() {}
func (*Endpoint) sealed()     {}
func (*SendRight) sealed()    {}
func (*ReceiveRight) sealed() {}
func (*SendOnce) sealed()     {}
func (*FileTransfer) sealed() {}
func (*Error) sealed()        {}

// DateOf returns the date of a time.
func DateOf(t time.Time) Date { return Date(t.UnixNano()) }

// Time returns the time in UTC.
func (d Date) Time() time.Time { return time.Unix(0, int64(d)).UTC() }

// String returns the usual form, in upper case.
func (u UUID) String() string {
	return fmt.Sprintf("%X-%X-%X-%X-%X", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// Equal compares values as what they say: dictionaries whatever their order, doubles by their bits, files and rights by
// being the same.
func Equal(a, b Value) bool {
	switch a := a.(type) {
	case Data:
		b, ok := b.(Data)
		return ok && bytes.Equal(a, b)
	case Double:
		b, ok := b.(Double)
		return ok && math.Float64bits(float64(a)) == math.Float64bits(float64(b))
	case Array:
		b, ok := b.(Array)
		return ok && slices.EqualFunc(a, b, Equal)
	case *Dictionary:
		b, ok := b.(*Dictionary)
		return ok && a.equal(b)
	case *Error:
		b, ok := b.(*Error)
		return ok && a.Info.equal(b.Info)
	case *FileTransfer:
		b, ok := b.(*FileTransfer)
		return ok && a.ID == b.ID && Equal(a.Info, b.Info)
	}
	if _, ok := b.(Array); ok {
		return false
	}
	if _, ok := b.(Data); ok {
		return false
	}
	return a == b
}
