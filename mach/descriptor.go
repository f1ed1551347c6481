package mach

// DescriptorType says what a descriptor of a complex message carries. It lies at byte 11 of every descriptor.
type DescriptorType uint8

const (
	DescriptorPort        DescriptorType = 0
	DescriptorOOL         DescriptorType = 1
	DescriptorOOLPorts    DescriptorType = 2
	DescriptorOOLVolatile DescriptorType = 3
	DescriptorGuardedPort DescriptorType = 4
)

// Size returns the size of such a descriptor in the 64-bit user layout, 0 for unknown types.
func (t DescriptorType) Size() int {
	switch t {
	case DescriptorPort:
		return PortDescriptorSize
	case DescriptorOOL, DescriptorOOLPorts, DescriptorOOLVolatile, DescriptorGuardedPort:
		return OOLDescriptorSize
	}
	return 0
}

// CopyOption says how out-of-line memory travels.
type CopyOption uint8

const (
	CopyPhysical CopyOption = 0
	CopyVirtual  CopyOption = 1
)

// GuardedFlags are the flags of a guarded port descriptor.
type GuardedFlags uint16

const (
	GuardedImmovableReceive GuardedFlags = 1 // the right is immovable where it arrives
	GuardedUnguardedOnSend  GuardedFlags = 2 // the port must have no guard when it is sent
	GuardedFlagsMask        GuardedFlags = 3
)

// Descriptor is a descriptor of any type, in one form for all; fields that a type does not have are zero.
type Descriptor struct {
	Type        DescriptorType
	Disposition Disposition  // ports
	Copy        CopyOption   // out of line
	Deallocate  bool         // out of line: the sender's memory goes away
	Flags       GuardedFlags // guarded ports
	Name        Name         // one port
	Size        uint32       // out of line: bytes, or ports in the array
	Address     uint64       // out of line; guarded ports: the guard (context)
}

// Decode reads the descriptor at the start of b in the 64-bit user layout and returns its size, or 0 if b is too short
// or the type is unknown.
func (d *Descriptor) Decode(b []byte) int {
	if len(b) < PortDescriptorSize {
		return 0
	}
	*d = Descriptor{Type: DescriptorType(b[11])}
	n := d.Type.Size()
	if n == 0 || len(b) < n {
		return 0
	}
	switch d.Type {
	case DescriptorPort:
		d.Name, d.Disposition = Name(le.Uint32(b)), Disposition(b[10])
	case DescriptorGuardedPort:
		d.Address, d.Flags = le.Uint64(b), GuardedFlags(le.Uint16(b[8:]))
		d.Disposition, d.Name = Disposition(b[10]), Name(le.Uint32(b[12:]))
	default:
		d.Address, d.Deallocate, d.Copy = le.Uint64(b), b[8] != 0, CopyOption(b[9])
		d.Size = le.Uint32(b[12:])
		if d.Type == DescriptorOOLPorts {
			d.Disposition = Disposition(b[10])
		}
	}
	return n
}

// Encode writes the descriptor to b in the 64-bit user layout and returns its size, or 0 if b is too short or the type
// is unknown. Padding is zeroed.
func (d *Descriptor) Encode(b []byte) int {
	n := d.Type.Size()
	if n == 0 || len(b) < n {
		return 0
	}
	clear(b[:n])
	b[11] = byte(d.Type)
	switch d.Type {
	case DescriptorPort:
		le.PutUint32(b, uint32(d.Name))
		b[10] = byte(d.Disposition)
	case DescriptorGuardedPort:
		le.PutUint64(b, d.Address)
		le.PutUint16(b[8:], uint16(d.Flags))
		b[10] = byte(d.Disposition)
		le.PutUint32(b[12:], uint32(d.Name))
	default:
		le.PutUint64(b, d.Address)
		if d.Deallocate {
			b[8] = 1
		}
		b[9] = byte(d.Copy)
		le.PutUint32(b[12:], d.Size)
		if d.Type == DescriptorOOLPorts {
			b[10] = byte(d.Disposition)
		}
	}
	return n
}
