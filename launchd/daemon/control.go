//go:build linux

package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"portcullis.dev/launchd"
	"portcullis.dev/xpc"
)

// Routines of launchctl, by Apple's numbers. A request over the control socket is a dictionary in XPC's form for byte
// streams, with its length in four bytes before it; so is the answer.
const (
	RoutineKickstart = 702
	RoutineBlame     = 707
	RoutinePrint     = 708 // a service
	RoutineLoad      = 800
	RoutineUnload    = 801
	RoutineEnable    = 808
	RoutineDisable   = 809
	RoutineKill      = 812
	RoutineStop      = 814
	RoutineRemove    = 816
	RoutineList      = 815
	RoutineDomain    = 828 // print a domain, or what is disabled in it
)

const maxControl = 16 << 20

// WriteControl writes a dictionary to a control socket.
func WriteControl(w io.Writer, d *xpc.Dictionary) error {
	b, err := xpc.Marshal(d)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// ReadControl reads a dictionary from a control socket.
func ReadControl(r io.Reader) (*xpc.Dictionary, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxControl {
		return nil, fmt.Errorf("a message of %d bytes is too large", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	v, err := xpc.Unmarshal(b)
	if err != nil {
		return nil, err
	}
	d, ok := v.(*xpc.Dictionary)
	if !ok {
		return nil, fmt.Errorf("the message is no dictionary")
	}
	return d, nil
}

// Ask sends a request to the launchd that listens at path and returns its answer. The error of a request that failed
// there is a *xpc.RemoteError.
func Ask(path string, routine uint64, d *xpc.Dictionary) (*xpc.Dictionary, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := WriteControl(c, d.Set("routine", xpc.Uint64(routine))); err != nil {
		return nil, err
	}
	answer, err := ReadControl(c)
	if err != nil {
		return nil, err
	}
	if n := answer.Int64("error"); n != 0 {
		return answer, &xpc.RemoteError{Message: answer.Text("message"), Code: n}
	}
	return answer, nil
}

func (d *Daemon) serveControl(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if err := d.control(c.(*net.UnixConn)); err != nil {
				d.log("control socket: %v", err)
			}
		}()
	}
}

// control answers the requests of one launchctl. Only the user that launchd runs for, and root, may ask.
func (d *Daemon) control(c *net.UnixConn) error {
	uid, err := peerUID(c)
	if err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	req, err := ReadControl(c)
	if err != nil {
		return err
	}
	answer := xpc.NewDictionary()
	if uid != 0 && int(uid) != os.Getuid() {
		err = syscall.EPERM
	} else {
		err = d.command(req, answer)
	}
	if err != nil {
		answer.Set("error", xpc.Int64(number(err))).Set("message", xpc.String(err.Error()))
	}
	return WriteControl(c, answer)
}

func peerUID(c *net.UnixConn) (uint32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var fault error
	if err := raw.Control(func(fd uintptr) {
		cred, fault = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if fault != nil {
		return 0, fault
	}
	return cred.Uid, nil
}

// number returns the error number that launchctl exits with.
func number(err error) int {
	var errno syscall.Errno
	switch {
	case errors.Is(err, launchd.ErrNoDomain):
		return 112
	case errors.Is(err, launchd.ErrNoService):
		return 113
	case errors.Is(err, launchd.ErrLoaded):
		return 37 // EALREADY of macOS
	case errors.Is(err, launchd.ErrDisabled):
		return 119
	case errors.Is(err, launchd.ErrNotAlive):
		return 3 // ESRCH
	case errors.As(err, &errno):
		return int(errno)
	case errors.Is(err, os.ErrNotExist):
		return 2
	}
	return 5 // EIO, what launchctl says when it knows nothing better
}

func (d *Daemon) command(req, answer *xpc.Dictionary) error {
	domain, label := req.Text("domain"), req.Text("name")
	if domain == "" {
		domain = d.c.Domain
	}
	core := d.core
	switch req.Uint64("routine") {
	case RoutineLoad:
		var errs []error
		for _, p := range req.Array("paths") {
			s, _ := p.(xpc.String)
			errs = append(errs, d.loadPath(domain, string(s), override(req.Bool("enable")))...)
		}
		return errors.Join(errs...)
	case RoutineUnload:
		return d.unload(domain, label, req.Array("paths"), override(req.Bool("disable")))
	case RoutineRemove:
		_, err := core.Unload(domain, label)
		return err
	case RoutineKickstart:
		r := launchd.LeaveRunning
		if req.Bool("kill") {
			r = launchd.KillFirst
		}
		pid, err := core.Kickstart(domain, label, r)
		answer.Set("pid", xpc.Int64(pid))
		return err
	case RoutineKill:
		return core.Kill(domain, label, syscall.Signal(req.Int64("signal")))
	case RoutineStop:
		return core.Stop(domain, label)
	case RoutineEnable:
		return core.Enable(domain, label, launchd.On)
	case RoutineDisable:
		return core.Enable(domain, label, launchd.Off)
	case RoutineBlame:
		r, err := core.Blame(domain, label)
		answer.Set("reason", xpc.String(r))
		return err
	case RoutinePrint:
		text, err := core.Print(domain, label)
		answer.Set("text", xpc.String(text))
		return err
	case RoutineDomain:
		show := core.PrintDomain
		if req.Bool("disabled") {
			show = core.PrintDisabled
		}
		text, err := show(domain)
		answer.Set("text", xpc.String(text))
		return err
	case RoutineList:
		return d.list(domain, label, answer)
	}
	return &xpc.RemoteError{Message: "not implemented", Code: errNotImplemented}
}

func (d *Daemon) unload(domain, label string, paths xpc.Array, o override) error {
	var errs []error
	var wait []<-chan struct{}
	for _, p := range paths {
		s, _ := p.(xpc.String)
		j, err := d.parseFile(string(s))
		if err == nil && o {
			err = d.core.Enable(domain, j.Label, launchd.Off)
		}
		if err == nil {
			var gone <-chan struct{}
			if gone, err = d.core.Unload(domain, j.Label); err == nil {
				wait = append(wait, gone)
			}
		}
		errs = append(errs, err)
	}
	if len(paths) == 0 {
		var gone <-chan struct{}
		var err error
		if label == "" {
			gone, err = d.core.UnloadDomain(domain)
		} else {
			gone, err = d.core.Unload(domain, label)
		}
		if err != nil {
			return err
		}
		wait = append(wait, gone)
	}
	for _, c := range wait {
		<-c
	}
	return errors.Join(errs...)
}

func (d *Daemon) list(domain, label string, answer *xpc.Dictionary) error {
	if label != "" {
		e, j, err := d.core.Info(domain, label)
		if err != nil {
			return err
		}
		args := make(xpc.Array, 0, len(j.Arguments))
		for _, a := range j.Arguments {
			args = append(args, xpc.String(a))
		}
		names := xpc.NewDictionary()
		for _, s := range j.Services {
			names.Set(s.Name, xpc.Bool(true))
		}
		service := entry(e).Set("Program", xpc.String(j.Program)).Set("ProgramArguments", args).
			Set("Label", xpc.String(label))
		if names.Len() > 0 {
			service.Set("MachServices", names)
		}
		answer.Set("service", service)
		return nil
	}
	all, err := d.core.List(domain)
	if err != nil {
		return err
	}
	services := xpc.NewDictionary()
	for _, e := range all {
		services.Set(e.Label, entry(e))
	}
	answer.Set("services", services)
	return nil
}

func entry(e launchd.Entry) *xpc.Dictionary {
	return xpc.NewDictionary().Set("pid", xpc.Int64(e.PID)).Set("status", xpc.Int64(e.Status)).
		Set("ended", xpc.Bool(e.Ended))
}
