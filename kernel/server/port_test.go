package server_test

import (
	"testing"

	"portcullis.dev/defs/machport"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// TestPorts calls mach_port_* on the caller's own task.
func TestPorts(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.join(object.TaskConfig{})
	c := p.c
	before := p.rights()

	n, kr := machport.MachPortAllocate(c, p.self, uint32(mach.RightReceive))
	w.want(kr, 0)
	w.want(machport.MachPortInsertRight(c, p.self, n, rpc.Right[mach.Name]{Port: n, Disposition: mach.MakeSend}), 0)
	typ, kr := machport.MachPortType(c, p.self, n)
	w.want(kr, 0)
	if mach.RightType(typ) != mach.TypeSend|mach.TypeReceive {
		t.Errorf("type %#x", typ)
	}
	names, types, kr := machport.MachPortNames(c, p.self)
	w.want(kr, 0)
	if len(names) != len(before)+1 || len(types) != len(names) {
		t.Errorf("%d names, want %d", len(names), len(before)+1)
	}
	w.want(machport.MachPortModRefs(c, p.self, n, uint32(mach.RightSend), 2), 0)
	refs, kr := machport.MachPortGetRefs(c, p.self, n, uint32(mach.RightSend))
	w.want(kr, 0)
	if refs != 3 {
		t.Errorf("%d references", refs)
	}
	w.want(machport.MachPortDestroy(c, p.self, n), 0)
	if mem := p.mem.Len(); mem != 0 {
		t.Errorf("%d pieces of memory left", mem)
	}
	if after := p.rights(); len(after) != len(before) {
		t.Errorf("rights before %v, after %v", before, after)
	}
	w.end()
}
