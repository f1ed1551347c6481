package launchd

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"portcullis.dev/mach"
)

// Config is what a Launchd works with.
type Config struct {
	Clock     Clock
	Spawner   Spawner
	Ports     Ports
	Listeners Listeners // nil: jobs with sockets cannot be loaded
	Files     Files     // nil: no path is ever there
	Overrides Overrides // nil: what Enable sets lasts as long as the Launchd
	Domains   []string  // that are there from the start, beside the system's
	Log       func(string)
}

// Launchd manages the jobs of some domains.
type Launchd struct {
	c Config

	mu        sync.Mutex
	domains   map[string]*domain
	byPort    map[mach.Name]*service
	byPID     map[int]*job
	down      bool
	overrides map[Owner]map[string]bool // by Owner and label: whether it is disabled
}

// domain is a set of jobs and names.
type domain struct {
	name   string
	parent *domain
	jobs   map[string]*job
	names  map[string]*service
}

// Errors of commands.
var (
	ErrNoDomain  = errors.New("domain does not exist")
	ErrNoService = errors.New("could not find service")
	ErrLoaded    = errors.New("service already bootstrapped")
	ErrDisabled  = errors.New("service is disabled")
	ErrDown      = errors.New("launchd is shutting down")
	ErrRunning   = errors.New("operation now in progress")
	ErrNotAlive  = errors.New("no process to signal")
	ErrLabel     = errors.New("not a label")
)

// SystemDomain is the domain that is always there and above all others.
const SystemDomain = "system"

// New returns a launchd with empty domains.
func New(c Config) *Launchd {
	l := &Launchd{c: c, domains: make(map[string]*domain), byPort: make(map[mach.Name]*service),
		byPID: make(map[int]*job), overrides: make(map[Owner]map[string]bool)}
	l.domain(SystemDomain)
	for _, name := range c.Domains {
		if ValidDomain(name) {
			l.domain(name)
		}
	}
	return l
}

func (l *Launchd) log(j *job, format string, a ...any) {
	if l.c.Log == nil {
		return
	}
	s := fmt.Sprintf(format, a...)
	if j != nil {
		s = j.domain.name + "/" + j.Label + ": " + s
	}
	l.c.Log(s)
}

// domain finds or makes a domain. user/… and gui/… exist when they are first named.
func (l *Launchd) domain(name string) *domain {
	if d := l.domains[name]; d != nil {
		return d
	}
	d := &domain{name: name, parent: l.domains[SystemDomain], jobs: make(map[string]*job),
		names: make(map[string]*service)}
	if uid, ok := DomainUID(name); ok && name != UserDomain(uid) {
		d.parent = l.domain(UserDomain(uid)) // gui/501 is above user/501
	}
	l.domains[name] = d
	l.overridden(name)
	return d
}

// UserDomain returns the name of a user's domain.
func UserDomain(uid uint32) string {
	if uid == 0 {
		return SystemDomain
	}
	return fmt.Sprintf("user/%d", uid)
}

// GUIDomain returns the name of the domain of a user's session.
func GUIDomain(uid uint32) string { return fmt.Sprintf("gui/%d", uid) }

// DomainUID returns the user whose domain it is; false for the system domain, and for what is no domain.
func DomainUID(name string) (uint32, bool) {
	kind, id, ok := strings.Cut(name, "/")
	n, err := strconv.ParseUint(id, 10, 32)
	return uint32(n), ok && err == nil && (kind == "user" || kind == "gui")
}

// ValidDomain says that a domain may have this name: system, or user/ or gui/ with a number.
func ValidDomain(name string) bool {
	_, ok := DomainUID(name)
	return ok || name == SystemDomain
}

func (l *Launchd) find(domain, label string) (*job, error) {
	d := l.domains[domain]
	if d == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoDomain, domain)
	}
	j := d.jobs[label]
	if j == nil {
		return nil, fmt.Errorf("%w %q in domain %s", ErrNoService, label, domain)
	}
	return j, nil
}

