package crash

import (
	"strings"

	"portcullis.dev/crash/lenient"
	"portcullis.dev/rules"
)

// Shape is the form in which a report was found.
type Shape string

const (
	ShapeIPS         Shape = "ips"          // .ips: header and JSON body, or the body alone
	ShapeText        Shape = "text"         // translated text of macOS or iOS, old or new
	ShapeTextAndIPS  Shape = "text and ips" // both, of one incident
	ShapeLog         Shape = "log"          // kernel lines of the unified log
	ShapeDebugger    Shape = "lldb"         // a stop reason of LLDB
	ShapeMinidump    Shape = "minidump"     // what Crashpad and Breakpad print: the exception's type alone
	ShapeMetricKit   Shape = "metrickit"    // MXCrashDiagnostic
	ShapeSentry      Shape = "sentry"       // an event of Sentry
	ShapePLCrash     Shape = "plcrash"      // text of PLCrashReporter
	ShapeDescription Shape = "description"  // single lines out of a report, retyped or quoted
)

// Report is one crash report, or as much of one as the text gave. What is not known is empty: "", nil, a negative
// thread number, the zero [rules.OS].
type Report struct {
	Shape  Shape
	Offset int64 // of its first byte in the input
	Line   int   // of its first line in the input, from 1

	Incident   string // Apple's incident identifier
	Process    string
	PID        int64
	Path       string
	BundleID   string
	Version    string // of the program
	OS         rules.OS
	OSText     string // as written: "macOS 14.4 (23E214)"
	Hardware   string
	Arch       string // arm64, x86_64, or as written
	BugType    string // "309": crash, "308": simulated
	Captured   string // date and time
	SliceUUID  string
	RouteGuard bool // the header says that this is a Mach-port guard (sroute_id 12)

	Exception   Exception
	Termination Termination
	Threads     []Thread
	Faulting    int // index of the faulting thread, -1 where unknown
	Images      []Image
	Notes       []string // what the report itself says was odd about it

	SIP         string // "enabled", "disabled"
	Translated  Tristate
	Simulated   Tristate // the report is of a simulated crash: the process was not killed
	FirstParty  Tristate
	ThirdParty  Tristate
	DevMode     Tristate
	HaveCSFlags bool
	CSFlags     int64
	TeamID      string
	Level       *rules.Level // the process ran at, where the report tells: those of portcullis run do
	ExtMods     *IPSExtMods
	Repeats     int      // kernel log: how many lines say the same
	Targets     []uint32 // kernel log: the first distinct targets

	own      *IPSOwn  // a Linux process; nil in reports of Apple's systems
	proseOS  rules.OS // that the words around it speak of
	partial  bool     // lines without process or threads
	unread   []defect
	imageRaw []lenient.Raw
	symbols  *Symbols
	imageAt  map[string]int // by name and UUID, for forms without a list of images
}

// defect is a part of a report that could not be read.
type defect struct {
	offset int64
	reason string
}

// Tristate is a statement that a report makes, denies, or does not speak of.
type Tristate int8

const (
	Unsaid Tristate = 0
	Yes    Tristate = 1
	No     Tristate = -1
)

func tristate(b bool) Tristate {
	if b {
		return Yes
	}
	return No
}

// Exception is what the report says of the Mach exception.
type Exception struct {
	Type       string // "EXC_GUARD"
	Signal     string // "SIGKILL"
	Subtype    string // "GUARD_TYPE_MACH_PORT"
	Message    string // "INVALID_NAME on mach port 9987 (guarded with 0x0000000000000000)"
	Violations []string
	Codes      []uint64 // as printed; not the guard code from macOS 12 on
	Port       *uint64  // or file descriptor, or namespace: the target
	Payload    *uint64  // guardId, reason, offset …
}

// Termination is why the process was ended.
type Termination struct {
	Namespace string // "GUARD"
	Code      uint64
	HaveCode  bool
	Indicator string
	Reasons   []string
	By        string // terminating process
}

// Thread is one thread of a report.
type Thread struct {
	Index     int
	Name      string
	Queue     string
	Triggered bool
	Frames    []Frame
	Registers map[string]uint64

	raw lenient.Raw // JSON of the thread, until it is asked for
	r   *Report
}

// Frame is one frame of a backtrace.
type Frame struct {
	Image      string // name; "???" where the address lies in no image
	ImageIndex int    // in Report.Images, -1 where unknown
	Address    uint64 // 0 where unknown
	Offset     uint64 // from the start of the image
	Symbol     string // demangled where possible; empty where unknown
	SymbolAt   int64  // offset inside the symbol
	File       string
	Line       int
	Inline     bool
}

// Image is one loaded image.
type Image struct {
	Name, Path, UUID, Arch string
	BundleID, Version      string
	Source                 string // "P", "S", "A" or empty
	Base, Size             uint64
}

// thread returns the thread with an index of the report, read if it was not yet; nil where there is none.
func (r *Report) thread(index int) *Thread {
	for i := range r.Threads {
		if t := &r.Threads[i]; t.Index == index {
			t.load()
			return t
		}
	}
	return nil
}

// FaultingThread returns the thread that faulted, nil where the report does not have it.
func (r *Report) FaultingThread() *Thread {
	if r.Faulting >= 0 {
		return r.thread(r.Faulting)
	}
	return nil
}

// load reads a thread that is still JSON.
func (t *Thread) load() {
	if t.raw == nil {
		return
	}
	raw := t.raw
	t.raw = nil
	t.r.readThread(raw, t)
}

// image returns the image a frame lies in, nil where it is unknown.
func (r *Report) image(f *Frame) *Image {
	if f.ImageIndex >= 0 && f.ImageIndex < len(r.Images) {
		im := &r.Images[f.ImageIndex]
		r.loadImage(f.ImageIndex)
		return im
	}
	for i := range r.Images {
		r.loadImage(i)
		im := &r.Images[i]
		if f.Image != "" && f.Image != "???" && (im.Name == f.Image || strings.HasSuffix(im.Path, "/"+f.Image)) {
			f.ImageIndex = i
			return im
		}
	}
	return nil
}

// guardType returns the guard type that the report names in words.
func (e *Exception) guardType() rules.GuardType {
	if !strings.HasPrefix(e.Subtype, "GUARD_TYPE_") {
		return rules.GuardNone
	}
	t, err := rules.ParseGuardType(e.Subtype)
	if err != nil {
		return rules.GuardNone
	}
	return t
}

// isGuard reports whether the report is about a guard.
func (r *Report) isGuard() bool {
	switch {
	case r.Exception.Type == "EXC_GUARD", r.Termination.Namespace == "GUARD", r.RouteGuard && r.Exception.Type == "":
		return true
	case r.Exception.Type != "" && r.Exception.Type != "EXC_CRASH":
		return false
	}
	return r.Exception.guardType() != rules.GuardNone || len(r.Exception.Violations) > 0
}
