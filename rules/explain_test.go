package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ptr(v uint64) *uint64 { return &v }

// TestExplain reads the codes of real reports and of worked examples. want holds pieces of what must be said.
func TestExplain(t *testing.T) {
	tests := []struct {
		code    string
		payload *uint64
		os      string
		rule    string
		caseID  string
		kills   Level
		want    []string // in sentence, target, payload text, facts or what is unverified
		not     []string
	}{
		// Public reports.
		{"2305843022098595840", ptr(0x8001430200000003), "macOS 26.5.2 " +
			"(25F84)", "INVALID_OPTIONS", "options", LevelNone,
			[]string{"meant for the kernel to a port that belongs to a process", "MACH64_SEND_KOBJECT_CALL",
				"hardened runtime", "translated by Rosetta", "first fault is on another thread"}, nil},
		{"2305843022098595840", nil, "macOS 13.0.1 (22A400)", "INVALID_OPTIONS", "", LevelNone,
			[]string{"options that do not fit its destination"}, nil},
		{"2305843030688530432", ptr(0), "macOS 14.4 (23E214)", "THREAD_SET_STATE", "", Level1,
			[]string{"set the registers of a thread", "before macOS 26"}, []string{"flavor 0"}},
		{"2305843037130981377", ptr(0x6e), "iPhone OS 26.1 (23B85)", "SET_EXCEPTION_BEHAVIOR", "behavior", Level1,
			[]string{"EXCEPTION_DEFAULT|MACH_EXCEPTION_CODES", "BAD_ACCESS, BAD_INSTRUCTION, ARITHMETIC, SOFTWARE, " +
				"BREAKPOINT"}, nil},
		{"2305843037130981379", ptr(0x9ce), "", "SET_EXCEPTION_BEHAVIOR", "behavior", Level1,
			[]string{"EXCEPTION_STATE_IDENTITY|MACH_EXCEPTION_CODES", "SYSCALL", "RESOURCE"}, nil},
		{"2305843036766218192", ptr(0), "macOS 14.4 (23E214)", "SET_EXCEPTION_BEHAVIOR", "", Level1,
			[]string{"0x6a4227d0, low half of a kernel address"}, []string{"behavior 0x"}},
		{"2305843036766218192", nil, "", "SET_EXCEPTION_BEHAVIOR", "", Level1, []string{"kernel address"}, nil},
		{"2305843035777557328", nil, "macOS 14.4", "SET_EXCEPTION_BEHAVIOR", "", Level1, []string{"0x2f546350"}, nil},
		{"0x2000000600000000", ptr(0), "iPhone OS 18.5 (22F76)", "SET_EXCEPTION_BEHAVIOR", "", Level1,
			[]string{"tell neither behavior nor mask"}, []string{"kernel address"}},
		{"0x2000000600000000", nil, "", "SET_EXCEPTION_BEHAVIOR", "", Level1, []string{"tell neither"}, nil},
		{"2305843146652647939", ptr(0), "macOS 12.3.1 (21E258)", "ILLEGAL_MOVE", "", LevelNone,
			[]string{"port 0x203", "by habit mach_task_self()"}, []string{"receive right"}},
		{"2305844108725329155", ptr(0x0500000002020000), "macOS 26.4.1 (25E253)", "INVALID_RIGHT", "", Level1,
			[]string{"port 0x1d03", "holds only a receive right", "optional"}, nil},
		{"2305845208237112195", ptr(0), "", "INVALID_NAME", "", Level1, []string{"0x27b83"}, nil},
		{"2305845208236959491", ptr(0), "", "INVALID_NAME", "", Level1, []string{"0x2703 (9987)"}, nil},
		{"4611686027017322499", nil, "macOS 14.0", "DUP", "", LevelNone, []string{"descriptor 3"}, nil},
		{"0x600000000000001f", ptr(0x1234), "iPhone OS 26.0", "GUARD_TYPE_USER", "", Never,
			[]string{"31 (WEBKIT)", "does not end"}, nil},
		// Worked examples.
		{"0x2000000600000003", ptr(2), "", "SET_EXCEPTION_BEHAVIOR", "behavior", Level1,
			[]string{"EXCEPTION_STATE_IDENTITY for BAD_ACCESS"}, nil},
		{"0x2000000680000005", ptr(0x1bfe), "macOS 26.4", "SET_EXCEPTION_BEHAVIOR", "only-one-exception-port", Level1,
			[]string{"hardened exception handler alone"}, nil},
		{"2305843052163371523", ptr(0), "", "REQUIRE_REPLY_PORT_SEMANTICS", "service-port", LevelNone,
			[]string{"0x1203", "does not exist in the process that was killed", "every level"}, nil},
		{"0x2000000a00000507", ptr(1), "", "REQUIRE_REPLY_PORT_SEMANTICS", "bootstrap-port", Level2,
			[]string{"bootstrap port", "from level 2"}, nil},
		{"0x2000000a00000000", nil, "", "REQUIRE_REPLY_PORT_SEMANTICS", "", LevelNone, []string{"travelling"}, nil},
		{"2305843047868399617", ptr(0), "", "KOBJECT_REPLY_PORT_SEMANTICS", "kernel-object", Level1,
			[]string{"called the kernel", "the kernel's own name"}, nil},
		{"2305843296984892163", ptr(0x0300000000000001), "", "OOL_PORT_ARRAY", "destination", Level2,
			[]string{"to an ordinary port", "level 2, sent with mach_msg2", "26.0 to 26.3"}, nil},
		{"2305843296984892423", ptr(0x0100000000000011), "macOS 26.4", "OOL_PORT_ARRAY", "disposition", Level2,
			[]string{"MACH_MSG_TYPE_MOVE_SEND", "platform binary"}, []string{"26.0 to 26.3"}},
		{"0x2000004300800303", ptr(0x0200000000000002), "", "OOL_PORT_ARRAY", "two-arrays", Level2,
			[]string{"2 arrays"}, nil},
		{"0x200000430080040b", ptr(0x0300000000000011), "", "OOL_PORT_ARRAY", "destination", Level2,
			[]string{"level 3, contained", "a task control port"}, nil},
		{"2305843030688530438", ptr(0), "", "THREAD_SET_STATE", "registers", Level1, []string{"ARM_THREAD_STATE64"}, nil},
		{"0x2000000500000007", ptr(0), "macOS 26.4", "THREAD_SET_STATE", "registers", Level1,
			[]string{"(x86_THREAD_STATE)"}, nil},
		{"0x200000050000000f", ptr(0), "macOS 26.4", "THREAD_SET_STATE", "debug-registers", LevelNone,
			[]string{"ARM_DEBUG_STATE64", "arm64e"}, nil},
		{"0x2000000500000011", ptr(0), "iOS 26.4", "THREAD_SET_STATE", "in-exception", Level1,
			[]string{"ARM_NEON_STATE64", "another task"}, nil},
		{"0x2000000500000011", ptr(0), "macOS 26.4", "THREAD_SET_STATE", "in-exception-macos", Level2, nil, nil},
		{"2305843146652647939", ptr(0x0000001100000011), "", "ILLEGAL_MOVE", "own-control-port-macos", Level1,
			[]string{"its own task control port", "MACH_MSG_TYPE_MOVE_SEND", "elsewhere at every level"}, nil},
		{"2305843146652647939", ptr(0x0000001100000011), "iOS 26.4", "ILLEGAL_MOVE", "own-control-port", LevelNone, nil, nil},
		{"2305843146652647939", ptr(0x0000000d00000011), "macOS 26.4", "ILLEGAL_MOVE", "own-control-port-macos", Level1,
			[]string{"own thread control port"}, nil},
		{"2305843146652647683", ptr(0), "macOS 26.4", "ILLEGAL_MOVE", "", LevelNone, []string{"receive right " +
			"0x103"}, nil},
		{"0x2000002000001a03", ptr(0x0000000a00000014), "macOS 26.4", "ILLEGAL_MOVE", "immovable-type", LevelNone,
			[]string{"make a right to a reply port", "MACH_MSG_TYPE_MAKE_SEND", "MAKE_SEND_ONCE"}, nil},
		{"0x2000002000001a03", ptr(0x0000000b00000011), "macOS 26.4", "ILLEGAL_MOVE", "immovable-type", LevelNone,
			[]string{"special reply port"}, nil},
		{"0x2000002000000203", ptr(0x0000001100000012), "macOS 26.4", "ILLEGAL_MOVE", "own-control-port-macos", Level1,
			[]string{"reply field"}, nil},
		{"0x2000000200000203", ptr(3), "macOS 26.4", "MOD_REFS", "pinned", Level1, []string{"moved in a message"}, nil},
		{"0x2000000200000203", ptr(0x0100000000000000), "macOS 26.4", "MOD_REFS", "pinned", Level1,
			[]string{"mach_port_deallocate"}, nil},
		{"0x2000000200000203", ptr(0x0400000000000000), "macOS 15.0", "MOD_REFS", "pinned", LevelPlatform,
			[]string{"moved in a message"}, nil},
		{"2305843022098599245", ptr(0x3), "macOS 26.4", "INVALID_OPTIONS", "legacy-trap", LevelNone,
			[]string{"3405 (task_info)", "old mach_msg_trap"}, nil},
		{"0x2000000300000000", ptr(0x8000030400000001), "macOS 26.4", "INVALID_OPTIONS", "options", LevelNone,
			[]string{"ordinary message to a kernel object"}, nil},
		{"0x2000000300000000", ptr(0x8000030000000001), "macOS 26.4", "INVALID_OPTIONS", "options", LevelNone,
			[]string{"without saying"}, nil},
		{"0x2000000300000000", ptr(0x8000030600000001), "macOS 26.4", "INVALID_OPTIONS", "options", LevelNone,
			[]string{"several kinds"}, nil},
		{"0x2000000300000000", ptr(0x8000030300000001), "macOS 26.4", "INVALID_OPTIONS", "options", LevelNone,
			[]string{"vector"}, nil},
		{"2341871806232662787", nil, "macOS 14.2", "REQUIRE_REPLY_PORT_SEMANTICS", "", Never,
			[]string{"ordinary port 0x1303", "soft"}, nil},
		{"0x2100000000001303", nil, "macOS 14.0", "SET_EXCEPTION_BEHAVIOR", "", Never, []string{"new port 0x1303"}, nil},
		{"0x2001000000001103", nil, "macOS 10.14.6", "SEND_INVALID_REPLY", "", LevelPlatform, nil, nil},
		{"0x2002000000001103", nil, "macOS 10.14", "SEND_INVALID_RIGHT", "", LevelPlatform, []string{"1 << 17"}, nil},
		{"0x2004000000001103", nil, "macOS 10.14", "RCV_INVALID_NAME", "", LevelPlatform, nil, nil},
		{"0x2008000000001103", nil, "macOS 10.14", "RCV_INVALID_NOTIFY", "", LevelPlatform, nil, nil},
		{"0x2002000000001103", ptr(0x13), "macOS 26.4", "SEND_INVALID_VOUCHER", "", Level1,
			[]string{"MACH_MSG_TYPE_COPY_SEND"}, nil},
		{"0x2001000000001103", ptr(0x0002000000000014), "macOS 26.4", "SEND_INVALID_REPLY", "", Level1,
			[]string{"MACH_MSG_TYPE_MAKE_SEND; the process held a receive right"}, nil},
		{"0x2004000000001103", ptr(0x0200000000000011), "macOS 26.4", "SEND_INVALID_RIGHT", "", Level1,
			[]string{"MACH_MSG_TYPE_MOVE_SEND in an out-of-line port array"}, nil},
		{"0x2000010000001103", ptr(0x0400000400000015), "macOS 26.4", "INVALID_RIGHT", "", Level1,
			[]string{"in a port descriptor: MACH_MSG_TYPE_MAKE_SEND_ONCE"}, nil},
		{"0x2000010000001103", ptr(0x0400000700000015), "macOS 26.4", "INVALID_RIGHT", "", Level1,
			[]string{"mach_port_insert_right"}, nil},
		{"0x2000010000001103", ptr(1), "macOS 26.4", "INVALID_RIGHT", "", Level1, []string{"no receive right"}, nil},
		{"0x2000040000001103", ptr(0x02000000fffe0000), "macOS 26.4", "INVALID_VALUE", "", Level1,
			[]string{"MACH_PORT_RIGHT_SEND by -2"}, nil},
		{"0x2000400000000000", ptr(4), "macOS 26.4", "KERN_FAILURE", "", Level1, []string{"already"}, nil},
		{"0x2000400000000000", ptr(0x0100000000000000), "macOS 26.4", "KERN_FAILURE", "", Level1,
			[]string{"only launchd"}, nil},
		{"0x2000004100000009", ptr(69), "macOS 26.4", "INVALID_NOTIFICATION_REQ", "", LevelNone,
			[]string{"a timer port", "69"}, nil},
		{"0x200000410000000a", ptr(70), "macOS 26.4", "INVALID_NOTIFICATION_REQ", "", LevelNone,
			[]string{"a reply port"}, nil},
		{"0x2000004200010000", ptr(0), "macOS 26.4", "INVALID_MPO_ENTITLEMENT", "port-array", Level1,
			[]string{"allow-connection-port-with-port-array"}, nil},
		{"0x2000004200004000", ptr(0), "macOS 26.4", "INVALID_MPO_ENTITLEMENT", "weak-reply", Level1,
			[]string{"allow-weak-reply-port"}, nil},
		{"0x2000000700000000", ptr(0x1503), "macOS 26.4", "SERVICE_PORT_VIOLATION_FATAL", "move", LevelNone,
			[]string{"0x1503"}, nil},
		{"0x2000008000000000", ptr(3405), "macOS 26.4", "MSG_FILTERED", "filtered", LevelNone, []string{"task_info"}, nil},
		{"0x2000000100001503", ptr(0xdeadbeef), "macOS 26.4", "DESTROY", "", LevelNone, []string{"guarded with " +
			"0xdeadbeef"}, nil},
		{"0x2010000400001503", ptr(0), "macOS 26.4", "MOVE_WEAK_REPLY_PORT", "", Never, []string{"does not end"}, nil},
		{"0x2010000700000006", ptr(77), "macOS 26.4", "MACH_EXC_THREAD_SET_STATE", "", Never, []string{"process 77"}, nil},
		// Other guard types.
		{"4611686022722355205", ptr(0x08fd4dbfade2dead), "", "CLOSE", "", LevelNone, []string{"descriptor 5",
			"0x8fd4dbfade2dead"}, nil},
		{"-6917528168647622656", nil, "", "GUARD_EXC_MTE_SYNC_FAULT", "tag-check", LevelNone, nil, nil},
		{"0xa00000c800100106", ptr(0x16f000010), "macOS 26.4", "GUARD_EXC_MTE_SYNC_FAULT", "soft-mode", Never,
			[]string{"TAGCHECK_FAIL", "soft mode", "at 0x16f000010"}, nil},
		{"0xa01000c800000000", nil, "", "GUARD_EXC_MTE_SYNC_FAULT", "soft-mode", Never,
			[]string{"public kernel source sets it in the target"}, nil},
		{"0xa000000700000000", ptr(0), "macOS 15.2", "GUARD_EXC_SEC_ACCESS_FAULT", "memory-policy", LevelNone, nil, nil},
		{"0xa000006200000000", ptr(0), "macOS 26.4", "GUARD_EXC_SEC_ACCESS_FAULT", "memory-policy", LevelNone, nil, nil},
		{"0xa000000100000000", ptr(0x7000), "", "DEALLOC_GAP", "task-setting", Level1, []string{"at 0x7000"}, nil},
		{"13835058055282163713", ptr(31), "", "GUARD_TYPE_REJECTED_SC", "rejected", LevelNone,
			[]string{"Mach trap 31 (mach_msg_trap)"}, nil},
		{"0xc000000000000000", ptr(4), "", "GUARD_TYPE_REJECTED_SC", "rejected", LevelNone, []string{"system call 4"}, nil},
		{"6917529027641081874", ptr(5), "", "GUARD_TYPE_USER", "", Never, []string{"18 (LIBSYSTEM)", "0x5"}, nil},
		{"0x800000040000007b", ptr(1), "", "VNG_UNLINK", "policy", LevelNone, []string{"process 123"}, nil},
		{"0xe000000000000001", nil, "", "FROZEN_SWAPIN", "", Never, []string{"telemetry"}, nil},
		// Nothing in the table.
		{"0x2000006000000000", nil, "", "", "", LevelNone, []string{"no public table", "flavor 96", "always fatal"}, nil},
		{"0x3000000000000000", nil, "", "", "", Never, []string{"no public table", "never end"}, nil},
		{"0x2000000000000000", nil, "", "", "", Never, []string{"flavor is 0"}, nil},
		{"0x09c27b83", nil, "", "", "", Never, []string{"signal 9", "0x27b83", "Termination Reason"}, nil},
		{"0x2703", nil, "", "", "", Never, []string{"no guard code", "--type"}, nil},
	}
	for _, tt := range tests {
		t.Run(strings.TrimSpace(tt.code+" "+tt.os), func(t *testing.T) {
			code, err := ParseCode(tt.code)
			if err != nil {
				t.Fatal(err)
			}
			system, ok := ParseOS(tt.os)
			if !ok && tt.os != "" {
				t.Fatalf("ParseOS(%q) fails", tt.os)
			}
			x := Explain(code, tt.payload, system)
			rule, caseID := "", ""
			if x.Rule != nil {
				rule = x.Rule.Name
			}
			if x.Case != nil {
				caseID = x.Case.ID
			}
			if rule != tt.rule || caseID != tt.caseID || x.KillsFrom != tt.kills {
				t.Errorf("got %q case %q from %s, want %q case %q from "+
					"%s", rule, caseID, x.KillsFrom, tt.rule, tt.caseID, tt.kills)
			}
			said := saidBy(x)
			for _, w := range tt.want {
				if !strings.Contains(said, w) {
					t.Errorf("does not say %q:\n%s", w, said)
				}
			}
			for _, w := range tt.not {
				if strings.Contains(said, w) {
					t.Errorf("says %q:\n%s", w, said)
				}
			}
			if !strings.HasSuffix(x.Sentence, ".") {
				t.Errorf("no full stop: %q", x.Sentence)
			}
		})
	}
}

