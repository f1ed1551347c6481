//go:build linux

package linux

import (
	"fmt"
	"time"

	"portcullis.dev/kernel/object"
)

// successorTime is how long what a process has is kept for the program that it seems to execute.
const successorTime = 2 * time.Second

// successor is what the next program of a process is to have: what the one before had.
type successor struct {
	left  *object.Inheritance
	start uint64 // of the process, which tells it from a later one with its id
	uid   int
}

// startOf returns when a process started, in clock ticks since the machine did; 0 if it is about to end or has.
func startOf(pid int) uint64 {
	const exiting = 0x4 // PF_EXITING
	s := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	if len(s) == 0 || s[0] == "Z" || s[0] == "X" || s.number(9)&exiting != 0 {
		return 0
	}
	return s.number(22)
}

// succeed keeps what the task of a process has that hung up without having ended: it replaces its program.
func (k *Kernel) succeed(p *Process) {
	start := startOf(p.PID)
	if start == 0 || start != p.start || p.dying.Load() || p.bye {
		return
	}
	s := &successor{p.Task.Bequeath(), start, p.UID}
	k.mu.Lock()
	old := k.successors[p.PID]
	if k.closed {
		old = s
	} else {
		k.successors[p.PID] = s
	}
	k.mu.Unlock()
	if old != nil {
		old.left.Release()
	}
	time.AfterFunc(successorTime, func() {
		k.mu.Lock()
		late := k.successors[p.PID] == s
		if late {
			delete(k.successors, p.PID)
		}
		k.mu.Unlock()
		if late {
			s.left.Release()
		}
	})
}

// succession waits until the task of the program before is gone, and returns what that left; nil if there was none, or
// the program runs as somebody else.
func (k *Kernel) succession(p *Process) *object.Inheritance {
	for wait := time.Millisecond; k.Find(p.PID) != nil && wait < time.Second; wait *= 2 {
		time.Sleep(wait)
	}
	k.mu.Lock()
	s := k.successors[p.PID]
	delete(k.successors, p.PID)
	k.mu.Unlock()
	switch {
	case s == nil:
		return nil
	case s.start != p.start || s.uid != p.UID:
		s.left.Release()
		return nil
	}
	return s.left
}
