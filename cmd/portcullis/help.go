package main

import "github.com/spf13/cobra"

// finishHelp gives every command the same words for what cobra adds by itself.
func finishHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Short = "say how to use a command"
		case "completion":
			c.Short = "print the completion script for a shell"
		}
	}
}
