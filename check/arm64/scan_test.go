package arm64

import (
	"debug/macho"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"portcullis.dev/check/flow"
)

func words(ws ...uint32) []byte {
	var b []byte
	for _, w := range ws {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

func TestScan(t *testing.T) {
	const base, stub, slot = 0x100004000, 0x100009010, 0x100010018
	bl := func(at uint64, link uint32) uint32 { return 0x14000000 | link<<31 | uint32((stub-at)>>2)&0x3ffffff }
	adrp := func(at uint64, rd uint32) uint32 {
		n := uint32((slot&^0xfff - at&^0xfff) >> 12)
		return 0x90000000 | n&3<<29 | n>>2<<5 | rd
	}
	text := words(
		0xd503201f,
		bl(base+4, 1),
		bl(base+8, 0),
		bl(base+12, 1)+1,
		adrp(base+16, 8),
		0x52800001,
		0xf9400000|(slot&0xfff)/8<<10|8<<5|8, // ldr x8, [x8, #off]
		0xf9400000|(slot&0xfff)/8<<10|9<<5|8, // another base
		0xf9400000|((slot&0xfff)/8+1)<<10|8<<5|8,
		0x58000000|uint32((slot-(base+36))>>2)<<5|8, // ldr x8, literal
		0x10000000|uint32((slot-(base+40))>>2)<<5|7, // adr x7
		0xd503201f,
		0xf94000e8, // ldr x8, [x7]
	)
	targets := &flow.Targets{Code: []uint64{stub, 0x100009040}, Slots: []uint64{slot, slot + 0x100}}
	var got []uint64
	Scan(text, base, targets, func(s uint64) { got = append(got, s-base) })
	slices.Sort(got)
	if want := []uint64{4, 8, 24, 36, 48}; !slices.Equal(got, want) {
		t.Errorf("found %d, want %d", got, want)
	}
	got = nil
	Scan(text, base, &flow.Targets{Code: targets.Code}, func(s uint64) { got = append(got, s-base) })
	if want := []uint64{4, 8}; !slices.Equal(got, want) {
		t.Errorf("found %d, want %d without slots", got, want)
	}
	Scan(text, base, &flow.Targets{}, func(s uint64) { t.Errorf("found %#x of nothing", s) })
}

// text returns the code of the program that PORTCULLIS_ARM64_BINARY names, or code made up.
func benchText(b *testing.B) ([]byte, uint64) {
	if path := os.Getenv("PORTCULLIS_ARM64_BINARY"); path != "" {
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
	state := uint64(1)
	for i := 0; i < len(d); i += 4 {
		state = state*6364136223846793005 + 1442695040888963407
		w := uint32(state >> 32)
		switch state >> 29 & 7 {
		case 0:
			w = w&0x3ffffff | 0x94000000
		case 1:
			w = w&0x60ffffff | 0x90000000
		case 2:
			w = w&0x3fffff | 0xf9400000
		}
		binary.LittleEndian.PutUint32(d[i:], w)
	}
	return d, 0x100000000
}

func BenchmarkScan(b *testing.B) {
	text, base := benchText(b)
	end := base + uint64(len(text))
	stubs, slots := []uint64{}, []uint64{}
	for i := range uint64(20) {
		stubs = append(stubs, end+12*i*7)
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
