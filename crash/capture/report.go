package capture

import (
	"crypto/rand"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"portcullis.dev/crash"
	"portcullis.dev/crash/image"
	"portcullis.dev/crash/lenient"
	"portcullis.dev/crash/unwind"
	"portcullis.dev/finding"
)

// Crash is why and when a process was ended.
type Crash struct {
	Time        time.Time
	Incident    string // identifier of the report; empty: a new one
	Exception   *crash.IPSException
	Termination *crash.IPSReason
	Own         crash.IPSOwn // what Apple's reports have no place for
}

const routeMachPortGuard = 12 // sroute_id of a Mach-port guard

// Report makes the crash report. The snapshot should not be closed yet, so that symbols can be read.
func (s *Snapshot) Report(c Crash) *crash.IPS {
	w := writer{s: s, crash: c, out: &crash.IPS{}}
	if w.crash.Incident == "" {
		w.crash.Incident = incident()
	}
	if w.crash.Time.IsZero() {
		w.crash.Time = time.Now()
	}
	w.images()
	w.threads()
	w.body()
	w.header()
	return w.out
}

// incident makes a random identifier.
func incident() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return strings.ToUpper(image.UUID(b).String())
}

type writer struct {
	s       *Snapshot
	crash   Crash
	out     *crash.IPS
	nowhere int // index of the image that stands for code of no image; -1: not needed so far
}

// images lists what was loaded.
func (w *writer) images() {
	w.nowhere = -1
	if w.s.Images == nil {
		return
	}
	for _, im := range w.s.Images.Images {
		w.out.Body.UsedImages = append(w.out.Body.UsedImages, crash.IPSImage{Source: "P", Arch: w.arch(im.Arch),
			Base: crash.Unsigned(im.Base), Size: crash.Unsigned(im.Size), UUID: im.UUID.String(), Path: clean(im.Path),
			Name: clean(im.Name)})
		if im.Problem != nil {
			w.s.problem(fmt.Sprintf("%s: %v", clean(im.Path), im.Problem))
		}
	}
}

func (w *writer) arch(a unwind.Arch) string {
	if a == 0 {
		a = w.s.Arch
	}
	if a == 0 {
		return ""
	}
	return a.String()
}

// clean makes a name of the process's choice fit for a report.
func clean(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// threads writes the threads with their frames.
func (w *writer) threads() {
	b := &w.out.Body
	for i := range w.s.Threads {
		t := &w.s.Threads[i]
		out := crash.IPSThread{ID: int64(t.TID), Triggered: t.Triggered, Name: clean(t.Name), Frames: w.frames(t)}
		if out.Frames == nil {
			out.Keys = lenient.Keys{"frames"} // a reader may count on it
		}
		if t.Triggered {
			n := int64(i)
			b.Faulting = &n
			b.LegacyInfo = &crash.IPSLegacy{Triggered: &crash.IPSTriggered{Index: &n, Name: clean(t.Name)}}
		}
		if t.Registers.Arch != 0 {
			out.State = threadState(&t.Registers)
		}
		b.Threads = append(b.Threads, out)
		if t.End != nil && t.End != unwind.ErrEnd && (t.Triggered || len(t.Frames) < 2) {
			w.s.problem(fmt.Sprintf("the backtrace of thread %d ends early: %v", i, t.End))
		}
	}
}

// frames names the frames of a thread, functions that were inlined included.
func (w *writer) frames(t *Thread) []crash.IPSFrame {
	var out []crash.IPSFrame
	for i := range t.Frames {
		f := &t.Frames[i]
		im, index := (*image.Image)(nil), -1
		if w.s.Images != nil {
			im, index = w.s.Images.Image(f.Lookup())
		}
		if im == nil {
			out = append(out, w.stray(f.PC))
			continue
		}
		frame := crash.IPSFrame{ImageIndex: int64(index), ImageOffset: crash.Unsigned(f.PC - im.Base)}
		if im.File == nil {
			out = append(out, keyed(frame))
			continue
		}
		im.AddDebug()
		addr := f.Lookup() - im.Bias
		symbol, start, ok := im.File.Symbol(addr)
		if ok {
			frame.Symbol, frame.SymbolLocation = w.function(symbol), int64(f.PC-im.Bias-start)
		}
		if f.Signal && (!ok || frame.Symbol == "") {
			frame.Symbol = "__restore_rt" // as glibc calls it
		}
		lines := im.File.Lines(addr)
		for n, l := range lines {
			one := frame
			one.SourceFile, one.SourceLine, one.Inline = clean(l.File), int64(l.Line), l.Inline
			if l.Inline || one.Symbol == "" {
				if name := w.function(l.Function); name != "" {
					one.Symbol = name
				}
			}
			if l.Inline {
				one.SymbolLocation = 0
			}
			if n < len(lines)-1 != l.Inline {
				one.Inline = n < len(lines)-1
			}
			out = append(out, keyed(one))
		}
		if len(lines) == 0 {
			out = append(out, keyed(frame))
		}
	}
	return out
}

// function returns a name as its author wrote it.
func (w *writer) function(name string) string {
	if name == "" {
		return ""
	}
	name, _, _ = strings.Cut(name, "@") // the version of a dynamic symbol
	if strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "_R") {
		return clean(finding.FunctionName(name))
	}
	return clean(name)
}

// stray is a frame of code that lies in no image.
func (w *writer) stray(pc uint64) crash.IPSFrame {
	b := &w.out.Body
	if w.nowhere < 0 {
		w.nowhere = len(b.UsedImages)
		im := crash.IPSImage{Source: "A", UUID: image.UUID{}.String()}
		im.Keys = lenient.Keys{"size", "source", "base", "uuid"}
		b.UsedImages = append(b.UsedImages, im)
	}
	return keyed(crash.IPSFrame{ImageIndex: int64(w.nowhere), ImageOffset: crash.Unsigned(pc)})
}

