package container

import (
	"path"
	"slices"
	"strings"
)

// Kind is what a bundle is for, told by its extension.
type Kind string

const (
	App             Kind = "app"
	AppExtension    Kind = "appex"
	XPCService      Kind = "xpc"
	SystemExtension Kind = "systemextension"
	DriverExtension Kind = "dext"
	Framework       Kind = "framework"
	XCFramework     Kind = "xcframework"
	Plugin          Kind = "bundle" // code that a program loads: .bundle, .plugin and relatives
	Kext            Kind = "kext"
	DSYM            Kind = "dSYM"
)

var kinds = map[string]Kind{
	".app": App, ".appex": AppExtension, ".xpc": XPCService, ".systemextension": SystemExtension,
	".dext": DriverExtension, ".framework": Framework, ".xcframework": XCFramework, ".bundle": Plugin,
	".plugin": Plugin, ".prefpane": Plugin, ".saver": Plugin, ".qlgenerator": Plugin, ".mdimporter": Plugin,
	".component": Plugin, ".kext": Kext, ".dsym": DSYM,
}

// IsProgram reports whether the main executable of such a bundle runs as a process of its own, so that its entitlement
// decides over all that it loads.
func (k Kind) IsProgram() bool {
	switch k {
	case App, AppExtension, XPCService, SystemExtension, DriverExtension:
		return true
	}
	return false
}

// Bundle is a folder that macOS and iOS treat as one thing.
type Bundle struct {
	Path string // of the folder, with slashes
	Kind Kind
}

// Bundles returns the bundles that a file or folder lies in or is, outermost first. The path is one with slashes: of a
// file on disk, of an archive's member, or an [Item.Name].
func Bundles(name string) []Bundle {
	var found []Bundle
	for end := 0; end < len(name); end++ {
		i := strings.IndexByte(name[end:], '/')
		if i < 0 {
			i = len(name) - end
		}
		if end += i; end == 0 {
			continue
		}
		element := path.Base(name[:end])
		ext := path.Ext(element)
		if kind, ok := kinds[strings.ToLower(ext)]; ok && ext != element {
			found = append(found, Bundle{name[:end], kind})
		}
	}
	return found
}

// BundleOf returns the innermost bundle that a file lies in.
func BundleOf(name string) (Bundle, bool) {
	b := Bundles(path.Dir(name))
	if len(b) == 0 {
		return Bundle{}, false
	}
	return b[len(b)-1], true
}

// ProgramOf returns the innermost bundle around a file whose main executable is a process: the app, extension or
// service that a framework or plug-in stands in. An extension's process may load the frameworks of the app around it
// as well; the load commands say so, paths do not.
func ProgramOf(name string) (Bundle, bool) {
	for _, b := range slices.Backward(Bundles(path.Dir(name))) {
		if b.Kind.IsProgram() {
			return b, true
		}
	}
	return Bundle{}, false
}

// Name is the bundle's name without extension, which is also the name of its executable unless its Info.plist differs.
func (b Bundle) Name() string {
	base := path.Base(b.Path)
	return strings.TrimSuffix(base, path.Ext(base))
}

// Rel returns the part of name below the bundle, with the Versions/A of a framework taken out; "" for what is not
// below.
func (b Bundle) Rel(name string) string {
	rel, ok := strings.CutPrefix(name, b.Path+"/")
	if !ok {
		return ""
	}
	if b.Kind == Framework {
		if rest, ok := strings.CutPrefix(rel, "Versions/"); ok {
			_, rel, _ = strings.Cut(rest, "/")
		}
	}
	return rel
}

// IsInfo reports whether name is the bundle's own Info.plist.
func (b Bundle) IsInfo(name string) bool {
	switch b.Rel(name) {
	case "Info.plist": // iOS and all it begot; XCFrameworks
		return true
	case "Contents/Info.plist": // macOS
		return b.Kind != Framework && b.Kind != XCFramework
	case "Resources/Info.plist": // frameworks on macOS
		return b.Kind == Framework
	}
	return false
}

// IsExecutable reports whether name is the bundle's main executable. The second argument is CFBundleExecutable;
// where it is "" the bundle's own name stands for it.
func (b Bundle) IsExecutable(name, executable string) bool {
	if executable == "" {
		executable = b.Name()
	}
	switch rel := b.Rel(name); b.Kind {
	case XCFramework:
		return false
	case DSYM:
		return path.Dir(rel) == "Contents/Resources/DWARF"
	case Framework:
		return rel == executable
	default:
		return rel == executable || rel == "Contents/MacOS/"+executable
	}
}

// Slice is a folder of an XCFramework: the library as built for one platform.
type Slice struct {
	Name     string   // of the folder, such as "ios-arm64_x86_64-simulator"
	Platform string   // ios, macos, tvos, watchos, xros
	Variant  string   // "", "simulator" or "maccatalyst"
	Archs    []string // arm64, arm64e, x86_64, …
}

// SliceOf returns the slice of the innermost XCFramework around a file.
func SliceOf(name string) (Slice, bool) {
	for _, b := range slices.Backward(Bundles(path.Dir(name))) {
		if b.Kind != XCFramework {
			continue
		}
		folder, _, below := strings.Cut(strings.TrimPrefix(name, b.Path+"/"), "/")
		parts := strings.SplitN(folder, "-", 3)
		if !below || len(parts) < 2 {
			return Slice{}, false
		}
		s := Slice{Name: folder, Platform: parts[0], Archs: splitArchs(parts[1])}
		if len(parts) == 3 {
			s.Variant = parts[2]
		}
		return s, true
	}
	return Slice{}, false
}

// splitArchs splits "arm64_x86_64" at the underscores that are not part of a name.
func splitArchs(s string) []string {
	var archs []string
	for _, a := range strings.Split(s, "_") {
		if n := len(archs); n > 0 && (a == "64" || a == "64h" || a == "32") { // x86_64, x86_64h, arm64_32
			archs[n-1] += "_" + a
			continue
		}
		archs = append(archs, a)
	}
	return archs
}
