//go:build linux

package sdk_test

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"weak"

	"portcullis.dev/internal/raced"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/linux"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/trap"
)

// long is the variable with which tests do more than in a plain run.
const long = "PORTCULLIS_LONG"

// holding is what this process and the kernel in it hold, without the memory that a task receives in, which it may have as
// long as it uses it.
type holding struct {
	files, goroutines, mappings, tasks int
	ports                              ipc.Stats
	objects                            object.Stats
}

func (w *world) holds() holding {
	all, _ := os.ReadDir("/proc/self/fd")
	files := 0
	for _, f := range all {
		if to, _ := os.Readlink("/proc/self/fd/" + f.Name()); !strings.Contains(to, landing) {
			files++
		}
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	m := w.kernel.Machine
	return holding{files, runtime.NumGoroutine(), bytes.Count(maps, []byte("memfd:")) - bytes.Count(maps, []byte(landing)),
		len(w.kernel.Processes()), m.IPC.Stats(), m.Stats()}
}

// landing is the name of memory that a task receives in.
const landing = "memfd:landing"

// heap returns how many bytes of Go's memory are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers let go
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestStorm runs programs that send, receive and fork, and that die at any moment of it, as do their children: by a timer of
// their own, or killed together. When all are gone the kernel holds what it held before.
func TestStorm(t *testing.T) {
	n := 200
	switch {
	case os.Getenv(long) != "":
		n = 3000
	case testing.Short() || raced.On():
		n = 40
	}
	program := build(t, compiler(t, "gcc", "clang"), "testdata/victims/storm.c")
	w := newWorld(t, restrict.Default)
	var known []weak.Pointer[linux.Process]
	children := 0
	w.mu.Lock()
	w.started = func(p *linux.Process) {
		known = append(known, weak.Make(p))
		if p.Parent != nil {
			children++
		}
	}
	w.mu.Unlock()
	service := exec.Command(program, "serve")
	service.Env = append(os.Environ(), trap.Environment+"="+w.path)
	said, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	service.Stderr = os.Stderr
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		service.Process.Kill()
		service.Wait()
	}()
	if line, err := bufio.NewReader(said).ReadString('\n'); err != nil {
		t.Fatalf("the service says %q: %v", line, err)
	}
	w.storm(program, 8) // what the kernel makes once for all
	before, memory := w.calm(nil), heap()
	w.storm(program, n)
	w.calm(&before)
	w.mu.Lock()
	defer w.mu.Unlock()
	// A child may be on its way when its parent has ended: what it is to inherit is kept for a while.
	var after int64
	kept := 0
	for until := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		after, kept = heap(), 0
		for _, p := range known {
			if p.Value() != nil {
				kept++
			}
		}
		if kept == 1 && after < memory+512<<10 {
			break
		}
		if time.Now().After(until) {
			t.Errorf("of %d processes the kernel remembers %d; it has %d KiB in use, before %d", len(known), kept, after>>10,
				memory>>10)
			break
		}
	}
	if len(known) < n || children < n/4 {
		t.Errorf("of %d programs became %d tasks, %d of them children", n, len(known), children)
	}
	if maps, err := os.ReadFile("/proc/self/maps"); err != nil || bytes.Count(maps, []byte(landing)) > 16 {
		t.Errorf("one task receives in %d pieces of memory; %v", bytes.Count(maps, []byte(landing)), err)
	}
	if len(w.violations) != 0 || len(w.crashes) != 0 {
		t.Errorf("%d violations, %d crashes", len(w.violations), len(w.crashes))
	}
	t.Logf("%d tasks, %d of them children: %+v, memory %d KiB more", len(known), children, before, (after-memory)>>10)
}

// storm runs n programs, some at a time, and kills what is left of each after a while.
func (w *world) storm(program string, n int) {
	life := 200 * time.Millisecond
	if raced.On() {
		life *= 5 // a slow kernel
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, 16)
	for range n {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			var out bytes.Buffer
			cmd := exec.Command(program, strconv.Itoa(rand.IntN(1<<30)))
			cmd.Env = append(os.Environ(), trap.Environment+"="+w.path)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				w.Error(err)
				return
			}
			time.Sleep(time.Duration(rand.Int64N(int64(life))))
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			cmd.Wait()
			if out.Len() != 0 {
				w.Errorf("%v: %s", cmd.ProcessState, &out)
			}
		})
	}
	wait.Wait()
}

// calm waits until only the service is left and, where it is known, the kernel holds what it should; else until what it
// holds does not change for a while.
func (w *world) calm(want *holding) holding {
	w.Helper()
	var got holding
	same := 0
	for until := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		last := got
		if got = w.holds(); got == last {
			same++
		} else {
			same = 0
		}
		if got.tasks == 1 && (want == nil && same == 20 || want != nil && got == *want) {
			return got
		}
		if time.Now().After(until) {
			w.Fatalf("it holds %+v, before %+v", got, want)
		}
	}
}
