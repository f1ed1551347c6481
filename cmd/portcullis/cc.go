package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portcullis.dev/entitlement"
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
	s, err := install(cmd.Context())
	if err != nil {
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

// install makes the SDK, where the C compiler has not done so before.
func install(ctx context.Context) (*sdk.SDK, error) {
	s, err := sdk.Install(ctx, compilerOf("CC", "cc")[0])
	if errors.Is(err, exec.ErrNotFound) {
		return nil, &exitError{code: exitUnread, err: err, hint: "install a C compiler, or name one in CC"}
	}
	return s, err
}

// build compiles a program of one C file into a folder. The entitlements beside the file are the program's.
func build(ctx context.Context, source, dir string, messages io.Writer) (string, error) {
	s, err := install(ctx)
	if err != nil {
		return "", err
	}
	stem := strings.TrimSuffix(source, ".c")
	program := filepath.Join(dir, filepath.Base(stem))
	compiler := compilerOf("CC", "cc")
	line := slices.Concat(compiler[1:], []string{"-g", "-o", program}, s.Compile(), []string{source}, s.Link())
	c := exec.CommandContext(ctx, compiler[0], line...)
	c.Stdout, c.Stderr = messages, messages
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("cannot compile %s: %s: %w", source, compiler[0], err)
	}
	claims, err := os.ReadFile(stem + entitlement.SidecarSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return program, nil
	} else if err != nil {
		return "", err
	}
	return program, os.WriteFile(program+entitlement.SidecarSuffix, claims, 0o600)
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
