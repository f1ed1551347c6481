//go:build linux

package linux

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// Process is a Linux process that is a task.
type Process struct {
	Task    *object.Task
	PID     int
	UID     int
	GID     int
	Path    string   // what Linux executes; empty if Linux does not say
	Parent  *Process // nil for those that inherit from nobody
	Started time.Time

	kernel *Kernel
	start  uint64 // when Linux started it, see startOf
	bye    bool   // it has left of itself
	socket trap.Socket
	flags  uint32
	pidfd  *os.File
	mapped sync.RWMutex // held while area is used, other than by listen
	area   *trap.Memory
	stops  stops
	files  atomic.Int64 // open in the kernel because of the process
	large  atomic.Int64 // bytes of large buffers that hold what it sent

	landings landings

	faults [trap.AreaRecords]atomic.Bool // records of faults that are being delivered
	deaf   atomic.Int64                  // when a thread last did not stop, by monotonic

	dying   atomic.Bool // it violated a restriction, or crashed
	dropped atomic.Bool // it did not keep to the protocol

	wide atomic.Int64 // bytes of lanes that are in use, beyond what each may keep

	mu      sync.Mutex
	gone    bool
	next    uint32
	lanes   map[uint32]*lane
	threads map[int]*thread // by Linux thread id
	work    sync.WaitGroup  // lanes
	errand  *ipc.Thread     // tells of the corpse; nil unless the process dies so
}

// Name returns the name of the program.
func (p *Process) Name() string {
	if p.Path == "" {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID))
		return strings.TrimSuffix(string(name), "\n")
	}
	return filepath.Base(p.Path)
}

// Threads returns the Linux thread ids of the threads that are Mach threads.
func (p *Process) Threads() map[int]*object.Thread {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[int]*object.Thread, len(p.threads))
	for tid, t := range p.threads {
		all[tid] = t.object
	}
	return all
}

// attach speaks with a new connection until it ends.
func (k *Kernel) attach(conn *net.UnixConn) {
	s := trap.Socket{Conn: conn}
	pid, ok := k.greet(conn)
	if !ok {
		refuse(&s, trap.Hello, unix.EAGAIN,
			fmt.Errorf("process %d has %d connections on which it says nothing", pid, maxGreetings))
		k.log.Warn("a process connects too often", "pid", pid)
		return
	}
	greeted := sync.OnceFunc(func() { k.greeted(pid) })
	defer greeted()
	conn.SetReadDeadline(time.Now().Add(helloTime))
	var hello trap.Packet
	f, err := s.Receive(&hello)
	if f != nil {
		f.Close()
	}
	if err == nil && k.tell(&s, &hello) {
		return
	}
	if err != nil || hello.Kind != trap.Hello {
		k.log.Warn("a connection that does not say hello", "error", err)
		return
	}
	conn.SetReadDeadline(time.Time{})
	p, errno, err := k.admit(s, &hello)
	if err != nil {
		refuse(&s, trap.Hello, errno, err)
		k.log.Warn("a process cannot be a task", "error", err)
		return
	}
	greeted()
	defer p.end()
	if k.config.Started != nil {
		k.config.Started(p)
	}
	err = p.socket.Send(&trap.Packet{Kind: trap.Hello}, p.area.File)
	p.area.CloseFile()
	if err == nil {
		err = p.listen()
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		k.log.Debug("a process has hung up", "pid", p.PID, "reason", err)
	}
}

// refuse tells a process why it does not get what it asked for with a packet of a kind.
func refuse(s *trap.Socket, kind trap.Kind, errno unix.Errno, err error) error {
	answer := trap.Packet{Kind: kind, A: uint32(errno)}
	answer.SetText(err.Error())
	return s.Send(&answer, nil)
}

