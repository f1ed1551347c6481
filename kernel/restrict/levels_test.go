package restrict_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

var update = flag.Bool("update", false, "rewrite the table in docs/kernel.md")

// columns are the kinds of task a scenario is run as. Simulated and translated ones are at level 3 otherwise.
var columns = []struct {
	name   string
	policy restrict.Policy
}{
	{"none", restrict.ForLevel(rules.LevelNone)},
	{"hardened-runtime", restrict.ForLevel(rules.LevelHardenedRuntime)},
	{"1", restrict.ForLevel(rules.Level1)},
	{"2", restrict.ForLevel(rules.Level2)},
	{"3", restrict.ForLevel(rules.Level3)},
	{"platform", restrict.ForLevel(rules.LevelPlatform)},
	{"simulated", restrict.ForLevel(rules.Level3) | restrict.Simulated},
	{"translated", restrict.ForLevel(rules.Level3) | restrict.Translated},
}

// scenario is a way to run into a guard.
type scenario struct {
	rule, what string
	run        func(w *world) mach.KernReturn
	// want has a letter for each column: K killed, R reported and alive, E an error and no more, - nothing at all.
	want    string
	code    rules.Code // target bits of names are checked too: names are what they are in a fresh space
	payload uint64
	ret     mach.KernReturn
	special bool // needs more than the level says: does not count for the level a guard kills from
}

func (w *world) plainReply() mach.Name { return w.offender.plain() }

// rpc sends to a port of another task with a plain receive right as the reply port.
func (w *world) rpc(to mach.Name) mach.KernReturn {
	return w.offender.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, mach.MakeSendOnce, 0), to,
		w.plainReply(), 1))
}

// moved sends a right in a port descriptor to a plain port of the peer.
func (w *world) moved(n mach.Name, d mach.Disposition) mach.KernReturn {
	to := w.peer.give(w.offender, w.peer.plain(), mach.CopySend)
	return w.offender.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, 0, 0), to, 0, 1,
		mach.Descriptor{Name: n, Disposition: d}))
}

// arrays sends out-of-line port arrays of one right each.
func (w *world) arrays(to mach.Name, dispositions ...mach.Disposition) mach.KernReturn {
	o := w.offender
	var ds []mach.Descriptor
	for _, d := range dispositions {
		addr, _ := o.mem.CopyOut(nil, binaryName(o.plain()))
		ds = append(ds, mach.Descriptor{Type: mach.DescriptorOOLPorts, Address: addr, Size: 1, Disposition: d})
	}
	return o.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, 0, 0), to, 0, 1, ds...))
}

func binaryName(n mach.Name) []byte {
	return []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
}

func (w *world) arrayPort() mach.Name {
	return w.peer.give(w.offender, w.peer.construct(ipc.ConstructOptions{Flags: mach.ConnectionPortWithPortArray}),
		mach.CopySend)
}

func code(g ipc.Guard, target uint32) rules.Code {
	return rules.MakeCode(rules.GuardMachPort, uint32(g), target)
}

