//go:build linux

package daemon

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"portcullis.dev/launchd"
)

// inetdIdle is how long a process that accepts connections for a job waits for another one when it has none.
const inetdIdle = 30 * time.Second

// serveInetd is what the process of a job with inetdCompatibility does. With Wait it becomes the program, which has the
// listening socket as its standard input and output. Without, it accepts connections and starts a program for each,
// which has the connection there; launchproxy does that on macOS. A socket that takes no connections is always handed
// over.
func (p *preparation) serveInetd() error {
	if p.Sockets != 1 {
		return fmt.Errorf("inetdCompatibility: one socket is wanted, there are %d", p.Sockets)
	}
	const fd = 3
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return err
	}
	if p.Inetd == launchd.InetdWait || listens == 0 {
		for n := range 3 {
			if n == 2 && p.Err != "" {
				continue
			}
			if err := unix.Dup3(fd, n, 0); err != nil {
				return err
			}
		}
		unix.CloseOnExec(fd)
		return p.exec(withoutSockets())
	}
	f := os.NewFile(fd, "socket")
	l, err := net.FileListener(f)
	if err != nil {
		return err
	}
	f.Close()
	p.accept(l.(inetdListener))
	os.Exit(0)
	return nil
}

// inetdListener is a listener whose Accept can be given a time.
type inetdListener interface {
	net.Listener
	SetDeadline(time.Time) error
}

// accept starts programs until nobody has come for a while and none is left.
func (p *preparation) accept(l inetdListener) {
	running, ended := 0, make(chan struct{})
	for {
		l.SetDeadline(time.Now().Add(inetdIdle))
		c, err := l.Accept()
		for done := false; !done; {
			select {
			case <-ended:
				running--
			default:
				done = true
			}
		}
		switch {
		case err == nil:
			if p.serve(c, ended) == nil {
				running++
			}
		case os.IsTimeout(err) && running > 0:
		default:
			return
		}
	}
}

func (p *preparation) serve(c net.Conn, ended chan<- struct{}) error {
	defer c.Close()
	f, err := c.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return err
	}
	defer f.Close()
	syscall.SetNonblock(int(f.Fd()), false)
	cmd := &exec.Cmd{Path: p.Program, Args: p.Arguments, Env: withoutSockets(), Stdin: f, Stdout: f, Stderr: f}
	if p.Err != "" {
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Program, err)
		return err
	}
	go func() {
		cmd.Wait()
		ended <- struct{}{}
	}()
	return nil
}
