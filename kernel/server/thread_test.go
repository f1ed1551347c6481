package server_test

import (
	"slices"
	"testing"

	"portcullis.dev/defs/hostpriv"
	"portcullis.dev/defs/machhost"
	"portcullis.dev/defs/threadact"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// busy is the registers of a thread of which something is known.
type busy struct{ runner }

func (*busy) Usage() server.ThreadUsage {
	return server.ThreadUsage{User: 3_000_002_000, System: 5000, State: server.Waiting, Sleep: 7, Handle: 1 << 33,
		Queue: 9, Name: "a name"}
}

// TestThreadInfo asks for every flavor with just enough room, and with too little.
//
// Source of sizes: XNU osfmk/mach/thread_info.h.
func TestThreadInfo(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true}, server.Config{})
	p, o := w.level(rules.Level2), w.level(rules.Level2)
	th, kr := o.NewThread(object.PThread, nil, &busy{})
	w.want(kr, 0)
	w.want(th.Suspend(), 0)
	name := p.name(th.ThreadPort(p.Task, object.Inspect))
	for _, x := range []struct {
		flavor int32
		words  int
		check  func(v []int32) bool
	}{
		{3, 10, func(v []int32) bool {
			return slices.Equal(v, []int32{3, 2, 0, 5, 0, 1, int32(server.Waiting), 0, 1, 7})
		}},
		{4, 6, func(v []int32) bool { return v[2] == 0 && v[3] == 2 && v[4] == 9 }},
		{5, 28, func(v []int32) bool { return uint32(v[0]) == 3_000_002_000 && v[12] == 'a'|' '<<8|'n'<<16|'a'<<24 }},
		{10, 5, nil},
	} {
		v, kr := threadact.ThreadInfo(p.c, name, x.flavor, uint32(x.words))
		if w.want(kr, 0); len(v) != x.words || x.check != nil && !x.check(v) {
			t.Errorf("flavor %d: %v", x.flavor, v)
		}
		_, kr = threadact.ThreadInfo(p.c, name, x.flavor, uint32(x.words-1))
		w.want(kr, mach.KernInvalidArgument)
	}
	for flavor, want := range map[int32]mach.KernReturn{6: mach.KernNotSupported, 11: mach.KernInvalidPolicy,
		12: mach.KernInvalidPolicy, 99: mach.KernInvalidArgument} {
		_, kr := threadact.ThreadInfo(p.c, name, flavor, 32)
		w.want(kr, want)
	}
	_, kr = threadact.ThreadInfo(p.c, name, 11, 4)
	w.want(kr, mach.KernInvalidArgument)
	_, kr = threadact.ThreadInfo(p.c, p.self, 3, 10)
	w.want(kr, mach.KernInvalidArgument)
	w.end()
}

