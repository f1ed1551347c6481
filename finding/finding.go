// Package finding holds what check, run and explain report: findings, what could not be read, and a summary.
// One set of renderers (terminal, JSON, SARIF, HTML) serves all three.
package finding

import "portcullis.dev/rules"

// Schema identifies the JSON form of a [Report]. Fields keep their meaning while it stays the same.
const Schema = "portcullis.findings/1"

// Confidence says how well a finding is proven.
type Confidence string

const (
	// Certain: the arguments that decide are proven on every path to the call.
	Certain Confidence = "certain"
	// Likely: some path to the call is proven to violate, or all that is known points that way.
	Likely Confidence = "likely"
	// Possible: the call is there, but what decides could not be recovered.
	Possible Confidence = "possible"
)

// Rank orders confidences: 3 certain, 2 likely, 1 possible, 0 anything else.
func (c Confidence) Rank() int {
	switch c {
	case Certain:
		return 3
	case Likely:
		return 2
	case Possible:
		return 1
	}
	return 0
}

// Moment is when a finding was made.
type Moment string

const (
	MomentCheck   Moment = "check"
	MomentRun     Moment = "run"
	MomentExplain Moment = "explain"
)

// Where places a finding. Unknown parts are left empty and stay out of the JSON.
type Where struct {
	Path     string `json:"path,omitempty"`     // file as the user named or would find it
	Member   string `json:"member,omitempty"`   // path inside the archive or bundle at Path
	Arch     string `json:"arch,omitempty"`     // arm64, arm64e, x86_64
	Function string `json:"function,omitempty"` // symbol as it stands in the file
	Address  string `json:"address,omitempty"`  // 0x…: virtual address of the call instruction
	File     string `json:"file,omitempty"`     // source file, where debug information tells
	Line     int    `json:"line,omitempty"`
	// Functions that the call was inlined from, innermost first; the last is inlined into Function.
	Inlined []Inlined `json:"inlined,omitempty"`
	Thread  *int      `json:"thread,omitempty"` // index of the faulting thread of a report
	Image   string    `json:"image,omitempty"`  // image that holds Function
}

// Inlined is a function whose code stands in another.
type Inlined struct {
	Function string `json:"function"`       // as the debug information has it
	File     string `json:"file,omitempty"` // where it is called
	Line     int    `json:"line,omitempty"`
}

// SDK names the known software a finding lies in.
type SDK struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`  // as found; empty where it could not be told
	FixedIn string `json:"fixed_in,omitempty"` // first version that conforms; empty where none does
	Source  string `json:"source,omitempty"`   // public reference
}

// Finding is one violation, predicted, observed or explained.
type Finding struct {
	Rule       string            `json:"rule"`           // rules.Rule.Name
	Code       *rules.Code       `json:"code,omitempty"` // nil where it is not known
	Payload    string            `json:"payload,omitempty"`
	KillsFrom  rules.Level       `json:"kills_from"`      // lowest level at which it is fatal
	Level      *rules.Level      `json:"level,omitempty"` // level judged; nil where a report does not tell
	KillsHere  bool              `json:"kills_here"`      // at the level judged; for a report: it did kill
	Confidence Confidence        `json:"confidence"`
	Moment     Moment            `json:"moment"`
	Where      Where             `json:"where"`
	Callee     string            `json:"callee,omitempty"`
	Arguments  map[string]string `json:"arguments,omitempty"`
	Evidence   []string          `json:"evidence,omitempty"`  // what was seen, in order, one fact each
	Backtrace  []string          `json:"backtrace,omitempty"` // the faulting thread, short
	SDK        *SDK              `json:"sdk,omitempty"`
	Chain      []string          `json:"chain,omitempty"` // who loads the image: the program first, its level behind it
	Message    string            `json:"message"`
	Remedy     string            `json:"remedy,omitempty"`
	Help       string            `json:"help,omitempty"` // page of the documentation

	// Change since an earlier version; "" where none was compared with, see compare.go.
	Change Change `json:"change,omitempty"`
	// Fingerprint names the finding across builds: [Report.Finish] fills it in, see fingerprint.go.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Unread is an input, or a part of one, that could not be read.
type Unread struct {
	Path   string `json:"path"`
	Member string `json:"member,omitempty"`
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
}

// Note is something worth telling that is no finding: a report that is not a guard, an architecture out of scope.
type Note struct {
	Path    string `json:"path"`
	Member  string `json:"member,omitempty"`
	Message string `json:"message"`
}

// Summary counts.
type Summary struct {
	Files  int            `json:"files"`  // files, bundles' files and archive members looked at
	Images int            `json:"images"` // Mach-O slices analysed; for explain: reports read
	Bytes  int64          `json:"bytes"`
	Level  string         `json:"level,omitempty"` // level judged; "declared" where programs declared different ones
	ByRule map[string]int `json:"by_rule"`

	Suppressed int `json:"suppressed,omitempty"` // findings left out because a baseline knows them
}

// Report is the answer of one command. Fill it, or join several with [Report.Add]; then call [Report.Finish] once,
// apply a [Baseline] if there is one, and render it.
type Report struct {
	Schema   string    `json:"schema"`
	Moment   Moment    `json:"moment,omitempty"` // of the command; Finish takes that of the findings where it is empty
	Findings []Finding `json:"findings"`
	Unread   []Unread  `json:"unread"`
	Notes    []Note    `json:"notes,omitempty"`
	Programs []Program `json:"programs,omitempty"` // of check: those in whose process something was found
	Summary  Summary   `json:"summary"`

	Comparison *Comparison `json:"comparison,omitempty"` // with an earlier version, where one was given

	finished bool // sorted, counted and fingerprinted
}
