//go:build linux

package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/launchd"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
	"portcullis.dev/trap/task"
	"portcullis.dev/xpc"
	"portcullis.dev/xpc/attached"
)

const echoName = "com.example.echo"

func init() {
	// echo is a service that does as its clients say, and refuses those that are not this very program.
	roles["echo"] = func(ctx context.Context, say func(string, ...any)) error {
		p, err := attached.Join(ctx)
		if err != nil {
			return err
		}
		l, err := p.Listen(ctx, echoName)
		if err != nil {
			return err
		}
		if f := os.Getenv("LAZY"); f != "" {
			if _, err := os.Stat(f); err == nil {
				select {} // it has the port and takes nothing
			}
		}
		if os.Getenv("STRICT") != "" {
			self, _ := os.Executable()
			l.Require(xpc.RequireExecutable(self))
		}
		if os.Getenv("OWN") != "" {
			l.Require(xpc.RequireUID(uint32(os.Getuid())))
		}
		if e := os.Getenv("ENTITLED"); e != "" {
			l.Require(xpc.RequireEntitlement(e))
		}
		return l.Serve(ctx, func(c *xpc.Connection) {
			c.Activate(xpc.HandlerFuncs{Message: func(m *xpc.Message) {
				switch m.Text("do") {
				case "crash":
					debug.SetTraceback("crash")
					syscall.Kill(os.Getpid(), syscall.SIGSEGV)
					select {}
				case "exit":
					os.Exit(int(m.Int64("code")))
				}
				m.Reply(m.Dictionary.Set("pid", xpc.Int64(os.Getpid())))
			}})
		})
	}
	// hasty asks for its port and does not wait for the answer, as long as there is a file; then it is echo.
	roles["hasty"] = func(ctx context.Context, say func(string, ...any)) error {
		if _, err := os.Stat(os.Getenv("HASTY")); err != nil {
			return roles["echo"](ctx, say)
		}
		t, err := task.Join(ctx)
		if err != nil {
			return err
		}
		th, err := t.NewThread()
		if err != nil {
			return err
		}
		bp, _ := th.BootstrapPort()
		w := rpc.NewWriter(200)
		w.String(echoName, 128)
		w.Uint64(0)
		m := &task.Message{ID: 402, Dest: bp, DestDisposition: mach.CopySend, Reply: mach.DeadName, ReplyDisposition: mach.CopySend, // so the answer fails
			Body: w.B}
		_, err = th.Msg(ctx, m, task.Args{Options: mach.SendMsg | mach.SendMQCall})
		return err
	}
	// socket answers one connection to the socket it was given, and ends.
	roles["socket"] = func(context.Context, func(string, ...any)) error {
		l, err := net.FileListener(os.NewFile(3, "s"))
		if err != nil {
			return err
		}
		c, err := l.Accept()
		if err != nil {
			return err
		}
		fmt.Fprint(c, os.Getpid())
		return c.Close()
	}
	// init is a launchd with the jobs of a folder.
	roles["init"] = func(_ context.Context, say func(string, ...any)) error {
		say("I am %d", os.Getpid())
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		dir := os.Args[1]
		d, err := New(Config{Socket: dir + "/kernel", Domain: launchd.SystemDomain, Jobs: []string{dir}})
		if err != nil {
			return err
		}
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		for in := bufio.NewScanner(os.Stdin); in.Scan() && in.Text() != "end"; {
			all, _ := filepath.Glob("/proc/[0-9]*/stat")
			zombies := 0
			for _, p := range all {
				if b, _ := os.ReadFile(p); strings.Contains(string(b), ") Z ") {
					zombies++
				}
			}
			say("%d zombies, %d processes", zombies, len(all))
		}
		cancel()
		say("ended %v", <-done)
		return nil
	}
	// client sends what it reads, line by line, and says what comes back.
	roles["client"] = func(ctx context.Context, say func(string, ...any)) error {
		p, err := attached.Join(ctx)
		if err != nil {
			return err
		}
		c := p.Connect(echoName)
		c.Activate(nil)
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			word, rest, _ := strings.Cut(in.Text(), " ")
			switch word {
			case "send":
				err = c.Send(ctx, dict("do", xpc.String(rest)))
				say("sent %v", err)
			case "big":
				d, err := c.Call(ctx, dict("data", xpc.Data(make([]byte, 1<<20))))
				say("big %d %v", len(d.Data("data")), err)
			default:
				d, err := c.Call(ctx, dict("do", xpc.String(word)))
				switch {
				case errors.Is(err, xpc.ErrInterrupted):
					say("interrupted")
				case err != nil:
					say("error %v", err)
				default:
					say("ok %d", d.Int64("pid"))
				}
			}
		}
		return nil
	}
}

const echoService = "<key>MachServices</key><dict><key>" + echoName + "</key><true/></dict>" +
	"<key>ThrottleInterval</key><integer>0</integer>"

