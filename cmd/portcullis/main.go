// Command portcullis makes software conform to Apple's Mach IPC security restrictions, without a Mac: it predicts which
// calls of a program the kernel will kill, and explains crash reports of programs that were killed.
//
// The command line has no logic of its own. Each verb has a file here that reads flags, calls the package which does
// the work, and prints with the renderers of package finding.
//
// What scripts may rely on: results go to standard output, everything else to standard error as lines that begin with
// "portcullis: error: ", "portcullis: hint: " or "portcullis: warning: "; the exit codes are those of [exitError].
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// commands lists the verbs in the order in which help prints them.
var commands = []func() *cobra.Command{
	newCCCommand,
	newCheckCommand,
	newEntitlementsCommand,
	newExplainCommand,
	newMigCommand,
	newRulesCommand,
	newSignCommand,
	newVersionCommand,
}

func main() {
	beforeMain()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends the process at once
		if patient.Load() {
			return
		}
		time.Sleep(interruptGrace)
		os.Exit(exitInterrupted)
	})
	os.Exit(runContext(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// interruptGrace is how long an interrupted command has for cleaning up. Most end at once; one that waits for its
// input would wait for ever.
const interruptGrace = 500 * time.Millisecond

// patient is set by a command that cleans up on its own when it is interrupted, however long that takes.
var patient atomic.Bool

// run executes one command line and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return runContext(context.Background(), args, stdin, stdout, stderr)
}

// runContext is [run] until ctx is done.
func runContext(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && ctx.Err() != nil {
		return exitInterrupted
	}
	return report(stderr, cmd, args, err)
}

// newRootCommand builds the whole tree of commands anew, so that tests may run it more than once.
func newRootCommand() *cobra.Command {
	cobra.EnableCommandSorting = false // commands stand in the order of use
	root := &cobra.Command{
		Use:           "portcullis",
		Short:         "conform to Apple's Mach IPC security restrictions, without a Mac",
		Long:          rootLong,
		Example:       rootExample,
		Args:          cobra.ArbitraryArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args)
		},
	}
	root.SetFlagErrorFunc(badFlag)
	root.SuggestionsMinimumDistance = 2
	addColorFlag(root)
	for _, make := range append(slices.Clone(commands), platformCommands...) {
		root.AddCommand(make())
	}
	finishHelp(root)
	markStarted(root)
	return root
}

const rootLong = `Portcullis makes software conform to Apple's Mach IPC security restrictions, and works without a Mac.

A process that carries the entitlement com.apple.security.hardened-process.platform-restrictions is killed with
EXC_GUARD when it misuses Mach IPC. Portcullis meets a violation where you meet it:

  before shipping   portcullis check predicts the kills from the binaries
  while testing     portcullis entitlements says which restrictions a build will live under
  after a crash     portcullis explain says which call was at fault and what to write instead`

const rootExample = `  # before shipping: read a bundle, an archive or a folder
  portcullis check MyApp.app

  # while testing: the level this build runs at, and the line that decides it
  portcullis entitlements MyApp.app

  # after a crash: a report, a folder of them, or text pasted on standard input
  portcullis explain MyApp-2026-01-31-120000.ips

  # what a number from a report or a log means
  portcullis rules 2305843037130981377`
