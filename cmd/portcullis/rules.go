package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"portcullis.dev/rules"
	"portcullis.dev/rules/manual"
)

// rulesFlags are the flags of the rules command.
type rulesFlags struct {
	format, guard, payload, system string
	negative                       string // a code given as -123…, which would otherwise be a flag
}

func newRulesCommand() *cobra.Command {
	var f rulesFlags
	cmd := &cobra.Command{
		Use:   "rules [RULE|CODE]",
		Short: "print the restrictions, one of them, or what a number means",
		Long: `Rules prints the table of everything that EXC_GUARD can mean on Apple's systems, first the six restrictions
that Apple's documentation names. It is the table that check and explain work from.

With a name it prints that row in full: numbers and names by release, the levels at which it kills, what to write
instead. Every name works that reports, headers or documentation use, in any case.

With a number it explains the number: a 64-bit code in decimal or hexadecimal, also negative as tools with signed
integers print it. A number without a guard type, such as the 0x2703 of "Exception Codes", needs --type.

Exit status: 0, or 2 for wrong usage and names that no rule has.`,
		Example: `  # the table
  portcullis rules

  # one restriction, with examples
  portcullis rules SET_EXCEPTION_BEHAVIOR

  # a code from "Termination Reason: Namespace GUARD, Code …", with the number from "guarded with …"
  portcullis rules 2305843037130981377 --payload 0x6e

  # the same number in a report of an older system
  portcullis rules 0x200000066a4227d0 --os "macOS 14.4"

  # a target alone
  portcullis rules --type mach-port 0x2703`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && f.negative != "" {
				return errors.New("one rule or one number at a time")
			}
			return nil
		},
		ValidArgsFunction: completeRule,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.negative != "" {
				args = []string{f.negative}
			}
			return runRules(cmd, args, &f)
		},
	}
	addFormatFlag(cmd, &f.format, "text", "json", "markdown")
	cmd.Flags().StringVar(&f.guard, "type", "", "guard type of a number that carries none (mach-port, fd, virt-memory …)")
	cmd.Flags().StringVar(&f.payload, "payload", "", `second number of the exception ("guarded with", subcode)`)
	cmd.Flags().StringVar(&f.system, "os", "", `system of the report ("macOS 14.4", "iPhone OS 18.5")`)
	var types []string
	for _, t := range rules.GuardTypes() {
		types = append(types, t.Text())
	}
	complete(cmd, "type", types)
	for digit := '0'; digit <= '9'; digit++ { // -6917… reads as the flag -6 with the value 917…
		name := "negative-" + string(digit)
		cmd.Flags().VarP(&negativeNumber{&f.negative, string(digit)}, name, string(digit), "")
		if err := cmd.Flags().MarkHidden(name); err != nil {
			panic(err) // the flag was added a line before
		}
	}
	return cmd
}

// negativeNumber is a hidden flag that puts a negative number together again.
type negativeNumber struct {
	whole *string
	digit string
}

func (*negativeNumber) String() string { return "" }
func (*negativeNumber) Type() string   { return "number" }

// Set implements pflag.Value.
func (n *negativeNumber) Set(s string) error {
	if *n.whole != "" {
		return errors.New("one rule or one number at a time")
	}
	*n.whole = "-" + n.digit + s
	return nil
}

