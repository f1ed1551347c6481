package server_test

import (
	"testing"

	"portcullis.dev/defs/machport"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// TestForeignSpace calls mach_port_* with ports of another task: each call says which strength it needs, and the policy
// has its say for control ports.
//
// Source: XNU osfmk/kern/ipc_tt.c, convert_port_to_space and its siblings; tests/ipc/task_ident.c and others use them.
func TestForeignSpace(t *testing.T) {
	for _, developer := range []bool{false, true} {
		w := newWorld(t, object.Config{DeveloperMode: developer}, server.Config{})
		p, o := w.level(rules.LevelNone), w.level(rules.LevelNone)
		n := o.port()
		controlled := mach.KernInvalidTask
		if developer {
			controlled = mach.KernSuccess
		}
		for _, c := range []struct {
			f                          object.Flavor
			control, readable, visible mach.KernReturn
		}{
			{object.Control, controlled, 0, 0},
			{object.Read, mach.KernInvalidTask, 0, 0},
			{object.Inspect, mach.KernInvalidTask, mach.KernInvalidArgument, 0},
			{object.Name, mach.KernInvalidTask, mach.KernInvalidArgument, mach.KernInvalidTask},
		} {
			to := p.of(o, c.f)
			if to == mach.DeadName && c.f == object.Control && !developer {
				continue // it is not even given out
			}
			_, kr := machport.MachPortType(p.c, to, n)
			w.want(kr, c.control)
			_, kr = machport.MachPortGetAttributes(p.c, to, n, int32(mach.AttrReceiveStatus), 10)
			w.want(kr, c.readable)
			_, kr = machport.MachPortSpaceBasicInfo(p.c, to)
			w.want(kr, c.visible)
		}
		if g := p.guards(); len(g) > 0 {
			t.Errorf("guards %+v", g)
		}
		w.end()
	}
}
