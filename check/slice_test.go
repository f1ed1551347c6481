package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/finding"
)

func forIntel(m maker) maker {
	m.arch = "x86_64"
	return m
}

// Slices of a universal file are judged one by one; --arch picks some.
func TestSlices(t *testing.T) {
	dir := t.TempDir()
	m := newMaker(t)
	arm := read(t, m.offender(filepath.Join(dir, "arm")))
	// The other slice has the call in another function, and elsewhere.
	other := forIntel(m).object("handler.c", "-DMAIN", "-DNAME=other")
	intel := read(t, forIntel(m).link(filepath.Join(dir, "intel"), other))
	fat := fatOf(t, filepath.Join(dir, "fat"), slice{cpuARM64, 0, arm}, slice{cpuAMD64, 3, intel})
	for arch, want := range map[string][]string{
		"":       {"arm64 _install_handler", "x86_64 _other"},
		"arm64":  {"arm64 _install_handler"},
		"x86_64": {"x86_64 _other"},
	} {
		r := checkAll(t, Options{Arch: arch}, fat)
		var got []string
		for _, f := range r.Findings {
			got = append(got, f.Where.Arch+" "+f.Where.Function)
		}
		if diff := cmp.Diff(want, got); diff != "" || r.Summary.Images != len(want) || len(r.Notes) > 0 {
			t.Errorf("%q: %d images, notes %q, -want +got\n%s", arch, r.Summary.Images, r.Notes, diff)
		}
	}
	r := checkAll(t, Options{Arch: "arm64e"}, fat)
	if len(r.Findings) > 0 || r.Summary.Images != 0 {
		t.Errorf("arm64e: %+v", r)
	}
	expectText(t, "note", noteTexts(r), "no Mach-O file that was met has an image for arm64e")
}

// arm64e code is arm64 code with signed pointers; arm64 asks for both.
func TestARM64E(t *testing.T) {
	m := newMaker(t)
	m.arch = "arm64e"
	object := m.object("handler.c")
	for _, arch := range []string{"", "arm64", "arm64e"} {
		r := checkAll(t, Options{Arch: arch}, object)
		if len(r.Findings) != 1 || r.Findings[0].Where.Arch != "arm64e" || r.Findings[0].Confidence != finding.Certain {
			t.Errorf("%q: %+v", arch, r.Findings)
		}
	}
}

