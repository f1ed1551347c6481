package mig

import (
	"fmt"
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
