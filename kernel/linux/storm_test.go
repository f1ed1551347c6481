//go:build linux

package linux_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/internal/raced"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/linux"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
	"portcullis.dev/trap/task"
)

// stormVariable is how many processes are to die in TestStorm.
const stormVariable = "PORTCULLIS_TEST_STORM"

// tokenVariable is what a child proves its parent with.
const tokenVariable = "PORTCULLIS_TEST_TOKEN"

func init() {
	// sturdy answers with what it gets, whatever becomes of who asks.
	roles["sturdy"] = func(say func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		port, err := publish(th)
		if err != nil {
			return err
		}
		say("port %d", port)
		for ctx := context.Background(); ; {
			m, err := th.Msg(ctx, nil, task.Args{Options: mach.RcvMsg, Receive: port})
			if err != nil {
				return err
			}
			reply := task.Message{ID: m.ID + 100, Dest: m.Reply, DestDisposition: mach.MoveSendOnce, Complex: m.Complex,
				Body: m.Body, Items: m.Items}
			for i := range reply.Items {
				if reply.Items[i].Copy = mach.CopyVirtual; reply.Items[i].Port != 0 {
					reply.Items[i].Disposition = mach.MoveSend
				}
			}
			th.Msg(ctx, &reply, task.Args{Options: mach.SendMsg | mach.SendMQCall})
		}
	}
	// mayfly sends and receives until it dies: bytes, rights, memory in the lane and in files.
	roles["mayfly"] = func(func(string, ...any)) error {
		th, err := joined()
		if err != nil {
			return err
		}
		service, err := th.BootstrapPort()
		if err != nil {
			return err
		}
		for n := 0; ; n++ {
			port, err := th.Construct(mach.InsertSendRight, 0)
			if err != nil {
				return err
			}
			m := task.Message{ID: 5, Dest: service, DestDisposition: mach.CopySend, Complex: true}
			m.AddPort(port, mach.MakeSend)
			m.AddMemory(make([]byte, 1000), false, false)
			if n%4 == 0 {
				m.AddMemory(make([]byte, 300_000), false, false)
			}
			th.Peer().Call(&m, nil)
			if n%8 == 0 {
				m = task.Message{Dest: port, DestDisposition: mach.MakeSendOnce, Complex: true}
				m.AddMemory(make([]byte, landSize), false, false)
				th.Msg(context.Background(), &m, task.Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendMQCall, Receive: port})
			}
			m = task.Message{Dest: port, DestDisposition: mach.MakeSendOnce} // nobody receives this one
			th.Peer().Send(&m, nil)
			if n%2 == 0 {
				th.ModRefs(port, mach.RightReceive, -1)
			}
		}
	}
	// forks children that are tasks until it dies.
	roles["forks"] = func(func(string, ...any)) error {
		r, err := hostile()
		if err != nil {
			return err
		}
		for {
			_, in, err := r.ask(trap.Packet{Kind: trap.Fork})
			if err != nil {
				return err
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), roleVariable+"=child", fmt.Sprintf("%s=%x", tokenVariable, in.Token[:]))
			if err := cmd.Start(); err != nil {
				return err
			}
			go cmd.Wait()
			time.Sleep(20 * time.Millisecond)
		}
	}
	roles["child"] = func(func(string, ...any)) error {
		r, err := connect()
		if err != nil {
			return err
		}
		hello := trap.Packet{Kind: trap.Hello, A: trap.Version}
		token, err := hex.DecodeString(os.Getenv(tokenVariable))
		if err != nil {
			return err
		}
		copy(hello.Token[:], token)
		r.ask(hello)
		select {}
	}
}

// holding is what this process holds.
type holding struct{ files, goroutines, mappings int }

func holds() holding {
	files, _ := os.ReadDir("/proc/self/fd")
	maps, _ := os.ReadFile("/proc/self/maps")
	return holding{len(files), runtime.NumGoroutine(), bytes.Count(maps, []byte("memfd:"))}
}

// TestStorm kills processes at any moment of what they do: sending, receiving, forking. What they had is given back.
func TestStorm(t *testing.T) {
	n, life := 200, 300*time.Millisecond
	if testing.Short() || raced.On() {
		n = 40
	}
	if raced.On() {
		life = 2 * time.Second // processes take long to start
	}
	if v := os.Getenv(stormVariable); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, 0x402, nil)
	w.service("sturdy") // the first process makes what the kernel keeps for all
	var tasks atomic.Int64
	lend := *w.started.Load()
	w.whenStarted(func(p *linux.Process) {
		tasks.Add(1)
		lend(p)
	})
	before, counted := holds(), w.IPC.Stats()
	run := func(role string) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleVariable+"="+role, trap.Environment+"="+w.path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Error(err)
			return
		}
		time.Sleep(time.Duration(rand.Int64N(int64(life))))
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range n {
		slots <- struct{}{}
		role := "mayfly"
		if i%8 == 0 {
			role = "forks"
		}
		wait.Go(func() {
			run(role)
			<-slots
		})
	}
	wait.Wait()
	var after holding
	var counts ipc.Stats
	for until := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		after, counts = holds(), w.IPC.Stats()
		if len(w.Processes()) == 1 && after.files <= before.files && after.goroutines <= before.goroutines &&
			after.mappings <= before.mappings && counts.Spaces == counted.Spaces && counts.Messages == counted.Messages &&
			counts.Bytes == counted.Bytes {
			w.holdsNothing()
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%d tasks, %+v, %+v; before %+v, %+v", len(w.Processes()), after, counts, before, counted)
		}
	}
	if tasks.Load() < int64(n)/4 {
		t.Errorf("%d of %d processes became tasks", tasks.Load(), n)
	}
	t.Logf("%d tasks have ended", tasks.Load())
}
