package ipc

import (
	"encoding/binary"
	"flag"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"portcullis.dev/mach"
)

// run drives the kernel and the model side by side.
type modelRun struct {
	*rapid.T
	k      *Kernel
	real   []*testTask
	m      *model
	nextID int32
}

func newModelRun(t *rapid.T) *modelRun {
	r := &modelRun{T: t, k: New(Config{}), m: &model{}, nextID: 1000}
	for i := range 3 {
		mem := newMemory()
		s := r.k.NewSpace(SpaceConfig{Memory: mem, Identity: Identity{Audit: mach.AuditToken{5: uint32(i)}}})
		r.real = append(r.real, &testTask{nil, s, s.NewThread(nil), mem})
		r.m.tasks = append(r.m.tasks, &modelTask{names: map[mach.Name]*modelEntry{}})
	}
	return r
}

// pick draws a task.
func (r *modelRun) pick() (*testTask, *modelTask) {
	i := rapid.IntRange(0, len(r.real)-1).Draw(r.T, "task")
	return r.real[i], r.m.tasks[i]
}

// name draws a name of a task: mostly one that denotes a right of those wanted, sometimes any, now and then none.
func (r *modelRun) name(t *testTask, label string, want mach.RightType) mach.Name {
	names, types, _ := t.Names()
	luck := rapid.IntRange(0, 15).Draw(r.T, label+" luck")
	if luck > 1 {
		var some []mach.Name
		for i, n := range names {
			if types[i]&want != 0 {
				some = append(some, n)
			}
		}
		names = some
	}
	if len(names) == 0 || luck == 0 {
		return 0x7777f03
	}
	return rapid.SampledFrom(names).Draw(r.T, label)
}

const (
	anySend  = mach.TypeSend | mach.TypeSendOnce
	anyRight = anySend | mach.TypeReceive | mach.TypeDeadName | mach.TypePortSet
)

// holding returns the rights that a disposition wants.
func holding(d mach.Disposition) mach.RightType {
	switch d {
	case mach.MoveSend, mach.CopySend:
		return mach.TypeSend | mach.TypeDeadName
	case mach.MoveSendOnce:
		return mach.TypeSendOnce
	}
	return mach.TypeReceive
}

func (r *modelRun) same(what string, got, want mach.KernReturn) {
	r.Helper()
	if got != want {
		r.Fatalf("%s: the kernel says %v, the model %v", what, got, want)
	}
	r.m.drain()
	if r.m.err != nil {
		r.Fatalf("%s: %v", what, r.m.err)
	}
}

func (r *modelRun) allocate(*rapid.T) {
	t, mt := r.pick()
	right := rapid.SampledFrom([]mach.Right{mach.RightReceive, mach.RightReceive, mach.RightPortSet,
		mach.RightDeadName}).Draw(r.T, "right")
	n, kr := t.Allocate(t.t, right)
	if mt.names[n] != nil {
		r.Fatalf("allocated %v, which is in use", n)
	}
	e := &modelEntry{}
	switch right {
	case mach.RightReceive:
		e.port, e.receive = r.m.newPort(), true
		e.port.owner, e.port.ownerName = mt, n
	case mach.RightPortSet:
		e.set, e.members = true, map[*modelPort]bool{}
	default:
		e.deadTo, e.urefs = true, 1
	}
	mt.names[n] = e
	r.same("allocate", kr, 0)
}

func (r *modelRun) makeSend(*rapid.T) {
	t, mt := r.pick()
	d := rapid.SampledFrom([]mach.Disposition{mach.MakeSend, mach.CopySend}).Draw(r.T, "disposition")
	n := r.name(t, "name", holding(d))
	kr := t.InsertRight(t.t, n, n, d)
	e, want := mt.names[n], mach.KernReturn(0)
	switch {
	case e == nil:
		want = mach.KernInvalidName
	case e.deadTo:
		want = mach.KernInvalidCapability
	case e.set:
		want = mach.KernInvalidRight
	case e.port.dead:
		want = mach.KernInvalidCapability
	case d == mach.MakeSend && !e.receive || d == mach.CopySend && !e.send:
		want = mach.KernInvalidRight
	default:
		e.send = true
		e.urefs++
		if d == mach.MakeSend {
			e.port.makeSends++
		}
	}
	r.same("insert", kr, want)
}