var scenarios = []scenario{
	{"REQUIRE_REPLY_PORT_SEMANTICS", "message to a service port, plain reply port", func(w *world) mach.KernReturn {
		return w.rpc(w.launchd.give(w.offender, w.launchd.service(0, mach.EnforceReplyPortSemantics), mach.CopySend))
	}, "KKKKKK--", code(ipc.GuardRequireReply, 0x103), 0, mach.SendInvalidReply, false},
	{"REQUIRE_REPLY_PORT_SEMANTICS", "message to a connection port, plain reply port", func(w *world) mach.KernReturn {
		n := w.peer.construct(ipc.ConstructOptions{Flags: mach.ConnectionPort, ServiceName: ipc.AnonymousService})
		return w.rpc(w.peer.give(w.offender, n, mach.MakeSend))
	}, "KKKKKK--", code(ipc.GuardRequireReply, 0x103), 0, mach.SendInvalidReply, false},
	{"REQUIRE_REPLY_PORT_SEMANTICS", "message to an MPO_ENFORCE_REPLY_PORT_SEMANTICS port, plain reply port",
		func(w *world) mach.KernReturn {
			n := w.peer.construct(ipc.ConstructOptions{Flags: mach.EnforceReplyPortSemantics})
			return w.rpc(w.peer.give(w.offender, n, mach.CopySend))
		}, "KKKKKK--", code(ipc.GuardRequireReply, 0x103), 0, mach.SendInvalidReply, false},
	{"REQUIRE_REPLY_PORT_SEMANTICS", "message to the bootstrap port, plain reply port", func(w *world) mach.KernReturn {
		return w.rpc(w.launchd.give(w.offender, w.launchd.service(ipc.DomainPort, 0), mach.CopySend))
	}, "---KKK--", code(ipc.GuardRequireReply, 0x103), 1, mach.SendInvalidReply, false},
	{"KOBJECT_REPLY_PORT_SEMANTICS", "kernel call, plain reply port", func(w *world) mach.KernReturn {
		to, reply := w.offender.object(mach.PortTypeHost), w.plainReply()
		return w.offender.call(mach.SendKobjectCall, message(mach.MakeBits(mach.CopySend, mach.MakeSendOnce, 0), to,
			reply, 200), reply)
	}, "--KKKK--", code(ipc.GuardKobjectReply, 1), 0, mach.SendInvalidReply, false},
	{"OOL_PORT_ARRAY", "port array to a plain port", func(w *world) mach.KernReturn {
		return w.arrays(w.peer.give(w.offender, w.peer.plain(), mach.CopySend), mach.CopySend)
	}, "---KKK--", code(ipc.GuardDescriptor, 0x00800303), 0x0300000000000001, mach.SendInvalidOptions, false},
	{"OOL_PORT_ARRAY", "two port arrays in a message", func(w *world) mach.KernReturn {
		return w.arrays(w.arrayPort(), mach.CopySend, mach.CopySend)
	}, "---KKK--", code(ipc.GuardDescriptor, 0x00800303), 0x0200000000000002, mach.SendInvalidOptions, false},
	{"OOL_PORT_ARRAY", "port array of moved rights", func(w *world) mach.KernReturn {
		return w.arrays(w.arrayPort(), mach.MoveSend)
	}, "---KKK--", code(ipc.GuardDescriptor, 0x00800303), 0x0100000000000011, mach.SendInvalidOptions, false},
	{"THREAD_SET_STATE", "registers of an own thread", func(w *world) mach.KernReturn {
		return w.r.SetThreadState(w.offender.t, &restrict.SetThreadState{Target: w.offender.task, FromUser: true,
			Flavor: mach.ARMThreadState64, CPU: "arm64"})
	}, "--KKKK--", code(ipc.GuardThreadSetState, 6), 0, mach.KernNoAccess, false},
	{"THREAD_SET_STATE", "another task's thread in an exception (level of the target)", func(w *world) mach.KernReturn {
		caller := restrict.NewThread(w.peer.Space, nil)
		kr := w.r.SetThreadState(caller, &restrict.SetThreadState{Target: w.offender.task, FromUser: true,
			InException: true, Flavor: mach.ARMThreadState64, CPU: "arm64"})
		w.offender.t = caller // it is the caller who is blamed
		return kr
	}, "---KKK--", code(ipc.GuardThreadSetState, 6), 0, mach.KernNoAccess, false},
	{"SET_EXCEPTION_BEHAVIOR", "EXCEPTION_DEFAULT for an own thread or task", func(w *world) mach.KernReturn {
		return w.r.SetExceptionPorts(w.offender.t, &restrict.SetExceptionPorts{Excepting: w.offender.task, Mask: 0x6e,
			Port: w.k.NewObjectPort(mach.PortTypePlain, nil), Behavior: 0x80000001, CPU: "arm64"})
	}, "--KKKK--", code(ipc.GuardExceptionBehavior, 0x80000001), 0x6e, mach.KernDenied, false},
	{"SET_EXCEPTION_BEHAVIOR", "EXCEPTION_STATE_IDENTITY for the host, by its owner", func(w *world) mach.KernReturn {
		return w.r.SetExceptionPorts(w.offender.t, &restrict.SetExceptionPorts{Mask: 0x400,
			Port: w.k.NewObjectPort(mach.PortTypePlain, nil), Behavior: 3, CPU: "arm64"})
	}, "KKKKKK--", code(ipc.GuardExceptionBehavior, 3), 0x400, mach.KernDenied, true},
	{"ILLEGAL_MOVE", "receive right of an exception port moved", func(w *world) mach.KernReturn {
		return w.moved(w.offender.construct(ipc.ConstructOptions{Flags: mach.ExceptionPort}), mach.MoveReceive)
	}, "KKKKKKKK", code(ipc.GuardImmovable, 0x103), 0, mach.SendInvalidRight, false},
	{"ILLEGAL_MOVE", "own task control port copied into a message", func(w *world) mach.KernReturn {
		return w.moved(w.offender.taskSelf(), mach.CopySend)
	}, "--KKKK--", code(ipc.GuardImmovable, 0x103), 0x0000001100000013, mach.SendInvalidRight, false},
	{"ILLEGAL_MOVE", "own task control port as the reply port", func(w *world) mach.KernReturn {
		self := w.offender.taskSelf()
		to := w.peer.give(w.offender, w.peer.plain(), mach.CopySend)
		return w.offender.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, mach.CopySend, 0), to, self, 1))
	}, "--KKKK--", code(ipc.GuardImmovable, 0x103), 0x0000001100000012, mach.SendInvalidReply, false},
	{"ILLEGAL_MOVE", "task read port copied into a message", func(w *world) mach.KernReturn {
		return w.moved(w.offender.object(mach.PortTypeTaskRead), mach.CopySend)
	}, "KKKKKKKK", code(ipc.GuardImmovable, 0x103), 0x0000001200000013, mach.SendInvalidRight, false},
	{"ILLEGAL_MOVE", "receive right of an MPO_REPLY_PORT moved (below level 1 and when exempt it is a weak one)",
		func(w *world) mach.KernReturn {
			return w.moved(w.offender.construct(ipc.ConstructOptions{Flags: mach.ReplyPort}), mach.MoveReceive)
		}, "--KKKK--", code(ipc.GuardImmovable, 0x103), 0x0000000a00000010, mach.SendInvalidRight, false},
	{"ILLEGAL_MOVE", "send right made of a special reply port", func(w *world) mach.KernReturn {
		return w.moved(w.offender.t.SpecialReplyPort(), mach.MakeSend)
	}, "KKKKKKKK", code(ipc.GuardImmovable, 0x103), 0x0000000b00000014, mach.SendInvalidRight, false},
	{"SERVICE_PORT_VIOLATION_FATAL", "service port moved on", func(w *world) mach.KernReturn {
		n := w.launchd.hand(w.offender, w.launchd.service(0, mach.EnforceReplyPortSemantics))
		return w.moved(n, mach.MoveReceive)
	}, "KKKKKKKK", code(ipc.GuardServicePort, 0), 0x203, mach.SendInvalidRight, false},
	{"MOD_REFS", "last reference to the own task port given up", func(w *world) mach.KernReturn {
		return w.offender.Deallocate(w.offender.t, w.offender.taskSelf())
	}, "EEKKKKEE", code(ipc.GuardModRefs, 0x103), 1, mach.KernInvalidCapability, false},
	{"INVALID_MPO_ENTITLEMENT", "MPO_WEAK_REPLY_PORT without entitlement", func(w *world) mach.KernReturn {
		_, kr := w.offender.Construct(w.offender.t, &ipc.ConstructOptions{Flags: mach.WeakReplyPort})
		return kr
	}, "--KKKK--", code(ipc.GuardInvalidMPOEntitlement, 0x4000), 0, mach.KernDenied, false},
	{"INVALID_MPO_ENTITLEMENT", "MPO_CONNECTION_PORT_WITH_PORT_ARRAY without entitlement", func(w *world) mach.KernReturn {
		_, kr := w.offender.Construct(w.offender.t, &ipc.ConstructOptions{Flags: mach.ConnectionPortWithPortArray})
		return kr
	}, "--KKKK--", code(ipc.GuardInvalidMPOEntitlement, 0x10000), 0, mach.KernDenied, false},
	{"INVALID_OPTIONS", "mach_msg2 without a kind of destination", func(w *world) mach.KernReturn {
		return w.offender.msg(0, message(mach.MakeBits(mach.CopySend, 0, 0), w.offender.plain(), 0, 1))
	}, "KKKKKKKK", code(ipc.GuardInvalidOptions, 0), 0x8000010000000011, mach.SendInvalidOptions, false},
	{"INVALID_OPTIONS", "kernel call sent as a message to a queue", func(w *world) mach.KernReturn {
		return w.offender.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, 0, 0),
			w.offender.object(mach.PortTypeHost), 0, 200))
	}, "KKKKKKKK", code(ipc.GuardInvalidOptions, 0), 0x8000010400000011, mach.SendInvalidOptions, false},
	{"INVALID_OPTIONS", "legacy mach_msg trap (task_info)", func(w *world) mach.KernReturn {
		return w.offender.t.MsgLegacy(&ipc.Args{Options: mach.SendMsg,
			Send: message(mach.MakeBits(mach.CopySend, 0, 0), w.offender.plain(), 0, 3405)})
	}, "KKKKKKKK", code(ipc.GuardInvalidOptions, 3405), 0x0000010000000001, mach.KernNotSupported, false},
	{"INVALID_NOTIFICATION_REQ", "port-destroyed notification armed on an exception port", func(w *world) mach.KernReturn {
		o := w.offender
		n := o.construct(ipc.ConstructOptions{Flags: mach.ExceptionPort})
		_, kr := o.RequestNotification(o.t, n, mach.NotifyPortDestroyed, 0, o.plain(), mach.MakeSendOnce)
		return kr
	}, "KKKKKKKK", code(ipc.GuardInvalidNotification, 8), 69, mach.KernInvalidRight, false},
	{"INVALID_NOTIFICATION_REQ", "no-senders notification armed on a special reply port", func(w *world) mach.KernReturn {
		o := w.offender
		n := o.t.SpecialReplyPort()
		_, kr := o.RequestNotification(o.t, n, mach.NotifyNoSenders, 0, o.plain(), mach.MakeSendOnce)
		return kr
	}, "KKKKKKKK", code(ipc.GuardInvalidNotification, 11), 70, mach.KernInvalidRight, false},
	{"DESTROY", "guarded port destroyed", func(w *world) mach.KernReturn {
		o := w.offender
		n := o.construct(ipc.ConstructOptions{Flags: mach.ContextAsGuard, Context: 0x1234})
		return o.Destroy(o.t, n)
	}, "KKKKKKKK", code(ipc.GuardDestroy, 0x103), 0x1234, mach.KernInvalidRight, false},
	{"SET_CONTEXT", "context of a strictly guarded port set", func(w *world) mach.KernReturn {
		o := w.offender
		n := o.construct(ipc.ConstructOptions{Flags: mach.ContextAsGuard | mach.Strict, Context: 0x1234})
		return o.SetContext(o.t, n, 1)
	}, "KKKKKKKK", code(ipc.GuardSetContext, 0x103), 0x1234, mach.KernInvalidArgument, false},
	{"UNGUARDED", "unguard of a port without a guard", func(w *world) mach.KernReturn {
		return w.offender.Unguard(w.offender.t, w.offender.plain(), 1)
	}, "KKKKKKKK", code(ipc.GuardUnguarded, 0x103), 0, mach.KernInvalidArgument, false},
	{"INCORRECT_GUARD", "unguard with a wrong value", func(w *world) mach.KernReturn {
		o := w.offender
		n := o.construct(ipc.ConstructOptions{Flags: mach.ContextAsGuard, Context: 0x1234})
		return o.Unguard(o.t, n, 1)
	}, "KKKKKKKK", code(ipc.GuardIncorrectGuard, 0x103), 0x1234, mach.KernInvalidArgument, false},
	{"MSG_FILTERED", "message that the sandbox filters", func(w *world) mach.KernReturn {
		return w.filtered(7, 0)
	}, "KKKKKKKK", code(ipc.GuardMsgFiltered, 0), 7, mach.SendMsgFiltered, false},
	{"INVALID_RIGHT", "mach_port_deallocate of a receive right", func(w *world) mach.KernReturn {
		n, kr := w.offender.Allocate(w.offender.t, mach.RightReceive)
		w.ok(kr)
		return w.offender.Deallocate(w.offender.t, n)
	}, "EEKKKKKK", code(ipc.GuardInvalidRight, 0x103), 0x0500000000020000, mach.KernInvalidRight, false},
	{"INVALID_NAME", "mach_port_deallocate of a name that is none", func(w *world) mach.KernReturn {
		return w.offender.Deallocate(w.offender.t, 9987)
	}, "EEKKKKKK", code(ipc.GuardInvalidName, 9987), 0, mach.KernInvalidName, false},
	{"INVALID_VALUE", "mach_port_mod_refs below zero", func(w *world) mach.KernReturn {
		return w.offender.ModRefs(w.offender.t, w.offender.plain(), mach.RightSend, -2)
	}, "EEKKKKKK", code(ipc.GuardInvalidValue, 0x103), 0x02000000fffe0001, mach.KernInvalidValue, false},
	{"INVALID_ARGUMENT", "guard on a port that has one", func(w *world) mach.KernReturn {
		o := w.offender
		n := o.construct(ipc.ConstructOptions{Flags: mach.ContextAsGuard, Context: 0x1234})
		return o.Guard(o.t, n, 1, 0)
	}, "EEKKKKKK", code(ipc.GuardInvalidArgument, 0x103), 0x1234, mach.KernInvalidArgument, false},
	{"KERN_FAILURE", "second port-destroyed notification", func(w *world) mach.KernReturn {
		o := w.offender
		n, to := o.plain(), o.plain()
		_, kr := o.RequestNotification(o.t, n, mach.NotifyPortDestroyed, 0, to, mach.MakeSendOnce)
		w.ok(kr)
		_, kr = o.RequestNotification(o.t, n, mach.NotifyPortDestroyed, 0, to, mach.MakeSendOnce)
		return kr
	}, "EEKKKKKK", code(ipc.GuardKernFailure, 0), 4, mach.KernFailure, false},
	{"SEND_INVALID_REPLY", "special reply port sent as COPY_SEND reply port", func(w *world) mach.KernReturn {
		o := w.offender
		return o.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, mach.CopySend, 0), o.plain(),
			o.t.SpecialReplyPort(), 1))
	}, "EEKKKKKK", code(ipc.GuardSendInvalidReply, 0x203), 0x0083000100000013, mach.SendInvalidReply, false},
	{"SEND_INVALID_VOUCHER", "plain port as voucher", func(w *world) mach.KernReturn {
		n := w.offender.plain()
		b := message(mach.MakeBits(mach.CopySend, 0, mach.CopySend), n, 0, 1)
		copy(b[16:], binaryName(n))
		return w.offender.msg(mach.SendMQCall, b)
	}, "EEKKKKKK", code(ipc.GuardSendInvalidVoucher, 0x103), 0x13, mach.SendInvalidVoucher, false},
	{"SEND_INVALID_RIGHT", "receive right sent as a send right", func(w *world) mach.KernReturn {
		n, kr := w.offender.Allocate(w.offender.t, mach.RightReceive)
		w.ok(kr)
		return w.moved(n, mach.CopySend)
	}, "EEKKKKKK", code(ipc.GuardSendInvalidRight, 0x103), 0x0100000000000013, mach.SendInvalidRight, false},
	{"RCV_INVALID_NAME", "receive on a send right", func(w *world) mach.KernReturn {
		n, _, kr := w.peer.ExtractRight(w.offender.t, w.peer.plain(), mach.CopySend)
		w.ok(kr)
		return w.offender.t.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: n, Buffer: make([]byte, 64)})
	}, "EEKKKKKK", code(ipc.GuardRcvInvalidName, 0x103), 0, mach.RcvInvalidName, false},
	{"MOVE_WEAK_REPLY_PORT", "receive right of a weak reply port moved", func(w *world) mach.KernReturn {
		w.offender.task.Entitlements = map[string]bool{restrict.WeakReplyEntitlement: true}
		return w.moved(w.offender.construct(ipc.ConstructOptions{Flags: mach.WeakReplyPort}), mach.MoveReceive)
	}, "---RRR--", code(ipc.GuardMoveWeakReply, 0x103), 0, 0, false},
	{"INVALID_NOTIFICATION_PORT", "exception port as the port to notify", func(w *world) mach.KernReturn {
		o := w.offender
		to := o.construct(ipc.ConstructOptions{Flags: mach.ExceptionPort})
		_, kr := o.RequestNotification(o.t, o.plain(), mach.NotifyNoSenders, 0, to, mach.MakeSendOnce)
		return kr
	}, "--RRRRRR", code(ipc.GuardNotificationPort, 0), 8, 0, false},
	{"CV_NOTIFICATION_PORT_REQ", "plain port as the port to notify, by a contained task, with the boot argument",
		func(w *world) mach.KernReturn {
			w.r.NotificationPortsRequired = true
			return w.containedRequest()
		}, "--RRRR--", code(ipc.GuardNotificationPortReq, 0), 0, 0, true},
	{"OVERDEALLOC_SOFT", "last reference to the own task port given up, by a task that lets guards be reported",
		func(w *world) mach.KernReturn {
			w.offender.task.SetBehavior(restrict.MPDeliver | restrict.MPCorpse)
			return w.offender.Deallocate(w.offender.t, w.offender.taskSelf())
		}, "RROOOOEE", code(ipc.GuardModRefsNonFatal, 0x103), 1, mach.KernInvalidCapability, false},
}

