package crash

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

var update = flag.Bool("update", false, "rewrite golden files")

// fixtures lists the reports in testdata; README.md there names the public source of each.
func fixtures(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && e.Name() != "README.md" {
			names = append(names, e.Name())
		}
	}
	return names
}

func explainFixture(t testing.TB, name string) *finding.Report {
	t.Helper()
	return ExplainFiles([]string{filepath.Join("testdata", name)}, strings.NewReader(""), nil)
}

// fixtureTests says, for every fixture with a guard, what it must be read as: the rule, the code (0: not known), and
// words that must stand in the evidence, among them the meaning of target and payload.
var fixtureTests = []struct {
	name, rule string
	code       rules.Code
	killed     bool
	callee     string
	image      string
	sdk        string
	says       []string
}{
	{"airbattery-207.md", "INVALID_NAME", 0x2000020000008f53, false, "", "", "", []string{"port name 0x8f53", "nothing says that the process died"}},
	{"airbattery-24.txt", "INVALID_NAME", 0x2000020000005d1b, true, "mach_port_deallocate", "AirBattery", "", []string{"port name 0x5d1b", "System Integrity Protection is disabled"}},
	{"alttab-3147.txt", "SET_EXCEPTION_BEHAVIOR", 0x200000062f546350, true, "", "", "", []string{"macOS 14.4"}},
	{"apple-forum-84034.crash", "CLOSE", 0x4000000100000000, true, "_CFStreamClose", "xxxxx", "", []string{"descriptor 0", "0x8fd4dbfade2dead"}},
	{"astyle-py-7.txt", "SET_EXCEPTION_BEHAVIOR", 0x20000006d2178100, true, "", "", "", nil},
	{"buzz-5338.md", "INVALID_NAME", 0, true, "mach_port_deallocate", "buzz-desktop", "user-idle", []string{"IOObjectRelease twice"}},
	{"buzz-6907.log", "INVALID_NAME", 0x200002000003029f, false, "", "", "", []string{"2 lines of the kernel's log", "0x240c3"}},
	{"cpython-109981.txt", "DUP", 0x4000000200000003, false, "fcntl", "python.exe", "", []string{"descriptor 3", "0x4f84efa691046cd"}},
	{"curl-531.crash", "CLOSE", 0x400000010000000e, true, "close", "Jabber", "", []string{"descriptor 14", "0x8fd4dbfade2dead"}},
	{"dota2-3445.md", "INVALID_OPTIONS", 0x2000000300000000, true, "", "Breakpad", "Breakpad", []string{"hides another crash", "MACH64_SEND_KOBJECT_CALL"}},
	{"dota2-gameplay-15277.ips", "INVALID_OPTIONS", 0x2000000300000000, true, "exception_raise", "Breakpad", "Breakpad", []string{"2401", "exception_raise", "hides another crash"}},
	{"dota2-gameplay-21239.txt", "INVALID_OPTIONS", 0x2000000300000000, true, "exception_raise", "Breakpad", "Breakpad", []string{"look at thread 0 (MainThrd), which was in _platform_strlen"}},
	{"dota2-gameplay-34029.txt", "INVALID_OPTIONS", 0x2000000300000000, true, "exception_raise", "Breakpad", "Breakpad", []string{"look at thread 0 (MainThrd), which was in _platform_strlen", "Rosetta"}},
	{"dotnet-diagnostics-4551.txt", "SET_EXCEPTION_BEHAVIOR", 0x200000066a4227d0, true, "thread_swap_exception_ports", "libcoreclr.dylib", "CoreCLR", nil},
	{"frida-2107.txt", "ILLEGAL_MOVE", 0x2000002000000203, true, "mach_msg", "_frida.cpython-38-darwin.so", "Frida", []string{"0x203"}},
	{"frida-2327.md", "INVALID_NAME", 0x200002000000e93f, true, "mach_msg_destroy", "???", "", []string{"port name 0xe93f", "injected"}},
	{"frida-2722.txt", "THREAD_SET_STATE", 0x2000000500000000, true, "thread_set_state", "frida-helper", "Frida", []string{"3604, a call of thread_set_state", "task_for_pid 4 times"}},
	{"frida-3779.md", "SET_EXCEPTION_BEHAVIOR", 0x2000000600000000, true, "", "", "", nil},
	{"frida-core-524.txt", "THREAD_SET_STATE", 0x2000000500000000, true, "thread_set_state", "frida-helper", "Frida", []string{"3604, a call of thread_set_state"}},
	{"hackintool-183.txt", "INVALID_NAME", 0x200002000000c91f, true, "mach_port_deallocate", "Hackintool", "", []string{"port name 0xc91f"}},
	{"ios15-substitute.txt", "INVALID_NAME", 0x2000020000013313, true, "", "", "", []string{"port name 0x13313"}},
	{"naehrdine-blog.md", "THREAD_SET_STATE", 0x2000000500000000, true, "", "", "", nil},
	{"seafile-3069.md", "GUARD_TYPE_MACH_PORT", 0, true, "", "", "", nil},
	{"shadow-173.md", "INVALID_NAME", 0x2000020000022707, true, "mach_port_deallocate", "Runner", "", []string{"port name 0x22707"}},
	{"stackoverflow-32429431.txt", "CLOSE", 0x4000000100000000, true, "", "", "", []string{"descriptor 0"}},
	{"super-tart-9.md", "SET_EXCEPTION_BEHAVIOR", 0x2000000680000001, true, "", "", "", []string{"EXCEPTION_DEFAULT|MACH_EXCEPTION_CODES", "exception mask BAD_ACCESS, BAD_INSTRUCTION, ARITHMETIC, SOFTWARE, BREAKPOINT"}},
	{"super-tart-notes.txt", "SET_EXCEPTION_BEHAVIOR", 0x2000000680000003, true, "task_set_exception_ports", "", "", []string{"EXCEPTION_STATE_IDENTITY|MACH_EXCEPTION_CODES", "BREAKPOINT, SYSCALL, MACH_SYSCALL, RESOURCE"}},
	{"synthetic-descriptor-violation.ips", "OOL_PORT_ARRAY", 0x2000004300800303, true, "mach_msg", "Example", "", []string{"level 2"}},
	{"synthetic-illegal-move.ips", "ILLEGAL_MOVE", 0x2000002000000203, true, "mach_msg", "Example", "", []string{"0x203", "MOVE_SEND"}},
	{"synthetic-incorrect-guard.ips", "INCORRECT_GUARD", 0x2000001000002103, true, "mach_port_unguard", "Example", "", []string{"0x2103", "0x8badf00d"}},
	{"synthetic-ios14.ips", "DESTROY", 0x2000000100002303, true, "mach_port_destroy", "Example", "", []string{"0x2303", "0xcafe0001"}},
	{"synthetic-kobject-reply.ips", "KOBJECT_REPLY_PORT_SEMANTICS", 0x2000000900000001, true, "mach_msg2_internal", "Helper", "", []string{"library inside the program's bundle"}},
	{"synthetic-legacy-trap.ips", "INVALID_OPTIONS", 0x2000000300000d4d, true, "mach_msg_trap", "Helper", "", []string{"task_info"}},
	{"synthetic-macos-15-exception-ports.txt", "SET_EXCEPTION_BEHAVIOR", 0x2000000600000000, true, "thread_set_exception_ports", "yara_x.abi3.so", "Wasmtime", nil},
	{"synthetic-metrickit.json", "SET_EXCEPTION_BEHAVIOR", 0x2000000680000001, true, "", "Helper", "", []string{"EXCEPTION_DEFAULT|MACH_EXCEPTION_CODES"}},
	{"synthetic-mod-refs.ips", "MOD_REFS", 0x2000000200000103, true, "mach_port_deallocate", "Example", "", []string{"0x103", "deallocate"}},
	{"synthetic-msg-filtered.ips", "MSG_FILTERED", 0x2000008000004567, true, "mach_msg", "Example", "", []string{"1234"}},
	{"synthetic-notification.ips", "INVALID_NOTIFICATION_REQ", 0x2000004100000002, true, "mach_port_request_notification", "Example", "", []string{"service port", "mach_notify_port_destroyed"}},
	{"synthetic-os-x-10.10.txt", "DESTROY", 0x2000000100000b03, true, "mach_port_destroy", "guardtest", "", []string{"0xb03"}},
	{"synthetic-rejected-syscall.ips", "GUARD_TYPE_REJECTED_SC", 0xc000000000000001, true, "mach_msg_trap", "Example", "", []string{"mach_msg_trap"}},
	{"synthetic-require-reply-bootstrap.ips", "REQUIRE_REPLY_PORT_SEMANTICS", 0x2000000a00000507, true, "mach_msg", "Example", "", []string{"bootstrap"}},
	{"synthetic-require-reply.ips", "REQUIRE_REPLY_PORT_SEMANTICS", 0x2000000a00001203, true, "mach_msg", "Example", "", []string{"0x1203"}},
	{"synthetic-sentry.json", "ILLEGAL_MOVE", 0x2000002000000203, true, "mach_msg2_trap", "Helper", "", []string{"0x203", "MOVE_SEND"}},
	{"synthetic-service-port.ips", "SERVICE_PORT_VIOLATION_FATAL", 0x2000000700000000, true, "mach_msg", "Example", "", []string{"0x1a03"}},
	{"synthetic-set-context.ips", "SET_CONTEXT", 0x2000000400002103, true, "mach_port_set_context", "Example", "", []string{"0xfeedface"}},
	{"synthetic-thread-set-state-26.ips", "THREAD_SET_STATE", 0x2000000500000006, true, "thread_set_state", "Helper", "", []string{"ARM_THREAD_STATE64"}},
	{"synthetic-unguarded.ips", "UNGUARDED", 0x2000000800002203, true, "mach_port_unguard", "Example", "", []string{"0x2203"}},
	{"synthetic-v1.ips", "INVALID_NAME", 0x2000020000002703, true, "mach_port_deallocate", "Example", "", []string{"port name 0x2703"}},
	{"synthetic-vm-dealloc-gap.ips", "DEALLOC_GAP", 0xa000000100000000, true, "vm_deallocate", "Example", "", []string{"0x16f000000"}},
	{"synthetic-vn-unlink.ips", "VNG_UNLINK", 0x800000040000004d, true, "unlink", "Example", "", []string{"77", "0x1234"}},
	{"vphone-291.md", "SET_EXCEPTION_BEHAVIOR", 0, true, "", "", "", nil},
	{"vscode-12967.log", "EXC_GUARD", 0, true, "", "", "", []string{"minidumps"}},
	{"webkit-safari.json", "GUARD_TYPE_USER", 0x600000000000001f, false, "", "", "", []string{"WEBKIT"}},
	{"xnu-guard-exceptions.txt", "INVALID_NAME", 0x2000020000002703, true, "", "", "", []string{"port name 0x2703"}},
	{"yabai-2134.txt", "THREAD_SET_STATE", 0x2000000500000000, true, "", "", "", nil},
	{"yabai-2356.txt", "THREAD_SET_STATE", 0x2000000500000000, true, "mach_msg2_trap", "", "", []string{"no frame of the faulting thread"}},
	{"yabai-2433.txt", "THREAD_SET_STATE", 0x2000000500000000, true, "mach_msg2_trap", "", "", nil},
	{"zed-48692.md", "INVALID_RIGHT", 0, true, "mach_port_deallocate", "zed", "minidumper", nil},
	{"zed-57664.md", "INVALID_RIGHT", 0x2000010000001d03, true, "mach_port_deallocate", "zed", "minidumper", []string{"0x1d03"}},
	{"zen-15325.md", "ILLEGAL_MOVE", 0, true, "", "", "", nil},
}