func (r *modelRun) extract(*rapid.T) {
	from, mf := r.pick()
	to, mt := r.pick()
	d := r.disposition()
	n := r.name(from, "name", holding(d))
	got, _, kr := from.ExtractRight(to.t, n, d)
	right, want := r.m.copyin(mf, n, d, false)
	if want == 0 {
		r.m.copyout(mt, right, got)
		if d == mach.MoveSend && right.port != nil {
			r.m.lostSend(right.port, 0)
		}
	}
	r.same("extract", kr, want)
}

func (r *modelRun) disposition() mach.Disposition {
	return mach.Disposition(rapid.IntRange(int(mach.MoveReceive), int(mach.MakeSendOnce)).Draw(r.T, "disposition"))
}

func (r *modelRun) deallocate(*rapid.T) {
	t, mt := r.pick()
	n := r.name(t, "name", anyRight&^mach.TypeReceive)
	kr := t.Deallocate(t.t, n)
	e, want := mt.names[n], mach.KernReturn(0)
	if e != nil {
		e.look()
	}
	switch {
	case e == nil:
		want = mach.KernInvalidName
	case e.set:
		delete(mt.names, n)
	case e.deadTo:
		if e.urefs--; e.urefs == 0 {
			delete(mt.names, n)
		}
	case e.once:
		r.m.destroy(mt, n)
	case !e.send:
		want = mach.KernInvalidRight
	default:
		r.dropSends(mt, n, 1)
	}
	r.same("deallocate", kr, want)
}

// dropSends takes user references off a live send right.
func (r *modelRun) dropSends(mt *modelTask, n mach.Name, refs int) {
	e := mt.names[n]
	p := e.port
	if e.urefs -= refs; e.urefs > 0 {
		return
	}
	if e.receive {
		e.send = false
	} else {
		r.m.drop(mt, n)
	}
	r.m.lostSend(p, 0)
}

func (r *modelRun) destroy(*rapid.T) {
	t, mt := r.pick()
	n := r.name(t, "name", anyRight)
	kr := t.Destroy(t.t, n)
	want := mach.KernReturn(0)
	if mt.names[n] == nil {
		want = mach.KernInvalidName
	} else {
		r.m.destroy(mt, n)
	}
	r.same("destroy", kr, want)
}

func (r *modelRun) modRefs(*rapid.T) {
	t, mt := r.pick()
	right := mach.Right(rapid.IntRange(0, 4).Draw(r.T, "right"))
	n := r.name(t, "name", right.Type())
	delta := rapid.IntRange(-3, 2).Draw(r.T, "delta")
	kr := t.ModRefs(t.t, n, right, int32(delta))
	r.same("mod_refs", kr, r.modelModRefs(mt, n, right, delta))
}

func (r *modelRun) modelModRefs(mt *modelTask, n mach.Name, right mach.Right, delta int) mach.KernReturn {
	e := mt.names[n]
	if e == nil {
		return mach.KernInvalidName
	}
	had := e.send && right == mach.RightSend || e.once && right == mach.RightSendOnce || right == mach.RightDeadName
	if had {
		e.look()
	}
	has := map[mach.Right]bool{mach.RightSend: e.send, mach.RightReceive: e.receive, mach.RightSendOnce: e.once,
		mach.RightPortSet: e.set, mach.RightDeadName: e.deadTo}[right]
	if !has {
		return mach.KernInvalidRight
	}
	counted := right == mach.RightSend || right == mach.RightDeadName
	switch {
	case delta > 0 && !counted || delta < -1 && !counted || e.urefs+delta < 0 && counted:
		return mach.KernInvalidValue
	case delta == 0:
	case right == mach.RightPortSet:
		delete(mt.names, n)
	case right == mach.RightReceive:
		r.m.loseReceive(mt, n)
	case right == mach.RightSendOnce:
		r.m.destroy(mt, n)
	case right == mach.RightDeadName:
		if e.urefs += delta; e.urefs == 0 {
			delete(mt.names, n)
		}
	default:
		r.dropSends(mt, n, -delta)
	}
	return 0
}

