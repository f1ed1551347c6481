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
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("there is no kernel at %s: %w", socket, cause(err))
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	s := trap.Socket{Conn: c}
	if err := s.Send(&trap.Packet{Kind: trap.List}, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", socket, err)
	}
	var in trap.Packet
	f, err := s.Receive(&in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", socket, err)
	}
	if f == nil {
		return nil, fmt.Errorf("%s: %s", socket, in.String())
	}
	defer f.Close()
	l, err := lsmp.Read(io.NewSectionReader(f, 0, maxListing))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", socket, err)
	}
	return l, nil
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
		if c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"}); err == nil {
			c.Close()
			live = append(live, path)
		}
	}
	return live
}
