// Package corpus gives tests real packages to read: Mach-O files as people ship them, fetched once with npm(1) or
// go(1) and kept.
//
// Packages are kept in PORTCULLIS_CORPUS, by default the folder portcullis/corpus of the user's cache. Each must have
// the integrity recorded in packages.txt. What cannot be fetched, because there is no npm or no network, skips the test
// and says so; with PORTCULLIS_CORPUS_REQUIRED=1 it fails the test. Nothing that a package contains is ever run.
//
// The functions are safe for parallel tests and for several test programs at once.
package corpus

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Environment variables.
const (
	EnvDir      = "PORTCULLIS_CORPUS"          // where packages are kept
	EnvRequired = "PORTCULLIS_CORPUS_REQUIRED" // "1": a package that cannot be had fails the test
)

// fetchTimeout bounds one call of npm.
const fetchTimeout = 5 * time.Minute

//go:embed packages.txt
var packageList string

// integrities maps name@version to "sha512-" and the base64 of the hash.
var integrities = sync.OnceValue(func() map[string]string {
	known := make(map[string]string)
	for line := range strings.Lines(packageList) {
		if spec, integrity, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			known[spec] = integrity
		}
	}
	return known
})

// NPM returns the path of the package's tarball (.tgz), for instance of "go-ios@1.2.0".
func NPM(t testing.TB, spec string) string {
	t.Helper()
	want := integrity(t, spec, "the output of: npm view "+spec+" dist.integrity")
	dir, err := folder()
	if err != nil {
		t.Fatalf("corpus: %v", err)
	}
	file := filepath.Join(dir, fileName(spec)+".tgz")
	switch err := ensure(dir, file, spec, want); {
	case err == nil:
		return file
	case errors.As(err, new(*unavailableError)):
		missing(t, dir, spec, err)
	default:
		t.Fatalf("corpus: %s: %v", spec, err)
	}
	return ""
}