// keyed makes sure that the members that every frame has are written, also where they are 0.
func keyed(f crash.IPSFrame) crash.IPSFrame {
	f.Keys = lenient.Keys{"imageOffset"}
	if f.SourceLine != 0 {
		f.Keys = append(f.Keys, "sourceLine", "sourceFile")
	}
	if f.Symbol != "" {
		f.Keys = append(f.Keys, "symbol", "imageIndex", "symbolLocation")
	} else {
		f.Keys = append(f.Keys, "imageIndex")
	}
	return f
}

// threadState writes registers as reports of Apple's have them.
func threadState(r *unwind.Registers) lenient.Raw {
	var b strings.Builder
	value := func(name string, v uint64) { fmt.Fprintf(&b, `,"%s":{"value":%d}`, name, v) }
	names := r.Arch.Names()
	if r.Arch == unwind.ARM64 {
		b.WriteString(`{"flavor":"ARM_THREAD_STATE64","x":[`)
		for i := range unwind.X29 {
			if i > 0 {
				b.WriteByte(',')
			}
			v, _ := r.Get(i)
			fmt.Fprintf(&b, `{"value":%d}`, v)
		}
		b.WriteByte(']')
		for i := unwind.X29; i < len(names); i++ {
			if v, ok := r.Get(i); ok {
				value(names[i], v)
			}
		}
		value("cpsr", r.Flags)
	} else {
		b.WriteString(`{"flavor":"x86_THREAD_STATE"`)
		for i, name := range names {
			if v, ok := r.Get(i); ok {
				value(name, v)
			}
		}
		value("rflags", r.Flags)
	}
	b.WriteByte('}')
	return lenient.Raw(b.String())
}

func (w *writer) body() {
	s, c, b := w.s, &w.crash, &w.out.Body
	b.Uptime, b.ProcRole, b.Version, b.UserID = int64(s.Uptime/time.Second), "Unspecified", 2, int64(s.UID)
	b.ModelCode = clean(s.Hardware)
	train, build := s.OS, s.Kernel
	b.OSVersion = &crash.IPSOSVersion{Train: train, Build: build, ReleaseType: "User"}
	b.CaptureTime = stamp(c.Time, "0000")
	if !s.Launched.IsZero() {
		b.ProcLaunch = stamp(s.Launched, "0000")
	}
	b.Incident, b.PID, b.BugType = c.Incident, int64(s.PID), bugTypeCrash
	switch s.Arch {
	case unwind.AMD64:
		b.CPUType = "X86-64"
	case unwind.ARM64:
		b.CPUType = "ARM-64"
	}
	b.ProcName, b.ProcPath = w.name(), clean(s.Path)
	b.ParentProc, b.ParentPID = clean(s.Parent), int64(s.PPID)
	b.Exception, b.Termination = c.Exception, c.Termination
	if w.machPort() {
		b.SRoute = routeMachPortGuard
	}
	if s.Images != nil {
		b.VMSummary = s.Images.MapSummary()
	}
	b.ReportNotes = s.Problems
	own := c.Own
	own.Keys = slices.Clone(own.Keys)
	b.Own = &own
	if s.BootID != "" {
		b.Extra = lenient.Extra{"bootSessionUUID": lenient.Raw(fmt.Sprintf("%q", strings.ToUpper(s.BootID)))}
	}
	b.Keys = lenient.Keys{"uptime", "procRole", "version", "userID", "osVersion", "captureTime", "incident", "pid",
		"bug_type", "cpuType", "procName", "procPath", "parentProc", "parentPid", "exception", "termination"}
	b.Keys = append(b.Keys, slices.Sorted(maps.Keys(b.Extra))...)
	b.Keys = append(b.Keys, "threads", "usedImages")
}

const bugTypeCrash = "309"

func (w *writer) machPort() bool {
	x := w.crash.Exception
	return x != nil && x.Subtype == "GUARD_TYPE_MACH_PORT"
}

// name returns the program's name. The kernel cuts its own copy, so the path has it where both agree.
func (w *writer) name() string {
	base := filepath.Base(w.s.Path)
	if w.s.Name == "" || w.s.Path != "" && strings.HasPrefix(base, w.s.Name) {
		if w.s.Path == "" {
			return "unknown"
		}
		return clean(base)
	}
	return clean(w.s.Name)
}

// stamp writes a time as reports do.
func stamp(t time.Time, fraction string) string {
	return t.Format("2006-01-02 15:04:05." + fraction + " -0700")
}

func (w *writer) header() {
	s, c, h := w.s, &w.crash, &w.out.Header
	h.AppName, h.Name = w.name(), w.name()
	h.Timestamp = stamp(c.Time, "00")
	if s.Images != nil && len(s.Images.Images) > 0 && s.Images.Images[0].Main {
		h.SliceUUID = s.Images.Images[0].UUID.String()
	}
	if w.machPort() {
		h.SRoute = routeMachPortGuard
	}
	h.BugType, h.IncidentID = bugTypeCrash, c.Incident
	h.OSVersion = s.OS
	if s.Kernel != "" {
		h.OSVersion += " (" + s.Kernel + ")"
	}
	h.Keys = lenient.Keys{"app_name", "timestamp", "app_version"}
	if h.SRoute != 0 {
		h.Keys = append(h.Keys, "sroute_id")
	}
	h.Keys = append(h.Keys, "slice_uuid", "build_version", "share_with_app_devs", "is_first_party", "bug_type",
		"os_version", "roots_installed", "incident_id", "name")
}
