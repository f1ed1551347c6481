package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"portcullis.dev/launchd"
	"portcullis.dev/launchd/daemon"
)

// launchdFlags are the flags of the command.
type launchdFlags struct {
	jobs            []string
	domain          string
	socket, control string
	state           string
}

func newLaunchdCommand() *cobra.Command {
	var f launchdFlags
	cmd := &cobra.Command{
		Use:   "launchd [--jobs DIR]...",
		Short: "run services on demand, under a kernel of their own",
		Long: `Launchd runs a Mach kernel and the jobs of launchd.plist files on it. A job is started when a message comes to
one of its services, somebody connects to one of its sockets, a path changes, a time comes, or it is to be kept alive;
its service ports come back when it dies, with the messages that nobody took. Programs find the kernel by the variable
PORTCULLIS_KERNEL, services by the bootstrap port that every task has.

It runs as an ordinary user or as root, also as the first process of a container, and ends on SIGTERM, after it has
stopped its jobs. What happens is told on standard error. Use portcullis launchctl to control it.

Which jobs are enabled and disabled is kept in the folder of --state and holds at the next start. Without the flag that
is $XDG_STATE_HOME/portcullis/launchd or ~/.local/state/portcullis/launchd, and /var/lib/portcullis/launchd for root. It
is not kept by a launchd whose control socket is not at the usual place, by one that is the first process without
XDG_STATE_HOME, and with --state "".

Exit status: 0 where it was told to end, 2 for wrong usage, 3 where it could not run.`,
		Example: `  # the jobs of a folder
  portcullis launchd --jobs ~/agents

  # another one beside it, with paths of its own
  portcullis launchd --jobs test/jobs --socket /tmp/t/kernel --control /tmp/t/control --state /tmp/t/state`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLaunchd(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.jobs, "jobs", nil, "load the job files of this folder, or this job file (may be given again)")
	flags.StringVar(&f.domain, "domain", "", "domain of these jobs: system, user/UID or gui/UID (default: the user's own)")
	flags.StringVar(&f.socket, "socket", "", "where programs reach the kernel (default: in the run-time folder)")
	flags.StringVar(&f.state, "state", "", "folder that keeps which jobs are enabled and disabled (default: see above)")
	addControlFlag(cmd, &f.control)
	return cmd
}

func addControlFlag(cmd *cobra.Command, p *string) {
	cmd.Flags().StringVar(p, "control", "", "where launchctl reaches launchd (default: $"+controlVariable+
		", or in the run-time folder)")
}

// controlVariable holds the path of the control socket.
const controlVariable = "PORTCULLIS_LAUNCHD"

// runtimeDir returns the folder of sockets.
func runtimeDir() string {
	switch dir := os.Getenv("XDG_RUNTIME_DIR"); {
	case os.Getuid() == 0:
		return "/run/portcullis"
	case dir != "":
		return filepath.Join(dir, "portcullis")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("portcullis-%d", os.Getuid()))
}

func controlPath(flag string) string {
	if flag != "" {
		return flag
	}
	if p := os.Getenv(controlVariable); p != "" {
		return p
	}
	return usualControl()
}

func usualControl() string { return filepath.Join(runtimeDir(), "launchd") }

// stateDir returns the folder for what a launchd with these numbers of process and user keeps if no other was asked
// for; "" for none.
func stateDir(pid, uid int) string {
	dir := os.Getenv("XDG_STATE_HOME")
	switch given := filepath.IsAbs(dir); { // others are not valid, says the XDG specification
	case pid == 1 && !given:
		return "" // a container's files are gone when it is
	case pid == 1:
	case uid == 0:
		return "/var/lib/portcullis/launchd"
	case !given:
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "portcullis", "launchd")
}

// openState opens the folder for what launchd keeps. One that was asked for must be there; without the usual one it
// does without.
func openState(asked bool, dir, control string, log func(string)) (*daemon.State, error) {
	if !asked {
		if control != usualControl() {
			return nil, nil
		}
		dir = stateDir(os.Getpid(), os.Getuid())
	}
	if dir == "" {
		return nil, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s, err := daemon.OpenState(dir)
	if err != nil && !asked {
		log(fmt.Sprintf("warning: what is enabled and disabled is not kept: %v", err))
		return nil, nil
	}
	return s, err
}

func runLaunchd(cmd *cobra.Command, f *launchdFlags) error {
	if f.domain != "" && !launchd.ValidDomain(f.domain) {
		return usageError("domains are system, user/UID and gui/UID", "--domain: %q is no domain", f.domain)
	}
	control := controlPath(f.control)
	if f.socket == "" {
		f.socket = filepath.Join(filepath.Dir(control), "kernel")
	}
	for _, p := range []*string{&control, &f.socket} {
		abs, err := filepath.Abs(*p) // jobs live elsewhere
		if err != nil {
			return err
		}
		if *p = abs; os.MkdirAll(filepath.Dir(abs), 0o755) != nil {
			return fmt.Errorf("cannot make the folder of %s", abs)
		}
	}
	for i, j := range f.jobs {
		if _, err := os.Stat(j); err != nil {
			return fmt.Errorf("cannot read %s: %w", j, cause(err))
		}
		abs, err := filepath.Abs(j)
		if err != nil {
			return err
		}
		f.jobs[i] = abs
	}
	var mu sync.Mutex
	log := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		message(cmd.ErrOrStderr(), "launchd", s)
	}
	state, err := openState(cmd.Flags().Changed("state"), f.state, control, log)
	if err != nil {
		return fmt.Errorf("--state: %w", err)
	}
	d, err := daemon.New(daemon.Config{Socket: f.socket, Control: control, Domain: f.domain, Jobs: f.jobs, State: state,
		Log:     log,
		Started: func() { fmt.Fprintf(cmd.OutOrStdout(), "%s\n", f.socket) }})
	if err != nil {
		return err
	}
	patient.Store(true)
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	return d.Run(ctx)
}
