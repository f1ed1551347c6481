//go:build linux

package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/launchd"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
	"portcullis.dev/xpc"
	"portcullis.dev/xpc/attached"
	"portcullis.dev/xpc/local"
)

// soakVariable says how long TestSoak lasts, as Go writes durations. It is two seconds otherwise.
const soakVariable = "PORTCULLIS_SOAK"

func init() {
	// soak is a service under the name in NAME that answers, is late, drops, calls back, crashes and ends.
	roles["soak"] = func(ctx context.Context, say func(string, ...any)) error {
		p, err := attached.Join(ctx)
		if err != nil {
			return err
		}
		l, err := p.Listen(ctx, os.Getenv("NAME"))
		if err != nil {
			return err
		}
		return l.Serve(ctx, func(c *xpc.Connection) {
			if rand.IntN(50) == 0 {
				c.Cancel()
				return
			}
			c.Activate(xpc.HandlerFuncs{Message: func(m *xpc.Message) {
				switch m.Text("do") {
				case "crash":
					syscall.Kill(os.Getpid(), syscall.SIGKILL)
				case "exit":
					os.Exit(0)
				case "drop":
					return
				case "late":
					m.Hold()
					time.AfterFunc(time.Duration(rand.IntN(20))*time.Millisecond, func() { m.Reply(m.Dictionary) })
					return
				case "back":
					go func() {
						ctx, cancel := context.WithTimeout(context.Background(), time.Second)
						defer cancel()
						c.Call(ctx, dict("hello", xpc.Null{}))
					}()
				case "hang up":
					c.Cancel()
				}
				m.Reply(m.Dictionary)
			}})
		})
	}
}

// client makes a task in this process that knows the bootstrap port.
func (w *world) client(pid int32) (*xpc.Process, *local.Task) {
	w.Helper()
	tok := mach.AuditToken{501, 501, 20, 501, 20, uint32(pid), 1, uint32(pid)}
	t, err := local.NewTask(w.kernel.Machine, object.TaskConfig{PID: pid, Restrict: restrict.NewTask(restrict.ForLevel(rules.Level3)),
		Identity: ipc.Identity{Security: [2]uint32{501, 20}, Audit: tok}}, &w.who)
	if err != nil {
		w.Fatal(err)
	}
	t.Violation = func(v restrict.Violation) { w.Errorf("a client ran into %+v", v) }
	th, _ := t.Task.NewThread(object.MainThread, nil, nil)
	if kr := t.Task.SetSpecialPort(th, object.TaskBootstrapPort, w.names.right()); kr != 0 {
		w.Fatal(kr)
	}
	return xpc.NewProcess(t), t
}

// held is what this process holds.
func held() (goroutines, files int, heap uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	list, _ := os.ReadDir("/proc/self/fd")
	return runtime.NumGoroutine(), len(list), m.HeapAlloc
}

