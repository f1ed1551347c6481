package task

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"portcullis.dev/trap"
)

// ErrNoKernel is returned where the program was not started under a kernel.
var ErrNoKernel = errors.New("there is no Mach kernel: " + trap.Environment + " is not set; use portcullis run")

// Task is this process as a task of a kernel.
type Task struct {
	socket trap.Socket

	mu sync.Mutex // questions on the socket are asked one at a time
}

// Join makes the process a task of the kernel that the environment names. A process is one task: join once.
func Join(ctx context.Context) (*Task, error) {
	path := os.Getenv(trap.Environment)
	if path == "" {
		return nil, ErrNoKernel
	}
	return JoinAt(ctx, path)
}

// JoinAt is [Join] with the path of the kernel's socket.
func JoinAt(ctx context.Context, path string) (*Task, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixpacket", path)
	if err != nil {
		return nil, fmt.Errorf("joining the kernel: %w", err)
	}
	t := &Task{socket: trap.Socket{Conn: conn.(*net.UnixConn)}}
	f, _, err := t.ask(&trap.Packet{Kind: trap.Hello, A: trap.Version, B: trap.HelloGo})
	if f != nil {
		f.Close() // Go programs handle their signals themselves
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("joining the kernel: %w", err)
	}
	return t, nil
}

// Close leaves the kernel: the task ends, with all its rights, and the process goes on.
func (t *Task) Close() error {
	t.socket.Send(&trap.Packet{Kind: trap.Bye}, nil)
	return t.socket.Conn.Close()
}

// ask sends a packet and receives the answer.
func (t *Task) ask(p *trap.Packet) (*os.File, *trap.Packet, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.socket.Send(p, nil); err != nil {
		return nil, nil, err
	}
	var answer trap.Packet
	f, err := t.socket.Receive(&answer)
	if err == nil && answer.Kind != p.Kind {
		err = trap.ErrPacket
	}
	if err == nil && answer.A != 0 {
		err = fmt.Errorf("%w: %v", unix.Errno(answer.A), answer.String())
	}
	if err != nil && f != nil {
		f.Close()
		f = nil
	}
	return f, &answer, err
}
