package sdk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
)

// SDK is an SDK on the disk: headers, and libmach compiled by one compiler.
type SDK struct {
	Dir     string
	Include string // folder of headers
	Library string // libmach.a
}

// flags are what libmach is compiled with. Frames and unwind tables are kept, so that backtraces lead through it.
var flags = []string{"-std=gnu11", "-O2", "-g", "-fPIC", "-fno-omit-frame-pointer", "-fasynchronous-unwind-tables",
	"-fvisibility=default", "-pthread", "-Wall", "-Wextra"}

// Install writes the SDK into the user's cache and compiles libmach with a C compiler, unless the same is there. Several
// processes may do so at once.
func Install(ctx context.Context, compiler string) (*SDK, error) {
	all, err := Files()
	if err != nil {
		return nil, err
	}
	version, err := exec.CommandContext(ctx, compiler, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", compiler, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("there is no folder for what is built: %w", err)
	}
	dir := filepath.Join(cache, "portcullis", "sdk-"+key(all, compiler, version))
	s := &SDK{Dir: dir, Include: filepath.Join(dir, "include"), Library: filepath.Join(dir, "libmach.a")}
	if _, err := os.Stat(s.Library); err == nil {
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	made, err := os.MkdirTemp(filepath.Dir(dir), ".sdk-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(made)
	if err := write(made, all); err != nil {
		return nil, err
	}
	if err := compile(ctx, made, dir, compiler, sources(all)); err != nil {
		return nil, err
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return nil, err
	}
	if err := os.Rename(made, dir); err != nil {
		if _, there := os.Stat(s.Library); there != nil {
			return nil, err
		}
	}
	return s, nil
}

// key names what the library depends on.
func key(all map[string][]byte, compiler string, version []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%q\n", runtime.GOARCH, compiler, version, flags)
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprintf(h, "%s %d\n", n, len(all[n]))
		h.Write(all[n])
	}
	return hex.EncodeToString(h.Sum(nil)[:10])
}

func write(dir string, all map[string][]byte) error {
	for name, b := range all {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compile makes libmach.a. Debuggers find the sources where they come to lie.
func compile(ctx context.Context, dir, final, compiler string, names []string) error {
	slices.Sort(names)
	var group sync.WaitGroup
	errs := make([]error, len(names))
	objects := make([]string, len(names))
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, name := range names {
		objects[i] = filepath.Base(name) + ".o"
		group.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			args := append(slices.Clone(flags), "-ffile-prefix-map="+dir+"="+final, "-Iinclude", "-Ilibmach/generated", "-c",
				"-o", objects[i], name)
			errs[i] = tool(ctx, dir, compiler, args...)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := tool(ctx, dir, "ar", append([]string{"rcs", "libmach.a"}, objects...)...); err != nil {
		return err
	}
	for _, o := range objects {
		os.Remove(filepath.Join(dir, o))
	}
	return nil
}

func tool(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("building libmach with %s: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// Compile returns the flags that a C or C++ compiler finds the headers with.
func (s *SDK) Compile() []string { return []string{"-isystem", s.Include} }

// Link returns the flags that link a program with libmach. A program is a task from its start, whether or not it makes a
// call.
func (s *SDK) Link() []string {
	return []string{"-Wl,-u,portcullis_task", s.Library, "-pthread"}
}