func (r *modelRun) limit(*rapid.T) {
	t, mt := r.pick()
	n, v := r.name(t, "name", mach.TypeReceive), rapid.IntRange(0, 3).Draw(r.T, "limit")
	kr := t.SetAttributes(n, mach.AttrLimitsInfo, uint32(v))
	want := mach.KernReturn(0)
	switch e := mt.names[n]; {
	case !e.live():
		want = mach.KernInvalidName
	case !e.receive:
		want = mach.KernInvalidRight
	default:
		e.port.limit = v
	}
	r.same("set_attributes", kr, want)
}

func (r *modelRun) member(*rapid.T) {
	t, mt := r.pick()
	n, set := r.name(t, "name", mach.TypeReceive), r.name(t, "set", mach.TypePortSet)
	in := rapid.Bool().Draw(r.T, "insert")
	e, es := mt.names[n], mt.names[set]
	want := mach.KernReturn(0)
	switch {
	case e == nil || es == nil:
		want = mach.KernInvalidName
	case !e.receive || !es.set:
		want = mach.KernInvalidRight
	case in && es.members[e.port]:
		want = mach.KernAlreadyInSet
	case !in && !es.members[e.port]:
		want = mach.KernNotInSet
	case in:
		es.members[e.port] = true
	default:
		delete(es.members, e.port)
	}
	if in {
		r.same("insert_member", t.InsertMember(t.t, n, set), want)
	} else {
		r.same("extract_member", t.ExtractMember(t.t, n, set), want)
	}
}

func (r *modelRun) request(*rapid.T) {
	t, mt := r.pick()
	id := rapid.SampledFrom([]int32{mach.NotifyDeadName, mach.NotifyNoSenders, mach.NotifyPortDestroyed}).Draw(r.T, "id")
	on := mach.TypeReceive
	if id == mach.NotifyDeadName {
		on |= anySend
	}
	n, to := r.name(t, "name", on), r.name(t, "notify", mach.TypeReceive)
	prev, kr := t.RequestNotification(t.t, n, id, 0, to, mach.MakeSendOnce)
	right, want := r.m.copyin(mt, to, mach.MakeSendOnce, false)
	if want == 0 {
		var old *modelPort
		if old, want = r.modelRequest(mt, n, id, right.port); want != 0 {
			r.m.notice(right.port, mach.NotifySendOnce, 0)
		} else if old != nil {
			r.m.copyout(mt, modelRight{port: old, disp: mach.MoveSendOnce}, prev)
		} else if prev != 0 {
			r.m.fail("a previous request came back as %v, there was none", prev)
		}
	}
	r.same("request_notification", kr, want)
}

func (r *modelRun) modelRequest(mt *modelTask, n mach.Name, id int32, to *modelPort) (old *modelPort,
	kr mach.KernReturn) {
	e := mt.names[n]
	if e == nil {
		return nil, mach.KernInvalidName
	}
	if id == mach.NotifyDeadName {
		e.look()
		switch {
		case e.deadTo:
			return nil, mach.KernInvalidArgument
		case e.set:
			return nil, mach.KernInvalidRight
		}
		old, e.notify, e.armed = e.notify, to, true
		return old, 0
	}
	switch {
	case !e.live():
		return nil, mach.KernInvalidName
	case !e.receive:
		return nil, mach.KernInvalidRight
	}
	if id == mach.NotifyPortDestroyed {
		if e.port.destroyed != nil {
			return nil, mach.KernFailure
		}
		e.port.destroyed = to
		return nil, 0
	}
	old, e.port.noSenders = e.port.noSenders, to
	r.m.lostSend(e.port, 0)
	return old, 0
}

