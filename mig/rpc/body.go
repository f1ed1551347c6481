package rpc

import (
	"encoding/binary"
	"math"
	"strings"
)

var le = binary.LittleEndian

// Writer writes the body of a message.
type Writer struct {
	B []byte
}

// NewWriter returns a writer that has written the NDR record, with room for size bytes.
func NewWriter(size int) Writer {
	return Writer{append(make([]byte, 0, size), ndr[:]...)}
}

func (w *Writer) Uint8(v uint8)     { w.B = append(w.B, v) }
func (w *Writer) Uint16(v uint16)   { w.B = le.AppendUint16(w.B, v) }
func (w *Writer) Uint32(v uint32)   { w.B = le.AppendUint32(w.B, v) }
func (w *Writer) Uint64(v uint64)   { w.B = le.AppendUint64(w.B, v) }
func (w *Writer) Float32(v float32) { w.Uint32(math.Float32bits(v)) }
func (w *Writer) Float64(v float64) { w.Uint64(math.Float64bits(v)) }
func (w *Writer) Bytes(b []byte)    { w.B = append(w.B, b...) }

// Zero writes n zero bytes.
func (w *Writer) Zero(n int) { w.B = append(w.B, make([]byte, n)...) }

// Pad fills up to a multiple of four.
func (w *Writer) Pad() {
	for len(w.B)%4 != 0 {
		w.B = append(w.B, 0)
	}
}

// cut returns what C would see of a string, with room for it and its NUL in n bytes.
func cut(s string, n int) string {
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	return s[:min(len(s), n-1)]
}

// String writes a string into n bytes, cut to fit with its NUL.
func (w *Writer) String(s string, n int) {
	s = cut(s, n)
	w.B = append(w.B, s...)
	w.Zero(n - len(s))
}

// VarString writes a string of variable length: offset, length with the NUL, bytes.
func (w *Writer) VarString(s string, n int) {
	s = cut(s, n)
	w.Uint32(0)
	w.Uint32(uint32(len(s) + 1))
	w.B = append(w.B, s...)
	w.B = append(w.B, 0)
	w.Pad()
}

// Reader reads the body of a message. What does not fit makes it bad, and all further values zero.
type Reader struct {
	b   []byte
	at  int
	bad bool
}

// NewReader returns a reader of a body, behind the NDR record.
func NewReader(body []byte) Reader { return Reader{b: body, at: min(NDRSize, len(body))} }

// Fields returns a reader of plain memory, as out of line.
func Fields(b []byte) Reader { return Reader{b: b} }

var zeros [8]byte

func (r *Reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b)-r.at {
		r.bad = true
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *Reader) small(n int) []byte {
	if b := r.take(n); b != nil {
		return b
	}
	return zeros[:n]
}

func (r *Reader) Uint8() uint8     { return r.small(1)[0] }
func (r *Reader) Uint16() uint16   { return le.Uint16(r.small(2)) }
func (r *Reader) Uint32() uint32   { return le.Uint32(r.small(4)) }
func (r *Reader) Uint64() uint64   { return le.Uint64(r.small(8)) }
func (r *Reader) Float32() float32 { return math.Float32frombits(r.Uint32()) }
func (r *Reader) Float64() float64 { return math.Float64frombits(r.Uint64()) }

// Read fills b.
func (r *Reader) Read(b []byte) { copy(b, r.take(len(b))) }

// Skip passes over n bytes.
func (r *Reader) Skip(n int) { r.take(n) }

// Pad passes over what fills up to a multiple of four.
func (r *Reader) Pad() { r.take(-r.at & 3) }

// Count reads a count, which may be most at most.
func (r *Reader) Count(most int) int {
	n := r.Uint32()
	if uint64(n) > uint64(most) {
		r.bad = true
		return 0
	}
	return int(n)
}

// Elements says that n elements of size bytes can still follow, before room is made for them.
func (r *Reader) Elements(n, size int) int {
	if r.bad || n*size > len(r.b)-r.at {
		r.bad = true
		return 0
	}
	return n
}

// String reads a string of n bytes, which must have a NUL.
func (r *Reader) String(n int) string {
	return r.terminated(r.take(n))
}

// VarString reads a string of variable length, of at most n bytes with its NUL.
func (r *Reader) VarString(n int) string {
	if r.Uint32() != 0 {
		r.bad = true
	}
	s := r.terminated(r.take(r.Count(n)))
	r.Pad()
	return s
}

func (r *Reader) terminated(b []byte) string {
	s, _, ok := strings.Cut(string(b), "\x00")
	if !ok {
		r.bad = true
		return ""
	}
	return s
}

// Fail makes the reader bad.
func (r *Reader) Fail() { r.bad = true }

// Done says that everything was there and nothing is left.
func (r *Reader) Done() bool { return !r.bad && r.at == len(r.b) }
