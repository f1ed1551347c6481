package crash

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"portcullis.dev/macho"
)

// TestSpecialFiles explains what is no file beside one that is: nothing waits or reads without end.
func TestSpecialFiles(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("SKIPPED: no pipes here: %v", err)
	}
	good := filepath.Join("testdata", "synthetic-illegal-move.ips")
	rep := ExplainFiles([]string{"/dev/zero", pipe, good}, nil, nil)
	if len(rep.Findings) != 1 || rep.Findings[0].Where.Path != good {
		t.Errorf("findings: %+v", rep.Findings)
	}
	var unread []string
	for _, u := range rep.Unread {
		unread = append(unread, u.Path+": "+u.Reason)
	}
	if want := "/dev/zero: a device: not a file\n" + pipe + ": " + emptyInput; strings.Join(unread, "\n") != want {
		t.Errorf("unread: %q", unread)
	}
}

// TestWrittenPipe explains what comes through a pipe with a name, as a shell gives for <(command).
func TestWrittenPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		defer w.Close()
		_, _ = w.WriteString(read(t, "synthetic-illegal-move.ips")) // fails only where the reader gives up: tested below
	}()
	name := filepath.Join("/dev/fd", strconv.Itoa(int(r.Fd())))
	if _, err := os.Stat(name); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	if rep := ExplainFiles([]string{name}, nil, nil); len(rep.Findings) != 1 || len(rep.Unread) != 0 {
		t.Errorf("findings %v, unread %v", rep.Findings, rep.Unread)
	}
}

// TestSymbolsShrink: a file with symbols loses its pages while they are looked up.
func TestSymbolsShrink(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mapped")
	if err := os.WriteFile(file, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := unix.Mmap(int(f.Fd()), 0, 1<<16, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(data) }()
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	s := &Symbols{byUUID: map[macho.UUID]*macho.Image{}}
	sum := 0
	if survive(func() { sum += int(data[1<<15]) }) {
		t.Error("reading behind the end of the file did not fault")
	}
	if !survive(func() { s.add(&macho.File{}) }) {
		t.Error("what does not fault is taken for a fault")
	}
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("another panic became %v", r)
		}
	}()
	survive(func() { panic("mine") })
}
