package mig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/mig/model"
	"portcullis.dev/mig/syntax"
)

// gnuMig is the program of the Debian package mig-x86-64-gnu.
const gnuMig = "x86_64-gnu-mig"

// TestGNU compares our verdict with GNU MIG's, and what both understood: message ids and parameters of the client's C
// functions. Layouts are not compared, for GNU's messages are of another make (typed). Files:
//
//	good/      both accept
//	bad/       both refuse
//	stricter/  GNU accepts what we refuse; the first line says why
func TestGNU(t *testing.T) {
	gnu, err := exec.LookPath(gnuMig)
	if err != nil {
		t.Logf("%s is not installed (Debian package mig-x86-64-gnu): our verdicts alone are checked", gnuMig)
	}
	counts := map[string]int{}
	for _, kind := range []string{"good", "bad", "stricter"} {
		files, _ := filepath.Glob("testdata/gnu/" + kind + "/*.defs")
		counts[kind] = len(files)
		for _, f := range files {
			t.Run(kind+"/"+filepath.Base(f), func(t *testing.T) {
				i, errs := Compile(f, Options{Dialect: syntax.GNU})
				if ok := errs.Errors() == 0; ok != (kind == "good") {
					t.Fatalf("accepted: %v; %v", ok, errs.All)
				}
				if gnu == "" {
					t.Skipf("no %s to compare with", gnuMig)
				}
				dir := t.TempDir()
				at := func(n string) string { return filepath.Join(dir, n) }
				out, err := exec.Command(gnu, "-n", "-user", at("u.c"), "-server", at("s.c"), "-header", at("h.h"),
					"-list", at("list"), f).CombinedOutput()
				if ok := err == nil; ok != (kind != "bad") {
					t.Fatalf("%s accepted: %v; %s", gnuMig, ok, out)
				}
				if kind != "good" {
					return
				}
				compareIDs(t, i, at("list"))
				compareParams(t, i, at("h.h"), false)
			})
		}
	}
	if counts["good"] < 20 || counts["bad"] < 35 || counts["stricter"] < 10 {
		t.Errorf("too few files: %v", counts)
	}
}

// compareIDs compares the ids of requests and replies with the table that GNU MIG writes.
func compareIDs(t *testing.T, i *model.Interface, list string) {
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 6 {
			want = append(want, strings.Join(f[2:], " "))
		}
	}
	var got []string
	for _, r := range i.Routines() {
		reply := r.Reply.ID
		if r.Simple {
			reply = 0
		}
		got = append(got, fmt.Sprintf("%s %d %d %d", r.Name, r.ID-i.Base, r.Request.ID, reply))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ids (-GNU +ours):\n%s", d)
	}
}

var prototype = regexp.MustCompile(`(?s)\nkern_return_t (\w+)\n\((.*?)\n\);`)

// compareParams compares the names of parameters with another compiler's header for clients, or for servers.
func compareParams(t *testing.T, i *model.Interface, header string, server bool) {
	text, err := os.ReadFile(header)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, m := range prototype.FindAllStringSubmatch(string(text), -1) {
		line := m[1]
		for p := range strings.SplitSeq(m[2], ",") {
			f := strings.FieldsFunc(p, func(r rune) bool { return strings.ContainsRune(" *\n\t", r) })
			line += " " + f[len(f)-1]
		}
		want = append(want, line)
	}
	for _, r := range i.Routines() {
		line, params := r.UserName, r.UserParams()
		if server {
			line, params = r.ServerName, r.ServerParams()
		}
		for _, p := range params {
			line += " " + p.Name
		}
		got = append(got, line)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: parameters (-theirs +ours):\n%s", i.File, d)
	}
}

// notGNU matches what our definitions of the kernel say that GNU's language lacks: flags, one kind of argument, and
// types that GNU MIG has built in.
var notGNU = regexp.MustCompile(`(?m), (?:const|SameCount)\b|UserAuditToken[^;]*;|^type (?:char|int|short) = .*$`)

// TestGNUDefs compares our definitions of the kernel, as far as GNU's language has the words: ids and parameters.
func TestGNUDefs(t *testing.T) {
	gnu, err := exec.LookPath(gnuMig)
	if err != nil {
		t.Skipf("%s is not installed", gnuMig)
	}
	dir := t.TempDir()
	files, _ := filepath.Glob("../defs/*.defs")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), notGNU.ReplaceAll(text, nil), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	routines := 0
	for _, f := range files {
		name := filepath.Base(f)
		if name == "types.defs" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			path, out := filepath.Join(dir, name), t.TempDir()
			at := func(n string) string { return filepath.Join(out, n) }
			i, errs := Compile(path, Options{Dialect: syntax.GNU})
			if errs.Errors() > 0 {
				t.Fatal(errs.All[0].String())
			}
			text, err := exec.Command(gnu, "-n", "-user", at("u.c"), "-server", at("s.c"), "-header", at("h.h"),
				"-list", at("list"), path).CombinedOutput()
			if err != nil {
				t.Fatalf("%s refuses: %s", gnuMig, text)
			}
			routines += len(i.Routines())
			compareIDs(t, i, at("list"))
			compareParams(t, i, at("h.h"), false)
		})
	}
	if routines < 190 {
		t.Errorf("%d routines, want 190 at least", routines)
	}
}
