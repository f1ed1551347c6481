package mig

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/mig/model"
)

// describe writes the layout of a message as "MAX [min MIN]: item@offset ...".
func describe(m *model.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", m.Max)
	if m.Variable() {
		fmt.Fprintf(&b, " min %d", m.Min)
	}
	b.WriteByte(':')
	for _, d := range m.Descriptors {
		fmt.Fprintf(&b, " %s@%d", d.Arg.Name, d.Offset)
		if d.N > 1 {
			fmt.Fprintf(&b, "x%d", d.N)
		}
	}
	if m.NDR {
		fmt.Fprintf(&b, " NDR@%d", m.NDROffset)
	}
	for _, i := range m.Items {
		fmt.Fprintf(&b, " %s@%d", i.Name, i.Offset)
	}
	return b.String()
}

// TestLayout compares with what Apple's compiler (bootstrap_cmds-138) was seen to lay out for 64-bit systems.
func TestLayout(t *testing.T) {
	i, errs := Compile("testdata/golden/layout.defs", Options{})
	if errs.Errors() > 0 {
		t.Fatal(errs.All[0].String())
	}
	want := map[string][3]string{ // request, reply, 32-bit words of the server's parameters
		"r0": {"36: NDR@24 a@32", "40: NDR@24 RetCode@32 b@36", "3"},
		"r1": {"2092 min 44: NDR@24 aCnt@32 a@36 b@1060 cCnt@1064 c@1068",
			"1068 min 44: NDR@24 RetCode@32 dCnt@36 d@40 e@1064", "9"},
		"r2": {"56: a@28 NDR@44 aCnt@52", "56: b@28 NDR@44 bCnt@52", "5"},
		"r3": {"92: a@28 a2@44 f@60 NDR@76 aCnt@84 a2Cnt@88", "76: b@28 b2@44 NDR@60 bCnt@68 b2Cnt@72", "11"},
		"r4": {"296 min 168: NDR@24 a@32 cOffset@160 cCnt@164 c@168",
			"300 min 172: NDR@24 RetCode@32 b@36 dOffset@164 dCnt@168 d@172", "5"},
		"r5":  {"156: a@28x4 b@76x4 c@124 NDR@140 bCnt@148 cCnt@152", "108: d@28x4 e@76 NDR@92 dCnt@100 eCnt@104", "10"},
		"r6":  {"52: a@28 c@40", "52: b@28 d@40", "8"},
		"s7":  {"36: NDR@24 a@32", "36: NDR@24 RetCode@32", "2"},
		"s8":  {"1064 min 40: NDR@24 kr@32 aCnt@36 a@40", "36: NDR@24 RetCode@32", "4"},
		"r10": {"72: NDR@24 a@32 m@36 s@52 b@60 c@68", "68: NDR@24 RetCode@32 a@36 m@40 s2@56 c2@64", "8"},
		"r11": {"36: NDR@24 aCnt@32", "1064 min 40: NDR@24 RetCode@32 aCnt@36 a@40", "3"},
		"r12": {"196 min 36: NDR@24 aCnt@32 a@36 b@116", "36: NDR@24 RetCode@32", "4"},
		"r13": {"40: x@28", "40: q@28", "3"},
		"r14": {"24:", "36: NDR@24 RetCode@32", "13"},
		"r18": {"24:", "36: NDR@24 RetCode@32", "1"},
		"r20": {"40: a@28", "36: NDR@24 RetCode@32", "2"},
		"r21": {"40: a@28", "36: NDR@24 RetCode@32", "2"},
		"r22": {"52: NDR@24 a@32 b@40 c@44", "36: NDR@24 RetCode@32", "6"},
	}
	got := map[string][3]string{}
	for _, r := range i.Routines() {
		if _, ok := want[r.Name]; ok {
			got[r.Name] = [3]string{describe(&r.Request), describe(&r.Reply), fmt.Sprint(r.Words())}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("layouts (-want +got):\n%s", d)
	}
	if r := i.Slots[9]; r != nil {
		t.Errorf("slot 9 is %s, want a skipped id", r.Name)
	}
	if r := i.Slots[22]; r.ID != 5022 || r.Request.ID != 5022 || r.Reply.ID != 5122 {
		t.Errorf("%s has the ids %d, %d and %d", r.Name, r.ID, r.Request.ID, r.Reply.ID)
	}
}

// table compares ids and layouts of the routines of a definition with "ID request | reply".
func table(t *testing.T, path string, o Options, want map[string]string) {
	t.Helper()
	i, errs := Compile(path, o)
	if errs.Errors() > 0 {
		t.Fatal(errs.All[0].String())
	}
	got := map[string]string{}
	for _, r := range i.Routines() {
		got[r.Name] = fmt.Sprintf("%d %s | %s", r.ID, describe(&r.Request), describe(&r.Reply))
		if r.Simple {
			got[r.Name] = fmt.Sprintf("%d %s", r.ID, describe(&r.Request))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// job has what Apple's compiler laid out for launchd-842's src/job.defs.
var job = map[string]string{
	"create_server":  "400 552: NDR@24 cmd@32 uid@544 ondemand@548 | 40: port@28",
	"reboot2":        "401 40: NDR@24 flags@32 | 36: NDR@24 RetCode@32",
	"check_in2":      "402 168: NDR@24 name@32 flags@160 | 64: port@28 NDR@40 instance@48",
	"register2":      "403 184: port@28 NDR@40 name@48 flags@176 | 36: NDR@24 RetCode@32",
	"look_up2":       "404 188: NDR@24 name@32 pid@160 instance@164 flags@180 | 40: port@28",
	"send_signal":    "405 164: NDR@24 label@32 sig@160 | 36: NDR@24 RetCode@32",
	"parent":         "406 24: | 40: port@28",
	"post_fork_ping": "407 40: task@28 | 40: as@28",
	"info": "408 40: NDR@24 flags@32 | 96: names@28 jobs@44 actives@60 NDR@76 namesCnt@84 jobsCnt@88 " +
		"activesCnt@92",
	"subset":                  "409 40: requestor@28 | 40: port@28",
	"take_subset":             "411 24: | 100: req@28 recv@40 jobs@52 ports@68 NDR@84 jobsCnt@92 portsCnt@96",
	"getsocket":               "412 24: | 164: NDR@24 RetCode@32 path@36",
	"swap_integer":            "416 48: NDR@24 inkey@32 outkey@36 inval@40 | 44: NDR@24 RetCode@32 outval@36",
	"log":                     "417 2096 min 48: NDR@24 pri@32 err@36 msgOffset@40 msgCnt@44 msg@48 | 36: NDR@24 RetCode@32",
	"lookup_per_user_context": "418 36: NDR@24 uid@32 | 40: port@28",
	"move_subset":             "419 196: target@28 as@40 NDR@52 session@60 flags@188 | 36: NDR@24 RetCode@32",
	"swap_complex":            "420 64: inval@28 NDR@44 inkey@52 outkey@56 invalCnt@60 | 56: outval@28 NDR@44 outvalCnt@52",
	"log_drain":               "421 24: | 56: outval@28 NDR@44 outvalCnt@52",
	"log_forward":             "422 56: inval@28 NDR@44 invalCnt@52 | 36: NDR@24 RetCode@32",
	"kickstart":               "423 164: NDR@24 label@32 flags@160 | 40: NDR@24 RetCode@32 pid@36",
	"lookup_children":         "425 24: | 96: ports@28 names@44 props@60 NDR@76 portsCnt@84 namesCnt@88 propsCnt@92",
	"switch_to_session":       "426 188: req@28 as@40 NDR@52 session@60 | 40: port@28",
	"pid_is_managed":          "428 36: NDR@24 pid@32 | 40: NDR@24 RetCode@32 managed@36",
	"port_for_label":          "429 160: NDR@24 label@32 | 40: port@28",
	"init_session":            "430 176: as@28 NDR@40 session@48 | 36: NDR@24 RetCode@32",
	"set_security_session":    "431 64: as@28 NDR@40 uuid@48 | 36: NDR@24 RetCode@32",
	"spawn2":                  "435 68: job@28 as@44 NDR@56 jobCnt@64 | 52: obsrv@28 NDR@40 pid@48",
	"get_root_bootstrap":      "436 24: | 40: port@28",
	"legacy_ipc_request": "437 88: request@28 fds@44 as@60 NDR@72 requestCnt@80 fdsCnt@84 | " +
		"76: reply@28 reply_fds@44 NDR@60 replyCnt@68 reply_fdsCnt@72",
	"get_listener_port_rights": "438 24: | 56: ports@28 NDR@44 portsCnt@52",
	"register_gui_session":     "439 40: as@28 | 36: NDR@24 RetCode@32",
}

// TestLayoutJob compares with the layouts of launchd's classic protocol, and our own definition of the part that
// bootstrap servers speak with the whole.
func TestLayoutJob(t *testing.T) {
	table(t, "testdata/golden/job.defs", Options{}, job)
	table(t, "testdata/golden/job_reply.defs", Options{}, map[string]string{
		"send_signal_reply": "505 36: NDR@24 kr@32",
		"log_drain_reply":   "521 56: outval@28 NDR@44 outvalCnt@52",
		"spawn2_reply":      "535 52: obsrv@28 NDR@40 pid@48",
	})
	whole, _ := Compile("testdata/golden/job.defs", Options{})
	ours, errs := Compile("../defs/bootstrap.defs", Options{})
	if errs.Errors() > 0 {
		t.Fatal(errs.All[0].String())
	}
	name := regexp.MustCompile(`\w+(@|x)`)
	for _, r := range ours.Routines() {
		want := whole.Slots[r.ID-400]
		if want == nil || want.Name != r.Name {
			t.Errorf("%d is %s here alone", r.ID, r.Name)
			continue
		}
		for _, m := range [][2]*model.Message{{&want.Request, &r.Request}, {&want.Reply, &r.Reply}} {
			w, g := name.ReplaceAllString(describe(m[0]), "$1"), name.ReplaceAllString(describe(m[1]), "$1")
			if w != g {
				t.Errorf("%s: %s, want %s", r.Name, g, w)
			}
		}
	}
}

// TestLayoutExceptions compares with what the compiler of XNU's structs lays out for exceptions: offsets with two codes.
// Behind the codes everything moves up by one code where there is one alone.
func TestLayoutExceptions(t *testing.T) {
	const (
		code  = "NDR@24 RetCode@32"
		state = "5228 min 44: NDR@24 RetCode@32 flavor@36 new_stateCnt@40 new_state@44"
	)
	table(t, "../defs/exc.defs", Options{}, map[string]string{
		"exception_raise": "2401 76 min 68: thread@28 task@40 NDR@52 exception@60 codeCnt@64 code@68 | 36: " + code,
		"exception_raise_state": "2402 5240 min 48: NDR@24 exception@32 codeCnt@36 code@40 flavor@48 old_stateCnt@52 " +
			"old_state@56 | " + state,
		"exception_raise_state_identity": "2403 5268 min 76: thread@28 task@40 NDR@52 exception@60 codeCnt@64 code@68 " +
			"flavor@76 old_stateCnt@80 old_state@84 | " + state,
	})
	table(t, "../defs/mach_exc.defs", Options{}, map[string]string{
		"mach_exception_raise": "2405 84 min 68: thread@28 task@40 NDR@52 exception@60 codeCnt@64 code@68 | 36: " + code,
		"mach_exception_raise_state": "2406 5248 min 48: NDR@24 exception@32 codeCnt@36 code@40 flavor@56 " +
			"old_stateCnt@60 old_state@64 | " + state,
		"mach_exception_raise_state_identity": "2407 5276 min 76: thread@28 task@40 NDR@52 exception@60 codeCnt@64 " +
			"code@68 flavor@84 old_stateCnt@88 old_state@92 | " + state,
		"mach_exception_raise_identity_protected": "2408 80 min 64: task_id_token@28 NDR@40 thread_id@48 exception@56 " +
			"codeCnt@60 code@64 | 36: " + code,
		"mach_exception_raise_backtrace": "2409 72 min 56: kcdata_object@28 NDR@40 exception@48 codeCnt@52 " +
			"code@56 | 36: " + code,
		"mach_exception_raise_state_identity_protected": "2410 5272 min 72: task_id_token@28 NDR@40 thread_id@48 " +
			"exception@56 codeCnt@60 code@64 flavor@80 old_stateCnt@84 old_state@88 | " + state,
	})
}