// TestThreadPolicies sets and gets who runs first: checked, and without effect.
func TestThreadPolicies(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.root(rules.Level2)
	c, th := p.c, p.thread
	for _, x := range []struct {
		flavor uint32
		info   []int32
		want   mach.KernReturn
	}{
		{1, []int32{1}, 0}, {2, []int32{0, 1e6, 2e6, 1}, 0}, {2, []int32{0, 2e6, 1e6, 1}, mach.KernInvalidArgument},
		{2, []int32{0, 10, 2e6, 1}, mach.KernInvalidArgument}, {3, []int32{5}, 0}, {3, nil, mach.KernInvalidArgument},
		{4, []int32{1}, mach.KernNotSupported}, {7, []int32{0xff0001}, 0}, {7, []int32{0xfe0001}, mach.KernInvalidArgument},
		{8, []int32{0xfe0006}, 0}, {8, []int32{0xfe0007}, mach.KernInvalidArgument},
		{9, []int32{0, 0}, mach.KernInvalidArgument},
		{99, []int32{1}, mach.KernInvalidArgument},
	} {
		if kr := threadact.ThreadPolicySet(c, th, x.flavor, x.info); kr != x.want {
			t.Errorf("set %d to %v: %v", x.flavor, x.info, kr)
		}
	}
	for flavor, want := range map[uint32][]int32{1: {1}, 2: {0, 5e6, 1e7, 1}, 3: {0}, 7: {0}, 8: {0}, 9: {0, 0}} {
		v, _, kr := threadact.ThreadPolicyGet(c, th, flavor, 16, 0)
		if w.want(kr, 0); !slices.Equal(v, want) {
			t.Errorf("policy %d: %v", flavor, v)
		}
		if flavor != 1 {
			_, _, kr = threadact.ThreadPolicyGet(c, th, flavor, uint32(len(want)-1), 0)
			w.want(kr, mach.KernInvalidArgument)
		}
	}
	_, _, kr := threadact.ThreadPolicyGet(c, th, 4, 16, 0)
	w.want(kr, mach.KernNotSupported)
	w.want(threadact.ThreadPolicy(c, th, 1, []int32{31}, 0), 0)
	w.want(threadact.ThreadPolicy(c, th, 1, []int32{128}, 0), mach.KernInvalidArgument)
	w.want(threadact.ThreadPolicy(c, th, 3, []int32{31}, 0), mach.KernInvalidPolicy)

	name, kr := threadact.ThreadGetAssignment(c, th)
	w.want(kr, 0)
	same, kr := machhost.ProcessorSetDefault(c, p.host)
	if w.want(kr, 0); name != same {
		t.Errorf("assigned to %v, want %v", name, same)
	}
	set, kr := hostpriv.HostProcessorSetPriv(c, p.host, name)
	w.want(kr, 0)
	w.want(threadact.ThreadSetPolicy(c, th, set, 1, []int32{31}, []int32{31}), 0)
	w.want(threadact.ThreadSetPolicy(c, th, name, 1, []int32{31}, []int32{31}), mach.KernInvalidArgument)
	w.want(threadact.ThreadSetPolicy(c, th, set, 1, []int32{31}, []int32{-1}), mach.KernInvalidArgument)
	w.want(threadact.ThreadDepressAbort(c, th), mach.KernNotDepressed)
	w.want(threadact.ThreadDepressAbort(c, p.self), mach.KernInvalidArgument)
	w.end()
}

// TestThreadPorts gets and sets special ports and vouchers.
func TestThreadPorts(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true, Restrictions: &restrict.Restrictions{
		System: restrict.System{KernelDebugging: true}}}, server.Config{})
	p := w.level(rules.LevelNone)
	c, th := p.c, p.thread
	n := p.port()
	w.want(threadact.ThreadSetSpecialPort(c, th, int32(object.ThreadKernelPort), n), 0)
	got, kr := threadact.ThreadGetSpecialPort(c, th, int32(object.ThreadKernelPort))
	if w.want(kr, 0); got != n {
		t.Errorf("port %v, want %v", got, n)
	}
	w.want(threadact.ThreadSetSpecialPort(c, th, 77, n), mach.KernInvalidArgument)
	_, kr = threadact.ThreadGetSpecialPort(c, th, 77)
	w.want(kr, mach.KernInvalidArgument)
	read, kr := threadact.ThreadGetSpecialPort(c, th, int32(object.ThreadReadPort))
	if w.want(kr, 0); read == 0 || read == th {
		t.Errorf("read port %v of %v", read, th)
	}
	v, kr := threadact.ThreadGetMachVoucher(c, th, 0)
	if w.want(kr, 0); v != 0 {
		t.Errorf("voucher %v", v)
	}
	_, kr = threadact.ThreadGetMachVoucher(c, th, 1)
	w.want(kr, mach.KernInvalidArgument)
	w.want(threadact.ThreadSetMachVoucher(c, th, 0), 0)
	w.want(threadact.ThreadSetMachVoucher(c, p.self, 0), mach.KernInvalidArgument)
	_, kr = threadact.ThreadSwapMachVoucher(c, th, 0, 0)
	w.want(kr, mach.KernNotSupported)
	w.end()
}
