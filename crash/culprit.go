package crash

import (
	"strings"

	"portcullis.dev/finding"
)

// origin is whose an image is.
type origin uint8

const (
	unknownOrigin origin = iota
	system               // Apple's: /usr/lib, /System, the shared cache
	program              // the main program
	embedded             // in the program's own bundle, but not the program itself
	outside              // elsewhere on the disk
	anonymous            // memory that belongs to no image: compiled at run time, or injected
)

// String says it as it stands in a sentence.
func (o origin) String() string {
	switch o {
	case system:
		return "part of the system"
	case program:
		return "the program itself"
	case embedded:
		return "a library inside the program's bundle"
	case outside:
		return "a library from elsewhere"
	case anonymous:
		return "memory of no image: code compiled at run time, or injected"
	}
	return "of unknown origin"
}

// systemNames are images of the system that texts without paths name.
var systemNames = map[string]bool{
	"dyld": true, "CoreFoundation": true, "Foundation": true, "AppKit": true, "UIKitCore": true, "UIKit": true,
	"SwiftUI": true, "HIToolbox": true, "GraphicsServices": true, "IOKit": true, "Security": true, "CFNetwork": true,
	"WebKit": true, "WebCore": true, "JavaScriptCore": true, "QuartzCore": true, "CoreGraphics": true, "SkyLight": true,
	"FrontBoardServices": true, "RunningBoardServices": true, "XPCService": true, "LaunchServices": true,
	"DiskArbitration": true, "CoreServices": true, "BaseBoard": true, "Network": true, "Combine": true, "SwiftUICore": true,
	"AttributeGraph": true, "Metal": true, "IOSurface": true, "CoreAudio": true, "AudioToolbox": true, "runtime": false,
}

var systemPrefixes = []string{"libsystem_", "libdispatch.", "libdyld.", "libobjc.", "libc++", "libxpc.", "libswift",
	"libcorecrypto", "libSystem.", "libnetwork.", "libcache.", "libquarantine.", "libsqlite3.dylib"}

// originOf says whose the image of a frame is.
func (r *Report) originOf(f *Frame) origin {
	im := r.image(f)
	if im == nil && (f.Image == "???" || f.Image == "") {
		return anonymous
	}
	path, name := "", f.Image
	if im != nil {
		path = im.Path
		if im.Name != "" {
			name = im.Name
		}
		if im.Source == "A" && im.Base == 0 {
			return anonymous
		}
	}
	if path == "" && (name == "" || name == "???") {
		return anonymous
	}
	if r.sdk(f) {
		return system
	}
	if name == r.Process && name != "" || r.Path != "" && path == r.Path {
		return program
	}
	if r.own != nil && underAny(path, "/lib/", "/lib64/", "[") {
		return system
	}
	if im != nil && im.Source == "S" || underAny(path, "/usr/lib/", "/System/", "/Library/Apple/", "/private/preboot/Cryptexes/",
		"/usr/libexec/rosetta", "/Library/Developer/CoreSimulator/") {
		return system
	}
	for _, p := range systemPrefixes {
		if strings.HasPrefix(name, p) && (path == "" || !strings.Contains(path, ".app/")) {
			return system
		}
	}
	if path == "" {
		if known, ok := systemNames[name]; ok && known {
			return system
		}
		return unknownOrigin
	}
	if root := bundleRoot(r.Path); root != "" && strings.HasPrefix(path, root) || strings.Contains(path, ".app/Frameworks/") ||
		strings.Contains(path, ".app/Contents/") && bundleRoot(r.Path) == "" {
		return embedded
	}
	return outside
}

func underAny(path string, dirs ...string) bool {
	for _, d := range dirs {
		if strings.HasPrefix(path, d) {
			return true
		}
	}
	return false
}

// bundleRoot returns the outermost bundle of a path, with its slash: "/Applications/Foo.app/".
func bundleRoot(path string) string {
	for _, ext := range []string{".app/", ".appex/", ".xpc/", ".bundle/"} {
		if i := strings.Index(path, ext); i >= 0 {
			return path[:i+len(ext)]
		}
	}
	return ""
}

// culprit is the frame that is most likely at fault, and the call it made.
type culprit struct {
	frame   *Frame
	index   int // in the thread's frames, -1 where nothing stands out
	origin  origin
	callee  string // outermost system function that was called: task_set_exception_ports
	program *Frame // first frame of the program itself, where the culprit is a library
}

// wrapper reports whether a function only passes a request on, so that its caller names the call better.
func wrapper(symbol string) bool {
	switch symbol {
	case "", "syscall", "_syscall", "mach_msg", "mach_msg_overwrite", "mach_msg2_internal", "__fcntl", "__close_nocancel":
		return true
	}
	return strings.HasPrefix(symbol, "_kernelrpc_") || strings.HasSuffix(symbol, "_trap")
}

// findCulprit takes the first frame that is not the system's. Where all are, it takes the first that is not of the
// libraries through which every call goes.
func (r *Report) findCulprit(t *Thread) culprit {
	c := culprit{index: -1}
	if t == nil {
		return c
	}
	for i := r.belowSDK(t); i < len(t.Frames); i++ {
		f := &t.Frames[i]
		o := r.originOf(f)
		if o == anonymous && i == 0 && len(t.Frames) > 1 && r.originOf(&t.Frames[1]) == system && f.Symbol == "" {
			continue // under Rosetta the program counter lies in translated code
		}
		if o == system && (r.Process != f.Image || r.sdk(f)) {
			if c.index < 0 && (!wrapper(f.Symbol) || c.callee == "") && f.Symbol != "" {
				c.callee = f.Symbol
			}
			continue
		}
		if wrapperOf(f.Symbol) {
			continue
		}
		if c.index < 0 {
			c.frame, c.index, c.origin = f, i, o
			if o == program {
				break
			}
			continue
		}
		if o == program {
			c.program = f
			break
		}
	}
	if c.index >= 0 {
		c.callee = calleeOf(t.Frames[:c.index])
		return c
	}
	for i := range t.Frames {
		f := &t.Frames[i]
		if f.Symbol != "" && !plumbing(f.Image) {
			c.frame, c.index, c.origin = f, i, system
			c.callee = calleeOf(t.Frames[:i])
			break
		}
	}
	return c
}

// wrapperOf names functions of runtimes that call for somebody else.
func wrapperOf(symbol string) bool {
	return strings.HasPrefix(symbol, "__rust_") || strings.HasPrefix(symbol, "core::ops::function::FnOnce") ||
		strings.HasPrefix(symbol, "std::sys::")
}

func plumbing(image string) bool {
	for _, p := range systemPrefixes {
		if strings.HasPrefix(image, p) {
			return true
		}
	}
	return image == "dyld" || image == "???"
}

// calleeOf returns the outermost function among frames that names the call; one that only passes it on, where no other
// does. Frames that mach_msg called do not: they are how a library does it.
func calleeOf(frames []Frame) string {
	last := ""
	for i := len(frames) - 1; i >= 0; i-- {
		s := frames[i].Symbol
		if !wrapper(s) {
			return s
		}
		if last == "" {
			last = s
		}
		if strings.HasPrefix(s, "mach_msg") {
			break
		}
	}
	return last
}

// name returns the function of a frame as a person reads it: C++, Rust and Swift demangled.
func (f *Frame) name() string {
	for _, mark := range []string{"_Z", "__Z", "_R", "$s", "$S", "_$s"} {
		if strings.HasPrefix(f.Symbol, mark) {
			return finding.FunctionName(f.Symbol)
		}
	}
	return f.Symbol // reports leave Mach-O's underscore out: what is there belongs to the name
}
