package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"portcullis.dev/launchd"
	"portcullis.dev/launchd/daemon"
	"portcullis.dev/xpc"
)

// launchctl is what the verbs of launchctl have in common.
type launchctl struct {
	control string
}

func newLaunchctlCommand() *cobra.Command {
	c := &launchctl{}
	cmd := &cobra.Command{
		Use:   "launchctl",
		Short: "control launchd",
		Long: `Launchctl asks a portcullis launchd to load and unload jobs, to start, stop and signal them, and to say how they
are. A TARGET is a DOMAIN with a label: system/LABEL, user/UID/LABEL or gui/UID/LABEL; a label alone is looked for in
the domain that launchd was started with.

Exit status: 0 where it was done, 2 for wrong usage, 3 where launchd cannot be reached, else the number of the error
that launchd gave, as Apple's launchctl has them: 37 loaded already, 112 no such domain, 113 no such service, 119
disabled, 3 no process, 5 anything else.`,
		Example: `  # load a job, look at it, unload it
  portcullis launchctl bootstrap system com.example.echo.plist
  portcullis launchctl print system/com.example.echo
  portcullis launchctl bootout system/com.example.echo

  # start it anew, and say why it runs
  portcullis launchctl kickstart -k com.example.echo
  portcullis launchctl blame com.example.echo`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usageError("see 'portcullis launchctl --help'", "launchctl has no verb %q", args[0])
		},
	}
	cmd.PersistentFlags().StringVar(&c.control, "control", "", "where launchctl reaches launchd (default: $"+
		controlVariable+", or in the run-time folder)")
	for _, v := range c.verbs() {
		cmd.AddCommand(v)
	}
	return cmd
}

func (c *launchctl) verbs() []*cobra.Command {
	var kill, pid bool
	kickstart := verb("kickstart [-k] [-p] TARGET", "start a job now", cobra.ExactArgs(1),
		func(out io.Writer, args []string) error {
			answer, err := c.ask(daemon.RoutineKickstart, target(args[0]).Set("kill", xpc.Bool(kill)))
			if err == nil && pid && answer.Int64("pid") != 0 {
				if isTerminal(out) {
					fmt.Fprint(out, "service spawned with pid: ")
				}
				fmt.Fprintln(out, answer.Int64("pid"))
			}
			return err
		})
	kickstart.Flags().BoolVarP(&kill, "kill", "k", false, "end the program first if it runs")
	kickstart.Flags().BoolVarP(&pid, "pid", "p", false,
		"print the process id; nothing where -k has to wait for the old one's end")
	var enable, disable bool
	load := verb("load [-w] PATH...", "load jobs into the domain of launchd", cobra.MinimumNArgs(1),
		func(_ io.Writer, args []string) error {
			_, err := c.ask(daemon.RoutineLoad, paths(xpc.NewDictionary().Set("enable", xpc.Bool(enable)), args))
			return err
		})
	load.Flags().BoolVarP(&enable, "write", "w", false, "enable them first")
	unload := verb("unload [-w] PATH...", "stop and unload jobs by their files", cobra.MinimumNArgs(1),
		func(_ io.Writer, args []string) error {
			_, err := c.ask(daemon.RoutineUnload, paths(xpc.NewDictionary().Set("disable", xpc.Bool(disable)), args))
			return err
		})
	unload.Flags().BoolVarP(&disable, "write", "w", false, "disable them, too")
	return []*cobra.Command{
		verb("bootstrap DOMAIN PATH...", "load jobs into a domain", cobra.MinimumNArgs(2),
			func(_ io.Writer, args []string) error {
				_, err := c.ask(daemon.RoutineLoad, paths(xpc.NewDictionary().Set("domain", xpc.String(args[0])), args[1:]))
				return err
			}),
		verb("bootout DOMAIN [PATH...] | TARGET", "stop and unload jobs, or all of a domain", cobra.MinimumNArgs(1),
			c.bootout),
		kickstart,
		verb("kill SIGNAL TARGET", "send a signal to a job's program", cobra.ExactArgs(2),
			func(_ io.Writer, args []string) error {
				sig, err := parseSignal(args[0])
				if err != nil {
					return err
				}
				_, err = c.ask(daemon.RoutineKill, target(args[1]).Set("signal", xpc.Int64(sig)))
				return err
			}),
		verb("list [LABEL]", "list jobs, or say what a job is", cobra.MaximumNArgs(1), c.list),
		verb("print DOMAIN | TARGET", "describe a domain or a job", cobra.ExactArgs(1),
			func(out io.Writer, args []string) error {
				routine, d := uint64(daemon.RoutinePrint), target(args[0])
				if d.Text("name") == "" {
					routine = daemon.RoutineDomain
				}
				answer, err := c.ask(routine, d)
				if err == nil {
					fmt.Fprint(out, answer.Text("text"))
				}
				return err
			}),
		verb("blame TARGET", "say why a job runs", cobra.ExactArgs(1), func(out io.Writer, args []string) error {
			answer, err := c.ask(daemon.RoutineBlame, target(args[0]))
			if err == nil {
				fmt.Fprintln(out, answer.Text("reason"))
			}
			return err
		}),
		verb("enable TARGET", "let a job be loaded, whatever its file says", cobra.ExactArgs(1),
			c.simple(daemon.RoutineEnable)),
		verb("disable TARGET", "let a job not be loaded", cobra.ExactArgs(1), c.simple(daemon.RoutineDisable)),
		verb("print-disabled DOMAIN", "say which jobs enable and disable were called for", cobra.ExactArgs(1),
			func(out io.Writer, args []string) error {
				answer, err := c.ask(daemon.RoutineDomain, target(args[0]).Set("disabled", xpc.Bool(true)))
				if err == nil {
					fmt.Fprint(out, answer.Text("text"))
				}
				return err
			}),
		load,
		unload,
		verb("remove LABEL", "stop and unload a job, without waiting for its end", cobra.ExactArgs(1),
			c.simple(daemon.RoutineRemove)),
		verb("start TARGET", "start a job now", cobra.ExactArgs(1), c.simple(daemon.RoutineKickstart)),
		verb("stop TARGET", "end a job's program", cobra.ExactArgs(1), c.simple(daemon.RoutineStop)),
	}
}

