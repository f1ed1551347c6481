//go:build linux

package daemon

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/launchd"
	"portcullis.dev/trap"
	"portcullis.dev/xpc"
)

// roleVariable makes this test program play a part instead of testing.
const roleVariable = "PORTCULLIS_TEST_ROLE"

// roles are what the test program can be as a process of its own.
var roles = map[string]func(ctx context.Context, say func(string, ...any)) error{}

func TestMain(m *testing.M) {
	Exec()
	if role := os.Getenv(roleVariable); role != "" {
		say := func(f string, a ...any) { fmt.Printf(f+"\n", a...) }
		if err := roles[role](context.Background(), say); err != nil {
			say("error: %v", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	status := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(status)
}

// world is a launchd that runs.
type world struct {
	testing.TB
	*Daemon
	dir string

	mu  sync.Mutex
	log []string
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, dir: t.TempDir()}
	var err error
	started := make(chan struct{})
	w.Daemon, err = New(Config{Socket: w.dir + "/kernel", Control: w.dir + "/control", Domain: launchd.SystemDomain,
		Log: func(s string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.log = append(w.log, s); len(w.log) > 2000 {
				w.log = append(w.log[:0], w.log[1000:]...)
			}
		}, Started: func() { close(started) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	select {
	case <-started:
	case err := <-done:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Error("launchd does not end")
		}
		deadline := time.Now().Add(5 * time.Second)
		for (w.kernel.IPC.Stats() != (ipc.Stats{}) || w.kernel.Stats().Files > 0) && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		if s := w.kernel.IPC.Stats(); s.Spaces+s.Messages+s.Bytes != 0 {
			t.Errorf("left behind in ipc: %+v", s)
		}
		if s := w.kernel.Stats(); s != (object.Stats{}) {
			t.Errorf("left behind: %+v", s)
		}
		if t.Failed() {
			t.Logf("log:\n%s", strings.Join(w.log, "\n"))
			if b, _ := os.ReadFile(w.dir + "/echo.err"); len(b) > 0 {
				t.Logf("the service says:\n%.3000s", b)
			}
		}
	})
	return w
}

// job loads a job that plays a role.
func (w *world) job(label, role, more string) {
	w.Helper()
	env := ""
	if !strings.Contains(more, "EnvironmentVariables") {
		env = "<key>EnvironmentVariables</key><dict><key>" + roleVariable + "</key><string>" + role + "</string></dict>"
	}
	w.file(label, fmt.Sprintf(`<key>Label</key><string>%s</string><key>Program</key><string>%s</string>
		%s
		<key>StandardErrorPath</key><string>%s/%s.err</string>
		<key>StandardOutPath</key><string>%s/%s.out</string>`+more, label, os.Args[0], env, w.dir, label, w.dir, label))
	if err := w.loadFile(launchd.SystemDomain, filepath.Join(w.dir, label+".plist"), asItIs); err != nil {
		w.Fatal(err)
	}
}

func (w *world) file(label, keys string) string {
	w.Helper()
	path := filepath.Join(w.dir, label+".plist")
	if err := os.WriteFile(path, []byte(`<?xml version="1.0"?><plist version="1.0"><dict>`+keys+`</dict></plist>`), 0o644); err != nil {
		w.Fatal(err)
	}
	return path
}

// actor is a program that launchd has not started, as one a user runs in a terminal.
type actor struct {
	w    *world
	cmd  *exec.Cmd
	said *bufio.Scanner
	in   *os.File
}

func (w *world) start(role string, args ...string) *actor {
	return w.startProgram(os.Args[0], role, args...)
}

func (w *world) startProgram(path, role string, args ...string) *actor {
	w.Helper()
	return w.startAs(0, path, role, args...)
}

// startAs starts a program as another user, or as this one if uid is 0.
func (w *world) startAs(uid uint32, path, role string, args ...string) *actor {
	w.Helper()
	cmd := exec.Command(path, args...)
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	cmd.Env = append(os.Environ(), roleVariable+"="+role, trap.Environment+"="+w.dir+"/kernel")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	r, in, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	r.Close()
	a := &actor{w, cmd, bufio.NewScanner(out), in}
	w.Cleanup(func() { cmd.Process.Kill(); in.Close(); cmd.Wait() })
	return a
}

// hears wants the next line that the program says.
func (a *actor) hears(want string) string {
	a.w.Helper()
	late := time.AfterFunc(10*time.Second, func() { a.cmd.Process.Signal(syscall.SIGQUIT) }) // it says where it stands
	defer late.Stop()
	if !a.said.Scan() {
		a.w.Fatalf("the program says nothing more, want %q", want)
	}
	if got := a.said.Text(); !strings.HasPrefix(got, want) {
		a.w.Fatalf("the program says %q, want %q", got, want)
	}
	return strings.TrimPrefix(a.said.Text(), want)
}

func (a *actor) tell(f string, args ...any) { fmt.Fprintf(a.in, f+"\n", args...) }

// until waits for something.
func (w *world) until(what string, ok func() bool) {
	w.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	w.Fatalf("never: %s", what)
}

func (w *world) entry(label string) launchd.Entry {
	e, _, _ := w.core.Info(launchd.SystemDomain, label)
	return e
}

func dict(kv ...any) *xpc.Dictionary {
	d := xpc.NewDictionary()
	for i := 0; i < len(kv); i += 2 {
		d.Set(kv[i].(string), kv[i+1].(xpc.Value))
	}
	return d
}
