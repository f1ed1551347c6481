//go:build linux

package daemon

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/launchd"
)

// shell are the keys of a job that runs a command.
func shell(label, command, more string) string {
	return fmt.Sprintf(`<key>Label</key><string>%s</string><key>ProgramArguments</key><array><string>/bin/sh</string>
		<string>-c</string><string>%s</string></array>`, label, command) + more
}

func (w *world) load(domain, label, keys string) {
	w.Helper()
	if err := w.loadFile(domain, w.file(label, keys), asItIs); err != nil {
		w.Fatal(err)
	}
}

// TestUserDomain: what root's launchd has in the domain of a user runs as that user, whatever the file says, and so are
// the files it makes.
func TestUserDomain(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("root alone starts programs of others")
	}
	w := newWorld(t)
	dir := w.dir + "/users"
	for p := w.dir; p != "/tmp" && p != "/"; p = p[:strings.LastIndexByte(p, '/')] {
		os.Chmod(p, 0o755)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o777)
	for _, domain := range []string{"user/65534", "gui/65534"} {
		out := dir + "/" + strings.ReplaceAll(domain, "/", "-")
		w.load(domain, "who", shell("who", "id -u; id -g; echo $USER $XDG_RUNTIME_DIR; umask", `<key>RunAtLoad</key><true/>
			<key>UserName</key><string>root</string><key>GroupName</key><string>root</string>
			<key>Umask</key><string>077</string><key>StandardOutPath</key><string>`+out+`</string>`))
		w.until("it has ended", func() bool { e, _, _ := w.core.Info(domain, "who"); return e.Ended })
		b, _ := os.ReadFile(out)
		if want := "65534\n65534\nnobody\n0077\n"; string(b) != want {
			t.Errorf("%s: %q, want %q", domain, b, want)
		}
		st, err := os.Stat(out)
		if err != nil || st.Sys().(*syscall.Stat_t).Uid != 65534 || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: the file is %v, %v", domain, st, err)
		}
	}
	// Nobody's job cannot write where root alone may.
	w.load("user/65534", "escape", shell("escape", "id", `<key>RunAtLoad</key><true/>
		<key>StandardOutPath</key><string>/etc/portcullis-test</string>`))
	w.until("it has ended", func() bool { e, _, _ := w.core.Info("user/65534", "escape"); return e.Status == 78 })
	text, _ := w.core.Print("user/65534", "escape")
	if !strings.Contains(text, "last spawn error = StandardOutPath: /etc/portcullis-test: permission denied") {
		t.Errorf("%s", text)
	}
}

// TestFIFO gives a job a standard output that nobody reads. It waits; launchd does not.
func TestFIFO(t *testing.T) {
	w := newWorld(t)
	fifo := w.dir + "/fifo"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.load(launchd.SystemDomain, "wait", shell("wait", "echo there", `<key>RunAtLoad</key><true/>
			<key>StandardOutPath</key><string>`+fifo+`</string>`))
		w.core.List(launchd.SystemDomain)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		os.OpenFile(fifo, os.O_RDWR, 0)
		t.Fatal("launchd waits for who reads from a FIFO")
	}
	b, err := os.ReadFile(fifo)
	if string(b) != "there\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestDatagramPath: a socket of datagrams takes the place of a socket, and of no other file.
func TestDatagramPath(t *testing.T) {
	w := newWorld(t)
	path := w.dir + "/precious"
	os.WriteFile(path, []byte("x"), 0o600)
	keys := shell("d", "true", `<key>Sockets</key><dict><key>s</key><dict><key>SockType</key><string>dgram</string>
		<key>SockPathName</key><string>`+path+`</string></dict></dict>`)
	if err := w.loadFile(launchd.SystemDomain, w.file("d", keys), asItIs); err == nil {
		t.Error("the socket was made")
	}
	if b, _ := os.ReadFile(path); string(b) != "x" {
		t.Error("the file is gone")
	}
	os.Remove(path)
	old, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	w.load(launchd.SystemDomain, "d", keys)
}

// TestInetd runs programs that speak on standard input and output: one for each connection, and one that gets the
// listening socket.
func TestInetd(t *testing.T) {
	w := newWorld(t)
	inetd := func(label, command, wait string) {
		w.load(launchd.SystemDomain, label, shell(label, command, `<key>inetdCompatibility</key><dict><key>Wait</key><`+wait+
			`/></dict><key>Sockets</key><dict><key>s</key><dict><key>SockPathName</key><string>`+w.dir+`/`+label+
			`</string></dict></dict>`))
	}
	inetd("each", `read a; echo $$ $a ${LISTEN_FDS-none}`, "false")
	var all [3]net.Conn
	for i := range all {
		var err error
		if all[i], err = net.Dial("unix", w.dir+"/each"); err != nil {
			t.Fatal(err)
		}
	}
	pids := map[string]bool{}
	for i := len(all) - 1; i >= 0; i-- { // all are served at once
		all[i].SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(all[i], "line%d\n", i)
		b, err := io.ReadAll(all[i])
		f := strings.Fields(string(b))
		if err != nil || len(f) != 3 || f[1] != fmt.Sprintf("line%d", i) || f[2] != "none" || pids[f[0]] {
			t.Errorf("answer %q, %v", b, err)
		} else {
			pids[f[0]] = true
		}
		all[i].Close()
	}
	if e := w.entry("each"); e.PID == 0 {
		t.Error("nobody accepts any more")
	}
	out := w.dir + "/fds"
	inetd("wait", `readlink /proc/$$/fd/0 &gt; `+out, "true")
	c, err := net.Dial("unix", w.dir+"/wait")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w.until("it has looked", func() bool { b, _ := os.ReadFile(out); return strings.HasPrefix(string(b), "socket:") })
}
