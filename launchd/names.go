package launchd

import (
	"fmt"

	"portcullis.dev/mach"
)

// service is a name of a domain.
type service struct {
	Service
	domain   *domain
	job      *job
	port     mach.Name
	declared bool // in the job's file; else a program asked for it while it ran
	active   bool // a program has the receive right
	pid      int  // of that program
	queued   bool // there are messages
	watched  bool
	drain    bool // when the port comes back
}

// declare makes the ports of a job's services. A name that somebody got hold of without a file that says so goes to the
// job whose file does.
func (l *Launchd) declare(j *job) error {
	for _, spec := range j.Job.Services {
		port, err := l.c.Ports.Create(spec.Name)
		if err != nil {
			for _, s := range j.services {
				s.remove()
			}
			return fmt.Errorf("%s: %s: %w", j.Label, spec.Name, err)
		}
		if squatter := j.domain.names[spec.Name]; squatter != nil {
			l.log(j, "takes the name %s from process %d, which has no job file for it", spec.Name, squatter.pid)
			squatter.remove()
		}
		l.add(&service{Service: spec, domain: j.domain, job: j, port: port, declared: true})
	}
	return nil
}

func (l *Launchd) add(s *service) {
	s.domain.names[s.Name] = s
	l.byPort[s.port] = s
	s.job.services = append(s.job.services, s)
}

func (s *service) unwatch() {
	if s.watched {
		s.watched = false
		s.job.l.c.Ports.Unwatch(s.port)
	}
}

// remove gives a name up. Who has looked it up finds a dead port, unless a program still receives on it.
func (s *service) remove() {
	s.unwatch()
	if s.domain.names[s.Name] == s {
		delete(s.domain.names, s.Name)
	}
	delete(s.job.l.byPort, s.port)
	s.job.l.c.Ports.Destroy(s.port)
}

// dropDynamic forgets the names that a program asked for and that ended with it.
func (j *job) dropDynamic() {
	kept := j.services[:0]
	for _, s := range j.services {
		if s.declared {
			kept = append(kept, s)
		} else {
			s.remove()
		}
	}
	j.services = kept
}

// Caller is who asks, as the kernel says.
type Caller struct {
	PID int
	UID uint32
}

// home returns the job of a caller, nil if it is none, and the domain that it asks.
func (l *Launchd) home(c Caller) (*job, *domain) {
	if j := l.byPID[c.PID]; j != nil {
		return j, j.domain
	}
	for _, name := range []string{GUIDomain(c.UID), UserDomain(c.UID)} {
		if d := l.domains[name]; d != nil {
			return nil, d
		}
	}
	return nil, l.domains[SystemDomain]
}

// CheckIn gives a program the receive right of a service it offers: the port that comes back is to be moved to it. The
// name must be in the file of the caller's job; a job may also ask for one that nobody has, unless flags say strict.
// Programs without a job get nothing.
//
// Source: launchd-842 src/core.c, job_mig_check_in2.
func (l *Launchd) CheckIn(c Caller, name string, flags uint64) (mach.Name, mach.KernReturn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j, d := l.home(c)
	s := d.names[name]
	switch {
	case s == nil && flags&FlagStrictCheckIn != 0:
		return 0, codeUnknownService
	case j == nil:
		return 0, codeNotPrivileged
	case s == nil:
		return l.checkInNew(j, c, name)
	case s.job != j:
		return 0, codeNotPrivileged
	case s.active:
		return 0, codeServiceActive
	}
	if err := l.c.Ports.Arm(s.port); err != nil {
		l.log(j, "%s: %v", name, err)
		return 0, mach.KernResourceShortage
	}
	s.unwatch()
	s.active, s.pid, s.queued = true, c.PID, false
	return s.port, 0
}

func (l *Launchd) checkInNew(j *job, c Caller, name string) (mach.Name, mach.KernReturn) {
	if name == "" || len(name) > maxName {
		return 0, mach.KernInvalidArgument
	}
	if len(j.services) >= maxServices {
		return 0, mach.KernResourceShortage
	}
	port, err := l.c.Ports.Create(name)
	if err == nil {
		if err = l.c.Ports.Arm(port); err != nil {
			l.c.Ports.Destroy(port)
		}
	}
	if err != nil {
		l.log(j, "%s: %v", name, err)
		return 0, mach.KernResourceShortage
	}
	l.log(j, "uses the name %s, which is not in its file", name)
	l.add(&service{Service: Service{Name: name}, domain: j.domain, job: j, port: port, active: true, pid: c.PID})
	return port, 0
}

// LookUp returns the port of a service, of which the caller is to get a send right. The caller's own domain is asked
// first, then those above it.
//
// Source: launchd-842 src/core.c, job_mig_look_up2 and jobmgr_lookup_service.
func (l *Launchd) LookUp(c Caller, name string, flags uint64) (mach.Name, mach.KernReturn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if flags&(FlagPerPID|FlagSpecificInstance) != 0 {
		return 0, codeUnknownService // there are no such services here
	}
	_, d := l.home(c)
	if flags&FlagPrivileged != 0 {
		d = l.domains[SystemDomain]
	}
	for ; d != nil; d = d.parent {
		if s := d.names[name]; s != nil && (s.active || !s.HideUntilCheckIn) {
			return s.port, 0
		}
	}
	return 0, codeUnknownService
}

// Returned says that the receive right of a service port has come back, because who had it gave it up or died.
func (l *Launchd) Returned(port mach.Name) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.byPort[port]
	if s == nil {
		l.c.Ports.Destroy(port) // of a service that is gone
		return
	}
	s.active, s.pid = false, 0
	if !s.declared {
		s.job.dropDynamic()
		return
	}
	if s.ResetAtClose {
		fresh, err := l.c.Ports.Create(s.Name)
		if err != nil {
			l.log(s.job, "%s: %v", s.Name, err)
		} else {
			delete(l.byPort, s.port)
			l.c.Ports.Destroy(s.port)
			s.port = fresh
			l.byPort[fresh] = s
		}
	}
	s.drainNow()
	s.job.dispatch()
}

// drainNow drops messages that may have made the job crash.
func (s *service) drainNow() {
	if !s.drain {
		return
	}
	s.drain = false
	n := 1
	if s.Drain == DrainAll {
		n = -1
	}
	s.job.l.c.Ports.Drain(s.port, n)
}

// Demanded says that there is a message in a port that was watched.
func (l *Launchd) Demanded(port mach.Name) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.byPort[port]
	if s == nil || !s.watched {
		return
	}
	s.watched = false
	s.queued = true
	s.job.dispatch()
}
