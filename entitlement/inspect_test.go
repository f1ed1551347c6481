package entitlement

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gomacho "github.com/blacktop/go-macho"
	"github.com/google/go-cmp/cmp"

	"portcullis.dev/macho"
	"portcullis.dev/rules"
)

// imageOf writes a small Mach-O image: a header, __TEXT and __LINKEDIT, LC_BUILD_VERSION, and a signature.
func imageOf(t testing.TB, cpu uint32, kind macho.Type, platform macho.Platform, minos uint32, s *signer) []byte {
	t.Helper()
	le := binary.LittleEndian
	var cmds []byte
	segment := func(name string, off, size uint64) {
		c := le.AppendUint32(nil, 0x19)
		c = le.AppendUint32(c, 72)
		c = append(c, append([]byte(name), make([]byte, 16-len(name))...)...)
		for _, v := range []uint64{off, max(size, 0x4000), off, size} {
			c = le.AppendUint64(c, v)
		}
		cmds = append(cmds, append(c, make([]byte, 16)...)...)
	}
	const size = 0x4000
	segment("__TEXT", 0, size)
	segment("__LINKEDIT", size, 0)
	for _, v := range []uint32{0x32, 24, uint32(platform), minos, minos, 0} {
		cmds = le.AppendUint32(cmds, v)
	}
	var out []byte
	for _, v := range []uint32{0xfeedfacf, cpu, 0, uint32(kind), 3, uint32(len(cmds)), 0, 0} {
		out = le.AppendUint32(out, v)
	}
	out = append(out, cmds...)
	out = append(out, make([]byte, size-len(out))...)
	if s == nil {
		return out
	}
	return signImage(t, out, *s)
}

const (
	cpuARM64 = 0x0100000c
	cpuAMD64 = 0x01000007
	cpuARM   = 12
)

// both is a signer that claims the same in XML and DER.
func both(t testing.TB, pairs ...Pair) *signer {
	return &signer{identifier: "com.example.test", xml: xmlOf(pairs...), der: derOf(t, pairs...)}
}

func write(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

var complete = []Pair{pairHardened, pairVersion, pairRestrictions}

func infoPlist(executable, identifier string) []byte {
	return xmlOf(Pair{"CFBundleExecutable", String(executable)}, Pair{"CFBundleIdentifier", String(identifier)})
}

func inspect(t testing.TB, path string, judged rules.OS) Report {
	t.Helper()
	r, err := Inspect(t.Context(), path, judged)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// summary is one line for each program: path, arch, level, line, bundle.
func summary(root string, r Report) []string {
	var out []string
	for _, p := range r.Programs {
		rel, err := filepath.Rel(root, p.name())
		if err != nil {
			rel = p.name()
		}
		out = append(out, strings.Join(strings.Fields(strings.Join([]string{
			rel, p.Inputs.Arch, p.Decision.Level.String(), string(p.Decision.Line), p.Bundle}, " ")), " "))
	}
	return out
}

func TestInspectThin(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "tool"), imageOf(t, cpuARM64, macho.Execute, macho.MacOS, 26<<16|4<<8, both(t,
		complete...)))
	r := inspect(t, path, rules.OS{})
	if diff := cmp.Diff([]string{"tool arm64 2 string-key"}, summary(dir, r)); diff != "" {
		t.Fatal(diff)
	}
	p := r.Programs[0]
	if len(p.Issues) > 0 || len(r.Unread) > 0 || p.Inputs.MinOS != system("macOS", 26, 4) {
		t.Errorf("issues %+v, unread %+v, min %v", p.Issues, r.Unread, p.Inputs.MinOS)
	}
	if p.Decision.At.Format != FormatDER {
		t.Errorf("decided by %s, want the DER", p.Decision.At)
	}
	if r := inspect(t, path, system("macOS", 26, 0)); r.Programs[0].Decision.Level != rules.LevelNone {
		t.Errorf("on 26.0 the string key gives level %s", r.Programs[0].Decision.Level)
	}
}

