//go:build linux

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portcullis.dev/launchd"
	"portcullis.dev/launchd/activation"
	"portcullis.dev/sdk"
)

func init() {
	roles["activate"] = activate
	roles["child"] = func(_ context.Context, say func(string, ...any)) error {
		_, err := activation.Files(os.Args[1])
		say("%s", errno(err))
		return nil
	}
}

// errno is the name of an error that a C program would see.
func errno(err error) string {
	var e syscall.Errno
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	return unix.ErrnoName(e)
}

// activate is testdata/activate.c in Go.
func activate(_ context.Context, say func(string, ...any)) error {
	var said strings.Builder
	files := func(as, name string) int {
		all, err := activation.Files(name)
		if err != nil {
			fmt.Fprintf(&said, "%s %s ", as, errno(err))
			return 0
		}
		fmt.Fprintf(&said, "%s %d ", as, len(all))
		for _, f := range all {
			if n, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); n != unix.FD_CLOEXEC || err != nil {
				said.WriteString("open on exec ")
			}
		}
		return len(all)
	}
	var all []net.Listener
	var err error
	if len(os.Args) > 2 { // the first are taken as listeners
		if all, err = activation.Listeners(os.Args[1]); err != nil {
			return err
		}
		fmt.Fprintf(&said, "%s %d ", os.Args[1], len(all))
		for _, name := range os.Args[2:] {
			files(name, name)
		}
	} else {
		files(os.Args[1], os.Args[1])
	}
	files("again", os.Args[1])
	child := exec.Command("/proc/self/exe", os.Args[1])
	child.Env = append(os.Environ(), roleVariable+"=child")
	b, err := child.Output()
	if err != nil {
		return err
	}
	fmt.Fprintf(&said, "child %s ", strings.TrimSpace(string(b)))
	if len(all) == 0 {
		say("%s", said.String())
	}
	for _, l := range all {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		fmt.Fprintln(c, said.String())
		c.Close()
	}
	return nil
}

// TestActivateSocket lets programs take the sockets of their job: in C with either library, and in Go.
func TestActivateSocket(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles libraries")
	}
	dir := buildC(t)
	lib, err := sdk.Install(t.Context(), "cc")
	if err != nil {
		t.Fatal(err)
	}
	args := append(append([]string{"-Wall", "-Wextra", "-Werror", "-o", dir + "/activate-mach", "testdata/activate.c"},
		lib.Compile()...), lib.Link()...)
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	programs := map[string]string{"libxpc": dir + "/activate", "libmach": dir + "/activate-mach", "Go": os.Args[0]}
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			job := func(label, names, keys string) {
				w.load(launchd.SystemDomain, label, `<key>Label</key><string>`+label+`</string>
					<key>Program</key><string>`+program+`</string>
					<key>ProgramArguments</key><array><string>activate</string>`+names+`</array>
					<key>ThrottleInterval</key><integer>0</integer>
					<key>EnvironmentVariables</key><dict><key>`+roleVariable+`</key><string>activate</string></dict>
					<key>StandardErrorPath</key><string>`+w.dir+`/echo.err</string>
					<key>StandardOutPath</key><string>`+w.dir+`/`+label+`.out</string>`+keys)
			}
			socket := func(path string) string {
				return `<dict><key>SockPathName</key><string>` + w.dir + "/" + path + `</string></dict>`
			}
			job("two", `<string>b</string><string>c</string><string>none</string>`, `<key>Sockets</key><dict>
				<key>a</key>`+socket("a")+`<key>b</key><array>`+socket("b0")+socket("b1")+`</array>
				<key>c</key>`+socket("c")+`</dict>`)
			for range 2 { // what one program does to its sockets is not seen by the next
				for _, path := range []string{"b0", "b1"} {
					c, err := net.Dial("unix", w.dir+"/"+path)
					if err != nil {
						t.Fatal(err)
					}
					c.SetDeadline(time.Now().Add(20 * time.Second))
					b, err := io.ReadAll(c)
					c.Close()
					if want := "b 2 c 1 none ENOENT again EALREADY child ESRCH \n"; string(b) != want || err != nil {
						t.Fatalf("%s: %q, %v, want %q", path, b, err, want)
					}
				}
			}
			job("plain", `<string>b</string>`, `<key>RunAtLoad</key><true/>`)
			w.until("it has ended", func() bool { e := w.entry("plain"); return e.Ended })
			b, err := os.ReadFile(w.dir + "/plain.out")
			if want := "b ENOENT again ENOENT child ESRCH \n"; string(b) != want {
				t.Errorf("without sockets: %q, %v, want %q", b, err, want)
			}
			w.startProgram(program, "activate", "b").hears("b ESRCH again ESRCH child ESRCH ")
		})
	}
}
