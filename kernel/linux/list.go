//go:build linux

package linux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"portcullis.dev/trap"
)

// tell answers a connection that asks what the kernel holds, or what has befallen a process. It says whether it was one.
func (k *Kernel) tell(s *trap.Socket, in *trap.Packet) bool {
	var write func(io.Writer) error
	switch {
	case in.Kind != trap.List && in.Kind != trap.Fate:
		return false
	case in.Kind == trap.List:
		write = k.config.List
	case k.config.Fate != nil:
		write = func(w io.Writer) error { return k.config.Fate(int(in.A), w) }
	}
	f, errno, err := k.told(s, write)
	if err != nil {
		refuse(s, in.Kind, errno, err)
		return true
	}
	defer f.Close()
	s.Send(&trap.Packet{Kind: in.Kind}, f)
	return true
}

func (k *Kernel) told(s *trap.Socket, write func(io.Writer) error) (*os.File, unix.Errno, error) {
	cred, err := credentials(s.Conn)
	if err != nil {
		return nil, unix.ESRCH, err
	}
	switch {
	case write == nil:
		return nil, unix.ENOTSUP, errors.New("this kernel does not tell that")
	case cred.Uid != 0 && int(cred.Uid) != os.Geteuid():
		return nil, unix.EPERM, fmt.Errorf("the kernel is that of user %d", os.Geteuid())
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return nil, unix.EIO, err
	}
	f, err := trap.NewBulk(b.Bytes())
	if err != nil {
		return nil, unix.ENOMEM, err
	}
	return f, 0, nil
}
