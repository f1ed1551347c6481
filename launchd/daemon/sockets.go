//go:build linux

package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"portcullis.dev/launchd"
)

// listeners opens sockets. It implements launchd.Listeners.
type listeners struct{}

// sockets are the open sockets of a job. It implements launchd.SocketSet.
type sockets struct {
	names []string
	open  []*os.File
	paths []string // to be removed
	env   []string

	mu     sync.Mutex
	cancel context.CancelFunc
}

// Open implements launchd.Listeners.
func (listeners) Open(j *launchd.Job) (launchd.SocketSet, error) {
	s := &sockets{}
	for i := range j.Sockets {
		if err := s.add(&j.Sockets[i]); err != nil {
			s.Close()
			return nil, fmt.Errorf("socket %s: %w", j.Sockets[i].Name, err)
		}
	}
	return s, nil
}

func (s *sockets) add(c *launchd.Socket) error {
	var l interface{ File() (*os.File, error) }
	var err error
	ctx := context.Background()
	var lc net.ListenConfig
	switch {
	case c.Path != "" || c.Env != "":
		path := c.Path
		if path == "" {
			dir, err := os.MkdirTemp("", "launchd-")
			if err != nil {
				return err
			}
			path = dir + "/" + c.Env
			s.env = append(s.env, c.Env+"="+path)
			s.paths = append(s.paths, dir)
		}
		network := map[string]string{"stream": "unix", "dgram": "unixgram", "seqpacket": "unixpacket"}[c.Type]
		if network == "unixgram" {
			if st, err := os.Lstat(path); err == nil && st.Mode().Type() == os.ModeSocket {
				os.Remove(path) // of a launchd that is gone
			}
			var p *net.UnixConn
			p, err = net.ListenUnixgram(network, &net.UnixAddr{Name: path, Net: network})
			l = p
		} else {
			var u *net.UnixListener
			if u, err = listen(network, path); err == nil {
				u.SetUnlinkOnClose(false)
			}
			l = u
		}
		if err == nil {
			s.paths = append(s.paths, path)
			if c.PathMode != 0 {
				err = os.Chmod(path, os.FileMode(c.PathMode))
			}
		}
	case c.Type == "dgram":
		var p net.PacketConn
		if p, err = lc.ListenPacket(ctx, "udp"+family(c), net.JoinHostPort(c.Node, c.Service)); err == nil {
			l = p.(*net.UDPConn)
		}
	case !c.Passive:
		return fmt.Errorf("SockPassive false is not supported")
	default:
		var t net.Listener
		if t, err = lc.Listen(ctx, "tcp"+family(c), net.JoinHostPort(c.Node, c.Service)); err == nil {
			l = t.(*net.TCPListener)
		}
	}
	if err != nil {
		return err
	}
	f, err := l.File()
	l.(interface{ Close() error }).Close()
	if err != nil {
		return err
	}
	s.open = append(s.open, f)
	s.names = append(s.names, c.Name)
	return nil
}

func family(c *launchd.Socket) string {
	switch c.Family {
	case "IPv4":
		return "4"
	case "IPv6":
		return "6"
	}
	return ""
}

func (s *sockets) files() []*os.File { return s.open }

func (s *sockets) variables() []string {
	return append([]string{"LISTEN_FDNAMES=" + strings.Join(s.names, ":")}, s.env...)
}

// Watch implements launchd.SocketSet.
func (s *sockets) Watch(ready func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	var fds []unix.PollFd
	for _, f := range s.open {
		fds = append(fds, unix.PollFd{Fd: int32(f.Fd()), Events: unix.POLLIN})
	}
	go func() {
		for ctx.Err() == nil {
			n, err := unix.Poll(fds, int(time.Second/time.Millisecond))
			if err != nil && err != unix.EINTR {
				return
			}
			if n > 0 && ctx.Err() == nil {
				ready()
				return
			}
		}
	}()
}

// Unwatch implements launchd.SocketSet.
func (s *sockets) Unwatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
	}
}

// Close implements launchd.SocketSet.
func (s *sockets) Close() {
	s.Unwatch()
	for _, f := range s.open {
		f.Close()
	}
	for _, p := range s.paths {
		os.Remove(p)
	}
	for _, p := range s.paths { // directories, which are empty now
		os.Remove(p)
	}
}
