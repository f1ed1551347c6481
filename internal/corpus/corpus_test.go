package corpus

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// outcome is a testing.TB that remembers how the test ended instead of ending it.
type outcome struct {
	testing.TB
	ended, message string
}

func (o *outcome) Helper() {}

func (o *outcome) end(how, message string) {
	o.ended, o.message = how, message
	runtime.Goexit()
}

func (o *outcome) Fatal(args ...any)            { o.end("failed", fmt.Sprint(args...)) }
func (o *outcome) Fatalf(f string, args ...any) { o.end("failed", fmt.Sprintf(f, args...)) }
func (o *outcome) Skip(args ...any)             { o.end("skipped", fmt.Sprint(args...)) }

// try runs f as a test of its own.
func try(t *testing.T, f func(testing.TB)) *outcome {
	o := &outcome{TB: t, ended: "passed"}
	var wg sync.WaitGroup
	wg.Go(func() { f(o) })
	wg.Wait()
	return o
}

func tarball(t *testing.T, files ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for _, name := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(name)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, name)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// fake sets up an empty corpus, a package list of one package, and an npm that delivers what it is told to.
func fake(t *testing.T, listed, delivered []byte, script string) (dir string) {
	t.Helper()
	base := t.TempDir()
	dir = filepath.Join(base, "corpus")
	t.Setenv(EnvDir, dir)
	t.Setenv(EnvRequired, "")
	sum := sha512.Sum512(listed)
	old := integrities
	integrities = func() map[string]string {
		return map[string]string{"@scope/name@1.0.0": "sha512-" + base64.StdEncoding.EncodeToString(sum[:])}
	}
	t.Cleanup(func() { integrities = old })
	if err := os.WriteFile(filepath.Join(base, "package"), delivered, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(base, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	if script != "" {
		text := strings.ReplaceAll("#!/bin/sh\necho \"$@\" >> BASE/calls\n"+script+"\n", "BASE", base)
		if err := os.WriteFile(filepath.Join(bin, "npm"), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	if script == "" {
		t.Setenv("PATH", bin)
	}
	return dir
}

// deliver is the fake npm that works.
const deliver = `for a; do [ "$last" = --pack-destination ] && cp BASE/package "$a/scope-name-1.0.0.tgz"; last=$a; done`

func TestNPM(t *testing.T) {
	data := tarball(t, "package/bin/tool", "package/lib/a.node", "package/lib/b.node")
	dir := fake(t, data, data, deliver)
	for range 2 {
		o := try(t, func(t testing.TB) {
			if got, want := NPM(t, "@scope/name@1.0.0"), filepath.Join(dir, "scope-name@1.0.0.tgz"); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
			for glob, want := range map[string]string{"bin/tool": "bin/tool", "lib/a*": "lib/a.node"} {
				content, err := os.ReadFile(File(t, "@scope/name@1.0.0", glob))
				if err != nil || string(content) != "package/"+want {
					t.Fatalf("%s: %q, %v", glob, content, err)
				}
			}
		})
		if o.ended != "passed" {
			t.Fatal(o.message)
		}
	}
	calls, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "calls"))
	if err != nil || strings.Count(string(calls), "\n") != 1 || !strings.Contains(string(calls), "--ignore-scripts") {
		t.Errorf("npm was called with %q, %v", calls, err)
	}
	for glob, want := range map[string]string{"lib/*": "matches 2", "none": "matches 0", "[": "syntax error"} {
		if o := try(t, func(t testing.TB) { File(t, "@scope/name@1.0.0", glob) }); !strings.Contains(o.message, want) {
			t.Errorf("%s: %s %q, want %q", glob, o.ended, o.message, want)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestNPMUnavailable(t *testing.T) {
	data, other := tarball(t, "package/a"), tarball(t, "package/b")
	for name, tt := range map[string]struct {
		delivered []byte
		script    string
		required  string
		ended     string
		message   string
	}{
		"no npm":              {data, "", "", "skipped", "there is no npm"},
		"offline":             {data, "echo network unreachable >&2; exit 1", "", "skipped", "network unreachable"},
		"offline, required":   {data, "exit 1", "1", "failed", "NOT TESTED: @scope/name@1.0.0"},
		"changed":             {other, deliver, "", "failed", "its integrity is sha512-"},
		"no package":          {[]byte("<html>"), deliver, "", "failed", "not a gzip file"},
		"nothing is left":     {data, "exit 0", "", "failed", "left 0 packages"},
		"all is well, really": {data, deliver, "1", "passed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			fake(t, data, tt.delivered, tt.script)
			t.Setenv(EnvRequired, tt.required)
			o := try(t, func(t testing.TB) { NPM(t, "@scope/name@1.0.0") })
			if o.ended != tt.ended || !strings.Contains(o.message, tt.message) {
				t.Errorf("%s: %s", o.ended, o.message)
			}
		})
	}
	if o := try(t, func(t testing.TB) { NPM(t, "unheard-of@1") }); o.ended != "failed" {
		t.Errorf("a package that is not listed: %s", o.ended)
	}
}

// TestNPMKept: a file that was changed after it was fetched is noticed.
func TestNPMKept(t *testing.T) {
	data := tarball(t, "package/a")
	dir := fake(t, data, data, deliver)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "scope-name@1.0.0.tgz"), tarball(t, "package/evil"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := try(t, func(t testing.TB) { NPM(t, "@scope/name@1.0.0") })
	if o.ended != "failed" || !strings.Contains(o.message, "remove "+dir) {
		t.Errorf("%s: %s", o.ended, o.message)
	}
}

func TestNPMParallel(t *testing.T) {
	data := tarball(t, "package/a")
	dir := fake(t, data, data, "sleep 0.1; "+deliver)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if o := try(t, func(t testing.TB) { NPM(t, "@scope/name@1.0.0") }); o.ended != "passed" {
				t.Error(o.message)
			}
		})
	}
	wg.Wait()
	calls, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "calls"))
	if err != nil || strings.Count(string(calls), "\n") != 1 {
		t.Errorf("npm was called with %q, %v", calls, err)
	}
}