// saidBy joins everything an explanation says of its own reading.
func saidBy(x Explanation) string {
	parts := []string{x.Sentence, x.Target, x.PayloadText, x.Remedy}
	parts = append(append(parts, x.Facts...), x.Unverified...)
	return strings.Join(parts, "\n")
}

// TestExplainAlternatives: with the system unknown the other readings are told; with it known there is one.
func TestExplainAlternatives(t *testing.T) {
	tests := []struct {
		code    string
		payload *uint64
		os      string
		want    []string
	}{
		{"0x2000000680000001", nil, "", []string{"SET_EXCEPTION_BEHAVIOR macOS 14.4 until 15.0"}},
		{"0x2000000680000001", ptr(0x6e), "", nil}, // a mask leaves one reading
		{"0x2000000680000001", nil, "macOS 26.1", nil},
		{"0x2080000000001303", ptr(0), "", []string{"KOBJECT_REPLY_PORT_SEMANTICS macOS 15.4 until 26.0"}},
		{"0x2002000000001103", nil, "", []string{"SEND_INVALID_RIGHT macOS 10.14 until 10.15"}},
		{"0x2001000000001103", nil, "macOS 10.14", []string{"SEND_INVALID_VOUCHER macOS 10.14 until 10.15"}},
		{"0x2000002000000103", ptr(0), "", []string{"ILLEGAL_MOVE macOS 10.15 until 26.0"}},
		{"0x2000000500000000", nil, "", nil},
		{"0x2000020000002703", nil, "", nil},
		{"0xa000001000000000", nil, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.code+" "+tt.os, func(t *testing.T) {
			code, _ := ParseCode(tt.code)
			system, _ := ParseOS(tt.os)
			var got []string
			for _, a := range Explain(code, tt.payload, system).Others {
				if a.Sentence == "" {
					t.Errorf("reading for %s says nothing", a.When)
				}
				got = append(got, a.Name+" "+a.When)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("readings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestExplainImpossibleRelease: a number that the named release cannot raise is read all the same, and says so.
func TestExplainImpossibleRelease(t *testing.T) {
	x := Explain(MakeCode(GuardMachPort, 0x43, 0x800303), nil, OS{"macOS", 14, 4})
	if x.Rule == nil || x.Rule.Name != "OOL_PORT_ARRAY" {
		t.Fatalf("rule %v", x.Rule)
	}
	if !strings.Contains(strings.Join(x.Unverified, "\n"), "macOS 14.4 is not known to raise this number") {
		t.Errorf("unverified: %q", x.Unverified)
	}
}

func TestExplainLevel(t *testing.T) {
	tests := []struct {
		code    Code
		payload uint64
		want    Level
	}{
		{MakeCode(GuardMachPort, 0x43, 0x00800303), 0, Level2},
		{MakeCode(GuardMachPort, 0x43, 0x00800403), 0, Level3},
		{MakeCode(GuardMachPort, 0x43, 0x00800407), 0, LevelPlatform},
		{MakeCode(GuardMachPort, 0x43, 0x0080040b), 0, Level3},
		{MakeCode(GuardMachPort, 0x03, 0), 0x8001430200000003, LevelHardenedRuntime},
		{MakeCode(GuardMachPort, 0x03, 0), 0x8000010200000003, LevelNone},
		{MakeCode(GuardMachPort, 0x03, 0), 0x8002030200000003, Level1},
	}
	for _, tt := range tests {
		x := Explain(tt.code, &tt.payload, OS{})
		if x.Level == nil || *x.Level != tt.want {
			t.Errorf("%s: level %v, want %s", tt.code, x.Level, tt.want)
		}
	}
}

// TestEveryRuleExplainsItself: the newest code of every row leads back to the row, with a sentence.
func TestEveryRuleExplainsItself(t *testing.T) {
	for _, r := range All() {
		for _, e := range r.Eras() {
			if e.Flavor == 0 && r.Guard.numbered() {
				continue
			}
			code := MakeCode(r.Guard, e.Flavor, 0x103)
			x := Explain(code, nil, OS{"macOS", e.From.Major, e.From.Minor})
			names := []string{}
			if x.Rule != nil {
				names = append(names, x.Rule.Name)
			}
			for _, a := range x.Others {
				names = append(names, a.Name)
			}
			if !strings.Contains(fmt.Sprint(names), r.Name) {
				t.Errorf("%s in %s: %s is explained as %v", r.Name, e.From, code, names)
			}
		}
		if x := Explain(r.Code(0), nil, OS{}); r.Retired == "" && (x.Rule == nil || x.Rule.Name != r.Name) {
			t.Errorf("%s: its code is explained as %v", r.Name, x.Rule)
		}
	}
}

// FuzzExplain: any number is explained without a panic and with a sentence, and parsing what is printed gives the same
// code again.
func FuzzExplain(f *testing.F) {
	for _, r := range All() {
		for _, e := range r.Eras() {
			f.Add(MakeCode(r.Guard, e.Flavor, 0x203).String(), uint64(0x0000001100000011), true, "macOS 14.4 (23E214)")
		}
	}
	f.Add("2305843030688530432", uint64(0), false, "")
	f.Add("-6917528168647622656", uint64(1)<<63, true, "iPhone OS 26.1 (23B85)")
	f.Add("0x2703", uint64(0x8001430200000003), true, "visionOS 2.4")
	f.Fuzz(func(t *testing.T, text string, payload uint64, have bool, system string) {
		code, err := ParseCode(text)
		if err != nil {
			if !strings.Contains(err.Error(), "not a 64-bit number") {
				t.Errorf("error %v", err)
			}
			return
		}
		if again, err := ParseCode(code.String()); err != nil || again != code {
			t.Errorf("%s reads back as %s, %v", code, again, err)
		}
		if MakeCode(code.Type(), code.Flavor(), code.Target()) != code {
			t.Errorf("%s does not come together again", code)
		}
		var p *uint64
		if have {
			p = &payload
		}
		o, _ := ParseOS(system)
		x := Explain(code, p, o)
		if x.Sentence == "" || !strings.HasSuffix(x.Sentence, ".") {
			t.Errorf("%s: sentence %q", code, x.Sentence)
		}
		if strings.Contains(saidBy(x), "%!") {
			t.Errorf("%s: bad format: %s", code, saidBy(x))
		}
		for _, a := range x.Others {
			if a.Sentence == "" || a.Rule == nil {
				t.Errorf("%s: empty reading %+v", code, a)
			}
		}
		if r, ok := ByCode(code); ok != (x.Rule != nil) || ok && r == nil {
			t.Errorf("%s: ByCode %v, Explain %v", code, ok, x.Rule != nil)
		}
	})
}

func BenchmarkExplain(b *testing.B) {
	code, payload := MakeCode(GuardMachPort, 6, 0x80000001), uint64(0x6e)
	b.ReportAllocs()
	for b.Loop() {
		Explain(code, &payload, OS{})
	}
}
