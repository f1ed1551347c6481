package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"portcullis.dev/check"
	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// checkFlags are the flags of check.
type checkFlags struct {
	level         string
	arch          string
	minConfidence finding.Confidence
	failOn        finding.Confidence
	baseline      string
	compare       string
	symbols       []string
	writeBaseline bool
	format        string
	output        string
}

func newCheckCommand() *cobra.Command {
	f := checkFlags{minConfidence: finding.Possible, failOn: finding.Likely}
	cmd := &cobra.Command{
		Use:   "check PATH...",
		Short: "predict from the binaries which calls the kernel will kill for",
		Long: `Check reads binaries, finds the calls that the Mach IPC restrictions judge, recovers their arguments from the
machine code, and says which restriction kills the process, from which level on, how sure that is, and what to write
instead. What is proven to be harmless is not reported.

A PATH is a Mach-O file of any kind (program, library, bundle, object file, static library; thin or universal), a
bundle (.app, .framework, .xcframework), an archive (.ipa, .zip, .tgz and others, also inside one another), or a folder.
A framework is judged by the program that loads it, where that program is among what is read.

How sure a finding is:
  certain    every path to the call is proven to violate
  likely     a path to the call is proven to violate
  possible   the call is there; what decides could not be recovered

With --compare OLD, where OLD is an earlier version of what is checked, or the JSON form of its report, what is new or
became worse is shown and counts for the exit status; what is gone is listed, and what is as before is counted.

Level: --level, or what each program's entitlements declare; 2, the level of the entitlement, where they declare none.

Exit status: 0 where nothing kills and everything was read, 1 where a finding kills at the judged level and is at least
as sure as --fail-on, 2 for wrong usage, 3 where something could not be read (findings are printed all the same).`,
		Example: `  # an app, with its frameworks and extensions, judged by its entitlements
  portcullis check MyApp.app

  # a package straight from its registry, at the level of the entitlement
  portcullis check --level 2 "$(npm pack --silent clang-format-node@3.0.7)"

  # what a new version of an app brings
  portcullis check --compare MyApp-1.0.ipa MyApp-1.1.ipa

  # for code scanning: fail on nothing that was there before
  portcullis check --format sarif -o portcullis.sarif --baseline known.json build/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runCheck(cmd, args, f) },
	}
	addLevelFlag(cmd, &f.level, "judge at this level, whatever the programs declare")
	archs := []string{"arm64", "arm64e", "x86_64"}
	cmd.Flags().Var(&choice{&f.arch, archs}, "arch", "read only slices of this architecture; arm64 takes arm64e in")
	complete(cmd, "arch", archs)
	addConfidenceFlag(cmd, &f.minConfidence, "min-confidence", "leave out findings less sure than this")
	addConfidenceFlag(cmd, &f.failOn, "fail-on", "exit with 1 for findings at least this sure")
	cmd.Flags().StringVar(&f.baseline, "baseline", "", "leave out findings that this file knows")
	cmd.Flags().BoolVar(&f.writeBaseline, "write-baseline", false, "write what is found to the --baseline file")
	cmd.Flags().StringArrayVar(&f.symbols, "symbols", nil,
		"take source lines from the dSYM files at this path too; they are found by UUID")
	cmd.Flags().StringVar(&f.compare, "compare", "", "compare with this earlier version, or the JSON of its report")
	addFormatFlag(cmd, &f.format, "text", "json", "sarif", "html")
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "write to this file instead of standard output")
	return cmd
}

func runCheck(cmd *cobra.Command, paths []string, f checkFlags) error {
	opts := check.Options{Arch: f.arch, MinConfidence: f.minConfidence, Symbols: f.symbols}
	for _, p := range f.symbols {
		if _, err := os.Stat(p); err != nil {
			return usageError("", "--symbols %s: %w", p, cause(err))
		}
	}
	if f.level != "" {
		level, err := rules.ParseLevel(f.level)
		if err != nil {
			return usageError("", "--level: %w", err)
		}
		opts.Level = &level
	}
	if f.writeBaseline && f.baseline == "" {
		return usageError("name the file: --baseline FILE --write-baseline", "--write-baseline without --baseline")
	}
	if f.compare != "" && f.baseline != "" {
		return usageError("the JSON form of a report is a baseline, and can be compared with",
			"--compare and --baseline both say what is known")
	}
	known, err := readBaseline(f)
	if err != nil {
		return err
	}
	progress := newProgress(cmd.ErrOrStderr())
	opts.Progress = func(name string, size int64) {
		progress.File(name)
		progress.Add(1, size)
	}
	report, err := check.Run(cmd.Context(), paths, opts)
	var old *finding.Report
	if err == nil && f.compare != "" {
		old, err = earlier(cmd.Context(), f.compare, opts)
	}
	progress.Done()
	if err != nil {
		return err
	}
	report.Finish()
	switch {
	case old != nil:
		report.CompareWith(old, f.compare) // what could not be read of it passes for new
		report.Unread = append(report.Unread, old.Unread...)
	case f.writeBaseline:
		b := finding.NewBaseline(report)
		if known != nil {
			b.KeepReasons(known)
		}
		if err := writeOutput(cmd, f.baseline, b.Write); err != nil {
			return err
		}
		b.Apply(report, f.baseline)
	case known != nil:
		known.Apply(report, f.baseline)
	}
	err = writeOutput(cmd, f.output, func(w io.Writer) error { return writeFindings(cmd, w, report, f.format) })
	if err != nil {
		return err
	}
	return exitWith(report.ExitCode(f.failOn))
}

// earlier reads the report of an earlier version, or makes it.
func earlier(ctx context.Context, path string, opts check.Options) (*finding.Report, error) {
	wrong := func(err error) error {
		return &exitError{code: exitUsage, err: fmt.Errorf("--compare %s: %w", path, cause(err))}
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, wrong(err)
	}
	if st.Mode().IsRegular() {
		in, err := os.Open(path)
		if err != nil {
			return nil, wrong(err)
		}
		defer in.Close()
		head := make([]byte, 512)
		n, _ := io.ReadFull(in, head)
		if finding.IsReport(head[:n]) {
			if _, err := in.Seek(0, io.SeekStart); err != nil {
				return nil, wrong(err)
			}
			r, err := finding.ReadReport(in, path)
			if err != nil {
				return nil, &exitError{code: exitUsage, err: err}
			}
			return r, nil
		}
	}
	return check.Run(ctx, []string{path}, opts)
}

// readBaseline reads the baseline file. One that is about to be written need not exist.
func readBaseline(f checkFlags) (*finding.Baseline, error) {
	if f.baseline == "" {
		return nil, nil
	}
	in, err := os.Open(f.baseline)
	if f.writeBaseline && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("--baseline %s: %w", f.baseline, cause(err)),
			hint: "make one with --write-baseline"}
	}
	defer in.Close()
	b, err := finding.ReadBaseline(in, f.baseline)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	return b, nil
}