func TestInspectFat(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "tool"), fatOf(
		fatSlice{cpuAMD64, 3, imageOf(t, cpuAMD64, macho.Execute, macho.MacOS, 13<<16, both(t))},
		fatSlice{cpuARM64, 0, imageOf(t, cpuARM64, macho.Execute, macho.MacOS, 13<<16, both(t, complete...))}))
	r := inspect(t, path, rules.OS{})
	want := []string{"tool x86_64 none nothing", "tool arm64 2 string-key"}
	if diff := cmp.Diff(want, summary(dir, r)); diff != "" {
		t.Fatal(diff)
	}
	if i := r.Programs[0].Issues; len(i) != 1 || i[0].ID != "slices-differ" {
		t.Errorf("got %+v", i)
	}
	if !r.Failed() {
		t.Error("slices that disagree are no failure")
	}
}

func TestInspectBundle(t *testing.T) {
	dir := t.TempDir()
	app := filepath.Join(dir, "Foo.app")
	ios := func(kind macho.Type, s *signer) []byte { return imageOf(t, cpuARM64, kind, macho.IOS, 26<<16, s) }
	write(t, filepath.Join(app, "Info.plist"), infoPlist("Foo", "com.example.foo"))
	write(t, filepath.Join(app, "Foo"), ios(macho.Execute, both(t, pairHardened, pairVersion, pairRestrictionsInt)))
	write(t, filepath.Join(app, "embedded.mobileprovision"), cmsOf(profilePlist(t, map[string]any{
		KeyHardenedProcess: true, KeyVersionString: "*", KeyRestrictions: "*"})))
	write(t, filepath.Join(app, "Frameworks/Bar.framework/Info.plist"), infoPlist("Bar", "com.example.bar"))
	write(t, filepath.Join(app, "Frameworks/Bar.framework/Bar"), ios(macho.Dylib, both(t, pairRestrictions)))
	write(t, filepath.Join(app, "PlugIns/Share.appex/Info.plist"), infoPlist("Share", "com.example.foo.share"))
	write(t, filepath.Join(app, "PlugIns/Share.appex/Share"), ios(macho.Execute, both(t)))
	write(t, filepath.Join(app, "image.png"), []byte("\x89PNG"))
	r := inspect(t, app, rules.OS{})
	want := []string{
		"Foo.app/Foo arm64 2 integer-key com.example.foo",
		"Foo.app/Frameworks/Bar.framework/Bar arm64 none no-program com.example.bar",
		"Foo.app/PlugIns/Share.appex/Share arm64 none nothing com.example.foo.share",
	}
	if diff := cmp.Diff(want, summary(dir, r)); diff != "" {
		t.Error(diff)
	}
	var ids []string
	for _, p := range r.Programs {
		for _, i := range p.Issues {
			ids = append(ids, filepath.Base(p.Path)+" "+i.ID)
		}
	}
	if diff := cmp.Diff([]string{"Foo integer-key", "Foo profile-wildcard", "Bar not-executable"}, ids); diff != "" {
		t.Error(diff)
	}

	// The program named alone finds the bundle around it.
	alone := inspect(t, filepath.Join(app, "Foo"), rules.OS{})
	if len(alone.Programs) != 1 || !slices.ContainsFunc(alone.Programs[0].Issues,
		func(i Issue) bool { return i.ID == "profile-wildcard" }) {
		t.Errorf("got %+v", alone)
	}
}

