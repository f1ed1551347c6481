package finding

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/rules"
)

// at makes a finding of the function at a place, as sure as is said.
func at(path, member, function string, c Confidence) Finding {
	return Finding{Rule: "SET_EXCEPTION_BEHAVIOR", KillsFrom: rules.Level1, KillsHere: true, Confidence: c,
		Moment: MomentCheck, Callee: "task_set_exception_ports",
		Where: Where{Path: path, Member: member, Arch: "arm64", Function: function}}
}

func TestCompare(t *testing.T) {
	harmless := at("a.app/x", "", "_f", Certain)
	harmless.KillsHere = false
	for _, tt := range []struct {
		name     string
		old, now []Finding
		want     string // of each finding now, then how many are gone
	}{
		{"nothing", nil, nil, "[] 0"},
		{"first", nil, []Finding{at("a.app/x", "", "_f", Certain)}, "[new] 0"},
		{"last", []Finding{at("a.app/x", "", "_f", Certain)}, nil, "[] 1"},
		{"the app has another name", []Finding{at("1.0/a.app/x", "", "_f", Certain), at("1.0/a.app/y", "", "", Certain)},
			[]Finding{at("b.ipa", "Payload/b.app/x", "_f", Certain), at("b.ipa", "Payload/b.app/y", "", Certain)}, "[same same] 0"},
		{"one file with another name", []Finding{at("tool-1", "", "", Certain)}, []Finding{at("tool-2", "", "", Certain)},
			"[same] 0"},
		{"moved", []Finding{at("a.app/x", "", "_f", Certain), at("a.app/z", "", "_g", Certain)},
			[]Finding{at("a.app/y", "", "_f", Certain), at("a.app/z", "", "_g", Certain)}, "[same same] 0"},
		{"moved, without a name", []Finding{at("a.app/x", "", "", Certain), at("a.app/z", "", "_g", Certain)},
			[]Finding{at("a.app/y", "", "", Certain), at("a.app/z", "", "_g", Certain)}, "[new same] 1"},
		{"one more of a kind", []Finding{at("a.app/x", "", "_f", Certain)},
			[]Finding{at("a.app/x", "", "_f", Certain), at("a.app/x", "", "_f", Likely)}, "[same new] 0"},
		{"surer", []Finding{at("a.app/x", "", "_f", Possible)}, []Finding{at("a.app/x", "", "_f", Certain)}, "[worse] 0"},
		{"less sure", []Finding{at("a.app/x", "", "_f", Certain)}, []Finding{at("a.app/x", "", "_f", Likely)}, "[better] 0"},
		{"kills now", []Finding{harmless}, []Finding{at("a.app/x", "", "_f", Possible)}, "[worse] 0"},
		{"kills no more", []Finding{at("a.app/x", "", "_f", Possible)}, []Finding{harmless}, "[better] 0"},
		{"Rust's hash", []Finding{at("a.app/x", "", "__ZN1a1b17h0123456789abcdefE", Certain)},
			[]Finding{at("a.app/x", "", "__ZN1a1b17hfedcba9876543210E", Certain)}, "[same] 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old, now := &Report{Moment: MomentCheck, Findings: tt.old}, &Report{Moment: MomentCheck, Findings: tt.now}
			now.CompareWith(old, "old")
			var changes []Change
			counts := map[Change]int{}
			for i := range now.Findings {
				changes = append(changes, now.Findings[i].Change)
				counts[now.Findings[i].Change]++
			}
			c := now.Comparison
			if got := fmt.Sprint(changes, len(c.Gone)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if c.New != counts[ChangeNew] || c.Worse != counts[ChangeWorse] || c.Better != counts[ChangeBetter] ||
				c.Same != counts[ChangeSame] {
				t.Errorf("counts %+v", c)
			}
			fails := counts[ChangeWorse]+counts[ChangeNew] > 0
			if got := now.ExitCode(Possible); (got == ExitFindings) != fails {
				t.Errorf("exit code %d", got)
			}
		})
	}
}

// A report that was written is read again as it was.
func TestReadReport(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, sampleCheck()); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if !IsReport(b.Bytes()) || IsReport([]byte("\xcf\xfa\xed\xfe")) {
		t.Error("what begins as a report")
	}
	r, err := ReadReport(&b, "x")
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := WriteJSON(&again, r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text, again.String()); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	for in, want := range map[string]string{
		``:                                     "x: at offset 0: the file ends inside the report",
		`{"schema":"portcullis.baseline/1"}`:   `x: schema is "portcullis.baseline/1", want "portcullis.findings/1"`,
		`{"schema":"portcullis.findings/1"} 1`: "x: at offset 36: something follows the report",
		`{"schema":"portcullis.findings/1","programs":[{"components":[null]}]}`: "x: programs[0].components[0]: is null",
		`{"findings":7}`: "x: at offset 13: findings is a JSON number",
	} {
		if _, err := ReadReport(strings.NewReader(in), "x"); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

func FuzzReadReport(f *testing.F) {
	var b bytes.Buffer
	if err := WriteJSON(&b, sampleCheck()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"schema":"portcullis.findings/1","programs":[{"components":[null]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadReport(bytes.NewReader(data), "x")
		if err != nil {
			return
		}
		now := sampleCheck()
		now.CompareWith(r, "x")
		for name, write := range renderings {
			if err := write(&bytes.Buffer{}, now); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := write(&bytes.Buffer{}, r); err != nil {
				t.Errorf("%s of the report itself: %v", name, err)
			}
		}
	})
}
