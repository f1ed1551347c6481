package server_test

import (
	"bytes"
	"slices"
	"testing"

	"portcullis.dev/defs/machvm"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// space is an address space of regions that do not touch.
type space struct {
	regions []server.Region
	data    map[uint64][]byte
	last    []any // arguments of the last call that only hints
}

func newSpace() *space { return &space{data: map[uint64][]byte{}} }

const page = 0x1000

// find returns the region that holds a range.
func (s *space) find(addr, size uint64) (int, bool) {
	i := slices.IndexFunc(s.regions, func(r server.Region) bool {
		return r.Address <= addr && addr+size <= r.Address+r.Size
	})
	return i, i >= 0
}

func (s *space) Allocate(_ *ipc.Thread, addr, size, _ uint64, f server.VMFlags) (uint64, mach.KernReturn) {
	if f&server.VMAnywhere != 0 {
		addr = page
		for _, r := range s.regions {
			addr = max(addr, r.Address+r.Size+page)
		}
	} else if _, ok := s.find(addr, 1); ok {
		return addr, mach.KernNoSpace
	}
	size = (size + page - 1) &^ (page - 1)
	s.regions = append(s.regions, server.Region{Address: addr, Size: size, Current: server.ProtRead | server.ProtWrite,
		Max: server.ProtAll, Inheritance: 1, Tag: uint32(f >> 24)})
	slices.SortFunc(s.regions, func(a, b server.Region) int { return int(int64(a.Address) - int64(b.Address)) })
	s.data[addr] = make([]byte, size)
	return addr, 0
}

func (s *space) Deallocate(_ *ipc.Thread, addr, size uint64) mach.KernReturn {
	if i, ok := s.find(addr, size); ok {
		delete(s.data, s.regions[i].Address)
		s.regions = slices.Delete(s.regions, i, i+1)
	}
	return 0
}

func (s *space) Protect(_ *ipc.Thread, addr, size uint64, p server.Protection,
	what server.ProtectWhat) mach.KernReturn {
	i, ok := s.find(addr, size)
	switch {
	case !ok:
		return mach.KernInvalidAddress
	case what == server.ProtectMaximum:
		s.regions[i].Max = p
	case p&^s.regions[i].Max != 0:
		return mach.KernProtectionFailure
	default:
		s.regions[i].Current = p
	}
	return 0
}

func (s *space) Inherit(_ *ipc.Thread, addr, size uint64, how uint32) mach.KernReturn {
	i, ok := s.find(addr, size)
	if !ok {
		return mach.KernInvalidAddress
	}
	s.regions[i].Inheritance = how
	return 0
}

func (s *space) at(addr, size uint64) []byte {
	i, ok := s.find(addr, size)
	if !ok {
		return nil
	}
	r := s.regions[i]
	return s.data[r.Address][addr-r.Address:][:size]
}

func (s *space) Read(_ *ipc.Thread, addr, size uint64) ([]byte, mach.KernReturn) {
	b := s.at(addr, size)
	if b == nil {
		return nil, mach.KernInvalidAddress
	}
	return bytes.Clone(b), 0
}

func (s *space) Write(_ *ipc.Thread, addr uint64, b []byte) mach.KernReturn {
	to := s.at(addr, uint64(len(b)))
	if to == nil {
		return mach.KernInvalidAddress
	}
	copy(to, b)
	return 0
}

func (s *space) Remap(by *ipc.Thread, addr, size, mask uint64, f server.VMFlags, from server.AddressSpace,
	source uint64, how server.RemapHow) (uint64, server.Protection, server.Protection, mach.KernReturn) {
	src := from.(*process)
	i, ok := src.find(source, size)
	if !ok {
		return 0, 0, 0, mach.KernInvalidAddress
	}
	at, kr := s.Allocate(by, addr, size, mask, f)
	if kr != 0 {
		return 0, 0, 0, kr
	}
	b := src.at(source, size)
	if how == server.RemapCopied {
		b = bytes.Clone(b)
	}
	s.data[at] = b
	return at, src.regions[i].Current, src.regions[i].Max, 0
}

func (s *space) Region(_ *ipc.Thread, addr uint64) (server.Region, mach.KernReturn) {
	for _, r := range s.regions {
		if addr < r.Address+r.Size {
			return r, 0
		}
	}
	return server.Region{}, mach.KernInvalidAddress
}

func (s *space) Sync(_ *ipc.Thread, addr, size uint64, flags uint32) mach.KernReturn {
	s.last = []any{addr, size, flags}
	return 0
}

// TestMemory calls mach_vm_* on the caller's own address space.
func TestMemory(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	mine := &process{space: newSpace()}
	p := w.join(object.TaskConfig{Process: mine})
	c, self := p.c, p.self
	at, kr := machvm.MachVmAllocate(c, self, 0, 100, int32(server.VMAnywhere))
	w.want(kr, 0)
	_, kr = machvm.MachVmAllocate(c, self, at, 100, 0)
	w.want(kr, mach.KernNoSpace)
	_, kr = machvm.MachVmAllocate(c, self, 0, 100, 0x100)
	w.want(kr, mach.KernInvalidArgument)
	zero, kr := machvm.MachVmAllocate(c, self, 5, 0, 0)
	if w.want(kr, 0); zero != 0 {
		t.Errorf("nothing at %#x", zero)
	}

	w.want(machvm.MachVmWrite(c, self, at+8, []byte("twelve bytes")), 0)
	w.want(machvm.MachVmWrite(c, self, 0x10, []byte("nowhere")), mach.KernInvalidAddress)
	b, kr := machvm.MachVmRead(c, self, at+8, 12)
	if w.want(kr, 0); string(b) != "twelve bytes" {
		t.Errorf("read %q", b)
	}
	_, kr = machvm.MachVmRead(c, self, at, 1<<33)
	w.want(kr, mach.KernInvalidArgument)
	_, kr = machvm.MachVmRead(c, self, ^uint64(0), 2)
	w.want(kr, mach.KernInvalidArgument)
	w.want(machvm.MachVmCopy(c, self, at+8, 12, at+100), 0)
	n, kr := machvm.MachVmReadOverwrite(c, self, at+100, 12, at+200)
	if w.want(kr, 0); n != 12 || string(mine.at(at+200, 12)) != "twelve bytes" {
		t.Errorf("%d bytes: %q", n, mine.at(at+200, 12))
	}
	list := [512]uint64{at + 8, 6, 0x10, 1, at + 200, 12}
	list, kr = machvm.MachVmReadList(c, self, list, 3)
	if w.want(kr, 0); list[1] != 6 || list[2] != 0 || list[3] != 0 || string(mine.at(list[4], list[5])) != "twelve bytes" {
		t.Errorf("list %v", list[:6])
	}
	_, kr = machvm.MachVmReadList(c, self, list, 257)
	w.want(kr, mach.KernInvalidArgument)

	w.want(machvm.MachVmProtect(c, self, at, page, 1, int32(server.ProtRead)), 0)
	w.want(machvm.MachVmProtect(c, self, at, page, 0, int32(server.ProtAll)), mach.KernProtectionFailure)
	w.want(machvm.MachVmProtect(c, self, at, page, 0, 0x80), mach.KernInvalidArgument)
	w.want(machvm.MachVmInherit(c, self, at, page, 2), 0)
	w.want(machvm.MachVmInherit(c, self, at, page, 3), mach.KernInvalidArgument)
	w.want(machvm.MachVmMsync(c, self, at, page, 3), 0)
	w.want(machvm.MachVmBehaviorSet(c, self, at, page, 3), 0)
	w.want(machvm.MachVmBehaviorSet(c, self, at, page, 12), 0)
	if !bytes.Equal(mine.at(at, page), make([]byte, page)) {
		t.Error("not zeroed")
	}
	w.want(machvm.MachVmBehaviorSet(c, self, at, page, 99), mach.KernInvalidArgument)
	_, kr = machvm.MachVmMachineAttribute(c, self, at, page, 1, 6)
	w.want(kr, 0)
	_, kr = machvm.MachVmMachineAttribute(c, self, at, page, 2, 6)
	w.want(kr, mach.KernInvalidArgument)

	mapped, kr := machvm.MachVmMap(c, self, 0, page, 0, int32(server.VMAnywhere), 0, 0, 0, int32(server.ProtRead),
		int32(server.ProtRead|server.ProtWrite), 0)
	w.want(kr, 0)
	if r, _ := mine.Region(nil, mapped); r.Current != server.ProtRead || r.Max != server.ProtRead|server.ProtWrite {
		t.Errorf("region %+v", r)
	}
	_, kr = machvm.MachVmMap(c, self, 0, page, 0, int32(server.VMAnywhere), p.port(), 0, 0, 1, 3, 0)
	w.want(kr, mach.KernInvalidObject)
	before := len(mine.regions)
	_, kr = machvm.MachVmMap(c, self, 0, page, 0, int32(server.VMAnywhere), 0, 0, 0, 8, 3, 0)
	if w.want(kr, mach.KernInvalidArgument); len(mine.regions) != before {
		t.Error("memory of a map that failed is there")
	}

	for _, x := range []struct {
		flavor int32
		words  int
	}{{9, 9}, {10, 9}, {11, 8}, {12, 5}, {13, 9}} {
		addr, size, info, _, kr := machvm.MachVmRegion(c, self, mapped-1, x.flavor, uint32(x.words))
		if w.want(kr, 0); addr != mapped || size != page || len(info) != x.words {
			t.Errorf("flavor %d: %#x, %#x, %v", x.flavor, addr, size, info)
		}
		_, _, _, _, kr = machvm.MachVmRegion(c, self, mapped, x.flavor, uint32(x.words-1))
		w.want(kr, mach.KernInvalidArgument)
	}
	for _, room := range []uint32{16, 17, 19} {
		addr, _, depth, info, kr := machvm.MachVmRegionRecurse(c, self, 0, 5, room)
		if w.want(kr, 0); addr != at || depth != 0 || len(info) != int(room) || info[2] != 2 {
			t.Errorf("%#x, depth %d, %v", addr, depth, info)
		}
	}
	_, _, _, _, kr = machvm.MachVmRegionRecurse(c, self, 1<<60, 5, 19)
	w.want(kr, mach.KernInvalidAddress)
	_, _, _, _, kr = machvm.MachVmRegion(c, self, 1<<60, 9, 9)
	w.want(kr, mach.KernInvalidAddress)

	_, _, kr = machvm.MachVmPageQuery(c, self, at)
	w.want(kr, mach.KernNotSupported)
	_, kr = machvm.MachVmPageInfo(c, self, at, 1, 8)
	w.want(kr, mach.KernNotSupported)
	_, kr = machvm.MachVmPageRangeQuery(c, self, at, page, at, 1)
	w.want(kr, mach.KernNotSupported)
	_, _, kr = machvm.MachMakeMemoryEntry(c, self, page, at, 1, 0)
	w.want(kr, mach.KernNotSupported)
	_, kr = machvm.MachVmPurgableControl(c, self, at, 1, 0)
	w.want(kr, mach.KernInvalidArgument)
	_, kr = machvm.MachVmPurgableControl(c, self, 0, 1, 0)
	w.want(kr, mach.KernInvalidAddress)
	w.want(machvm.MachVmDeallocate(c, self, at, page), 0)
	w.want(machvm.MachVmDeallocate(c, self, at, ^uint64(0)), mach.KernInvalidArgument)
	w.end()
}

// TestForeignMemory maps and reads memory of another task: what a read port is good for, and what it is not.
func TestForeignMemory(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true}, server.Config{})
	mine, theirs := &process{space: newSpace()}, &process{space: newSpace()}
	none := func(b any) object.TaskConfig {
		return object.TaskConfig{Restrict: restrict.NewTask(restrict.ForLevel(rules.LevelNone)), Process: b}
	}
	p, o := w.join(none(mine)), w.join(none(theirs))
	c, self := p.c, p.self
	control, read := p.of(o, object.Control), p.of(o, object.Read)
	at, kr := machvm.MachVmAllocate(c, control, 0, page, int32(server.VMAnywhere))
	w.want(kr, 0)
	w.want(machvm.MachVmWrite(c, control, at, []byte("theirs")), 0)
	w.want(machvm.MachVmWrite(c, read, at, []byte("theirs")), mach.KernInvalidArgument)
	b, kr := machvm.MachVmRead(c, read, at, 6)
	if w.want(kr, 0); string(b) != "theirs" {
		t.Errorf("read %q", b)
	}
	_, kr = machvm.MachVmRead(c, p.of(o, object.Inspect), at, 6)
	w.want(kr, mach.KernInvalidArgument)

	anywhere, rw := int32(server.VMAnywhere), int32(server.ProtRead|server.ProtWrite)
	shared, cur, most, kr := machvm.MachVmRemap(c, self, 0, page, 0, anywhere, control, at, 0, 1)
	if w.want(kr, 0); cur != rw || most != int32(server.ProtAll) || string(mine.at(shared, 6)) != "theirs" {
		t.Errorf("protection %d, %d", cur, most)
	}
	copied, _, _, kr := machvm.MachVmRemap(c, self, 0, page, 0, anywhere, control, at, 1, 1)
	w.want(kr, 0)
	w.want(machvm.MachVmWrite(c, control, at, []byte("theirs2")), 0)
	if string(mine.at(shared, 7)) != "theirs2" || string(mine.at(copied, 7)) != "theirs\x00" {
		t.Errorf("shared %q, copied %q", mine.at(shared, 7), mine.at(copied, 7))
	}
	_, _, _, kr = machvm.MachVmRemap(c, self, 0, page, 0, anywhere, read, at, 0, 1)
	w.want(kr, mach.KernInvalidArgument)
	_, cur, most, kr = machvm.MachVmRemapNew(c, self, 0, page, 0, anywhere, read, at, 0, 1, 1, 1)
	if w.want(kr, 0); cur != 1 || most != 1 {
		t.Errorf("protection %d, %d", cur, most)
	}
	_, _, _, kr = machvm.MachVmRemapNew(c, self, 0, page, 0, anywhere, read, at, 0, 1, rw, 1)
	w.want(kr, mach.KernInvalidArgument) // to write takes the control port
	_, _, _, kr = machvm.MachVmRemapNew(c, self, 0, page, 0, anywhere, control, at, 0, 1, 7, 1)
	w.want(kr, mach.KernProtectionFailure)

	bare := p.of(w.join(none(nil)), object.Control) // a task without memory
	_, kr = machvm.MachVmAllocate(c, bare, 0, page, anywhere)
	w.want(kr, mach.KernInvalidArgument)
	w.want(machvm.MachVmMsync(c, bare, 0, page, 0), mach.KernInvalidTask)
	w.end()
}
