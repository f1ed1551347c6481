package mach

// AuditToken identifies the sender of a message: auid, euid, egid, ruid, rgid, pid, asid, pid version.
type AuditToken [8]uint32

// PID returns the process id in the token.
func (t AuditToken) PID() int32 { return int32(t[5]) }

// Elements of a trailer, as a receiver asks for them; each includes those before it.
const (
	TrailerNull   = 0
	TrailerSeqno  = 1
	TrailerSender = 2
	TrailerAudit  = 3
	TrailerCtx    = 4
	TrailerAV     = 7
	TrailerLabels = 8
)

// TrailerSize returns the size of the trailer that carries the elements.
func TrailerSize(elements uint32) int {
	switch elements {
	case TrailerNull:
		return 8
	case TrailerSeqno:
		return 12
	case TrailerSender:
		return 20
	case TrailerAudit:
		return 52
	case TrailerCtx:
		return 60
	}
	return MaxTrailerSize
}

// Trailer follows a received message at its size rounded up to four bytes. Its format is 0, the only one there is.
type Trailer struct {
	Seqno    uint32
	Security [2]uint32 // uid and gid
	Audit    AuditToken
	Context  uint64 // of the port the message was sent to
	Access   int32
	Labels   uint32
}

// Encode writes the trailer with the elements asked for and returns its size, or 0 if b is too short.
func (t *Trailer) Encode(b []byte, elements uint32) int {
	n := TrailerSize(elements)
	if len(b) < n {
		return 0
	}
	clear(b[:n])
	le.PutUint32(b[4:], uint32(n))
	if n >= 12 {
		le.PutUint32(b[8:], t.Seqno)
	}
	if n >= 20 {
		le.PutUint32(b[12:], t.Security[0])
		le.PutUint32(b[16:], t.Security[1])
	}
	if n >= 52 {
		for i, v := range t.Audit {
			le.PutUint32(b[20+4*i:], v)
		}
	}
	if n >= 60 {
		le.PutUint64(b[52:], t.Context)
	}
	if n == MaxTrailerSize {
		le.PutUint32(b[60:], uint32(t.Access))
		le.PutUint32(b[64:], t.Labels)
	}
	return n
}

// Decode reads a trailer and returns its size, or 0 if it is malformed.
func (t *Trailer) Decode(b []byte) int {
	if len(b) < 8 || le.Uint32(b) != 0 || uint64(le.Uint32(b[4:])) > uint64(len(b)) {
		return 0
	}
	*t = Trailer{}
	n := int(le.Uint32(b[4:]))
	switch n {
	case 8, 12, 20, 52, 60, MaxTrailerSize:
	default:
		return 0
	}
	if n >= 12 {
		t.Seqno = le.Uint32(b[8:])
	}
	if n >= 20 {
		t.Security = [2]uint32{le.Uint32(b[12:]), le.Uint32(b[16:])}
	}
	if n >= 52 {
		for i := range t.Audit {
			t.Audit[i] = le.Uint32(b[20+4*i:])
		}
	}
	if n >= 60 {
		t.Context = le.Uint64(b[52:])
	}
	if n == MaxTrailerSize {
		t.Access, t.Labels = int32(le.Uint32(b[60:])), le.Uint32(b[64:])
	}
	return n
}
