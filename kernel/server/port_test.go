package server_test

import (
	"testing"

	"portcullis.dev/defs/machport"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
	"portcullis.dev/rules"
)

const (
	receive = uint32(mach.RightReceive)
	send    = uint32(mach.RightSend)
	set     = uint32(mach.RightPortSet)
)

func made(n mach.Name) rpc.Right[mach.Name] {
	return rpc.Right[mach.Name]{Port: n, Disposition: mach.MakeSend}
}

func madeOnce(n mach.Name) rpc.Right[mach.Name] {
	return rpc.Right[mach.Name]{Port: n, Disposition: mach.MakeSendOnce}
}

// TestRights calls what makes, counts, moves and gives up rights.
func TestRights(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.join(object.TaskConfig{})
	c, self := p.c, p.self
	before := p.rights()

	n, kr := machport.MachPortAllocate(c, self, receive)
	w.want(kr, 0)
	_, kr = machport.MachPortAllocate(c, self, send)
	w.want(kr, mach.KernInvalidValue)
	w.want(machport.MachPortInsertRight(c, self, n, made(n)), 0)
	typ, kr := machport.MachPortType(c, self, n)
	if w.want(kr, 0); mach.RightType(typ) != mach.TypeSend|mach.TypeReceive {
		t.Errorf("type %#x", typ)
	}
	names, types, kr := machport.MachPortNames(c, self)
	if w.want(kr, 0); len(names) != len(before)+1 || len(types) != len(names) {
		t.Errorf("%d names, want %d", len(names), len(before)+1)
	}
	w.want(machport.MachPortModRefs(c, self, n, send, 2), 0)
	refs, kr := machport.MachPortGetRefs(c, self, n, send)
	if w.want(kr, 0); refs != 3 {
		t.Errorf("%d references", refs)
	}
	w.want(machport.MachPortDeallocate(c, self, n), 0)
	srights, kr := machport.MachPortGetSrights(c, self, n)
	if w.want(kr, 0); srights != 1 {
		t.Errorf("%d send rights", srights)
	}
	w.want(machport.MachPortRename(c, self, n, 0x4403), mach.KernNotSupported)
	w.want(machport.MachPortRename(c, self, n, 0), mach.KernInvalidValue)

	const other, third = mach.Name(0x4403), mach.Name(0x4503)
	w.want(machport.MachPortAllocateName(c, self, receive, other), 0)
	w.want(machport.MachPortAllocateName(c, self, receive, other), mach.KernNameExists)
	qos, name, kr := machport.MachPortAllocateQos(c, self, receive, [2]int32{2, 100})
	if w.want(kr, 0); qos != [2]int32{0, 100} {
		t.Errorf("qos %v", qos)
	}
	_, _, kr = machport.MachPortAllocateQos(c, self, receive, [2]int32{1, 0})
	w.want(kr, mach.KernInvalidArgument)
	_, got, kr := machport.MachPortAllocateFull(c, self, set, 0, [2]int32{1, 0}, third)
	if w.want(kr, 0); got != third {
		t.Errorf("name %#x", got)
	}
	_, _, kr = machport.MachPortAllocateFull(c, self, receive, n, [2]int32{}, 0)
	w.want(kr, mach.KernInvalidValue)

	w.want(machport.MachPortInsertMember(c, self, name, third), 0)
	w.want(machport.MachPortInsertMember(c, self, name, third), mach.KernAlreadyInSet)
	members, kr := machport.MachPortGetSetStatus(c, self, third)
	if w.want(kr, 0); len(members) != 1 || members[0] != name {
		t.Errorf("members %v", members)
	}
	w.want(machport.MachPortExtractMember(c, self, name, third), 0)
	w.want(machport.MachPortMoveMember(c, self, name, third), 0)
	w.want(machport.MachPortMoveMember(c, self, name, 0), 0)
	w.want(machport.MachPortMoveMember(c, self, name, 0), mach.KernNotInSet)

	for _, n := range []mach.Name{other, third, name} {
		w.want(machport.MachPortDestroy(c, self, n), 0)
	}
	w.want(machport.MachPortModRefs(c, self, n, receive, -1), 0)
	w.want(machport.MachPortModRefs(c, self, n, uint32(mach.RightDeadName), -2), 0)
	if p.mem.Len() != 0 || len(p.rights()) != len(before) {
		t.Errorf("%d pieces of memory left; rights before %v, after %v", p.mem.Len(), before, p.rights())
	}
	w.end()
}

