package check

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// expected is what check must say of each function of testdata/calls.c: rule, confidence and the level it kills from.
// Functions that are not listed are harmless.
var expected = map[string]string{
	"_set_default":          "SET_EXCEPTION_BEHAVIOR certain 1",
	"_set_default_tail":     "SET_EXCEPTION_BEHAVIOR certain 1",
	"_set_thread":           "SET_EXCEPTION_BEHAVIOR certain 1",
	"_swap":                 "SET_EXCEPTION_BEHAVIOR certain 1",
	"_set_global_port":      "SET_EXCEPTION_BEHAVIOR likely 1",
	"_set_masked":           "SET_EXCEPTION_BEHAVIOR certain 1",
	"_set_either":           "SET_EXCEPTION_BEHAVIOR likely 1",
	"_set_parameter":        "SET_EXCEPTION_BEHAVIOR possible 1",
	"_set_other_task":       "SET_EXCEPTION_BEHAVIOR likely 1",
	"_set_host":             "SET_EXCEPTION_BEHAVIOR likely none",
	"_set_spawned":          "SET_EXCEPTION_BEHAVIOR likely 1",
	"_restore":              "SET_EXCEPTION_BEHAVIOR possible 1",
	"_restore_kept":         "SET_EXCEPTION_BEHAVIOR possible 1",
	"_state_own":            "THREAD_SET_STATE certain 1",
	"_state_other":          "THREAD_SET_STATE likely 1",
	"_state_kept":           "THREAD_SET_STATE likely 1",
	"_state_act_kept":       "THREAD_SET_STATE likely 1",
	"_state_started":        "THREAD_SET_STATE likely 1",
	"_state_unknown_thread": "THREAD_SET_STATE possible 1",
	"_state_unknown_flavor": "THREAD_SET_STATE possible 1",
	"_construct_weak_reply": "INVALID_MPO_ENTITLEMENT certain 1",
	"_construct_port_array": "INVALID_MPO_ENTITLEMENT certain 1",
	"_trap_send":            "INVALID_OPTIONS certain none",
	"_trap_either":          "INVALID_OPTIONS possible none",
	"_taken":                "SET_EXCEPTION_BEHAVIOR possible 1",
}