// TestRealService lets a client and a service, each a process, talk through start on demand, crash and start again.
func TestRealService(t *testing.T) {
	w := newWorld(t)
	w.job("echo", "echo", echoService)
	if e := w.entry("echo"); e.PID != 0 {
		t.Fatalf("it runs: %+v", e)
	}
	c := w.start("client")
	c.tell("hello")
	first := c.hears("ok ")
	if e := w.entry("echo"); first != strconv.Itoa(e.PID) {
		t.Errorf("answered by %s, want %d", first, e.PID)
	}
	c.tell("big")
	c.hears("big 1048576 <nil>")
	c.tell("crash")
	c.hears("interrupted")
	w.until("the crash is known", func() bool { return w.entry("echo").Status == -int(syscall.SIGABRT) })
	c.tell("hello")
	second := c.hears("ok ")
	if second == first {
		t.Errorf("the same process: %s", first)
	}
	if r, err := w.core.Blame(launchd.SystemDomain, "echo"); r != launchd.ByMessage || err != nil {
		t.Errorf("blame: %q, %v", r, err)
	}
}

// TestUntaken kills a service that has checked in and taken nothing. Its successor finds everything.
func TestUntaken(t *testing.T) {
	w := newWorld(t)
	lazy := w.dir + "/lazy"
	if err := os.WriteFile(lazy, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.job("echo", "echo", echoService+"<key>EnvironmentVariables</key><dict><key>"+roleVariable+
		"</key><string>echo</string><key>LAZY</key><string>"+lazy+"</string></dict>")
	clients := make([]*actor, 5)
	for i := range clients {
		clients[i] = w.start("client")
		clients[i].tell("send one")
		clients[i].hears("sent <nil>")
		clients[i].tell("hello")
	}
	w.until("the service has its port", func() bool { return w.core.Counts().Active == 1 })
	os.Remove(lazy)
	first := w.entry("echo").PID
	syscall.Kill(first, syscall.SIGKILL)
	for _, c := range clients {
		if pid := c.hears("ok "); pid == strconv.Itoa(first) {
			t.Error("answered by the dead")
		}
	}
}

// TestFirstProcess runs a launchd as the first process of a name space of process ids. It starts a job, and buries what
// the job leaves behind.
func TestFirstProcess(t *testing.T) {
	if err := exec.Command("unshare", "-pf", "--mount-proc", "true").Run(); err != nil {
		t.Skip("no name spaces here: ", err)
	}
	w := &world{TB: t, dir: t.TempDir()}
	out := w.dir + "/out"
	w.file("orphans", `<key>Label</key><string>orphans</string><key>ProgramArguments</key><array><string>/bin/sh</string>
		<string>-c</string><string>for i in 1 2 3; do (setsid sleep 0.1 &amp;) ; done; echo $$ $PPID; sleep 0.5</string></array>
		<key>RunAtLoad</key><true/><key>AbandonProcessGroup</key><true/><key>StandardOutPath</key><string>`+out+`</string>`)
	init := w.startProgram("/usr/bin/unshare", "init", "-pf", "--mount-proc", os.Args[0], w.dir)
	init.hears("I am 1")
	w.until("the job runs", func() bool { b, _ := os.ReadFile(out); return strings.HasSuffix(string(b), " 1\n") })
	init.tell("zombies")
	for init.hears("") != "0 zombies, 1 processes" {
		time.Sleep(20 * time.Millisecond)
		init.tell("zombies")
	}
	init.tell("end")
	init.hears("ended <nil>")
}

// TestSocketActivation connects to a socket of a job that does not run.
func TestSocketActivation(t *testing.T) {
	w := newWorld(t)
	w.job("socket", "socket", `<key>Sockets</key><dict><key>s</key><dict><key>SockPathName</key><string>`+w.dir+
		`/s</string></dict></dict><key>ThrottleInterval</key><integer>0</integer>`)
	pids := map[string]bool{}
	for range 2 {
		if e := w.entry("socket"); e.PID != 0 {
			t.Fatalf("it runs: %+v", e)
		}
		c, err := net.Dial("unix", w.dir+"/s")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		if err != nil || pids[string(b)] || len(b) == 0 {
			t.Errorf("answered by %q, %v", b, err)
		}
		pids[string(b)] = true
		c.Close()
		w.until("it has ended", func() bool { return w.entry("socket").PID == 0 })
	}
	if r := w.entry("socket"); r.Status != 0 {
		t.Errorf("%+v", r)
	}
}

// TestHasty lets programs ask for a service's port and be gone before they have it. The port is not lost.
func TestHasty(t *testing.T) {
	w := newWorld(t)
	flag := w.dir + "/hasty"
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.job("echo", "", echoService+"<key>EnvironmentVariables</key><dict><key>"+roleVariable+
		"</key><string>hasty</string><key>HASTY</key><string>"+flag+"</string></dict>")
	for range 5 {
		w.core.Kickstart(launchd.SystemDomain, "echo", launchd.LeaveRunning)
		w.until("it is gone", func() bool { return w.entry("echo").PID == 0 })
		if e := w.entry("echo"); e.Status != 0 {
			t.Fatalf("%+v", e)
		}
	}
	os.Remove(flag)
	c := w.start("client")
	c.tell("hello")
	c.hears("ok ")
}
