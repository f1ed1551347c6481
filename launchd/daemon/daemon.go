//go:build linux

package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/linux"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/launchd"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
	"portcullis.dev/trap"
	"portcullis.dev/xpc"
	"portcullis.dev/xpc/local"
)

// Config says what a daemon works with.
type Config struct {
	Socket  string   // of the kernel; made
	Control string   // socket for launchctl; made. "" for none
	Domain  string   // that Jobs are loaded into; "" for the user's own
	Jobs    []string // files and directories of job files
	Kernel  linux.Config
	State   *State // which jobs are enabled and disabled; nil: that lasts as long as the daemon. Run closes it
	Log     func(string)
	// Started is called once all jobs of Jobs are loaded.
	Started func()
}

// Daemon is a launchd that runs.
type Daemon struct {
	c      Config
	kernel *linux.Kernel
	task   *local.Task
	who    local.Registry
	xpc    *xpc.Process
	core   *launchd.Launchd
	ports  *ports
	names  *bootstrapServer
	spawn  *spawner

	mu  sync.Mutex // of the log
	ids sync.Map   // executable to entitlements
}

// New makes a daemon and its kernel. Run lets it work.
func New(c Config) (*Daemon, error) {
	if c.Domain == "" {
		c.Domain = launchd.UserDomain(uint32(os.Getuid()))
	} else if !launchd.ValidDomain(c.Domain) {
		return nil, fmt.Errorf("%w: %s", launchd.ErrNoDomain, c.Domain)
	}
	d := &Daemon{c: c}
	k := c.Kernel
	if k.Objects.Server == nil {
		k.Objects.Server = server.New(server.Config{})
	}
	if k.Admit == nil {
		k.Admit = d.admit
	}
	started := k.Started
	k.Started = func(p *linux.Process) {
		if right := d.names.right(); right != nil && p.Task.SetSpecialPort(d.names.th, object.TaskBootstrapPort, right) != 0 {
			right.ReleaseSend()
		}
		if started != nil {
			started(p)
		}
	}
	d.kernel = linux.New(k)
	r := restrict.NewTask(restrict.ForLevel(rules.LevelPlatform))
	r.Launchd = true
	pid := int32(os.Getpid())
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	var err error
	d.task, err = local.NewTask(d.kernel.Machine, object.TaskConfig{PID: pid, Restrict: r, Root: true,
		Identity: ipc.Identity{Security: [2]uint32{uid, gid},
			Audit: mach.AuditToken{uid, uid, gid, uid, gid, uint32(pid), 0, 1}}},
		&d.who)
	if err != nil {
		return nil, err
	}
	d.task.Violation = func(v restrict.Violation) { d.log("launchd itself ran into %v", v.Code) }
	d.xpc = xpc.NewProcess(d.task)
	if d.ports, err = newPorts(d.task, d.xpc); err != nil {
		return nil, err
	}
	if d.names, err = newBootstrap(d); err != nil {
		return nil, err
	}
	d.spawn = &spawner{kernel: c.Socket}
	core := launchd.Config{Clock: clock{}, Spawner: d.spawn, Ports: d.ports, Listeners: listeners{}, Files: files{},
		Domains: []string{c.Domain}, Log: func(s string) { d.log("%s", s) }}
	if c.State != nil {
		core.Overrides = c.State
	}
	d.core = launchd.New(core)
	return d, nil
}

// Core returns the launchd that decides.
func (d *Daemon) Core() *launchd.Launchd { return d.core }

// Kernel returns the kernel.
func (d *Daemon) Kernel() *linux.Kernel { return d.kernel }

func (d *Daemon) log(format string, a ...any) {
	if d.c.Log == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.c.Log(fmt.Sprintf(format, a...))
}

type clock struct{}

func (clock) Now() time.Time { return time.Now() }
func (clock) AfterFunc(t time.Duration, f func()) func() bool {
	return time.AfterFunc(t, f).Stop
}

type files struct{}

// Modified implements launchd.Files.
func (files) Modified(path string) time.Time {
	st, err := os.Lstat(path)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime()
}

// Empty implements launchd.Files.
func (files) Empty(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return true
	}
	defer f.Close()
	names, _ := f.Readdirnames(1)
	return len(names) == 0
}

// admit lets every program in, at the level that its entitlements give.
func (d *Daemon) admit(p *linux.Program) (*restrict.Task, error) {
	level, entitlements := d.level(p.Path)
	t := restrict.NewTask(restrict.ForLevel(level))
	t.Entitlements = granted(entitlements)
	return t, nil
}

