package crash

import (
	"strconv"
	"strings"

	"portcullis.dev/crash/lenient"
)

// readThread reads one element of "threads".
func (r *Report) readThread(raw lenient.Raw, t *Thread) {
	var j struct {
		Name        string      `json:"name"`
		Queue       string      `json:"queue"`
		ThreadState lenient.Raw `json:"threadState"`
		Frames      lenient.Raw `json:"frames"`
	}
	_, _ = lenient.Decode(raw, &j) // a cut end is told by the body's reader; what stands before it is used
	fill(&t.Name, j.Name)
	fill(&t.Queue, j.Queue)
	t.Frames = r.readFrames(j.Frames)
	if t.Registers == nil {
		t.Registers = readRegisters(j.ThreadState)
	}
}

func (r *Report) readFrames(raw lenient.Raw) []Frame {
	if raw.Kind() != '[' {
		return nil
	}
	var frames []Frame
	_ = raw.Elements(func(_ int, e lenient.Raw) bool {
		var j IPSFrame
		if e.Kind() == '[' { // schema 1: [imageIndex, imageOffset, {more}]
			_ = e.Elements(func(i int, v lenient.Raw) bool {
				n, _ := v.Bits()
				switch i {
				case 0:
					j.ImageIndex = int64(n)
				case 1:
					j.ImageOffset = Unsigned(n)
				case 2:
					_, _ = lenient.Decode(v, &j) // symbols are optional
				}
				return i < 2
			})
		} else {
			var s struct {
				ImageOffset    Unsigned `json:"imageOffset"`
				ImageIndex     int64    `json:"imageIndex"`
				Symbol         string   `json:"symbol"`
				SymbolLocation int64    `json:"symbolLocation"`
				SourceFile     string   `json:"sourceFile"`
				SourceLine     int64    `json:"sourceLine"`
				Inline         bool     `json:"inline"`
			}
			s.ImageIndex = -1
			_, _ = lenient.Decode(e, &s)
			j.ImageOffset, j.ImageIndex, j.Symbol, j.SymbolLocation = s.ImageOffset, s.ImageIndex, s.Symbol, s.SymbolLocation
			j.SourceFile, j.SourceLine, j.Inline = s.SourceFile, s.SourceLine, s.Inline
		}
		f := Frame{ImageIndex: -1, Offset: uint64(j.ImageOffset), Symbol: j.Symbol, SymbolAt: j.SymbolLocation,
			File: j.SourceFile, Line: int(j.SourceLine), Inline: j.Inline}
		if j.ImageIndex >= 0 && j.ImageIndex < int64(len(r.Images)) {
			f.ImageIndex = int(j.ImageIndex)
			r.loadImage(f.ImageIndex)
			im := &r.Images[f.ImageIndex]
			f.Image, f.Address = im.Name, im.Base+f.Offset
		}
		if f.Image == "" {
			f.Image = "???"
		}
		frames = append(frames, f)
		return len(frames) < maxFrames
	})
	return frames
}

// loadImage reads one element of "usedImages".
func (r *Report) loadImage(i int) {
	if i >= len(r.imageRaw) || r.imageRaw[i] == nil {
		return
	}
	raw := r.imageRaw[i]
	r.imageRaw[i] = nil
	im := &r.Images[i]
	if raw.Kind() == '[' { // schema 1: [uuid, base, source]
		_ = raw.Elements(func(i int, v lenient.Raw) bool {
			switch i {
			case 0:
				im.UUID, _ = v.String()
			case 1:
				im.Base, _ = v.Bits()
			case 2:
				im.Source, _ = v.String()
			}
			return i < 2
		})
		return
	}
	var j struct {
		Source   string   `json:"source"`
		Arch     string   `json:"arch"`
		Base     Unsigned `json:"base"`
		Size     Unsigned `json:"size"`
		UUID     string   `json:"uuid"`
		Path     string   `json:"path"`
		Name     string   `json:"name"`
		BundleID string   `json:"CFBundleIdentifier"`
		Version  string   `json:"CFBundleShortVersionString"`
	}
	_, _ = lenient.Decode(raw, &j)
	*im = Image{Name: j.Name, Path: j.Path, UUID: j.UUID, Arch: j.Arch, BundleID: j.BundleID, Version: j.Version,
		Source: j.Source, Base: uint64(j.Base), Size: uint64(j.Size)}
	if im.Name == "" {
		im.Name = im.Path[strings.LastIndexByte(im.Path, '/')+1:]
	}
}

// readRegisters reads a thread state into names as debuggers print them: x0 to x28, fp, lr, sp, pc; rax to r15.
// A register is {"value": n}, or a plain number in schema 1.
func readRegisters(raw lenient.Raw) map[string]uint64 {
	if raw.Kind() != '{' {
		return nil
	}
	regs := map[string]uint64{}
	value := func(v lenient.Raw) (uint64, bool) {
		if v.Kind() == '{' {
			v = v.Get("value")
		}
		return v.Bits()
	}
	_ = raw.Members(func(key []byte, v lenient.Raw) bool {
		if v.Kind() == '[' {
			if len(key) != 1 {
				return true
			}
			_ = v.Elements(func(i int, e lenient.Raw) bool {
				if n, ok := value(e); ok {
					regs[string(key)+strconv.Itoa(i)] = n
				}
				return i < 31
			})
			return true
		}
		if v.Kind() == '{' || v.Kind() >= '0' && v.Kind() <= '9' {
			if n, ok := value(v); ok && len(regs) < 100 {
				regs[strings.TrimSpace(string(key))] = n
			}
		}
		return true
	})
	return regs
}

// old reports whether a body has schema 1. Apple's own reader brings such bodies forward.
func old(d *document) bool {
	n, ok := d.Version.Bits()
	return d.Variant <= 1 && (ok && n < 2 || !ok && d.ThreadState.Kind() == '{')
}

// rollForward adds what schema 1 keeps elsewhere: the registers of the faulting thread beside the threads, and the
// names of images in legacyInfo.imageExtraInfo.
func (r *Report) rollForward(d *document, extra lenient.Raw) {
	if d.ThreadState.Kind() == '{' && r.Faulting >= 0 {
		for i := range r.Threads {
			if t := &r.Threads[i]; t.Index == r.Faulting && t.Registers == nil {
				t.Registers = readRegisters(d.ThreadState)
			}
		}
	}
	if extra.Kind() != '[' {
		return
	}
	_ = extra.Elements(func(i int, v lenient.Raw) bool {
		if i >= len(r.Images) {
			return false
		}
		var j struct {
			Size     Unsigned `json:"size"`
			Arch     string   `json:"arch"`
			Path     string   `json:"path"`
			Name     string   `json:"name"`
			BundleID string   `json:"CFBundleIdentifier"`
			Version  string   `json:"CFBundleShortVersionString"`
		}
		_, _ = lenient.Decode(v, &j)
		r.loadImage(i)
		im := &r.Images[i]
		im.Size = max(im.Size, uint64(j.Size))
		fill(&im.Arch, j.Arch)
		fill(&im.Path, j.Path)
		fill(&im.Name, j.Name)
		fill(&im.BundleID, j.BundleID)
		fill(&im.Version, j.Version)
		return true
	})
}
