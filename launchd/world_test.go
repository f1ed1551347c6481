package launchd

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/mach"
)

// fakeWorld is everything around a launchd, set by hand.
type fakeWorld struct {
	*testing.T
	*Launchd
	now    time.Time
	alarms []*alarm
	procs  map[int]*fakeProcess
	pid    int
	broken error // of the next starts
	log    []string

	queued   map[mach.Name]int
	watched  map[mach.Name]bool
	ports    map[mach.Name]string
	next     mach.Name
	files    map[string]time.Time
	full     map[string]bool
	sockets  map[string]*fakeSockets
	stubborn bool // programs do not end when they are told to

	soon []func() // what happens when the call that caused it has returned
}

type alarm struct {
	at   time.Time
	f    func()
	done bool
}

type fakeProcess struct {
	w       *fakeWorld
	pid     int
	spawn   *Spawn
	signals []syscall.Signal
	ended   bool
}

type fakeSockets struct {
	ready  func()
	closed bool
}

func newWorld(t *testing.T) *fakeWorld { return newWorldWith(t, nil) }

func newWorldWith(t *testing.T, o Overrides) *fakeWorld {
	w := &fakeWorld{T: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), procs: make(map[int]*fakeProcess), pid: 100,
		queued: make(map[mach.Name]int), watched: make(map[mach.Name]bool), ports: make(map[mach.Name]string),
		files: make(map[string]time.Time), full: make(map[string]bool), sockets: make(map[string]*fakeSockets)}
	w.Launchd = New(Config{Clock: w, Spawner: w, Ports: (*fakePorts)(w), Listeners: w, Files: w, Overrides: o,
		Log: func(s string) { w.log = append(w.log, s) }})
	return w
}

func (w *fakeWorld) Now() time.Time { return w.now }

func (w *fakeWorld) AfterFunc(d time.Duration, f func()) func() bool {
	a := &alarm{at: w.now.Add(d), f: f}
	w.alarms = append(w.alarms, a)
	return func() bool { was := a.done; a.done = true; return !was }
}

// pass lets time pass, alarm by alarm.
func (w *fakeWorld) pass(d time.Duration) {
	end := w.now.Add(d)
	for {
		var first *alarm
		for _, a := range w.alarms {
			if !a.done && !a.at.After(end) && (first == nil || a.at.Before(first.at)) {
				first = a
			}
		}
		if first == nil {
			break
		}
		w.now, first.done = first.at, true
		first.f()
		w.happen()
	}
	w.now = end
	w.alarms = slices.DeleteFunc(w.alarms, func(a *alarm) bool { return a.done })
}

func (w *fakeWorld) Start(s *Spawn) (Process, error) {
	if w.broken != nil {
		return nil, w.broken
	}
	w.pid++
	p := &fakeProcess{w: w, pid: w.pid, spawn: s}
	w.procs[p.pid] = p
	return p, nil
}

func (p *fakeProcess) PID() int { return p.pid }
func (p *fakeProcess) Signal(s syscall.Signal) error {
	p.signals = append(p.signals, s)
	if s == syscall.SIGKILL || s == syscall.SIGTERM && !p.w.stubborn {
		p.w.soon = append(p.w.soon, func() { p.end(Exit{Signal: s}) })
	}
	return nil
}
func (p *fakeProcess) SignalGroup(syscall.Signal) error { return nil }

func (p *fakeProcess) end(e Exit) {
	if !p.ended {
		p.ended = true
		p.spawn.Ended(e)
	}
}

func (w *fakeWorld) Open(j *Job) (SocketSet, error) {
	s := &fakeSockets{}
	w.sockets[j.Label] = s
	return s, nil
}
func (s *fakeSockets) Watch(f func()) { s.ready = f }
func (s *fakeSockets) Unwatch()       { s.ready = nil }
func (s *fakeSockets) Close()         { s.closed = true }

func (w *fakeWorld) Modified(p string) time.Time { return w.files[p] }
func (w *fakeWorld) Empty(p string) bool         { return !w.full[p] }

type fakePorts fakeWorld

func (p *fakePorts) Create(name string) (mach.Name, error) {
	p.next += 0x100
	p.ports[p.next] = name
	return p.next, nil
}
func (p *fakePorts) Arm(mach.Name) error { return nil }
func (p *fakePorts) Watch(n mach.Name) {
	p.watched[n] = true
	if p.queued[n] > 0 {
		p.soon = append(p.soon, func() { p.Demanded(n) })
	}
}
func (p *fakePorts) Unwatch(n mach.Name) { delete(p.watched, n) }
func (p *fakePorts) Drain(n mach.Name, k int) {
	if k < 0 || k > p.queued[n] {
		k = p.queued[n]
	}
	p.queued[n] -= k
}
func (p *fakePorts) Destroy(n mach.Name) { delete(p.ports, n); delete(p.queued, n) }

// send puts a message into the port of a service, as a client does that looked it up.
func (w *fakeWorld) send(name string) {
	w.Helper()
	port, kr := w.LookUp(Caller{PID: 1, UID: 0}, name, 0)
	if kr != 0 {
		w.Fatalf("look-up of %s: %v", name, kr)
	}
	w.queued[port]++
	if w.watched[port] {
		delete(w.watched, port)
		w.Demanded(port)
	}
}

// job parses a job of a label with more keys.
func (w *fakeWorld) job(label, more string) *Job {
	w.Helper()
	if !strings.Contains(more, "Program") {
		more += "<key>Program</key><string>/bin/" + label + "</string>"
	}
	j, warnings, err := ParseJob(label+".plist", []byte(`<?xml version="1.0"?><plist version="1.0"><dict><key>Label</key><string>`+
		label+`</string>`+more+`</dict></plist>`))
	if err != nil || len(warnings) > 0 {
		w.Fatal(err, warnings)
	}
	return j
}

func (w *fakeWorld) load(label, more string) {
	w.Helper()
	if err := w.Load(SystemDomain, w.job(label, more)); err != nil {
		w.Fatal(err)
	}
}

// runs returns the running process of a job, nil if there is none.
func (w *fakeWorld) runs(label string) *fakeProcess {
	w.Helper()
	e, _, err := w.Info(SystemDomain, label)
	if err != nil {
		w.Fatal(err)
	}
	return w.procs[e.PID]
}

func (w *fakeWorld) wantRuns(label string, want bool) *fakeProcess {
	w.Helper()
	p := w.runs(label)
	if (p != nil) != want {
		w.Fatalf("%s runs: %v, want %v; log:\n%s", label, p != nil, want, strings.Join(w.log, "\n"))
	}
	return p
}

// settle lets happen what was caused, until ok.
func (w *fakeWorld) settle(what string, ok func() bool) {
	w.Helper()
	w.happen()
	if !ok() {
		w.Fatalf("never: %s; log:\n%s", what, strings.Join(w.log, "\n"))
	}
}

func (w *fakeWorld) happen() {
	for len(w.soon) > 0 {
		f := w.soon[0]
		w.soon = w.soon[1:]
		f()
	}
}

func (w *fakeWorld) has(line string) bool {
	return slices.ContainsFunc(w.log, func(s string) bool { return strings.Contains(s, line) })
}

// checkIn lets a program check in.
func (p *fakeProcess) checkIn(name string) mach.Name {
	p.w.Helper()
	port, kr := p.w.CheckIn(Caller{PID: p.pid}, name, 0)
	if kr != 0 {
		p.w.Fatalf("check-in of %s: %v", name, kr)
	}
	return port
}

func key(name, value string) string {
	return fmt.Sprintf("<key>%s</key>%s", name, value)
}
