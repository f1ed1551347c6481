//go:build linux

package linux_test

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portcullis.dev/kernel/restrict"
	"portcullis.dev/trap"
)

// Steps of the programs that a hostile process carries out: what it does to its lane and to its socket.
const (
	writeControl = iota // place, bytes: into the control page
	writeIn             // place, bytes: into what goes in
	request             // operation, arguments, size and pieces
	call                // lets the kernel look
	packet              // kind and words
	giveFile            // entry, size and seals of a memory file
	rawBytes            // bytes on the socket as they are
	steps
)

func init() {
	// obeys carries out programs, a line of hexadecimal digits each.
	roles["obeys"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		say("ready")
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			program, err := hex.DecodeString(lines.Text())
			if err != nil {
				return err
			}
			r.obey(program)
			say("done")
		}
		return nil
	}
}

// obey carries out a program.
func (r *raw) obey(program []byte) {
	next := func(n int) []byte {
		b := make([]byte, n)
		program = program[copy(b, program):]
		return b
	}
	word := func() uint64 { return binary.LittleEndian.Uint64(next(8)) }
	small := func() int { return int(binary.LittleEndian.Uint16(next(2))) }
	for end := time.Now().Add(time.Second); len(program) > 0 && time.Now().Before(end); { // the fuzzer waits for ten
		switch next(1)[0] % steps {
		case writeControl:
			at, b := small()%0x1000, next(int(next(1)[0]))
			copy(r.lane.B[at:0x1000], b)
		case writeIn:
			at, b := small(), next(int(next(1)[0]))
			copy(r.lane.In()[at:], b)
		case request:
			r.c.Op, r.c.InSize, r.c.OOLCount = trap.Op(next(1)[0]), uint32(small()), uint32(next(1)[0]%8)
			for i := range r.c.Args[:1+next(1)[0]%12] {
				r.c.Args[i] = uint64(small()) << (next(1)[0] % 64)
			}
			for i := range r.c.OOLCount {
				r.c.OOLIn[i] = trap.Piece{Address: uint64(next(1)[0]), Size: uint64(small()), Offset: word()}
			}
		case call:
			seen := atomic.LoadUint32(&r.c.Done)
			r.post()
			for until := time.Now().Add(5 * time.Millisecond); atomic.LoadUint32(&r.c.Done) == seen; {
				if time.Now().After(until) {
					r.Send(&trap.Packet{Kind: trap.Interrupt, A: r.index}, nil)
					break
				}
				trap.FutexWait(&r.c.Done, seen, time.Millisecond)
			}
		case packet:
			p := trap.Packet{Kind: trap.Kind(next(1)[0] % 20), A: uint32(small()), B: uint32(next(1)[0]), C: uint32(small())}
			r.Send(&p, nil)
		case giveFile:
			p := trap.Packet{Kind: trap.Give, A: r.index, B: uint32(next(1)[0])}
			if f, err := memfd(int64(small())<<(next(1)[0]%8), int(next(1)[0]%32)); err == nil {
				r.Send(&p, f)
				f.Close()
			}
		case rawBytes:
			r.Conn.Write(next(int(next(1)[0])))
		}
	}
}

// outside stands for a fuzz test while its target runs, when the test itself must not be called.
type outside struct {
	testing.TB
	cleanups []func()
}

func (o *outside) Helper()                      {}
func (o *outside) Cleanup(f func())             { o.cleanups = append(o.cleanups, f) }
func (o *outside) Fatal(a ...any)               { panic(fmt.Sprint(a...)) }
func (o *outside) Fatalf(form string, a ...any) { panic(fmt.Sprintf(form, a...)) }

func (o *outside) clean() {
	for _, f := range slices.Backward(o.cleanups) {
		f()
	}
}

// FuzzHostile lets a process do whatever a program says to its lane and its socket. The kernel neither stops nor fails,
// others go on talking, and what it keeps for the process is bounded. The process may be ended.
func FuzzHostile(f *testing.F) {
	f.Add([]byte{request, byte(trap.OpTaskSelf), 0, 0, 0, 1, 0, 0, 0, call})
	f.Add([]byte{request, byte(trap.OpMsg2), 64, 0, 1, 8, 1, 0, 0, 0, 0, 0, 0, 4, 0, 255, 0, 0, 0, 0, 0, 0, 0, call})
	f.Add([]byte{packet, byte(trap.Fork), 0, 0, 0, 0, 0, packet, byte(trap.Lane), 0, 0, 0, 0, 0})
	f.Add([]byte{packet, byte(trap.Fault), 3, 0, 0, 0, 0, writeControl, 0, 0, 3, 1, 2, 3, call})
	f.Add([]byte{giveFile, 0, 0, 16, 0, 14, request, byte(trap.OpFileportMakePort), 0, 0, 0, 0, 0, 0, 0, call, rawBytes, 4, 1, 2, 3, 4})
	o := &outside{TB: f}
	f.Cleanup(o.clean)
	w := newWorld(o, restrict.Default, nil)
	w.service("echo")
	ping := w.start("ping")
	ping.hears("ready")
	var bad *actor
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 2000 {
			return
		}
		if bad == nil {
			bad = w.start("obeys")
			bad.hears("ready")
		}
		late := time.AfterFunc(20*time.Second, func() { bad.cmd.Process.Kill() })
		bad.tell("%s", hex.EncodeToString(program))
		alive := bad.said.Scan() && strings.HasPrefix(bad.said.Text(), "done")
		if !late.Stop() {
			t.Fatal("the process does not come to an end of its program")
		}
		if !alive {
			bad.in.Close()
			bad.ends()
			bad = nil
		}
		ping.tell("1")
		ping.hears("done")
		if s := w.IPC.Stats(); s.Bytes > 64<<20 {
			t.Fatalf("the kernel holds %d bytes", s.Bytes)
		}
	})
}
