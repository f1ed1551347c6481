package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// Exit codes that scripts may rely on.
const (
	exitOK       = 0 // done, and nothing that kills
	exitFindings = 1 // at least one finding that kills at the judged level
	exitUsage    = 2 // wrong usage
	exitUnread   = 3 // some input could not be read, or the answer could not be written

	exitInterrupted = 130 // by Ctrl-C or SIGTERM; the code that shells give it
)

// exitError carries the exit code of a command out of it. A nil err means that all is said already: nothing is printed.
type exitError struct {
	code int
	err  error
	hint string // one sentence on what to do, may be empty
}

// Error implements error.
func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *exitError) Unwrap() error { return e.err }

// exitWith returns the error that ends a command with a code and prints nothing; nil for 0.
func exitWith(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

// usageError returns the error for a wrong command line, with a hint that may be empty.
func usageError(hint, format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...), hint: hint}
}

// markStarted wraps every command's RunE, and Args for a clearer message: what fails inside is a failure to do the work
// (3), while what cobra refuses before that, flags and numbers of arguments, is wrong usage (2).
func markStarted(cmd *cobra.Command) {
	if inner := cmd.RunE; inner != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			err := inner(cmd, args)
			if e := (*exitError)(nil); err == nil || errors.As(err, &e) {
				return err
			}
			return &exitError{code: exitUnread, err: err}
		}
	}
	if accept := cmd.Args; accept != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := accept(cmd, args)
			if err != nil && len(args) == 0 {
				return usageError("usage: "+cmd.UseLine(), "'%s' wants an argument", cmd.CommandPath())
			}
			return err
		}
	}
	for _, c := range cmd.Commands() {
		markStarted(c)
	}
}

// report prints what ended a command and returns the exit code.
func report(stderr io.Writer, cmd *cobra.Command, args []string, err error) int {
	if err == nil {
		return exitOK
	}
	e := (*exitError)(nil)
	if !errors.As(err, &e) {
		e = &exitError{code: exitUsage, err: err, hint: "see '" + cmd.CommandPath() + " --help'"}
	}
	if e.err != nil {
		message(stderr, "error", e.Error())
	}
	if e.hint != "" {
		message(stderr, "hint", e.hint)
	}
	return e.code
}

// message prints one line to standard error. Its form is a promise: "portcullis: KIND: text", lower case, no full stop,
// and no control characters, whatever file name or symbol the text quotes.
func message(stderr io.Writer, kind, text string) {
	text = strings.TrimRight(strings.TrimSpace(text), ".")
	if first, rest, _ := strings.Cut(text, " "); first != "" && !mixedCase(first) {
		r := []rune(first)
		r[0] = unicode.ToLower(r[0])
		text = strings.TrimSpace(string(r) + " " + rest)
	}
	fmt.Fprintf(stderr, "portcullis: %s: %s\n", kind, finding.Printable(text))
}

// mixedCase reports whether a word has a capital after its first letter, as names have: "ReportCrash", "Mach-O".
func mixedCase(word string) bool {
	for _, r := range []rune(word)[1:] {
		if unicode.IsUpper(r) {
			return true
		}
	}
	return false
}

// badFlag explains a flag that was not understood.
func badFlag(cmd *cobra.Command, err error) error {
	hint := "see '" + cmd.CommandPath() + " --help'"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		name := unknown.GetSpecifiedName()
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := nearest(name, names); near != "" {
			hint = "did you mean --" + near + "?"
		}
		return usageError(hint, "unknown flag --%s", name)
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		if c, ok := invalid.GetFlag().Value.(*choice); ok {
			if near := nearest(invalid.GetValue(), c.values); near != "" {
				hint = fmt.Sprintf("did you mean --%s %s?", invalid.GetFlag().Name, near)
			}
		}
		return usageError(hint, "--%s %s: %w", invalid.GetFlag().Name, invalid.GetValue(), errors.Unwrap(invalid))
	}
	return usageError(hint, "%w", err)
}

// unknownCommand explains a first word that is no verb. Often the verb was left out before a file or a number.
func unknownCommand(root *cobra.Command, args []string) error {
	word := args[0]
	if _, err := os.Lstat(word); err == nil {
		verb := "check"
		switch strings.ToLower(filepath.Ext(word)) {
		case ".ips", ".crash", ".txt", ".json":
			verb = "explain"
		}
		return usageError(fmt.Sprintf("did you mean 'portcullis %s %s'?", verb, strings.Join(args, " ")),
			"%q is a file, not a command", word)
	}
	if number(word) {
		return usageError(fmt.Sprintf("did you mean 'portcullis rules %s'?", word), "%q is a number, not a command", word)
	}
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	if near := nearest(word, names); near != "" {
		line := strings.Join(append([]string{near}, args[1:]...), " ")
		return usageError(fmt.Sprintf("did you mean 'portcullis %s'?", line), "unknown command %q", word)
	}
	return usageError("see 'portcullis --help' for the commands", "unknown command %q", word)
}

// number reports whether a word looks like the number of a guard.
func number(word string) bool {
	word = strings.TrimPrefix(strings.ToLower(word), "0x")
	return word != "" && strings.Trim(word, "0123456789abcdef") == "" && strings.ContainsAny(word, "0123456789")
}

// nearest returns the one of names that is a slip of the keyboard away from word, or "".
func nearest(word string, names []string) string {
	const most = 64 // bytes compared
	if len(word) < 2 {
		return ""
	}
	word = strings.ToLower(word)
	best, distance := "", 3
	if len(word) <= 3 {
		distance = 2
	}
	for _, n := range slices.Sorted(slices.Values(names)) {
		d := rules.EditDistance(word[:min(len(word), most)], n[:min(len(n), most)])
		if len(word) >= 3 && strings.HasPrefix(n, word) {
			d = min(d, 1)
		}
		if d < distance {
			best, distance = n, d
		}
	}
	return best
}
