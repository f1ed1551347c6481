package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"portcullis.dev/finding"
)

// addColorFlag adds --color to the root command, for all commands.
func addColorFlag(root *cobra.Command) {
	p := new(string)
	*p = "auto"
	values := []string{"auto", "always", "never"}
	root.PersistentFlags().Var(&choice{p, values}, "color", "colour the text: auto is on a terminal only")
	complete(root, "color", values)
}

// useColor decides whether text written to w is coloured: as --color says, else as the environment says (NO_COLOR wins,
// then CLICOLOR_FORCE), else on a terminal that knows colours.
func useColor(cmd *cobra.Command, w io.Writer) bool {
	if f := cmd.Flag("color"); f != nil {
		switch f.Value.String() {
		case "always":
			return true
		case "never":
			return false
		}
	}
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := os.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return isTerminal(w) && os.Getenv("TERM") != "dumb"
}

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// textWidth returns the columns to wrap text at: those of the terminal, at most 120; 100 where w is none, so that files
// and pipes read the same on every machine.
func textWidth(w io.Writer) int {
	const standard, widest, narrowest = 100, 120, 40
	if f, ok := w.(*os.File); ok && isTerminal(w) {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return max(narrowest, min(columns, widest))
		}
	}
	return standard
}

// textOptions returns how to render a report as text on w.
func textOptions(cmd *cobra.Command, w io.Writer) finding.TextOptions {
	return finding.TextOptions{Color: useColor(cmd, w), Width: textWidth(w)}
}
