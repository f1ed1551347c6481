package amd64

import (
	"debug/macho"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"portcullis.dev/check/flow"
)

func TestScan(t *testing.T) {
	const base, stub, slot = 0x100004003, 0x100009010, 0x100010018
	var text []byte
	var want []uint64
	add := func(found bool, target uint64, before ...byte) {
		if found {
			want = append(want, base+uint64(len(text)))
		}
		text = append(text, before...)
		text = binary.LittleEndian.AppendUint32(text, uint32(target-(base+uint64(len(text))+4)))
		for range len(text) % 3 {
			text = append(text, 0x90)
		}
	}
	add(true, stub, 0xe8)
	add(true, stub, 0xe9)
	add(false, stub+2, 0xe8)
	add(true, stub, 0x0f, 0x84)
	add(false, stub, 0x90)
	add(true, slot, 0xff, 0x15)
	add(true, slot, 0xff, 0x25)
	add(true, slot, 0x48, 0x8b, 0x05)
	add(true, slot, 0x4c, 0x8b, 0x3d)
	add(false, slot, 0x8b, 0x05)
	add(false, slot, 0x48, 0x8b, 0x80)
	add(true, slot+0x100, 0xff, 0x35)
	add(true, stub, 0xe8)
	targets := &flow.Targets{Code: []uint64{stub, 0x100009046}, Slots: []uint64{slot, slot + 0x100}}
	var got []uint64
	Scan(text, base, targets, func(s uint64) { got = append(got, s) })
	if !slices.Equal(got, want) {
		t.Errorf("found %#x, want %#x", got, want)
	}
	Scan(text, base, &flow.Targets{}, func(s uint64) { t.Errorf("found %#x of nothing", s) })
}

func BenchmarkScan(b *testing.B) {
	text, base := benchText(b)
	end := base + uint64(len(text))
	stubs, slots := []uint64{}, []uint64{}
	for i := range uint64(20) {
		stubs = append(stubs, end+6*i*7)
		slots = append(slots, end&^0xfff+0x8000+i*24)
	}
	for _, c := range []struct {
		name string
		t    *flow.Targets
	}{{"stubs", &flow.Targets{Code: stubs}}, {"stubs-and-slots", &flow.Targets{Code: stubs, Slots: slots}}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Scan(text, base, c.t, func(uint64) {})
			}
		})
	}
}

// benchText returns the code of the program that PORTCULLIS_X86_BINARY names, or bytes made up.
func benchText(b *testing.B) ([]byte, uint64) {
	if path := os.Getenv("PORTCULLIS_X86_BINARY"); path != "" {
		f, err := macho.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		s := f.Section("__text")
		d, err := s.Data()
		if err != nil {
			b.Fatal(err)
		}
		return d, s.Addr
	}
	d := make([]byte, 32<<20)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(d)
	return d, 0x100000000
}
