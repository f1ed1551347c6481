package run

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"portcullis.dev/crash"
	"portcullis.dev/crash/capture"
	"portcullis.dev/crash/lenient"
	"portcullis.dev/crash/unwind"
	"portcullis.dev/kernel/linux"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/trap/task"
)

// emulates is whose restrictions are enforced.
const emulates = "macOS 26.4"

// memory reads a process through its stopped threads where Linux does not let us.
type memory struct{ stops *linux.Stops }

// ReadAt implements [capture.Memory].
func (m memory) ReadAt(p []byte, addr int64) (int, error) { return m.stops.ReadMemory(p, uint64(addr)) }

// violated writes the report of a guard.
func (s *Session) violated(v *linux.Violation) {
	s.mu.Lock()
	s.seen++
	s.mu.Unlock()
	s.befalls(v.Process.PID, func(f *fate) {
		f.Seen++
		f.Killed = f.Killed || v.Fate == restrict.Killed
	})
	if s.options.Trace != nil {
		s.options.Trace.Violated(v.Process.Task, v.TID, &v.Violation)
	}
	x, why := crash.GuardException(v.Code, v.Subcode)
	s.write(v.Process, v.Stops, v.TID, v.Backtrace, x, why, v.Fate == restrict.Killed)
}

// crashed writes the report of a signal.
func (s *Session) crashed(f *linux.Fault) {
	var at *uint64
	if f.Exception.Type != 0 {
		at = &f.Stopped.Record.Address
	}
	x, why := crash.SignalException(f.Signal.String(), at)
	s.write(f.Process, f.Stops, f.Stopped.TID, nil, x, why, false)
}

func (s *Session) write(p *linux.Process, stops *linux.Stops, tid int, told []byte, x *crash.IPSException,
	why *crash.IPSReason, killed bool) {
	if s.options.Reports == "" {
		return
	}
	path, err := s.report(p, stops, tid, told, x, why, killed)
	if !killed && errors.Is(err, fs.ErrNotExist) {
		return // it has ended by itself, before the signal that was due
	}
	if err == nil {
		s.befalls(p.PID, func(f *fate) {
			if len(f.Reports) < 64 {
				f.Reports = append(f.Reports, Report{p.PID, absolute(path), killed})
			}
		})
	}
	if s.options.Reported != nil {
		s.options.Reported(Report{p.PID, path, killed}, err)
	}
}

func (s *Session) report(p *linux.Process, stops *linux.Stops, tid int, told []byte, x *crash.IPSException,
	why *crash.IPSReason, killed bool) (string, error) {
	o := capture.Options{Triggered: tid, Registers: map[int]unwind.Registers{}, Stop: capture.LeaveThreads}
	if stops != nil && len(stops.Threads) > 0 {
		for _, t := range stops.Threads {
			o.Registers[t.TID] = registersOf(&t.Record)
		}
		o.Memory = memory{stops}
	} else if told == nil {
		o.Stop = capture.StopThreads
	}
	snap, err := capture.Process(p.PID, o)
	if err != nil {
		return "", err
	}
	defer snap.Close()
	level, _, by, _ := s.level(p.Path)
	c := capture.Crash{Time: time.Now(), Exception: x, Termination: why, Own: crash.IPSOwn{Version: s.options.Version,
		Emulates: emulates, Level: level.String(), DecidedBy: by}}
	if why != nil && why.Namespace == "GUARD" {
		c.Own.Trap = "mach_msg2_trap"
	}
	ips := snap.Report(c)
	ips.Body.IsSimulated = !killed && why != nil && why.Namespace == "GUARD"
	if told != nil {
		tell(ips, told)
	}
	if err := os.MkdirAll(s.options.Reports, 0o700); err != nil {
		return "", err
	}
	return crash.Save(s.options.Reports, ips, c.Time)
}

// tell puts the backtrace that a Go program's thread has told before all others.
func tell(ips *crash.IPS, told []byte) {
	var frames []task.Frame
	if json.Unmarshal(told, &frames) != nil || len(frames) == 0 {
		return
	}
	const most = 512
	t := crash.IPSThread{ID: ips.Body.PID, Triggered: true, Name: "goroutine"}
	for _, f := range frames[:min(len(frames), most)] {
		i := imageAt(ips, f.PC)
		at := crash.IPSFrame{ImageIndex: i, ImageOffset: crash.Unsigned(f.PC), Symbol: f.Function,
			Keys: lenient.Keys{"imageOffset", "imageIndex", "symbol"}} // written also where they are 0
		if f.File != "" {
			at.SourceFile, at.SourceLine = filepath.Base(f.File), int64(f.Line)
		}
		if i >= 0 {
			at.ImageOffset -= ips.Body.UsedImages[i].Base
		}
		t.Frames = append(t.Frames, at)
	}
	for i := range ips.Body.Threads {
		ips.Body.Threads[i].Triggered = false
	}
	ips.Body.Threads = append([]crash.IPSThread{t}, ips.Body.Threads...)
	first := int64(0)
	ips.Body.Faulting = &first
}

// imageAt returns the index of the image that an address is in; 0 if it is in none, as Go programs are one image.
func imageAt(ips *crash.IPS, pc uint64) int64 {
	for i, m := range ips.Body.UsedImages {
		if pc >= uint64(m.Base) && pc-uint64(m.Base) < uint64(m.Size) {
			return int64(i)
		}
	}
	return 0
}

// signalOf returns the signal that ended a process.
func signalOf(ps *os.ProcessState) (int, bool) {
	w, ok := ps.Sys().(syscall.WaitStatus)
	if !ok || !w.Signaled() {
		return 0, false
	}
	return int(w.Signal()), true
}
