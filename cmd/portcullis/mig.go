package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"portcullis.dev/mig"
	"portcullis.dev/mig/cgen"
	"portcullis.dev/mig/gogen"
	"portcullis.dev/mig/lint"
	"portcullis.dev/mig/model"
	"portcullis.dev/mig/source"
	"portcullis.dev/mig/syntax"
	"portcullis.dev/mig/xpcgen"
	"portcullis.dev/rules"
	"portcullis.dev/sdk"
)

// migFlags are the flags of the command.
type migFlags struct {
	goDir, cDir    string
	xpcDir         string
	include        []string
	define, undef  []string
	dialect        string
	level          string
	strict, noLint bool
	list           bool
}

func newMigCommand() *cobra.Command {
	var f migFlags
	cmd := &cobra.Command{
		Use:   "mig [--go DIR] [--c DIR] [--xpc DIR] FILE.defs",
		Short: "compile an interface definition into message stubs",
		Long: `Mig reads the definition of a message interface and writes the code on both sides of it: clients that look
like functions, and servers that check a request to the byte before they call the function that serves it.

With --go DIR it writes the package DIR/NAME/NAME.go, with --c DIR the files NAME.h, NAMEMessages.h, NAMEUser.c,
NAMEServer.h, NAMEServer.c and portcullis_mig.h. With --xpc DIR it writes a typed XPC service with the same routines,
for an interface that has to move: the package DIR/NAME/NAME.go, and beside it NameService.swift for Apple's libxpc.
Without any of them it checks the definition alone.

Routines that the restrictions of hardened processes forbid are warned of, with the restriction and the level from
which it kills: arrays of port rights, rights to control a task or thread, reply ports that are none.

Exit status: 0 where the definition is good, 1 where it has errors (warnings count with --strict), 2 for wrong usage, 3
where a file could not be read or written.`,
		Example: `  # check a definition
  portcullis mig clock.defs

  # a Go client and server, and C stubs
  portcullis mig --go internal --c csrc -I include -D KERNEL_USER=1 clock.defs

  # the same routines as an XPC service
  portcullis mig --xpc internal clock.defs

  # an interface of GNU Mach; what a hardened process may not do is an error
  portcullis mig --dialect gnu --strict process.defs`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runMig(cmd, args[0], &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.goDir, "go", "", "write a Go package below this folder")
	flags.StringVar(&f.cDir, "c", "", "write C stubs into this folder")
	flags.StringVar(&f.xpcDir, "xpc", "", "write an XPC service, in Go and Swift, below this folder")
	flags.StringArrayVarP(&f.include, "include", "I", nil, "search this folder for #include (may be given again)")
	flags.StringArrayVarP(&f.define, "define", "D", nil, "define a macro, NAME or NAME=VALUE (may be given again)")
	flags.StringArrayVarP(&f.undef, "undef", "U", nil, "do not define a macro after all (may be given again)")
	addChoice(cmd, &f.dialect, "dialect", "whose language the definition is written in", "apple", "gnu")
	addLevelFlag(cmd, &f.level, "warn of what kills at this level or below (default: at any)")
	flags.BoolVar(&f.strict, "strict", false, "what the restrictions forbid is an error")
	flags.BoolVar(&f.noLint, "no-lint", false, "do not look for what the restrictions forbid")
	flags.BoolVar(&f.list, "list", false, "print message ids, sizes and routines")
	return cmd
}

func runMig(cmd *cobra.Command, path string, f *migFlags) error {
	level := rules.LevelPlatform
	if f.level != "" {
		var err error
		if level, err = rules.ParseLevel(f.level); err != nil {
			return usageError("", "--level: %w", err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("cannot read %s: %w", path, cause(err))
	}
	dialect, _ := syntax.ParseDialect(f.dialect)
	options := mig.Options{Dialect: dialect, Include: f.include, Define: f.define, Undef: f.undef}
	if dialect == syntax.Apple { // the definitions are in its language
		var err error
		if options.System, err = sdk.Definitions(); err != nil {
			return err
		}
	}
	i, diagnostics := mig.Compile(path, options)
	if diagnostics.Errors() == 0 && !f.noLint {
		severity := source.Warning
		if f.strict {
			severity = source.Error
		}
		lint.Check(i, level, severity, diagnostics)
	}
	if err := diagnostics.Write(cmd.ErrOrStderr()); err != nil {
		return err
	}
	if diagnostics.Errors() > 0 {
		return exitWith(exitFindings)
	}
	if f.list {
		list(cmd.OutOrStdout(), i)
	}
	return writeStubs(i, f)
}

// list prints a line for each message id.
func list(w io.Writer, i *model.Interface) {
	for n, r := range i.Slots {
		if r == nil {
			fmt.Fprintf(w, "%d  skip\n", int(i.Base)+n)
			continue
		}
		reply := "no reply"
		if !r.Simple {
			reply = "reply " + span(&r.Reply)
		}
		fmt.Fprintf(w, "%d  %s  request %s, %s\n", r.ID, r.Name, span(&r.Request), reply)
	}
}

// span writes the size of a message.
func span(m *model.Message) string {
	if m.Variable() {
		return fmt.Sprintf("%d to %d bytes", m.Min, m.Max)
	}
	return fmt.Sprintf("%d bytes", m.Max)
}

// writeStubs writes what the flags ask for.
func writeStubs(i *model.Interface, f *migFlags) error {
	if f.goDir != "" {
		pkg, src, err := gogen.Generate(i)
		if err != nil {
			return &exitError{code: exitFindings, err: err}
		}
		if err := writeFile(filepath.Join(f.goDir, pkg), pkg+".go", src); err != nil {
			return err
		}
	}
	if f.xpcDir != "" {
		pkg, files, err := xpcgen.Generate(i)
		if err != nil {
			return &exitError{code: exitFindings, err: err}
		}
		for _, file := range files {
			if err := writeFile(filepath.Join(f.xpcDir, pkg), file.Name, file.Data); err != nil {
				return err
			}
		}
	}
	if f.cDir != "" {
		files, err := cgen.Generate(i)
		if err != nil {
			return &exitError{code: exitFindings, err: err}
		}
		for _, file := range files {
			if err := writeFile(f.cDir, file.Name, file.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeFile(dir, name string, data []byte) error {
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", filepath.Join(dir, name), errors.Unwrap(err))
	}
	return nil
}