// Load adds a job to a domain, and starts it if something wants it to run.
func (l *Launchd) Load(domain string, spec *Job) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ValidDomain(domain) {
		return fmt.Errorf("%w: %s", ErrNoDomain, domain)
	}
	d := l.domain(domain)
	switch {
	case l.down:
		return ErrDown
	case d.jobs[spec.Label] != nil:
		return fmt.Errorf("%w: %s", ErrLoaded, spec.Label)
	}
	if off, set := l.overridden(domain)[spec.Label]; off || !set && spec.Disabled {
		return fmt.Errorf("%w: %s", ErrDisabled, spec.Label)
	}
	for _, s := range spec.Services {
		if old := d.names[s.Name]; old != nil && old.declared {
			return fmt.Errorf("the name %s belongs to %s", s.Name, old.job.Label)
		}
	}
	j := &job{Job: spec, domain: d, l: l, modified: make(map[string]time.Time)}
	if len(spec.Sockets) > 0 {
		if l.c.Listeners == nil {
			return fmt.Errorf("%s: sockets cannot be opened here", spec.Label)
		}
		var err error
		if j.sockets, err = l.c.Listeners.Open(spec); err != nil {
			return fmt.Errorf("%s: %w", spec.Label, err)
		}
	}
	if err := l.declare(j); err != nil {
		if j.sockets != nil {
			j.sockets.Close()
		}
		return err
	}
	d.jobs[spec.Label] = j
	j.loaded()
	l.others()
	return nil
}

// Unload stops a job and forgets it. The channel is closed when that has happened.
func (l *Launchd) Unload(domain, label string) (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j, err := l.find(domain, label)
	if err != nil {
		return nil, err
	}
	return j.unload(), nil
}

// UnloadDomain unloads all jobs of a domain. The channel is closed when that has happened.
func (l *Launchd) UnloadDomain(domain string) (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.domains[domain]
	if d == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoDomain, domain)
	}
	var all []<-chan struct{}
	for _, j := range d.sorted() {
		all = append(all, j.unload())
	}
	return join(all), nil
}

func join(all []<-chan struct{}) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		for _, c := range all {
			<-c
		}
		close(done)
	}()
	return done
}

// Shutdown unloads everything. Nothing is started any more.
func (l *Launchd) Shutdown() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	var all []<-chan struct{}
	for _, d := range l.domains {
		for _, j := range d.sorted() {
			all = append(all, j.unload())
		}
	}
	return join(all)
}

func (d *domain) sorted() []*job {
	var all []*job
	for _, j := range d.jobs {
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, b *job) int { return strings.Compare(a.Label, b.Label) })
	return all
}

// Restart says what Kickstart does with a job that runs.
type Restart uint8

// Kinds of kickstart.
const (
	LeaveRunning Restart = iota
	KillFirst
)

// Kickstart starts a job by hand, without regard to throttling. It returns the process id, 0 if the old process has to
// end first.
func (l *Launchd) Kickstart(domain, label string, r Restart) (pid int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j, err := l.find(domain, label)
	switch {
	case err != nil:
		return 0, err
	case l.down || j.removed:
		return 0, ErrDown
	case j.proc != nil && r == LeaveRunning && j.state == Running:
		return j.proc.PID(), nil
	}
	j.kickoff = true
	if j.proc != nil {
		j.stop()
		return 0, nil
	}
	j.dispatch()
	if j.proc == nil {
		return 0, fmt.Errorf("%s did not start: %v", label, j.problem)
	}
	return j.proc.PID(), nil
}

// Stop tells the program of a job to end. What keeps it alive will start it again.
func (l *Launchd) Stop(domain, label string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	j, err := l.find(domain, label)
	switch {
	case err != nil:
		return err
	case j.proc == nil:
		return ErrNotAlive
	}
	j.stop()
	return nil
}

// Kill sends a signal to the program of a job.
func (l *Launchd) Kill(domain, label string, sig syscall.Signal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	j, err := l.find(domain, label)
	switch {
	case err != nil:
		return err
	case j.proc == nil:
		return ErrNotAlive
	}
	return j.proc.Signal(sig)
}

// others looks again at jobs that depend on other jobs.
func (l *Launchd) others() {
	for _, d := range l.domains {
		for _, j := range d.sorted() {
			if j.state == Waiting && (len(j.KeepAlive.OtherJobActive) > 0 || len(j.KeepAlive.OtherJobEnabled) > 0) {
				j.dispatch()
			}
		}
	}
}
