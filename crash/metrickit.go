package crash

import (
	"strings"

	"portcullis.dev/crash/lenient"
	"portcullis.dev/mach"
)

// metricKit reads a MetricKit payload or one of its crash diagnostics.
//
// Source: Apple's documentation of MXDiagnosticPayload, MXCrashDiagnostic and MXCallStackTree.
func (s *scanner) metricKit(d *document, at int) {
	if len(d.CrashDiagnostics) == 0 {
		s.metricKitCrash(d.DiagnosticMeta, d.CallStacks, at)
		return
	}
	_ = d.CrashDiagnostics.Elements(func(_ int, v lenient.Raw) bool {
		s.metricKitCrash(v.Get("diagnosticMetaData"), v.Get("callStackTree"), s.offsetOf(v))
		return len(s.found) < maxReports
	})
}

func (s *scanner) metricKitCrash(meta, stacks lenient.Raw, at int) {
	var m struct {
		AppVersion    string `json:"appVersion"`
		BuildVersion  string `json:"appBuildVersion"`
		BundleID      string `json:"bundleIdentifier"`
		OSVersion     string `json:"osVersion"`
		DeviceType    string `json:"deviceType"`
		Arch          string `json:"platformArchitecture"`
		PID           int64  `json:"pid"`
		ExceptionType *int64 `json:"exceptionType"`
		ExceptionCode Signed `json:"exceptionCode"`
		Signal        int64  `json:"signal"`
		Reason        string `json:"terminationReason"`
		Region        string `json:"virtualMemoryRegionInfo"`
	}
	r := s.add(&Report{Shape: ShapeMetricKit, Faulting: -1}, at)
	wrong, err := lenient.Decode(meta, &m)
	s.defects(r, meta, at, wrong, err)
	r.BundleID, r.Version, r.Hardware, r.Arch, r.PID = m.BundleID, m.AppVersion, m.DeviceType, archName(m.Arch), m.PID
	r.setOS(m.OSVersion)
	if m.ExceptionType != nil {
		r.Exception.Type = mach.ExceptionType(uint32(*m.ExceptionType)).String()
	}
	if m.Signal == 9 {
		r.Exception.Signal = "SIGKILL"
	}
	if m.ExceptionCode != 0 {
		r.Exception.Codes = []uint64{uint64(m.ExceptionCode)}
	}
	if m.Reason != "" {
		t := textReader{cur: r, seen: map[string]bool{}}
		t.termination(m.Reason)
	}
	r.ThirdParty = Yes // MetricKit delivers reports to the app's own developer
	r.metricKitStacks(stacks)
}

// metricKitStacks reads the call stacks: a tree per thread, each frame with the frames that it called, the innermost
// first.
func (r *Report) metricKitStacks(tree lenient.Raw) {
	stacks := tree.Get("callStacks")
	if stacks.Kind() != '[' {
		return
	}
	_ = stacks.Elements(func(i int, v lenient.Raw) bool {
		t := Thread{Index: i, r: r}
		t.Triggered, _ = v.Get("threadAttributed").Bool()
		roots := v.Get("callStackRootFrames")
		for len(t.Frames) < maxFrames && roots.Kind() == '[' {
			var next lenient.Raw
			_ = roots.Elements(func(_ int, f lenient.Raw) bool {
				var j struct {
					Name   string      `json:"binaryName"`
					UUID   string      `json:"binaryUUID"`
					Addr   Unsigned    `json:"address"`
					Offset Unsigned    `json:"offsetIntoBinaryTextSegment"`
					Sub    lenient.Raw `json:"subFrames"`
				}
				_, _ = lenient.Decode(f, &j)
				t.Frames = append(t.Frames, r.frameIn(j.Name, j.UUID, uint64(j.Addr), uint64(j.Offset)))
				next = j.Sub
				return false
			})
			roots = next
		}
		if t.Triggered && r.Faulting < 0 {
			r.Faulting = i
		}
		r.Threads = append(r.Threads, t)
		return len(r.Threads) < maxThreads
	})
}

// frameIn makes a frame and notes its image.
func (r *Report) frameIn(name, uuid string, addr, offset uint64) Frame {
	name = name[strings.LastIndexByte(name, '/')+1:]
	f := Frame{Image: name, ImageIndex: -1, Address: addr, Offset: offset}
	if r.imageAt == nil {
		r.imageAt = map[string]int{}
		for i := range r.Images {
			r.imageAt[r.Images[i].Name+"\x00"] = i
			r.imageAt[r.Images[i].Name+"\x00"+r.Images[i].UUID] = i
		}
	}
	key := name + "\x00" + uuid
	if i, ok := r.imageAt[key]; ok {
		f.ImageIndex = i
		return f
	}
	if name != "" && len(r.Images) < maxImages {
		f.ImageIndex = len(r.Images)
		r.imageAt[key] = f.ImageIndex
		r.Images = append(r.Images, Image{Name: name, UUID: uuid, Base: addr - offset})
	}
	return f
}