func TestInspectMacBundle(t *testing.T) {
	dir := t.TempDir()
	app := filepath.Join(dir, "Foo.app", "Contents")
	write(t, filepath.Join(app, "Info.plist"), infoPlist("Foo", "com.example.foo"))
	write(t, filepath.Join(app, "MacOS/Foo"), imageOf(t, cpuARM64, macho.Execute, macho.MacOS, 13<<16,
		&signer{flags: FlagRuntime, identifier: "x"}))
	framework := filepath.Join(app, "Frameworks/Bar.framework")
	write(t, filepath.Join(framework, "Versions/A/Resources/Info.plist"), infoPlist("Bar", "com.example.bar"))
	write(t, filepath.Join(framework, "Versions/A/Bar"), imageOf(t, cpuARM64, macho.Dylib, macho.MacOS, 13<<16, nil))
	if err := os.Symlink("Versions/A/Bar", filepath.Join(framework, "Bar")); err != nil {
		t.Fatal(err)
	}
	r := inspect(t, filepath.Join(dir, "Foo.app"), rules.OS{})
	want := []string{
		"Foo.app/Contents/Frameworks/Bar.framework/Versions/A/Bar arm64 none no-program com.example.bar",
		"Foo.app/Contents/MacOS/Foo arm64 hardened-runtime hardened-runtime com.example.foo",
	}
	if diff := cmp.Diff(want, summary(dir, r)); diff != "" {
		t.Error(diff)
	}
}

func TestInspectArchive(t *testing.T) {
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"Payload/Foo.app/Foo", imageOf(t, cpuARM64, macho.Execute, macho.IOS, 26<<16, both(t, complete...))},
		{"Payload/Foo.app/Info.plist", infoPlist("Foo", "com.example.foo")},
		{"Payload/Foo.app/embedded.mobileprovision", cmsOf(profilePlist(t, map[string]any{KeyHardenedProcess: true}))},
		{"Payload/Foo.app/notes.txt", []byte("hello")},
	} {
		w, err := z.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := inspect(t, write(t, filepath.Join(dir, "Foo.ipa"), zipped.Bytes()), rules.OS{})
	if diff := cmp.Diff([]string{"Foo.ipa!/Payload/Foo.app/Foo arm64 2 string-key com.example.foo"}, summary(dir,
		r)); diff != "" {
		t.Fatal(diff)
	}
	var ids []string
	for _, i := range r.Programs[0].Issues {
		ids = append(ids, i.ID)
	}
	if diff := cmp.Diff([]string{"profile-key", "profile-key", "string-key-old-system"}, ids); diff != "" ||
		len(r.Unread) > 0 {
		t.Error(diff, r.Unread)
	}
}

func TestInspectFiles(t *testing.T) {
	dir := t.TempDir()
	profile := write(t, filepath.Join(dir, "a.mobileprovision"), cmsOf(profilePlist(t,
		map[string]any{KeyRestrictions: "*"})))
	claims := write(t, filepath.Join(dir, "b.entitlements"), xmlOf(complete...))
	program := write(t, filepath.Join(dir, "c"), imageOf(t, cpuARM64, macho.Execute, macho.MacOS, 13<<16, nil))
	write(t, program+".entitlements", xmlOf(Pair{KeyRestrictionsString, String("3")}))
	old := write(t, filepath.Join(dir, "d"), imageOf(t, cpuARM, macho.Dylib, macho.IOS, 9<<16, nil))
	for path, want := range map[string]string{
		profile: "a.mobileprovision 2 integer-key",
		claims:  "b.entitlements 2 string-key",
		program: "c arm64 3 string-key",
		old:     "",
	} {
		r := inspect(t, path, rules.OS{})
		if path == old {
			continue
		}
		if diff := cmp.Diff([]string{want}, summary(dir, r)); diff != "" {
			t.Error(diff)
		}
	}
	set, err := Sidecar(program)
	if err != nil || !set.Has(KeyRestrictionsString) {
		t.Errorf("sidecar: %v, %v", set, err)
	}
	if _, err := Sidecar(claims); !os.IsNotExist(err) {
		t.Errorf("no sidecar: %v", err)
	}
}