func (r *modelRun) terminate(*rapid.T) {
	if rapid.IntRange(0, 9).Draw(r.T, "really") != 0 {
		return
	}
	i := rapid.IntRange(0, len(r.real)-1).Draw(r.T, "task")
	names, _, _ := r.real[i].Names()
	r.real[i].Terminate()
	mt := r.m.tasks[i]
	sets := map[mach.Name]bool{}
	for n, e := range mt.names {
		sets[n] = e.set
	}
	for _, n := range names { // in the order of the table, as the kernel does
		r.m.destroy(mt, n)
		r.m.drain()
	}
	mem := newMemory()
	s := r.k.NewSpace(SpaceConfig{Memory: mem})
	r.real[i] = &testTask{nil, s, s.NewThread(nil), mem}
	r.m.tasks[i] = &modelTask{names: map[mach.Name]*modelEntry{}}
	r.same("terminate", 0, 0)
}

func (r *modelRun) send(*rapid.T) {
	t, mt := r.pick()
	r.nextID++
	dd := rapid.SampledFrom([]mach.Disposition{mach.CopySend, mach.MoveSend, mach.MakeSend, mach.MoveSendOnce,
		mach.MakeSendOnce}).Draw(r.T, "how")
	dest, reply := r.name(t, "dest", holding(dd)), mach.NullName
	rd := mach.DispositionNone
	if rapid.Bool().Draw(r.T, "with reply") {
		rd = rapid.SampledFrom([]mach.Disposition{mach.MakeSendOnce, mach.MakeSend, mach.CopySend}).Draw(r.T, "reply how")
		reply = r.name(t, "reply", holding(rd))
		if reply == dest {
			reply, rd = 0, 0 // pairs of one name are for another test
		}
	}
	var descs []mach.Descriptor
	var names [][]mach.Name // of each descriptor: one, or those of an array
	for range rapid.IntRange(0, 2).Draw(r.T, "rights") {
		d := r.disposition()
		desc := mach.Descriptor{Name: r.name(t, "right", holding(d)), Disposition: d}
		of := []mach.Name{desc.Name}
		if rapid.IntRange(0, 3).Draw(r.T, "array") == 0 {
			of = of[:rapid.IntRange(0, 1).Draw(r.T, "first")]
			for range rapid.IntRange(0, 2).Draw(r.T, "more") {
				of = append(of, r.name(t, "element", holding(d)))
			}
			desc = t.array(d, of)
		}
		descs, names = append(descs, desc), append(names, of)
	}
	buf := message(mach.MakeBits(dd, rd, 0), dest, reply, r.nextID, nil, descs...)
	kr := t.sendBytes(buf, 0)
	r.same("send", kr, r.modelSend(mt, t, buf, dest, dd, reply, rd, descs, names))
}

