package mach

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLayouts(t *testing.T) {
	b := make([]byte, 24)
	h := Header{MakeBits(CopySend, MakeSendOnce, 0) | BitsComplex, 40, 0x203, 0x307, 0, -3}
	h.Encode(b)
	if got := hex.EncodeToString(b); got != "13150080280000000302000007030000"+"00000000fdffffff" {
		t.Errorf("header %s", got)
	}
	for _, c := range []struct {
		d    Descriptor
		want string
	}{
		{Descriptor{Type: DescriptorPort, Name: 0x103, Disposition: CopySend}, "030100000000000000001300"},
		{Descriptor{Type: DescriptorOOL, Address: 0x1000, Size: 16, Copy: CopyVirtual, Deallocate: true},
			"00100000000000000101000110000000"},
		{Descriptor{Type: DescriptorOOLPorts, Address: 0x1000, Size: 2, Disposition: MoveSend},
			"00100000000000000000110202000000"},
		{Descriptor{Type: DescriptorGuardedPort, Address: 7, Flags: 1, Name: 0x103, Disposition: MoveReceive},
			"07000000000000000100100403010000"},
	} {
		b := make([]byte, 16)
		n := c.d.Encode(b)
		if got := hex.EncodeToString(b[:n]); got != c.want {
			t.Errorf("%+v encodes as %s, want %s", c.d, got, c.want)
		}
		var d Descriptor
		if m := d.Decode(b); m != n || d != c.d {
			t.Errorf("decoded %+v (%d bytes), want %+v", d, m, c.d)
		}
	}
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	b := make([]byte, 128)
	var h Header
	var d Descriptor
	var tr Trailer
	if n := testing.AllocsPerRun(100, func() {
		h.Encode(b)
		h.Decode(b)
		d.Encode(b)
		d.Decode(b)
		tr.Encode(b, TrailerLabels)
		tr.Decode(b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzLayouts(f *testing.F) {
	seed := make([]byte, MaxTrailerSize)
	(&Trailer{Seqno: 1, Audit: AuditToken{5: 42}}).Encode(seed, TrailerLabels)
	f.Add(seed)
	f.Add([]byte("\x03\x01\x00\x00\x00\x00\x00\x00\x00\x00\x13\x00"))
	f.Add(bytes.Repeat([]byte{4}, 24))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := make([]byte, MaxTrailerSize)
		var h, h2 Header
		if h.Decode(b) {
			if !h.Encode(out) || !bytes.Equal(out[:HeaderSize], b[:HeaderSize]) || !h2.Decode(out) || h != h2 {
				t.Errorf("header %+v does not survive", h)
			}
		}
		var d, d2 Descriptor
		if n := d.Decode(b); n != 0 {
			if d.Encode(out) != n || d2.Decode(out) != n || d != d2 {
				t.Errorf("descriptor does not survive: %s", cmp.Diff(d, d2))
			}
		}
		var r, r2 Trailer
		if n := r.Decode(b); n != 0 {
			for e := range uint32(9) {
				if TrailerSize(e) == n && (r.Encode(out, e) != n || r2.Decode(out) != n || r != r2) {
					t.Errorf("trailer does not survive: %s", cmp.Diff(r, r2))
				}
			}
		}
	})
}

// FuzzVocabulary checks that what any number prints as is read back as that number, where it has a name.
func FuzzVocabulary(f *testing.F) {
	f.Add(uint64(0x80000001))
	f.Add(uint64(0x8003030400000003))
	f.Add(uint64(0x4400))
	f.Fuzz(func(t *testing.T, n uint64) {
		if got, ok := ParseOption(Option(n).String()); !ok || got != Option(n) {
			t.Errorf("option %#x prints as %s, which reads as %#x", n, Option(n), uint64(got))
		}
		m := ExceptionMask(n)
		if got, ok := ParseExceptionMask(m.String()); !ok || got != m {
			t.Errorf("mask %#x prints as %s", n, m)
		}
		c := ConstructFlags(n)
		if got, ok := ParseConstructFlags(c.String()); !ok || got != c {
			t.Errorf("flags %#x print as %s", n, c)
		}
	})
}

func BenchmarkHeader(b *testing.B) {
	buf := make([]byte, HeaderSize)
	var h Header
	b.ReportAllocs()
	for b.Loop() {
		h.Encode(buf)
		h.Decode(buf)
	}
}
