package mach

import "encoding/binary"

var le = binary.LittleEndian

// Sizes of the fixed parts of a message, in bytes.
const (
	HeaderSize = 24 // mach_msg_header_t
	BodySize   = 4  // mach_msg_body_t: the descriptor count of a complex message

	PortDescriptorSize     = 12
	OOLDescriptorSize      = 16 // 64-bit user layout
	OOLPortsDescriptorSize = 16
	GuardedDescriptorSize  = 16
)

// Limits of one message.
const (
	MaxTrailerSize = 68
	MaxBodySize    = 48<<20 - MaxTrailerSize // IPC_KMSG_MAX_BODY_SPACE
	MaxAuxSize     = 1024                    // IPC_KMSG_MAX_AUX_DATA_SPACE
	MaxPorts       = 16383                   // IPC_KMSG_MAX_OOL_PORT_COUNT: inline and out of line together
	MaxURefs       = 65535                   // user references of one name; the count sticks there

	MaxKobjectDescriptors = 3 // IPC_KOBJECT_DESC_MAX: descriptors in a call to a kernel object
)

// Bits of a message header: three dispositions and flags.
type Bits uint32

const (
	BitsComplex  Bits = 0x80000000
	BitsRaiseImp Bits = 0x20000000
	BitsUser     Bits = 0x801f1f1f // what a user may set; another bit is MACH_SEND_INVALID_HEADER
)

// MakeBits joins dispositions of the remote (destination), local (reply) and voucher fields.
func MakeBits(remote, local, voucher Disposition) Bits {
	return Bits(remote) | Bits(local)<<8 | Bits(voucher)<<16
}

// Remote returns the disposition of the destination.
func (b Bits) Remote() Disposition { return Disposition(b & 0x1f) }

// Local returns the disposition of the reply port.
func (b Bits) Local() Disposition { return Disposition(b >> 8 & 0x1f) }

// Voucher returns the disposition of the voucher.
func (b Bits) Voucher() Disposition { return Disposition(b >> 16 & 0x1f) }

// Header is a mach_msg_header_t. A sender's Remote is the destination and Local the reply port; a receiver finds them
// the other way round.
type Header struct {
	Bits    Bits
	Size    uint32
	Remote  Name
	Local   Name
	Voucher Name
	ID      int32
}

// Decode reads a header; false if b is shorter than HeaderSize.
func (h *Header) Decode(b []byte) bool {
	if len(b) < HeaderSize {
		return false
	}
	h.Bits, h.Size = Bits(le.Uint32(b)), le.Uint32(b[4:])
	h.Remote, h.Local = Name(le.Uint32(b[8:])), Name(le.Uint32(b[12:]))
	h.Voucher, h.ID = Name(le.Uint32(b[16:])), int32(le.Uint32(b[20:]))
	return true
}

// Encode writes the header to b; false if b is shorter than HeaderSize.
func (h *Header) Encode(b []byte) bool {
	if len(b) < HeaderSize {
		return false
	}
	le.PutUint32(b, uint32(h.Bits))
	le.PutUint32(b[4:], h.Size)
	le.PutUint32(b[8:], uint32(h.Remote))
	le.PutUint32(b[12:], uint32(h.Local))
	le.PutUint32(b[16:], uint32(h.Voucher))
	le.PutUint32(b[20:], uint32(h.ID))
	return true
}
