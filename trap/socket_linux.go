package trap

import (
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PacketSize is the size of every packet in bytes.
const PacketSize = int(unsafe.Sizeof(Packet{}))

// ErrPacket is returned for a packet that has not the form of one.
var ErrPacket = errors.New("malformed packet")

// String returns the text of a packet.
func (p *Packet) String() string {
	for i, c := range p.Text {
		if c == 0 {
			return string(p.Text[:i])
		}
	}
	return string(p.Text[:])
}

// SetText puts a text into the packet, cut to fit.
func (p *Packet) SetText(s string) {
	p.Text = [96]byte{}
	copy(p.Text[:95], s)
}

// Socket sends and receives packets.
type Socket struct {
	Conn *net.UnixConn
	b    [PacketSize]byte
	oob  [64]byte // room for two descriptors, so that a second one is seen and closed
}

// Send sends a packet, with a file's descriptor if f is not nil. The file stays open. Send may be called by several
// goroutines at once.
func (s *Socket) Send(p *Packet, f *os.File) error {
	b := *(*[PacketSize]byte)(unsafe.Pointer(p))
	if f == nil {
		_, _, err := s.Conn.WriteMsgUnix(b[:], nil, nil)
		return err
	}
	return withFD(f, func(fd int) error {
		_, _, err := s.Conn.WriteMsgUnix(b[:], unix.UnixRights(fd), nil)
		return err
	})
}

// withFD lends the descriptor of a file. Other than [os.File.Fd] it leaves the file as it is: not to wait is a property
// of the open file, which others have, too.
func withFD(f *os.File, use func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if other := c.Control(func(fd uintptr) { err = use(int(fd)) }); other != nil {
		return other
	}
	return err
}

// Duplicate returns a file of its own for the same open file.
func Duplicate(f *os.File) (own *os.File, err error) {
	err = withFD(f, func(from int) error {
		fd, err := unix.FcntlInt(uintptr(from), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("duplicating %s: %w", f.Name(), err)
		}
		own = os.NewFile(uintptr(fd), f.Name())
		return nil
	})
	return own, err
}

// Receive receives a packet and the file that came with it, nil if none did. One goroutine receives.
func (s *Socket) Receive(p *Packet) (*os.File, error) {
	n, oobn, flags, _, err := s.Conn.ReadMsgUnix(s.b[:], s.oob[:])
	if err != nil {
		return nil, err
	}
	files, err := filesOf(s.oob[:oobn])
	if err == nil && (n != PacketSize || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || len(files) > 1) {
		err = fmt.Errorf("%w: %d bytes, %d descriptors", ErrPacket, n, len(files))
		if n == 0 {
			err = net.ErrClosed
		}
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, err
	}
	*(*[PacketSize]byte)(unsafe.Pointer(p)) = s.b
	if len(files) == 1 {
		return files[0], nil
	}
	return nil, nil
}

func filesOf(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	all, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPacket, err)
	}
	var files []*os.File
	for i := range all {
		fds, err := unix.ParseUnixRights(&all[i])
		if err != nil {
			continue // credentials or the like, which nobody asked for
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files, nil
}
