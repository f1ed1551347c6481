package defs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/mig"
	"portcullis.dev/mig/model"
)

// published says where a definition is found in the kernel's source, and how the kernel itself is built from it.
var published = map[string]struct {
	file   string
	define []string
}{
	"bootstrap": {}, // launchd's
	"mach_exc": {define: []string{"MACH_EXC_SERVER_TASKIDTOKEN=1", "MACH_EXC_SERVER_BACKTRACE=1",
		"MACH_EXC_SERVER_TASKIDTOKEN_STATE=1"}},
	"notify": {define: []string{"MACH_NOTIFY_SEND_POSSIBLE_EXPECTED=1"}},
}

// TestXNU compares every routine with the kernel's own definition of it, where the source of XNU is on this machine:
// PORTCULLIS_XNU names its folder. Compared are ids, names, and each argument: where it lies in both messages, its
// size, bounds and dispositions, and what becomes of memory.
func TestXNU(t *testing.T) {
	root := os.Getenv("PORTCULLIS_XNU")
	if root == "" {
		t.Skip("PORTCULLIS_XNU does not say where the source of XNU is")
	}
	compared := 0
	left := map[string]int{}
	for _, i := range subsystems(t) {
		where := published[i.Name]
		if i.Name == "bootstrap" {
			continue
		}
		path := filepath.Join(root, "osfmk/mach", i.Name+".defs")
		x, errs := mig.Compile(path, mig.Options{Include: []string{filepath.Join(root, "osfmk")}, Define: where.define})
		if x == nil || errs.Errors() > 0 {
			t.Fatalf("%s: %v", path, errs.All)
		}
		if x.Base != i.Base || len(i.Slots) > len(x.Slots) {
			t.Errorf("%s: base %d and %d ids, the kernel has %d and %d", i.Name, i.Base, len(i.Slots), x.Base, len(x.Slots))
			continue
		}
		for n, theirs := range x.Slots {
			if n >= len(i.Slots) || i.Slots[n] == nil {
				if theirs != nil {
					left[i.Name]++
					t.Logf("not here: %d %s", theirs.ID, theirs.Name)
				}
				continue
			}
			ours := i.Slots[n]
			if theirs == nil {
				t.Errorf("%s: the kernel has no message %d", ours.Name, ours.ID)
				continue
			}
			compared++
			if d := cmp.Diff(signature(theirs), signature(ours)); d != "" {
				t.Errorf("%d %s (-kernel +ours):\n%s", ours.ID, ours.Name, d)
			}
		}
	}
	t.Logf("%d routines are the kernel's; not here: %v", compared, left)
	if compared < 180 {
		t.Errorf("%d routines compared, want 180 at least", compared)
	}
}

// signature writes what two sides must agree on, a line for each part of a routine. What an argument is called is no
// part of it.
func signature(r *model.Routine) []string {
	name := strings.TrimPrefix(r.Name, "_kernelrpc_")
	out := []string{fmt.Sprintf("%d %s simple=%v words=%d", r.ID, name, r.Simple, r.Words())}
	at := map[*model.Arg]int{}
	for n, a := range r.Args {
		at[a] = n
		t := a.Type
		out = append(out, fmt.Sprintf("%d: direction %d, shape %d, %d of %d bytes, in %d, out %d, out of line %v, "+
			"callee %v, dealloc %d, room %v, const %v", n, a.Direction, t.Shape, t.Count, t.Unit(), t.Leaf().In, t.Leaf().Out,
			t.OutOfLine, t.Callee, a.Dealloc, a.CountInOut, a.Const))
		if a.SameCount != nil {
			out = append(out, fmt.Sprintf("   count of %d", at[a.SameCount]))
		}
	}
	for _, m := range []*model.Message{&r.Request, &r.Reply} {
		out = append(out, fmt.Sprintf("message %d, %d to %d bytes, NDR %v %d", m.ID, m.Min, m.Max, m.NDR, m.NDROffset))
		for _, d := range m.Descriptors {
			out = append(out, fmt.Sprintf("   @%d %d descriptors of kind %d: argument %d", d.Offset, d.N, d.Kind, at[d.Arg]))
		}
		for _, i := range m.Items {
			arg := -1
			if i.Arg != nil {
				arg = at[i.Arg]
			}
			out = append(out, fmt.Sprintf("   @%d item of kind %d, %d bytes: argument %d", i.Offset, i.Kind, i.Size, arg))
		}
	}
	return out
}