// TestSoak lets clients do anything to services that crash, end, restart and are killed, and looks for clients that are
// stuck and for what is left.
func TestSoak(t *testing.T) {
	long := 2 * time.Second
	if s := os.Getenv(soakVariable); s != "" {
		var err error
		if long, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t)
	const services, clients = 4, 8
	g0, f0, h0 := held()
	for i := range services {
		w.job(fmt.Sprintf("s%d", i), "", fmt.Sprintf(`<key>ThrottleInterval</key><integer>0</integer>
			<key>EnvironmentVariables</key><dict><key>%s</key><string>soak</string><key>NAME</key><string>soak.%d</string></dict>
			<key>MachServices</key><dict><key>soak.%d</key><true/></dict>`, roleVariable, i, i))
	}
	stop := time.Now().Add(long)
	var pid, calls, failed, stuck atomic.Int64
	pid.Store(1 << 23)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for time.Now().Before(stop) && !t.Failed() {
				p, task := w.client(int32(pid.Add(1)))
				w.live(p, services, stop, &calls, &failed, &stuck)
				if rand.IntN(3) == 0 {
					task.Terminate() // as a program that is killed
				} else {
					p.Close()
					task.Terminate()
				}
			}
		})
	}
	all.Go(func() { // somebody at launchctl
		for time.Now().Before(stop) {
			time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
			label := fmt.Sprintf("s%d", rand.IntN(services))
			switch rand.IntN(3) {
			case 0:
				w.core.Kill(launchd.SystemDomain, label, syscall.SIGKILL)
			case 1:
				w.core.Kickstart(launchd.SystemDomain, label, launchd.KillFirst)
			default:
				w.core.Stop(launchd.SystemDomain, label)
			}
		}
	})
	all.Wait()
	for i := range services {
		gone, err := w.core.Unload(launchd.SystemDomain, fmt.Sprintf("s%d", i))
		if err != nil {
			t.Fatal(err)
		}
		<-gone
	}
	g1, f1, h1 := held()
	for deadline := time.Now().Add(10 * time.Second); (g1 > g0 || f1 > f0) && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond) // what processes had goes a moment after them
		g1, f1, h1 = held()
	}
	if f1 > f0+2 {
		list, _ := os.ReadDir("/proc/self/fd")
		for _, e := range list {
			to, _ := os.Readlink("/proc/self/fd/" + e.Name())
			t.Log(e.Name(), to)
		}
	}
	t.Logf("%d calls, %d of which failed as they may; goroutines %d, then %d; files %d, %d; heap %d KiB, %d KiB", calls.Load(),
		failed.Load(), g0, g1, f0, f1, h0>>10, h1>>10)
	if stuck.Load() > 0 {
		t.Errorf("%d calls were stuck", stuck.Load())
	}
	if g1 > g0+2 || f1 > f0+2 || h1 > h0+4<<20 {
		t.Error("something is left behind")
	}
	if calls.Load() == 0 || failed.Load() == calls.Load() {
		t.Error("no call was answered")
	}
}

// patience is how long any call may take.
const patience = 20 * time.Second

// live is the life of a client.
func (w *world) live(p *xpc.Process, services int, stop time.Time, calls, failed, stuck *atomic.Int64) {
	c := p.Connect(fmt.Sprintf("soak.%d", rand.IntN(services)))
	c.Activate(xpc.HandlerFuncs{Message: func(m *xpc.Message) { m.Reply(dict()) }})
	defer func() {
		if rand.IntN(2) == 0 {
			c.Cancel()
		}
	}()
	var pending sync.WaitGroup
	defer pending.Wait()
	for range rand.IntN(100) {
		if time.Now().After(stop) {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if rand.IntN(10) == 0 {
			ctx, cancel = context.WithTimeout(context.Background(), time.Duration(rand.IntN(5))*time.Millisecond)
		}
		d := dict("do", xpc.String([]string{"", "", "", "", "drop", "late", "back", "hang up", "crash", "exit"}[rand.IntN(8)+rand.IntN(20)/18*2%3]))
		if rand.IntN(10) == 0 {
			d.Set("data", xpc.Data(make([]byte, rand.IntN(200000))))
		}
		begun := time.Now()
		note := func(err error) {
			calls.Add(1)
			if err != nil {
				failed.Add(1)
			}
			if errors.Is(err, context.DeadlineExceeded) && time.Since(begun) >= patience {
				stuck.Add(1)
			}
		}
		switch rand.IntN(4) {
		case 0:
			note(c.Send(ctx, d))
			cancel()
		case 1:
			pending.Add(1)
			if err := c.CallAsync(ctx, d, func(_ *xpc.Dictionary, err error) { note(err); cancel(); pending.Done() }); err != nil {
				note(err)
				cancel()
				pending.Done()
			}
		default:
			_, err := c.Call(ctx, d)
			note(err)
			cancel()
		}
	}
}
