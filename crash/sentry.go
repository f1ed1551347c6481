package crash

import (
	"strings"

	"portcullis.dev/crash/lenient"
	"portcullis.dev/mach"
)

// sentryFrames is a stack trace of a Sentry event; its frames come outermost first.
type sentryFrames struct {
	Frames []struct {
		Function string      `json:"function"`
		Package  string      `json:"package"`
		Address  lenient.Raw `json:"instruction_addr"`
		Image    lenient.Raw `json:"image_addr"`
		InApp    *bool       `json:"in_app"`
		File     string      `json:"filename"`
		Line     int64       `json:"lineno"`
	} `json:"frames"`
	Registers lenient.Raw `json:"registers"`
}

// sentry reads an event of Sentry, as its API and its envelopes have it.
//
// Source: Sentry's developer documentation, "Event Payloads": exception, mechanism, threads, contexts, debug meta.
func (s *scanner) sentry(d *document, at int) {
	r := s.add(&Report{Shape: ShapeSentry, Faulting: -1}, at)
	r.Incident = d.EventID
	r.sentryContexts(d.Contexts)
	r.sentryImages(d.DebugMeta.Get("images"))
	values := d.Exception.Get("values")
	if d.Exception.Kind() == '[' {
		values = d.Exception
	}
	var thread *int64
	_ = values.Elements(func(_ int, v lenient.Raw) bool {
		var e struct {
			Type      string       `json:"type"`
			Value     string       `json:"value"`
			ThreadID  *int64       `json:"thread_id"`
			Stack     sentryFrames `json:"stacktrace"`
			Mechanism struct {
				Meta struct {
					Mach struct {
						Exception *int64 `json:"exception"`
						Code      Signed `json:"code"`
						Subcode   Signed `json:"subcode"`
						Name      string `json:"name"`
					} `json:"mach_exception"`
					Signal struct {
						Name string `json:"name"`
					} `json:"signal"`
				} `json:"meta"`
			} `json:"mechanism"`
		}
		wrong, _ := lenient.Decode(v, &e)
		s.defects(r, v, s.offsetOf(v), wrong, nil)
		x, m := &r.Exception, e.Mechanism.Meta
		switch {
		case m.Mach.Name != "":
			x.Type = m.Mach.Name
		case m.Mach.Exception != nil:
			x.Type = mach.ExceptionType(uint32(*m.Mach.Exception)).String()
		case strings.HasPrefix(e.Type, "EXC_"):
			x.Type = e.Type
		case x.Type == "":
			x.Type = e.Type
		}
		fill(&x.Signal, m.Signal.Name)
		if m.Mach.Exception != nil || m.Mach.Name != "" {
			x.Codes = []uint64{uint64(m.Mach.Code), uint64(m.Mach.Subcode)}
		}
		if e.Value != "" {
			fill(&x.Message, e.Value)
			x.readMessage(e.Value)
			t := textReader{cur: r, seen: map[string]bool{}}
			if strings.Contains(e.Value, "Namespace GUARD") {
				t.guardProse(e.Value)
			}
		}
		thread = e.ThreadID
		if len(e.Stack.Frames) > 0 {
			r.sentryThread(0, "", true, e.Stack)
			r.Faulting = 0
		}
		return true
	})
	_ = d.Threads.Get("values").Elements(func(i int, v lenient.Raw) bool {
		var t struct {
			ID      int64        `json:"id"`
			Name    string       `json:"name"`
			Crashed bool         `json:"crashed"`
			Stack   sentryFrames `json:"stacktrace"`
		}
		_, _ = lenient.Decode(v, &t)
		crashed := t.Crashed || thread != nil && *thread == t.ID
		if crashed && len(r.Threads) > 0 && r.Threads[0].Triggered && len(t.Stack.Frames) == 0 {
			r.Threads[0].Index, r.Threads[0].Name, r.Faulting = i, t.Name, i
			return true
		}
		if crashed && r.Faulting < 0 {
			r.Faulting = i
		}
		r.sentryThread(i+1, t.Name, crashed, t.Stack)
		return len(r.Threads) < maxThreads
	})
}

func (r *Report) sentryThread(index int, name string, crashed bool, st sentryFrames) {
	t := Thread{Index: index, Name: name, Triggered: crashed, r: r, Registers: map[string]uint64{}}
	for i := len(st.Frames) - 1; i >= 0 && len(t.Frames) < maxFrames; i-- {
		j := &st.Frames[i]
		addr, _ := j.Address.Bits()
		base, _ := j.Image.Bits()
		f := r.frameIn(j.Package, "", addr, 0)
		if base != 0 && addr >= base {
			f.Offset = addr - base
		}
		if f.ImageIndex >= 0 {
			im := &r.Images[f.ImageIndex]
			fill(&im.Path, j.Package)
			if j.InApp != nil && !*j.InApp && im.Source == "" && !strings.HasPrefix(im.Path, "/") {
				im.Source = "S"
			}
		}
		f.Symbol, f.File, f.Line = j.Function, j.File, int(j.Line)
		t.Frames = append(t.Frames, f)
	}
	_ = st.Registers.Members(func(k []byte, v lenient.Raw) bool {
		if n, ok := v.Bits(); ok && len(t.Registers) < 100 {
			t.Registers[string(k)] = n
		}
		return true
	})
	r.Threads = append(r.Threads, t)
}

func (r *Report) sentryContexts(raw lenient.Raw) {
	var c struct {
		OS struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			Build   string `json:"build"`
		} `json:"os"`
		Device struct {
			Model string `json:"model"`
			Arch  string `json:"arch"`
		} `json:"device"`
		App struct {
			Name       string `json:"app_name"`
			Identifier string `json:"app_identifier"`
			Version    string `json:"app_version"`
		} `json:"app"`
	}
	_, _ = lenient.Decode(raw, &c) // contexts are optional
	os := strings.TrimSpace(c.OS.Name + " " + c.OS.Version)
	if c.OS.Build != "" {
		os += " (" + c.OS.Build + ")"
	}
	r.setOS(os)
	r.Hardware, r.Arch = c.Device.Model, archName(c.Device.Arch)
	r.Process, r.BundleID, r.Version = c.App.Name, c.App.Identifier, c.App.Version
}

func (r *Report) sentryImages(raw lenient.Raw) {
	_ = raw.Elements(func(_ int, v lenient.Raw) bool {
		var j struct {
			DebugID string      `json:"debug_id"`
			File    string      `json:"code_file"`
			Base    lenient.Raw `json:"image_addr"`
			Size    int64       `json:"image_size"`
			Arch    string      `json:"arch"`
		}
		_, _ = lenient.Decode(v, &j)
		base, _ := j.Base.Bits()
		r.Images = append(r.Images, Image{Name: j.File[strings.LastIndexByte(j.File, '/')+1:], Path: j.File, UUID: j.DebugID,
			Arch: j.Arch, Base: base, Size: uint64(max(j.Size, 0))})
		return len(r.Images) < maxImages
	})
}