// greet counts a connection that has not said hello; false if its process has too many of them.
func (k *Kernel) greet(conn *net.UnixConn) (pid int, ok bool) {
	if cred, err := credentials(conn); err == nil {
		pid = int(cred.Pid)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.greetings[pid] >= maxGreetings {
		return pid, false
	}
	k.greetings[pid]++
	return pid, true
}

func (k *Kernel) greeted(pid int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.greetings[pid]--; k.greetings[pid] == 0 {
		delete(k.greetings, pid)
	}
}

// admit makes the process at the other end of the socket a task.
func (k *Kernel) admit(s trap.Socket, hello *trap.Packet) (*Process, unix.Errno, error) {
	if hello.A != trap.Version {
		return nil, unix.EPROTONOSUPPORT, fmt.Errorf("the program speaks version %d, the kernel %d: build it anew",
			hello.A, trap.Version)
	}
	cred, pidfd, err := peerOf(s.Conn)
	if err != nil {
		return nil, unix.ESRCH, err
	}
	p := &Process{PID: int(cred.Pid), UID: int(cred.Uid), GID: int(cred.Gid), Started: time.Now(), kernel: k, socket: s,
		flags: hello.B, pidfd: pidfd, lanes: map[uint32]*lane{},
		threads: map[int]*thread{}}
	p.start = startOf(p.PID)
	var left *object.Inheritance
	abandon := func(errno unix.Errno, err error) (*Process, unix.Errno, error) {
		if left != nil {
			left.Release()
		}
		if p.area != nil {
			p.area.Close()
		}
		pidfd.Close()
		return nil, errno, err
	}
	// A process that cannot be traced (PR_SET_DUMPABLE) does not show its program to a kernel without privileges.
	p.Path, err = os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID))
	if err != nil && !errors.Is(err, os.ErrPermission) {
		return abandon(unix.EACCES, fmt.Errorf("cannot tell what program process %d runs: %w", p.PID, err))
	}
	p.Path = strings.TrimSuffix(p.Path, " (deleted)")
	prog := &Program{PID: p.PID, UID: p.UID, GID: p.GID, Path: p.Path}
	if hello.Token != (trap.Token{}) {
		f := k.takeFork(hello.Token)
		if f == nil {
			return abandon(unix.EPERM, fmt.Errorf("process %d shows a token that is not good", p.PID))
		}
		prog.Parent, prog.Forked = f.parent, f.parent.Path == p.Path
		left = f.left
	} else {
		prog.Parent = k.ancestor(p.PID)
		left = k.succession(p)
	}
	p.Parent = prog.Parent
	known, err := k.config.Admit(prog)
	if err != nil {
		return abandon(unix.EACCES, err)
	}
	if p.area, err = trap.NewMemory("area", trap.AreaSize); err != nil {
		return abandon(unix.ENOMEM, err)
	}
	c := object.TaskConfig{PID: int32(p.PID), Restrict: known, Memory: memory{k}, Process: p, Enroll: p.enroll,
		Root: p.UID == 0, Inherit: left,
		Identity: ipc.Identity{Security: [2]uint32{cred.Uid, cred.Gid}, Audit: mach.AuditToken{cred.Uid, cred.Uid, cred.Gid,
			cred.Uid, cred.Gid, uint32(cred.Pid), 0, k.version.Add(1)}}}
	if p.Parent != nil {
		c.Parent = p.Parent.Task
	}
	// A process that has just replaced its program has hung up with the old one, but we may not have heard yet.
	for wait := time.Millisecond; ; wait *= 2 {
		if p.Task, err = k.NewTask(c); err == nil {
			break
		}
		if wait > time.Second {
			return abandon(unix.EBUSY, fmt.Errorf("process %d is a task already", p.PID))
		}
		time.Sleep(wait)
	}
	k.mu.Lock()
	closed := k.closed
	if !closed {
		k.processes[p.PID] = p
	}
	k.mu.Unlock()
	if closed {
		p.Task.Terminate()
		return abandon(unix.ESHUTDOWN, errors.New("the kernel is shutting down"))
	}
	k.wait.Go(p.watch)
	return p, 0, nil
}

