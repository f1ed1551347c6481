package container

import (
	"bytes"
	"testing"

	"github.com/ulikunitz/xz"
)

// TestWalkCutXz cuts an xz file at every byte; zeros behind its end are padding.
func TestWalkCutXz(t *testing.T) {
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("some text")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const magic = 6
	for n := magic; n < b.Len(); n++ {
		got := walk(t, dir, write(t, dir, "x.xz", b.Bytes()[:n]), Options{})
		if len(got.unread) != 1 {
			t.Errorf("cut to %d of %d bytes: unread %q", n, b.Len(), got.unread)
		}
	}
	for _, whole := range [][]byte{b.Bytes(), append(bytes.Clone(b.Bytes()), 0, 0, 0, 0), bytes.Repeat(b.Bytes(), 2)} {
		if got := walk(t, dir, write(t, dir, "x.xz", whole), Options{}); len(got.unread) != 0 {
			t.Errorf("%d bytes: unread %q", len(whole), got.unread)
		}
	}
}
