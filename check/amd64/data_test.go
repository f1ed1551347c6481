package amd64

import (
	"slices"
	"testing"

	"portcullis.dev/check/flow"
)

// Places are found where an instruction has them as its operand, also with an immediate behind the displacement, and
// where a function is called whose address is formed elsewhere.
func TestScanData(t *testing.T) {
	const base, place = 0x100000000, 0x100001000
	var text []byte
	var want []uint64
	add := func(before []byte, after []byte, found bool) {
		at := uint64(len(text) + len(before))
		d := uint32(place - (base + at + 4 + uint64(len(after))))
		if found {
			want = append(want, at-1)
		}
		text = append(append(append(text, before...), byte(d), byte(d>>8), byte(d>>16), byte(d>>24)), after...)
	}
	add([]byte{0x48, 0x8d, 0x3d}, nil, true)          // lea rdi, [rip+place]
	add([]byte{0x89, 0x05}, nil, true)                // mov [rip+place], eax
	add([]byte{0xc6, 0x05}, []byte{1}, true)          // mov byte [rip+place], 1
	add([]byte{0xc7, 0x05}, []byte{1, 0, 0, 0}, true) // mov dword [rip+place], 1
	add([]byte{0x90, 0x90}, nil, false)               // no operand
	text = append(text, make([]byte, 16)...)
	var got []uint64
	Scan(text, base, &flow.Targets{Data: []uint64{place}, Code: []uint64{place}}, func(at uint64) { got = append(got, at-base) })
	if !slices.Equal(got, want) {
		t.Errorf("sites %d, want %d", got, want)
	}
}