// unraised does what once raised a guard, or would on another kernel. In want, O is another guard.
var unraised = []scenario{
	{rule: "STRICT_REPLY", what: "message with MACH_MSG_STRICT_REPLY, plain reply port; only with the boot argument " +
		"-enforce_strict_reply", run: func(w *world) mach.KernReturn {
		to := w.peer.give(w.offender, w.peer.plain(), mach.CopySend)
		return w.offender.msg(mach.SendMQCall|mach.StrictReply, message(mach.MakeBits(mach.CopySend, mach.MakeSend, 0), to,
			w.plainReply(), 1))
	}, want: "--------"},
	{rule: "CV_NOTIFICATION_PORT_REQ", what: "plain port as the port to notify, by a contained task; only with the " +
		"boot argument cv_notif_port_required_enforced", run: (*world).containedRequest, want: "--------"},
	{rule: "RCV_GUARDED_DESC", what: "guarded descriptor received without MACH_RCV_GUARDED_DESC; only by kernels for " +
		"development", run: func(w *world) mach.KernReturn {
		o := w.offender
		box := o.plain()
		n, kr := w.peer.Allocate(w.peer.t, mach.RightReceive)
		w.ok(kr)
		w.ok(w.peer.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, 0, 0), o.give(w.peer, box, mach.CopySend), 0, 1,
			mach.Descriptor{Type: mach.DescriptorGuardedPort, Name: n, Disposition: mach.MoveReceive,
				Flags: mach.GuardedUnguardedOnSend | mach.GuardedImmovableReceive})))
		return o.receive(box, 0)
	}, want: "--------"},
	{rule: "RCV_INVALID_NOTIFY", what: "received with the option that was MACH_RCV_NOTIFY; macOS 10.14 alone",
		run: func(w *world) mach.KernReturn {
			n := w.offender.plain()
			w.ok(w.offender.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, 0, 0), n, 0, 1)))
			return w.offender.receive(n, 0x200)
		}, want: "--------"},
	{rule: "SERVICE_PORT_VIOLATION_NON_FATAL", what: "service port moved on; retired, it is fatal now",
		run: func(w *world) mach.KernReturn {
			return w.moved(w.launchd.hand(w.offender, w.launchd.service(0, mach.EnforceReplyPortSemantics)), mach.MoveReceive)
		}, want: "OOOOOOOO", ret: mach.SendInvalidRight},
	{rule: "SERVICE_PORT_VIOLATION_NON_FATAL", what: "weak service port moved on; retired",
		run: func(w *world) mach.KernReturn {
			return w.moved(w.launchd.hand(w.offender, w.launchd.service(0, 0)), mach.MoveReceive)
		}, want: "--------"},
	{rule: "PROVISIONAL_REPLY_PORT", what: "MPO_WEAK_REPLY_PORT with the entitlement; retired",
		run: func(w *world) mach.KernReturn {
			return w.constructEntitled(mach.WeakReplyPort, restrict.WeakReplyEntitlement)
		}, want: "--------"},
	{rule: "OOL_PORT_ARRAY_CREATION", what: "MPO_CONNECTION_PORT_WITH_PORT_ARRAY with the entitlement; retired",
		run: func(w *world) mach.KernReturn {
			return w.constructEntitled(mach.ConnectionPortWithPortArray, restrict.PortArrayEntitlement)
		}, want: "--------"},
	{rule: "REPLY_PORT_SINGLE_SO_RIGHT", what: "second send-once right to a reply port; the policy is disabled",
		run: func(w *world) mach.KernReturn {
			reply := w.offender.construct(ipc.ConstructOptions{Flags: mach.ReplyPort})
			to := w.peer.give(w.offender, w.peer.plain(), mach.CopySend)
			m := message(mach.MakeBits(mach.CopySend, mach.MakeSendOnce, 0), to, reply, 1)
			w.ok(w.offender.msg(mach.SendMQCall, m))
			return w.offender.msg(mach.SendMQCall, m)
		}, want: "--------"},
	{rule: "MACH_EXC_THREAD_SET_STATE", what: "answer to an exception with new registers; analytics alone learn of it, " +
		"if another task answers from level 3 on", run: func(w *world) mach.KernReturn {
		return w.r.SetThreadState(w.offender.t, &restrict.SetThreadState{Target: w.offender.task, InException: true,
			Flavor: mach.ARMThreadState64, CPU: "arm64"})
	}, want: "--------"},
	{rule: "ILLEGALMOVE_SOFT", what: "own task control port copied into a message; retired, it is fatal where it is " +
		"forbidden", run: func(w *world) mach.KernReturn {
		return w.moved(w.offender.taskSelf(), mach.CopySend)
	}, want: "--OOOO--", ret: mach.SendInvalidRight},
}

