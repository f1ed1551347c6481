//go:build !linux

package main

import "github.com/spf13/cobra"

var platformCommands []func() *cobra.Command

func beforeMain() {}
