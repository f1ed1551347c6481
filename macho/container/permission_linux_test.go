package container

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWalkPermission: what may not be opened is reported, the rest is read. As root may open anything, the thread gives
// that up for the time.
func TestWalkPermission(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a/secret", []byte("x"))
	write(t, dir, "b/locked/inside", []byte("x"))
	write(t, dir, "c", []byte("open"))
	for name, mode := range map[string]os.FileMode{"a/secret": 0, "b/locked": 0} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "b/locked"), 0o755) })
	if os.Geteuid() == 0 {
		for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		const nobody = 65534
		if err := unix.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := unix.Setfsuid(0); err != nil {
				t.Error(err)
			}
		}()
	}
	walk(t, dir, dir, Options{}).check(t, []string{"c=open"}, "a/secret@0x0: permission denied",
		"b/locked@0x0: permission denied")
}