// TestRightsInMessages puts rights into a space and takes them out by message: what the message carries goes in, and the
// reply carries what comes out.
func TestRightsInMessages(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true}, server.Config{})
	p, o := w.level(rules.LevelNone), w.level(rules.LevelNone)
	c := p.c
	to := p.of(o, object.Control)
	n := p.port()

	w.want(machport.MachPortInsertRight(c, to, 0x5503, rpc.Right[mach.Name]{Port: n, Disposition: mach.CopySend}), 0)
	w.want(machport.MachPortInsertRight(c, to, 0x5603, made(n)), mach.KernRightExists)
	w.want(machport.MachPortInsertRight(c, to, 0, made(n)), mach.KernInvalidValue)
	if r := o.rights()[0x5503]; mach.RightType(r[0]) != mach.TypeSend || r[1] != 1 {
		t.Errorf("the other task has %v", r)
	}
	for _, x := range []struct {
		ask, got mach.Disposition
		n        mach.Name
	}{{mach.CopySend, mach.MoveSend, n}, {mach.MoveSend, mach.MoveSend, n}} {
		right, kr := machport.MachPortExtractRight(c, to, 0x5503, uint32(x.ask))
		if w.want(kr, 0); right.Port != x.n || right.Disposition != x.got {
			t.Errorf("extracted %+v", right)
		}
	}
	if _, ok := o.rights()[0x5503]; ok {
		t.Error("a right that was moved is still there")
	}
	_, kr := machport.MachPortExtractRight(c, to, 0x5503, uint32(mach.CopySend))
	w.want(kr, mach.KernInvalidName)
	_, kr = machport.MachPortExtractRight(c, to, n, 99)
	w.want(kr, mach.KernInvalidValue)

	// A receive right moves, and a send-once right is made of one.
	m := o.port()
	right, kr := machport.MachPortExtractRight(c, to, m, uint32(mach.MoveReceive))
	if w.want(kr, 0); right.Disposition != mach.MoveReceive {
		t.Errorf("extracted %+v", right)
	}
	w.want(machport.MachPortInsertRight(c, to, 0x5703, rpc.Right[mach.Name]{Port: right.Port,
		Disposition: mach.MakeSendOnce}), 0)
	once, kr := machport.MachPortExtractRight(c, to, 0x5703, uint32(mach.MoveSendOnce))
	if w.want(kr, 0); once.Disposition != mach.MoveSendOnce {
		t.Errorf("extracted %+v", once)
	}
	w.messages = true // the receiver is told of a send-once right that goes unused
	w.want(p.Space.Deallocate(p.th.IPC, once.Port), 0)
	w.end()
}

// TestNotifications arms a dead-name request, replaces it, and gets the right of the first back.
func TestNotifications(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p, o := w.join(object.TaskConfig{}), w.join(object.TaskConfig{})
	c := p.c
	n, theirs := p.port(), o.port()
	right, _ := o.Space.SendPort(theirs)
	name := p.name(right.CopySend())
	prev, kr := machport.MachPortRequestNotification(c, p.self, name, mach.NotifyDeadName, 0, madeOnce(n))
	if w.want(kr, 0); prev != 0 {
		t.Errorf("previous %#x", prev)
	}
	total, used, kr := machport.MachPortDnrequestInfo(o.c, o.self, theirs)
	if w.want(kr, 0); total != 1 || used != 1 {
		t.Errorf("%d requests, %d used", total, used)
	}
	prev, kr = machport.MachPortRequestNotification(c, p.self, name, mach.NotifyDeadName, 0, madeOnce(n))
	if w.want(kr, 0); mach.RightType(p.rights()[prev][0])&mach.TypeSendOnce == 0 {
		t.Errorf("previous %#x is %v", prev, p.rights()[prev])
	}
	w.messages = true // a send-once right that goes unused tells its receiver
	_, kr = machport.MachPortRequestNotification(c, p.self, name, 1, 0, madeOnce(n))
	w.want(kr, mach.KernInvalidValue)
	_, kr = machport.MachPortRequestNotification(c, p.self, 0x8803, mach.NotifyNoSenders, 0, madeOnce(n))
	w.want(kr, mach.KernInvalidName)
	o.Terminate()
	for _, want := range []int32{mach.NotifySendOnce, mach.NotifySendOnce, mach.NotifyDeadName} {
		if id := p.next(n); id != want {
			t.Errorf("message %d, want %d", id, want)
		}
	}
	w.end()
}

