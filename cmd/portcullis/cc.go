package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portcullis.dev/sdk"
)

func newCCCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cc ARG...",
		Short: "compile C programs that use the Mach API",
		Long: `Cc calls the C compiler with the headers of the Mach API, and links libmach, so that a program runs as a task
under portcullis run. All arguments are the compiler's. It is $CC, or cc; with the first argument c++ it is $CXX, or
c++.

The SDK is part of this program. It is compiled once for each compiler and kept in the user's cache folder. Other build
systems ask for the flags: cc --print-flags.

Exit status: the compiler's; 3 where there is none.`,
		Example: `  portcullis cc -Wall handler.c -o handler && portcullis run ./handler
  portcullis cc c++ -std=c++20 handler.cc -o handler
  make CFLAGS="$(portcullis cc --print-flags)"`,
		DisableFlagParsing: true,
		RunE:               func(cmd *cobra.Command, args []string) error { return compile(cmd, args) },
	}
}

func compile(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError("portcullis cc prog.c -o prog", "'portcullis cc' wants the compiler's arguments")
	}
	if args[0] == "--help" || args[0] == "-h" {
		return cmd.Help()
	}
	compiler := compilerOf("CC", "cc")
	if args[0] == "c++" {
		args = args[1:]
		compiler = compilerOf("CXX", "c++")
	}
	s, err := sdk.Install(cmd.Context(), compilerOf("CC", "cc")[0])
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return &exitError{code: exitUnread, err: err, hint: "install a C compiler, or name one in CC"}
		}
		return err
	}
	include, link := s.Compile(), s.Link()
	if slices.Contains(args, "--print-flags") {
		fmt.Fprintln(cmd.OutOrStdout(), strings.Join(append(include, link...), " "))
		return nil
	}
	line := append(append(slices.Clone(compiler[1:]), include...), args...)
	if links(args) {
		line = append(line, link...)
	}
	c := exec.CommandContext(cmd.Context(), compiler[0], line...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, cmd.OutOrStdout(), cmd.ErrOrStderr()
	err = c.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exitWith(exit.ExitCode())
	}
	return err
}

// compilerOf returns the command in a variable, in words, or the usual one.
func compilerOf(variable, usual string) []string {
	if words := strings.Fields(os.Getenv(variable)); len(words) > 0 {
		return words
	}
	return []string{usual}
}

// links says that a compiler with these arguments makes a program or library.
func links(args []string) bool {
	for _, a := range args {
		switch a {
		case "-c", "-S", "-E", "-M", "-MM", "-fsyntax-only", "--version", "-v", "-###":
			return false
		}
	}
	return true
}
