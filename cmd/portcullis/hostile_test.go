package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"portcullis.dev/finding"
	"portcullis.dev/internal/hostile"
)

// mostMemory is what the whole process may take on bad input.
const mostMemory = 512 << 20

// child runs the command line in a process of its own. A process that hangs, dies of a signal, panics or takes too much
// memory fails the test.
func child(t *testing.T, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = append([]string{"portcullis", "--color", "never"}, args...) // testscript.Main goes by this name
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hang := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) })
	err = cmd.Wait()
	if !hang.Stop() {
		t.Fatalf("%v hangs:\n%s", args, &errs)
	}
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	state := cmd.ProcessState
	if !state.Exited() || strings.Contains(errs.String(), "goroutine ") {
		t.Fatalf("%v: %v:\n%s", args, state, &errs)
	}
	// What the parent had in memory when it started the child counts as well.
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		most := usage.Maxrss // bytes on macOS, kilobytes elsewhere
		if runtime.GOOS != "darwin" {
			most <<= 10
		}
		t.Logf("%s: at most %d MiB", args[0], most>>20)
		if most > mostMemory {
			t.Errorf("%v: took %d MiB", args, most>>20)
		}
	}
	return state.ExitCode(), out.String(), errs.String()
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func gzipped(t *testing.T, data []byte, times int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(b.Bytes(), times)
}