func TestFolderWithoutHome(t *testing.T) {
	t.Setenv(EnvDir, "")
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("TMPDIR", t.TempDir())
	dir, err := folder()
	if err != nil || !strings.HasPrefix(dir, os.Getenv("TMPDIR")) {
		t.Errorf("%s, %v", dir, err)
	}
}

func TestPackageList(t *testing.T) {
	known := integrities()
	if len(known) < 10 {
		t.Errorf("%d packages", len(known))
	}
	form := regexp.MustCompile(`^(@[\w.-]+/)?[\w.-]+@\d+\.\d+\.\d+[\w.-]*$`)
	names := map[string]string{}
	module := regexp.MustCompile(`^[\w-]+\.[\w./-]+@v\d+\.\d+\.\d+[\w.-]*$`)
	for spec, integrity := range known {
		if sum, ok := strings.CutPrefix(integrity, "h1:"); ok {
			if h, err := base64.StdEncoding.DecodeString(sum); !module.MatchString(spec) || err != nil || len(h) != 32 {
				t.Errorf("%s %s: %v", spec, integrity, err)
			}
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(integrity, "sha512-"))
		if !form.MatchString(spec) || err != nil || len(sum) != sha512.Size {
			t.Errorf("%s %s: %v", spec, integrity, err)
		}
		if other, ok := names[fileName(spec)]; ok {
			t.Errorf("%s and %s share a file", spec, other)
		}
		names[fileName(spec)] = spec
	}
}

// TestReal fetches the smallest package of the list.
func TestReal(t *testing.T) {
	content, err := os.ReadFile(File(t, "fsevents@2.3.3", "fsevents.node"))
	if err != nil || len(content) < 4 || string(content[:4]) != "\xca\xfe\xba\xbe" {
		t.Errorf("no universal binary: %d bytes, %v", len(content), err)
	}
}