// containedRequest asks, as a contained task, for a notification on a plain port.
func (w *world) containedRequest() mach.KernReturn {
	w.offender.Terminate()
	w.offender = w.join(restrict.NewTask(w.offender.task.Policy | restrict.Contained))
	o := w.offender
	_, kr := o.RequestNotification(o.t, o.plain(), mach.NotifyNoSenders, 0, o.plain(), mach.MakeSendOnce)
	return kr
}

func (w *world) constructEntitled(f mach.ConstructFlags, entitlement string) mach.KernReturn {
	w.offender.task.Entitlements = map[string]bool{entitlement: true}
	_, kr := w.offender.Construct(w.offender.t, &ipc.ConstructOptions{Flags: f})
	return kr
}

// outcome runs a scenario as a kind of task. The letter is O for a guard that is not the scenario's.
func (s *scenario) outcome(t testing.TB, p restrict.Policy) (letter byte, v *restrict.Violation, kr mach.KernReturn) {
	w := newWorld(t, p)
	defer w.end()
	kr = s.run(w)
	seen := restrict.Of(w.offender.t).Return(kr)
	switch {
	case len(seen) > 1:
		t.Fatalf("%d guards were delivered", len(seen))
	case len(seen) == 1 && nameOf(&seen[0]) != s.rule:
		return 'O', &seen[0], kr
	case len(seen) == 1 && seen[0].Fate == restrict.Killed:
		return 'K', &seen[0], kr
	case len(seen) == 1:
		return 'R', &seen[0], kr
	case kr != 0:
		return 'E', nil, kr
	}
	return '-', nil, kr
}