// What the App Store encrypted cannot be read, and that is said; what the program claims can.
func TestEncrypted(t *testing.T) {
	dir := t.TempDir()
	makeIOSApp(t, filepath.Join(dir, "Foo.app"))
	encrypt := func(path string) {
		rewrite(t, filepath.Join(dir, "Foo.app", path), func(image []byte) []byte {
			const lcEncryptionInfo64, size = 0x2c, 24
			le := binary.LittleEndian
			n, end := le.Uint32(image[16:]), 32+le.Uint32(image[20:])
			if slices.ContainsFunc(image[end:end+size], func(b byte) bool { return b != 0 }) {
				t.Fatal("no room for a load command")
			}
			for i, v := range []uint32{lcEncryptionInfo64, size, 0, 0x1000, 1, 0} {
				le.PutUint32(image[end+4*uint32(i):], v)
			}
			le.PutUint32(image[16:], n+1)
			le.PutUint32(image[20:], end-32+size)
			return image
		})
	}
	encrypt("Foo")
	encrypt("Frameworks/libbaz.dylib")
	r := checkPaths(t, Options{}, dir)
	if len(r.Unread) != 2 || r.ExitCode(finding.Likely) != finding.ExitUnread {
		t.Errorf("unread %+v", r.Unread)
	}
	for _, u := range r.Unread {
		if u.Reason != "encrypted by the App Store: its code cannot be read; check the app as it was before upload" {
			t.Errorf("reason %q", u.Reason)
		}
	}
	got := findingsByFunction(t, r)
	if _, ok := got["_libbaz_install"]; ok || len(got) != 3 {
		t.Errorf("%d findings, want those of the three libraries in clear", len(got))
	}
	if diff := cmp.Diff([]string{"Foo (level 2)", "Frameworks/Bar.framework/Bar"},
		chainOf(got["_Bar_install"], filepath.Join(dir, "Foo.app"))); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// An XCFramework holds a library for each platform; simulators are out of scope.
func TestXCFramework(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in/K.xcframework")
	for folder, m := range map[string]maker{
		"ios-arm64":                  {arch: "arm64", system: "ios15"},
		"ios-arm64_x86_64-simulator": {arch: "arm64", system: "ios15-simulator"},
		"macos-arm64_x86_64":         {arch: "arm64", system: "macos13"},
	} {
		m.t = t
		archive := func(m maker) string {
			lib := filepath.Join(in, folder, m.arch, "libK.a")
			write(t, lib, nil)
			run(t, "llvm-libtool-darwin-19", "-static", "-o", lib, m.object("handler.c", "-DNAME=call"),
				m.object("empty.c", "-DNAME=empty"))
			return lib
		}
		lib := archive(m)
		if strings.Contains(folder, "_x86_64") {
			other := archive(forIntel(m))
			fatOf(t, filepath.Join(in, folder, "libK.a"), slice{cpuARM64, 0, read(t, lib)}, slice{cpuAMD64, 3, read(t, other)})
			removeAll(t, filepath.Join(in, folder, "x86_64"))
		} else {
			write(t, filepath.Join(in, folder, "libK.a"), read(t, lib))
		}
		removeAll(t, filepath.Join(in, folder, "arm64"))
	}
	info(t, filepath.Join(in, "Info.plist"), map[string]any{"CFBundlePackageType": "XFWK"})
	packed := zipOf(t, filepath.Join(dir, "in"), filepath.Join(dir, "K.zip"))
	for _, path := range []string{in, packed} {
		r := checkAll(t, Options{}, path)
		var got []string
		for _, f := range r.Findings {
			got = append(got, strings.TrimPrefix(f.Where.Path, in)+" "+f.Where.Member+" "+f.Where.Arch)
			if !has(f, "not linked yet; judged at level 2") || f.Where.Function != "_call" {
				t.Errorf("%+v", f)
			}
		}
		want := []string{"/ios-arm64/libK.a handler.c.o arm64", "/macos-arm64_x86_64/libK.a handler.c.o arm64",
			"/macos-arm64_x86_64/libK.a handler.c.o x86_64"}
		if path == packed {
			want = []string{packed + " K.xcframework/ios-arm64/libK.a!/handler.c.o arm64",
				packed + " K.xcframework/macos-arm64_x86_64/libK.a!/handler.c.o arm64",
				packed + " K.xcframework/macos-arm64_x86_64/libK.a!/handler.c.o x86_64"}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error("-want +got\n" + diff)
		}
		expectText(t, "note", noteTexts(r),
			"arm64, x86_64 out of scope: built for a simulator, where no restriction applies")
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// What is out of scope is said.
func TestOutOfScope(t *testing.T) {
	m := newMaker(t)
	old := func(target string) string {
		return compile(t, target, "empty.c", "-DNAME=f")
	}
	program := func(kind uint32) string {
		path := m.offender(filepath.Join(t.TempDir(), "image"))
		rewrite(t, path, func(image []byte) []byte {
			binary.LittleEndian.PutUint32(image[12:], kind)
			return image
		})
		return path
	}
	simulator := m
	simulator.system = "ios15-simulator"
	for name, tt := range map[string]struct{ path, note string }{
		"i386":      {old("i386-apple-macos10.13"), "i386 out of scope: the restrictions exist on arm64 and x86_64 only"},
		"armv7":     {old("armv7-apple-ios9"), "armv7 out of scope: "},
		"kext":      {program(11), "out of scope: kernel extensions are no processes"},
		"simulator": {simulator.offender(filepath.Join(t.TempDir(), "image")), "arm64 out of scope: built for a simulator"},
	} {
		r := checkAll(t, Options{}, tt.path)
		if len(r.Findings) > 0 || r.ExitCode(finding.Possible) != finding.ExitClean {
			t.Errorf("%s: %+v", name, r.Findings)
		}
		expectText(t, name, noteTexts(r), tt.note)
		if name == "armv7" || name == "i386" {
			expectText(t, name, noteTexts(checkAll(t, Options{Arch: name}, tt.path)), tt.note)
		}
		if r = checkAll(t, Options{Arch: "x86_64"}, tt.path); len(r.Findings) > 0 {
			t.Errorf("%s: %+v", name, r.Findings)
		}
		expectText(t, name+" for x86_64", noteTexts(r), "no Mach-O file that was met has an image for x86_64")
	}
}

// Functions without a name: their place is told, and nothing that is kept between builds depends on it.
func TestStripped(t *testing.T) {
	for _, starts := range []string{"-function_starts", "-no_function_starts"} {
		dir := t.TempDir()
		m := newMaker(t)
		prints := map[string]bool{}
		for _, base := range []string{"", "0x200000000"} {
			path := filepath.Join(dir, "tool"+base)
			flags := []string{m.object("handler.c", "-DMAIN"), starts, "-exported_symbol", "_main"}
			if base != "" {
				flags = append(flags, "-image_base", base)
			}
			m.link(path, flags...)
			run(t, "llvm-strip-19", "--strip-all", path)
			renamed := filepath.Join(t.TempDir(), "tool")
			write(t, renamed, read(t, path))
			r := checkAll(t, Options{}, renamed)
			if len(r.Findings) != 1 {
				t.Fatalf("%s: %d findings", starts, len(r.Findings))
			}
			f := r.Findings[0]
			if f.Confidence != finding.Certain || !regexp.MustCompile(`^0x[12]0000....$`).MatchString(f.Where.Address) {
				t.Errorf("%s: %s at %s", starts, f.Confidence, f.Where.Address)
			}
			if f.Where.Function != "" || !has(f, "the function has no name in the file; it begins at 0x") {
				t.Errorf("%s: function %q, evidence %q", starts, f.Where.Function, f.Evidence)
			}
			prints[f.Fingerprint] = true
		}
		if len(prints) != 1 {
			t.Errorf("%s: the fingerprint changes with the address", starts)
		}
	}
}

// Doubles, order, repetition.
func TestSameAnswerEveryTime(t *testing.T) {
	dir := t.TempDir()
	makeMacApp(t, filepath.Join(dir, "Foo.app/Contents"), "3")
	var first strings.Builder
	for i := range 8 {
		paths := []string{dir}
		if i%2 == 1 {
			paths = append(paths, filepath.Join(dir, "Foo.app")) // what was read already
		}
		r := checkAll(t, Options{}, paths...)
		var s strings.Builder
		r.Summary = finding.Summary{} // counts files, and those are twice as many
		if err := finding.WriteJSON(&s, r); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = s
			if len(r.Findings) != 5 {
				t.Errorf("%d findings", len(r.Findings))
			}
		}
		if diff := cmp.Diff(first.String(), s.String()); diff != "" {
			t.Fatalf("run %d: -first +this\n%s", i, diff)
		}
	}
}

func TestCancelled(t *testing.T) {
	dir := t.TempDir()
	const files = 100
	for i := range files {
		write(t, filepath.Join(dir, fmt.Sprint(i)), []byte("\xcf\xfa\xed\xfe and no more"))
	}
	ctx, cancel := context.WithCancel(context.Background())
	seen := 0
	r, err := Run(ctx, []string{dir}, Options{Progress: func(string, int64) {
		if seen++; seen == 2 {
			cancel()
		}
	}})
	if r != nil || !errors.Is(err, context.Canceled) || seen < 2 || seen > files/2 {
		t.Errorf("%v, %v after %d files", r, err, seen)
	}
	if _, err = Run(ctx, []string{dir}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Progress hears of each file that is read, before it is.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in/Foo.app")
	path := newMaker(t).offender(filepath.Join(in, "Foo"))
	info(t, filepath.Join(in, "Info.plist"), map[string]any{"CFBundleExecutable": "Foo"})
	write(t, filepath.Join(in, "picture.png"), []byte("\x89PNG"))
	packed := zipOf(t, filepath.Join(dir, "in"), filepath.Join(dir, "Foo.ipa"))
	got := map[string]int64{}
	checkAll(t, Options{Progress: func(name string, size int64) { got[name] += size }}, in, packed)
	size, plist := int64(len(read(t, path))), int64(len(read(t, filepath.Join(in, "Info.plist"))))
	want := map[string]int64{
		path: size, filepath.Join(in, "Info.plist"): plist,
		packed + "!/Foo.app/Foo": size, packed + "!/Foo.app/Info.plist": plist,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// Nothing is passed over in silence.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("text"), []byte("hello"))
	write(t, at("empty"), nil)
	write(t, at("cut"), []byte("\xcf\xfa\xed\xfe\x0c\x00\x00\x01"))
	write(t, at("folder/text"), []byte("hello"))
	write(t, at("Bad.app/Info.plist"), []byte("<plist><dict>"))
	good := newMaker(t).offender(at("good"))
	write(t, at("half"), read(t, good)[:5000])
	elf, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := checkPaths(t, Options{}, at("text"), at("empty"), at("cut"), at("folder"), at("Bad.app"), at("missing"),
		at("half"), elf, good)
	got := map[string]bool{}
	for _, u := range r.Unread {
		got[filepath.Base(u.Path)] = true
		if u.Reason == "" || strings.HasSuffix(u.Reason, ".") {
			t.Errorf("%s: reason %q", u.Path, u.Reason)
		}
	}
	want := map[string]bool{"text": true, "empty": true, "cut": true, "Info.plist": true, "missing": true, "half": true,
		filepath.Base(elf): true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s\n%+v", diff, r.Unread)
	}
	expectText(t, "note", noteTexts(r), "holds no Mach-O file")
	if findingsByFunction(t, r)["_install_handler"].Rule == "" || r.ExitCode(finding.Likely) != finding.ExitUnread {
		t.Errorf("findings %+v", r.Findings)
	}
	// A single folder without anything says so in the sum.
	r = checkAll(t, Options{}, at("folder"))
	if r.Moment != finding.MomentCheck || len(r.Notes)+len(r.Findings)+r.Summary.Images > 0 || r.Summary.Files != 1 {
		t.Errorf("%+v", r)
	}
}
