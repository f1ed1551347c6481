package launchd

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"portcullis.dev/plist"
)

// Job is what a launchd.plist says.
type Job struct {
	Path  string // of the file, "" if there is none
	Label string

	Disabled         bool
	Program          string
	Arguments        []string // with argument 0
	Environment      map[string]string
	WorkingDirectory string
	RootDirectory    string
	UserName         string
	GroupName        string
	InitGroups       bool
	Umask            int // -1 for launchd's own
	Nice             int
	StandardIn       string
	StandardOut      string
	StandardError    string
	Soft, Hard       map[int]uint64 // resource limits by RLIMIT_ number
	EnableGlobbing   bool
	Abandon          bool // AbandonProcessGroup
	ProcessType      string
	LimitSession     []string

	RunAtLoad          bool
	LaunchOnlyOnce     bool
	KeepAlive          KeepAlive
	ThrottleInterval   time.Duration
	ExitTimeOut        time.Duration // 0 for ever
	StartInterval      time.Duration // 0 for none
	Calendar           []Calendar
	WatchPaths         []string
	QueueDirectories   []string
	EnableTransactions bool

	Services []Service
	Sockets  []Socket
	Wait     Inetd // inetdCompatibility
}

// Inetd says whether a job speaks as programs of inetd do, on standard input and output.
type Inetd uint8

// Kinds of inetd jobs.
const (
	NoInetd     Inetd = iota
	InetdNoWait       // one process for each connection
	InetdWait         // the process gets the listening socket
)

// KeepAlive says when a job runs that nobody needs. Conditions that are set are alternatives.
type KeepAlive struct {
	Always             bool
	SuccessfulExit     *bool
	Crashed            *bool
	NetworkState       *bool
	AfterInitialDemand bool
	PathState          map[string]bool
	OtherJobEnabled    map[string]bool
	OtherJobActive     map[string]bool
}

// Service is a name that a job offers.
type Service struct {
	Name             string
	ResetAtClose     bool
	HideUntilCheckIn bool
	Drain            Drain
}

// Drain says how many messages are dropped when a job crashes (DrainMessagesOnCrash).
type Drain uint8

// Amounts of messages.
const (
	DrainNone Drain = iota
	DrainOne
	DrainAll
)

// Socket is a socket that launchd opens for a job.
type Socket struct {
	Name     string // key in Sockets
	Type     string // stream, dgram, seqpacket
	Passive  bool
	Family   string // Unix, IPv4, IPv6, IPv4v6, ""
	Protocol string
	Node     string
	Service  string
	Path     string
	PathMode uint32 // 0 for the umask's
	Env      string // SecureSocketWithKey: variable that holds the path
}

// Calendar is a date that comes again and again. -1 stands for any.
type Calendar struct{ Minute, Hour, Day, Weekday, Month int }

// Limits of a job file.
const (
	maxName      = 127 // bytes of the name of a service
	maxLabel     = 255 // bytes
	maxServices  = 4096
	maxArguments = 4096
)

// ignored are keys that mean something to Apple's launchd and nothing here: scheduling classes, event systems and
// policies of macOS. They are accepted without a word.
var ignored = []string{"AssociatedBundleIdentifiers", "Bonjour", "BinaryOrderPreference", "CFBundleIdentifier", "Debug",
	"EnablePressuredExit", "HopefullyExitsFirst", "HopefullyExitsLast", "LaunchEvents", "LegacyTimers",
	"LimitLoadFromHosts", "LimitLoadToHosts", "LowPriorityBackgroundIO", "LowPriorityIO", "MaterializeDatalessFiles",
	"MultipleInstances", "PosixSpawnType", "ServiceIPC", "SessionCreate", "SpawnConstraint", "StartOnMount", "TimeOut",
	"WaitForDebugger", "XPCService"}

// ParseJob reads a launchd.plist of the given path. Warnings name keys that are not known, and values that mean nothing
// here. An error names the key.
func ParseJob(path string, data []byte) (job *Job, warnings []string, err error) {
	var v any
	if err := plist.Unmarshal(data, &v); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	top, ok := v.(map[string]any)
	if !ok {
		return nil, nil, fmt.Errorf("%s: a job is a dictionary", path)
	}
	r := &reader{}
	job = &Job{Path: path}
	job.read(r, top)
	if len(r.errs) > 0 {
		return nil, nil, fmt.Errorf("%s: %w", path, errors.Join(r.errs...))
	}
	for i, w := range r.warnings {
		r.warnings[i] = path + ": " + w
	}
	slices.Sort(r.warnings)
	return job, r.warnings, nil
}

