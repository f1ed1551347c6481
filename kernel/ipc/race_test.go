package ipc

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"portcullis.dev/mach"
)

// operations returns how many operations a long test does: short by default, PORTCULLIS_OPERATIONS otherwise.
func operations(short int) int {
	if n, err := strconv.Atoi(os.Getenv("PORTCULLIS_OPERATIONS")); err == nil && n > 0 {
		return n
	}
	return short
}

// TestDyingTasks lets tasks of several threads send each other all kinds of rights while tasks die and others are born
// at any moment. At the end everything must be gone: tasks, ports, messages, bytes and goroutines.
func TestDyingTasks(t *testing.T) {
	before := runtime.NumGoroutine()
	k := New(Config{Clock: realClock{}})
	const slots, threads = 8, 2
	// The meeting place: a task that lives throughout and through which tasks get rights to one another.
	square := newTask(t, k, 1)
	var mu sync.Mutex
	var wg sync.WaitGroup
	lives := operations(120_000) / 600
	for slot := range slots {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rnd := rand.New(rand.NewPCG(uint64(slot), 7))
			for range max(lives/slots, 1) {
				task := newTask(t, k, uint32(100+slot))
				var crew sync.WaitGroup
				all := make([]*Thread, threads)
				for i := range all {
					all[i] = task.NewThread(nil)
					crew.Add(1)
					go func(seed uint64) {
						defer crew.Done()
						(&drunk{space: task.Space, t: all[i], rnd: rand.New(rand.NewPCG(seed, 3)), square: square.Space,
							mu: &mu, mem: task.mem}).live(300)
					}(rnd.Uint64())
				}
				if rnd.IntN(2) == 0 {
					time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond)
				} else {
					crew.Wait()
				}
				for _, th := range all {
					th.Kill()
				}
				task.Terminate()
				crew.Wait()
			}
		}()
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Minute):
		buf := make([]byte, 1<<20)
		t.Fatalf("deadlock:\n%s", buf[:runtime.Stack(buf, true)])
	}
	if p := takeCensus(k, []*Space{square.Space}); p != nil {
		t.Errorf("%q", p)
	}
	atZero(t, k, square)
	for i := 0; runtime.NumGoroutine() > before && i < 100; i++ {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// drunk is a thread that does anything.
type drunk struct {
	space  *Space
	square *Space
	mu     *sync.Mutex // of the square: its own thread is shared
	t      *Thread
	mem    *memory
	rnd    *rand.Rand
	buf    [2048]byte
}

func (d *drunk) live(n int) {
	sq := d.square.NewThread(nil)
	for range n {
		if d.t.killed.Load() {
			return
		}
		d.step(sq)
	}
}

// name picks any name of the space, or something that is none.
func (d *drunk) name() mach.Name {
	names, _, kr := d.space.Names()
	if kr != 0 || len(names) == 0 || d.rnd.IntN(20) == 0 {
		return mach.Name(d.rnd.Uint32N(1 << 12))
	}
	return names[d.rnd.IntN(len(names))]
}

func (d *drunk) disposition() mach.Disposition {
	return mach.Disposition(int(mach.MoveReceive) + d.rnd.IntN(6))
}

func (d *drunk) step(sq *Thread) {
	s, t := d.space, d.t
	switch d.rnd.IntN(22) {
	case 0, 1:
		n, kr := s.Allocate(t, mach.RightReceive)
		if kr == 0 && d.rnd.IntN(2) == 0 {
			s.InsertRight(t, n, n, mach.MakeSend)
		}
	case 2:
		s.Allocate(t, mach.RightPortSet)
	case 3:
		s.InsertMember(t, d.name(), d.name())
	case 4: // leave a send right at the square
		d.square.ExtractRight(t, d.squareName(), mach.CopySend)
	case 5:
		if _, _, kr := s.ExtractRight(sq, d.name(), mach.MakeSend); kr == 0 {
			break
		}
	case 6:
		s.Deallocate(t, d.name())
	case 7:
		s.Destroy(t, d.name())
	case 8:
		s.ModRefs(t, d.name(), mach.Right(d.rnd.IntN(5)), int32(d.rnd.IntN(4)-2))
	case 9:
		ids := []int32{mach.NotifyDeadName, mach.NotifyNoSenders, mach.NotifyPortDestroyed, mach.NotifySendPossible}
		s.RequestNotification(t, d.name(), ids[d.rnd.IntN(4)], uint32(d.rnd.IntN(2)), d.name(), mach.MakeSendOnce)
	case 10:
		s.SetAttributes(d.name(), mach.AttrLimitsInfo, uint32(d.rnd.IntN(4)))
	case 11:
		d.square.Deallocate(sq, d.squareName())
	case 12, 13, 14:
		o := mach.RcvMsg | mach.RcvTimeout | mach.RcvLarge*mach.Option(d.rnd.IntN(2))
		t.Msg2(&Args{Options: o, Timeout: uint32(d.rnd.IntN(3)), Receive: d.name(), Buffer: d.buf[:64+d.rnd.IntN(512)]})
	default:
		d.send()
	}
}

func (d *drunk) squareName() mach.Name {
	names, _, _ := d.square.Names()
	if len(names) == 0 {
		return 0
	}
	return names[d.rnd.IntN(len(names))]
}

func (d *drunk) send() {
	var descs []mach.Descriptor
	for range d.rnd.IntN(4) {
		switch d.rnd.IntN(3) {
		case 0:
			names := make([]byte, 4*d.rnd.IntN(3))
			for i := 0; i < len(names); i += 4 {
				le32(names[i:], uint32(d.name()))
			}
			descs = append(descs, mach.Descriptor{Type: mach.DescriptorOOLPorts, Address: d.mem.put(names),
				Size: uint32(len(names) / 4), Disposition: d.disposition(), Deallocate: true})
		default:
			descs = append(descs, mach.Descriptor{Name: d.name(), Disposition: d.disposition()})
		}
	}
	dests := []mach.Disposition{mach.CopySend, mach.MoveSend, mach.MakeSend, mach.MoveSendOnce}
	bits := mach.MakeBits(dests[d.rnd.IntN(4)], 0, 0)
	reply := mach.NullName
	if d.rnd.IntN(2) == 0 {
		bits, reply = mach.MakeBits(bits.Remote(), mach.MakeSendOnce, 0), d.name()
	}
	d.t.Msg2(&Args{Options: mach.SendMsg | mach.SendMQCall | mach.SendTimeout | mach.SendNotify*mach.Option(d.rnd.IntN(2)),
		Timeout: uint32(d.rnd.IntN(3)), Send: message(bits, d.name(), reply, 1, nil, descs...)})
}

func le32(b []byte, v uint32) { b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24) }