// nameOf returns what the table of restrictions calls a violation.
func nameOf(v *restrict.Violation) string {
	rule, _ := rules.ByCode(v.Code)
	return rule.Name
}

// row runs a scenario at all levels and compares the outcomes; it returns the cells, and the first guard of the
// scenario's own.
func (s *scenario) row(t *testing.T) (cells string, first *restrict.Violation) {
	words := map[byte]string{'K': "**killed**", 'R': "reported", 'E': "error", '-': "–"}
	got := ""
	for _, c := range columns {
		letter, v, kr := s.outcome(t, c.policy)
		got += string(letter)
		word := words[letter]
		switch {
		case letter == 'O':
			word = v.Fate.String() + " by " + nameOf(v)
		case v != nil && first == nil:
			first = v
		}
		cells += " " + word + " |"
		if letter == '-' && kr != 0 || letter != '-' && kr != s.ret {
			t.Errorf("%s: the call returned %v, want %v", c.name, kr, s.ret)
		}
	}
	if got != s.want {
		t.Errorf("levels %s, want %s", got, s.want)
	}
	return cells, first
}

// heading begins a table with a column for each kind of task.
func heading(b *bytes.Buffer, before, after string) {
	fmt.Fprint(b, before)
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c.name)
	}
	cells := strings.Count(before, "|") + strings.Count(after, "|") - 1 + len(columns)
	fmt.Fprint(b, after, "\n|", strings.Repeat("---|", cells), "\n")
}