func (j *Job) read(r *reader, top map[string]any) {
	d := r.in(top, "")
	j.Label = d.text("Label")
	j.Disabled = d.flag("Disabled", false)
	j.Program = d.text("Program")
	j.Arguments = d.texts("ProgramArguments")
	j.Environment = d.textMap("EnvironmentVariables")
	j.WorkingDirectory = d.text("WorkingDirectory")
	j.RootDirectory = d.text("RootDirectory")
	j.UserName = d.text("UserName")
	j.GroupName = d.text("GroupName")
	j.InitGroups = d.flag("InitGroups", j.UserName != "")
	j.Umask = d.umask("Umask")
	j.Nice = int(d.number("Nice", 0, -20, 20))
	j.StandardIn = d.text("StandardInPath")
	j.StandardOut = d.text("StandardOutPath")
	j.StandardError = d.text("StandardErrorPath")
	j.Soft = d.limits("SoftResourceLimits")
	j.Hard = d.limits("HardResourceLimits")
	j.EnableGlobbing = d.flag("EnableGlobbing", false)
	j.Abandon = d.flag("AbandonProcessGroup", false)
	j.ProcessType = d.text("ProcessType")
	j.LimitSession = d.textOrTexts("LimitLoadToSessionType")
	j.RunAtLoad = d.flag("RunAtLoad", false)
	j.LaunchOnlyOnce = d.flag("LaunchOnlyOnce", false)
	j.ThrottleInterval = d.seconds("ThrottleInterval", 10)
	j.ExitTimeOut = d.seconds("ExitTimeOut", 20)
	j.StartInterval = d.seconds("StartInterval", 0)
	j.WatchPaths = d.texts("WatchPaths")
	j.QueueDirectories = d.texts("QueueDirectories")
	j.EnableTransactions = d.flag("EnableTransactions", false)
	j.readKeepAlive(d)
	j.readCalendar(d)
	j.readServices(d)
	j.readSockets(d)
	if v, ok := d.take("inetdCompatibility"); ok {
		if m, ok := v.(map[string]any); ok {
			in := r.in(m, "inetdCompatibility.")
			j.Wait = InetdNoWait
			if in.flag("Wait", false) {
				j.Wait = InetdWait
			}
			in.rest(nil)
		} else {
			d.wrong("inetdCompatibility", "a dictionary", v)
		}
	}
	d.rest(ignored)
	j.check(r)
}

// check looks at what keys mean together.
func (j *Job) check(r *reader) {
	switch {
	case j.Label == "":
		r.fail("Label is missing")
	case !validLabel(j.Label):
		r.fail("Label %q cannot be a label", j.Label)
	}
	if j.Program == "" && len(j.Arguments) == 0 {
		r.fail("Program or ProgramArguments is needed")
	}
	if len(j.Arguments) == 0 && j.Program != "" {
		j.Arguments = []string{j.Program}
	}
	if len(j.Arguments) > maxArguments {
		r.fail("ProgramArguments has more than %d elements", maxArguments)
	}
	if j.Program == "" && len(j.Arguments) > 0 {
		j.Program = j.Arguments[0]
	}
	if j.Wait != NoInetd && len(j.Sockets) != 1 {
		r.fail("inetdCompatibility wants one socket, there are %d", len(j.Sockets))
	}
	for _, p := range []struct{ key, path string }{{"WorkingDirectory", j.WorkingDirectory},
		{"RootDirectory", j.RootDirectory}} {
		if p.path != "" && !filepath.IsAbs(p.path) {
			r.fail("%s: %q is not an absolute path", p.key, p.path)
		}
	}
}

func (j *Job) readKeepAlive(d *dictionary) {
	if v, ok := d.take("OnDemand"); ok {
		if b, ok := v.(bool); ok {
			j.KeepAlive.Always = !b
		} else {
			d.wrong("OnDemand", "true or false", v)
		}
	}
	v, ok := d.take("KeepAlive")
	if !ok {
		return
	}
	switch v := v.(type) {
	case bool:
		j.KeepAlive.Always = v
	case map[string]any:
		k := d.r.in(v, "KeepAlive.")
		j.KeepAlive.SuccessfulExit = k.maybe("SuccessfulExit")
		j.KeepAlive.Crashed = k.maybe("Crashed")
		j.KeepAlive.NetworkState = k.maybe("NetworkState")
		j.KeepAlive.AfterInitialDemand = k.flag("AfterInitialDemand", false)
		j.KeepAlive.PathState = k.flagMap("PathState")
		j.KeepAlive.OtherJobEnabled = k.flagMap("OtherJobEnabled")
		j.KeepAlive.OtherJobActive = k.flagMap("OtherJobActive")
		k.rest(nil)
	default:
		d.wrong("KeepAlive", "true, false or a dictionary", v)
	}
}

