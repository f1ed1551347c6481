package mach

import "fmt"

// Name is a task's name for a right: an index into the table of its space in the upper 24 bits and a generation in the
// lower 8, so that a name that was given back is not soon given out again for something else.
//
// Source: XNU osfmk/mach/port.h, MACH_PORT_INDEX and MACH_PORT_GEN for 32-bit names.
type Name uint32

const (
	NullName Name = 0          // MACH_PORT_NULL: no right
	DeadName Name = 0xffffffff // MACH_PORT_DEAD: a right to a port that is gone

	// SpecialDefaultName (MACH_PORT_SPECIAL_DEFAULT) is the receiver's name of a port whose receiver is the kernel.
	SpecialDefaultName Name = 1
)

// MakeName joins an index (24 bits) and a generation (8 bits).
func MakeName(index uint32, generation uint8) Name { return Name(index<<8 | uint32(generation)) }

// Index returns the place in the space's table.
func (n Name) Index() uint32 { return uint32(n >> 8) }

// Generation returns the lower 8 bits.
func (n Name) Generation() uint8 { return uint8(n) }

// Valid says that the name is neither null nor dead; it may still name nothing.
func (n Name) Valid() bool { return n != NullName && n != DeadName }

// String returns the name in hexadecimal, or MACH_PORT_NULL or MACH_PORT_DEAD.
func (n Name) String() string {
	switch n {
	case NullName:
		return "MACH_PORT_NULL"
	case DeadName:
		return "MACH_PORT_DEAD"
	}
	return fmt.Sprintf("%#x", uint32(n))
}