// credentials asks Linux who is at the other end.
func credentials(conn *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fault error
	if err := raw.Control(func(s uintptr) {
		cred, fault = unix.GetsockoptUcred(int(s), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	if fault == nil && cred.Pid <= 0 {
		fault = errors.New("the process is in a name space of process ids that the kernel does not see")
	}
	if fault != nil {
		return nil, fmt.Errorf("cannot tell who connects: %w", fault)
	}
	return cred, nil
}

// peerOf asks Linux who is at the other end, and for a pidfd of it.
func peerOf(conn *net.UnixConn) (*unix.Ucred, *os.File, error) {
	cred, err := credentials(conn)
	if err != nil {
		return nil, nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	fd := -1
	var fault error
	if err := raw.Control(func(s uintptr) {
		if fd, fault = unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_PEERPIDFD); fault != nil {
			fd, fault = unix.PidfdOpen(int(cred.Pid), 0) // before Linux 6.5
		}
	}); err != nil {
		return nil, nil, err
	}
	if fault != nil {
		return nil, nil, fmt.Errorf("cannot tell who connects: %w", fault)
	}
	unix.CloseOnExec(fd)
	unix.SetNonblock(fd, true)
	return cred, os.NewFile(uintptr(fd), "pidfd"), nil
}

// ancestor returns the nearest ancestor of a process that is a task.
func (k *Kernel) ancestor(pid int) *Process {
	for range 64 {
		parent, ok := parentOf(pid)
		if !ok || parent <= 1 {
			return nil
		}
		if p := k.Find(parent); p != nil {
			return p
		}
		pid = parent
	}
	return nil
}

// parentOf reads the parent's process id.
func parentOf(pid int) (int, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The name of the program is in parentheses and may hold anything.
	_, rest, ok := strings.Cut(string(b[max(0, strings.LastIndexByte(string(b), ')')):]), ") ")
	var state string
	var ppid int
	if !ok {
		return 0, false
	}
	if _, err := fmt.Sscan(rest, &state, &ppid); err != nil {
		return 0, false
	}
	return ppid, true
}

// watch waits for the end of the process, which the socket does not tell if somebody else holds it.
func (p *Process) watch() {
	defer p.pidfd.Close()
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return
	}
	raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, _ := unix.Poll(poll, 0)
		return n > 0
	})
	p.socket.Conn.Close()
}

// alive says that the process has not ended.
func (p *Process) alive() bool { return p.signal(0) == nil }

// signal sends a signal to the process, and never to another that has its id.
func (p *Process) signal(s unix.Signal) error {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var fault error
	if err := raw.Control(func(fd uintptr) { fault = unix.PidfdSendSignal(int(fd), s, nil, 0) }); err != nil {
		return err
	}
	return fault
}

// Kill ends the process.
func (p *Process) Kill() { p.signal(unix.SIGKILL) }

// misbehaves ends a process that does not keep to the protocol.
func (p *Process) misbehaves(how string) {
	p.kernel.log.Warn("a process is ended", "pid", p.PID, "program", p.Path, "why", how)
	if p.kernel.config.Dropped != nil && p.dropped.CompareAndSwap(false, true) && p.alive() {
		p.kernel.config.Dropped(p, how)
	}
	p.Kill()
	p.socket.Conn.Close()
}

// listen answers the packets of the process.
func (p *Process) listen() error {
	var in trap.Packet
	for {
		f, err := p.socket.Receive(&in)
		if err != nil {
			if errors.Is(err, trap.ErrPacket) {
				p.misbehaves(err.Error())
			}
			return err
		}
		if in.Kind == trap.Give {
			err = p.give(&in, f)
			f = nil
		} else {
			err = p.packet(&in)
		}
		if f != nil {
			f.Close()
		}
		if err != nil {
			if !errors.Is(err, net.ErrClosed) && !errors.Is(err, unix.EPIPE) { // else it has left
				p.misbehaves(err.Error())
			}
			return err
		}
	}
}

// packet answers one packet other than Give. An error ends the process.
func (p *Process) packet(in *trap.Packet) error {
	out := trap.Packet{Kind: in.Kind}
	switch in.Kind {
	case trap.Doorbell:
		if l := p.lane(in.A); l != nil {
			l.ring()
		}
		return nil
	case trap.Interrupt:
		if l := p.lane(in.A); l != nil {
			l.thread.IPC.Interrupt()
		}
		return nil
	case trap.Fault:
		return p.fault(in.A)
	case trap.Lane:
		l, err := p.newLane(int(in.A))
		if err != nil {
			return refuse(&p.socket, in.Kind, unix.EAGAIN, err)
		}
		out.B = l.index
		err = p.socket.Send(&out, l.mem.File)
		l.mem.CloseFile()
		return err
	case trap.Fork:
		token, err := p.kernel.newFork(p)
		if err != nil {
			return refuse(&p.socket, in.Kind, unix.EAGAIN, err)
		}
		out.Token = token
		return p.socket.Send(&out, nil)
	case trap.Take:
		var f *passed
		if in.C != 0 {
			if file := p.landings.take(in.C); file != nil {
				f = p.hold(file)
			}
		} else if l := p.lane(in.A); l != nil {
			f = l.bulk.takeOut(in.B)
		}
		if f == nil || f.File == nil {
			return refuse(&p.socket, in.Kind, unix.ENOENT, errors.New("there is no such memory to take"))
		}
		defer f.Close()
		out.B = f.taken()
		return p.socket.Send(&out, f.File)
	case trap.Return:
		p.landings.back(in.A, in.B == trap.Kept)
		return nil
	case trap.Bye:
		p.bye = true
		return net.ErrClosed
	}
	return fmt.Errorf("%w: kind %d", trap.ErrPacket, in.Kind)
}

