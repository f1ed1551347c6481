package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestMessage(t *testing.T) {
	for in, want := range map[string]string{
		"Something failed.":        "portcullis: error: something failed\n",
		"ReportCrash is missing":   "portcullis: error: ReportCrash is missing\n",
		"EOF":                      "portcullis: error: EOF\n",
		"a\x1b[31mb":               `portcullis: error: a\x1b[31mb` + "\n",
		"two\nlines":               `portcullis: error: two\x0alines` + "\n",
		"open Foo.app: no such ..": "portcullis: error: open Foo.app: no such\n",
	} {
		var b bytes.Buffer
		message(&b, "error", in)
		if b.String() != want {
			t.Errorf("message(%q) prints %q, want %q", in, b.String(), want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"check", "completion", "entitlements", "explain", "help", "rules", "version"}
	for word, want := range map[string]string{
		"chekc": "check", "chek": "check", "rule": "rules", "Explain": "explain", "ent": "entitlements",
		"entitlement": "entitlements", "xyz": "", "": "", "comp": "completion", strings.Repeat("x", 1000): "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// The code of an error depends on where it came from: before a command started it is wrong usage, inside it is a
// failure to do the work.
func TestExitCodes(t *testing.T) {
	plain := errors.New("the disk is full")
	for _, c := range []struct {
		name   string
		args   []string
		err    error
		want   int
		stderr string
	}{
		{"nothing", []string{"try"}, nil, exitOK, ""},
		{"plain error", []string{"try"}, plain, exitUnread, "portcullis: error: the disk is full\n"},
		{"silent", []string{"try"}, exitWith(exitFindings), exitFindings, ""},
		{"wrapped", []string{"try"}, fmt.Errorf("x: %w", exitWith(exitFindings)), exitFindings, ""},
		{"usage", []string{"try"}, usageError("do it", "wrong"), exitUsage,
			"portcullis: error: wrong\nportcullis: hint: do it\n"},
		{"too many arguments", []string{"try", "a", "b"}, nil, exitUsage, ""},
		{"unknown flag", []string{"try", "--colour", "x"}, nil, exitUsage, ""},
		{"flag without value", []string{"try", "--color"}, nil, exitUsage, ""},
	} {
		saved := commands
		commands = append(slices.Clone(saved), func() *cobra.Command {
			return &cobra.Command{Use: "try", Args: cobra.MaximumNArgs(1),
				RunE: func(*cobra.Command, []string) error { return c.err }}
		})
		var out, stderr bytes.Buffer
		got := run(c.args, strings.NewReader(""), &out, &stderr)
		commands = saved
		if got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
		if c.stderr != "" && stderr.String() != c.stderr || c.want != 0 && c.want != exitFindings && stderr.Len() == 0 {
			t.Errorf("%s: standard error is %q, want %q", c.name, stderr.String(), c.stderr)
		}
		if out.Len() > 0 {
			t.Errorf("%s: standard output is %q", c.name, out.String())
		}
	}
}

func TestUseColor(t *testing.T) {
	for _, c := range []struct {
		flag, noColor, force string
		want                 bool
	}{
		{"auto", "", "", false}, // a buffer is no terminal
		{"always", "", "", true},
		{"always", "1", "", true},
		{"never", "", "1", false},
		{"auto", "", "1", true},
		{"auto", "", "0", false},
		{"auto", "1", "1", false},
	} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("CLICOLOR_FORCE", c.force)
		root := newRootCommand()
		if err := root.PersistentFlags().Set("color", c.flag); err != nil {
			t.Fatal(err)
		}
		if got := useColor(root, &bytes.Buffer{}); got != c.want {
			t.Errorf("%+v: colour is %v", c, got)
		}
	}
}

func TestWriteOutput(t *testing.T) {
	dir := t.TempDir()
	cmd := &cobra.Command{}
	var stdout bytes.Buffer
	cmd.SetOut(&stdout)
	hello := func(w io.Writer) error { _, err := io.WriteString(w, "hello"); return err }
	for _, path := range []string{"", "-"} {
		stdout.Reset()
		if err := writeOutput(cmd, path, hello); err != nil || stdout.String() != "hello" {
			t.Errorf("%q: %v, wrote %q", path, err, stdout.String())
		}
	}
	file := filepath.Join(dir, "report.json")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no")
	half := func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return failed }
	if err := writeOutput(cmd, file, half); !errors.Is(err, failed) {
		t.Errorf("error is %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "old" {
		t.Errorf("a failed command leaves %q in the file", b)
	}
	if err := writeOutput(cmd, file, hello); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(file)
	st, err := os.Stat(file)
	if err != nil || string(b) != "hello" || st.Mode().Perm() != 0o600 {
		t.Errorf("file holds %q with mode %v, %v", b, st.Mode(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files left behind: %v", left)
	}
	var e *exitError
	if err := writeOutput(cmd, dir, hello); !errors.As(err, &e) || e.code != exitUsage {
		t.Errorf("a folder: error is %v", err)
	}
	if err := writeOutput(cmd, filepath.Join(dir, "no", "such"), hello); err == nil ||
		!strings.HasSuffix(err.Error(), "no/such: no such file or directory") {
		t.Errorf("a folder that is not there: error is %v", err)
	}
	if err := writeOutput(cmd, os.DevNull, hello); err != nil {
		t.Errorf("%s: %v", os.DevNull, err)
	}
}