func TestLevels(t *testing.T) {
	var table bytes.Buffer
	heading(&table, "| guard | when |", " code (first level) | payload | call returns |")
	for i := range scenarios {
		s := &scenarios[i]
		t.Run(s.rule+"/"+s.what, func(t *testing.T) {
			cells, first := s.row(t)
			if first == nil {
				t.Fatal("no level raised the guard")
			}
			s.check(t, first)
			fmt.Fprintf(&table, "| %s | %s |%s `%v` | `%#x` | %v |\n", s.rule, s.what, cells, first.Code, first.Subcode,
				s.ret.String())
		})
	}
	checkTable(t, "../../docs/kernel.md", "levels", table.Bytes())
}

// TestUnraised does what raises no guard any more.
func TestUnraised(t *testing.T) {
	var table bytes.Buffer
	heading(&table, "| guard | flavor | what is done |", " call returns |")
	for i := range unraised {
		s := &unraised[i]
		t.Run(s.rule+"/"+s.what, func(t *testing.T) {
			cells, first := s.row(t)
			if first != nil {
				t.Errorf("raised: %+v", first)
			}
			rule, ok := rules.ByName(s.rule)
			if !ok {
				t.Errorf("there is no %s", s.rule)
			}
			fmt.Fprintf(&table, "| %s | `%#x` | %s |%s %v |\n", s.rule, rule.Flavor, s.what, cells, s.ret.String())
		})
	}
	checkTable(t, "../../docs/kernel.md", "unraised", table.Bytes())
}

