//go:build amd64 || arm64

package capture

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"portcullis.dev/crash/image"
	"portcullis.dev/crash/unwind"
)

const maxThreads = 4096

// Process takes a snapshot of a live process. It fails only where there is no such process. What cannot be read, or
// not in time, is missing, and Problems tells what. Threads run on afterwards.
//
// Nothing of the process is trusted, and it may end at any moment.
func Process(pid int, opts Options) (*Snapshot, error) {
	who, err := facts(pid)
	if err != nil {
		return nil, err
	}
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), opts.Timeout)
	defer cancel()
	// The work is done aside: a file on a file system that does not answer would hold us for ever.
	done := make(chan *Snapshot, 1)
	go func() {
		t := taker{ctx: ctx, pid: pid, opts: opts, out: &Snapshot{Facts: who}}
		t.take()
		done <- t.out
	}()
	select {
	case s := <-done:
		return s, nil
	case <-ctx.Done():
	}
	select { // it looks at the clock itself, as a rule
	case s := <-done:
		return s, nil
	case <-time.After(opts.Timeout / 4):
	}
	go func() { (<-done).Close() }()
	s := &Snapshot{Facts: who}
	s.given(opts)
	s.problem(fmt.Sprintf("the process could not be read within %v", opts.Timeout))
	return s, nil
}

// given makes threads of the registers that were handed in.
func (s *Snapshot) given(opts Options) {
	for tid, r := range opts.Registers {
		t := Thread{TID: tid, Registers: r, Triggered: tid == opts.Triggered}
		t.Frames, t.End = unwind.Walk(r, nil, func(uint64) *unwind.Code { return nil })
		s.Threads = append(s.Threads, t)
	}
	if _, ok := opts.Registers[opts.Triggered]; !ok && opts.Triggered != 0 {
		s.Threads = append(s.Threads, Thread{TID: opts.Triggered, Triggered: true})
	}
	s.sortThreads()
}

func (s *Snapshot) sortThreads() {
	main := func(t Thread) int {
		if t.TID == s.PID {
			return 0
		}
		return 1
	}
	slices.SortFunc(s.Threads, func(a, b Thread) int {
		return cmp.Or(cmp.Compare(main(a), main(b)), cmp.Compare(a.TID, b.TID))
	})
}

type taker struct {
	ctx  context.Context
	pid  int
	opts Options
	out  *Snapshot
}

func (t *taker) late() bool { return t.ctx.Err() != nil }

func (t *taker) take() {
	tids := t.threads()
	mem := &memory{pid: t.pid, more: t.opts.Memory}
	defer mem.Close()
	stopped := &tracees{}
	if t.opts.Stop == StopThreads {
		stopped = stop(t.ctx, tids, func(tid int) bool { _, ok := t.opts.Registers[tid]; return ok })
		defer stopped.release()
		if stopped.err != nil {
			t.out.problem(fmt.Sprintf("threads could not be stopped to read their registers: %v", stopped.err))
		}
	}
	maps := t.maps()
	if len(maps) > 0 {
		t.out.Images = image.Load(maps, t.out.Path, mem, t.open)
	}
	find := func(uint64) *unwind.Code { return nil }
	if t.out.Images != nil {
		find = t.out.Images.Find
	}
	for _, tid := range tids {
		th := Thread{TID: tid, Name: line(readProc(t.pid, fmt.Sprintf("task/%d/comm", tid))), Triggered: tid == t.opts.Triggered}
		regs, ok := t.opts.Registers[tid]
		if !ok {
			regs, ok = stopped.registers[tid]
		}
		if ok {
			th.Registers = regs
			if t.late() && !th.Triggered {
				th.Frames, th.End = []unwind.Frame{{PC: regs.PC(), Registers: regs}}, errors.New("there was no time left")
			} else {
				th.Frames, th.End = unwind.Walk(regs, mem, find)
			}
		}
		t.out.Threads = append(t.out.Threads, th)
	}
	if t.out.Images != nil {
		t.out.Images.Settle()
	}
	t.out.sortThreads()
	if t.late() {
		t.out.problem(fmt.Sprintf("reading the process took longer than %v; what was left is missing", t.opts.Timeout))
	}
}

