package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"portcullis.dev/crash"
	"portcullis.dev/finding"
	"portcullis.dev/kernel/trace"
	"portcullis.dev/rules"
	session "portcullis.dev/run"
)

// exitKilled is the code where a restriction killed the program: that of SIGKILL in a shell.
const exitKilled = 137

// runFlags are the flags of run and kernel that say how programs are treated.
type runFlags struct {
	level, claims, reports, format, trace string
	audit                                 bool

	traced *os.File // what --trace writes to; nil for standard error
}

func (f *runFlags) add(cmd *cobra.Command) {
	addLevelFlag(cmd, &f.level, "enforce this level, whatever programs declare")
	flags := cmd.Flags()
	flags.StringVar(&f.claims, "entitlements", "", "entitlements file that stands for those of every program")
	flags.BoolVar(&f.audit, "audit", false, "kill nobody, and tell every violation")
	flags.StringVar(&f.reports, "reports", "", "folder for crash reports (default: the working folder)")
	flags.StringVar(&f.trace, "trace", "", "tell every message and call, on standard error or in FILE; *.json is for Perfetto")
	flags.Lookup("trace").NoOptDefVal = "-"
	addFormatFlag(cmd, &f.format, "text", "json")
	cmd.MarkFlagsMutuallyExclusive("level", "entitlements")
}

// options turns the flags into options.
func (f *runFlags) options(cmd *cobra.Command) (session.Options, error) {
	o := session.Options{Entitlements: f.claims, Default: rules.Level2, Reports: f.reports, Version: readBuildInfo().Version}
	if f.level != "" {
		l, err := rules.ParseLevel(f.level)
		if err != nil {
			return o, err
		}
		o.Level = &l
	}
	if f.audit {
		o.Audit = session.Audit
	}
	if o.Reports == "" {
		o.Reports = "."
	}
	var err error
	if o.Trace, err = f.recorder(cmd.ErrOrStderr()); err != nil {
		return o, err
	}
	var mu sync.Mutex
	o.Dropped = func(d session.Dropped) {
		mu.Lock()
		defer mu.Unlock()
		message(cmd.ErrOrStderr(), "warning", fmt.Sprintf("%s (process %d) is ended, because it does not keep to the "+
			"protocol of tasks: %s", d.Name, d.PID, d.Why))
	}
	o.Reported = func(r session.Report, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			message(cmd.ErrOrStderr(), "warning", fmt.Sprintf("no crash report of process %d could be written: %v", r.PID, err))
			return
		}
		f.tell(cmd, cmd.ErrOrStderr(), r)
	}
	return o, nil
}

// recorder makes what --trace asks for; nil if it was not given.
func (f *runFlags) recorder(stderr io.Writer) (*trace.Recorder, error) {
	switch f.trace {
	case "":
		return nil, nil
	case "-":
		return trace.New(trace.NewText(stderr)), nil
	}
	var err error
	if f.traced, err = os.Create(f.trace); err != nil {
		return nil, err
	}
	if strings.HasSuffix(f.trace, ".json") {
		return trace.New(trace.NewChrome(f.traced)), nil
	}
	return trace.New(trace.NewText(f.traced)), nil
}

// closeTrace ends the trace, if there is one.
func (f *runFlags) closeTrace(r *trace.Recorder) error {
	if r == nil {
		return nil
	}
	err := r.Close()
	if f.traced != nil {
		if e := f.traced.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("the trace cannot be written: %w", err)
	}
	return nil
}

// tell prints what a report says.
func (f *runFlags) tell(cmd *cobra.Command, w io.Writer, r session.Report) {
	report := crash.ExplainFiles([]string{r.Path}, nil, nil)
	for i := range report.Findings {
		report.Findings[i].Moment = finding.MomentRun
	}
	report.Finish()
	if err := writeFindings(cmd, w, report, f.format); err != nil {
		message(w, "warning", err.Error())
	}
	message(w, "report", r.Path)
}