// completeRule offers the names of rules in the shell.
func completeRule(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	for _, r := range rules.All() {
		if strings.HasPrefix(r.Name, strings.ToUpper(typed)) || strings.HasPrefix(r.Name, typed) {
			out = append(out, cobra.CompletionWithDesc(r.Name, r.Title))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// runRules answers one command line.
func runRules(cmd *cobra.Command, args []string, f *rulesFlags) error {
	payload, system, err := f.numbers()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		if payload != nil || system.Known() || f.guard != "" {
			return usageError("give the code they belong to: portcullis rules CODE --payload N",
				"--type, --payload and --os go with a number")
		}
		return f.print(cmd, manual.WriteTable, manual.WriteTableJSON, manual.WriteMarkdown)
	}
	code, err := rules.ParseCode(args[0])
	switch {
	case err != nil && number(args[0]):
		return usageError("write it in decimal or as 0x…", "%w", err)
	case err != nil:
		return f.rule(cmd, args[0])
	}
	if f.guard == "" {
		return f.explain(cmd, rules.Explain(code, payload, system))
	}
	guard, err := rules.ParseGuardType(f.guard)
	switch {
	case err != nil:
		return usageError("", "--type: %w", err)
	case code.Type() == rules.GuardNone && uint64(code) <= 0xffffffff:
		return f.bare(cmd, guard, uint32(code))
	case code.Type() == rules.GuardNone: // flavor and target, without the type
		return f.explain(cmd, rules.Explain(rules.MakeCode(guard, code.Flavor(), code.Target()), payload, system))
	case code.Type() != guard:
		return usageError("leave --type out: the number carries its guard type",
			"%s is of %s, not of %s", code, code.Type(), guard)
	}
	return f.explain(cmd, rules.Explain(code, payload, system))
}

// numbers reads --payload and --os.
func (f *rulesFlags) numbers() (payload *uint64, system rules.OS, err error) {
	if f.payload != "" {
		n, err := rules.ParseCode(f.payload)
		if err != nil {
			return nil, system, usageError("write it in decimal or as 0x…", "--payload: %w", err)
		}
		payload = (*uint64)(&n)
	}
	if f.system != "" {
		var ok bool
		if system, ok = rules.ParseOS(f.system); !ok {
			return nil, system, usageError(`write it as "macOS 26.4" or "iOS 18.5"`, "--os %s: unknown system", f.system)
		}
	}
	return payload, system, nil
}

// rule prints the row of a name.
func (f *rulesFlags) rule(cmd *cobra.Command, name string) error {
	if f.payload != "" || f.system != "" || f.guard != "" {
		return usageError("leave them out, or give the code of the report", "--type, --payload and --os go with a number")
	}
	r, ok := rules.ByName(name)
	if !ok {
		hint := "see 'portcullis rules' for all of them"
		if near := rules.Suggest(name); len(near) > 0 {
			hint = "did you mean " + orList(near) + "?"
		}
		return usageError(hint, "no rule is called %q", name)
	}
	return f.print(cmd,
		func(w io.Writer, s manual.Style) error { return manual.WriteRule(w, r, s) },
		func(w io.Writer) error { return manual.WriteRuleJSON(w, r) },
		func(w io.Writer) error { return manual.WriteRuleMarkdown(w, r) })
}

// explain prints what a code means.
func (f *rulesFlags) explain(cmd *cobra.Command, x rules.Explanation) error {
	return f.print(cmd,
		func(w io.Writer, s manual.Style) error { return manual.WriteExplanation(w, x, s) },
		func(w io.Writer) error { return manual.WriteExplanationJSON(w, x) },
		func(w io.Writer) error { return manual.WriteExplanationMarkdown(w, x) })
}

// bare prints what a number without its guard type can be.
func (f *rulesFlags) bare(cmd *cobra.Command, guard rules.GuardType, n uint32) error {
	readings := rules.ReadBare(guard, n)
	text := func(w io.Writer, s manual.Style) error { return manual.WriteBare(w, guard, n, readings, s) }
	return f.print(cmd, text,
		func(w io.Writer) error { return manual.WriteBareJSON(w, readings) },
		func(w io.Writer) error {
			for _, r := range readings {
				if _, err := fmt.Fprintf(w, "- as %s: %s\n", r.As, r.Text); err != nil {
					return err
				}
			}
			return nil
		})
}

// print writes the answer in the form that --format names.
func (f *rulesFlags) print(cmd *cobra.Command, text func(io.Writer, manual.Style) error,
	asJSON, markdown func(io.Writer) error) error {
	out := cmd.OutOrStdout()
	switch f.format {
	case "json":
		return asJSON(out)
	case "markdown":
		return markdown(out)
	}
	style := manual.Style{}
	if useColor(cmd, out) {
		style = manualStyle()
	}
	style.Width = textWidth(out)
	return text(out, style)
}

// manualStyle returns the colours of the text form on a terminal.
func manualStyle() manual.Style {
	colour := func(s lipgloss.Style) func(string) string { return func(t string) string { return s.Render(t) } }
	return manual.Style{
		Heading: colour(lipgloss.NewStyle().Bold(true)),
		Name:    colour(lipgloss.NewStyle().Foreground(lipgloss.Cyan)),
		Level:   colour(lipgloss.NewStyle().Bold(true)),
		Bad:     colour(lipgloss.NewStyle().Foreground(lipgloss.Red)),
		Good:    colour(lipgloss.NewStyle().Foreground(lipgloss.Green)),
		Dim:     colour(lipgloss.NewStyle().Faint(true)),
	}
}
