package main

import (
	"github.com/spf13/cobra"

	"portcullis.dev/launchd/daemon"
)

// platformCommands are the verbs that need Linux.
var platformCommands = []func() *cobra.Command{newKernelCommand, newLaunchctlCommand, newLaunchdCommand, newLsmpCommand,
	newRunCommand}

// beforeMain takes the step before the program of a job of launchd, if this process is to become one.
func beforeMain() { daemon.Exec() }