func verb(use, short string, args cobra.PositionalArgs, run func(io.Writer, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, a []string) error {
		return run(cmd.OutOrStdout(), a)
	}}
}

func (c *launchctl) simple(routine uint64) func(io.Writer, []string) error {
	return func(_ io.Writer, args []string) error {
		_, err := c.ask(routine, target(args[0]))
		return err
	}
}

// ask sends a request; what launchd refuses becomes the exit code.
func (c *launchctl) ask(routine uint64, d *xpc.Dictionary) (*xpc.Dictionary, error) {
	path := controlPath(c.control)
	answer, err := daemon.Ask(path, routine, d)
	var remote *xpc.RemoteError
	switch {
	case errors.As(err, &remote):
		return nil, &exitError{code: int(remote.Code & 0xff), err: fmt.Errorf("%d: %s", remote.Code, remote.Message)}
	case err != nil:
		return nil, &exitError{code: exitUnread, err: fmt.Errorf("cannot reach launchd at %s: %w", path, cause(err)),
			hint: "start one with 'portcullis launchd --jobs DIR', or name its socket with --control"}
	}
	return answer, nil
}

// target takes a domain, or a domain and a label, or a label, apart.
func target(s string) *xpc.Dictionary {
	d := xpc.NewDictionary()
	if launchd.ValidDomain(s) {
		return d.Set("domain", xpc.String(s))
	}
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		d.Set("domain", xpc.String(s[:i]))
		s = s[i+1:]
	}
	return d.Set("name", xpc.String(s))
}

func paths(d *xpc.Dictionary, args []string) *xpc.Dictionary {
	list := make(xpc.Array, 0, len(args))
	for _, a := range args {
		if abs, err := filepath.Abs(a); err == nil {
			a = abs
		}
		list = append(list, xpc.String(a))
	}
	return d.Set("paths", list)
}

func (c *launchctl) bootout(_ io.Writer, args []string) error {
	d := target(args[0])
	if len(args) > 1 {
		paths(d, args[1:])
	}
	_, err := c.ask(daemon.RoutineUnload, d)
	return err
}

// parseSignal reads a number or a name with or without SIG.
func parseSignal(s string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n < 65 {
		return syscall.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if n := unix.SignalNum(name); n != 0 {
		return n, nil
	}
	return 0, usageError("signals are numbers or names such as TERM", "%q is no signal", s)
}

func (c *launchctl) list(out io.Writer, args []string) error {
	if len(args) == 1 {
		answer, err := c.ask(daemon.RoutineList, target(args[0]))
		if err == nil {
			printService(out, answer.Dict("service"))
		}
		return err
	}
	answer, err := c.ask(daemon.RoutineList, xpc.NewDictionary())
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "PID\tStatus\tLabel")
	if services := answer.Dict("services"); services != nil {
		for label, v := range services.All() {
			e := v.(*xpc.Dictionary)
			pid := "-"
			if n := e.Int64("pid"); n != 0 {
				pid = strconv.FormatInt(n, 10)
			}
			fmt.Fprintf(out, "%s\t%d\t%s\n", pid, e.Int64("status"), label)
		}
	}
	return nil
}

// printService writes a job as Apple's launchctl list LABEL does.
func printService(out io.Writer, d *xpc.Dictionary) {
	if d == nil {
		return
	}
	fmt.Fprintf(out, "{\n\t\"Label\" = %q;\n\t\"LastExitStatus\" = %d;\n", d.Text("Label"), d.Int64("status"))
	if n := d.Int64("pid"); n != 0 {
		fmt.Fprintf(out, "\t\"PID\" = %d;\n", n)
	}
	fmt.Fprintf(out, "\t\"Program\" = %q;\n\t\"ProgramArguments\" = (\n", d.Text("Program"))
	for _, a := range d.Array("ProgramArguments") {
		fmt.Fprintf(out, "\t\t%q;\n", string(a.(xpc.String)))
	}
	fmt.Fprint(out, "\t);\n")
	if names := d.Dict("MachServices"); names != nil {
		fmt.Fprint(out, "\t\"MachServices\" = {\n")
		for name := range names.All() {
			fmt.Fprintf(out, "\t\t%q = mach-port-object;\n", name)
		}
		fmt.Fprint(out, "\t};\n")
	}
	fmt.Fprint(out, "};\n")
}
