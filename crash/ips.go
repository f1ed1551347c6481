package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"portcullis.dev/crash/lenient"
)

// IPS is a crash report in Apple's .ips form: one line of JSON, the header, and a second JSON document, the body.
// Reading one and writing it again loses nothing: members that have no field here are kept.
//
// Sources: keys as seen in public reports (asmvik/yabai#2155, frida/frida#2722, ValveSoftware/Dota-2#2198) and Apple's
// documentation "Interpreting the JSON format of a crash report".
type IPS struct {
	Header IPSHeader
	Body   IPSBody
}

// IPSHeader is the first line of an .ips file.
type IPSHeader struct {
	AppName          string `json:"app_name"`
	Timestamp        string `json:"timestamp"` // "2026-03-27 10:11:12.00 +0100"
	AppVersion       string `json:"app_version"`
	SRoute           int64  `json:"sroute_id"` // 12: a Mach-port guard; absent before macOS 14
	SliceUUID        string `json:"slice_uuid"`
	BuildVersion     string `json:"build_version"`
	Platform         int64  `json:"platform"` // 1 macOS, 2 iOS, 6 Catalyst, 7 simulator
	BundleID         string `json:"bundleID"`
	ShareWithAppDevs int64  `json:"share_with_app_devs"`
	IsFirstParty     int64  `json:"is_first_party"` // 1 also for ad-hoc signed tools of others
	BugType          string `json:"bug_type"`       // "309": crash, "308": simulated fault
	OSVersion        string `json:"os_version"`     // "macOS 14.4 (23E214)"
	RootsInstalled   int64  `json:"roots_installed"`
	IncidentID       string `json:"incident_id"`
	Name             string `json:"name"`

	Keys  lenient.Keys
	Extra lenient.Extra
}

// IPSBody is the second document of an .ips file, schema version 2.
type IPSBody struct {
	Uptime       int64         `json:"uptime"` // seconds
	ProcRole     string        `json:"procRole"`
	Version      int64         `json:"version"`
	UserID       int64         `json:"userID"`
	ModelCode    string        `json:"modelCode"` // "Mac15,7"
	OSVersion    *IPSOSVersion `json:"osVersion"`
	CaptureTime  string        `json:"captureTime"`
	ProcLaunch   string        `json:"procLaunch"`
	Incident     string        `json:"incident"`
	PID          int64         `json:"pid"`
	BugType      string        `json:"bug_type"`
	Translated   bool          `json:"translated"` // under Rosetta
	CPUType      string        `json:"cpuType"`    // "ARM-64", "X86-64"
	ProcName     string        `json:"procName"`
	ProcPath     string        `json:"procPath"`
	BundleInfo   *IPSBundle    `json:"bundleInfo"`
	StoreInfo    *IPSStore     `json:"storeInfo"`
	ParentProc   string        `json:"parentProc"`
	ParentPID    int64         `json:"parentPid"`
	IsSimulated  bool          `json:"isSimulated"` // the process was not killed
	IsNonFatal   bool          `json:"isNonFatal"`
	IsCorpse     bool          `json:"isCorpse"`
	DevMode      bool          `json:"developerMode"`
	CSID         string        `json:"codeSigningID"`
	CSTeam       string        `json:"codeSigningTeamID"`
	CSFlags      int64         `json:"codeSigningFlags"` // bit 0x10000: hardened runtime
	CSCategory   int64         `json:"codeSigningValidationCategory"`
	CSTrust      int64         `json:"codeSigningTrustLevel"`
	SIP          string        `json:"sip"` // "enabled", "disabled"
	SRoute       int64         `json:"sroute_id"`
	Exception    *IPSException `json:"exception"`
	Termination  *IPSReason    `json:"termination"`
	ExtMods      *IPSExtMods   `json:"extMods"`
	Faulting     *int64        `json:"faultingThread"`
	Threads      []IPSThread   `json:"threads"`
	LastBacktr   []IPSFrame    `json:"lastExceptionBacktrace"`
	UsedImages   []IPSImage    `json:"usedImages"`
	SharedCache  *IPSCache     `json:"sharedCache"`
	VMSummary    string        `json:"vmSummary"`
	KTriage      string        `json:"ktriageinfo"`
	LegacyInfo   *IPSLegacy    `json:"legacyInfo"`
	LogSignature string        `json:"logWritingSignature"`
	ReportNotes  []string      `json:"reportNotes"` // what was odd about making the report
	Own          *IPSOwn       `json:"portcullis"`  // reports of portcullis run alone

	Keys  lenient.Keys
	Extra lenient.Extra
}

