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

// Wherever the targets lie, a large text gives what every four bytes of it give, looked at one by one.
func TestScanEverywhere(t *testing.T) {
	const base, size = 0x100001000, 3*piece + 77
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		text := make([]byte, size)
		for i := range text {
			text[i] = byte(r.Uint32() >> r.UintN(25))
		}
		low := base + uint64(r.Uint32N(1<<r.UintN(31)))
		spread := uint64(1) << (4 + r.UintN(20))
		var targets flow.Targets
		for range 8 {
			targets.Code = append(targets.Code, low+r.Uint64N(spread))
			targets.Slots = append(targets.Slots, low+0x10000+r.Uint64N(spread))
			targets.Data = append(targets.Data, low+0x20000+r.Uint64N(spread))
		}
		if r.UintN(3) == 0 {
			targets.Data = targets.Code
		}
		for range 200 { // instructions that reach a target
			at := r.IntN(size - 16)
			switch r.UintN(5) {
			case 0:
				at += copy(text[at:], []byte{0xe8})
			case 1:
				at += copy(text[at:], []byte{0x0f, 0x84})
			case 2:
				at += copy(text[at:], []byte{0xff, 0x15})
			case 3:
				at += copy(text[at:], []byte{0x48, 0x8b, 0x05})
			case 4:
				at += copy(text[at:], []byte{0x48, 0x8d, 0x0d})
			}
			all := [][]uint64{targets.Code, targets.Slots, targets.Data}[r.UintN(3)]
			binary.LittleEndian.PutUint32(text[at:], uint32(all[r.IntN(len(all))]-(base+uint64(at)+4)))
		}
		var got, want []uint64
		Scan(text, base, &targets, func(s uint64) { got = append(got, s) })
		near := []uint64{}
		for _, d := range targets.Data {
			near = append(near, d, d-1, d-2, d-4)
		}
		s := scan{text: text, base: base, emit: func(a uint64) { want = append(want, a) }, last: ^uint64(0),
			code: flow.NewRange(targets.Code), data: flow.NewRange(near), slots: flow.NewRange(append(near, targets.Slots...))}
		for i := range text {
			s.try(i)
		}
		if !slices.Equal(got, want) || len(want) < 20 {
			t.Fatalf("targets from %#x, spread %#x: found %d, want %d", low, spread, len(got), len(want))
		}
	}
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
