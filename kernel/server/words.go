package server

import (
	"math"

	"portcullis.dev/mach"
)

// words writes a structure of the kernel's interfaces that is sent as an array of 32-bit words: numbers in their order,
// without padding, 64-bit ones low half first.
type words []int32

func (w *words) u32(v uint32)   { *w = append(*w, int32(v)) }
func (w *words) u64(v uint64)   { *w = append(*w, int32(v), int32(v>>32)) }
func (w *words) zero(n int)     { *w = append(*w, make([]int32, n)...) }
func (w *words) flag(b bool)    { *w = append(*w, integer(b)) }
func (w *words) size(v uint64)  { w.u32(uint32(min(v, math.MaxUint32))) }
func (w *words) span(ns uint64) { w.u32(uint32(ns / 1e9)); w.u32(uint32(ns / 1e3 % 1e6)) } // time_value_t

// bytes writes bytes, a multiple of four of them.
func (w *words) bytes(b []byte) {
	for i := 0; i+4 <= len(b); i += 4 {
		w.u32(uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | uint32(b[i+3])<<24)
	}
}

// integer returns what C makes of a truth value.
func integer(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// fit returns the words if the caller has room for at least need of them, which is all of them if need is 0; a caller
// with less room gets kr.
func (w words) fit(room uint32, need int, kr mach.KernReturn) ([]int32, mach.KernReturn) {
	if need == 0 {
		need = len(w)
	}
	if int(room) < need {
		return nil, kr
	}
	return w[:min(int(room), len(w))], 0
}