// IPSOwn holds what reports of Linux processes say beyond Apple's. Apple's readers pass it by.
type IPSOwn struct {
	Version   string   `json:"version"`    // of the program that wrote the report
	Emulates  string   `json:"emulates"`   // whose restrictions were enforced: "macOS 26.4"
	Level     string   `json:"level"`      // of the process, as rules.Level writes it
	DecidedBy string   `json:"decided_by"` // what gave it that level
	Trap      string   `json:"trap"`       // that the thread was in: "mach_msg2_trap"
	MessageID int64    `json:"msgh_id"`    // of the message it sent; 0 where there was none
	Notes     []string `json:"notes"`      // what the audit has to say about the call
	Keys      lenient.Keys
	Extra     lenient.Extra
}

// IPSOSVersion names the system.
type IPSOSVersion struct {
	Train       string `json:"train"` // "macOS 14.4"
	Build       string `json:"build"` // "23E214"
	ReleaseType string `json:"releaseType"`
	Keys        lenient.Keys
	Extra       lenient.Extra
}

// IPSBundle holds what the main program's Info.plist says.
type IPSBundle struct {
	ShortVersion string `json:"CFBundleShortVersionString"`
	Version      string `json:"CFBundleVersion"`
	Identifier   string `json:"CFBundleIdentifier"`
	Keys         lenient.Keys
	Extra        lenient.Extra
}

// IPSStore holds what the App Store knows of the program.
type IPSStore struct {
	ThirdParty bool `json:"thirdParty"`
	Keys       lenient.Keys
	Extra      lenient.Extra
}

// Signed is a 64-bit value that ReportCrash writes as a signed number, so that a guard with the top bit set is printed
// negative.
type Signed uint64

// UnmarshalLenient reads signed and unsigned decimals and hexadecimal strings.
func (s *Signed) UnmarshalLenient(r lenient.Raw) bool {
	n, ok := r.Bits()
	if ok {
		*s = Signed(n)
	}
	return ok
}

// MarshalJSON writes the value as ReportCrash does.
func (s Signed) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, int64(s), 10), nil }

// Unsigned is a 64-bit value written without a sign.
type Unsigned uint64

// UnmarshalLenient reads what [Signed] reads.
func (u *Unsigned) UnmarshalLenient(r lenient.Raw) bool { return (*Signed)(u).UnmarshalLenient(r) }

// MarshalJSON writes the value unsigned.
func (u Unsigned) MarshalJSON() ([]byte, error) { return strconv.AppendUint(nil, uint64(u), 10), nil }

// IPSException is the member "exception". Which members exist depends on the guard type; see the table in the
// documentation of explain.
type IPSException struct {
	Type       string    `json:"type"` // "EXC_GUARD"
	Signal     string    `json:"signal"`
	Subtype    string    `json:"subtype"` // "GUARD_TYPE_MACH_PORT"
	Message    string    `json:"message"`
	Violations []string  `json:"violations"` // Mach ports and descriptors
	Flavors    []string  `json:"flavors"`    // files and virtual memory
	Port       *Unsigned `json:"port"`
	FD         *Unsigned `json:"fd"`
	GuardID    *Signed   `json:"guardId"`
	Namespace  *Unsigned `json:"namespc"`
	Reason     *Signed   `json:"reason"`
	OwnerPID   *Unsigned `json:"pid"`
	Offset     *Signed   `json:"offset"`
	MachTrap   *Unsigned `json:"machTrap"`
	Number     *Signed   `json:"number"`
	Syscall    *Signed   `json:"syscall"`
	Codes      string    `json:"codes"` // "0x0000000000000000, 0x0000000000000000"
	RawCodes   []Signed  `json:"rawCodes"`
	Keys       lenient.Keys
	Extra      lenient.Extra
}

// IPSReason is the member "termination": why the kernel ended the process. For a guard its code is the whole 64-bit
// guard code.
type IPSReason struct {
	Namespace string   `json:"namespace"` // "GUARD"
	Flags     int64    `json:"flags"`
	Code      Unsigned `json:"code"`
	Indicator string   `json:"indicator"`
	Reasons   []string `json:"reasons"`
	Details   []string `json:"details"`
	ByProc    string   `json:"byProc"`
	ByPID     int64    `json:"byPid"`
	Keys      lenient.Keys
	Extra     lenient.Extra
}

