package finding

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// What a baseline knows is left out and counted, and does not fail the command.
func TestBaseline(t *testing.T) {
	var file bytes.Buffer
	if err := NewBaseline(sampleCheck()).Write(&file); err != nil {
		t.Fatal(err)
	}
	known, err := ReadBaseline(bytes.NewReader(file.Bytes()), "known.json")
	if err != nil {
		t.Fatal(err)
	}
	r := sampleCheck()
	r.Unread = nil
	known.Apply(r, "known.json")
	if len(r.Findings) != 0 || r.Summary.Suppressed != 4 || len(r.Summary.ByRule) != 0 || len(r.Notes) != 1 {
		t.Errorf("%d findings left, %d suppressed, %v by rule, notes %v",
			len(r.Findings), r.Summary.Suppressed, r.Summary.ByRule, r.Notes)
	}
	if got := r.ExitCode(Possible); got != ExitClean {
		t.Errorf("exit code %d, want %d", got, ExitClean)
	}
	var text bytes.Buffer
	if err := WriteText(&text, r, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "no new violation found; 4 known from the baseline left out") {
		t.Errorf("text is\n%s", &text)
	}
}

// The JSON form of a report is a baseline as it is.
func TestBaselineFromReport(t *testing.T) {
	var file bytes.Buffer
	if err := WriteJSON(&file, sampleCheck()); err != nil {
		t.Fatal(err)
	}
	known, err := ReadBaseline(&file, "findings.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(NewBaseline(sampleCheck()), known); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBaselineKeepsWhatIsNew(t *testing.T) {
	known := NewBaseline(sampleCheck())
	r := sampleCheck()
	fresh := r.Findings[0]
	fresh.Where.Function = "_new"
	r.Findings = append(r.Findings, fresh)
	known.Apply(r, "known.json")
	if len(r.Findings) != 1 || r.Findings[0].Where.Function != "_new" || r.ExitCode(Possible) == ExitClean {
		t.Errorf("findings left: %+v", r.Findings)
	}
}

func TestBaselineMentionsWhatIsGone(t *testing.T) {
	known := NewBaseline(sampleCheck())
	r := sampleCheck()
	r.Findings = r.Findings[:3]
	known.Apply(r, "known.json")
	if n := r.Notes[len(r.Notes)-1]; n.Path != "known.json" || !strings.Contains(n.Message, "OOL_PORT_ARRAY") {
		t.Errorf("note is %+v", n)
	}
}

// A known finding that has become worse is not known any more.
func TestBaselineKeepsWhatIsWorse(t *testing.T) {
	for name, change := range map[string]func(*Known){
		"kills now":     func(k *Known) { k.KillsHere = false },
		"is surer now":  func(k *Known) { k.Confidence = Possible },
		"both":          func(k *Known) { k.KillsHere, k.Confidence = false, Likely },
		"killed before": nil,
	} {
		r := sampleCheck()
		r.Findings = r.Findings[1:2] // certain, kills
		known := NewBaseline(r)
		want := 0
		if change != nil {
			change(&known.Known[0])
			want = 1
		}
		known.Apply(r, "known.json")
		if len(r.Findings) != want {
			t.Errorf("%s: %d findings left, want %d", name, len(r.Findings), want)
		}
	}
}

func TestBaselineKeepReasons(t *testing.T) {
	old, fresh := NewBaseline(sampleCheck()), NewBaseline(sampleCheck())
	old.Known[0].Why = "the vendor knows"
	fresh.KeepReasons(old)
	if diff := cmp.Diff(old, fresh); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadBaselineErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty": {"", "b.json: at offset 0: the file ends inside the baseline"},
		"cut": {`{"schema": "portcullis.baseline/1", "known": [{`,
			"b.json: at offset 47: the file ends inside the baseline"},
		"no JSON":    {"hello", "b.json: at offset 1: invalid character 'h' looking for beginning of value"},
		"wrong type": {`{"known": 3}`, "b.json: at offset 11: known is a JSON number"},
		"other schema": {`{"schema": "portcullis.version/1"}`,
			`b.json: schema is "portcullis.version/1", want "portcullis.baseline/1" or "portcullis.findings/1"`},
		"bare finding": {`{"schema": "portcullis.findings/1", "findings": [{}]}`, "b.json: known[0]: no fingerprint"},
		"bad finding": {`{"schema": "portcullis.findings/1", "findings": [{"where": 1}]}`,
			"b.json: at offset 60: findings.where is a JSON number"},
		"no print": {`{"schema": "portcullis.baseline/1", "known": [{}]}`, "b.json: known[0]: no fingerprint"},
		"confidence": {`{"schema": "portcullis.baseline/1", "known": [{"fingerprint": "a", "confidence": "sure"}]}`,
			`b.json: known[0]: unknown confidence "sure"`},
		"two documents": {`{"schema": "portcullis.baseline/1"} {}`, "b.json: at offset 37: something follows the baseline"},
	} {
		_, err := ReadBaseline(strings.NewReader(c.text), "b.json")
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: error is %v, want %s", name, err, c.want)
		}
	}
	gone := errors.New("gone")
	if _, err := ReadBaseline(iotest.ErrReader(gone), "b.json"); !errors.Is(err, gone) {
		t.Errorf("error is %v, want %v", err, gone)
	}
}

// FuzzReadBaseline: whatever the file holds, it is read or refused, and what is read survives being written.
func FuzzReadBaseline(f *testing.F) {
	var b bytes.Buffer
	if err := NewBaseline(sampleCheck()).Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(b.Bytes()))
	b.Reset()
	if err := WriteJSON(&b, sampleCheck()); err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(b.Bytes()))
	f.Add([]byte(`{"schema": "portcullis.baseline/1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := ReadBaseline(bytes.NewReader(data), "b.json")
		if err != nil {
			return
		}
		var out, again bytes.Buffer
		if err := first.Write(&out); err != nil {
			t.Fatal(err)
		}
		second, err := ReadBaseline(bytes.NewReader(out.Bytes()), "b.json")
		if err != nil {
			t.Fatalf("what was written is refused: %v", err)
		}
		if err := second.Write(&again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), again.Bytes()) {
			t.Error("writing, reading and writing again changes the file")
		}
		first.Apply(sampleCheck(), "b.json")
	})
}
