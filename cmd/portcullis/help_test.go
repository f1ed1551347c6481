package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Every command teaches: what it does, examples, exit codes; every flag says what it is for. Nothing is hidden.
func TestHelpTeaches(t *testing.T) {
	root := newRootCommand()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			continue
		}
		if c.Hidden || c.Short == "" || c.Long == "" || c.Example == "" {
			t.Errorf("%s: hidden, or without a short text, a long text or an example", c.Name())
		}
		if !strings.Contains(c.Long, "Exit status:") {
			t.Errorf("%s: its help does not say its exit codes", c.Name())
		}
		if !strings.Contains(c.Example, "portcullis "+c.Name()) {
			t.Errorf("%s: its examples do not use it", c.Name())
		}
		if strings.HasSuffix(c.Short, ".") || c.Short != strings.ToLower(c.Short[:1])+c.Short[1:] {
			t.Errorf("%s: short text %q: want lower case, no full stop", c.Name(), c.Short)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if strings.HasPrefix(f.Name, "negative-") {
				return // how a negative number is told from flags
			}
			if f.Usage == "" || f.Hidden {
				t.Errorf("%s: flag --%s is hidden or has no text", c.Name(), f.Name)
			}
		})
		for _, line := range strings.Split(c.Long+"\n"+c.Example, "\n") {
			if len([]rune(line)) > 120 {
				t.Errorf("%s: help line of %d columns: %s", c.Name(), len([]rune(line)), line)
			}
		}
	}
}

// Each verb that the root's help shows exists.
func TestRootHelpNamesVerbs(t *testing.T) {
	root := newRootCommand()
	for _, m := range regexp.MustCompile(`portcullis ([a-z]+)`).FindAllStringSubmatch(rootLong+rootExample, -1) {
		if c, _, err := root.Find([]string{m[1]}); err != nil || c == root {
			t.Errorf("help shows 'portcullis %s', which is no command", m[1])
		}
	}
}
