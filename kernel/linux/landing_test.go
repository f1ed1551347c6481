//go:build linux

package linux_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"portcullis.dev/kernel/linux"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
	"portcullis.dev/trap/task"
)

// landSize is that of memory which lands.
const landSize = 3 << 20

// call makes a request with arguments, and returns the first result.
func (r *raw) call(op trap.Op, args ...uint64) (mach.KernReturn, error) {
	seen := atomic.LoadUint32(&r.c.Done)
	r.c.Op, r.c.InSize, r.c.OOLCount = op, 0, 0
	clear(r.c.Args[:])
	copy(r.c.Args[:], args)
	if err := r.post(); err != nil {
		return 0, err
	}
	r.answered(seen)
	return mach.KernReturn(int32(r.c.Result[0])), nil
}

// land receives a message with memory, and returns what it landed in.
func (r *raw) land(port uint64) (*os.File, uint32, error) {
	if kr, err := r.call(trap.OpMsg2, uint64(mach.RcvMsg), port, 4096); err != nil || kr != 0 {
		return nil, 0, fmt.Errorf("receive: %v %v", kr, err)
	}
	if r.c.OOLOutCount != 1 || r.c.OOLOut[0].Size != landSize || r.c.OOLOut[0].Offset != trap.Bulk {
		return nil, 0, fmt.Errorf("what came is %+v", r.c.OOLOut[0])
	}
	f, in, err := r.ask(trap.Packet{Kind: trap.Take, A: r.index})
	if err != nil || f == nil {
		return nil, 0, fmt.Errorf("take: %v %v", in, err)
	}
	return f, in.B, nil
}

func init() {
	// peeks receives, returns what it received in, and keeps it nevertheless.
	roles["peeks"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		if _, err := r.call(trap.OpTaskSelf); err != nil {
			return err
		}
		kr, err := r.call(trap.OpPortConstruct, r.c.Result[0], uint64(mach.InsertSendRight), 0, 5)
		port := r.c.Result[1]
		if err != nil || kr != 0 {
			return fmt.Errorf("construct: %v %v", kr, err)
		}
		say("port %d", port)
		f, number, err := r.land(port)
		if err != nil {
			return err
		}
		fd := int(f.Fd())
		say("shrunk: %v", unix.Ftruncate(fd, 0) == nil)
		kept, err := unix.Mmap(fd, 0, landSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		for _, n := range []uint32{number, number, 0, number + 1, ^uint32(0)} {
			r.Send(&trap.Packet{Kind: trap.Return, A: n}, nil)
		}
		for _, n := range []uint32{number, number + 1} { // one that is returned, and one that there never was
			if f, in, err := r.ask(trap.Packet{Kind: trap.Take, A: r.index, C: n}); err != nil || f != nil || in.A == 0 {
				return fmt.Errorf("take %d: %v %v %v", n, f, in, err)
			}
		}
		kept[0] = 'x'
		if err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 4096); err != nil {
			return err
		}
		for {
			say("holds %q", kept[landSize-1:])
			var word string
			if fmt.Scanln(&word); word != "next" {
				continue
			}
			_, again, err := r.land(port)
			if err != nil {
				return err
			}
			say("again: %v", again == number && bytes.Equal(kept, bytes.Repeat(kept[landSize-1:], landSize)))
		}
	}
	// lands receives, and says what.
	roles["lands"] = func(say func(string, ...any)) error {
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
			var word string
			if _, err := fmt.Scanln(&word); err != nil {
				return nil
			}
			got, err := th.Msg(context.Background(), nil, task.Args{Options: mach.RcvMsg, Receive: port})
			if err != nil {
				return err
			}
			b := got.Items[0].Data
			say("%d of %q", len(b), b[:1])
			if !bytes.Equal(b, bytes.Repeat(b[:1], landSize)) {
				return fmt.Errorf("what came is not what went")
			}
		}
	}
	// throws sends memory that is full of a letter to the service, and waits for an answer for ever if it is a capital.
	roles["throws"] = func(say func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		service, err := th.BootstrapPort()
		if err != nil {
			return err
		}
		never, err := publish(th)
		if err != nil {
			return err
		}
		// What a thread sends first goes in a file.
		m := task.Message{Dest: never, DestDisposition: mach.CopySend, Complex: true}
		m.AddMemory(make([]byte, landSize), false, false)
		a := task.Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendMQCall, Receive: never}
		if _, err := th.Msg(context.Background(), &m, a); err != nil {
			return err
		}
		for {
			var letter string
			if _, err := fmt.Scanln(&letter); err != nil {
				return nil
			}
			m := task.Message{Dest: service, DestDisposition: mach.CopySend, Complex: true}
			m.AddMemory(bytes.Repeat([]byte(letter), landSize), false, false)
			a := task.Args{Options: mach.SendMsg | mach.SendMQCall}
			if letter < "a" {
				a.Options, a.Receive = a.Options|mach.RcvMsg, never
			}
			if _, err := th.Msg(context.Background(), &m, a); err != nil {
				return err
			}
			say("thrown")
		}
	}
	// piles sends itself more memory than the kernel holds for it, and looks whether all has come.
	roles["piles"] = func(say func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		port, err := publish(th)
		if err != nil {
			return err
		}
		const n = linux.LargeMost/landSize + 10
		for i := range byte(n) {
			m := task.Message{Dest: port, DestDisposition: mach.MakeSendOnce, Complex: true}
			m.AddMemory(bytes.Repeat([]byte{i}, landSize), false, false)
			if kr := th.Peer().Send(&m, nil); kr != 0 {
				return kr
			}
		}
		say("piled")
		fmt.Scanln()
		for i := range byte(n) {
			got, err := th.Msg(context.Background(), nil, task.Args{Options: mach.RcvMsg, Receive: port})
			if err != nil {
				return err
			}
			if !bytes.Equal(got.Items[0].Data, bytes.Repeat([]byte{i}, landSize)) {
				return fmt.Errorf("message %d: what came is not what went", i)
			}
		}
		say("done")
		fmt.Scanln()
		return nil
	}
}