// TestEveryGuard checks that no guard of the table of restrictions is missing, but for those that no public kernel
// raises.
func TestEveryGuard(t *testing.T) {
	done := map[string]bool{"RIGHT_EXISTS": true, "KERN_NO_SPACE": true, "KERN_RESOURCE": true}
	for _, s := range append(scenarios[:len(scenarios):len(scenarios)], unraised...) {
		done[s.rule] = true
	}
	for _, r := range rules.All() {
		if r.Guard == rules.GuardMachPort && !done[r.Name] {
			t.Errorf("%s is in no scenario", r.Name)
		}
	}
}

// TestMovedOnce checks that the first weak reply port that a task moves is reported, and no other.
func TestMovedOnce(t *testing.T) {
	w := newWorld(t, restrict.ForLevel(rules.Level2))
	w.offender.task.Entitlements = map[string]bool{restrict.WeakReplyEntitlement: true}
	for i, want := range []int{1, 0, 0} {
		kr := w.moved(w.offender.construct(ipc.ConstructOptions{Flags: mach.WeakReplyPort}), mach.MoveReceive)
		if seen := restrict.Of(w.offender.t).Return(kr); len(seen) != want || kr != 0 {
			t.Errorf("move %d: %v, %d guards, want %d", i, kr, len(seen), want)
		}
	}
	w.end()
}

