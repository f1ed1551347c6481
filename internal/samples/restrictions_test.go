//go:build linux

package samples

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/crash"
	"portcullis.dev/finding"
	"portcullis.dev/rules"
	"portcullis.dev/run"
)

var update = flag.Bool("update", false, "rewrite the table in examples/README.md")

// pair is a folder of examples: an offender and its mended twin, which do the same.
type pair struct {
	folder   string
	rule     string
	from     rules.Level // that kills
	code     rules.Code  // at that level
	function string      // that makes the call
	callee   string
	says     string // where nothing kills
}

// stateFlavor is the flavor of registers that the offender sets.
var stateFlavor = map[string]uint32{"amd64": 4, "arm64": 6}[runtime.GOARCH]

var pairs = []pair{
	{"require-reply-port-semantics", "REQUIRE_REPLY_PORT_SEMANTICS", rules.Level2, 0x2000000a_00000303, "look_up",
		"mach_msg", "clients of com.example.notes come here\n"},
	{"kobject-reply-port-semantics", "KOBJECT_REPLY_PORT_SEMANTICS", rules.Level1, 0x20000009_00000001, "send_rights",
		"mach_msg2", "leaky() leaks 3 send rights\n"},
	{"ool-port-array", "OOL_PORT_ARRAY", rules.Level2, 0x20000043_00800303, "subscribe", "mach_msg",
		"place 0 has changed\nplace 1 has changed\nplace 2 has changed\n"},
	{"thread-set-state", "THREAD_SET_STATE", rules.Level1, 0x20000005_00000000 | rules.Code(stateFlavor), "redirect",
		"thread_set_state", "given up after many rounds: yes\n"},
	{"set-exception-behavior", "SET_EXCEPTION_BEHAVIOR", rules.Level1, 0x20000006_80000001, "install_reporter",
		"task_set_exception_ports", "exception 1, code 1, address 0x10\nwhile opening chapter 3\n"},
	{"illegal-move", "ILLEGAL_MOVE", rules.Level1, 0x20000020_00000103, "be_looked_at", "mach_msg",
		"the monitor saw: writing chapter 3\n"},
}

// inGo are the pairs that are there in Go too: function and callee of the offender.
var inGo = map[string][2]string{
	"require-reply-port-semantics": {"main.lookUp", "portcullis.dev/trap/task.(*Thread).Msg"},
	"kobject-reply-port-semantics": {"main.sendRights", "portcullis.dev/trap/task.(*Thread).Msg"},
	"ool-port-array":               {"main.subscribe", "portcullis.dev/trap/task.(*Thread).Msg"},
}

// codeAt returns the code at a level. That of OOL_PORT_ARRAY has the policy of the sender in it.
func (p *pair) codeAt(l rules.Level) rules.Code {
	if p.rule != "OOL_PORT_ARRAY" {
		return p.code
	}
	return p.code&^0xfff | map[rules.Level]rules.Code{rules.Level2: 0x303, rules.Level3: 0x403, rules.LevelPlatform: 0x407}[l]
}

// enforced is a kernel as portcullis run starts it, at one level.
type enforced struct {
	*run.Session
	mu      sync.Mutex
	reports map[int]string // by process
}