// Run runs the daemon until the context ends: then jobs are stopped, and it returns when all have ended.
func (d *Daemon) Run(ctx context.Context) (err error) {
	if d.c.State != nil {
		defer d.c.State.Close()
	}
	l, err := listen("unixpacket", d.c.Socket)
	if err != nil {
		return err
	}
	kernelCtx, stopKernel := context.WithCancel(context.Background())
	kernelDone := make(chan error, 1)
	go func() { kernelDone <- d.kernel.Serve(kernelCtx, l) }()
	d.ports.run(d.core)
	go d.names.run()
	if os.Getpid() == 1 {
		go d.reap(kernelCtx)
	}
	var control net.Listener
	if d.c.Control != "" {
		if control, err = listen("unix", d.c.Control); err == nil {
			go d.serveControl(control)
		}
	}
	if err == nil {
		d.loadAll()
		if d.c.Started != nil {
			d.c.Started()
		}
		select {
		case <-ctx.Done():
		case err = <-kernelDone:
			kernelDone <- err
		}
	}
	<-d.core.Shutdown() // from now on nothing is enabled or disabled
	if d.c.State != nil {
		d.c.State.Close() // before another launchd can have the control socket
	}
	if control != nil {
		control.Close()
	}
	stopKernel()
	if e := <-kernelDone; err == nil {
		err = e
	}
	d.names.stop()
	d.ports.stop()
	d.xpc.Close()
	d.task.Terminate()
	os.Remove(d.c.Socket)
	return err
}

// listen makes a socket that the user alone can connect to, or everybody if the user is root. One that nobody listens
// on any more is replaced.
func listen(network, path string) (*net.UnixListener, error) {
	if c, err := net.Dial(network, path); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: somebody listens there already", path)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path)
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		return nil, err
	}
	mode := os.FileMode(0o700)
	if os.Getuid() == 0 {
		mode = 0o777 // root's launchd serves everybody
	}
	if err := os.Chmod(path, mode); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// loadAll loads the jobs that the configuration names. What cannot be loaded is logged.
func (d *Daemon) loadAll() {
	for _, p := range d.c.Jobs {
		for _, err := range d.loadPath(d.c.Domain, p, asItIs) {
			d.log("%v", err)
		}
	}
}

// override says whether a job is enabled before it is loaded, or disabled before it is unloaded: launchctl's -w.
type override bool

// asItIs leaves enabled and disabled what is.
const asItIs override = false

// loadPath loads a job file, or all job files of a directory, and returns what went wrong.
func (d *Daemon) loadPath(domain, path string, o override) (errs []error) {
	st, err := os.Stat(path)
	if err != nil {
		return []error{err}
	}
	list := []string{path}
	if st.IsDir() {
		if list, err = filepath.Glob(filepath.Join(path, "*.plist")); err != nil {
			return []error{err}
		}
	}
	for _, f := range list {
		if err := d.loadFile(domain, f, o); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (d *Daemon) loadFile(domain, path string, o override) error {
	j, err := d.parseFile(path)
	if err == nil && o {
		err = d.core.Enable(domain, j.Label, launchd.On)
	}
	if err != nil {
		return err
	}
	if err := d.core.Load(domain, j); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (d *Daemon) parseFile(path string) (*launchd.Job, error) {
	b, err := readTrusted(path)
	if err != nil {
		return nil, err
	}
	j, warnings, err := launchd.ParseJob(path, b)
	for _, w := range warnings {
		d.log("warning: %s", w)
	}
	return j, err
}

// copySend gives the task one more reference to a send right.
func (d *Daemon) copySend(name mach.Name) mach.KernReturn {
	p, kr := d.task.Space.SendPort(name)
	if kr != 0 {
		return kr
	}
	_, kr = d.task.Space.InsertSend(p.CopySend(), false)
	return kr
}

func tokenOf(b []byte) (t mach.AuditToken) {
	if len(b) == 32 {
		for i := range t {
			t[i] = binary.LittleEndian.Uint32(b[4*i:])
		}
	}
	return t
}

// identify says which program runs in the process of a token.
func (d *Daemon) identify(t mach.AuditToken) (*xpc.Identity, error) {
	p := d.kernel.Find(int(t.PID()))
	if p == nil || p.Task.Identity().Audit != t {
		return nil, fmt.Errorf("there is no process %d of version %d", t.PID(), t[7])
	}
	_, entitlements := d.level(p.Path)
	return &xpc.Identity{Executable: p.Path, Entitlements: entitlements}, nil
}

// environment is what jobs need to find the kernel.
func environment(socket string) string { return trap.Environment + "=" + socket }