func TestFixtures(t *testing.T) {
	tested := map[string]bool{"synthetic-not-a-guard.txt": true} // see TestOtherKinds
	for _, tt := range fixtureTests {
		tested[tt.name] = true
		t.Run(tt.name, func(t *testing.T) {
			r := explainFixture(t, tt.name)
			if len(r.Findings) != 1 {
				t.Fatalf("got %d findings, want 1: %+v, unread %v, notes %v", len(r.Findings), r.Findings, r.Unread, r.Notes)
			}
			f := r.Findings[0]
			got := rules.Code(0)
			if f.Code != nil {
				got = *f.Code
			}
			if f.Rule != tt.rule || got != tt.code || f.KillsHere != tt.killed {
				t.Errorf("got %s %s killed %v, want %s %s %v", f.Rule, got, f.KillsHere, tt.rule, tt.code, tt.killed)
			}
			if f.Callee != tt.callee || f.Where.Image != tt.image {
				t.Errorf("got callee %q in image %q, want %q in %q", f.Callee, f.Where.Image, tt.callee, tt.image)
			}
			sdk := ""
			if f.SDK != nil {
				sdk = f.SDK.Name
			}
			if (sdk == "") != (tt.sdk == "") || !strings.Contains(sdk, tt.sdk) {
				t.Errorf("got SDK %q, want %q", sdk, tt.sdk)
			}
			all := f.Message + "\n" + strings.Join(f.Evidence, "\n")
			for _, s := range tt.says {
				if !strings.Contains(all, s) {
					t.Errorf("%q is not said in:\n%s", s, all)
				}
			}
			if f.Message == "" || f.Remedy == "" {
				t.Error("message or remedy is missing")
			}
			for _, e := range f.Evidence {
				if strings.Contains(e, "taken") && tt.code != 0 {
					t.Errorf("a fixture contradicts itself: %s", e)
				}
			}
		})
	}
	for _, name := range fixtures(t) {
		if !tested[name] {
			t.Errorf("testdata/%s has no test", name)
		}
	}
}

