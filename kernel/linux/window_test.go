//go:build linux

package linux_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"portcullis.dev/mach"
	"portcullis.dev/trap/task"
)

func init() {
	// spread sends itself a mebibyte through each of many lanes.
	roles["spread"] = func(say func(string, ...any)) error {
		t, err := task.Join(context.Background())
		if err != nil {
			return err
		}
		memory := make([]byte, 1<<20)
		for i := range 120 {
			th, err := t.NewThread()
			if err != nil {
				return err
			}
			port, err := publish(th)
			if err != nil {
				return err
			}
			memory[i] = byte(i) + 1
			m := task.Message{Dest: port, DestDisposition: mach.CopySend, Complex: true}
			m.AddMemory(memory, false, false)
			got, err := th.Msg(context.Background(), &m, task.Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendMQCall,
				Receive: port})
			if err != nil {
				return err
			}
			if string(got.Items[0].Data) != string(memory) {
				return fmt.Errorf("lane %d: what came is not what went", i)
			}
			if _, err := th.Self(); err != nil { // the lane's next call: what came has been taken
				return err
			}
		}
		say("done")
		fmt.Scanln()
		return nil
	}
}

// TestWindows lets a process use all the shared memory of more lanes than it may keep memory for.
func TestWindows(t *testing.T) {
	w := newWorld(t, 0x402, nil)
	a := w.start("spread")
	a.hears("done")
	if used := resident(t, "/memfd:lane"); used < 10<<20 || used > 90<<20 {
		t.Errorf("lanes have %d KiB of memory", used>>10)
	}
	a.tell("")
	a.ends()
}

// resident returns how much memory the files behind mappings with a name hold, in bytes. What smaps says does not serve:
// Linux may take pages of a file out of a mapping at any time.
func resident(t *testing.T, name string) (n int) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if !strings.Contains(line, name) {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			t.Fatal(err)
		}
		pages := make([]byte, (to-from)/uintptr(os.Getpagesize()))
		if _, _, e := unix.Syscall(unix.SYS_MINCORE, from, to-from, uintptr(unsafe.Pointer(&pages[0]))); e == unix.ENOMEM {
			continue // unmapped meanwhile
		} else if e != 0 {
			t.Fatal(e)
		}
		for _, p := range pages {
			n += int(p&1) * os.Getpagesize()
		}
	}
	return n
}