func TestInspectUnread(t *testing.T) {
	dir := t.TempDir()
	good := imageOf(t, cpuARM64, macho.Execute, macho.MacOS, 13<<16, both(t, complete...))
	at := bytes.Index(good, []byte{0xfa, 0xde, 0x0c, 0xc0})
	brokenMagic := slices.Clone(good)
	brokenMagic[at] = 0
	brokenDER := bytes.Replace(good, []byte{tagBlob, 0x81}, []byte{tagBlob, 0x80}, 1)
	for _, tt := range []struct {
		name, want string
		data       []byte
	}{
		{"noise", "not a Mach-O image, an ELF file, a property list or a provisioning profile", []byte("hello, world")},
		{"empty", "not a Mach-O image", nil},
		{"broken.plist", "property list", []byte("<plist><dict>")},
		{"magic", "code signature: offset 0: magic", brokenMagic},
		{"der", "DER entitlements: offset 0x0: indefinite length", brokenDER},
		{"cut", "signature", good[:at+20]},
		{"profile", "provisioning profile", cmsOf([]byte("x"))},
	} {
		r := inspect(t, write(t, filepath.Join(dir, tt.name), tt.data), rules.OS{})
		if len(r.Unread) == 0 || !strings.Contains(r.Unread[0].Reason, tt.want) {
			t.Errorf("%s: %+v, want an input that cannot be read because of %q", tt.name, r, tt.want)
		}
	}
	if r := inspect(t, filepath.Join(dir, "missing"), rules.OS{}); len(r.Unread) != 1 ||
		strings.Contains(r.Unread[0].Reason, dir) {
		t.Errorf("missing file: %+v", r)
	}
	write(t, filepath.Join(dir, "Gone.app", "Info.plist"), infoPlist("Gone", "x"))
	if r := inspect(t, filepath.Join(dir, "Gone.app"), rules.OS{}); len(r.Unread) != 1 ||
		!strings.Contains(r.Unread[0].Reason, `"Gone"`) {
		t.Errorf("missing executable: %+v", r)
	}
	if r := inspect(t, dir, rules.OS{}); len(r.Unread) < 3 {
		t.Errorf("one bad file hides the others: %+v", r.Unread)
	}
}

// TestGoMachoReadsTheSame signs with this package's test signer and reads with go-macho.
func TestGoMachoReadsTheSame(t *testing.T) {
	s := both(t, complete...)
	s.team, s.flags = "ABCDE12345", FlagRuntime
	image := imageOf(t, cpuARM64, macho.Execute, macho.MacOS, 26<<16, s)
	m, err := gomacho.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	cs := m.CodeSignature()
	if cs == nil {
		t.Fatal("go-macho finds no signature")
	}
	if cs.Entitlements != string(s.xml) || !bytes.Equal(cs.EntitlementsDER, s.der) {
		t.Errorf("go-macho reads other entitlements:\n%s\n%x", cs.Entitlements, cs.EntitlementsDER)
	}
	if len(cs.CodeDirectories) != 1 || cs.CodeDirectories[0].ID != s.identifier || cs.CodeDirectories[0].TeamID != s.team {
		t.Errorf("go-macho reads %+v", cs.CodeDirectories)
	}
}

