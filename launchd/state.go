package launchd

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// State is what a job does.
type State uint8

// States of a job.
const (
	Waiting State = iota
	Throttled
	Running
	Stopping
)

// String returns the state as `launchctl print` says it.
func (s State) String() string {
	return [...]string{"not running", "spawn scheduled", "running", "SIGTERMed"}[s]
}

// Reason says why a job was started, as `launchctl blame` does.
type Reason string

// Reasons, in the order in which they are looked for.
const (
	NoReason    Reason = ""
	ByHand      Reason = "non-ipc demand"
	AtLoad      Reason = "speculative"
	Always      Reason = "inefficient"
	ByMessage   Reason = "ipc (mach)"
	BySocket    Reason = "ipc (socket)"
	ByInterval  Reason = "interval"
	ByCalendar  Reason = "calendar"
	ByPath      Reason = "path"
	BySemaphore Reason = "semaphore"
)

// job is a job that is loaded.
type job struct {
	*Job
	domain   *domain
	l        *Launchd
	services []*service
	sockets  SocketSet

	state    State
	proc     Process
	started  time.Time
	runs     int
	last     *Exit // nil before the first end
	reason   Reason
	problem  error // of the last attempt to start
	asked    bool  // started on demand at least once
	onOrder  bool  // the running program was told to end
	removed  bool
	gone     chan struct{}
	modified map[string]time.Time

	// what wants it to run
	kickoff  bool // by hand: now
	pending  bool // RunAtLoad
	socket   bool
	interval bool
	calendar bool
	path     bool

	stopAlarm, stopInterval, stopCalendar, stopPoll func() bool
}

// pollEvery is how often paths are looked at.
const pollEvery = time.Second

// afterKill is how long a killed program may take to be gone before that is worth a word.
const afterKill = 4 * time.Second

// loaded starts a job's life.
func (j *job) loaded() {
	j.pending = j.RunAtLoad || j.KeepAlive.SuccessfulExit != nil
	for _, p := range j.WatchPaths {
		j.modified[p] = j.l.modified(p)
	}
	j.armInterval()
	j.armCalendar()
	j.dispatch()
}

func (l *Launchd) modified(path string) time.Time {
	if l.c.Files == nil {
		return time.Time{}
	}
	return l.c.Files.Modified(path)
}

// later calls f with the lock held after d, unless the job has been forgotten.
func (j *job) later(d time.Duration, f func()) func() bool {
	return j.l.c.Clock.AfterFunc(d, func() {
		j.l.mu.Lock()
		defer j.l.mu.Unlock()
		if j.domain.jobs[j.Label] == j {
			f()
		}
	})
}

func (j *job) armInterval() {
	if j.StartInterval > 0 {
		j.stopInterval = j.later(j.StartInterval, func() {
			j.interval = j.proc == nil // one that finds it running is missed, as launchd.plist(5) has it
			j.armInterval()
			j.dispatch()
		})
	}
}

