//go:build linux

package linux_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"portcullis.dev/mach"
	"portcullis.dev/trap"
	"portcullis.dev/trap/task"
)

// sizeVariable is how much memory a process is to send.
const sizeVariable = "PORTCULLIS_TEST_SIZE"

func init() {
	// lends sends memory that is received when its lane has something else in it: after other messages, and after a call
	// that waited with the message and was interrupted.
	roles["lends"] = func(say func(string, ...any)) error {
		ctx := context.Background()
		a, err := joined()
		if err != nil {
			return err
		}
		b, err := a.Task().NewThread()
		if err != nil {
			return err
		}
		port, err := publish(a)
		if err != nil {
			return err
		}
		never, err := publish(a)
		if err != nil {
			return err
		}
		size, err := strconv.Atoi(os.Getenv(sizeVariable))
		if err != nil {
			return err
		}
		message := func(fill byte) *task.Message {
			m := &task.Message{Dest: port, DestDisposition: mach.CopySend, Complex: true}
			m.AddMemory(bytes.Repeat([]byte{fill}, size), false, false)
			return m
		}
		take := func(th *task.Thread, fill byte) error {
			got, err := th.Msg(ctx, nil, task.Args{Options: mach.RcvMsg, Receive: port})
			if err != nil {
				return err
			}
			if len(got.Items) != 1 || !bytes.Equal(got.Items[0].Data, bytes.Repeat([]byte{fill}, size)) {
				return fmt.Errorf("message %d: what came is not what went", fill)
			}
			return nil
		}
		const send = mach.SendMsg | mach.SendMQCall
		for i := range byte(4) {
			if _, err := a.Msg(ctx, message(i), task.Args{Options: send}); err != nil {
				return err
			}
		}
		for i := range byte(4) {
			if err := take(b, i); err != nil {
				return err
			}
		}
		interrupted := message(10)
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		if _, err := a.Msg(short, interrupted, task.Args{Options: send | mach.RcvMsg, Receive: never}); err == nil {
			return fmt.Errorf("an answer came from nowhere")
		}
		if _, err := a.Msg(ctx, message(11), task.Args{Options: send}); err != nil {
			return err
		}
		// While a waits b takes what it sent, which came from the lane that a's call still has.
		done := make(chan error)
		go func() {
			_, err := a.Msg(ctx, message(12), task.Args{Options: send | mach.RcvMsg, Receive: never})
			done <- err
		}()
		for _, fill := range []byte{10, 11, 12} {
			if err := take(b, fill); err != nil {
				return err
			}
		}
		end := message(13)
		end.Dest = never
		if _, err := b.Msg(ctx, end, task.Args{Options: send}); err != nil {
			return err
		}
		if err := <-done; err != nil {
			return err
		}
		say("done")
		return nil
	}
}

// TestLent checks that memory arrives as it was sent, whatever the sender's lane holds by then.
func TestLent(t *testing.T) {
	for _, size := range []int{100_000, trap.InlineMax + 1, trap.LentMax, trap.LentMax + 1} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			w := newWorld(t, 0x402, nil)
			a := w.start("lends", fmt.Sprintf("%s=%d", sizeVariable, size))
			a.hears("done")
			a.ends()
			w.holdsNothing()
		})
	}
}

// holdsNothing waits until the kernel holds no memory for anybody.
func (w *world) holdsNothing() {
	w.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		large, landed := w.Held()
		if large == 0 && landed == 0 {
			return
		}
		if time.Now().After(until) {
			w.Fatalf("the kernel holds %d bytes of large buffers, and lets processes receive in %d", large, landed)
		}
	}
}
