//go:build linux

package linux_test

import (
	"bytes"
	"fmt"
	"testing"

	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
	"portcullis.dev/trap/task"
	"portcullis.dev/xpc"
)

func init() {
	// refused sends memory to a port that is no more, and then, the same bytes again, to one that is there.
	roles["refused"] = func(say func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		port, err := publish(th)
		if err != nil {
			return err
		}
		for _, size := range []int{100, 100_000, 2 << 20} { // in the lane, and in a file
			var arena xpc.Arena
			memory := bytes.Repeat([]byte{7}, size)
			m := rpc.Message[mach.Name]{Dest: port + 0x100, DestDisposition: mach.CopySend}
			m.AddMemory(memory, true, false)
			b, err := rpc.Encode(&m, &arena)
			if err != nil {
				return err
			}
			call := task.Call{Options: mach.SendMsg | mach.SendMQCall, Send: b, Memory: &arena}
			if _, kr := th.MsgBytes(&call); kr != mach.SendInvalidDest {
				return fmt.Errorf("%d bytes to nobody: %w", size, kr)
			}
			if arena.Len() != 1 {
				return fmt.Errorf("%d bytes that could not be sent: %d pieces are left", size, arena.Len())
			}
			var h mach.Header
			h.Decode(call.Send)
			h.Remote = port
			h.Encode(call.Send)
			call.Options, call.Receive, call.Buffer = call.Options|mach.RcvMsg, port, make([]byte, 1024)
			got, kr := th.MsgBytes(&call)
			if kr != 0 {
				return fmt.Errorf("%d bytes, sent again: %w", size, kr)
			}
			var d mach.Descriptor
			d.Decode(got[mach.HeaderSize+mach.BodySize:])
			if came, err := arena.Load(d.Address, int(d.Size)); err != nil || !bytes.Equal(came, memory) {
				return fmt.Errorf("%d bytes, sent again: %d bytes came, %w", size, len(came), err)
			}
			if arena.Len() != 0 {
				return fmt.Errorf("%d bytes, sent again: %d pieces are left", size, arena.Len())
			}
		}
		return nil
	}
}

// TestRefusedMemory sends a message whose port is gone again to another, as who finds a service anew does: what it carries
// out of line must still be there.
func TestRefusedMemory(t *testing.T) {
	newWorld(t, 0x402, nil).start("refused").ends()
}
