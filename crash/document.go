package crash

import (
	"bytes"
	"strings"

	"portcullis.dev/crash/lenient"
	"portcullis.dev/rules"
)

// document is a JSON object that may be a report or a part of one: the keys of all forms side by side, since pieces
// come without saying what they are. What only some reports are asked for stays raw.
type document struct {
	AppName    string      `json:"app_name"` // header of an .ips file
	AppVersion string      `json:"app_version"`
	Timestamp  string      `json:"timestamp"`
	SRoute     int64       `json:"sroute_id"`
	SliceUUID  string      `json:"slice_uuid"`
	BundleID   string      `json:"bundleID"`
	FirstParty lenient.Raw `json:"is_first_party"`
	BugType    string      `json:"bug_type"`
	OSText     string      `json:"os_version"`
	IncidentID string      `json:"incident_id"`
	Platform   lenient.Raw `json:"platform"`

	ProcName    string      `json:"procName"` // body
	ProcPath    string      `json:"procPath"`
	PID         int64       `json:"pid"`
	Incident    string      `json:"incident"`
	Captured    string      `json:"captureTime"`
	ModelCode   string      `json:"modelCode"`
	CPUType     string      `json:"cpuType"`
	Translated  *bool       `json:"translated"`
	Version     lenient.Raw `json:"version"`
	Variant     int64       `json:"variantVersion"`
	OSVersion   lenient.Raw `json:"osVersion"`
	BundleInfo  *IPSBundle  `json:"bundleInfo"`
	StoreInfo   *IPSStore   `json:"storeInfo"`
	IsSimulated *bool       `json:"isSimulated"`
	IsNonFatal  *bool       `json:"isNonFatal"`
	DevMode     *bool       `json:"developerMode"`
	CSFlags     *int64      `json:"codeSigningFlags"`
	CSTeam      string      `json:"codeSigningTeamID"`
	SIP         string      `json:"sip"`
	Exception   lenient.Raw `json:"exception"`
	Termination lenient.Raw `json:"termination"`
	ExtMods     *IPSExtMods `json:"extMods"`
	Faulting    *int64      `json:"faultingThread"`
	Threads     lenient.Raw `json:"threads"`
	ThreadState lenient.Raw `json:"threadState"`
	UsedImages  lenient.Raw `json:"usedImages"`
	LegacyInfo  lenient.Raw `json:"legacyInfo"`
	ParsedData  lenient.Raw `json:"parsedData"`
	ReportNotes lenient.Raw `json:"reportNotes"`
	Own         *IPSOwn     `json:"portcullis"`

	Type       string    `json:"type"` // an exception object by itself
	Subtype    string    `json:"subtype"`
	Violations []string  `json:"violations"`
	Namespace  string    `json:"namespace"` // a termination object by itself
	Code       *Unsigned `json:"code"`

	CrashDiagnostics lenient.Raw `json:"crashDiagnostics"` // MetricKit
	DiagnosticMeta   lenient.Raw `json:"diagnosticMetaData"`
	CallStacks       lenient.Raw `json:"callStackTree"`

	Contexts  lenient.Raw `json:"contexts"` // Sentry
	EventID   string      `json:"event_id"`
	DebugMeta lenient.Raw `json:"debug_meta"`
}

func (d *document) isHeader() bool {
	return d.AppName != "" || d.BugType != "" && d.ProcName == "" && d.OSText != ""
}

func (d *document) isBody() bool {
	return d.ProcName != "" || d.Exception.Kind() == '{' || d.Termination.Kind() == '{' || len(d.UsedImages) > 0
}

func (d *document) isMetricKit() bool {
	return len(d.CrashDiagnostics) > 0 || len(d.DiagnosticMeta) > 0
}

func (d *document) isSentry() bool {
	return len(d.Exception.Get("values")) > 0 || d.Exception.Kind() == '[' && (d.EventID != "" || len(d.Contexts) > 0)
}

// isPart reports an exception or termination object that stands alone.
func (d *document) isPart() bool {
	return strings.HasPrefix(d.Subtype, "GUARD_TYPE_") || d.Type == "EXC_GUARD" ||
		len(d.Violations) > 0 && d.Subtype != "" || d.Namespace == "GUARD" && d.Code != nil
}

// header makes the report that a header line alone gives.
func (d *document) header() *Report {
	r := &Report{Shape: ShapeIPS, Faulting: -1}
	r.addHeader(d)
	return r
}