// Module returns the path of a Go module's zip file, for instance of "golang.org/toolchain@v0.0.1-go1.25.0.darwin-arm64".
// It is kept where go(1) keeps modules, and go(1) checks it.
func Module(t testing.TB, spec string) string {
	t.Helper()
	want := integrity(t, spec, "the sum of: go mod download -json "+spec)
	ctx, cancel := context.WithTimeout(t.Context(), fetchTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", spec)
	cmd.Dir = t.TempDir() // in no module
	out, err := cmd.Output()
	var m struct{ Zip, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &m); err != nil || jsonErr != nil || m.Error != "" {
		notTested(t, "%s could not be fetched: %v %v %s", spec, err, jsonErr, m.Error)
	}
	if m.Sum != want {
		t.Fatalf("corpus: %s: its sum is %s, but packages.txt has %s", spec, m.Sum, want)
	}
	return m.Zip
}

// integrity returns what packages.txt says of a package, and fails the test if it says nothing.
func integrity(t testing.TB, spec, how string) string {
	t.Helper()
	want, ok := integrities()[spec]
	if !ok {
		t.Fatalf("corpus: %s is not in packages.txt; add it with %s", spec, how)
	}
	return want
}

// missing tells how to get an npm package by hand.
func missing(t testing.TB, dir, spec string, err error) {
	t.Helper()
	notTested(t, "%s could not be fetched: %v\nwhere npm has a network: %s=%s npm pack --ignore-scripts "+
		"--pack-destination . %s, then mv the file to %s", spec, err, EnvDir, dir, spec,
		filepath.Join(dir, fileName(spec)+".tgz"))
}

// notTested skips the test, or fails it where packages are required.
func notTested(t testing.TB, format string, args ...any) {
	t.Helper()
	msg := "corpus: NOT TESTED: " + fmt.Sprintf(format, args...)
	if os.Getenv(EnvRequired) == "1" {
		t.Fatal(msg)
	}
	t.Skip(msg)
}

// File returns the path of one member of a package, extracted beside it: the one whose path below the package's top
// folder matches glob (path.Match), for instance "bin/*/clang-format-arm64". A glob that matches none or several fails
// the test. A name without special characters is answered without reading the package again.
func File(t testing.TB, spec, glob string) string {
	t.Helper()
	tgz := NPM(t, spec)
	dir := strings.TrimSuffix(tgz, ".tgz")
	if exact := filepath.Join(dir, filepath.FromSlash(glob)); filepath.IsLocal(glob) && !strings.ContainsAny(glob, `*?[\`) {
		if info, err := os.Stat(exact); err == nil && info.Mode().IsRegular() {
			return exact
		}
	}
	file, err := extract(tgz, dir, glob)
	if err != nil {
		t.Fatalf("corpus: %s: %v", spec, err)
	}
	return file
}

// folder returns the folder that packages are kept in, made if need be.
func folder() (string, error) {
	dir := os.Getenv(EnvDir)
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil { // no HOME, as in a bare container
			cache = filepath.Join(os.TempDir(), fmt.Sprintf("cache-%d", os.Getuid()))
		}
		dir = filepath.Join(cache, "portcullis", "corpus")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// fileName makes a file name of a package's name: "@a/b@1" becomes "a-b@1".
func fileName(spec string) string {
	return strings.ReplaceAll(strings.TrimPrefix(spec, "@"), "/", "-")
}

// verified remembers the files whose integrity this process has checked.
var verified sync.Map

// ensure makes sure that file is the package, fetching it where it is not there.
func ensure(dir, file, spec, want string) error {
	if _, ok := verified.Load(file); ok {
		return nil
	}
	unlock, err := lock(file + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		if err := fetch(dir, file, spec, want); err != nil {
			return err
		}
	} else if err := verify(file, want); err != nil {
		return fmt.Errorf("%w; remove %s to fetch it again", err, file)
	}
	verified.Store(file, true)
	return nil
}

// unavailableError says that a package cannot be had here and now.
type unavailableError struct{ cause string }

func (e *unavailableError) Error() string { return e.cause }

// fetch has npm download the package, checks it, and puts it in place.
func fetch(dir, file, spec, want string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return &unavailableError{"there is no npm"}
	}
	work, err := os.MkdirTemp(dir, ".fetch-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	cmd := exec.Command(npm, "pack", "--ignore-scripts", "--silent", "--cache", filepath.Join(work, "npm"),
		"--fetch-retries", "1", "--pack-destination", work, spec)
	cmd.Dir = work // not in a folder that has a package.json
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		return &unavailableError{err.Error()}
	}
	timer := time.AfterFunc(fetchTimeout, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	timer.Stop()
	if err != nil {
		return &unavailableError{fmt.Sprintf("npm pack: %v: %s", err, strings.TrimSpace(errs.String()))}
	}
	packed, err := filepath.Glob(filepath.Join(work, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return fmt.Errorf("npm pack left %d packages, %v", len(packed), err)
	}
	if err := verify(packed[0], want); err != nil {
		return err
	}
	return os.Rename(packed[0], file)
}

// verify checks that file is a gzip file of the integrity wanted.
func verify(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	if head, err := r.Peek(2); err != nil || head[0] != 0x1f || head[1] != 0x8b {
		return errors.New("not a gzip file")
	}
	h := sha512.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("its integrity is %s, but packages.txt has %s", got, want)
	}
	return nil
}

// lock waits for the only right to work on what file stands for, among all processes.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return func() { f.Close() }, nil
}

// extract writes the one member of tgz that glob matches into dir and returns its path.
func extract(tgz, dir, glob string) (string, error) {
	f, err := os.Open(tgz)
	if err != nil {
		return "", err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return "", err
	}
	var found, all []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		_, name, ok := strings.Cut(h.Name, "/") // all is in one folder, mostly called package
		if !ok || h.Typeflag != tar.TypeReg {
			continue
		}
		all = append(all, name)
		switch ok, err := path.Match(glob, name); {
		case err != nil:
			return "", fmt.Errorf("%q: %w", glob, err)
		case !ok:
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return "", fmt.Errorf("member %q is outside the package", name)
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := writeFile(file, r); err != nil {
			return "", err
		}
		found = append(found, file)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%q matches %d members %q of %d", glob, len(found), found, len(all))
	}
	return found[0], nil
}

// writeFile writes a file so that nobody ever sees a part of it.
func writeFile(file string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = io.Copy(tmp, r)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