func enforce(t *testing.T, l rules.Level) *enforced {
	e := &enforced{reports: map[int]string{}}
	s, err := run.Start(run.Options{Level: &l, Reports: t.TempDir(), Reported: func(r run.Report, err error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if err != nil {
			t.Error(err)
		}
		e.reports[r.PID] = r.Path
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	e.Session = s
	return e
}

// verdict is what became of a program.
type verdict struct {
	said   string
	end    *os.ProcessState
	report *finding.Report // nil without one
}

func (e *enforced) try(t *testing.T, program string) verdict {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if _, err := e.RunCommand(cmd); err != nil {
		t.Fatal(err)
	}
	v := verdict{said: out.String(), end: cmd.ProcessState}
	e.mu.Lock()
	path := e.reports[cmd.Process.Pid]
	e.mu.Unlock()
	if path != "" {
		v.report = crash.ExplainFiles([]string{path}, nil, nil)
	}
	return v
}

// judgeKilled wants that a restriction killed a program in the call that its author wrote, and that the report says so.
func judgeKilled(t *testing.T, p *pair, l rules.Level, v verdict) {
	t.Helper()
	if s := v.end.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL || v.said != "" || v.report == nil {
		t.Errorf("%v, report %v, said %q", v.end, v.report != nil, v.said)
		return
	}
	if len(v.report.Findings) != 1 || len(v.report.Unread) > 0 {
		t.Errorf("%d findings, unread %v", len(v.report.Findings), v.report.Unread)
		return
	}
	f := v.report.Findings[0]
	row, ok := rules.ByCode(p.code)
	if !ok {
		t.Fatalf("no rule has the code %#x", p.code)
	}
	switch {
	case f.Rule != p.rule || f.Code == nil || *f.Code != p.codeAt(l):
		t.Errorf("%s with %v, want %s with %v", f.Rule, f.Code, p.rule, p.codeAt(l))
	case f.Where.Function != p.function || f.Where.Line == 0:
		t.Errorf("in %+v, want %s\n%s", f.Where, p.function, strings.Join(f.Backtrace, "\n"))
	case f.Callee != p.callee:
		t.Errorf("calls %s, want %s\n%s", f.Callee, p.callee, strings.Join(f.Backtrace, "\n"))
	case !f.KillsHere || f.Confidence != finding.Certain || f.Remedy == "" || f.Remedy != row.Remedy:
		t.Errorf("%+v", f)
	}
}

// example is a program of a pair.
type example struct {
	*pair
	source  string // below examples
	mended  bool
	program string
}

// examples builds all programs.
func examples(t *testing.T) (all []example) {
	s := installed(t)
	for i := range pairs {
		p := &pairs[i]
		all = append(all, example{pair: p, source: filepath.Join(p.folder, "offender.c")},
			example{pair: p, source: filepath.Join(p.folder, "mended.c"), mended: true})
		if names, ok := inGo[p.folder]; ok {
			q := *p
			q.function, q.callee = names[0], names[1]
			all = append(all, example{pair: &q, source: filepath.Join(p.folder, "go", "offender", "main.go")},
				example{pair: &q, source: filepath.Join(p.folder, "go", "mended", "main.go"), mended: true})
		}
	}
	dir := t.TempDir()
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for i := range all {
		e := &all[i]
		e.program = filepath.Join(dir, strings.ReplaceAll(e.source, "/", "-")+".out")
		source := filepath.Join("..", "..", "examples", e.source)
		args := slices.Concat([]string{"cc", "-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-o", e.program}, s.Compile(),
			[]string{source}, s.Link())
		if filepath.Ext(source) == ".go" {
			args = []string{"go", "build", "-o", e.program, source}
		}
		group.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", e.source, err, out)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// TestRestrictions runs the offender and the mended twin of every restriction at every level: who dies, with which code,
// in which function, and who lives. The table of it stands in examples/README.md.
func TestRestrictions(t *testing.T) {
	all := examples(t)
	cells := make([][]string, len(all))
	for i := range cells {
		cells[i] = make([]string, len(levels))
	}
	t.Run("levels", func(t *testing.T) {
		for j, l := range levels {
			t.Run(l.String(), func(t *testing.T) {
				t.Parallel()
				for i, e := range all {
					v := enforce(t, l).try(t, e.program) // a kernel each: they use the same names
					cells[i][j] = "lives"
					if v.report != nil && len(v.report.Findings) > 0 && v.report.Findings[0].Code != nil {
						cells[i][j] = fmt.Sprintf("`%#x`", uint64(*v.report.Findings[0].Code))
					}
					t.Run(e.source, func(t *testing.T) {
						if !e.mended && l >= e.from {
							judgeKilled(t, e.pair, l, v)
						} else if !v.end.Success() || v.said != e.says || v.report != nil {
							t.Errorf("%v, report %v, said %q, want %q", v.end, v.report != nil, v.said, e.says)
						}
					})
				}
			})
		}
	})
	if runtime.GOARCH != "amd64" {
		return // the codes of THREAD_SET_STATE have the flavor in them
	}
	var table strings.Builder
	table.WriteString("| program |")
	for _, l := range levels {
		table.WriteString(" " + l.String() + " |")
	}
	table.WriteString("\n|---" + strings.Repeat("|---", len(levels)) + "|\n")
	for i, e := range all {
		fmt.Fprintf(&table, "| [%s](%s) | %s |\n", e.source, e.source, strings.Join(cells[i], " | "))
	}
	compare(t, filepath.Join("..", "..", "examples", "README.md"), table.String())
}

const (
	tableBegin = "<!-- levels: written by go test ./internal/samples -update -->\n"
	tableEnd   = "<!-- end -->"
)

// compare compares a table with the one of a page, or writes it there.
func compare(t *testing.T, page, table string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), tableBegin)
	shown, after, closed := strings.Cut(rest, tableEnd)
	switch {
	case !ok || !closed:
		t.Fatalf("%s has no table", page)
	case shown == table:
	case !*update:
		t.Errorf("%s shows another table; go test ./internal/samples -update mends it. -shown +found:\n%s", page,
			cmp.Diff(shown, table))
	case t.Failed():
		t.Errorf("%s stays as it is", page)
	default:
		if err := os.WriteFile(page, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