// TestConstruct makes ports of options, and a service port of what launchd says of it in its memory.
func TestConstruct(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	launchd := restrict.NewTask(restrict.ForLevel(rules.LevelPlatform))
	launchd.Launchd = true
	p := w.join(object.TaskConfig{Restrict: launchd})
	c, self := p.c, p.self
	construct := func(f mach.ConstructFlags, queue uint32, word uint64) (mach.Name, mach.KernReturn) {
		return machport.MachPortConstruct(c, self, [3]uint64{uint64(f) | uint64(queue)<<32, word}, 0x77)
	}
	n, kr := construct(mach.QueueLimit|mach.InsertSendRight|mach.ContextAsGuard, 9, 0)
	w.want(kr, 0)
	info, kr := machport.MachPortGetAttributes(c, self, n, int32(mach.AttrLimitsInfo), 1)
	if w.want(kr, 0); info[0] != 9 {
		t.Errorf("queue limit %v", info)
	}
	w.want(machport.MachPortDestruct(c, self, n, -1, 0x78), mach.KernInvalidArgument) // which would kill
	p.guards()
	w.want(machport.MachPortDestruct(c, self, n, -1, 0x77), 0)
	_, kr = construct(mach.QueueLimit, mach.QueueLimitMax+1, 0)
	w.want(kr, mach.KernInvalidValue)

	says := make([]byte, 256)
	copy(says, "com.example.service")
	says[255] = 3
	at := p.mem.Put(says)
	service, kr := construct(mach.StrictServicePort|mach.InsertSendRight, 0, at)
	w.want(kr, 0)
	b, kr := machport.MachPortGetServicePortInfo(c, self, service)
	if w.want(kr, 0); string(b[:20]) != "com.example.service\x00" || b[255] != 3 {
		t.Errorf("info %q", b)
	}
	_, kr = machport.MachPortGetServicePortInfo(c, self, p.port())
	w.want(kr, mach.KernInvalidCapability)
	_, kr = construct(mach.ServicePort, 0, 0x1)
	w.want(kr, mach.KernMemoryError)
	_, kr = construct(mach.ServicePort, 0, 0)
	w.want(kr, mach.KernInvalidArgument)
	conn, kr := construct(mach.ConnectionPort, 0, uint64(service))
	w.want(kr, 0)
	_, kr = machport.MachPortIsConnectionForService(c, self, conn, service)
	w.want(kr, mach.KernNotSupported)
	p.mem.Take(at)
	w.end()
}

