package launchd

import (
	"fmt"
	"slices"
	"strings"
)

// Entry is a job in a list.
type Entry struct {
	Label  string
	PID    int  // 0 if it does not run
	Status int  // of the last end
	Ended  bool // there was one
}

// List returns the jobs of a domain by label.
func (l *Launchd) List(domain string) ([]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.domains[domain]
	if d == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoDomain, domain)
	}
	var all []Entry
	for _, j := range d.sorted() {
		all = append(all, j.entry())
	}
	return all, nil
}

func (j *job) entry() Entry {
	e := Entry{Label: j.Label}
	if j.proc != nil {
		e.PID = j.proc.PID()
	}
	if j.last != nil {
		e.Status, e.Ended = j.last.Status(), true
	}
	return e
}

// Info returns a job as an entry.
func (l *Launchd) Info(domain, label string) (Entry, *Job, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j, err := l.find(domain, label)
	if err != nil {
		return Entry{}, nil, err
	}
	return j.entry(), j.Job, nil
}

// Blame says why a job runs.
func (l *Launchd) Blame(domain, label string) (Reason, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j, err := l.find(domain, label)
	switch {
	case err != nil:
		return "", err
	case j.proc == nil:
		return "", fmt.Errorf("%s is not running", label)
	}
	return j.reason, nil
}

// Managed says that a process is the program of a job.
func (l *Launchd) Managed(pid int) (domain, label string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if j := l.byPID[pid]; j != nil {
		return j.domain.name, j.Label, true
	}
	return "", "", false
}

// Counts is what a launchd holds.
type Counts struct{ Domains, Jobs, Running, Services, Active int }

// Counts counts.
func (l *Launchd) Counts() (c Counts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Domains, c.Running = len(l.domains), len(l.byPID)
	for _, d := range l.domains {
		c.Jobs += len(d.jobs)
		c.Services += len(d.names)
		for _, s := range d.names {
			if s.active {
				c.Active++
			}
		}
	}
	return c
}

// PrintDomain describes a domain for people to read.
func (l *Launchd) PrintDomain(domain string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.domains[domain]
	if d == nil {
		return "", fmt.Errorf("%w: %s", ErrNoDomain, domain)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s = {\n\ttype = %s\n\tservice count = %d\n\n\tservices = {\n", d.name, kindOfDomain(d.name),
		len(d.jobs))
	for _, j := range d.sorted() {
		e := j.entry()
		status := "-"
		if e.Ended {
			status = fmt.Sprint(e.Status)
		}
		fmt.Fprintf(&b, "\t\t%8d %6s \t%s\n", e.PID, status, e.Label)
	}
	b.WriteString("\t}\n\n\tendpoints = {\n")
	var names []string
	for n := range d.names {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprintf(&b, "\t\t%s %s\n", mark(d.names[n].active), n)
	}
	b.WriteString("\t}\n}\n")
	return b.String(), nil
}

// properties are the words of launchctl for what keeps a job running.
func (j *job) properties() string {
	var all []string
	k := &j.KeepAlive
	for _, p := range []struct {
		is   bool
		word string
	}{{j.RunAtLoad, "runatload"},
		{k.Always || k.SuccessfulExit != nil || k.Crashed != nil || k.NetworkState != nil || k.AfterInitialDemand ||
			len(k.PathState)+len(k.OtherJobActive)+len(k.OtherJobEnabled) > 0, "keepalive"},
		{j.LaunchOnlyOnce, "launch only once"}, {j.Abandon, "abandon process group"}, {j.Wait != NoInetd, "inetd-compatible"}} {
		if p.is {
			all = append(all, p.word)
		}
	}
	return strings.Join(all, " | ")
}

func kindOfDomain(name string) string {
	kind, _, _ := strings.Cut(name, "/")
	return kind
}

func mark(active bool) string {
	if active {
		return "A"
	}
	return "D"
}

// Print describes a job for people to read.
func (l *Launchd) Print(domain, label string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j, err := l.find(domain, label)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, "\t"+format+"\n", a...) }
	fmt.Fprintf(&b, "%s = {\n", j)
	active := 0
	if j.proc != nil {
		active = 1
	}
	line("active count = %d", active)
	if j.Path != "" {
		line("path = %s", j.Path)
	}
	line("type = %s", jobType(domain))
	line("state = %s\n", j.state)
	line("program = %s", j.Program)
	line("arguments = {")
	for _, a := range j.Arguments {
		line("\t%s", a)
	}
	line("}\n")
	for _, p := range []struct{ name, value string }{{"working directory", j.WorkingDirectory},
		{"stdin path", j.StandardIn}, {"stdout path", j.StandardOut}, {"stderr path", j.StandardError},
		{"username", j.UserName}, {"group", j.GroupName}} {
		if p.value != "" {
			line("%s = %s", p.name, p.value)
		}
	}
	if len(j.Environment) > 0 {
		line("environment = {")
		for _, k := range sortedKeys(j.Environment) {
			line("\t%s => %s", k, j.Environment[k])
		}
		line("}\n")
	}
	line("domain = %s", domain)
	line("minimum runtime = %d", int(j.ThrottleInterval.Seconds()))
	line("exit timeout = %d", int(j.ExitTimeOut.Seconds()))
	line("runs = %d", j.runs)
	if j.proc != nil {
		line("pid = %d", j.proc.PID())
		line("immediate reason = %s", j.reason)
	}
	switch {
	case j.last == nil:
		line("last exit code = (never exited)")
	case j.last.Signal != 0:
		line("last terminating signal = %v: %d", j.last.Signal, int(j.last.Signal))
	default:
		line("last exit code = %d", j.last.Code)
	}
	if j.problem != nil {
		line("last spawn error = %v", j.problem)
	}
	if p := j.properties(); p != "" {
		line("properties = %s", p)
	}
	if len(j.Sockets) > 0 {
		line("\n\tsockets = {")
		for _, s := range j.Job.Sockets {
			line("\t%q = {\n\t\t\ttype = %s\n\t\t\t%s\n\t\t}", s.Name, s.Type, s.place())
		}
		line("}")
	}
	if len(j.services) > 0 {
		line("\n\tendpoints = {")
		for _, s := range j.services {
			line("\t%q = {\n\t\t\tport = %#x\n\t\t\tactive = %d\n\t\t\tmanaged = %d\n\t\t\treset = %d\n\t\t\thide = %d\n\t\t}",
				s.Name, uint32(s.port), bit(s.active), bit(s.declared), bit(s.ResetAtClose), bit(s.HideUntilCheckIn))
		}
		line("}")
	}
	b.WriteString("}\n")
	return b.String(), nil
}

// place says where a socket is.
func (s *Socket) place() string {
	switch {
	case s.Path != "":
		return "path = " + s.Path
	case s.Env != "":
		return "path in = " + s.Env
	case s.Node != "":
		return "node = " + s.Node + "\n\t\t\tservice = " + s.Service
	}
	return "service = " + s.Service
}

func jobType(domain string) string {
	if domain == SystemDomain {
		return "LaunchDaemon"
	}
	return "LaunchAgent"
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