// TestLinkedImage signs what clang and lld make.
func TestLinkedImage(t *testing.T) {
	for _, tool := range []string{"clang-19", "ld64.lld-19"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: whole programs are not tested", tool)
		}
	}
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "t.c"), []byte("int main(void) { return 0; }\n"))
	tbd := write(t, filepath.Join(dir, "libSystem.tbd"), []byte(`--- !tapi-tbd
tbd-version: 4
targets: [ arm64-macos, x86_64-macos ]
install-name: '/usr/lib/libSystem.B.dylib'
exports:
  - targets: [ arm64-macos, x86_64-macos ]
    symbols: [ dyld_stub_binder ]
...
`))
	for _, arch := range []string{"arm64", "x86_64"} {
		object, program := filepath.Join(dir, arch+".o"), filepath.Join(dir, arch)
		for _, args := range [][]string{
			{"clang-19", "-target", arch + "-apple-macos13", "-c", source, "-o", object},
			{"ld64.lld-19", "-arch", arch, "-platform_version", "macos", "13.0", "14.0", "-adhoc_codesign", "-o", program,
				object, tbd},
		} {
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%q: %v\n%s", args, err, out)
			}
		}
		r := inspect(t, program, rules.OS{})
		if diff := cmp.Diff([]string{arch + " " + arch + " none nothing"}, summary(dir, r)); diff != "" {
			t.Fatal(diff)
		}
		sig := r.Programs[0].Inputs.Signature
		if sig == nil || sig.Flags&FlagLinkerSigned == 0 || sig.Identifier == "" || len(sig.Broken) > 0 {
			t.Errorf("lld's own signature: %+v", sig)
		}
		image, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		write(t, program, signImage(t, image, *both(t, complete...)))
		r = inspect(t, program, rules.OS{})
		if diff := cmp.Diff([]string{arch + " " + arch + " 2 string-key"}, summary(dir, r)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTextAndJSON(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "a\x1b[31m.entitlements"), xmlOf(Pair{KeyRestrictionsString, Bool(true)}))
	r := inspect(t, path, rules.OS{})
	var text, raw bytes.Buffer
	if err := WriteText(&text, Style{}, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"refused", "[string-key-type] line 5:", "<string>2</string>"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
	if strings.ContainsRune(text.String(), 0x1b) {
		t.Error("a control character of a file name reaches the terminal")
	}
	if err := WriteJSON(&raw, r); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Schema   string
		Programs []struct {
			Level     string
			DecidedBy string `json:"decided_by"`
			Kills     []Kill
			Issues    []Issue
		}
	}
	if err := json.Unmarshal(raw.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Schema != Schema || got.Programs[0].DecidedBy != "refused" || got.Programs[0].Issues[0].At.Line != 5 {
		t.Errorf("got %+v", got)
	}
}

func TestTextMergesSlices(t *testing.T) {
	dir := t.TempDir()
	slice := func(cpu uint32) []byte { return imageOf(t, cpu, macho.Execute, macho.MacOS, 13<<16, both(t)) }
	path := write(t, filepath.Join(dir, "tool"), fatOf(fatSlice{cpuAMD64, 3, slice(cpuAMD64)}, fatSlice{cpuARM64, 0,
		slice(cpuARM64)}))
	var b strings.Builder
	if err := WriteText(&b, Style{Width: 200}, inspect(t, path, rules.OS{})); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.Contains(got, "executable, x86_64, arm64, macOS") || strings.Count(got,
		"level ") != 1 ||
		!strings.Contains(got, "exempt     x86_64: translated by Rosetta") {
		t.Errorf("got\n%s", got)
	}
}

func TestTextCountsLibraries(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.dylib", "b.dylib"} {
		write(t, filepath.Join(dir, name), imageOf(t, cpuARM64, macho.Dylib, macho.MacOS, 13<<16, nil))
	}
	write(t, filepath.Join(dir, "tool"), imageOf(t, cpuARM64, macho.Execute, macho.MacOS, 13<<16, nil))
	var b strings.Builder
	if err := WriteText(&b, Style{}, inspect(t, dir, rules.OS{})); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.Contains(got, "2 libraries and other images") || strings.Contains(got, "a.dylib") {
		t.Errorf("got\n%s", got)
	}
}

func TestKills(t *testing.T) {
	names := func(l rules.Level, platform string) (out []string) {
		for _, k := range Kills(l, platform) {
			out = append(out, k.Rule)
		}
		return out
	}
	if got := names(rules.Level2, "macOS"); len(got) != 6 {
		t.Errorf("level 2 kills %q, want all six", got)
	}
	none, one := names(rules.LevelNone, "macOS"), names(rules.Level1, "macOS")
	if len(none) >= len(one) || slices.Contains(none, "SET_EXCEPTION_BEHAVIOR") || !slices.Contains(one,
		"SET_EXCEPTION_BEHAVIOR") {
		t.Errorf("none kills %q, 1 kills %q", none, one)
	}
	if slices.Contains(names(rules.Level2, "visionOS"), "OOL_PORT_ARRAY") {
		t.Error("OOL_PORT_ARRAY is off on visionOS")
	}
}
