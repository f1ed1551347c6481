package finding

import (
	"portcullis.dev/rules"
)

// sampleCheck is a report as check makes it: three restrictions, all confidences, both kinds of chain, an SDK.
func sampleCheck() *Report {
	level := rules.Level2
	code := rules.MakeCode(rules.GuardMachPort, 6, 0x80000001)
	return &Report{
		Moment: MomentCheck,
		Findings: []Finding{
			{
				Rule: "THREAD_SET_STATE", KillsFrom: rules.LevelHardenedRuntime, Level: &level, KillsHere: true,
				Confidence: Possible, Moment: MomentCheck, Callee: "thread_set_state",
				Where: Where{Path: "MyApp.app", Member: "Contents/MacOS/MyApp", Arch: "x86_64",
					Function: "_$s5MyApp7ProfileC6resumeyyF", Address: "0x100004a10"},
				Evidence: []string{"x86_64 argument 2 (flavor) is loaded from memory that other code writes"},
				Message:  "The call changes the state of a thread, and which flavor it changes could not be told.",
				Chain:    []string{"Contents/MacOS/MyApp (level 2)"},
			},
			{
				Rule: "SET_EXCEPTION_BEHAVIOR", Code: &code, KillsFrom: rules.Level1, Level: &level, KillsHere: true,
				Confidence: Certain, Moment: MomentCheck, Callee: "task_set_exception_ports",
				Where: Where{Path: "MyApp.app", Member: "Contents/Frameworks/Foo.framework/Foo", Arch: "arm64",
					Function: "__ZN7kscrash15installHandlersEP4Portj", Address: "0x3f58", File: "handler.cpp", Line: 42,
					Inlined: []Inlined{{Function: "_ZN7kscrash8registerEj", File: "install.cpp", Line: 7},
						{Function: "once", File: "install.cpp", Line: 20}}},
				Arguments: map[string]string{"behavior": "0x80000001", "flavor": "0x6", "exception_mask": "0x6e"},
				Evidence: []string{
					"behavior is 0x80000001 (EXCEPTION_DEFAULT | MACH_EXCEPTION_CODES): movz w3, #1 at 0x3f40, movk w3, " +
						"#0x8000, lsl #16 at 0x3f44",
					"new_port is made by mach_port_allocate at 0x3f10, so it is not null",
				},
				SDK:   &SDK{Name: "KSCrash", Version: "1.15.0", Source: "https://github.com/kstenerud/KSCrash"},
				Chain: []string{"Contents/MacOS/MyApp (level 2)", "Contents/Frameworks/Foo.framework/Foo"},
				Message: "The exception ports of the task are set with a behavior that hands out the task's and the thread's " +
					"control ports.",
			},
			{
				Rule: "SET_EXCEPTION_BEHAVIOR", KillsFrom: rules.Level1, Level: &level, KillsHere: true,
				Confidence: Likely, Moment: MomentCheck, Callee: "thread_swap_exception_ports",
				Where: Where{Path: "MyApp.app", Member: "Contents/Frameworks/Foo.framework/Foo", Arch: "arm64",
					Function: "_swap", Address: "0x4f58"},
				Message: "On one of two paths the exception ports of a thread are set with a forbidden behavior.",
			},
			{
				Rule: "OOL_PORT_ARRAY", KillsFrom: rules.Level3, Level: &level,
				Confidence: Certain, Moment: MomentCheck, Callee: "mach_msg",
				Where:   Where{Path: "MyApp.app", Member: "Contents/MacOS/MyApp", Arch: "arm64", Address: "0x100003000"},
				Message: "A message carries more than one array of ports.",
				Remedy:  "Send each right in an inline descriptor of its own.",
				Help:    "docs/restrictions.md#ool_port_array",
			},
		},
		Unread: []Unread{{Path: "MyApp.app", Member: "Contents/Helpers/broken", Offset: 4096,
			Reason: "load command 3 ends behind the file"}},
		Notes: []Note{{Path: "MyApp.app", Member: "Contents/Helpers/old",
			Message: "i386 is out of scope: no system that enforces the restrictions runs it"}},
		Programs: []Program{{
			Path: "MyApp.app", Member: "Contents/MacOS/MyApp", Name: "MyApp.app", Version: "2.1", Level: level, Declares: true,
			Components: []*Component{
				{Path: "MyApp.app", Member: "Contents/MacOS/MyApp", Name: "MyApp.app", Version: "2.1", Owner: OwnerSelf,
					Why: "the program itself", Blockers: []Blocker{
						{Rule: "OOL_PORT_ARRAY", KillsFrom: rules.Level3, Certain: 1},
						{Rule: "THREAD_SET_STATE", KillsFrom: rules.LevelHardenedRuntime, Possible: 1}}},
				{Path: "MyApp.app", Member: "Contents/Frameworks/Foo.framework/Foo", Name: "Foo.framework", Version: "3.0",
					Owner: OwnerVendor, Why: "known software", SDK: &SDK{Name: "KSCrash", Version: "1.15.0"},
					Blockers: []Blocker{{Rule: "SET_EXCEPTION_BEHAVIOR", KillsFrom: rules.Level1, Certain: 1}}},
				{Path: "MyApp.app", Member: "Contents/Frameworks/Foo.framework/Foo", Name: "Foo.framework", Version: "3.0",
					Owner: OwnerVendor, Why: "its bundle identifier com.foo.sdk begins otherwise than com.example.MyApp",
					Blockers: []Blocker{{Rule: "SET_EXCEPTION_BEHAVIOR", KillsFrom: rules.Level1, Likely: 1}}},
			}}},
		Summary: Summary{Files: 12, Images: 3, Bytes: 4_512_345, Level: "2"},
	}
}

