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
			c.Long = `Completion prints a script that makes a shell complete commands, flags and their values.

Exit status: 0, or 2 for wrong usage.`
			c.Example = `  # bash, for this session
  source <(portcullis completion bash)

  # zsh, for good; the folder must be in $fpath
  portcullis completion zsh > "${fpath[1]}/_portcullis"

  # fish, for good
  portcullis completion fish > ~/.config/fish/completions/portcullis.fish`
		}
		c.InitDefaultHelpFlag()
		c.Flags().Lookup("help").Usage = "say how to use this command"
	}
	root.InitDefaultHelpFlag()
	root.Flags().Lookup("help").Usage = "say how to use portcullis"
}
