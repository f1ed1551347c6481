package arm64

import (
	"encoding/binary"
	"slices"
	"testing"

	"portcullis.dev/check/flow"
)

// Places are found where code forms their address, loads from them or stores to them.
func TestScanData(t *testing.T) {
	const base, place = 0x100000000, 0x100008018
	words := []uint32{
		0x90000048, // adrp x8, 0x100008000
		0xd503201f, // nop
		0x91006100, // add  x0, x8, #0x18: forms it
		0xb9001901, // str  w1, [x8, #0x18]: stores there
		0xb9001d01, // str  w1, [x8, #0x1c]: elsewhere
		0x39406102, // ldrb w2, [x8, #0x18]: loads from there
		0x90000048, // adrp x8, 0x100008000
		0xf9400d08, // ldr  x8, [x8, #0x18]: loads from there, and x8 holds something else from now on
		0xb9001901, // str  w1, [x8, #0x18]: nobody knows where
		0x1003ff43, // adr  x3, 0x10000800c: elsewhere
		0x1003ff83, // adr  x3, 0x100008018: forms it
	}
	text := make([]byte, 4*len(words))
	for i, w := range words {
		binary.LittleEndian.PutUint32(text[4*i:], w)
	}
	var got []uint64
	Scan(text, base, &flow.Targets{Data: []uint64{place}}, func(at uint64) { got = append(got, (at-base)/4) })
	slices.Sort(got)
	if want := []uint64{2, 3, 5, 7, 10}; !slices.Equal(slices.Compact(got), want) {
		t.Errorf("instructions %d, want %d", got, want)
	}
}
