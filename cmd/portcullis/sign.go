package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"portcullis.dev/entitlement"
	"portcullis.dev/entitlement/elfnote"
	"portcullis.dev/rules"
)

func newSignCommand() *cobra.Command {
	var claims string
	cmd := &cobra.Command{
		Use:   "sign [--entitlements FILE] PROGRAM",
		Short: "put entitlements into a Linux program",
		Long: `Sign puts an entitlements file into a Linux program, as codesign does with a program for macOS, so that the
program keeps its level wherever it is copied. Without --entitlements it takes PROGRAM.entitlements. Signing again
replaces what is there.

The entitlements are a note in the ELF file, in a section that nothing loads. The program runs as before. No key is
involved: the note claims, it proves nothing. GNU strip keeps it; llvm-strip takes it away, so sign after it.

Exit status: 0 where the program is signed, 2 for wrong usage, 3 where something could not be read or written, or the
entitlements file is none.`,
		Example: `  # at level 2 from now on
  portcullis sign --entitlements hardened.entitlements ./server

  # what it says now
  portcullis entitlements ./server`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return sign(cmd, args[0], claims) },
	}
	cmd.Flags().StringVar(&claims, "entitlements", "", "entitlements file, a property list (default: PROGRAM.entitlements)")
	return cmd
}

func sign(cmd *cobra.Command, program, claims string) error {
	beside := claims == ""
	if beside {
		claims = program + entitlement.SidecarSuffix
	}
	data, err := readClaims(claims)
	if beside && errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("cannot read %s: %w", program, cause(err))
		}
		return &exitError{code: exitUnread, err: fmt.Errorf("%s: there is no such file", claims),
			hint: "name the entitlements with --entitlements FILE"}
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", claims, cause(err))
	}
	if _, err := entitlement.ParsePlist(data); err != nil {
		return fmt.Errorf("%s: %w", claims, err)
	}
	if err := entitlement.Sign(program, data); err != nil {
		return fmt.Errorf("cannot sign %w", err)
	}
	report, err := entitlement.Inspect(cmd.Context(), claims, rules.OS{})
	if err == nil && report.Failed() {
		message(cmd.ErrOrStderr(), "warning", fmt.Sprintf("%s: the kernel refuses these entitlements, or they have errors; see "+
			"portcullis entitlements %s", claims, claims))
	}
	return err
}

// readClaims reads an entitlements file, which fits into a note.
func readClaims(path string) ([]byte, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case st.Size() > elfnote.MaxSize:
		return nil, fmt.Errorf("%d bytes, more than the limit of %d", st.Size(), elfnote.MaxSize)
	}
	return os.ReadFile(path)
}