// sampleExplain is a report as explain makes it: one violation, one report that is none.
func sampleExplain() *Report {
	code := rules.Code(2305843037130981377)
	thread := 3
	return &Report{
		Moment: MomentExplain,
		Findings: []Finding{{
			Rule: "SET_EXCEPTION_BEHAVIOR", Code: &code, Payload: "0x6e", KillsFrom: rules.Level1, KillsHere: true,
			Confidence: Certain, Moment: MomentExplain, Callee: "task_set_exception_ports",
			Where: Where{Path: "reports/MyApp-2026-01-31-120000.ips", Function: "_installHandlers", Image: "Foo",
				Thread: &thread, Arch: "arm64"},
			Message:  "The process set exception ports with a behavior that its restrictions forbid.",
			Evidence: []string{"behavior 0x80000001 is EXCEPTION_DEFAULT | MACH_EXCEPTION_CODES", "mask 0x6e is six types"},
			Backtrace: []string{
				"0  libsystem_kernel.dylib  task_set_exception_ports + 8",
				"1  Foo                     installHandlers + 120",
				"2  MyApp                   main + 44",
			},
			SDK: &SDK{Name: "Crashlytics", Version: "12.3", FixedIn: "12.5"},
		}},
		Notes:   []Note{{Path: "reports/other.ips", Message: "not a Mach restriction: EXC_BAD_ACCESS at 0x0"}},
		Summary: Summary{Images: 2, Files: 2, Bytes: 20_000},
	}
}

// hostile are strings that files may hold and that must not work where they are shown.
var hostile = []string{
	"\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\u009b31m", "line\nbreak\r\ttab", "\u202eesrever\u202c", "zero\u200bwidth",
	"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "javascript:alert(1)", "bad \xff\xfe utf-8",
	"\u2028separator", "{{.Title}}", "__ZNSt1",
	"$s99999MyApp", "%!s(MISSING)%d", "\U000e0041tag", "a:b/c", "../../etc/passwd",
	"</style></title>", "ﷺ", "\x00",
}

// sampleHostile fills every string of a report with what must not work.
func sampleHostile() *Report {
	level := rules.Level2
	r := &Report{Moment: MomentCheck, Summary: Summary{Files: 1, Images: 1, Level: "2"}}
	for i, h := range hostile {
		next := hostile[(i+1)%len(hostile)]
		r.Findings = append(r.Findings, Finding{
			Rule: "SET_EXCEPTION_BEHAVIOR", KillsFrom: rules.Level1, Level: &level, KillsHere: true, Confidence: Likely,
			Moment: MomentCheck, Payload: h,
			Where: Where{Path: h, Member: next, Arch: h, Function: h, Address: h, File: h, Line: 3, Image: h,
				Inlined: []Inlined{{Function: h, File: next, Line: 1}}},
			Callee: h, Arguments: map[string]string{h: next}, Evidence: []string{h}, Backtrace: []string{h},
			SDK: &SDK{Name: h, Version: next, FixedIn: h, Source: h}, Chain: []string{h, next},
			Message: h, Remedy: h, Help: h,
		})
		r.Unread = append(r.Unread, Unread{Path: h, Member: next, Reason: h})
		r.Notes = append(r.Notes, Note{Path: h, Member: next, Message: h})
		r.Programs = append(r.Programs, Program{Path: h, Member: next, Name: h, Version: h, Level: level,
			Components: []*Component{
				{Path: h, Member: next, Name: h, Version: h, Owner: OwnerVendor, Why: h, SDK: &SDK{Name: h, Version: next, FixedIn: h},
					Blockers: []Blocker{{Rule: h, KillsFrom: rules.Level1, Certain: 1}}},
				{Path: h, Member: next, Name: next, Owner: OwnerUnknown, Why: next}}})
	}
	r.Findings[3].Rule = hostile[0]
	r.Findings[4].Rule = hostile[6]
	r.Findings[5].Moment = MomentExplain
	return r
}