func (j *Job) readCalendar(d *dictionary) {
	v, ok := d.take("StartCalendarInterval")
	if !ok {
		return
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			d.wrong("StartCalendarInterval", "dictionaries", e)
			return
		}
		in := d.r.in(m, fmt.Sprintf("StartCalendarInterval[%d].", i))
		c := Calendar{int(in.number("Minute", -1, 0, 59)), int(in.number("Hour", -1, 0, 23)),
			int(in.number("Day", -1, 1, 31)), int(in.number("Weekday", -1, 0, 7)), int(in.number("Month", -1, 1, 12))}
		if c.Weekday == 7 {
			c.Weekday = 0
		}
		in.rest(nil)
		j.Calendar = append(j.Calendar, c)
	}
}

func (j *Job) readServices(d *dictionary) {
	m := d.dict("MachServices")
	if len(m) > maxServices {
		d.r.fail("MachServices has more than %d names", maxServices)
		return
	}
	for _, name := range sorted(m) {
		s := Service{Name: name}
		if name == "" || len(name) > maxName {
			d.r.fail("MachServices: %q cannot be a name: it has 1 to %d bytes", name, maxName)
		}
		switch v := m[name].(type) {
		case bool:
			if !v {
				continue
			}
		case map[string]any:
			in := d.r.in(v, "MachServices."+name+".")
			s.ResetAtClose = in.flag("ResetAtClose", false)
			s.HideUntilCheckIn = in.flag("HideUntilCheckIn", false)
			switch v, _ := in.take("DrainMessagesOnCrash"); v {
			case nil, false:
			case "One":
				s.Drain = DrainOne
			case "All", true:
				s.Drain = DrainAll
			default:
				in.wrong("DrainMessagesOnCrash", "One or All", v)
			}
			in.rest([]string{"HostSpecialPort", "TaskSpecialPort", "ExceptionServer", "kUNCServer", "PingEventUpdates",
				"EnterKernelDebuggerOnClose"})
		default:
			d.wrong("MachServices."+name, "true or a dictionary", v)
		}
		j.Services = append(j.Services, s)
	}
}

// validSocketName says that an environment can tell of a name; see sd_listen_fds_with_names(3).
func validSocketName(s string) bool {
	return s != "" && len(s) <= maxLabel && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r == ':' || r < ' ' || r == 0x7f })
}

func (j *Job) readSockets(d *dictionary) {
	m := d.dict("Sockets")
	for _, name := range sorted(m) {
		list, ok := m[name].([]any)
		if !ok {
			list = []any{m[name]}
		}
		if !validSocketName(name) {
			d.r.fail("Sockets: %q cannot be a name: programs are told names with colons between them", name)
		}
		for i, e := range list {
			v, ok := e.(map[string]any)
			if !ok {
				d.wrong("Sockets."+name, "a dictionary", e)
				continue
			}
			in := d.r.in(v, fmt.Sprintf("Sockets.%s[%d].", name, i))
			s := Socket{Name: name, Type: in.choice("SockType", "stream", "stream", "dgram", "seqpacket"),
				Passive: in.flag("SockPassive", true), Family: in.text("SockFamily"), Protocol: in.text("SockProtocol"),
				Node: in.text("SockNodeName"), Path: in.text("SockPathName"),
				PathMode: uint32(in.number("SockPathMode", 0, 0, 0o777)), Env: in.text("SecureSocketWithKey")}
			switch v, _ := in.take("SockServiceName"); v := v.(type) {
			case nil:
			case string:
				s.Service = v
			case uint64:
				s.Service = strconv.FormatUint(v, 10)
			default:
				in.wrong("SockServiceName", "text or a number", v)
			}
			in.rest([]string{"Bonjour", "MulticastGroup", "ReceivePacketInfo"})
			if s.Path == "" && s.Service == "" && s.Env == "" {
				in.r.fail("%sSockServiceName or SockPathName is needed", in.path)
			}
			j.Sockets = append(j.Sockets, s)
		}
	}
}

var limitNumbers = map[string]int{"CPU": syscall.RLIMIT_CPU, "FileSize": syscall.RLIMIT_FSIZE,
	"Data": syscall.RLIMIT_DATA, "Stack": syscall.RLIMIT_STACK, "Core": syscall.RLIMIT_CORE,
	"ResidentSetSize": 5, "NumberOfProcesses": 6, "NumberOfFiles": syscall.RLIMIT_NOFILE, "MemoryLock": 8}

func (d *dictionary) limits(key string) map[int]uint64 {
	m := d.dict(key)
	if len(m) == 0 {
		return nil
	}
	in := d.r.in(m, key+".")
	limits := make(map[int]uint64)
	for name, n := range limitNumbers {
		if _, ok := m[name]; ok {
			limits[n] = uint64(in.number(name, 0, 0, math.MaxInt64))
		}
	}
	in.rest(nil)
	return limits
}
