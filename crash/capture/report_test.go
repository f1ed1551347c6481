//go:build linux && (amd64 || arm64)

package capture

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis.dev/crash"
	"portcullis.dev/crash/unwind"
	"portcullis.dev/rules"
)

func init() {
	// What a program looks like that has the library of Mach calls inside and is stopped in a trap.
	sources["guard.c"] = `
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) int mach_msg2_trap(int n) { puts("ready"); fflush(stdout); pause(); return n + 1; }
__attribute__((noinline)) int mach_msg2_internal(int n) { return mach_msg2_trap(n) + 1; }
__attribute__((noinline)) int mach_msg(int n) { return mach_msg2_internal(n) + 1; }
__attribute__((noinline)) int task_set_exception_ports(int n) { return mach_msg(n) + 1; }
static inline __attribute__((always_inline)) int swap(int n) { return task_set_exception_ports(n) * 3; }
__attribute__((noinline)) int install_handlers(int n) {
	return swap(n) + 1;
}
int main(int argc, char **argv) { (void)argv; return install_handlers(argc) + 1; }
`
}

var setExceptionBehavior = rules.Code(0x2000000680000001)

func guardCrash(at time.Time) Crash {
	x, r := crash.GuardException(setExceptionBehavior, 0x6e)
	return Crash{Time: at, Exception: x, Termination: r, Own: crash.IPSOwn{Version: "test", Emulates: "macOS 26.4", Level: "2",
		DecidedBy: "--level", Trap: "mach_msg2_trap", MessageID: 3413, Notes: []string{"audit: seen once"}}}
}

// TestReport follows a violation from the process to what explain says of its report.
func TestReport(t *testing.T) {
	for _, flags := range [][]string{{"-O2", "-g"}, {"-O0", "-g", "-static-pie"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			pid := start(t, build(t, "gcc", "guard.c", flags...))
			s := snapshot(t, pid, Options{Triggered: pid})
			at := time.Date(2026, 3, 27, 10, 11, 12, 0, time.UTC)
			ips := s.Report(guardCrash(at))
			dir := t.TempDir()
			path, err := crash.Save(dir, ips, at)
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(dir, "victim-2026-03-27-101112.ips"); path != want {
				t.Errorf("saved as %s, want %s", path, want)
			}
			checkExplained(t, path)
			checkForm(t, path, s)
		})
	}
}

