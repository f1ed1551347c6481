package container

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"
)

func TestBundles(t *testing.T) {
	const mac = "/Applications/Editor.app/Contents/"
	type want struct {
		bundle, program string
		executable      string // of which bundle name is the executable, with its own name
		info            bool
	}
	for name, w := range map[string]want{
		mac + "MacOS/Editor": {"/Applications/Editor.app", "/Applications/Editor.app", "/Applications/Editor.app", false},
		mac + "Info.plist":   {"/Applications/Editor.app", "/Applications/Editor.app", "", true},
		mac + "Frameworks/Foo.framework/Versions/A/Foo": {mac + "Frameworks/Foo.framework", "/Applications/Editor.app",
			mac + "Frameworks/Foo.framework", false},
		mac + "Frameworks/Foo.framework/Versions/A/Resources/Info.plist": {mac + "Frameworks/Foo.framework",
			"/Applications/Editor.app", "", true},
		mac + "Frameworks/Foo.framework/Versions/A/Helpers/tool": {mac + "Frameworks/Foo.framework",
			"/Applications/Editor.app", "", false},
		mac + "PlugIns/Share.appex/Contents/MacOS/Share": {mac + "PlugIns/Share.appex", mac + "PlugIns/Share.appex",
			mac + "PlugIns/Share.appex", false},
		mac + "PlugIns/Look.bundle/Contents/MacOS/Look": {mac + "PlugIns/Look.bundle", "/Applications/Editor.app",
			mac + "PlugIns/Look.bundle", false},
		mac + "XPCServices/Net.xpc/Contents/Info.plist": {mac + "XPCServices/Net.xpc", mac + "XPCServices/Net.xpc", "", true},
		"Payload/Game.app/Game":                         {"Payload/Game.app", "Payload/Game.app", "Payload/Game.app", false},
		"Payload/Game.app/Info.plist":                   {"Payload/Game.app", "Payload/Game.app", "", true},
		"Payload/Game.app/Other.plist":                  {"Payload/Game.app", "Payload/Game.app", "", false},
		"in.zip!/Payload/Game.app/Frameworks/SDK.framework/SDK": {"in.zip!/Payload/Game.app/Frameworks/SDK.framework",
			"in.zip!/Payload/Game.app", "in.zip!/Payload/Game.app/Frameworks/SDK.framework", false},
		"K.xcframework/ios-arm64/K.framework/K": {"K.xcframework/ios-arm64/K.framework", "",
			"K.xcframework/ios-arm64/K.framework", false},
		"K.xcframework/Info.plist":                     {"K.xcframework", "", "", true},
		"K.xcframework/ios-arm64/libK.a":               {"K.xcframework", "", "", false},
		"d/Game.app.dSYM/Contents/Resources/DWARF/Any": {"d/Game.app.dSYM", "", "d/Game.app.dSYM", false},
		"drv/Dev.kext/Contents/MacOS/Dev":              {"drv/Dev.kext", "", "drv/Dev.kext", false},
		"bin/tool":                                     {},
		"Tool.app":                                     {}, // a file by that name lies in no bundle
		"a/.app/tool":                                  {},
	} {
		var got want
		b, ok := BundleOf(name)
		got.bundle = b.Path
		if p, ok := ProgramOf(name); ok {
			got.program = p.Path
		}
		if ok && b.IsExecutable(name, "") {
			got.executable = b.Path
		}
		got.info = ok && b.IsInfo(name)
		if d := cmp.Diff(w, got, cmp.AllowUnexported(want{})); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
	}
	outer := Bundles(mac + "PlugIns/Share.appex/Contents/Frameworks/Foo.framework/Versions/A/Foo")
	if d := cmp.Diff([]Bundle{{"/Applications/Editor.app", App}, {mac + "PlugIns/Share.appex", AppExtension},
		{mac + "PlugIns/Share.appex/Contents/Frameworks/Foo.framework", Framework}}, outer); d != "" {
		t.Error(d)
	}
	if b := (Bundle{"x/Foo.app", App}); !b.IsExecutable("x/Foo.app/Contents/MacOS/Bar", "Bar") ||
		b.IsExecutable("x/Foo.app/Contents/MacOS/Foo", "Bar") || b.IsExecutable("y/Foo.app/Bar", "Bar") {
		t.Error("CFBundleExecutable is not heeded")
	}
}

func TestSliceOf(t *testing.T) {
	for name, want := range map[string]Slice{
		"K.xcframework/ios-arm64_x86_64-simulator/K.framework/K": {"ios-arm64_x86_64-simulator", "ios", "simulator",
			[]string{"arm64", "x86_64"}},
		"K.xcframework/ios-arm64_arm64e_armv7/libK.a": {"ios-arm64_arm64e_armv7", "ios", "", []string{"arm64", "arm64e", "armv7"}},
		"K.xcframework/watchos-arm64_arm64_32_armv7k/K.framework/K": {"watchos-arm64_arm64_32_armv7k", "watchos", "",
			[]string{"arm64", "arm64_32", "armv7k"}},
		"K.xcframework/ios-arm64_x86_64-maccatalyst/K.framework/Versions/A/K": {"ios-arm64_x86_64-maccatalyst", "ios",
			"maccatalyst", []string{"arm64", "x86_64"}},
		"K.xcframework/Info.plist":      {},
		"K.xcframework/_CodeSignature/": {},
		"K.framework/ios-arm64/K":       {},
	} {
		got, ok := SliceOf(name)
		if d := cmp.Diff(want, got); d != "" || ok != (want.Name != "") {
			t.Errorf("%s: %v -want +got\n%s", name, ok, d)
		}
	}
}

func TestReadInfo(t *testing.T) {
	dict := map[string]any{
		"CFBundleExecutable": "Foo", "CFBundleIdentifier": "org.example.Foo", "CFBundleName": "Foo!",
		"CFBundleShortVersionString": "1.2.3", "CFBundleVersion": "45", "CFBundlePackageType": "APPL",
		"LSMinimumSystemVersion": "13.0", "DTPlatformName": "macosx", "DTSDKName": "macosx26.1",
		"NSExtension": map[string]any{"NSExtensionPointIdentifier": "com.apple.share-services"}, "other": time.Unix(0, 0),
	}
	want := Info{"Foo", "org.example.Foo", "Foo!", "1.2.3", "45", "APPL", "13.0", "macosx", "macosx26.1",
		"com.apple.share-services"}
	for _, format := range []int{plist.XMLFormat, plist.BinaryFormat} {
		data, err := plist.Marshal(dict, format)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadInfo(data)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%v -want +got\n%s", err, d)
		}
	}
	// Wrong types are passed over; both minimum versions: iOS' own wins.
	got, err := ReadInfo([]byte(`<plist><dict><key>CFBundleVersion</key><integer>7</integer>
		<key>MinimumOSVersion</key><string>15.0</string><key>LSMinimumSystemVersion</key><string>12</string></dict></plist>`))
	if d := cmp.Diff(Info{MinimumOS: "15.0"}, got); d != "" || err != nil {
		t.Errorf("%v -want +got\n%s", err, d)
	}
	for _, bad := range []string{"", "<plist><array/></plist>", "bplist00"} {
		if _, err := ReadInfo([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
