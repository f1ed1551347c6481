//go:build linux

package linux_test

import (
	"context"
	"testing"
	"time"

	"portcullis.dev/kernel/restrict"
	"portcullis.dev/trap/task"
)

func init() {
	roles["leaver"] = func(say func(string, ...any)) error {
		t, err := task.Join(context.Background())
		if err != nil {
			return err
		}
		if _, err := t.NewThread(); err != nil {
			return err
		}
		if err := t.Close(); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond) // for the kernel to take note
		say("still here")
		return nil
	}
}

// TestLeave: a process that leaves the kernel lives on.
func TestLeave(t *testing.T) {
	w := newWorld(t, restrict.Default, nil)
	a := w.start("leaver")
	a.hears("still here")
	if end := a.ends(); !end.Success() {
		t.Error(end)
	}
}