func (p *Process) lane(index uint32) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lanes[index]
}

// give takes a memory file for a request that is about to come.
func (p *Process) give(in *trap.Packet, f *os.File) error {
	if f == nil {
		return fmt.Errorf("%w: no memory is given", trap.ErrPacket)
	}
	l := p.lane(in.A)
	if l == nil || in.B >= trap.OOLMax {
		f.Close()
		return fmt.Errorf("%w: memory is given for no lane", trap.ErrPacket)
	}
	l.bulk.putIn(in.B, p.hold(f))
	return nil
}

// newLane makes a thread of the process a Mach thread.
func (p *Process) newLane(tid int) (*lane, error) {
	p.mu.Lock()
	n := len(p.lanes)
	p.mu.Unlock()
	if n >= maxLanes {
		p.reap()
		return nil, fmt.Errorf("process %d has %d threads, the most there may be", p.PID, maxLanes)
	}
	if p.kernel.lanes.Add(1) > maxAllLanes {
		p.kernel.lanes.Add(-1)
		return nil, fmt.Errorf("there are %d threads, the most there may be", maxAllLanes)
	}
	l, err := p.makeLane(tid)
	if err != nil {
		p.kernel.lanes.Add(-1)
	}
	return l, err
}

// reap ends the lanes of threads that have ended without a word.
func (p *Process) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		if l.tid == 0 {
			continue
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.PID, l.tid)); errors.Is(err, os.ErrNotExist) {
			l.end()
		}
	}
}

func (p *Process) makeLane(tid int) (*lane, error) {
	t, err := p.threadFor(tid)
	if err != nil {
		return nil, err
	}
	abandon := func(err error) (*lane, error) {
		if tid == 0 {
			t.object.Terminate()
		}
		return nil, err
	}
	mem, err := trap.NewMemory("lane", trap.LaneSize)
	if err != nil {
		return abandon(err)
	}
	l := &lane{process: p, tid: tid, thread: t.object, mem: mem, c: mem.Control()}
	l.grown, l.wake = l.grow, l.wakeup
	l.c.KernelState = trap.KernelAsleep
	l.bulk.init()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || l.thread.Owner != nil {
		mem.Close()
		return abandon(fmt.Errorf("thread %d has a lane already", tid))
	}
	l.thread.Owner = l
	l.index = p.next
	p.next++
	p.lanes[l.index] = l
	p.work.Add(1)
	return l, nil
}

// laneDone frees what a lane had; whoever owns it calls it last.
func (p *Process) laneDone(l *lane) {
	defer p.work.Done()
	p.mu.Lock()
	delete(p.lanes, l.index)
	p.mu.Unlock()
	if l.tid == 0 {
		l.thread.Terminate()
	} else {
		p.forgetThread(l.tid)
	}
	for _, p := range l.placed {
		if p.bulk != nil {
			p.bulk.close()
		}
	}
	p.wide.Add(-int64(l.wideIn + l.wideOut))
	l.bring()
	l.bulk.close()
	l.mem.Close()
	p.kernel.lanes.Add(-1)
}

// end ends the task.
func (p *Process) end() {
	k := p.kernel
	p.mu.Lock()
	p.gone = true
	for _, l := range p.lanes {
		l.end()
	}
	if p.errand != nil {
		p.errand.Kill()
	}
	p.mu.Unlock()
	p.pidfd.SetReadDeadline(time.Unix(1, 0)) // ends watch
	p.stops.abandon()
	k.succeed(p)
	p.Task.Terminate()
	p.work.Wait()
	p.landings.close()
	p.socket.Conn.Close()
	p.mapped.Lock()
	p.area.Close()
	p.mapped.Unlock()
	k.mu.Lock()
	if k.processes[p.PID] == p {
		delete(k.processes, p.PID)
	}
	k.mu.Unlock()
	k.orphan(p)
	if k.config.Ended != nil {
		k.config.Ended(p)
	}
}