// check compares a violation with what is expected and with what the table of restrictions says of it.
func (s *scenario) check(t *testing.T, v *restrict.Violation) {
	t.Helper()
	payload := s.payload
	if v.Guard() == ipc.GuardInvalidOptions { // the policy of the first level shows in the options
		payload |= v.Subcode & (0xfff << mach.PolicyShift)
	}
	if v.Code != s.code || v.Subcode != payload || v.Return != s.ret {
		t.Errorf("code %v, payload %#x, return %v; want %v, %#x, %v", v.Code, v.Subcode, v.Return, s.code, payload,
			s.ret)
	}
	rule, ok := rules.ByCode(v.Code)
	if !ok || rule.Name != s.rule || rule.Class != v.Class {
		t.Errorf("the table of restrictions calls %v %s, %v; want %s, %v", v.Code, rule.Name, rule.Class, s.rule, v.Class)
	}
}

// checkTable compares the table in a document with what the test found.
func checkTable(t *testing.T, path, name string, table []byte) {
	t.Helper()
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+": written by go test ./kernel/restrict -update -->\n", "<!-- end -->"
	head, rest, ok := bytes.Cut(doc, []byte(begin))
	old, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", path)
	}
	if *update && !t.Failed() {
		out := bytes.Join([][]byte{head, []byte(begin), table, []byte(end), tail}, nil)
		if err := os.WriteFile(path, out, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(old, table) {
		t.Errorf("the table in %s is stale: go test ./kernel/restrict -update", path)
	}
}

// TestTableOfRestrictionsAgrees compares the lowest level at which a guard kills here with what the table of
// restrictions says.
func TestTableOfRestrictionsAgrees(t *testing.T) {
	from := map[string]rules.Level{}
	for _, s := range scenarios {
		for i, l := range rules.Levels() {
			if s.want[i] != 'K' || s.special {
				continue
			}
			if old, ok := from[s.rule]; !ok || l < old {
				from[s.rule] = l
			}
			break
		}
	}
	for name, l := range from {
		r, ok := rules.ByName(name)
		if !ok {
			t.Errorf("the table has no %s", name)
		} else if r.KillsFrom != l {
			t.Errorf("%s kills from %v here, from %v in the table", name, l, r.KillsFrom)
		}
	}
	for _, r := range rules.All() {
		if r.Guard == rules.GuardMachPort && r.Flavor != 0 && restrict.ClassOf(ipc.Guard(r.Flavor)) != r.Class {
			t.Errorf("%s is %v here, %v in the table", r.Name, restrict.ClassOf(ipc.Guard(r.Flavor)), r.Class)
		}
	}
}
