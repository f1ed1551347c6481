//go:build linux

package linux

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"portcullis.dev/kernel/object"
	"portcullis.dev/trap"
)

// thread is a Linux thread that is a Mach thread: because it makes calls, or because something befell it.
type thread struct {
	object    *object.Thread
	registers *registers
}

// threadFor returns the Mach thread for a new lane. Thread id 0 means one that is bound to no Linux thread, as the threads
// of Go programs are: it has no registers.
func (p *Process) threadFor(tid int) (*thread, error) {
	if tid != 0 {
		return p.thread(tid)
	}
	th, kr := p.Task.NewThread(object.PThread, newParker(p.kernel), nil)
	if kr != 0 {
		return nil, fmt.Errorf("no thread can be made: %w", kr)
	}
	return &thread{object: th}, nil
}

// thread returns the Mach thread of a Linux thread of the process, and makes it if it is not there.
func (p *Process) thread(tid int) (*thread, error) {
	p.mu.Lock()
	t, gone := p.threads[tid], p.gone
	p.mu.Unlock()
	switch {
	case gone:
		return nil, os.ErrProcessDone
	case t != nil:
		return t, nil
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.PID, tid)); err != nil {
		return nil, fmt.Errorf("process %d has no thread %d", p.PID, tid)
	}
	kind := object.PThread
	if tid == p.PID {
		kind = object.MainThread
	}
	r := &registers{process: p, tid: tid}
	th, kr := p.Task.NewThread(kind, newParker(p.kernel), r)
	if kr != 0 {
		return nil, fmt.Errorf("no thread can be made: %w", kr)
	}
	t = &thread{th, r}
	p.mu.Lock()
	if other := p.threads[tid]; other != nil || p.gone {
		p.mu.Unlock()
		r.ended = true
		th.Terminate()
		if other == nil {
			return nil, os.ErrProcessDone
		}
		return other, nil
	}
	p.threads[tid] = t
	p.mu.Unlock()
	return t, nil
}

// enroll makes Mach threads of all Linux threads that can be stopped, and ends those whose Linux thread is gone.
func (p *Process) enroll() {
	if p.flags&trap.HelloRecords == 0 {
		return
	}
	for _, tid := range p.tids() {
		p.thread(tid)
	}
	p.mu.Lock()
	known := slices.Collect(maps.Keys(p.threads))
	p.mu.Unlock()
	for _, tid := range known {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.PID, tid)); errors.Is(err, os.ErrNotExist) {
			p.forgetThread(tid)
		}
	}
}

// forgetThread ends a Mach thread whose Linux thread has ended.
func (p *Process) forgetThread(tid int) {
	p.mu.Lock()
	t := p.threads[tid]
	delete(p.threads, tid)
	p.mu.Unlock()
	if t != nil {
		t.object.Terminate()
	}
}

// tids returns the ids of the threads that Linux knows.
func (p *Process) tids() (tids []int) {
	all, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID))
	for _, e := range all {
		if tid, err := strconv.Atoi(e.Name()); err == nil && len(tids) < trap.AreaRecords {
			tids = append(tids, tid)
		}
	}
	return tids
}

// ending says that the task is ending.
func (p *Process) ending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// threadEnds says that a Linux thread is ending by itself.
func (p *Process) threadEnds(tid int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.threads[tid] == nil
}