// zipped makes a zip file; a name that ends in "@" is a symbolic link.
func zipped(t *testing.T, names []string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		h := &zip.FileHeader{Name: strings.TrimSuffix(name, "@"), Method: zip.Deflate}
		if len(data) < 2 {
			h.Method = zip.Store // a compressor for each of very many takes longer than what is tested
		}
		if strings.HasSuffix(name, "@") {
			h.SetMode(os.ModeSymlink | 0o777)
		}
		m, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// badFolder fills a folder with a program that violates and with bad files of every kind. It returns, by the bad file's
// name, a word of the reason that must be given for it.
func badFolder(t *testing.T, dir string) (good []byte, bad map[string]string) {
	t.Helper()
	images := hostile.Images(t)
	good = images["arm64-chained"]
	zeros := make([]byte, 32<<20)
	header := append(slices.Clone(good[:4096]), zeros...)
	bomb := gzipped(t, header, 80)
	noise := bytes.Repeat([]byte("\xcf\xfa\xed\xfe\xff\xff\xff\xff"), 1<<17)
	lying := zipped(t, []string{"x"}, good)
	copy(lying[bytes.LastIndex(lying, []byte("PK\x01\x02"))+20:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	files := map[string]struct {
		data   []byte
		reason string
	}{
		"cut":           {good[:len(good)-20], "beyond the end"},
		"header":        {good[:16], "cut short"},
		"noise":         {noise, ""},
		"slices":        {hostile.Universal(hostile.Slice{CPU: 0x0100000c, Off: 0x4000, Size: 0xffffffff}), "beyond the end"},
		"archive.a":     {append([]byte("!<arch>\n"), make([]byte, 200)...), "archive member"},
		"cut.a":         {images["arm64.a"][:len(images["arm64.a"])/2], ""},
		"cut.zip":       {lying[:len(lying)/2], ""},
		"lies.zip":      {lying, ""},
		"bomb.gz":       {bomb, "more than 250 times"},
		"bomb.zip":      {zipped(t, []string{"b.gz"}, bomb), "times its size"},
		"bomb.tar.gz":   {gzipped(t, tarred(t, "b.gz", bomb), 1), "times its size"},
		"cut.tgz":       {gzipped(t, tarred(t, "x", good), 1)[:1000], "truncated"},
		"dictionary.xz": {[]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00"), "truncated"},
	}
	bad = map[string]string{}
	for name, f := range files {
		put(t, filepath.Join(dir, name), f.data)
		bad[name] = f.reason
	}
	put(t, filepath.Join(dir, "m-good"), good)
	put(t, filepath.Join(dir, "names.zip"), zipped(t, []string{"../../etc/up", "/absolute", "link@", "a\nb\x1b[31m\xff"}, good))
	put(t, filepath.Join(dir, "a\nb\x1b[31m\xff\u202e.dylib"), images["arm64.dylib"])
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if socket, err := net.Listen("unix", filepath.Join(dir, "socket")); err == nil { // paths of sockets are short
		t.Cleanup(func() { _ = socket.Close() })
	}
	return good, bad
}

// TestHostileFolder checks a folder of bad files with one good program among them.
func TestHostileFolder(t *testing.T) {
	dir := t.TempDir()
	_, bad := badFolder(t, dir)
	code, out, stderr := child(t, nil, "check", "--format", "json", dir, "/dev/zero", filepath.Join(dir, "gone"))
	if code != exitUnread || stderr != "" {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}
	var report finding.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m-good", "names.zip", "a\nb"} {
		if !slices.ContainsFunc(report.Findings, func(f finding.Finding) bool {
			return strings.HasPrefix(f.Where.Path, filepath.Join(dir, name)) && strings.Contains(f.Where.Function, "install")
		}) {
			t.Errorf("nothing found in %q", name)
		}
	}
	for _, f := range report.Findings {
		if strings.Contains(f.Where.Member, "..") || strings.HasPrefix(f.Where.Member, "/") {
			t.Errorf("a member is called %q", f.Where.Member)
		}
	}
	bad["/dev/zero"], bad["gone"] = "a device", "no such file"
	for name, reason := range bad {
		path := name
		if !filepath.IsAbs(name) {
			path = filepath.Join(dir, name)
		}
		var told []finding.Unread
		for _, u := range report.Unread {
			if u.Path == path {
				told = append(told, u)
			}
		}
		if !slices.ContainsFunc(told, func(u finding.Unread) bool {
			return u.Reason != "" && u.Offset >= 0 && strings.Contains(u.Reason, reason)
		}) {
			t.Errorf("%s: unread %+v, want %q", name, told, reason)
		}
	}
	for _, format := range []string{"text", "sarif", "html"} {
		code, out, _ := child(t, nil, "check", "--format", format, dir)
		if code != exitUnread {
			t.Errorf("%s: exit code %d", format, code)
		}
		clean := func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0x202e }
		if !utf8.ValidString(out) || strings.ContainsFunc(out, clean) {
			t.Errorf("%s: control characters or invalid UTF-8 of a file's name come through", format)
		}
		if format == "sarif" && !json.Valid([]byte(out)) {
			t.Error("invalid JSON")
		}
	}
	if code, _, stderr := child(t, nil, "entitlements", dir); code != exitUnread {
		t.Errorf("entitlements: exit code %d, %q", code, stderr)
	}
}

// TestHostileMembers reads an archive of a hundred thousand members.
func TestHostileMembers(t *testing.T) {
	names := make([]string, 100_000)
	for i := range names {
		names[i] = strings.Repeat("d/", i%20) + "x"
	}
	file := filepath.Join(t.TempDir(), "many.zip")
	put(t, file, zipped(t, names, []byte("x")))
	if code, out, _ := child(t, nil, "check", file); code != exitOK || !strings.Contains(out, "100001 files") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// repeat reads a text again and again.
type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for n < len(p) {
		c := copy(p[n:], r.text[r.at:])
		n, r.at = n+c, (r.at+c)%len(r.text)
	}
	return n, nil
}

// TestHostileReports explains noise: 4 MiB of each kind, 100 MiB with PORTCULLIS_LONG.
func TestHostileReports(t *testing.T) {
	size := int64(4 << 20)
	if os.Getenv("PORTCULLIS_LONG") != "" {
		size = 100 << 20
	}
	const header = "{\"app_name\":\"a\",\"bug_type\":\"309\",\"os_version\":\"macOS 26.0 (25A1)\"}\n"
	for name, c := range map[string]struct{ head, unit string }{
		"zeros": {"", "\x00"}, "one line": {"", "GUARD EXC_ xception { \""}, "quotes": {"", "{\"\n\"exception\" : {\n"},
		"labels": {"", "Exception Type: x\nThread 1:\n0 a 0x1 b\n"}, "prose": {"", "EXC_ = 1 (GUARD)\n"},
		"deep": {"", "["}, "deep objects": {"", `{"exception":`}, "invalid": {header, "\xff\xfe\x00"},
		"violations":   {header + `{"exception":{"type":"EXC_GUARD","violations":[`, `"x",`},
		"wrong types":  {header + `{"procName":"a",`, `"pid":"x",`},
		"frames":       {header + `{"exception":{"type":"EXC_GUARD"},"threads":[{"frames":[`, `{"imageOffset":1},`},
		"images":       {header + `{"exception":{"type":"EXC_GUARD"},"usedImages":[`, `{"base":1},`},
		"notes":        {"Exception Type: EXC_GUARD\nNotes:\n", "a\n"},
		"entities":     {"EXC_GUARD\n", "&quot;&amp;\n"},
		"UTF-16":       {"\xff\xfe", "E\x00X\x00C\x00_\x00\n\x00"},
		"long number":  {header + `{"procName":"a","pid":`, "9"},
		"long string":  {header + `{"procName":"`, `\u00e4`},
		"kernel's log": {"", "[a:1] EXC_GUARD AST: type=0x1 flavor=0x200 target=0x8f53 code=0x2000020000008f53\n"},
	} {
		t.Run(name, func(t *testing.T) {
			in := io.MultiReader(strings.NewReader(c.head), io.LimitReader(&repeat{text: c.unit}, size))
			code, out, stderr := child(t, in, "explain", "--format", "json", "-")
			if code != exitOK && code != exitUnread || stderr != "" {
				t.Errorf("exit code %d, standard error %q", code, stderr)
			}
			if !json.Valid([]byte(out)) {
				t.Error("invalid JSON")
			}
		})
	}
}

// TestHostilePieces explains a folder in which a report is cut at every byte, and has every value of another type.
func TestHostilePieces(t *testing.T) {
	report, err := os.ReadFile(filepath.Join("..", "..", "crash", "testdata", "synthetic-illegal-move.ips"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	n := 0
	add := func(b []byte) {
		n++
		put(t, filepath.Join(dir, strings.Repeat("0", 5-len(grouped(int64(n%1000))))+grouped(int64(n))+".ips"), b)
	}
	for i := range report {
		add(report[:i])
	}
	for i, c := range report {
		if c != ':' || i+1 >= len(report) {
			continue
		}
		rest := report[i+1:]
		end := i + 1 + max(bytes.IndexAny(rest, ",}\n"), 0)
		for _, v := range []string{"null", "-1", "1e999", `"x"`, "[]", "{}", "[[[", `{"a":`, "true", "18446744073709551616", "\x00", "\xff"} {
			add(slices.Concat(report[:i+1], []byte(v), report[end:]))
		}
	}
	good := filepath.Join(dir, "zzz.ips")
	put(t, good, report)
	code, out, stderr := child(t, nil, "explain", "--format", "json", dir)
	var got finding.Report
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if code != exitUnread || stderr != "" || len(got.Unread) == 0 {
		t.Errorf("exit code %d, %d unread, standard error %q", code, len(got.Unread), stderr)
	}
	if !slices.ContainsFunc(got.Findings, func(f finding.Finding) bool { return f.Where.Path == good }) {
		t.Error("the whole report among them is not explained")
	}
	t.Logf("%d files", n)
}

// TestHostileOutput writes to a full disk.
func TestHostileOutput(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	dir := t.TempDir()
	for _, format := range []string{"text", "json", "sarif", "html"} {
		code, _, stderr := child(t, nil, "check", "--format", format, "-o", full, dir)
		if want := "portcullis: error: write /dev/full: no space left on device\n"; code != exitUnread || stderr != want {
			t.Errorf("%s: exit code %d, standard error %q", format, code, stderr)
		}
	}
}

// TestInterrupt ends a command that waits for its input.
func TestInterrupt(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = []string{"portcullis", "explain", "-"}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe holds: when it is written, the command is reading, and ready for the signal.
	if _, err := in.Write(bytes.Repeat([]byte("x\n"), 1<<17)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted || out.Len() > 0 {
		t.Errorf("%v, printed %q", err, out.String())
	}
}