func (r *Report) addHeader(d *document) {
	fill(&r.Process, d.AppName)
	fill(&r.Version, d.AppVersion)
	fill(&r.Captured, d.Timestamp)
	fill(&r.SliceUUID, d.SliceUUID)
	fill(&r.BundleID, d.BundleID)
	fill(&r.BugType, d.BugType)
	fill(&r.Incident, d.IncidentID)
	r.setOS(d.OSText)
	if yes, ok := d.FirstParty.Bool(); ok { // a number, or true in older reports
		r.FirstParty = tristate(yes)
	}
	r.RouteGuard = r.RouteGuard || d.SRoute == routeMachPortGuard
}

// routeMachPortGuard is the sroute_id of reports of a Mach-port guard, as seen in asmvik/yabai#2155 and
// frida/frida#2722.
const routeMachPortGuard = 12

// fill sets a field that is empty.
func fill(field *string, v string) {
	if *field == "" {
		*field = v
	}
}

func (r *Report) setOS(s string) {
	if r.OSText != "" || s == "" {
		return
	}
	r.OSText = s
	if o, ok := rules.ParseOS(s); ok {
		r.OS = o
	}
}

// body adds a JSON body to a report.
func (r *Report) addBody(d *document) {
	r.addHeader(d)
	fill(&r.Process, d.ProcName)
	fill(&r.Path, d.ProcPath)
	fill(&r.Incident, d.Incident)
	fill(&r.Captured, d.Captured)
	fill(&r.Hardware, d.ModelCode)
	fill(&r.Arch, archName(d.CPUType))
	fill(&r.SIP, d.SIP)
	fill(&r.TeamID, d.CSTeam)
	if r.PID == 0 {
		r.PID = d.PID
	}
	if b := d.BundleInfo; b != nil {
		fill(&r.BundleID, b.Identifier)
		fill(&r.Version, b.ShortVersion)
		fill(&r.Version, b.Version)
	}
	var v IPSOSVersion
	if s, ok := d.OSVersion.String(); ok {
		r.setOS(s)
	} else if d.OSVersion.Kind() == '{' {
		_, _ = lenient.Decode(d.OSVersion, &v) // what is cut here is cut in the body, which is told
		if v.Train != "" && v.Build != "" {
			v.Train += " (" + v.Build + ")"
		}
		r.setOS(v.Train)
	}
	r.addOwn(d.Own)
	setTristate(&r.Translated, d.Translated)
	setTristate(&r.Simulated, d.IsSimulated)
	if d.IsNonFatal != nil && *d.IsNonFatal {
		r.Simulated = Yes
	}
	setTristate(&r.DevMode, d.DevMode)
	if d.StoreInfo != nil && d.StoreInfo.ThirdParty {
		r.ThirdParty = Yes
	}
	if d.CSFlags != nil && !r.HaveCSFlags {
		r.CSFlags, r.HaveCSFlags = *d.CSFlags, true
	}
	if r.ExtMods == nil {
		r.ExtMods = d.ExtMods
	}
	if len(r.Notes) == 0 && d.ReportNotes.Kind() == '[' {
		_ = d.ReportNotes.Elements(func(_ int, v lenient.Raw) bool { // a cut end is told by the body's reader
			if s, ok := v.String(); ok {
				r.Notes = append(r.Notes, s)
			}
			return len(r.Notes) < maxNotes
		})
	}
	r.addException(d)
	r.addTermination(d.Termination)
	r.addThreads(d)
}

// addOwn adds what a report of portcullis run knows better than Apple's.
func (r *Report) addOwn(o *IPSOwn) {
	if o == nil || r.own != nil {
		return
	}
	r.own = o
	if v, ok := rules.ParseOS(o.Emulates); ok && !r.OS.Known() {
		r.OS = v
	}
	if l, err := rules.ParseLevel(o.Level); err == nil {
		r.Level = &l
	}
}

func setTristate(t *Tristate, b *bool) {
	if *t == Unsaid && b != nil {
		*t = tristate(*b)
	}
}

