//go:build linux

package linux_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

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
		t.Errorf("lanes have %d MiB of memory", used>>20)
	}
	a.tell("")
	a.ends()
}

// resident returns how much memory of mappings with a name is there, in bytes.
func resident(t *testing.T, name string) (n int) {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inside := false
	for s := bufio.NewScanner(f); s.Scan(); {
		var kib int
		switch line := s.Text(); {
		case strings.Contains(line, name):
			inside = true
		case strings.HasPrefix(line, "Rss:") && inside:
			fmt.Sscanf(line, "Rss: %d kB", &kib)
			n += kib << 10
			inside = false
		}
	}
	return n
}