// dump writes an answer in full, independent of how it is rendered.
func dump(w io.Writer, r *finding.Report) {
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-11s %s\n", label, text)
		}
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		line("rule", f.Rule)
		if f.Code != nil {
			line("code", f.Code.String())
		}
		line("payload", f.Payload)
		line("kills", fmt.Sprintf("from level %s; killed here: %v; %s", f.KillsFrom, f.KillsHere, f.Confidence))
		line("message", f.Message)
		line("function", f.Where.Function)
		line("image", f.Where.Image)
		line("callee", f.Callee)
		if f.SDK != nil {
			line("sdk", f.SDK.Name)
		}
		for _, k := range slices.Sorted(maps.Keys(f.Arguments)) {
			line("argument", k+" "+f.Arguments[k])
		}
		for _, e := range f.Evidence {
			line("evidence", e)
		}
		line("remedy", f.Remedy)
		for _, b := range f.Backtrace {
			line("stack", b)
		}
	}
	for _, n := range r.Notes {
		line("note", n.Message)
	}
	for _, u := range r.Unread {
		line("unread", fmt.Sprintf("%d: %s", u.Offset, u.Reason))
	}
}

// TestGolden holds the answers against testdata/golden.
func TestGolden(t *testing.T) {
	for _, name := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			dump(&out, explainFixture(t, name))
			path := filepath.Join("testdata", "golden", name+".txt")
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("differs from %s (run with -update to rewrite it):\n%s", path, diff)
			}
		})
	}
}
