package object_test

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// realClock is the time of this machine.
type realClock struct{ start time.Time }

func (c realClock) Now() uint64 { return uint64(time.Since(c.start)) }

func (realClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// operations is how many calls each thread of the race test makes.
func operations() int {
	if n, err := strconv.Atoi(os.Getenv("PORTCULLIS_OPERATIONS")); err == nil {
		return n/64 + 1
	}
	return 300
}

// TestRace lets threads of many tasks do anything to each other's objects while tasks and threads end at any moment.
// Afterwards nothing may be left, goroutines included.
func TestRace(t *testing.T) {
	before := runtime.NumGoroutine()
	w := &world{TB: t, clock: &clock{}}
	w.Machine = object.New(object.Config{Clock: realClock{time.Now()}, DeveloperMode: true, Objects: 256,
		Limits: ipc.Limits{Names: 4096}})
	var slots [8]struct {
		sync.Mutex
		t *object.Task
	}
	var pid int32
	fresh := func(r *rand.Rand, parent *object.Task) *object.Task {
		l := rules.Levels()
		task := restrict.NewTask(restrict.ForLevel(l[r.IntN(len(l))]))
		task.Audit = true
		pid++
		made, err := w.NewTask(object.TaskConfig{PID: pid, Restrict: task, Parent: parent})
		if err != nil {
			t.Error(err)
		}
		return made
	}
	first := rand.New(rand.NewPCG(1, 2))
	for i := range slots {
		slots[i].t = fresh(first, nil)
	}
	var making sync.Mutex
	var wg sync.WaitGroup
	for i := range slots {
		for j := range 3 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), uint64(j)))
				any := func() *object.Task {
					s := &slots[r.IntN(len(slots))]
					s.Lock()
					defer s.Unlock()
					return s.t
				}
				var p *person
				for range operations() {
					for p == nil || r.IntN(100) == 0 {
						slots[i].Lock()
						own := slots[i].t
						slots[i].Unlock()
						if th, kr := own.NewThread(object.ThreadKind(r.IntN(3)), nil, &registers{}); kr == 0 {
							p = &person{w, own, th}
						} else {
							parent := any()
							making.Lock()
							slots[i].Lock()
							if slots[i].t == own {
								slots[i].t = fresh(r, parent)
							}
							slots[i].Unlock()
							making.Unlock()
							own.Terminate()
						}
					}
					p.anything(r, any())
					restrict.Of(p.th.IPC).Return(0)
				}
			})
		}
	}
	wg.Wait()
	w.end()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// anything makes one call on an object of another task, or one's own.