// TestLanding lets a process receive in memory that it returns, keeps, and writes. It changes and sees nothing of what
// others receive; of what it receives itself it sees what comes next.
func TestLanding(t *testing.T) {
	w := newWorld(t, 0x402, nil)
	honest := w.service("lands")
	confidant := w.start("throws")
	confidant.tell("s")
	confidant.hears("thrown")
	peeks := w.service("peeks")
	sender := w.start("throws")
	sender.tell("a")
	sender.hears("thrown")
	peeks.hears("shrunk: false")
	peeks.hears(`holds "a"`)
	for range 3 {
		honest.tell("next")
		honest.hears(fmt.Sprintf(`%d of "s"`, landSize))
		confidant.tell("s")
		confidant.hears("thrown")
		peeks.tell("")
		peeks.hears(`holds "a"`)
	}
	sender.tell("b")
	sender.hears("thrown")
	peeks.tell("next")
	peeks.hears("again: true")
	peeks.hears(`holds "b"`)
	for _, a := range []*actor{honest, confidant, peeks, sender} {
		a.cmd.Process.Kill()
		a.ends()
	}
	w.holdsNothing()
}

// TestSenderDies kills a process whose memory nobody has received yet. It comes whole.
func TestSenderDies(t *testing.T) {
	w := newWorld(t, 0x402, nil)
	receiver := w.service("lands")
	sender := w.start("throws")
	sender.tell("A")
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if large, _ := w.Held(); large != 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatal("nothing is sent")
		}
	}
	sender.cmd.Process.Kill()
	sender.ends()
	receiver.tell("next")
	receiver.hears(fmt.Sprintf(`%d of "A"`, landSize))
	receiver.cmd.Process.Kill()
	receiver.ends()
	w.holdsNothing()
}

// TestPile lets a process send more than the kernel holds in buffers. All comes, and the kernel keeps its bounds.
func TestPile(t *testing.T) {
	w := newWorld(t, 0x402, nil)
	a := w.start("piles")
	a.hears("piled")
	if large, _ := w.Held(); large == 0 || large > linux.LargeMost {
		t.Errorf("the kernel holds %d bytes in large buffers", large)
	}
	a.tell("")
	a.hears("done")
	if large, landed := w.Held(); large != 0 || landed == 0 || landed > linux.LandedMost {
		t.Errorf("the kernel holds %d bytes in large buffers, and %d in landings", large, landed)
	}
	a.tell("")
	a.ends()
	w.holdsNothing()
}
