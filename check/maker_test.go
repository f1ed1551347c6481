package check

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"howett.net/plist"

	"portcullis.dev/finding"
)

// maker makes programs and libraries of one kind.
type maker struct {
	t      testing.TB
	arch   string // arm64, x86_64
	system string // as in a target of clang, such as macos13 or ios15
	flags  []string
}

func newMaker(t testing.TB) maker { return maker{t: t, arch: "arm64", system: "macos13"} }

func (m maker) object(source string, flags ...string) string {
	m.t.Helper()
	return compile(m.t, m.arch+"-apple-"+m.system, source, append([]string{"-O1"}, flags...)...)
}

func (m maker) link(out string, flags ...string) string {
	m.t.Helper()
	platform := []string{"-platform_version", "macos", "13.0", "14.2"}
	switch {
	case strings.HasSuffix(m.system, "-simulator"):
		platform = []string{"-platform_version", "ios-simulator", "15.0", "17.0"}
	case strings.HasPrefix(m.system, "ios"):
		platform = []string{"-platform_version", "ios", "15.0", "17.0"}
	}
	return link(m.t, m.arch, out, append(append(platform, m.flags...), flags...)...)
}

// program makes a program that calls nothing and links to libraries.
func (m maker) program(out string, flags ...string) string {
	m.t.Helper()
	return m.link(out, append([]string{m.object("empty.c", "-DMAIN")}, flags...)...)
}

// offender makes a program that registers a forbidden exception handler in _install_handler.
func (m maker) offender(out string, flags ...string) string {
	m.t.Helper()
	return m.link(out, append([]string{m.object("handler.c", "-DMAIN")}, flags...)...)
}

// library makes a library with a forbidden call in the function _NAME_install.
func (m maker) library(out, install string, flags ...string) string {
	m.t.Helper()
	return m.link(out, append([]string{"-dylib", "-install_name", install,
		m.object("handler.c", "-DNAME="+functionOf(out))}, flags...)...)
}

// empty makes a library that calls nothing.
func (m maker) empty(out, install string, flags ...string) string {
	m.t.Helper()
	return m.link(out, append([]string{"-dylib", "-install_name", install,
		m.object("empty.c", "-DNAME="+functionOf(out))}, flags...)...)
}

// functionOf names the function in a library by its file.
func functionOf(out string) string {
	name, _, _ := strings.Cut(filepath.Base(out), ".")
	return name + "_install"
}

// info writes the Info.plist at path.
func info(t testing.TB, path string, keys map[string]any) {
	t.Helper()
	b, err := plist.Marshal(keys, plist.XMLFormat)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, b)
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// eachFile calls f for the regular files and links below dir, with the path from there.
func eachFile(t testing.TB, dir string, f func(name, path string, link bool)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			f(filepath.ToSlash(rel), path, d.Type()&fs.ModeSymlink != 0)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// zipOf packs what is below dir.
func zipOf(t testing.TB, dir, out string) string {
	t.Helper()
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	eachFile(t, dir, func(name, path string, link bool) {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		data := []byte(nil)
		if link {
			h.SetMode(0o755 | fs.ModeSymlink)
			to, err := os.Readlink(path)
			if err != nil {
				t.Fatal(err)
			}
			data = []byte(to)
		} else {
			data = read(t, path)
		}
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// tgzOf packs what is below dir.
func tgzOf(t testing.TB, dir, out string) string {
	t.Helper()
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := gzip.NewWriter(f)
	w := tar.NewWriter(g)
	eachFile(t, dir, func(name, path string, link bool) {
		h := &tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg}
		data := []byte(nil)
		if link {
			h.Typeflag = tar.TypeSymlink
			if h.Linkname, err = os.Readlink(path); err != nil {
				t.Fatal(err)
			}
		} else {
			data = read(t, path)
			h.Size = int64(len(data))
		}
		if err = w.WriteHeader(h); err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	for _, c := range []interface{ Close() error }{w, g} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// fatOf makes a universal file of thin 64-bit images or archives, with the processor of each.
func fatOf(t testing.TB, out string, slices ...slice) string {
	t.Helper()
	const align = 14
	be := binary.BigEndian
	head := be.AppendUint32(be.AppendUint32(nil, 0xcafebabe), uint32(len(slices)))
	at := 1 << align
	var body []byte
	for _, s := range slices {
		for _, v := range []uint32{s.cpu, s.sub, uint32(at + len(body)), uint32(len(s.data)), align} {
			head = be.AppendUint32(head, v)
		}
		body = append(body, s.data...)
		body = append(body, make([]byte, -len(body)&(1<<align-1))...)
	}
	write(t, out, append(append(head, make([]byte, at-len(head))...), body...))
	return out
}

type slice struct {
	cpu, sub uint32
	data     []byte
}

// Processors of universal headers.
const (
	cpuARM64 = 0x0100000c
	cpuAMD64 = 0x01000007
)

// byFunction returns the findings of a report by function; each must be in one place only.
func findingsByFunction(t testing.TB, r *finding.Report) map[string]finding.Finding {
	t.Helper()
	out := map[string]finding.Finding{}
	for _, f := range r.Findings {
		if _, twice := out[f.Where.Function]; twice {
			t.Errorf("%s: more than one finding", f.Where.Function)
		}
		out[f.Where.Function] = f
	}
	return out
}

// has tells whether some fact of the evidence holds a text.
func has(f finding.Finding, text string) bool {
	for _, e := range f.Evidence {
		if strings.Contains(e, text) {
			return true
		}
	}
	return false
}

// checkPaths runs the check, whatever cannot be read.
func checkPaths(t testing.TB, opts Options, paths ...string) *finding.Report {
	t.Helper()
	r, err := Run(context.Background(), paths, opts)
	if err != nil {
		t.Fatal(err)
	}
	r.Finish()
	return r
}

func noteTexts(r *finding.Report) []string {
	var out []string
	for _, n := range r.Notes {
		out = append(out, n.Message)
	}
	return out
}

func unreadTexts(r *finding.Report) []string {
	var out []string
	for _, u := range r.Unread {
		out = append(out, u.Reason)
	}
	return out
}

// expectText wants one text that holds want, or none where want is "".
func expectText(t testing.TB, what string, got []string, want string) {
	t.Helper()
	if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