func (r *Report) addException(d *document) {
	raw := d.Exception
	if raw.Kind() != '{' {
		return
	}
	var e IPSException
	wrong, _ := lenient.Decode(raw, &e)
	for _, w := range wrong {
		r.unread = append(r.unread, defect{-1, "exception." + w.Path + " has the wrong type: " + clip(string(w.Value), 40)})
	}
	x := &r.Exception
	fill(&x.Type, e.Type)
	fill(&x.Signal, e.Signal)
	fill(&x.Subtype, e.Subtype)
	fill(&x.Message, strings.TrimSpace(e.Message))
	if len(x.Violations) == 0 {
		x.Violations = append(e.Violations, e.Flavors...)
	}
	if len(x.Codes) == 0 {
		for _, c := range e.RawCodes {
			x.Codes = append(x.Codes, uint64(c))
		}
		if len(x.Codes) == 0 {
			x.Codes = parseCodes(e.Codes)
		}
	}
	for _, p := range []*Unsigned{e.Port, e.FD, e.Namespace, e.OwnerPID, e.MachTrap} {
		if p != nil && x.Port == nil {
			x.Port = (*uint64)(p)
		}
	}
	if x.guardType() == rules.GuardRejectedSC && x.Port == nil && e.Syscall != nil {
		x.Port = new(uint64) // 0: no Mach trap
	}
	for _, p := range []*Signed{e.GuardID, e.Reason, e.Offset, e.Number, e.Syscall} {
		if p != nil && x.Payload == nil {
			x.Payload = (*uint64)(p)
		}
	}
	x.readMessage(x.Message) // pasted pieces leave the numbers out
}

// parseCodes reads "0x0000000009c27b83, 0x0000000000000000".
func parseCodes(s string) []uint64 {
	var out []uint64
	for part := range strings.SplitSeq(s, ",") {
		v, ok := lenient.ParseBits(part)
		if !ok {
			return nil
		}
		out = append(out, v)
	}
	return out
}

func (r *Report) addTermination(raw lenient.Raw) {
	if raw.Kind() != '{' || r.Termination.Namespace != "" {
		return
	}
	var t IPSReason
	wrong, _ := lenient.Decode(raw, &t)
	for _, w := range wrong {
		r.unread = append(r.unread, defect{-1, "termination." + w.Path + " has the wrong type: " + clip(string(w.Value), 40)})
	}
	code := raw.Get("code")
	_, have := code.Bits()
	r.Termination = Termination{Namespace: t.Namespace, Code: uint64(t.Code), HaveCode: have, Indicator: t.Indicator,
		Reasons: t.Reasons, By: t.ByProc}
}

func archName(s string) string {
	switch s {
	case "ARM-64", "arm64", "ARM64":
		return "arm64"
	case "X86-64", "x86-64", "x86_64":
		return "x86_64"
	}
	return s
}

// addThreads keeps threads and images as JSON; they are read when they are asked for.
func (r *Report) addThreads(d *document) {
	if len(r.Threads) == 0 && d.Threads.Kind() == '[' {
		_ = d.Threads.Elements(func(i int, raw lenient.Raw) bool { // a cut end is told by the body's reader
			t := Thread{Index: i, raw: raw, r: r}
			if bytes.Contains(raw, []byte(`"triggered"`)) {
				yes, _ := raw.Get("triggered").Bool()
				t.Triggered = yes
				if yes && r.Faulting < 0 {
					r.Faulting = i
				}
			}
			r.Threads = append(r.Threads, t)
			return len(r.Threads) < maxThreads
		})
	}
	if d.Faulting != nil && *d.Faulting >= 0 && *d.Faulting < maxThreads {
		r.Faulting = int(*d.Faulting)
	}
	var legacy struct {
		Triggered  *IPSTriggered `json:"threadTriggered"`
		ImageExtra lenient.Raw   `json:"imageExtraInfo"`
	}
	if d.LegacyInfo.Kind() == '{' {
		_, _ = lenient.Decode(d.LegacyInfo, &legacy) // optional, and old
		if t := legacy.Triggered; t != nil && t.Index != nil && r.Faulting < 0 && *t.Index >= 0 && *t.Index < maxThreads {
			r.Faulting = int(*t.Index)
		}
	}
	if len(r.Images) == 0 && d.UsedImages.Kind() == '[' {
		_ = d.UsedImages.Elements(func(_ int, raw lenient.Raw) bool {
			r.imageRaw = append(r.imageRaw, raw)
			return len(r.imageRaw) < maxImages
		})
		r.Images = make([]Image, len(r.imageRaw))
	}
	if old(d) {
		r.rollForward(d, legacy.ImageExtra)
	}
}

const (
	maxThreads = 20_000
	maxImages  = 100_000
	maxNotes   = 1_000
	maxFrames  = 2_000 // of one thread; deep recursion is cut by ReportCrash at about 500
)

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
