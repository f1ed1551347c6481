package finding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// sgr matches the sequences that colour text.
var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// sarifSchema is OASIS's JSON schema of SARIF 2.1.0. It is not copied here: the module go-sarif, on which this test
// depends anyway, holds it as a string constant, and that is read from the module's source.
var sarifSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	const module = "github.com/owenrumney/go-sarif/v3"
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	file := filepath.Join(strings.TrimSpace(string(dir)), "pkg", "report", "v210", "sarif", "schema.go")
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil, err
	}
	text := ""
	ast.Inspect(source, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && spec.Names[0].Name == "schema" && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				text, _ = strconv.Unquote(lit.Value)
			}
		}
		return true
	})
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s has no schema: %w", file, err)
	}
	const name = "sarif-schema-2.1.0.json"
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, document); err != nil {
		return nil, err
	}
	return c.Compile(name)
})

// validateSARIF checks a log against the schema and against what GitHub demands on top of it.
func validateSARIF(log []byte) error {
	schema, err := sarifSchema()
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(log))
	if err != nil {
		return err
	}
	if err := schema.Validate(document); err != nil {
		return err
	}
	return validateForGitHub(log)
}

// validateForGitHub checks the demands of GitHub Docs, "SARIF support for code scanning".
func validateForGitHub(data []byte) error {
	var log sarifLog
	if err := json.Unmarshal(data, &log); err != nil {
		return err
	}
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if log.Version != "2.1.0" || log.Schema == "" || len(log.Runs) != 1 {
		return fmt.Errorf("version %q, schema %q, %d runs", log.Version, log.Schema, len(log.Runs))
	}
	run := log.Runs[0]
	if run.Tool.Driver.Name == "" {
		bad("the tool has no name")
	}
	for i, r := range run.Tool.Driver.Rules {
		for what, s := range map[string]string{"id": r.ID, "name": r.Name} {
			if s == "" && what != "id" || utf8.RuneCountInString(s) > 255 {
				bad("rule %d: %s is %q", i, what, s)
			}
		}
		for what, s := range map[string]string{"shortDescription": r.Short.Text, "fullDescription": r.Full.Text} {
			if n := utf8.RuneCountInString(s); n == 0 || n > 1024 {
				bad("rule %s: %s has %d characters", r.ID, what, n)
			}
		}
		if r.Help.Text == "" || r.Help.Markdown == "" {
			bad("rule %s: no help", r.ID)
		}
		if len(r.Bag.Tags) > 10 {
			bad("rule %s: %d tags", r.ID, len(r.Bag.Tags))
		}
	}
	if len(run.Results) > 25000 {
		bad("%d results", len(run.Results))
	}
	for i, r := range run.Results {
		if r.RuleIndex >= len(run.Tool.Driver.Rules) || run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			bad("result %d: rule %q is not the one of index %d", i, r.RuleID, r.RuleIndex)
		}
		if r.Message.Text == "" || r.Fingerprints["primaryLocationLineHash"] == "" || len(r.Locations) == 0 {
			bad("result %d lacks a message, a fingerprint or a location", i)
			continue
		}
		p := r.Locations[0].Physical
		if p == nil || p.Region == nil || p.Region.StartLine < 1 || p.Region.StartColumn < 1 || p.Region.EndColumn < 1 ||
			p.Region.EndLine < p.Region.StartLine {
			bad("result %d: region", i)
			continue
		}
		u, err := url.Parse(p.Artifact.URI)
		if err != nil || p.Artifact.URI == "" || u.Scheme != "" && u.Scheme != "file" {
			bad("result %d: address of the artifact is %q: %v", i, p.Artifact.URI, err)
		}
	}
	return errors.Join(errs...)
}

