package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// update rewrites the golden parts of the scripts: go test ./cmd/portcullis -update
var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"portcullis": main})
}

// TestScript runs testdata/script/*.txtar. The first word of a file's name is the verb it is about. Beside testscript's
// own commands and conditions there are:
//
//	exits CODE PROGRAM [ARG...]   runs PROGRAM, which must exit with CODE; stdout, stderr and cmp work as after exec
//	clang ARG...                  the newest clang there is
//	[clang]                       clang and ld64.lld are installed, so that Mach-O files can be built
func TestScript(t *testing.T) {
	cache := t.TempDir() // one for all, so that the SDK is built once
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"NO_COLOR", "CLICOLOR_FORCE"} {
				env.Setenv(name, "")
			}
			env.Setenv("TERM", "dumb")
			env.Setenv("XDG_CACHE_HOME", cache)
			env.Setenv("HOSTILE", "\x1b]0;owned\a\u202e")
			return nil
		},
		Condition: condition,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
			"clang": clang,
		},
	})
}

// condition decides the conditions of our own.
func condition(name string) (bool, error) {
	if name == "root" {
		_, err := exec.LookPath("setpriv")
		return os.Geteuid() == 0 && err == nil, nil
	}
	if name == "clang" {
		return newest("clang") != "" && newest("ld64.lld") != "", nil
	}
	return false, errors.New("unknown condition " + name)
}

// newest finds an LLVM tool by its plain name or with the version that distributions append to it.
func newest(tool string) string {
	for v := 25; v >= 17; v-- {
		if p, err := exec.LookPath(tool + "-" + strconv.Itoa(v)); err == nil {
			return p
		}
	}
	p, _ := exec.LookPath(tool)
	return p
}

// exits is the script command of that name.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exited with %d, want %d", args[1], got, want)
	}
}

// clang is the script command of that name.
func clang(ts *testscript.TestScript, neg bool, args []string) {
	tool := newest("clang")
	if tool == "" {
		ts.Fatalf("clang is not installed; guard the line with [clang]")
	}
	err := ts.Exec(tool, args...)
	if neg == (err == nil) {
		ts.Fatalf("clang: %v", err)
	}
}