func (j *job) armCalendar() {
	var first time.Time
	now := j.l.c.Clock.Now()
	for _, c := range j.Calendar {
		if t := c.Next(now); !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if !first.IsZero() {
		j.stopCalendar = j.later(first.Sub(now), func() {
			j.calendar = true
			j.armCalendar()
			j.dispatch()
		})
	}
}

// wanted says why the job should run, NoReason if it should not.
//
// Source of the order: launchd-842 src/core.c, job_keepalive.
func (j *job) wanted() Reason {
	switch {
	case j.l.down || j.removed:
		return NoReason
	case j.kickoff:
		return ByHand
	case j.LaunchOnlyOnce && j.runs > 0:
		return NoReason
	case j.pending:
		return AtLoad
	case j.KeepAlive.Always && (!j.KeepAlive.AfterInitialDemand || j.asked):
		return Always
	}
	for _, s := range j.services {
		if s.queued {
			return ByMessage
		}
	}
	switch {
	case j.socket:
		return BySocket
	case j.interval:
		return ByInterval
	case j.calendar:
		return ByCalendar
	case j.path || j.filled():
		return ByPath
	}
	if (!j.KeepAlive.AfterInitialDemand || j.asked) && j.semaphore() {
		return BySemaphore
	}
	return NoReason
}

// filled says that one of the directories of a queue has something in it.
func (j *job) filled() bool {
	for _, d := range j.QueueDirectories {
		if f := j.l.c.Files; f != nil && !f.Modified(d).IsZero() && !f.Empty(d) {
			return true
		}
	}
	return false
}

// semaphore evaluates the conditions of KeepAlive: one that holds is enough.
func (j *job) semaphore() bool {
	k := &j.KeepAlive
	ended := j.last != nil && !j.onOrder
	switch {
	case k.SuccessfulExit != nil && ended && (*j.last == Exit{}) == *k.SuccessfulExit:
		return true
	case k.Crashed != nil && ended && j.last.Crashed() == *k.Crashed:
		return true
	case k.NetworkState != nil && *k.NetworkState: // there always is a loopback
		return true
	case k.AfterInitialDemand && j.asked && k.SuccessfulExit == nil && k.Crashed == nil && k.NetworkState == nil &&
		len(k.PathState)+len(k.OtherJobActive)+len(k.OtherJobEnabled) == 0:
		return true
	}
	for p, there := range k.PathState {
		if j.l.modified(p).IsZero() != there {
			return true
		}
	}
	for label, active := range k.OtherJobActive {
		if o := j.domain.jobs[label]; (o != nil && o.proc != nil) == active {
			return true
		}
	}
	for label, enabled := range k.OtherJobEnabled {
		if (j.domain.jobs[label] != nil) == enabled {
			return true
		}
	}
	return false
}

// dispatch starts the job if it should run and does not, or waits for a reason.
func (j *job) dispatch() {
	if j.state == Running || j.state == Stopping {
		return
	}
	if j.removed {
		j.forget()
		return
	}
	reason := j.wanted()
	if reason == NoReason {
		j.state = Waiting
		j.watch()
		return
	}
	if reason != ByHand && j.runs > 0 {
		if rest := j.ThrottleInterval - j.l.c.Clock.Now().Sub(j.started); rest > 0 {
			j.throttle(rest)
			return
		}
	}
	j.start(reason)
}

func (j *job) throttle(d time.Duration) {
	if j.state == Throttled {
		return
	}
	j.state = Throttled
	j.l.log(j, "Throttling respawn: Will start in %d seconds", (d+time.Second-1)/time.Second)
	j.unwatch()
	j.stopAlarm = j.later(d, func() {
		j.state = Waiting
		j.dispatch()
	})
}

// disarm stops an alarm if there is one.
func disarm(stop *func() bool) {
	if *stop != nil {
		(*stop)()
		*stop = nil
	}
}

func (j *job) start(reason Reason) {
	disarm(&j.stopAlarm)
	j.unwatch()
	j.state = Running
	j.reason, j.started = reason, j.l.c.Clock.Now()
	j.runs++
	j.asked = j.asked || reason == ByHand || reason == ByMessage || reason == BySocket
	j.kickoff, j.pending, j.onOrder = false, false, false
	j.socket, j.interval, j.calendar, j.path = false, false, false, false
	for _, s := range j.services {
		s.queued = false
	}
	env := map[string]string{"XPC_SERVICE_NAME": j.Label}
	for k, v := range j.Environment {
		env[k] = v
	}
	generation := j.runs
	proc, err := j.l.c.Spawner.Start(&Spawn{Job: j.Job, Domain: j.domain.name, Environment: env, Sockets: j.sockets,
		Ended: func(e Exit) {
			j.l.mu.Lock()
			defer j.l.mu.Unlock()
			if j.runs == generation && j.proc != nil {
				j.ended(e)
			}
		}})
	if err != nil {
		j.problem = err
		j.l.log(j, "could not be started: %v", err)
		j.state, j.last = Waiting, &Exit{Code: exitConfig}
		j.retry()
		return
	}
	j.problem, j.proc = nil, proc
	j.l.byPID[proc.PID()] = j
	j.l.log(j, "started as process %d: %s", proc.PID(), reason)
	j.l.others()
}

// retry waits before the next attempt to start what could not be started; messages to it are not lost.
func (j *job) retry() {
	j.throttle(max(j.ThrottleInterval, time.Second))
}

// ended takes down that the program ended.
func (j *job) ended(e Exit) {
	disarm(&j.stopAlarm)
	delete(j.l.byPID, j.proc.PID())
	if !j.Abandon {
		j.proc.SignalGroup(syscall.SIGTERM)
	}
	was := j.state
	j.proc, j.last, j.state = nil, &e, Waiting
	crashed := e.Crashed() && was != Stopping
	switch {
	case e.Problem != "":
		j.problem = errors.New(e.Problem)
		j.l.log(j, "could not be started: %s", e.Problem)
	case crashed:
		j.l.log(j, "crashed: %v", e)
	case was != Stopping && e != (Exit{}):
		j.l.log(j, "exited with abnormal code: %v", e)
	default:
		j.l.log(j, "ended: %v", e)
	}
	for _, s := range j.services {
		s.drain = crashed && s.Drain != DrainNone
		if !s.active {
			s.drainNow()
		}
	}
	j.dropDynamic()
	j.dispatch()
	j.l.others()
}

// stop tells the program to end, and kills it if it does not.
func (j *job) stop() {
	if j.state != Running || j.proc == nil {
		return
	}
	j.state, j.onOrder = Stopping, true
	if err := j.proc.Signal(syscall.SIGTERM); err != nil {
		j.l.log(j, "SIGTERM: %v", err)
	}
	if j.ExitTimeOut <= 0 {
		return
	}
	j.stopAlarm = j.later(j.ExitTimeOut, func() {
		if j.proc == nil {
			return
		}
		j.l.log(j, "did not end within %v: killed", j.ExitTimeOut)
		j.proc.Signal(syscall.SIGKILL)
		j.stopAlarm = j.later(afterKill, func() {
			if j.proc != nil {
				j.l.log(j, "process %d was killed and is still there", j.proc.PID())
			}
		})
	})
}

// unload stops the job and forgets it when it has ended.
func (j *job) unload() <-chan struct{} {
	if j.gone == nil {
		j.gone = make(chan struct{})
	}
	gone := j.gone
	j.removed = true
	if j.proc != nil {
		j.stop()
	} else {
		j.forget()
	}
	return gone
}

// forget removes the job and what it has.
func (j *job) forget() {
	for _, stop := range []*func() bool{&j.stopAlarm, &j.stopInterval, &j.stopCalendar} {
		disarm(stop)
	}
	j.unwatch()
	for _, s := range j.services {
		s.remove()
	}
	if j.sockets != nil {
		j.sockets.Close()
	}
	delete(j.domain.jobs, j.Label)
	close(j.gone)
	j.l.others()
}

// watch waits for something that wants the job to run.
func (j *job) watch() {
	for _, s := range j.services {
		if !s.active && !s.watched {
			s.watched = true
			j.l.c.Ports.Watch(s.port)
		}
	}
	if j.sockets != nil {
		j.sockets.Watch(func() {
			j.l.mu.Lock()
			defer j.l.mu.Unlock()
			if j.domain.jobs[j.Label] == j && j.state == Waiting {
				j.socket = true
				j.dispatch()
			}
		})
	}
	if j.stopPoll == nil && len(j.WatchPaths)+len(j.QueueDirectories)+len(j.KeepAlive.PathState) > 0 {
		j.poll()
	}
}

// poll looks at paths from time to time.
func (j *job) poll() {
	j.stopPoll = j.later(pollEvery, func() {
		j.stopPoll = nil
		for _, p := range j.WatchPaths {
			if m := j.l.modified(p); !m.Equal(j.modified[p]) {
				j.modified[p] = m
				j.path = true
			}
		}
		j.dispatch()
	})
}

func (j *job) unwatch() {
	for _, s := range j.services {
		s.unwatch()
	}
	if j.sockets != nil {
		j.sockets.Unwatch()
	}
	disarm(&j.stopPoll)
}

// String returns domain and label.
func (j *job) String() string { return fmt.Sprintf("%s/%s", j.domain.name, j.Label) }
