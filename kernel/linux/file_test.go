//go:build linux

package linux_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portcullis.dev/kernel/linux"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
	"portcullis.dev/trap/task"
)

func init() {
	// keeper offers a port and says what the files are that it is sent.
	roles["keeper"] = func(say func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		port, err := publish(th)
		if err != nil {
			return err
		}
		say("port %d", port)
		for {
			m, err := th.Msg(context.Background(), nil, task.Args{Options: mach.RcvMsg, Receive: port})
			if err != nil {
				return err
			}
			say("got")
			fmt.Scanln() // until the sender is gone
			f, err := th.OpenFileport(m.Items[0].Port)
			if err != nil {
				return err
			}
			b, err := io.ReadAll(f)
			f.Close()
			say("%s %v", b, err)
			if err := th.Deallocate(m.Items[0].Port); err != nil {
				return err
			}
		}
	}
	// giver sends the keeper a pipe and ends.
	roles["giver"] = func(say func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		fmt.Fprint(w, "from the grave")
		w.Close()
		port, err := th.MakeFileport(r)
		if err != nil {
			return err
		}
		if err := r.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			return fmt.Errorf("the file of the sender has changed: %w", err)
		}
		service, err := th.BootstrapPort()
		if err != nil {
			return err
		}
		m := task.Message{Dest: service, DestDisposition: mach.CopySend, Complex: true}
		m.AddPort(port, mach.MoveSend)
		if kr := th.Peer().Send(&m, nil); kr != 0 {
			return kr
		}
		say("sent")
		return nil
	}
	// hoarder makes ports of files until there are no more to be had, and tries what is no file.
	roles["hoarder"] = func(say func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		f, err := os.Open("/dev/null")
		if err != nil {
			return err
		}
		n := 0
		for ; n < 100_000; n++ {
			if _, err = th.MakeFileport(f); err != nil {
				break
			}
		}
		say("%d %v", n, errors.Is(err, mach.KernResourceShortage))
		fmt.Scanln()
		return nil
	}
	roles["bungler"] = func(say func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		null, err := os.Open("/dev/null")
		if err != nil {
			return err
		}
		_, err = th.MakeMemoryEntry(null)
		say("no memory: %v", errors.Is(err, mach.KernInvalidArgument))
		fd, err := unix.MemfdCreate("open", unix.MFD_ALLOW_SEALING)
		if err != nil {
			return err
		}
		if err := unix.Ftruncate(fd, 4096); err != nil {
			return err
		}
		open := os.NewFile(uintptr(fd), "open")
		_, err = th.MakeMemoryEntry(open)
		say("memory that can shrink: %v", errors.Is(err, mach.KernInvalidArgument))
		port, err := th.MakeFileport(null)
		if err != nil {
			return err
		}
		_, err = th.OpenMemoryEntry(port)
		say("a file as memory: %v", errors.Is(err, mach.KernInvalidCapability))
		_, err = th.OpenFileport(0xdead00)
		say("no name: %v", errors.Is(err, mach.KernInvalidName) || errors.Is(err, mach.KernInvalidRight))
		self, err := th.Self()
		if err != nil {
			return err
		}
		_, err = th.OpenFileport(self)
		say("a task as a file: %v", errors.Is(err, mach.KernInvalidCapability))
		entry, err := trap.NewEntry(1)
		if err != nil {
			return err
		}
		name, err := th.MakeMemoryEntry(entry)
		if err != nil {
			return err
		}
		again, err := th.OpenMemoryEntry(name)
		if err != nil {
			return err
		}
		one, err := trap.MapEntry(entry)
		if err != nil {
			return err
		}
		other, err := trap.MapEntry(again)
		if err != nil {
			return err
		}
		one[17] = 42
		say("memory: %v", other[17] == 42 && len(other) == os.Getpagesize())
		return nil
	}
}

func joined() (*task.Thread, error) {
	t, err := task.Join(context.Background())
	if err != nil {
		return nil, err
	}
	return t.NewThread()
}

// TestFileports sends a file to a task that opens it when its maker is gone.
func TestFileports(t *testing.T) {
	w := newWorld(t, 0x402, nil)
	keeper := w.service("keeper")
	giver := w.start("giver")
	giver.hears("sent")
	giver.ends()
	keeper.hears("got")
	keeper.tell("")
	keeper.hears("from the grave <nil>")
	w.files(0)
}

// files waits until ports stand for n files.
func (w *world) files(n int64) {
	w.Helper()
	for until := time.Now().Add(10 * time.Second); w.Machine.Stats().Files != n; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			w.Fatalf("%d files, want %d", w.Machine.Stats().Files, n)
		}
	}
}

// TestTooManyFiles lets a task make as many ports of files as it can. Others still can, and what it had is closed with it.
func TestTooManyFiles(t *testing.T) {
	w := newWorld(t, 0x402, func(c *linux.Config) { c.Objects.Files = 64 })
	hoarder := w.start("hoarder")
	hoarder.hears("8 true")
	other := w.start("hoarder")
	other.hears("8 true")
	w.files(16)
	hoarder.tell("")
	hoarder.ends()
	w.files(8)
	if n := countFiles("/dev/null"); n < 8 {
		t.Errorf("the kernel has %d files open", n)
	}
	other.cmd.Process.Kill()
	other.ends()
	w.files(0)
}

// countFiles returns how often this process has a file open.
func countFiles(path string) (n int) {
	all, _ := os.ReadDir("/proc/self/fd")
	for _, e := range all {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); to == path {
			n++
		}
	}
	return n
}

// TestNoFiles tries to make ports of what they cannot stand for, and to open ports that stand for something else.
func TestNoFiles(t *testing.T) {
	w := newWorld(t, 0x402, nil)
	a := w.start("bungler")
	for _, what := range []string{"no memory", "memory that can shrink", "a file as memory", "no name", "a task as a file",
		"memory"} {
		a.hears(what + ": true")
	}
}