func TestSARIFIsValid(t *testing.T) {
	for name, report := range reports {
		var b bytes.Buffer
		if err := WriteSARIF(&b, report(), SARIFOptions{Version: "v1.2.3", Revision: "abc"}); err != nil {
			t.Fatal(err)
		}
		if err := validateSARIF(b.Bytes()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// A second, independent reader.
		log, err := sarif.FromBytes(b.Bytes())
		if err != nil {
			t.Fatalf("%s: go-sarif: %v", name, err)
		}
		r := report()
		r.Finish()
		if got := len(log.Runs[0].Results); got != len(r.Findings) {
			t.Errorf("%s: go-sarif reads %d results, want %d", name, got, len(r.Findings))
		}
	}
}

// The validation of this test can fail.
func TestSARIFValidationFails(t *testing.T) {
	var b bytes.Buffer
	if err := WriteSARIF(&b, sampleCheck(), SARIFOptions{}); err != nil {
		t.Fatal(err)
	}
	good := b.String()
	for _, change := range [][2]string{
		{`"version": "2.1.0"`, `"version": "2.0.0"`},
		{`"level": "error"`, `"level": "fatal"`},
		{`"startLine": 1`, `"startLine": 0`},
		{`"ruleIndex": 0`, `"ruleIndex": 99`},
		{`"columnKind"`, `"colourKind"`},
		{`"primaryLocationLineHash"`, `"secondaryLocationLineHash"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s does not stand in the log", change[0])
		}
		if validateSARIF([]byte(bad)) == nil {
			t.Errorf("%s is accepted", change[1])
		}
	}
}

// decode renders a report as SARIF and reads it back.
func decode(t *testing.T, r *Report, o SARIFOptions) sarifRun {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSARIF(&b, r, o); err != nil {
		t.Fatal(err)
	}
	if err := validateSARIF(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	return log.Runs[0]
}

func TestSARIFLevels(t *testing.T) {
	got := map[string]string{}
	for _, r := range decode(t, sampleCheck(), SARIFOptions{}).Results {
		got[r.RuleID+" "+string(r.Properties.Confidence)] = r.Level
	}
	for name, want := range map[string]string{
		"SET_EXCEPTION_BEHAVIOR certain": "error",
		"SET_EXCEPTION_BEHAVIOR likely":  "error",
		"THREAD_SET_STATE possible":      "warning",
		"OOL_PORT_ARRAY certain":         "note", // does not kill at the judged level
	} {
		if got[name] != want {
			t.Errorf("%s: level is %q, want %q", name, got[name], want)
		}
	}
}

func TestSARIFPaths(t *testing.T) {
	for _, c := range []struct{ path, root, uri, base string }{
		{"MyApp.app/Foo", "", "MyApp.app/Foo", "%SRCROOT%"},
		{"./MyApp.app//Foo", "", "MyApp.app/Foo", "%SRCROOT%"},
		{"/build/MyApp.app/Foo", "/build", "MyApp.app/Foo", "%SRCROOT%"},
		{"/other/Foo", "/build", "file:///other/Foo", ""},
		{"../Foo", "/build/sub", "file:///build/Foo", ""},
		{"a b/ü#?%", "", "a%20b/%C3%BC%23%3F%25", "%SRCROOT%"},
		{"a:b", "", "./a:b", "%SRCROOT%"},
		{"-", "/build", "stdin", ""},
		{"", "/build", "unknown", ""},
	} {
		o := SARIFOptions{Root: c.root}
		if got := o.artifact(c.path); got.URI != c.uri || got.BaseID != c.base {
			t.Errorf("artifact(%q) in %q = %+v, want %s %s", c.path, c.root, got, c.uri, c.base)
		}
	}
}

// Where the source is there, a result stands at its line, and the binary is a related location.
func TestSARIFSource(t *testing.T) {
	r := sampleCheck()
	r.Findings = r.Findings[1:2]
	r.Findings[0].Where.File = "/build/src/handler.cpp"
	run := decode(t, r, SARIFOptions{Root: "/build", Exists: func(p string) bool { return p == "src/handler.cpp" }})
	at := run.Results[0].Locations[0].Physical
	if at.Artifact.URI != "src/handler.cpp" || at.Region.StartLine != 42 {
		t.Errorf("location is %+v, region %+v", at.Artifact, at.Region)
	}
	if len(run.Results[0].Related) != 1 || run.Results[0].Related[0].Physical.Address.Absolute != 0x3f58 {
		t.Errorf("related locations are %+v", run.Results[0].Related)
	}
	for _, file := range []string{"/elsewhere/handler.cpp", "../handler.cpp", "src/gone.cpp"} {
		r.Findings[0].Where.File = file
		run := decode(t, r, SARIFOptions{Root: "/build", Exists: func(p string) bool { return p == "src/handler.cpp" }})
		if got := run.Results[0].Locations[0].Physical.Artifact.URI; !strings.HasSuffix(got, "Foo.framework/Foo") {
			t.Errorf("%s: location is %s", file, got)
		}
	}
}

func TestSARIFUnread(t *testing.T) {
	run := decode(t, sampleCheck(), SARIFOptions{})
	if i := run.Invocations[0]; i.Successful || len(i.Notifications) != 2 || i.Notifications[0].Level != "error" {
		t.Errorf("invocation is %+v", i)
	}
	r := sampleCheck()
	r.Unread = nil
	if i := decode(t, r, SARIFOptions{}).Invocations[0]; !i.Successful {
		t.Error("a run that read everything is not successful")
	}
}

func TestSARIFResultLimit(t *testing.T) {
	r := &Report{Moment: MomentCheck}
	for i := range maxSARIFResults + 10 {
		r.Findings = append(r.Findings, Finding{Rule: "THREAD_SET_STATE", Moment: MomentCheck, Confidence: Possible,
			Message: "it is so", Where: Where{Path: "a", Address: fmt.Sprintf("%#x", i+1)}})
	}
	last := &r.Findings[len(r.Findings)-1]
	last.KillsHere, last.Confidence = true, Certain
	var b bytes.Buffer
	if err := WriteSARIF(&b, r, SARIFOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := validateForGitHub(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `"level": "error"`) {
		t.Error("the worst finding was left out")
	}
}
