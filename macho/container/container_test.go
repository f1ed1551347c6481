package container

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"portcullis.dev/finding"
)

// member is an entry of an archive built by a test.
type member struct {
	name, body string
}

func makeZip(t testing.TB, members ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i, m := range members {
		method := zip.Deflate
		if i%2 == 1 {
			method = zip.Store
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: m.name, Method: method})
		if err == nil {
			_, err = io.WriteString(f, m.body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func makeTar(t testing.TB, members ...member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Size: int64(len(m.body)), Mode: 0o644, Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func compressed(t testing.TB, w io.WriteCloser, buf *bytes.Buffer, data []byte) []byte {
	t.Helper()
	_, err := w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func makeGzip(t testing.TB, data []byte) []byte {
	var buf bytes.Buffer
	return compressed(t, gzip.NewWriter(&buf), &buf, data)
}

func makeXz(t testing.TB, data []byte) []byte {
	var buf bytes.Buffer
	w, err := xz.NewWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	return compressed(t, w, &buf, data)
}

func makeZstd(t testing.TB, data []byte) []byte {
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	return compressed(t, w, &buf, data)
}

// write puts a file into dir, with the folders it needs.
func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// walked is what a walk gave, with paths relative to a folder.
type walked struct {
	items  []string // name=content, content cut after 20 bytes
	unread []string // name@offset: reason
	stats  Stats
	err    error
}

func walk(t testing.TB, dir, path string, opts Options) walked {
	t.Helper()
	var out walked
	rel := func(name string) string { return strings.TrimPrefix(strings.TrimPrefix(name, dir), "/") }
	out.stats, out.err = Walk(t.Context(), path, opts, func(i Item) error {
		if int64(len(i.Data)) != i.Size {
			t.Errorf("%s: size %d, %d bytes", i.Name(), i.Size, len(i.Data))
		}
		out.items = append(out.items, fmt.Sprintf("%s=%s", rel(i.Name()), i.Data[:min(len(i.Data), 20)]))
		return nil
	}, func(u finding.Unread) {
		out.unread = append(out.unread, fmt.Sprintf("%s@%#x: %s",
			rel(Item{Path: u.Path, Member: u.Member}.Name()), u.Offset, u.Reason))
	})
	if out.stats.Visited != len(out.items) {
		t.Errorf("visited %d, counted %d", len(out.items), out.stats.Visited)
	}
	return out
}

func (w walked) check(t testing.TB, items []string, unread ...string) {
	t.Helper()
	if w.err != nil {
		t.Error(w.err)
	}
	if d := cmp.Diff(items, w.items); d != "" {
		t.Errorf("items: -want +got\n%s", d)
	}
	if len(unread) != len(w.unread) {
		t.Errorf("unread: %q, want %q", w.unread, unread)
		return
	}
	for i, u := range unread {
		if !strings.Contains(w.unread[i], u) {
			t.Errorf("unread: %q, want %q", w.unread[i], u)
		}
	}
}

func TestWalkArchives(t *testing.T) {
	a, b := member{"Payload/Foo.app/Foo", "program"}, member{"Payload/Foo.app/Info.plist", "info"}
	both := func(archive string) []string {
		return []string{archive + "!/" + a.name + "=program", archive + "!/" + b.name + "=info"}
	}
	tarred := makeTar(t, a, b)
	nested := makeZip(t, member{"in/x.tgz", string(makeGzip(t, makeTar(t, member{"package/y.zip",
		string(makeZip(t, member{"z.node", "deep"}))})))}, member{"last", "end"})
	for _, tt := range []struct {
		file  string
		data  []byte
		items []string
	}{
		{"Foo.ipa", makeZip(t, a, b), both("Foo.ipa")},
		{"no-extension", makeZip(t, a, b), both("no-extension")},
		{"prepended.sfx", append([]byte("PK\x07\x08"), makeZip(t, a, b)...), both("prepended.sfx")},
		{"Foo.tar", tarred, both("Foo.tar")},
		{"Foo.tgz", makeGzip(t, tarred), both("Foo.tgz")},
		{"Foo.tar.xz", makeXz(t, tarred), both("Foo.tar.xz")},
		{"Foo.tar.zst", makeZstd(t, tarred), both("Foo.tar.zst")},
		{"Foo.tar.bz2", bzip2Tar(t), []string{"Foo.tar.bz2!/package/lib=bzipped"}},
		{"lib.dylib.gz", makeGzip(t, []byte("dylib")), []string{"lib.dylib.gz!/lib.dylib=dylib"}},
		{"gz", makeGzip(t, []byte("dylib")), []string{"gz!/gz (expanded)=dylib"}},
		{"nothing.zip", makeZip(t), nil},
		{"nothing.gz", makeGzip(t, nil), []string{"nothing.gz!/nothing="}},
		{"nested.zip", nested, []string{
			"nested.zip!/in/x.tgz!/package/y.zip!/z.node=deep", "nested.zip!/last=end"}},
		{"plain", []byte("just a file"), []string{"plain=just a file"}},
		{"empty", nil, []string{"empty="}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			dir := t.TempDir()
			path := write(t, dir, tt.file, tt.data)
			walk(t, dir, path, Options{}).check(t, tt.items)
			walk(t, dir, dir, Options{}).check(t, tt.items)
			// Nothing in memory: every member goes through a temporary file.
			temp := filepath.Join(dir, "tmp")
			if err := os.Mkdir(temp, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("TMPDIR", temp)
			walk(t, dir, path, Options{Limits: Limits{InMemory: 1}}).check(t, tt.items)
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("temporary files left: %v, %v", left, err)
			}
		})
	}
}

// bzip2Tar is the tar of one file, package/lib, that says "bzipped". Go has no compressor for bzip2.
func bzip2Tar(t testing.TB) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString("" +
		"QlpoOTFBWSZTWU65aWsAADHbgMmAQAD1gAIAfqxeEAgYIABUZo000aZA0yeTQ9UEopkaaaaaaADQScfIZNECPOFpKD" +
		"3ICgukWCMUQnUGKsR8Jt6xwMkO5c0atL1QaOaAB2pX4u5IpwoSCdctLWA=")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWalkWant(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a/lib", []byte("\xcf\xfa\xed\xfe"+strings.Repeat("x", 1000)))
	write(t, dir, "a/text", []byte("text"))
	write(t, dir, "b.zip", makeZip(t, member{"lib", "\xcf\xfa\xed\xfe y"}, member{"text", strings.Repeat("t", 1e6)}))
	var asked []string
	got := walk(t, dir, dir, Options{Want: func(name string, head []byte) bool {
		asked = append(asked, fmt.Sprintf("%s %d", strings.TrimPrefix(name, dir+"/"), len(head)))
		return bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe"))
	}})
	got.check(t, []string{"a/lib=\xcf\xfa\xed\xfe" + strings.Repeat("x", 16), "b.zip!/lib=\xcf\xfa\xed\xfe y"})
	if d := cmp.Diff([]string{"a/lib 512", "a/text 4", "b.zip!/lib 6", "b.zip!/text 512"}, asked); d != "" {
		t.Error(d)
	}
	if got.stats.Expanded > 64<<10 {
		t.Errorf("expanded %d bytes for heads", got.stats.Expanded)
	}
	if got.stats.Files != 5 { // the archive too
		t.Errorf("%d files", got.stats.Files)
	}
}

func TestWalkFolder(t *testing.T) {
	dir := t.TempDir()
	fw := "App.app/Contents/Frameworks/Foo.framework/"
	write(t, dir, fw+"Versions/A/Foo", []byte("foo"))
	write(t, dir, fw+"Versions/A/Resources/Info.plist", []byte("info"))
	outside := t.TempDir()
	write(t, outside, "elsewhere/lib", []byte("outside"))
	for from, to := range map[string]string{
		fw + "Versions/Current": "A",
		fw + "Foo":              "Versions/Current/Foo",
		"loop":                  ".",
		"self":                  "self",
		"out":                   filepath.Join(outside, "elsewhere"),
		"out-again":             filepath.Join(outside, "elsewhere"),
		"out-file":              filepath.Join(outside, "elsewhere/lib"),
	} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	inside := []string{fw + "Versions/A/Foo=foo", fw + "Versions/A/Resources/Info.plist=info"}
	skip := walk(t, dir, dir, Options{})
	skip.check(t, inside)
	if skip.stats.Links != 7 {
		t.Errorf("%d links", skip.stats.Links)
	}
	walk(t, dir, dir, Options{Links: FollowLinks}).check(t,
		append(slices.Clone(inside), "out/lib=outside"), "self@0x0: EvalSymlinks: too many links")
	// A link that is the argument is always followed.
	walk(t, dir, filepath.Join(dir, "out-file"), Options{}).check(t, []string{"out-file=outside"})
	walk(t, dir, filepath.Join(dir, "out"), Options{}).check(t, []string{"out/lib=outside"})
}

// TestWalkHardLinks: a file with two names is read once for each program it belongs to.
func TestWalkHardLinks(t *testing.T) {
	dir := t.TempDir()
	lib := write(t, dir, "A.app/lib", []byte("lib"))
	write(t, dir, "B.app/main", []byte("main"))
	for _, name := range []string{"A.app/again", "B.app/lib"} {
		if err := os.Link(lib, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	walk(t, dir, dir, Options{}).check(t, []string{"A.app/again=lib", "B.app/lib=lib", "B.app/main=main"})
}

func TestWalkTarLinks(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range []*tar.Header{
		{Name: "pax_global_header", Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}},
		{Name: "dir/", Typeflag: tar.TypeDir},
		{Name: "dir/lib", Typeflag: tar.TypeReg, Size: 3},
		{Name: "dir/hard", Typeflag: tar.TypeLink, Linkname: "dir/lib"},
		{Name: "dir/soft", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		{Name: "pipe", Typeflag: tar.TypeFifo},
		{Name: "null", Typeflag: tar.TypeChar},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			fmt.Fprint(w, "lib")
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	got := walk(t, dir, write(t, dir, "x.tar", buf.Bytes()), Options{})
	got.check(t, []string{"x.tar!/dir/lib=lib"})
	if got.stats.Links != 2 || got.stats.Special != 2 {
		t.Errorf("%+v", got.stats)
	}
}

func TestSafeName(t *testing.T) {
	for in, want := range map[string]string{
		"a/b":                  "a/b",
		"../../etc/passwd":     "etc/passwd",
		"/etc/passwd":          "etc/passwd",
		`..\..\win.ini`:        "win.ini",
		`C:\x\y`:               "x/y",
		"a/./b//c/../d":        "a/b/d",
		"a\x1b[31mred":         "a\ufffd[31mred",
		"new\nline":            "new\ufffdline",
		"right\u202eleft":      "right\ufffdleft",
		"bad\xffbyte":          "bad\ufffdbyte",
		"":                     "(no name)",
		"..":                   "(no name)",
		"ünïcode/☃.dylib":      "ünïcode/☃.dylib",
		"/../../../../a/../..": "(no name)",
	} {
		if got := safeName(in, 4096); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWalkTraversal(t *testing.T) {
	dir := t.TempDir()
	evil := []member{{"../../../../tmp/evil", "one"}, {"/etc/evil", "two"}, {`..\evil`, "three"}}
	want := func(a string) []string {
		return []string{a + "!/tmp/evil=one", a + "!/etc/evil=two", a + "!/evil=three"}
	}
	walk(t, dir, write(t, dir, "a.zip", makeZip(t, evil...)), Options{}).check(t, want("a.zip"))
	walk(t, dir, write(t, dir, "a.tar", makeTar(t, evil...)), Options{}).check(t, want("a.tar"))
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("extracted: %v, %v", left, err)
	}
}

func TestWalkRefusals(t *testing.T) {
	dmg := append(make([]byte, 1<<20), "koly"...)
	dmg = append(dmg, make([]byte, 508)...)
	copy(dmg, "BZh91AY&SY") // what it holds is compressed with bzip2
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"a.dmg":     {dmg, "disk images are not read: mount it and give the folder"},
		"noname":    {dmg, "disk images are not read"},
		"small.dmg": {[]byte("x"), "disk images"},
		"a.pkg":     {[]byte("xar!\x00\x1c"), "installer packages are not read: unpack it"},
		"a.deb":     {[]byte("!<arch>\ndebian-binary   1"), "Debian packages"},
		"a.7z":      {[]byte("7z\xbc\xaf\x27\x1c\x00"), "7-Zip"},
		"a.rar":     {[]byte("Rar!\x1a\x07\x00"), "RAR"},
	} {
		dir := t.TempDir()
		path := write(t, dir, name, tt.data)
		never := Options{Want: func(string, []byte) bool { return false }}
		for _, opts := range []Options{{}, never} {
			walk(t, dir, path, opts).check(t, nil, name+"@0x0: "+tt.want)
			walk(t, dir, dir, opts).check(t, nil, name+"@0x0: "+tt.want)
		}
		if name == "noname" {
			continue // inside an archive only the head is looked at
		}
		walk(t, dir, write(t, t.TempDir(), "x.zip", makeZip(t, member{name, string(tt.data)})), Options{}).
			check(t, nil, "x.zip!/"+name+"@0x0: "+tt.want)
	}
}

func TestWalkArgument(t *testing.T) {
	dir := t.TempDir()
	walk(t, dir, filepath.Join(dir, "missing"), Options{}).check(t, nil, "missing@0x0: no such file")
	walk(t, dir, dir, Options{}).check(t, nil)

	visitErr := errors.New("enough")
	write(t, dir, "a", []byte("a"))
	write(t, dir, "b.zip", makeZip(t, member{"b", "b"}))
	n := 0
	_, err := Walk(t.Context(), dir, Options{}, func(Item) error {
		if n++; n == 2 {
			return visitErr
		}
		return nil
	}, func(u finding.Unread) { t.Error(u) })
	if !errors.Is(err, visitErr) || n != 2 {
		t.Errorf("%v after %d", err, n)
	}

	ctx, cancel := context.WithCancel(t.Context())
	n = 0
	_, err = Walk(ctx, dir, Options{}, func(Item) error { n++; cancel(); return nil },
		func(u finding.Unread) { t.Error(u) })
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

// TestWalkDeterministic walks the same folder twice.
func TestWalkDeterministic(t *testing.T) {
	dir := t.TempDir()
	names := map[string]bool{}
	for i := range 50 {
		names[fmt.Sprintf("d%d/f%d", i*7%5, i*31%50)] = true
	}
	for n := range names {
		write(t, dir, n, []byte(n))
	}
	first := walk(t, dir, dir, Options{})
	var want []string
	for _, n := range slices.Sorted(maps.Keys(names)) {
		want = append(want, n+"="+n)
	}
	first.check(t, want)
}
