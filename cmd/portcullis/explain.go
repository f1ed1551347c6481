package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"portcullis.dev/crash"
	"portcullis.dev/finding"
)

func newExplainCommand() *cobra.Command {
	var format, output, symbols string
	cmd := &cobra.Command{
		Use:   "explain REPORT...|-",
		Short: "say what a crash report means, who is at fault, and what to write instead",
		Long: `Explain reads crash reports and says, for every guard that killed a process: which restriction it was, what its
code, target and payload mean on that system, which frame is most likely at fault, why it was fatal here, and what to
write instead. A report of another kind is named and passed over.

A REPORT is an .ips file (either schema), the translated text of macOS or iOS, MetricKit or Sentry JSON, text of
PLCrashReporter, a stop reason of LLDB, lines of the kernel's log, or text in which any of these stands: a mail, an
issue, a few pasted lines. A folder stands for all files in it, and - for standard input. What is missing, cut off or
damaged in a report is told, and the rest explained.

Exit status: 0 where everything was read, 2 for wrong usage, 3 where something could not be read or no report was
found in it.`,
		Example: `  # a report from Console or a device
  portcullis explain MyApp-2026-01-31-120000.ips

  # a line that somebody pasted
  echo 'Termination Reason: Namespace GUARD, Code 2305843037130981377' | portcullis explain -

  # all reports of a folder, with the functions named from a dSYM, as a page
  portcullis explain --symbols MyApp.app.dSYM --format html -o crashes.html reports/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return explain(cmd, args, format, output, symbols)
		},
	}
	addFormatFlag(cmd, &format, "text", "json", "sarif", "html")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this file instead of standard output")
	cmd.Flags().StringVar(&symbols, "symbols", "",
		"name functions from the images and dSYM files at this path; they are found by UUID")
	return cmd
}

func explain(cmd *cobra.Command, paths []string, format, output, symbolPath string) error {
	stdins := 0
	for _, p := range paths {
		if p == crash.Stdin {
			stdins++
		}
	}
	if stdins > 1 {
		return usageError("", "standard input can be read once, - is given %d times", stdins)
	}
	var symbols *crash.Symbols
	if symbolPath != "" {
		var err error
		if symbols, err = crash.OpenSymbols(symbolPath); err != nil {
			return &exitError{code: exitUnread, err: err, hint: "give the folder that holds the program's .dSYM"}
		}
		defer symbols.Close()
	}
	report := crash.ExplainFiles(paths, cmd.InOrStdin(), symbols)
	report.Finish()
	err := writeOutput(cmd, output, func(w io.Writer) error { return writeFindings(cmd, w, report, format) })
	if err != nil {
		return err
	}
	return exitWith(report.ExitCode(finding.Certain))
}

// writeFindings renders a report in one of the four forms.
func writeFindings(cmd *cobra.Command, w io.Writer, report *finding.Report, format string) error {
	build := readBuildInfo()
	switch format {
	case "json":
		return finding.WriteJSON(w, report)
	case "sarif":
		root, err := os.Getwd()
		if err != nil {
			return fmt.Errorf("find the working folder: %w", err)
		}
		exists := func(path string) bool {
			_, err := os.Stat(filepath.Join(root, path))
			return err == nil
		}
		return finding.WriteSARIF(w, report, finding.SARIFOptions{Version: build.Version, Revision: build.Revision, Root: root,
			Exists: exists})
	case "html":
		return finding.WriteHTML(w, report, finding.HTMLOptions{Version: build.Version})
	}
	return finding.WriteText(w, report, textOptions(cmd, w))
}
