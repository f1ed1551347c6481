package rpc

import "portcullis.dev/mach"

// Sizes in a body: the NDR record, and the return code after it.
const (
	NDRSize       = 8
	errorBodySize = NDRSize + 4
)

// ndr is the record that little-endian ASCII IEEE machines write.
var ndr = [NDRSize]byte{4: 1}

// goodNDR says that the sender's data needs no conversion: integers, characters and floating-point numbers are
// represented as ours are.
func goodNDR(b []byte) bool {
	return len(b) >= NDRSize && b[4] == ndr[4] && b[5] == ndr[5] && b[6] == ndr[6]
}

// Want is what N descriptors of a message in a row must be.
type Want struct {
	N           int
	Type        mach.DescriptorType
	Disposition mach.Disposition // as received; 0 for any
	Alike       bool             // all have the same disposition, whichever it is
}

// Shape is what is known about a message before it arrives.
type Shape struct {
	Wants    []Want
	NDR      bool
	Min, Max int // bytes of the body, NDR record included
}

// items counts the descriptors.
func (s *Shape) items() (n int) {
	for _, w := range s.Wants {
		n += w.N
	}
	return n
}

// CheckRequest checks a request against its shape, in the order of Apple's stubs: form and size, then descriptors.
func CheckRequest[P comparable](m *Message[P], s *Shape) mach.KernReturn {
	if m.Complex != (len(s.Wants) > 0) || len(m.Items) != s.items() || len(m.Body) < s.Min || len(m.Body) > s.Max {
		return mach.MigBadArguments
	}
	return checkItems(m, s)
}

func checkItems[P comparable](m *Message[P], s *Shape) mach.KernReturn {
	i := 0
	for _, w := range s.Wants {
		for end := i + w.N; i < end; i++ {
			it := &m.Items[i]
			if it.Type != w.Type || w.Disposition != 0 && it.Disposition != w.Disposition ||
				w.Alike && it.Disposition != m.Items[end-w.N].Disposition {
				return mach.MigTypeError
			}
		}
	}
	if s.NDR && !goodNDR(m.Body) {
		return mach.MigTypeError
	}
	return 0
}

// checkReply checks a reply against its shape. An error the server tells is returned as it is.
func checkReply[P comparable](m *Message[P], id int32, s *Shape) mach.KernReturn {
	var none P
	switch {
	case m.ID == mach.NotifySendOnce:
		return mach.MigServerDied
	case m.ID != id:
		return mach.MigReplyMismatch
	}
	if !m.Complex && len(m.Items) == 0 && len(m.Body) == errorBodySize && m.Reply == none {
		if kr := mach.KernReturn(int32(le.Uint32(m.Body[NDRSize:]))); kr != 0 {
			return kr
		}
	}
	if m.Complex != (len(s.Wants) > 0) || len(m.Body) < s.Min || len(m.Body) > s.Max || m.Reply != none ||
		len(m.Items) != s.items() {
		return mach.MigTypeError
	}
	if kr := checkItems(m, s); kr != 0 {
		return kr
	}
	if !m.Complex {
		return mach.KernReturn(int32(le.Uint32(m.Body[NDRSize:])))
	}
	return 0
}
