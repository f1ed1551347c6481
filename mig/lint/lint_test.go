package lint_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/mig"
	"portcullis.dev/mig/lint"
	"portcullis.dev/mig/source"
	"portcullis.dev/rules"
)

const types = `type int = MACH_MSG_TYPE_INTEGER_32;
type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
type task_t = mach_port_t;
type thread_act_t = mach_port_t;
type task_read_t = mach_port_t;
type task_move_t = MACH_MSG_TYPE_MOVE_SEND cusertype: task_t;
type once_t = MACH_MSG_TYPE_MAKE_SEND_ONCE;
type send_t = MACH_MSG_TYPE_MAKE_SEND;
type ports_t = ^array[] of mach_port_t;
type moved_t = ^array[] of MACH_MSG_TYPE_MOVE_SEND;
type inline_t = array[*:8] of mach_port_t;
`

func TestCheck(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // argument or routine, rule, level
	}{
		{"clean", "routine r(p : mach_port_t; a : int; out b : mach_port_t);", nil},
		{"inline array", "routine r(p : mach_port_t; a : inline_t);", nil},
		{"array in", "routine r(p : mach_port_t; a : ports_t);", []string{"a OOL_PORT_ARRAY 2"}},
		{"array out", "routine r(p : mach_port_t; out a : moved_t);", []string{"a OOL_PORT_ARRAY 2"}},
		{"two arrays", "routine r(p : mach_port_t; a : ports_t; b : moved_t);",
			[]string{"a OOL_PORT_ARRAY 2", "b OOL_PORT_ARRAY 2"}},
		{"the kernel answers", "routine r(p : task_t; out a : ports_t);", nil},
		{"the kernel is sent", "routine r(p : task_t; a : ports_t);", []string{"a OOL_PORT_ARRAY 2"}},
		{"control", "routine r(p : mach_port_t; a : task_t; out b : thread_act_t);",
			[]string{"a ILLEGAL_MOVE 1", "b ILLEGAL_MOVE 1"}},
		{"read", "routine r(p : mach_port_t; a : task_read_t);", []string{"a ILLEGAL_MOVE 1"}},
		{"control to the kernel", "routine r(p : task_t; a : task_t);", nil},
		{"control moved to the kernel", "routine r(p : task_t; a : task_move_t);", []string{"a MOD_REFS 1"}},
		{"reply port", "routine r(p : mach_port_t; replyport q : once_t);", []string{"q REQUIRE_REPLY_PORT_SEMANTICS none"}},
		{"reply right", "routine r(p : mach_port_t; ureplyport q : send_t);", []string{"q ILLEGAL_MOVE none"}},
		{"the server's reply port", "routine r(p : mach_port_t; sreplyport q : once_t);", nil},
		{"simple to the kernel", "simpleroutine r(p : thread_act_t);", []string{"r INVALID_OPTIONS none"}},
		{"exceptions", "subsystem exc 2405; routine r(p : mach_port_t);", []string{"r SET_EXCEPTION_BEHAVIOR 1"}},
		{"protected exceptions", "subsystem exc 2408; routine r(p : mach_port_t);", nil},
		{"registers", "subsystem thread_act 3604; routine r(p : thread_act_t);", []string{"r THREAD_SET_STATE 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := "subsystem demo 4200;\n" + types + tt.text
			if strings.HasPrefix(tt.text, "subsystem") {
				text = types + tt.text
			}
			i, errs := mig.Compile("a.defs", mig.Options{Read: func(string) ([]byte, error) { return []byte(text), nil }})
			if len(errs.All) > 0 {
				t.Fatal(errs.All[0].String())
			}
			lint.Check(i, rules.LevelPlatform, source.Warning, errs)
			var got []string
			for _, d := range errs.All {
				at := text[d.Pos.Offset:][:d.Length]
				got = append(got, at+" "+d.Rule+" "+d.Level)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if errs.Errors() > 0 {
				t.Error("a warning counts as an error")
			}
		})
	}
}

func TestLevelAndSeverity(t *testing.T) {
	text := "subsystem demo 4200;\n" + types + "routine r(p : mach_port_t; a : ports_t; b : task_t);"
	for level, want := range map[rules.Level]int{rules.LevelNone: 0, rules.Level1: 1, rules.Level2: 2} {
		i, errs := mig.Compile("a.defs", mig.Options{Read: func(string) ([]byte, error) { return []byte(text), nil }})
		lint.Check(i, level, source.Error, errs)
		if errs.Errors() != want {
			t.Errorf("level %s: %d errors, want %d", level, errs.Errors(), want)
		}
	}
}

func TestTooManyDescriptors(t *testing.T) {
	text := "subsystem demo 4200;\n" + types + "routine r(p : task_t; a : inline_t);"
	i, errs := mig.Compile("a.defs", mig.Options{Read: func(string) ([]byte, error) { return []byte(text), nil }})
	lint.Check(i, rules.LevelPlatform, source.Warning, errs)
	if len(errs.All) != 1 || !strings.Contains(errs.All[0].Message, "MACH_SEND_TOO_LARGE") {
		t.Errorf("%v", errs.All)
	}
}
