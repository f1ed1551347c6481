//go:build linux

package linux_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"portcullis.dev/kernel/linux"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
	"portcullis.dev/trap/task"
)

// raw is a connection that keeps to no rule. Its lane is mapped as the kernel gave it.
type raw struct {
	trap.Socket
	index uint32
	lane  *trap.Memory
	c     *trap.Control
}

func connect() (*raw, error) {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: os.Getenv(trap.Environment), Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	return &raw{Socket: trap.Socket{Conn: conn}}, nil
}

func (r *raw) ask(p trap.Packet) (*os.File, *trap.Packet, error) {
	if err := r.Send(&p, nil); err != nil {
		return nil, nil, err
	}
	var in trap.Packet
	f, err := r.Receive(&in)
	return f, &in, err
}

// hostile is a raw connection that is a task with a lane.
func hostile() (*raw, error) {
	r, err := connect()
	if err != nil {
		return nil, err
	}
	if _, in, err := r.ask(trap.Packet{Kind: trap.Hello, A: trap.Version, B: trap.HelloRecords}); err != nil || in.A != 0 {
		return nil, fmt.Errorf("hello: %v %v", in, err)
	}
	f, in, err := r.ask(trap.Packet{Kind: trap.Lane})
	if err != nil || f == nil {
		return nil, fmt.Errorf("lane: %v %v", in, err)
	}
	if r.lane, err = trap.MapMemory(f, trap.LaneSize); err != nil {
		return nil, err
	}
	r.index, r.c = in.B, r.lane.Control()
	return r, nil
}

// post makes a request, whatever is in the lane.
func (r *raw) post() error {
	atomic.AddUint32(&r.c.Posted, 1)
	trap.FutexWake(&r.c.Posted)
	return r.Send(&trap.Packet{Kind: trap.Doorbell, A: r.index}, nil)
}

// answered waits for the answer to a request that was made when Done was seen.
func (r *raw) answered(seen uint32) {
	for until := time.Now().Add(5 * time.Second); atomic.LoadUint32(&r.c.Done) == seen && time.Now().Before(until); {
		trap.FutexWait(&r.c.Done, seen, 50*time.Millisecond)
	}
}

// giveAndSend gives a file as the out-of-line memory of a message, or as the message, and says what the kernel answers.
func (r *raw) giveAndSend(f *os.File, size uint64) (mach.KernReturn, error) {
	if err := r.Send(&trap.Packet{Kind: trap.Give, A: r.index}, f); err != nil {
		return 0, err
	}
	seen := atomic.LoadUint32(&r.c.Done)
	r.c.Op, r.c.InSize, r.c.OOLCount = trap.OpMsg2, 0, 1
	r.c.OOLIn[0] = trap.Piece{Size: size, Offset: trap.Bulk}
	r.c.Args = [12]uint64{uint64(mach.SendMsg | mach.SendMQCall), 0, 0, 0, 0, 0, size}
	if err := r.post(); err != nil {
		return 0, err
	}
	r.answered(seen)
	return mach.KernReturn(int32(r.c.Result[0])), nil
}

// forever keeps the process until it is killed.
func forever(say func(string, ...any)) error {
	say("done")
	select {}
}