// threads lists the ids of the threads, those that the caller knows included.
func (t *taker) threads() []int {
	var tids []int
	if d, err := os.Open(fmt.Sprintf("/proc/%d/task", t.pid)); err == nil {
		names, _ := d.Readdirnames(maxThreads + 1) // an error ends the list: the process has ended
		d.Close()
		for _, n := range names {
			if tid, err := strconv.Atoi(n); err == nil {
				tids = append(tids, tid)
			}
		}
		slices.Sort(tids)
		if len(tids) > maxThreads {
			tids = tids[:maxThreads]
			t.out.problem(fmt.Sprintf("the process has more than %d threads", maxThreads))
		}
	}
	for tid := range t.opts.Registers {
		tids = append(tids, tid)
	}
	if t.opts.Triggered != 0 {
		tids = append(tids, t.opts.Triggered)
	}
	slices.Sort(tids)
	tids = slices.Compact(tids)
	// The thread at fault first: time may run out.
	slices.SortStableFunc(tids, func(a, b int) int {
		return cmp.Compare(t.order(a), t.order(b))
	})
	return tids
}

func (t *taker) order(tid int) int {
	if tid == t.opts.Triggered {
		return 0
	}
	return 1
}

func (t *taker) maps() []image.Mapping {
	text, err := readProc(t.pid, "maps")
	if len(text) == 0 {
		text = t.opts.Maps
	}
	if len(text) == 0 {
		if err == nil {
			err = errors.New("it is empty")
		}
		t.out.problem(fmt.Sprintf("the memory map could not be read: %v", err))
		return nil
	}
	maps, err := image.ParseMaps(text)
	if err != nil {
		t.out.problem(err.Error())
	}
	return maps
}

// open opens the file of a mapping: by the mapping itself where we may, else by its name as the process sees it.
func (t *taker) open(m image.Mapping) (image.Opened, error) {
	if t.late() {
		return nil, context.DeadlineExceeded
	}
	paths := []string{fmt.Sprintf("/proc/%d/map_files/%x-%x", t.pid, m.Start, m.End)}
	if m.Path == t.out.Path {
		paths = append(paths, fmt.Sprintf("/proc/%d/exe", t.pid))
	}
	if !m.Deleted {
		paths = append(paths, fmt.Sprintf("/proc/%d/root%s", t.pid, m.Path), m.Path)
	}
	err := error(unix.ENOENT)
	for _, p := range paths {
		f, e := os.OpenFile(p, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0) // a pipe may have taken the file's place
		if e != nil {
			err = e
			continue
		}
		ino, regular, size := inode(f)
		if regular && ino == m.Inode {
			return &file{f, size}, nil
		}
		f.Close()
		err = errors.New("another file has taken its place")
	}
	return nil, err
}

type file struct {
	*os.File
	size int64
}

func (f *file) Size() int64 { return f.size }

// memory reads the memory of a process, by the first way that is allowed.
type memory struct {
	pid  int
	more Memory
	mem  *os.File
	shut bool // /proc/PID/mem cannot be opened
	gone atomic.Bool
}

// ReadAt reads at an address.
func (m *memory) ReadAt(p []byte, addr int64) (int, error) {
	if m.gone.Load() {
		return 0, errors.New("the process is not read any more")
	}
	if len(p) == 0 {
		return 0, nil
	}
	local := []unix.Iovec{{Base: &p[0]}}
	local[0].SetLen(len(p))
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}
	n, err := unix.ProcessVMReadv(m.pid, local, remote, 0)
	if n == len(p) {
		return n, nil
	}
	if !m.shut && m.mem == nil {
		f, e := os.Open(fmt.Sprintf("/proc/%d/mem", m.pid))
		if e != nil {
			m.shut = true
		} else {
			m.mem = f
		}
	}
	if m.mem != nil {
		if k, e := m.mem.ReadAt(p, addr); k > n {
			n, err = k, e
		}
	}
	if n < len(p) && m.more != nil {
		if k, e := m.more.ReadAt(p, addr); k > n {
			n, err = k, e
		}
	}
	n = max(n, 0)
	if n < len(p) && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close ends reading: later the process may have ended, and another may have its id.
func (m *memory) Close() {
	m.gone.Store(true)
	if m.mem != nil {
		m.mem.Close()
	}
}