// check runs the check over paths and fails on anything unread.
func checkAll(t *testing.T, opts Options, paths ...string) *finding.Report {
	t.Helper()
	r, err := Run(context.Background(), paths, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range r.Unread {
		t.Errorf("unread: %+v", u)
	}
	r.Finish()
	return r
}

func verdicts(r *finding.Report) map[string]string {
	got := map[string]string{}
	for _, f := range r.Findings {
		s := f.Rule + " " + string(f.Confidence) + " " + f.KillsFrom.String()
		if old, ok := got[f.Where.Function]; ok && old != s {
			s = old + "; " + s
		}
		got[f.Where.Function] = s
	}
	return got
}

func TestCalls(t *testing.T) {
	for _, arch := range []string{"arm64", "x86_64"} {
		for _, opt := range []string{"-O1", "-O2", "-Os"} {
			t.Run(arch+opt, func(t *testing.T) {
				t.Parallel()
				object := compile(t, arch+"-apple-macos13", "calls.c", opt)
				t.Run("object", func(t *testing.T) {
					if diff := cmp.Diff(expected, verdicts(checkAll(t, Options{}, object))); diff != "" {
						t.Error("-want +got\n" + diff)
					}
				})
				for _, fixups := range []string{"-fixup_chains", "-no_fixup_chains"} {
					t.Run("program"+fixups, func(t *testing.T) {
						program := link(t, arch, filepath.Join(t.TempDir(), "program"), fixups, object)
						if diff := cmp.Diff(expected, verdicts(checkAll(t, Options{}, program))); diff != "" {
							t.Error("-want +got\n" + diff)
						}
					})
				}
			})
		}
	}
}

// Without optimisation every value goes through the stack, and the helper that makes the port is a function of its own.
// Debug information tells the lines.
func TestCallsUnoptimised(t *testing.T) {
	for _, arch := range []string{"arm64", "x86_64"} {
		t.Run(arch, func(t *testing.T) {
			t.Parallel()
			object := compile(t, arch+"-apple-macos13", "calls.c", "-O0", "-g")
			r := checkAll(t, Options{}, object)
			if diff := cmp.Diff(expected, verdicts(r)); diff != "" {
				t.Error("-want +got\n" + diff)
			}
			for _, f := range r.Findings {
				if !strings.HasSuffix(f.Where.File, "calls.c") || f.Where.Line == 0 {
					t.Errorf("%s: no source line: %q %d", f.Where.Function, f.Where.File, f.Where.Line)
				}
			}
		})
	}
}

// The numbers of a finding are those of the call.
func TestArguments(t *testing.T) {
	object := compile(t, "arm64-apple-macos13", "calls.c", "-O1")
	for _, f := range checkAll(t, Options{}, object).Findings {
		if f.Where.Function != "_set_default" {
			continue
		}
		want := map[string]string{"behavior": "0x80000001", "exception_mask": "0x6e", "flavor": "0x5"}
		for name, v := range want {
			if f.Arguments[name] != v {
				t.Errorf("%s = %q, want %s", name, f.Arguments[name], v)
			}
		}
		if f.Code == nil || *f.Code != rules.MakeCode(rules.GuardMachPort, 6, 0x80000001) || f.Payload != "0x6e" {
			t.Errorf("code %v payload %q", f.Code, f.Payload)
		}
		if f.Callee != "task_set_exception_ports" || !f.KillsHere || f.Level == nil || *f.Level != rules.Level2 {
			t.Errorf("%+v", f)
		}
		return
	}
	t.Error("no finding for _set_default")
}

// Levels decide what kills, not what is found.
func TestLevels(t *testing.T) {
	object := compile(t, "x86_64-apple-macos13", "calls.c", "-O1")
	for _, level := range rules.Levels() {
		r := checkAll(t, Options{Level: &level}, object)
		if len(r.Findings) != len(expected) {
			t.Errorf("%s: %d findings, want %d", level, len(r.Findings), len(expected))
		}
		for _, f := range r.Findings {
			if f.KillsHere != (level >= f.KillsFrom) {
				t.Errorf("%s: %s kills from %s, kills here %v", level, f.Where.Function, f.KillsFrom, f.KillsHere)
			}
		}
	}
}

func TestMinConfidence(t *testing.T) {
	object := compile(t, "arm64-apple-macos13", "calls.c", "-O1")
	for _, c := range []finding.Confidence{finding.Certain, finding.Likely, finding.Possible} {
		want := 0
		for _, v := range expected {
			if finding.Confidence(strings.Fields(v)[1]).Rank() >= c.Rank() {
				want++
			}
		}
		if r := checkAll(t, Options{MinConfidence: c}, object); len(r.Findings) != want {
			t.Errorf("%s: %d findings, want %d", c, len(r.Findings), want)
		}
	}
}

// Every rule and case that a judge names is in the table.
func TestCatalogNamesRules(t *testing.T) {
	for _, name := range []string{setBehavior, threadSetState, mpoEntitlement, invalidOptions} {
		if _, ok := rules.ByName(name); !ok {
			t.Errorf("no rule %s", name)
		}
	}
	for symbol, a := range catalog {
		if a.judge == nil || a.args == 0 {
			t.Errorf("%s: incomplete", symbol)
		}
		if a.taken != "" {
			mustRule(a.taken)
		}
	}
}

func TestUnversioned(t *testing.T) {
	for in, want := range map[string]string{
		"a/Foo.framework/Versions/A/Foo":         "a/Foo.framework/Foo",
		"a/Foo.framework/Foo":                    "a/Foo.framework/Foo",
		"a/Foo.framework/Versions/A/Helpers/bar": "a/Foo.framework/Helpers/bar",
		"Versions/A/Foo":                         "Versions/A/Foo",
	} {
		if got := unversioned(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