// array puts names into the task's memory and describes them.
func (t *testTask) array(d mach.Disposition, names []mach.Name) mach.Descriptor {
	b := make([]byte, 0, 8)
	for _, n := range names {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return mach.Descriptor{Type: mach.DescriptorOOLPorts, Address: t.mem.put(b), Size: uint32(len(names)),
		Disposition: d, Deallocate: true}
}

// namesOf returns the names that a received descriptor holds.
func (t *testTask) namesOf(d mach.Descriptor) []mach.Name {
	if d.Type != mach.DescriptorOOLPorts {
		return []mach.Name{d.Name}
	}
	var names []mach.Name
	b, _ := t.mem.CopyIn(t.t, d.Address, 4*d.Size, true)
	for ; len(b) > 0; b = b[4:] {
		names = append(names, mach.Name(binary.LittleEndian.Uint32(b)))
	}
	return names
}

func (r *modelRun) modelSend(mt *modelTask, t *testTask, buf []byte, dest mach.Name, dd mach.Disposition,
	reply mach.Name, rd mach.Disposition, descs []mach.Descriptor, names [][]mach.Name) mach.KernReturn {
	m := r.m
	e := mt.names[dest]
	if e == nil || !e.send && !e.receive && !e.once {
		return mach.SendInvalidDest
	}
	if reply != 0 {
		re := mt.names[reply]
		if re == nil || !re.send && !re.receive && !re.once || rd != mach.CopySend && !re.receive ||
			rd == mach.CopySend && !re.send && !(re.once && re.port.dead) {
			return mach.SendInvalidReply
		}
	}
	to, kr := m.copyin(mt, dest, dd, true)
	if kr != 0 {
		return mach.SendInvalidDest
	}
	msg := &modelMsg{id: r.nextID, dest: to}
	if reply != 0 {
		msg.reply, _ = m.copyin(mt, reply, rd, false)
	}
	for i, d := range descs {
		var item []modelRight
		for _, n := range names[i] {
			right, kr := m.copyin(mt, n, d.Disposition, false)
			if kr != 0 {
				for _, right := range item { // of an array: before the message
					m.destroyRight(right)
				}
				m.destroyMsg(msg)
				return mach.SendInvalidRight
			}
			if d.Disposition == mach.MoveReceive {
				if m.circular(right.port, to.port) {
					msg.circular = true
				} else {
					right.port.goingTo = to.port
				}
			}
			item = append(item, right)
		}
		msg.rights = append(msg.rights, item...)
	}
	switch {
	case msg.circular || to.port.dead:
		m.destroyMsg(msg)
	case len(to.port.queue) >= to.port.limit && to.disp != mach.MoveSendOnce:
		r.modelPseudo(mt, t, buf, len(descs), msg)
		return mach.SendTimedOut
	default:
		to.port.queue = append(to.port.queue, msg)
	}
	return 0
}

// arrive gives a task the rights of a message's body.
func (r *modelRun) arrive(mt *modelTask, msg *modelMsg, names []mach.Name) {
	if len(names) != len(msg.rights) {
		r.Fatalf("%d rights arrived, want %d", len(names), len(msg.rights))
	}
	for i, right := range msg.rights {
		r.m.copyout(mt, right, names[i])
	}
}

// modelPseudo checks what came back of a message that could not be sent.
func (r *modelRun) modelPseudo(mt *modelTask, t *testTask, buf []byte, descs int, msg *modelMsg) {
	var h mach.Header
	h.Decode(buf)
	r.m.copyout(mt, msg.dest, h.Remote)
	r.m.copyout(mt, msg.reply, h.Local)
	i := mach.HeaderSize + mach.BodySize
	var names []mach.Name
	for range descs {
		var d mach.Descriptor
		i += d.Decode(buf[i:])
		names = append(names, t.namesOf(d)...)
	}
	r.arrive(mt, msg, names)
}

func (r *modelRun) receive(*rapid.T) {
	t, mt := r.pick()
	n := r.name(t, "from", mach.TypeReceive|mach.TypePortSet)
	got, kr := t.receive(n, 0)
	e := mt.names[n]
	if e == nil || !e.receive && !e.set {
		r.same("receive", kr, mach.RcvInvalidName)
		return
	}
	ports := []*modelPort{e.port}
	if e.set {
		ports = ports[:0]
		for p := range e.members {
			ports = append(ports, p)
		}
	}
	waiting := 0
	for _, p := range ports {
		waiting += len(p.queue)
	}
	if waiting == 0 {
		r.same("receive", kr, mach.RcvTimedOut)
		return
	}
	value := uint32(0)
	if len(got.body) == 12 {
		value = binary.LittleEndian.Uint32(got.body[8:])
	}
	for _, p := range ports {
		if p.ownerName != got.Local {
			continue
		}
		msg := p.take(got.ID, value)
		if msg == nil {
			r.Fatalf("received %d with %d, which the model does not have at the head of the queue", got.ID, value)
		}
		r.m.copyout(mt, msg.reply, got.Remote)
		if msg.dest.disp == mach.MoveSend {
			held := 0 // rights in the body count as long as they are on their way
			for _, right := range msg.rights {
				if right.port == p && right.disp == mach.MoveSend {
					held++
				}
			}
			r.m.lostSend(p, held)
		}
		var names []mach.Name
		for _, d := range got.descs {
			names = append(names, t.namesOf(d)...)
		}
		r.arrive(mt, msg, names)
		r.m.drain()
		r.same("receive", kr, 0)
		return
	}
	r.Fatalf("received from %v, which is not among what %v stands for", got.Local, n)
}

// check compares everything that can be seen, and the kernel with itself.
func (r *modelRun) check(*rapid.T) {
	spaces := make([]*Space, len(r.real))
	for i, t := range r.real {
		spaces[i] = t.Space
		mt := r.m.tasks[i]
		names, types, _ := t.Names()
		if len(names) != len(mt.names) {
			r.Fatalf("task %d has %d names, the model %d", i, len(names), len(mt.names))
		}
		for j, n := range names {
			e := mt.names[n]
			if e == nil {
				r.Fatalf("task %d has %v, the model does not", i, n)
			}
			if want := e.typeOf(); types[j] != want {
				r.Fatalf("task %d: %v denotes %v, in the model %v", i, n, types[j], want)
			}
			if e.send || e.deadTo {
				right := mach.RightDeadName
				if e.send {
					right = mach.RightSend
				}
				if refs, _ := t.References(t.t, n, right); refs != uint32(e.urefs) {
					r.Fatalf("task %d: %v has %d references, in the model %d", i, n, refs, e.urefs)
				}
			}
			if e.receive {
				st, _ := t.ReceiveStatus(n)
				if st.Messages != uint32(len(e.port.queue)) || st.MakeSends != e.port.makeSends ||
					st.SendRights != (r.m.sends(e.port) > 0) || st.NoSenders != (e.port.noSenders != nil) {
					r.Fatalf("task %d: status of %v is %+v, the model has %d messages", i, n, st, len(e.port.queue))
				}
			}
		}
	}
	if p := takeCensus(r.k, spaces); p != nil {
		r.Fatalf("%q", p)
	}
}

// TestModel drives three tasks with random operations and compares with the model after each. PORTCULLIS_OPERATIONS
// sets how many operations about are done.
func TestModel(t *testing.T) {
	n := operations(30_000)
	steps := 60
	flag.Set("rapid.steps", "60")
	flag.Set("rapid.checks", strconv.Itoa(max(n/steps, 1)))
	done := 0
	rapid.Check(t, func(t *rapid.T) {
		r := newModelRun(t)
		count := func(f func(*rapid.T)) func(*rapid.T) {
			return func(t *rapid.T) { r.T = t; done++; f(t) }
		}
		t.Repeat(map[string]func(*rapid.T){
			"":           func(t *rapid.T) { r.T = t; r.check(t) },
			"allocate":   count(r.allocate),
			"allocate2":  count(r.allocate),
			"makeSend":   count(r.makeSend),
			"extract":    count(r.extract),
			"extract2":   count(r.extract),
			"deallocate": count(r.deallocate),
			"destroy":    count(r.destroy),
			"modRefs":    count(r.modRefs),
			"limit":      count(r.limit),
			"member":     count(r.member),
			"request":    count(r.request),
			"request2":   count(r.request),
			"terminate":  count(r.terminate),
			"send":       count(r.send),
			"send2":      count(r.send),
			"send3":      count(r.send),
			"receive":    count(r.receive),
			"receive2":   count(r.receive),
		})
		for _, task := range r.real {
			task.Terminate()
		}
		if s := r.k.Stats(); s != (Stats{}) {
			r.Fatalf("left behind: %+v", s)
		}
	})
	t.Logf("%d operations", done)
}