func checkExplained(t *testing.T, path string) {
	t.Helper()
	rep := crash.ExplainFiles([]string{path}, nil, nil)
	if len(rep.Findings) != 1 || len(rep.Unread) != 0 {
		t.Fatalf("findings %+v, unread %+v", rep.Findings, rep.Unread)
	}
	f := rep.Findings[0]
	if f.Rule != "SET_EXCEPTION_BEHAVIOR" || *f.Code != setExceptionBehavior || !f.KillsHere {
		t.Errorf("rule %s, code %v, kills %v", f.Rule, f.Code, f.KillsHere)
	}
	w := f.Where
	if (w.Function != "install_handlers" && w.Function != "swap") || f.Callee != "task_set_exception_ports" ||
		!strings.HasSuffix(w.File, "guard.c") || w.Line < 8 || w.Line > 10 || w.Image != "victim" {
		t.Errorf("blames %+v, callee %s", w, f.Callee)
	}
	all := strings.Join(f.Evidence, "\n")
	for _, want := range []string{"level 2, from --level", "audit: seen once", "victim [", "3413"} {
		if !strings.Contains(all, want) {
			t.Errorf("evidence lacks %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "in macOS") || strings.Contains(all, "same number means") {
		t.Errorf("the release was not taken from the report:\n%s", all)
	}
}

// checkForm checks what readers of Apple's reports count on.
func checkForm(t *testing.T, path string, s *Snapshot) {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := bytes.Cut(data, []byte("\n"))
	var h struct {
		AppName   string `json:"app_name"`
		BugType   string `json:"bug_type"`
		Timestamp string
		Slice     string `json:"slice_uuid"`
		Incident  string `json:"incident_id"`
		Route     int    `json:"sroute_id"`
	}
	if err := json.Unmarshal(head, &h); err != nil {
		t.Fatal(err)
	}
	var b struct {
		Version, Pid, FaultingThread *int
		ProcName, ProcPath, CPUType  string
		Incident                     string
		Exception, Termination       map[string]any
		Threads                      []struct {
			ID          int
			Triggered   bool
			ThreadState map[string]any
			Frames      []struct {
				ImageOffset *uint64
				ImageIndex  *int
				Symbol      string
			}
		}
		UsedImages []struct {
			Base, Size               uint64
			UUID, Path, Name, Source string
			Arch                     string
		}
		LegacyInfo, Portcullis map[string]any
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&b); err != nil {
		t.Fatal(err)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	if h.AppName != "victim" || h.BugType != "309" || h.Route != 12 || h.Incident != b.Incident || !uuid.MatchString(h.Slice) ||
		h.Timestamp != "2026-03-27 10:11:12.00 +0000" {
		t.Errorf("header %s", head)
	}
	if b.Version == nil || *b.Version != 2 || *b.Pid != s.PID || b.FaultingThread == nil || *b.FaultingThread != 0 ||
		b.ProcName != "victim" || !strings.HasSuffix(b.ProcPath, "/victim") {
		t.Errorf("body %.300s", body)
	}
	if got := b.Exception["message"]; got != " SET_EXCEPTION_BEHAVIOR on mach port 2147483649 (guarded with 0x000000000000006e)" {
		t.Errorf("message %q", got)
	}
	if got := b.Termination["code"]; got != json.Number("2305843037130981377") {
		t.Errorf("termination code %v", got)
	}
	main := b.UsedImages[0]
	if main.Name != "victim" || main.Base == 0 || main.Size == 0 || main.UUID != h.Slice || main.Source != "P" ||
		b.UsedImages[1].Name != "[vdso]" {
		t.Errorf("images %+v", b.UsedImages)
	}
	for _, th := range b.Threads {
		if th.ThreadState["flavor"] == nil || len(th.Frames) < 6 {
			t.Errorf("thread %+v", th)
		}
		for _, f := range th.Frames {
			if f.ImageOffset == nil || f.ImageIndex == nil || *f.ImageIndex >= len(b.UsedImages) {
				t.Errorf("frame %+v", f)
			}
		}
	}
	read, err := crash.ReadIPS(data)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if _, err := read.WriteTo(&again); err != nil || !bytes.Equal(again.Bytes(), data) {
		t.Errorf("written again it differs: %v\n%s\n%s", err, data, again.Bytes())
	}
}

// TestWithoutProcess makes a report of what was handed in alone.
func TestWithoutProcess(t *testing.T) {
	r := unwind.Registers{Arch: unwind.AMD64}
	r.Set(unwind.RIP, 0x401000)
	s := &Snapshot{Facts: Facts{PID: 7, Name: "gone", Arch: unwind.AMD64},
		Threads: []Thread{{TID: 7, Triggered: true, Registers: r, Frames: []unwind.Frame{{PC: 0x401000, Registers: r}}}}}
	path, err := crash.Save(t.TempDir(), s.Report(guardCrash(time.Now())), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	rep := crash.ExplainFiles([]string{path}, nil, nil)
	if len(rep.Findings) != 1 || len(rep.Unread) != 0 || rep.Findings[0].Rule != "SET_EXCEPTION_BEHAVIOR" {
		t.Errorf("findings %+v, unread %+v", rep.Findings, rep.Unread)
	}
	s = &Snapshot{Facts: Facts{PID: 8}}
	if path, err = crash.Save(t.TempDir(), s.Report(guardCrash(time.Now())), time.Now()); err != nil {
		t.Fatal(err)
	}
	if rep := crash.ExplainFiles([]string{path}, nil, nil); len(rep.Findings) != 1 || len(rep.Unread) != 0 {
		t.Errorf("findings %+v, unread %+v", rep.Findings, rep.Unread)
	}
}

// TestHandedRegisters takes the registers from the caller, and no others.
func TestHandedRegisters(t *testing.T) {
	pid := start(t, build(t, "gcc", "chain.c", "-O2", "-g"))
	first := snapshot(t, pid, Options{})
	regs := first.Threads[0].Registers
	s := snapshot(t, pid, Options{Stop: LeaveThreads, Registers: map[int]unwind.Registers{pid: regs}, Triggered: pid})
	if got, want := named(s, 0), named(first, 0); !slices.Equal(got, want) || !slices.Contains(got, "middle") {
		t.Errorf("got %v, want %v", got, want)
	}
	if s := snapshot(t, pid, Options{Stop: LeaveThreads}); len(s.Threads) != 1 || s.Threads[0].Frames != nil {
		t.Errorf("frames without registers: %+v", s.Threads)
	}
}

// TestDeletedProgram unwinds a program whose file is gone, and one whose file was replaced.
func TestDeletedProgram(t *testing.T) {
	for _, replace := range []bool{false, true} {
		name := build(t, "gcc", "chain.c", "-O2", "-g")
		pid := start(t, name)
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if replace {
			if err := os.WriteFile(name, []byte("\x7fELF is what it is not"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		s := snapshot(t, pid, Options{})
		if got := named(s, 0); !slices.Contains(got, "outer") || s.Threads[0].End != unwind.ErrEnd {
			t.Errorf("replaced %v: %v, %v", replace, got, s.Threads[0].End)
		}
	}
}

// TestEnded takes snapshots of processes that are dead or dying.
func TestEnded(t *testing.T) {
	if _, err := Process(1<<22-1, Options{}); err == nil {
		t.Error("a process that is none has a snapshot")
	}
	name := build(t, "gcc", "chain.c", "-O2")
	for i := range 20 {
		pid := start(t, name)
		go func() {
			time.Sleep(time.Duration(i) * 100 * time.Microsecond)
			p, _ := os.FindProcess(pid)
			_ = p.Kill()
		}()
		s, err := Process(pid, Options{Triggered: pid})
		if err != nil {
			continue
		}
		if r := s.Report(guardCrash(time.Now())); len(r.Body.Threads) == 0 {
			t.Error("the thread at fault is missing")
		}
		s.Close()
	}
}
