//go:build linux

package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis.dev/launchd"
	"portcullis.dev/xpc"
	"portcullis.dev/xpc/attached"
)

func init() {
	// squatter tries to become a service that is not its own.
	roles["squatter"] = func(ctx context.Context, say func(string, ...any)) error {
		p, err := attached.Join(ctx)
		if err != nil {
			return err
		}
		for _, name := range []string{echoName, "com.example.free"} {
			_, err := p.Listen(ctx, name)
			say("%s: %v", name, err)
		}
		select {}
	}
	// controller asks launchd for its jobs over the control socket.
	roles["controller"] = func(_ context.Context, say func(string, ...any)) error {
		_, err := Ask(os.Args[1], RoutineList, xpc.NewDictionary())
		var remote *xpc.RemoteError
		switch {
		case errors.As(err, &remote):
			say("%d: %s", remote.Code, remote.Message)
		case err == nil:
			say("0: ")
		}
		return err
	}
	// asker asks launchd who a process is.
	roles["asker"] = func(ctx context.Context, say func(string, ...any)) error {
		p, err := attached.Join(ctx)
		if err != nil {
			return err
		}
		c := p.Connect(echoName)
		c.Activate(nil)
		if _, err := c.Call(ctx, dict()); err != nil {
			return err
		}
		id, err := c.Peer().Identity()
		if err != nil {
			return err
		}
		say("%s %v", id.Executable, id.Entitlements["com.example.secret"])
		token := c.Peer().Token
		token[7]++ // the next process of the same number
		_, err = p.Task().(xpc.Identifier).Identify(token)
		say("later: %v", err)
		return nil
	}
}

// copyProgram copies the test program, so that it is another executable.
func (w *world) copyProgram(name string) string {
	w.Helper()
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		w.Fatal(err)
	}
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, b, 0o755); err != nil {
		w.Fatal(err)
	}
	return path
}

func strict(variables string) string {
	return echoService + "<key>EnvironmentVariables</key><dict><key>" + roleVariable + "</key><string>echo</string>" +
		variables + "</dict>"
}

// TestRealImpostors lets other programs than it wants talk to a service.
func TestRealImpostors(t *testing.T) {
	w := newWorld(t)
	w.job("echo", "echo", strict("<key>STRICT</key><string>1</string>"))
	friend := w.start("client")
	friend.tell("hello")
	friend.hears("ok ")
	impostor := w.startProgram(w.copyProgram("impostor"), "client")
	impostor.tell("hello")
	impostor.hears("interrupted")
	friend.tell("hello")
	friend.hears("ok ")
}

// TestRealUser lets a program of another user talk to a service that is for its own, and control launchd.
func TestRealUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root starts programs as another user")
	}
	w := newWorld(t)
	for dir := w.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.job("echo", "echo", strict("<key>OWN</key><string>1</string>"))
	program := w.copyProgram("program")
	friend := w.startProgram(program, "client")
	friend.tell("hello")
	friend.hears("ok ")
	stranger := w.startAs(12345, program, "client")
	stranger.tell("hello")
	stranger.hears("interrupted")
	friend.tell("hello")
	friend.hears("ok ")
	controller := w.startAs(12345, program, "controller", w.dir+"/control")
	controller.hears("1: operation not permitted")
	controller = w.startProgram(program, "controller", w.dir+"/control")
	controller.hears("0: ")
}

// TestTooMuchMemory sends a service more pieces of memory than a process can be given with one message, to its service
// port and over a connection. Others go on being served.
func TestTooMuchMemory(t *testing.T) {
	w := newWorld(t)
	w.job("echo", "echo", echoService)
	friend := w.start("client")
	friend.tell("hello")
	first := friend.hears("ok ")
	p, task := w.client(1 << 23)
	defer task.Terminate()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	many := make(xpc.Array, 60)
	for i := range many {
		many[i] = xpc.Data(make([]byte, xpc.LargeData+1))
	}
	port, err := p.LookUp(ctx, echoName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Pipe(ctx, port, 0, dict("a", many)); !errors.Is(err, xpc.ErrInterrupted) {
		t.Errorf("to the service port: %v", err)
	}
	c := p.Connect(echoName)
	c.Activate(nil)
	if _, err := c.Call(ctx, dict("a", many)); !errors.Is(err, xpc.ErrInterrupted) {
		t.Errorf("over a connection: %v", err)
	}
	c.Cancel()
	friend.tell("hello")
	if pid := friend.hears("ok "); pid != first {
		t.Errorf("answered by %s, before by %s", pid, first)
	}
	late := w.start("client")
	late.tell("hello")
	late.hears("ok ")
}

// TestManyConnections makes more connections to a service than a process can have threads. Those that are refused are
// told so, those that there are work, and when the greedy client is gone there is room again.
func TestManyConnections(t *testing.T) {
	w := newWorld(t)
	w.job("echo", "echo", echoService)
	friend := w.start("client")
	friend.tell("hello")
	first := friend.hears("ok ")
	p, task := w.client(1 << 23)
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	served := 0
	for range 1200 {
		c := p.Connect(echoName)
		c.Activate(nil)
		_, err := c.Call(ctx, dict())
		switch {
		case err == nil:
			served++
		case !errors.Is(err, xpc.ErrInterrupted):
			t.Fatal(err)
		}
	}
	if served < 500 || served == 1200 {
		t.Errorf("%d connections", served)
	}
	friend.tell("hello")
	if pid := friend.hears("ok "); pid != first {
		t.Errorf("answered by %s, before by %s", pid, first)
	}
	task.Terminate()
	late := w.start("client")
	w.until("there is room again", func() bool {
		late.tell("hello")
		return strings.HasPrefix(late.hears(""), "ok ")
	})
}

// TestRealEntitlement wants an entitlement, which a file beside the program gives; but not one that others can write.
func TestRealEntitlement(t *testing.T) {
	w := newWorld(t)
	w.job("echo", "echo", strict("<key>ENTITLED</key><string>com.example.may</string>"))
	const plist = `<?xml version="1.0"?><plist version="1.0"><dict><key>com.example.may</key><true/></dict></plist>`
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"none", "", 0, "interrupted"},
		{"false", strings.Replace(plist, "<true/>", "<false/>", 1), 0o644, "interrupted"},
		{"open", plist, 0o666, "interrupted"},
		{"good", plist, 0o644, "ok "},
	} {
		program := w.copyProgram(c.name)
		if c.text != "" {
			if err := os.WriteFile(program+".entitlements", []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			os.Chmod(program+".entitlements", c.mode)
		}
		a := w.startProgram(program, "client")
		a.tell("hello")
		a.hears(c.want)
	}
}