func memfd(size int64, seals int) (*os.File, error) {
	fd, err := unix.MemfdCreate("hostile", unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		return nil, err
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	return os.NewFile(uintptr(fd), "hostile"), err
}

const sealed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

func init() {
	// floods sends to ports of its own that nobody reads, until the kernel takes no more.
	roles["floods"] = func(say func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		var last mach.KernReturn
		for range 64 {
			port, err := th.Construct(mach.InsertSendRight, 0)
			if err != nil {
				return err
			}
			for range 2000 {
				m := task.Message{Dest: port, DestDisposition: mach.MakeSendOnce, Body: make([]byte, 1<<20)}
				if last = th.Peer().Send(&m, nil); last != 0 {
					break
				}
			}
			if last != 0 {
				break
			}
		}
		say("refused %d", uint32(last))
		return forever(say)
	}
	// hoards keeps out-of-line memory in files on their way.
	roles["hoards"] = func(say func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		port, err := th.Construct(mach.InsertSendRight, 0)
		if err != nil {
			return err
		}
		n := 0
		for ; n < 2000; n++ {
			m := task.Message{Dest: port, DestDisposition: mach.MakeSendOnce, Complex: true}
			m.AddMemory(make([]byte, 70_000), false, false)
			if kr := th.Peer().Send(&m, nil); kr != 0 {
				break
			}
		}
		say("sent %d", n)
		return forever(say)
	}
	// connects as often as it can and says nothing.
	roles["connects"] = func(say func(string, ...any)) error {
		var kept []*raw
		refused := 0
		for range 3000 {
			r, err := connect()
			if err != nil {
				return err
			}
			r.Conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			var in trap.Packet
			if _, err := r.Receive(&in); err == nil && in.A != 0 {
				if refused++; refused == 1 {
					say("%s", in.String())
				}
				r.Conn.Close()
				continue
			}
			kept = append(kept, r)
		}
		say("kept %v", len(kept) < 100)
		return forever(say)
	}
	// lanes makes Mach threads without end.
	roles["lanes"] = func(say func(string, ...any)) error {
		t, err := task.Join(context.Background())
		if err != nil {
			return err
		}
		n := 0
		for ; n < 10_000; n++ {
			if _, err = t.NewThread(); err != nil {
				break
			}
		}
		for range 5000 {
			t.NewThread() // what is refused must cost nothing
		}
		say("%d %v", n, err)
		return forever(say)
	}
	roles["garbage"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		r.Conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		return forever(say)
	}
	roles["unknown"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		r.Send(&trap.Packet{Kind: 4711}, nil)
		return forever(say)
	}
	roles["descriptors"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		b := make([]byte, trap.PacketSize)
		r.Conn.WriteMsgUnix(b, unix.UnixRights(0, 1, 2), nil)
		return forever(say)
	}
	// wrongfiles gives what is no sealed memory file.
	roles["wrongfiles"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		zero, err := os.OpenFile("/dev/zero", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		pipe, _, err := os.Pipe()
		if err != nil {
			return err
		}
		dir, err := os.Open("/proc")
		if err != nil {
			return err
		}
		open, err := memfd(70_000, unix.F_SEAL_SHRINK)
		if err != nil {
			return err
		}
		short, err := memfd(4096, sealed)
		if err != nil {
			return err
		}
		huge, err := memfd(1<<40, sealed)
		if err != nil {
			return err
		}
		for _, f := range []*os.File{zero, pipe, dir, open, short, huge} {
			size := uint64(70_000)
			if f == huge {
				size = 1 << 40
			}
			kr, err := r.giveAndSend(f, size)
			say("%#x %v", uint32(kr), err)
		}
		return forever(say)
	}
	// scribbles over its lane while the kernel reads it, and truncates it.
	roles["scribbles"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		say("truncated %v", unix.Ftruncate(int(r.lane.File.Fd()), 0) == nil)
		var stop atomic.Bool
		time.AfterFunc(200*time.Millisecond, func() { stop.Store(true) })
		x := uint64(os.Getpid())
		next := func() uint64 { x ^= x << 13; x ^= x >> 7; x ^= x << 17; return x }
		ops := []trap.Op{trap.OpMsg2, trap.OpMsgLegacy, trap.OpPortConstruct, trap.OpPortModRefs, trap.OpVoucherCreate,
			trap.OpTaskSelf, trap.OpReplyPort, trap.OpPortType, trap.OpPortInsertRight}
		for !stop.Load() {
			n := next()
			r.c.Op = ops[n%uint64(len(ops))]
			r.c.InSize = uint32(next() % (trap.InSize + 1))
			r.c.OOLCount = uint32(next() % (trap.OOLMax + 1))
			for i := range r.c.Args {
				r.c.Args[i] = next() >> (next() % 64)
			}
			r.c.Args[3] = 1 // ms
			r.c.Args[0] |= uint64(mach.SendTimeout | mach.RcvTimeout)
			for i := range r.c.OOLIn {
				r.c.OOLIn[i] = trap.Piece{Address: next() % 4, Size: next() >> (next() % 64), Offset: next() >> (next() % 64)}
			}
			for i := 0; i < 512; i += 8 {
				binary.LittleEndian.PutUint64(r.lane.In()[i:], next()>>(next()%64))
			}
			seen := atomic.LoadUint32(&r.c.Done)
			if err := r.post(); err != nil {
				break
			}
			for range 20 {
				// What is out of bounds would end the process at once: see beyond.
				r.c.InSize, r.c.OOLCount = uint32(next()%(trap.InSize+1)), uint32(next()%(trap.OOLMax+1))
				r.c.OutSize, r.c.OOLOutCount, r.c.KernelState = uint32(next()), uint32(next()), uint32(next())
				r.c.OOLIn[0].Size = next()
			}
			trap.FutexWait(&r.c.Done, seen, time.Millisecond)
		}
		return forever(say)
	}
	roles["beyond"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		r.c.Op, r.c.InSize = trap.OpTaskSelf, trap.InSize+1
		r.post()
		return forever(say)
	}
	roles["records"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		r.Send(&trap.Packet{Kind: trap.Fault, A: trap.AreaRecords}, nil)
		return forever(say)
	}
	// deaf asks again and again and never takes an answer from the socket.
	roles["deaf"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		r.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		for range 100_000 {
			if err := r.Send(&trap.Packet{Kind: trap.Fork}, nil); err != nil {
				break
			}
		}
		return forever(say)
	}
	// stops in the middle of a call.
	roles["stops"] = func(say func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		r.c.Op = trap.OpReplyPort
		r.post()
		say("done")
		unix.Kill(os.Getpid(), unix.SIGSTOP)
		return nil
	}
}

// journal takes down what the kernel says of tasks.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) says(what string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.b.String(), what)
}

// TestHostile lets a process do its worst beside two that talk with each other. These go on; the kernel's memory is
// bounded; who breaks the protocol is ended, and the kernel says why; and nothing of it is left behind.
func TestHostile(t *testing.T) {
	invalid := fmt.Sprintf("%#x", uint32(mach.SendInvalidData))
	for _, tt := range []struct {
		role  string
		hears []string
		log   string // of the kernel; "" nothing
		dies  bool
		may   bool // it may be killed for a violation that it stumbles into
	}{
		{role: "floods", hears: []string{fmt.Sprintf("refused %d", uint32(mach.SendNoBuffer))}},
		{role: "hoards", hears: []string{"sent "}},
		{role: "connects", hears: []string{"process ", "kept true"}, log: "connects too often"},
		{role: "lanes", hears: []string{"1024 making a Mach thread: "}},
		{role: "garbage", log: "malformed packet: 18 bytes", dies: true},
		{role: "unknown", log: "malformed packet: kind 4711", dies: true},
		{role: "descriptors", log: "descriptors", dies: true},
		{role: "wrongfiles", hears: []string{invalid, invalid, invalid, invalid, invalid,
			fmt.Sprintf("%#x", uint32(mach.SendTooLarge))}, log: "lacks seals"},
		{role: "scribbles", hears: []string{"truncated false"}, may: true},
		{role: "beyond", log: "a request that is none", dies: true},
		{role: "records", log: "malformed packet: record 64", dies: true},
		{role: "deaf"},
		{role: "stops"},
	} {
		t.Run(tt.role, func(t *testing.T) {
			var said journal
			w := newWorld(t, 0x402, func(c *linux.Config) { c.Log = slog.New(slog.NewTextHandler(&said, nil)) })
			w.service("echo")
			ping := w.start("ping")
			ping.hears("ready")
			bad := w.start(tt.role)
			stop, done := make(chan struct{}), make(chan int)
			go func() {
				n := 0
				for {
					select {
					case <-stop:
						done <- n
						return
					default:
						ping.tell("20")
						ping.hears("done")
						n += 20
					}
				}
			}()
			for _, want := range tt.hears {
				bad.hears(want)
			}
			if tt.dies {
				if s := bad.ends().Sys(); fmt.Sprint(s.(interface{ Signal() unix.Signal }).Signal()) != "killed" {
					t.Errorf("the process ends with %v", bad.cmd.ProcessState)
				}
			} else if tt.may {
				for range 10 {
					for bad.said.Scan() && bad.said.Text() != "done" {
					}
					bad.cmd.Process.Kill()
					bad.ends()
					bad = w.start(tt.role)
				}
			} else {
				bad.hears("done")
			}
			close(stop)
			if n := <-done; n == 0 {
				t.Error("nobody else gets round trips")
			}
			if tt.log != "" && !said.says(tt.log) {
				t.Errorf("the kernel does not say %q:\n%s", tt.log, said.b.String())
			}
			bad.cmd.Process.Kill()
			for until := time.Now().Add(10 * time.Second); len(w.Processes()) != 2; time.Sleep(time.Millisecond) {
				if time.Now().After(until) {
					t.Fatalf("%d processes are tasks", len(w.Processes()))
				}
			}
			if s := w.IPC.Stats(); s.Bytes > 1<<20 {
				t.Errorf("left behind: %+v", s)
			}
		})
	}
}