// TestPortState calls what reads and sets the state of a receive right.
func TestPortState(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.join(object.TaskConfig{})
	c, self := p.c, p.self
	n := p.port()
	w.want(machport.MachPortSetMscount(c, self, n, 5), 0)
	w.want(machport.MachPortSetSeqno(c, self, n, 40), 0)
	w.want(machport.MachPortSetAttributes(c, self, n, int32(mach.AttrLimitsInfo), []int32{3}), 0)
	w.want(machport.MachPortSetAttributes(c, self, n, int32(mach.AttrLimitsInfo), nil), mach.KernFailure)
	w.want(machport.MachPortSetAttributes(c, self, n, 99, nil), mach.KernInvalidArgument)
	st, kr := machport.MachPortGetAttributes(c, self, n, int32(mach.AttrReceiveStatus), 17)
	if w.want(kr, 0); len(st) != 10 || st[1] != 40 || st[2] != 5 || st[3] != 3 || st[6] != 1 {
		t.Errorf("status %v", st)
	}
	ext, kr := machport.MachPortGetAttributes(c, self, n, int32(mach.AttrInfoExt), 17)
	if w.want(kr, 0); len(ext) != 17 {
		t.Errorf("%d words", len(ext))
	}
	_, kr = machport.MachPortGetAttributes(c, self, n, int32(mach.AttrReceiveStatus), 9)
	w.want(kr, mach.KernFailure)

	w.want(machport.MachPortSetContext(c, self, n, 0x99), 0)
	ctx, kr := machport.MachPortGetContext(c, self, n)
	if w.want(kr, 0); ctx != 0x99 {
		t.Errorf("context %#x", ctx)
	}
	w.want(machport.MachPortSetContext(c, self, n, 0), 0)
	w.want(machport.MachPortGuard(c, self, n, 1, 0), 0)
	w.want(machport.MachPortSwapGuard(c, self, n, 1, 2), 0)
	w.want(machport.MachPortUnguard(c, self, n, 2), 0)
	w.want(machport.MachPortGuardWithFlags(c, self, n, 3, uint64(mach.GuardStrict)), 0)
	w.want(machport.MachPortAssertAttributes(c, self, n, int32(mach.AttrGuardInfo), []int32{3, 0}), 0)
	if g := p.guards(); len(g) > 0 {
		t.Errorf("guards %+v", g)
	}
	w.want(machport.MachPortAssertAttributes(c, self, n, int32(mach.AttrGuardInfo), []int32{4, 0}),
		mach.KernInvalidArgument)
	if g := p.guards(); len(g) != 1 || g[0].Guard() != ipc.GuardIncorrectGuard {
		t.Errorf("guards %+v", g)
	}
	w.want(machport.MachPortAssertAttributes(c, self, n, int32(mach.AttrGuardInfo), []int32{4}), mach.KernFailure)

	w.messages = true
	b := make([]byte, mach.HeaderSize)
	h := mach.Header{Bits: mach.MakeBits(mach.CopySend, 0, 0), Remote: n, Size: mach.HeaderSize, ID: 1234}
	h.Encode(b)
	w.want(p.th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall, Send: b}), 0)
	seqno, size, id, trailer, kr := machport.MachPortPeek(c, self, n, mach.TrailerAudit<<24, 0, 68)
	var tr mach.Trailer
	if w.want(kr, 0); seqno != 40 || size != mach.HeaderSize+8 || id != 1234 || tr.Decode(trailer) != 52 ||
		tr.Audit.PID() != p.PID() || tr.Seqno != 40 {
		t.Errorf("peeked %d, %d, %d, %+v", seqno, size, id, tr)
	}
	_, _, _, _, kr = machport.MachPortPeek(c, self, n, 0, 41, 68)
	w.want(kr, mach.KernFailure)
	_, _, _, _, kr = machport.MachPortPeek(c, self, n, mach.TrailerAudit<<24, 0, 51)
	w.want(kr, mach.KernInvalidValue)
	w.end()
}

// TestSpaceInfo calls what lists a space, and says what ports stand for.
func TestSpaceInfo(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.join(object.TaskConfig{})
	c, self := p.c, p.self
	n := p.port()
	basic, kr := machport.MachPortSpaceBasicInfo(c, self)
	if w.want(kr, 0); basic[0] != 0xff || int(basic[2]) != len(p.rights()) || basic[1] <= basic[2] {
		t.Errorf("basic info %v", basic)
	}
	info, table, tree, kr := machport.MachPortSpaceInfo(c, self)
	if w.want(kr, 0); len(table) != int(info[1]) || info[1] != basic[1] || len(tree) != 0 {
		t.Fatalf("info %v, %d entries, %d in the tree", info, len(table), len(tree))
	}
	e := table[n.Index()]
	if mach.Name(e[0]) != n || mach.RightType(e[2]) != mach.TypeSend|mach.TypeReceive || e[3] != 1 || e[4] == 0 {
		t.Errorf("entry %v", e)
	}
	for name, want := range map[mach.Name]mach.PortType{n: mach.PortTypePlain, self: mach.PortTypeTaskControl,
		p.thread: mach.PortTypeThreadControl, p.host: mach.PortTypeHost} {
		typ, addr, kr := machport.MachPortKernelObject(c, self, name)
		if w.want(kr, 0); mach.PortType(typ) != want || addr != 0 {
			t.Errorf("%#x is %v", name, mach.PortType(typ))
		}
		typ, _, kr = machport.MachPortKobject(c, self, name)
		if w.want(kr, 0); mach.PortType(typ) != want {
			t.Errorf("%#x is %v", name, mach.PortType(typ))
		}
	}
	right, kr := p.CreateToken(p.Task)
	w.want(kr, 0)
	typ, _, text, kr := machport.MachPortKobjectDescription(c, self, p.name(right))
	if w.want(kr, 0); mach.PortType(typ) != mach.PortTypeTaskIDToken || text != "1,1,1" {
		t.Errorf("%v, %q", mach.PortType(typ), text)
	}
	_, kr = machport.MachPortSpecialReplyPortResetLink(c, self, n)
	w.want(kr, mach.KernNotSupported)
	w.end()
}