func newRunCommand() *cobra.Command {
	var f runFlags
	var kernel string
	cmd := &cobra.Command{
		Use:   "run [--level L | --entitlements FILE] [--audit] [--reports DIR] [--] PROGRAM [ARG...]",
		Short: "run a Linux program under a Mach kernel that enforces the restrictions",
		Long: `Run starts a Linux program that uses the Mach API as a task of a Mach kernel, and its children too. The kernel
enforces the restrictions: who violates one is killed, as on macOS, and leaves a crash report in Apple's form, which is
explained at once.

Build the program with portcullis cc, or in Go with package portcullis.dev/trap/task. A PROGRAM that ends in .c is a C
file, which is compiled first. What level a program is under, its entitlements say: PROGRAM.entitlements beside it (of
name.c name.entitlements), or those that portcullis sign has put into it. A program that declares nothing is at level 2,
which the entitlement gives.

With --audit nobody is killed, and every violation is told instead of the first.

With --trace every message and every call on ports is told as it happens, on standard error. --trace=FILE writes that
to a file; if its name ends in .json it is in the form of Chrome's trace events, which https://ui.perfetto.dev opens: a
slice for each call, and an arrow from who sends a message to who receives it.

Exit status: the program's own; 137 where a restriction killed it, and 128 and the number where another signal did; 1
with --audit where the program succeeded but violated; 2 for wrong usage; 3 where it could not be compiled or started.`,
		Example: `  # does it live at level 2?
  portcullis run handler.c

  # a program of several files
  portcullis cc handler.c server.c -o handler
  portcullis run ./handler

  # who says what to whom
  portcullis run --trace ./handler
  portcullis run --trace=trace.json ./handler

  # all that it does wrong
  portcullis run --level 3 --audit ./handler`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runProgram(cmd, &f, kernel, args) },
	}
	f.add(cmd)
	cmd.Flags().StringVar(&kernel, "kernel", "", "join the kernel at this socket instead of having one of its own")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func runProgram(cmd *cobra.Command, f *runFlags, kernel string, argv []string) error {
	// What the terminal sends, the program gets as well; its end is ours.
	patient.Store(true)
	signal.Ignore(os.Interrupt)
	defer signal.Reset(os.Interrupt)
	named := argv[0]
	if strings.HasSuffix(named, ".c") {
		dir, err := os.MkdirTemp("", "portcullis-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		program, err := build(cmd.Context(), named, dir, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		argv = append([]string{program}, argv[1:]...)
	}
	o, err := f.options(cmd)
	if err != nil {
		return err
	}
	var s *session.Session
	if kernel != "" {
		o.Socket = kernel
		s = session.Join(o)
	} else if s, err = session.Start(o); err != nil {
		return err
	}
	st, err := s.Run(cmd.Context(), argv)
	if e := s.Close(); err == nil {
		err = e
	}
	if e := f.closeTrace(o.Trace); err == nil && e != nil {
		return e
	}
	switch {
	case err != nil:
		return fmt.Errorf("cannot run %s: %w", named, cause(err))
	case st.Killed:
		return exitWith(exitKilled)
	case st.Code == 0 && f.audit && s.Violations() > 0:
		return exitWith(exitFindings)
	}
	return exitWith(st.Code)
}

func newKernelCommand() *cobra.Command {
	var f runFlags
	var socket string
	cmd := &cobra.Command{
		Use:   "kernel --listen SOCKET",
		Short: "run a Mach kernel that many programs share",
		Long: `Kernel runs a Mach kernel until it is told to end. Programs join it with portcullis run --kernel SOCKET, or by
the variable PORTCULLIS_KERNEL. Its flags say how they are treated, as those of run do.

Exit status: 0 where it was told to end, 2 for wrong usage, 3 where it could not run.`,
		Example: `  portcullis kernel --listen /tmp/kernel --reports /tmp/reports &
  portcullis run --kernel /tmp/kernel ./server &
  portcullis run --kernel /tmp/kernel ./client`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if socket == "" {
				return usageError("portcullis kernel --listen /tmp/kernel", "kernel wants --listen")
			}
			o, err := f.options(cmd)
			if err != nil {
				return err
			}
			o.Socket = socket
			s, err := session.Start(o)
			if err != nil {
				return err
			}
			patient.Store(true)
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			<-ctx.Done()
			err = s.Close()
			if e := f.closeTrace(o.Trace); err == nil {
				err = e
			}
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&socket, "listen", "", "path of the kernel's socket")
	return cmd
}
