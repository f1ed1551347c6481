package macho

import (
	"bytes"
	"testing"

	"portcullis.dev/internal/raced"
)

// TestLargeHostileTables has tables of many megabytes that small readers make gigabytes of: strings that overlap, one
// stub, function, bind and edge to a byte or two. What is allocated stays within a small multiple of the file.
func TestLargeHostileTables(t *testing.T) {
	raced.Skip(t)
	const size = 24 << 20
	filler := bytes.Repeat([]byte{1}, size)
	cmd := func(vs ...uint32) []byte { return (&builder{}).u32(vs...).b }
	bindName := append([]byte{bindSetOrdinalImm | 1, bindSetSymbol}, "_a\x00"...)
	bindMany := append(bindName, bindSetSegment|1, 0)
	for len(bindMany) < size {
		bindMany = append(bindMany, bindDo, bindSetSegment|1, 0)
	}
	bindCmd, bindLink := dyldInfo(bindMany, nil, nil)
	symbols := (&builder{}).u64(0, 0).b
	symbols[4] = nExt
	manySymbols := bytes.Repeat(symbols, size/16)
	for i := range len(manySymbols) / 16 {
		manySymbols[16*i], manySymbols[16*i+1], manySymbols[16*i+2] = byte(i), byte(i>>8), byte(i>>16)
	}
	tests := []struct {
		name      string
		cmd, link []byte
	}{
		{"function starts", cmd(lcFunctionStarts, 16, handLink, size), filler},
		{"exports", cmd(lcDyldExportsTrie, 16, handLink, size), filler},
		{"export names without end", cmd(lcDyldExportsTrie, 16, handLink, size),
			append([]byte{0, 255}, bytes.Repeat([]byte{'a'}, size-2)...)},
		{"binds", bindCmd, bindLink},
		{"names", cmd(lcSymtab, 24, handLink, uint32(len(manySymbols)/16), handLink, uint32(len(manySymbols))), manySymbols},
		{"names without end", cmd(lcSymtab, 24, handLink, size/32, handLink+size/2, size/2),
			append(bytes.Clone(manySymbols[:size/2]), bytes.Repeat([]byte{'a'}, size/2)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := withData(CPUARM64, 0, tt.cmd, nil, tt.link)
			bounded(t, tt.name, 12*uint64(len(data)), func() { useEverything(data) })
		})
	}
}