func (p *person) anything(r *rand.Rand, other *object.Task) {
	keep := func(right *ipc.Port) {
		if right == nil || r.IntN(2) == 0 {
			drop(right)
			return
		}
		p.Space.InsertSend(right, false)
	}
	name := func() mach.Name {
		all, _, _ := p.Space.Names()
		if len(all) == 0 {
			return 0
		}
		return all[r.IntN(len(all))]
	}
	right := func() *ipc.Port {
		port, _ := p.Space.SendPort(name())
		return port.CopySend()
	}
	// spend gives a right to a call, which keeps it if it succeeds.
	spend := func(f func(*ipc.Port) mach.KernReturn) {
		if port := right(); f(port) != 0 {
			drop(port)
		}
	}
	action := func(port *ipc.Port) object.ExceptionAction {
		return object.ExceptionAction{Mask: mach.ExceptionMask(r.Uint32()) & mach.ExcMaskValid, Port: port,
			Behavior: mach.ExceptionState}
	}
	switch r.IntN(32) {
	case 0:
		keep(other.TaskPort(p.Task, object.Flavor(r.IntN(4))))
	case 1:
		rights, _ := other.Threads(p.Task, object.Flavor(r.IntN(3)))
		for _, right := range rights {
			keep(right)
		}
	case 2:
		right, _ := other.CreateToken(p.Task)
		keep(right)
	case 3:
		port := right()
		right, _ := p.w.TokenOf(port).TaskPort(p.th, object.Flavor(r.IntN(4)))
		keep(right)
		drop(port)
	case 4:
		right, _ := other.CreateSemaphore(object.SemaphorePolicy(r.IntN(2)*2), int32(r.IntN(2)))
		keep(right)
	case 5:
		p.th.SignalSemaphore(name())
	case 6:
		p.th.SignalAllSemaphore(name())
	case 7:
		p.th.SignalThreadSemaphore(name(), name())
	case 8:
		p.th.TimedWaitSemaphore(name(), 0, int32(r.IntN(1e5)))
	case 9:
		p.th.TimedWaitSignalSemaphore(name(), name(), 0, int32(r.IntN(1e5)))
	case 10:
		port := right()
		if s := p.w.SemaphoreOf(port); s != nil {
			other.DestroySemaphore(s)
			s.Release()
		}
		drop(port)
	case 11:
		p.th.CreateTimer()
	case 12:
		p.th.ArmTimer(name(), p.now()+uint64(r.IntN(1e6)))
	case 13:
		p.th.CancelTimer(name())
	case 14:
		p.th.DestroyTimer(name())
	case 15:
		spend(func(port *ipc.Port) mach.KernReturn {
			return other.SetSpecialPort(p.th, object.TaskPort(r.IntN(13)), port)
		})
	case 16:
		port := right()
		right, _ := p.w.TaskSpecialPort(p.th, port, object.TaskPort(r.IntN(13)))
		keep(right)
		drop(port)
	case 17:
		three := [3]*ipc.Port{right(), nil, right()}
		if other.Register(p.th, three) != 0 {
			drop(three[:]...)
		}
	case 18:
		three, _ := other.Registered()
		for _, right := range three {
			keep(right)
		}
	case 19:
		spend(func(port *ipc.Port) mach.KernReturn { return other.SetExceptionPorts(p.th, action(port)) })
	case 20:
		spend(func(port *ipc.Port) mach.KernReturn { return p.th.SetExceptionPorts(p.th, action(port)) })
	case 21:
		spend(func(port *ipc.Port) mach.KernReturn {
			was, kr := other.SwapExceptionPorts(p.th, action(port), r.IntN(14))
			for _, e := range was {
				keep(e.Port)
			}
			return kr
		})
	case 22:
		all, _ := other.ExceptionPorts(mach.ExcMaskAll, 14)
		for _, e := range all {
			keep(e.Port)
		}
		port := right()
		p.w.TaskExceptionInfo(port, mach.ExcMaskAll, 14)
		drop(port)
	case 23:
		p.Space.Deallocate(p.th.IPC, name())
	case 24:
		p.Space.Destroy(p.th.IPC, name())
	case 25:
		p.Self()
		p.th.Self()
		port := right()
		p.w.ThreadOf(p.Task, port, object.Read).SetState(p.th, 6, nil)
		drop(port)
	case 26:
		switch r.IntN(40) {
		case 0:
			other.Terminate()
		case 1, 2:
			p.th.Terminate()
		}
	case 27:
		if r.IntN(40) == 0 {
			right, _ := other.Corpse()
			keep(right)
		}
	case 28:
		spend(func(port *ipc.Port) mach.KernReturn { return p.w.Host.SetExceptionPorts(p.th, action(port)) })
		all, _ := p.w.Host.ExceptionPorts(mach.ExcMaskAll, r.IntN(14))
		for _, e := range all {
			keep(e.Port)
		}
		p.HostSelf()
	case 29:
		port := right()
		right, _ := p.w.ThreadSpecialPort(p.th, port, object.ThreadPort(r.IntN(5)))
		keep(right)
		p.w.ThreadExceptionInfo(port, mach.ExcMaskAll, 14)
		drop(port)
	case 30:
		var e object.ExceptionAction
		spend(func(port *ipc.Port) mach.KernReturn {
			e = action(port)
			return other.RegisterHardened(p.th, e, 0)
		})
		spend(func(port *ipc.Port) mach.KernReturn {
			return p.th.AdoptHandler(p.th, object.ExceptionAction{Port: port, Mask: e.Mask, Behavior: e.Behavior})
		})
	case 31:
		clock, _ := p.w.Host.ClockService(object.SystemClock)
		spend(func(port *ipc.Port) mach.KernReturn {
			return p.w.ClockServiceOf(clock).Alarm(p.th, object.AlarmAfter, 0, int32(r.IntN(1e6)), port, mach.MoveSend)
		})
		drop(clock)
	}
}

func (p *person) now() uint64 { return uint64(time.Now().UnixNano()) & 0xffffff }
