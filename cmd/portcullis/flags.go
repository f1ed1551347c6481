package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// choice is a flag that takes one of a few words. It completes in the shell.
type choice struct {
	value  *string
	values []string
}

// String implements pflag.Value.
func (c *choice) String() string { return *c.value }

// Type implements pflag.Value; help prints it after the name of the flag.
func (c *choice) Type() string { return strings.Join(c.values, "|") }

// Set implements pflag.Value.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.values, s) {
		return fmt.Errorf("want %s", orList(c.values))
	}
	*c.value = s
	return nil
}

// orList writes "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// addChoice adds a flag whose value is one of values, the first of which is the default unless *p holds another.
func addChoice(cmd *cobra.Command, p *string, name, usage string, values ...string) {
	if *p == "" {
		*p = values[0]
	}
	cmd.Flags().Var(&choice{p, values}, name, usage)
	complete(cmd, name, values)
}

// addFormatFlag adds --format; the first value is the default.
func addFormatFlag(cmd *cobra.Command, p *string, values ...string) {
	addChoice(cmd, p, "format", "form of the answer", values...)
}

// addLevelFlag adds --level. *p stays empty where the flag is not given.
func addLevelFlag(cmd *cobra.Command, p *string, usage string) {
	var values []string
	for _, l := range rules.Levels() {
		values = append(values, l.String())
	}
	cmd.Flags().Var(&choice{p, values}, "level", usage)
	complete(cmd, "level", values)
}

// addConfidenceFlag adds a flag that takes a confidence. *p holds the default.
func addConfidenceFlag(cmd *cobra.Command, p *finding.Confidence, name, usage string) {
	values := []string{string(finding.Certain), string(finding.Likely), string(finding.Possible)}
	cmd.Flags().Var(&choice{(*string)(p), values}, name, usage)
	complete(cmd, name, values)
}

// complete offers values for a flag in the shell.
func complete(cmd *cobra.Command, name string, values []string) {
	err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag was added a line before
	}
}
