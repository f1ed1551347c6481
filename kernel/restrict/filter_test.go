package restrict_test

import (
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// filtered sends a message with an id to a service as a task whose messages the sandbox filters, which allows no id
// below 100.
func (w *world) filtered(id int32, o mach.Option) mach.KernReturn {
	w.Helper()
	w.becomeFiltered()
	to := w.launchd.give(w.offender, w.launchd.service(0, 0), mach.CopySend)
	return w.offender.msg(mach.SendMQCall|o, message(mach.MakeBits(mach.CopySend, 0, 0), to, 0, id))
}

func (w *world) becomeFiltered() {
	w.r.Filter = func(by *restrict.Task, _ *ipc.Port, id int32) bool {
		if by != w.offender.task {
			w.Errorf("the filter was asked about %+v", by)
		}
		return id >= 100
	}
	w.offender.Terminate()
	t := restrict.NewTask(w.offender.task.Policy)
	t.Filtered = true
	w.offender = w.join(t)
}

// TestFilter sends messages that the sandbox filters to ports of all kinds.
//
// Source: XNU osfmk/ipc/ipc_policy.c, ipc_filter_kmsg_header_from_user.
func TestFilter(t *testing.T) {
	service := ipc.ConstructOptions{Flags: mach.ServicePort, Service: &ipc.ServiceInfo{Name: "s"}}
	bootstrap := service
	bootstrap.Service = &ipc.ServiceInfo{Name: "b", Domain: ipc.DomainPort}
	for _, c := range []struct {
		what   string
		to     ipc.ConstructOptions
		id     int32
		option mach.Option
		ret    mach.KernReturn
		killed bool
	}{
		{"service, allowed", service, 100, 0, 0, false},
		{"service", service, 99, 0, mach.SendMsgFiltered, true},
		{"service, not fatal", service, 99, mach.SendFilterNonfatal, mach.SendMsgFiltered, false},
		{"bootstrap port, allowed", bootstrap, 0x03000064, 0, 0, false},
		{"bootstrap port", bootstrap, 0x03000063, 0, mach.SendMsgFiltered, true},
		{"bootstrap port, MIG", bootstrap, 404, 0, mach.SendMsgFiltered, true},
		{"plain port", ipc.ConstructOptions{}, 1, 0, 0, false},
		{"plain port that asks for it", ipc.ConstructOptions{Flags: mach.FilterMsg}, 1, 0, 0, false},
		{"anonymous connection", ipc.ConstructOptions{Flags: mach.ConnectionPort, ServiceName: ipc.AnonymousService}, 1,
			0, 0, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, restrict.Default)
			defer w.end()
			w.becomeFiltered()
			n := w.launchd.construct(c.to)
			to := w.launchd.give(w.offender, n, mach.MakeSend)
			kr := w.offender.msg(mach.SendMQCall|c.option, message(mach.MakeBits(mach.CopySend, 0, 0), to, 0, c.id))
			seen := restrict.Of(w.offender.t).Return(kr)
			if kr != c.ret || (len(seen) == 1) != c.killed {
				t.Fatalf("got %v, guards %+v", kr, seen)
			}
			if c.killed && (seen[0].Guard() != ipc.GuardMsgFiltered || seen[0].Subcode != uint64(c.id)) {
				t.Errorf("guard %+v", seen[0])
			}
			// Others are not filtered.
			from := w.launchd.give(w.peer, n, mach.MakeSend)
			if kr := w.peer.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, 0, 0), from, 0, c.id)); kr != 0 {
				t.Errorf("a task that is not filtered: %v", kr)
			}
		})
	}
}

// TestStrictReply sends with MACH_MSG_STRICT_REPLY what strict checking would kill for: without the boot argument that
// turns the checks on (ipc_strict_reply, -enforce_strict_reply) the option changes nothing.
//
// Source: XNU osfmk/ipc/ipc_kmsg.c, enforce_strict_reply and its uses.
func TestStrictReply(t *testing.T) {
	for _, c := range columns {
		for _, reply := range []mach.Disposition{mach.MakeSend, mach.MakeSendOnce} {
			for _, o := range []mach.Option{0, mach.StrictReply} {
				w := newWorld(t, c.policy)
				to, back := w.peer.give(w.offender, w.peer.plain(), mach.CopySend), w.offender.plain()
				kr := w.offender.msg(mach.SendMQCall|o, message(mach.MakeBits(mach.CopySend, reply, 0), to, back, 1))
				w.ok(kr)
				kr = w.offender.t.Msg2(&ipc.Args{Options: mach.RcvMsg | mach.RcvTimeout | o, Receive: back,
					Buffer: make([]byte, 256)})
				if kr != mach.RcvTimedOut {
					t.Errorf("%s: received: %v", c.name, kr)
				}
				if g := restrict.Of(w.offender.t).Return(kr); len(g) > 0 {
					t.Errorf("%s: %+v", c.name, g)
				}
				w.end()
			}
		}
	}
}
