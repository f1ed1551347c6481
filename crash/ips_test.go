package crash

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// checkRoundTrip holds what reading promises: writing what was read and reading it again gives the same, and writes the
// same bytes.
func checkRoundTrip(t *testing.T, data []byte) {
	t.Helper()
	first, err := ReadIPS(data)
	if err != nil {
		return
	}
	var out bytes.Buffer
	if _, err := first.WriteTo(&out); err != nil {
		t.Fatalf("cannot write what was read: %v", err)
	}
	second, err := ReadIPS(out.Bytes())
	if err != nil {
		t.Fatalf("cannot read what was written: %v\n%s", err, out.Bytes())
	}
	var again bytes.Buffer
	if _, err := second.WriteTo(&again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(out.String(), again.String()); diff != "" {
		t.Errorf("written twice, different:\n%s", diff)
	}
	// Raw values may be spelled differently; what they hold is compared by the bytes above.
	raw := cmpopts.IgnoreTypes(IPSHeader{}.Extra, IPSThread{}.State)
	if diff := cmp.Diff(first, second, raw, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("read, written and read:\n%s", diff)
	}
}

func TestIPSRoundTrip(t *testing.T) {
	n := 0
	for _, name := range fixtures(t) {
		if filepath.Ext(name) != ".ips" || name == "synthetic-ios14.ips" {
			continue
		}
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadIPS(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkRoundTrip(t, data)
		n++
	}
	if n < 10 {
		t.Errorf("only %d fixtures are .ips files", n)
	}
	checkRoundTrip(t, sampleReport(1))
}

// TestIPSKeeps shows that members without a field, and values of another type than their field, survive.
func TestIPSKeeps(t *testing.T) {
	const in = `{"app_name":"a","platform":"one","new_key":[1,{"x":2}]}
{"pid":"seven","uptime":12345678901234567890,"translated":false,"exception":{"guardId":-9223016886009069565,"odd":null},"termination":{"code":2305843037130981377}}
`
	r, err := ReadIPS([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if got := uint64(*r.Body.Exception.GuardID); got != 0x8001430200000003 {
		t.Errorf("guardId read as %#x", got)
	}
	var out bytes.Buffer
	if _, err := r.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, out.String()); diff != "" {
		t.Error(diff)
	}
}

// TestIPSWrite builds a report in code, as a program does that writes one.
func TestIPSWrite(t *testing.T) {
	guard := Signed(0x6e)
	port := Unsigned(0x80000001)
	faulting := int64(0)
	r := IPS{
		Header: IPSHeader{AppName: "demo", BugType: "309", OSVersion: "macOS 26.4 (25E246)", IncidentID: "id", Name: "demo"},
		Body: IPSBody{Version: 2, PID: 9, ProcName: "demo", CPUType: "ARM-64", Faulting: &faulting,
			Exception: &IPSException{Type: "EXC_GUARD", Subtype: "GUARD_TYPE_MACH_PORT",
				Violations: []string{"SET_EXCEPTION_BEHAVIOR"}, Port: &port, GuardID: &guard},
			Termination: &IPSReason{Namespace: "GUARD", Flags: 2, Code: 2305843037130981377},
			Threads:     []IPSThread{{ID: 1, Triggered: true, Frames: []IPSFrame{{ImageOffset: 16, Symbol: "main"}}}},
			UsedImages:  []IPSImage{{Name: "demo", Path: "/tmp/demo", Base: 4096}}},
	}
	var out bytes.Buffer
	if _, err := r.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	res := Read("demo.ips", &out)
	if len(res.Reports) != 1 || len(res.Unread) != 0 {
		t.Fatalf("%d reports, unread %v", len(res.Reports), res.Unread)
	}
	f, _ := Explain(res.Reports[0], "demo.ips")
	if len(f) != 1 || f[0].Rule != "SET_EXCEPTION_BEHAVIOR" || f[0].Where.Function != "main" {
		t.Errorf("%+v", f)
	}
}

func FuzzIPSRoundTrip(f *testing.F) {
	for _, name := range fixtures(f) {
		if strings.HasSuffix(name, ".ips") {
			data, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte(`{"a":1}` + "\n" + `{"pid":"x","threads":[{"frames":[{"symbol":1}]}],"pid":2}`))
	f.Fuzz(func(t *testing.T, data []byte) { checkRoundTrip(t, data) })
}
