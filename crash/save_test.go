package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis.dev/rules"
)

func TestSave(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	r := &IPS{Header: IPSHeader{AppName: "../My App"}}
	for _, want := range []string{"_My App-2026-01-31-120000.ips", "_My App-2026-01-31-120000-1.ips",
		"_My App-2026-01-31-120000-2.ips"} {
		path, err := Save(dir, r, at)
		if err != nil || path != filepath.Join(dir, want) {
			t.Errorf("saved %s, %v; want %s", path, err, want)
		}
		if st, err := os.Stat(path); err != nil || st.Mode() != 0o600 || st.Size() == 0 {
			t.Errorf("%v, %v", st, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if _, err := Save(filepath.Join(dir, "missing"), r, at); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a folder that is not there: %v", err)
	}
	if s := fileName(strings.Repeat("ä", 200) + "\x00\xff"); len(s) > maxFileName || !strings.HasPrefix(s, "ä") {
		t.Errorf("%q", s)
	}
	if s := fileName("."); s != "process" {
		t.Errorf("%q", s)
	}
}

// TestExceptionsReadBack composes a report of every rule and of every guard type, and reads it.
func TestExceptionsReadBack(t *testing.T) {
	codes := []rules.Code{rules.MakeCode(rules.GuardUser, 0, 31), rules.MakeCode(rules.GuardRejectedSC, 0, 31),
		rules.MakeCode(rules.GuardRejectedSC, 0, 0), rules.MakeCode(rules.GuardMachPort, 0x7777, 5)}
	for _, r := range rules.All() {
		codes = append(codes, r.Code(0x1203))
	}
	for _, code := range codes {
		const payload = 0x8001430200000003
		ips := &IPS{Header: IPSHeader{AppName: "victim", BugType: "309"}, Body: IPSBody{ProcName: "victim", PID: 3,
			Own: &IPSOwn{Emulates: "macOS 26.4"}}}
		ips.Body.Exception, ips.Body.Termination = GuardException(code, payload)
		var b strings.Builder
		if _, err := ips.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		res := Read("victim.ips", strings.NewReader(b.String()))
		if len(res.Reports) != 1 || len(res.Unread) != 0 {
			t.Fatalf("%s: read %+v", code, res)
		}
		g := res.Reports[0].guard()
		_, known := rules.ByCode(code)
		if g.code != code || known && len(g.doubts) != 0 || g.payload == nil || *g.payload != payload {
			t.Errorf("%s (%s): read back as %s, payload %v, doubts %q", code, violationName(code), g.code, g.payload, g.doubts)
		}
	}
}

// TestGuardExceptionAsPublic compares what is composed with what ReportCrash of macOS 26 wrote into a public report. The
// first code is not the guard code but the signal, the exception and the low 20 bits of the target; the whole guard code is
// that of the termination.
func TestGuardExceptionAsPublic(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "dota2-gameplay-34029.txt"))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if label, text, ok := strings.Cut(line, ":"); ok && said[label] == "" {
			said[label] = strings.TrimRight(strings.TrimLeft(text, " "), "\n")
		}
	}
	code, payload := uint64(0x2000000300000000), uint64(0x8001430200000003)
	x, r := GuardException(rules.Code(code), payload)
	for label, got := range map[string]string{
		"Exception Type":     x.Type,
		"Exception Subtype":  x.Subtype,
		"Exception Message":  strings.TrimLeft(x.Message, " "),
		"Exception Codes":    x.Codes,
		"Termination Reason": fmt.Sprintf("Namespace %s, Code %d, ", r.Namespace, r.Code),
	} {
		if got != said[label] {
			t.Errorf("%s: %q, want %q", label, got, said[label])
		}
	}
	if len(x.RawCodes) != 2 || x.RawCodes[0] != 0x9c00000 || uint64(x.RawCodes[1]) != payload {
		t.Errorf("raw codes %#x", x.RawCodes)
	}
	if x, _ = GuardException(0x200002006a427b83, 0); x.RawCodes[0] != 0x9c27b83 {
		t.Errorf("raw codes %#x", x.RawCodes)
	}
}

func TestSignalException(t *testing.T) {
	addr := uint64(0x10)
	x, r := SignalException("SIGSEGV", &addr)
	if x.Type != "EXC_BAD_ACCESS" || x.Subtype != "KERN_INVALID_ADDRESS at 0x0000000000000010" ||
		r.Indicator != "Segmentation fault: 11" || r.Namespace != "SIGNAL" || r.Code != 11 {
		t.Errorf("%+v %+v", x, r)
	}
	if x, r := SignalException("SIGUSR2", nil); x.Type != "EXC_CRASH" || x.Signal != "SIGUSR2" || r.Indicator != "USR2" {
		t.Errorf("%+v %+v", x, r)
	}
}