// IPSExtMods counts what processes did to each other with task ports.
type IPSExtMods struct {
	Caller   IPSMods `json:"caller"`   // by this process
	System   IPSMods `json:"system"`   // by all processes
	Targeted IPSMods `json:"targeted"` // by others to this process
	Keys     lenient.Keys
	Extra    lenient.Extra
}

// IPSMods counts calls.
type IPSMods struct {
	ThreadCreate   int64 `json:"thread_create"`
	ThreadSetState int64 `json:"thread_set_state"`
	TaskForPID     int64 `json:"task_for_pid"`
	Keys           lenient.Keys
	Extra          lenient.Extra
}

// IPSThread is one thread.
type IPSThread struct {
	ID        int64       `json:"id"`
	Triggered bool        `json:"triggered"` // the one that faulted
	Name      string      `json:"name"`
	Queue     string      `json:"queue"`
	State     lenient.Raw `json:"threadState"`
	Frames    []IPSFrame  `json:"frames"`
	Keys      lenient.Keys
	Extra     lenient.Extra
}

// IPSFrame is one frame of a backtrace. Its address is the base of its image plus ImageOffset.
type IPSFrame struct {
	ImageOffset    Unsigned `json:"imageOffset"`
	ImageIndex     int64    `json:"imageIndex"`
	Symbol         string   `json:"symbol"`
	SymbolLocation int64    `json:"symbolLocation"`
	SourceFile     string   `json:"sourceFile"`
	SourceLine     int64    `json:"sourceLine"`
	Inline         bool     `json:"inline"`
	Keys           lenient.Keys
	Extra          lenient.Extra
}

// IPSImage is one loaded image.
type IPSImage struct {
	Source   string   `json:"source"` // "P" of the process, "S" shared cache, "A" absolute
	Arch     string   `json:"arch"`
	Base     Unsigned `json:"base"`
	Size     Unsigned `json:"size"`
	UUID     string   `json:"uuid"`
	Path     string   `json:"path"`
	Name     string   `json:"name"`
	BundleID string   `json:"CFBundleIdentifier"`
	Version  string   `json:"CFBundleShortVersionString"`
	Keys     lenient.Keys
	Extra    lenient.Extra
}

// IPSCache places the shared cache.
type IPSCache struct {
	Base  Unsigned `json:"base"`
	Size  Unsigned `json:"size"`
	UUID  string   `json:"uuid"`
	Keys  lenient.Keys
	Extra lenient.Extra
}

// IPSLegacy holds what older templates need.
type IPSLegacy struct {
	Triggered *IPSTriggered `json:"threadTriggered"`
	Keys      lenient.Keys
	Extra     lenient.Extra
}

// IPSTriggered names the faulting thread.
type IPSTriggered struct {
	Index *int64 `json:"index"`
	Name  string `json:"name"`
	Queue string `json:"queue"`
	Keys  lenient.Keys
	Extra lenient.Extra
}

// ReadIPS reads one report in .ips form: the header and the body, nothing around them. Values of the wrong type are
// kept in Extra. It fails where one of the two documents is no JSON.
func ReadIPS(data []byte) (*IPS, error) {
	r := &IPS{}
	head, end, err := lenient.Scan(data, 0)
	if err == nil && (!json.Valid(head) || head.Kind() != '{') {
		err = &lenient.Error{Reason: "the header is no JSON object"}
	}
	if err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if _, err := lenient.Decode(head, &r.Header); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	body, last, err := lenient.Scan(data, end)
	if err == nil && (!json.Valid(body) || body.Kind() != '{') {
		err = &lenient.Error{Offset: end, Reason: "the body is no JSON object"}
	}
	if err == nil && lenient.Space(data, last) < len(data) {
		err = &lenient.Error{Offset: last, Reason: "text follows the body"}
	}
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if _, err := lenient.Decode(body, &r.Body); err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	return r, nil
}

// WriteTo writes the report: the header on one line, then the body.
func (r *IPS) WriteTo(w io.Writer) (int64, error) {
	head, err := lenient.Encode(&r.Header)
	if err != nil {
		return 0, fmt.Errorf("write header: %w", err)
	}
	body, err := lenient.Encode(&r.Body)
	if err != nil {
		return 0, fmt.Errorf("write body: %w", err)
	}
	n, err := w.Write(bytes.Join([][]byte{head, body, nil}, []byte("\n")))
	return int64(n), err
}
