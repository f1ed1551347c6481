package flow_test

import (
	"bytes"
	"testing"

	"portcullis.dev/check/arm64"
	"portcullis.dev/check/flow"
)

// TestMisaligned: a damaged table says that a function begins where no instruction can. It is not followed, and its
// sites come back all the same.
func TestMisaligned(t *testing.T) {
	const base = 0x100000000
	code := bytes.Repeat([]byte{0x20, 0, 0x80, 0x52, 0x01, 0x0c, 0, 0x94}, 10) // mov w0, #1; bl out
	for shift := uint64(1); shift < 4; shift++ {
		f := flow.Function{ISA: arm64.ISA, Start: base + shift, End: base + uint64(len(code)), Sites: []uint64{base + 4}}
		r := flow.Analyze(f, raw{base, code}, flow.Model{Want: func(s string) (int, bool) { return 3, true }})
		if r.Problem == "" {
			t.Errorf("a function at %#x was followed", f.Start)
		}
	}
}
