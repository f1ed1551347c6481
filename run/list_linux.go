package run

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"portcullis.dev/kernel/lsmp"
	"portcullis.dev/trap"
)

// maxListing bounds what a kernel may tell, in bytes.
const maxListing = 1 << 30

// List asks the kernel at a socket for its tasks and ports.
func List(socket string) (*lsmp.Listing, error) {
	f, err := ask(socket, &trap.Packet{Kind: trap.List}, time.Minute)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l, err := lsmp.Read(io.NewSectionReader(f, 0, maxListing))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", socket, err)
	}
	return l, nil
}

// ask sends the kernel at a socket a question and returns the memory file with the answer.
func ask(socket string, question *trap.Packet, most time.Duration) (*os.File, error) {
	c, err := dial(socket)
	if err != nil {
		return nil, fmt.Errorf("there is no kernel at %s: %w", socket, cause(err))
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(most))
	s := trap.Socket{Conn: c}
	if err := s.Send(question, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", socket, err)
	}
	var in trap.Packet
	f, err := s.Receive(&in)
	if err == nil && f == nil {
		err = errors.New(in.String())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", socket, err)
	}
	return f, nil
}

func dial(socket string) (*net.UnixConn, error) {
	return net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
}

// cause leaves out what the message says already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Sockets returns the sockets of the kernels that [Start] has made in private folders and that still answer.
func Sockets() []string {
	all, _ := filepath.Glob(filepath.Join(os.TempDir(), "portcullis-*", "kernel"))
	var live []string
	for _, path := range all {
		if c, err := dial(path); err == nil {
			c.Close()
			live = append(live, path)
		}
	}
	return live
}