// TestRealSquatter tries to take a name before its job, and while it does not run.
func TestRealSquatter(t *testing.T) {
	w := newWorld(t)
	early := w.start("squatter")
	early.hears(echoName + ": xpc: " + echoName + ": ")
	early.hears("com.example.free: xpc: ")
	w.job("echo", "echo", echoService)
	late := w.start("squatter")
	late.hears(echoName + ": xpc: ")
	c := w.start("client")
	c.tell("hello")
	if pid := c.hears("ok "); pid != strconv.Itoa(w.entry("echo").PID) {
		t.Errorf("answered by %s", pid)
	}
	// Another job has no right to the name either.
	w.job("other", "squatter", "<key>RunAtLoad</key><true/>")
	w.until("the other job has tried", func() bool {
		b, _ := os.ReadFile(w.dir + "/other.out")
		return strings.Contains(string(b), echoName+": xpc: "+echoName+": ") &&
			strings.Contains(string(b), "com.example.free: <nil>")
	})
	if c := w.core.Counts(); c.Services != 2 { // a job may use a name that nobody has
		t.Errorf("%+v", c)
	}
}

// TestIdentify asks launchd which program a peer runs.
func TestIdentify(t *testing.T) {
	w := newWorld(t)
	w.job("echo", "echo", echoService)
	a := w.start("asker")
	self, _ := filepath.EvalSymlinks(os.Args[0])
	a.hears(self + " <nil>")
	a.hears("later: there is no process ")
}

// TestRealJobs starts programs with surroundings of every kind.
func TestRealJobs(t *testing.T) {
	w := newWorld(t)
	out := w.dir + "/surroundings"
	path := w.file("sh", `<key>Label</key><string>sh</string>
		<key>ProgramArguments</key><array><string>/bin/sh</string><string>-c</string>
		<string>umask; ulimit -Sn; ulimit -Hc; pwd; nice; echo $A; echo $XPC_SERVICE_NAME; echo $LISTEN_FDS $LISTEN_FDNAMES; [ "$LISTEN_PID" = $$ ] &amp;&amp; echo mine; ls /proc/self/fd | wc -l; cat; exit 7</string></array>
		<key>Umask</key><integer>63</integer><key>WorkingDirectory</key><string>/usr</string><key>Nice</key><integer>3</integer>
		<key>SoftResourceLimits</key><dict><key>NumberOfFiles</key><integer>100</integer></dict>
		<key>HardResourceLimits</key><dict><key>Core</key><integer>0</integer></dict>
		<key>EnvironmentVariables</key><dict><key>A</key><string>b c</string></dict>
		<key>Sockets</key><dict><key>web</key><dict><key>SockPathName</key><string>`+w.dir+`/web</string></dict></dict>
		<key>StandardInPath</key><string>`+w.dir+`/in</string><key>RunAtLoad</key><true/>
		<key>StandardOutPath</key><string>`+out+`</string><key>StandardErrorPath</key><string>`+out+`</string>`)
	os.WriteFile(w.dir+"/in", []byte("input\n"), 0o600)
	if err := w.loadFile(launchd.SystemDomain, path, asItIs); err != nil {
		t.Fatal(err)
	}
	w.until("it ends", func() bool { return w.entry("sh").Status == 7 })
	b, _ := os.ReadFile(out)
	want := "0077\n100\n0\n/usr\n3\nb c\nsh\n1 web\nmine\n5\ninput\n"
	if string(b) != want {
		t.Errorf("surroundings:\n%s\nwant\n%s", b, want)
	}
	if err := w.loadFile(launchd.SystemDomain, w.file("no", `<key>Label</key><string>no</string><key>Program</key>
		<string>/no/such/program</string><key>RunAtLoad</key><true/>`), asItIs); err != nil {
		t.Fatal(err)
	}
	if e := w.entry("no"); e.Status != 78 {
		t.Errorf("a program that is not there: %+v", e)
	}
	os.Chmod(path, 0o666)
	if _, err := w.parseFile(path); err == nil || !strings.Contains(err.Error(), "others may write") {
		t.Errorf("a file that others may write to: %v", err)
	}
}
