//go:build linux

package linux

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"portcullis.dev/trap"
)

// list answers a connection that asks what the kernel holds.
func (k *Kernel) list(s *trap.Socket) {
	out := trap.Packet{Kind: trap.List}
	f, errno, err := k.listing(s)
	if err != nil {
		out.A = uint32(errno)
		out.SetText(err.Error())
		s.Send(&out, nil)
		return
	}
	defer f.Close()
	s.Send(&out, f)
}

func (k *Kernel) listing(s *trap.Socket) (*os.File, unix.Errno, error) {
	cred, pidfd, err := peerOf(s.Conn)
	if err != nil {
		return nil, unix.ESRCH, err
	}
	pidfd.Close()
	switch {
	case k.config.List == nil:
		return nil, unix.ENOTSUP, errors.New("this kernel does not tell what it holds")
	case cred.Uid != 0 && int(cred.Uid) != os.Geteuid():
		return nil, unix.EPERM, fmt.Errorf("the kernel is that of user %d", os.Geteuid())
	}
	var b bytes.Buffer
	if err := k.config.List(&b); err != nil {
		return nil, unix.EIO, err
	}
	f, err := trap.NewBulk(b.Bytes())
	if err != nil {
		return nil, unix.ENOMEM, err
	}
	return f, 0, nil
}
