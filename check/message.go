package check

import (
	"fmt"
	"slices"

	"portcullis.dev/check/flow"
	"portcullis.dev/finding"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// Names of the rules that messages are judged by.
const (
	requireReply   = "REQUIRE_REPLY_PORT_SEMANTICS"
	kobjectReply   = "KOBJECT_REPLY_PORT_SEMANTICS"
	oolPortArray   = "OOL_PORT_ARRAY"
	illegalMove    = "ILLEGAL_MOVE"
	invalidRight   = "SEND_INVALID_RIGHT"
	invalidReply   = "SEND_INVALID_REPLY"
	keyMovablePort = "com.apple.security.get-movable-control-port"
)

// via is the way by which a message goes to the kernel.
type via uint8

const (
	viaLibrary via = iota // mach_msg, mach_msg_overwrite: the library says that the destination is a message queue
	viaMsg2               // mach_msg2: the caller says what the destination is
)

// message is a message that is sent, as far as its fields can be told.
type message struct {
	via                     via
	option                  flow.Value
	bits, remote, local, id flow.Value
	at                      flow.Value // pointer to the header
	remoteKind, localKind   kinds
	descriptors             []descriptor
	open                    []flow.Value // what descriptors there are depends on these
}

// descriptor is one of a complex message.
type descriptor struct {
	kind        mach.DescriptorType
	maybe       bool // it can be of another kind as well
	name        flow.Value
	disposition flow.Value
}

// maxDescriptors is the number of descriptors of a message that are looked at.
const maxDescriptors = 16

// readMessage reads the message that the arguments of a call describe.
func readMessage(s *site, how via) message {
	m := message{via: how, at: s.whole(0), option: s.whole(1)}
	m.bits, m.remote = m.at.Load(0, 4), m.at.Load(8, 4)
	m.local, m.id = m.at.Load(12, 4), m.at.Load(20, 4)
	if how == viaMsg2 {
		// The registers count, not the header in memory.
		m.bits = s.whole(2).Trunc(32)
		m.remote, m.local = s.whole(3).Trunc(32), s.whole(3).High()
		m.id = s.whole(4).High()
	} else {
		m.option = m.option.Trunc(32)
	}
	m.remoteKind, m.localKind = kindsOf(m.remote), kindsOf(m.local)
	m.readDescriptors()
	return m
}

func (m *message) readDescriptors() {
	mask, bits := m.bits.KnownBits()
	if c := uint64(mach.BitsComplex); mask&c == 0 || bits&c == 0 {
		return
	}
	count := m.at.Load(mach.HeaderSize, 4)
	n, ok := count.Const()
	if !ok {
		m.open = append(m.open, count)
		n = 1 // what stands first can still be told
	}
	off := int64(mach.HeaderSize + 4)
	for range min(n, maxDescriptors) {
		kind := m.at.Load(off+11, 1)
		t, known := kind.Const()
		size := mach.DescriptorType(t).Size()
		if !known || size == 0 {
			m.open = append(m.open, kind)
			if set, _ := kind.Consts(); slices.Contains(set, uint64(mach.DescriptorOOLPorts)) {
				m.descriptors = append(m.descriptors, descriptor{kind: mach.DescriptorOOLPorts, maybe: true,
					disposition: m.at.Load(off+10, 1)})
			}
			return
		}
		d := descriptor{kind: mach.DescriptorType(t), disposition: m.at.Load(off+10, 1)}
		if d.kind == mach.DescriptorPort {
			d.name = m.at.Load(off, 4)
		}
		m.descriptors = append(m.descriptors, d)
		off += int64(size)
	}
}

// values lists what decides over the message.
func (m *message) values() []flow.Value {
	out := append([]flow.Value{m.option, m.bits, m.remote, m.local}, m.open...)
	for _, d := range m.descriptors {
		out = append(out, d.disposition)
		if d.kind == mach.DescriptorPort {
			out = append(out, d.name)
		}
	}
	return out
}

// sends tells whether the options send, on every path and on some.
func (m *message) sends() (always, some bool) {
	mask, bits := m.option.KnownBits()
	send := uint64(mach.SendMsg)
	if mask&send != 0 {
		return bits&send != 0, bits&send != 0
	}
	set, _ := m.option.Consts()
	for _, c := range set {
		some = some || c&send != 0
	}
	return false, some
}

// disposition returns a field of the header's bits, where it is proven.
func (m *message) disposition(shift int) (mach.Disposition, bool) {
	mask, bits := m.bits.KnownBits()
	if f := uint64(0x1f) << shift; mask&f == f {
		return mach.Disposition(bits >> shift & 0x1f), true
	}
	return 0, false
}

// messageJudge judges a message: in the order in which the kernel looks at it, up to what is certain to kill.
type messageJudge struct {
	message
	s      *site
	out    []verdict
	always bool // it is proven to be sent
}

func judgeMessage(how via) func(*site) []verdict {
	return func(s *site) []verdict {
		j := messageJudge{message: readMessage(s, how), s: s}
		var some bool
		if j.always, some = j.sends(); !some {
			return nil
		}
		for _, step := range []func() bool{j.options, j.replyField, j.destination, j.arrays, j.replyPort, j.body} {
			if step() {
				break
			}
		}
		return j.out
	}
}

// sent is the proof that a message goes out, with what stands against it.
func (j *messageJudge) sent() *proof {
	p := &proof{}
	if !j.always {
		p.see("option", j.option)
		p.doubt("it is not proven that the options send: " + j.option.String())
	}
	return p
}

// valid adds to the doubts that the destination may be no right at all, which is an error and kills nobody.
func (j *messageJudge) valid(p *proof) {
	p.see("msgh_remote_port", j.remote)
	exists := func(k portKind) bool { return k.kernel() || k.plain() || k == portBootstrap || k == portTimer }
	if !j.remoteKind.all(exists) {
		p.doubt("the destination is not proven to be a valid port: " + j.remote.String())
	}
	d, ok := j.disposition(0)
	switch {
	case !ok:
		p.doubt("the disposition of the destination is not known: " + j.bits.String())
	case j.remoteKind.some(portKind.plain) && d != mach.MakeSend && d != mach.MakeSendOnce:
		p.doubt("a send right to the program's own port is not proven to exist")
	}
}

// add writes a verdict. It answers whether it is certain, so that nothing after it matters.
func (j *messageJudge) add(name, id string, p *proof, always, some bool, text string, args map[string]flow.Value) bool {
	r := mustRule(name)
	v := verdict{rule: r, killsFrom: killsFrom(r, id), message: text, arguments: map[string]string{}}
	for k, a := range args {
		v.arguments[k] = describe(a)
	}
	if id, ok := j.id.Const(); ok {
		v.arguments["msgh_id"] = fmt.Sprintf("%d", int32(id))
		if routine, ok := mach.RoutineName(int32(id)); ok {
			p.evidence = append(p.evidence, fmt.Sprintf("msgh_id %d is that of %s", int32(id), routine))
		}
	}
	v.confidence = p.confidence(always, some)
	v.evidence = p.facts()
	j.out = append(j.out, v)
	return v.confidence == finding.Certain
}

// options judges the bits of mach_msg2 that say what the destination is: exactly one must be set.
func (j *messageJudge) options() bool {
	if j.via != viaMsg2 {
		return false
	}
	mask, bits := j.option.KnownBits()
	cfi := uint64(mach.OptionCFIMask)
	wrong := func(c uint64) bool { return c&cfi == 0 || c&cfi&(c&cfi-1) != 0 }
	always := mask&cfi == cfi && wrong(bits)
	some := always
	set, complete := j.option.Consts()
	if !always && len(set) > 0 {
		always = complete
		for _, c := range set {
			always = always && wrong(c)
			some = some || wrong(c) && c&uint64(mach.SendMsg) != 0
		}
	}
	if some {
		p := j.sent()
		p.see("option", j.option)
		return j.add(invalidOptions, "options", p, always, true,
			"sends with mach_msg2 and does not say with exactly one bit what the destination is",
			map[string]flow.Value{"option": j.option})
	}
	return false
}

// replyField judges the program's own control ports as reply ports.
func (j *messageJudge) replyField() bool {
	own := func(k portKind) bool { return k == portTaskSelf || k == portThread }
	reply := func(k portKind) bool { return k == portReply || k == portSpecial }
	d, ok := j.disposition(8)
	if ok && j.localKind.some(reply) && (d == mach.MakeSend || d == mach.CopySend || d == mach.MoveSend) {
		p := j.sent()
		j.valid(p)
		p.see("msgh_local_port", j.local)
		return j.add(invalidReply, "", p, j.localKind.all(reply), true,
			"names a reply port for the answer with another disposition than MACH_MSG_TYPE_MAKE_SEND_ONCE",
			map[string]flow.Value{"msgh_local_port": j.local, "msgh_bits": j.bits})
	}
	if !ok || !j.localKind.some(own) || d != mach.CopySend && d != mach.MoveSend {
		return false
	}
	p := j.sent()
	j.valid(p)
	p.see("msgh_local_port", j.local)
	return j.move(p, j.localKind.all(own), "names the program's own control port as the port for the answer",
		map[string]flow.Value{"msgh_local_port": j.local})
}

// move adds a verdict on a control port of the program itself that leaves it.
func (j *messageJudge) move(p *proof, always bool, text string, args map[string]flow.Value) bool {
	id := "own-control-port"
	if j.s.macOS {
		id = "own-control-port-macos"
	}
	done := j.add(illegalMove, id, p, always, true, text, args)
	j.out[len(j.out)-1].waiver = keyMovablePort
	return done
}

// destination judges whether the message is of the kind that the destination takes.
func (j *messageJudge) destination() bool {
	mask, bits := j.option.KnownBits()
	says := func(o mach.Option) bool { return mask&uint64(o) != 0 && bits&uint64(o) != 0 }
	queue := j.via == viaLibrary || says(mach.SendMQCall)
	args := map[string]flow.Value{"msgh_remote_port": j.remote, "option": j.option}
	switch {
	case queue && j.remoteKind.some(portKind.kernel):
		p := j.sent()
		j.valid(p)
		text := "sends a message to a kernel object with mach_msg, which the library declares to be for a message queue"
		if j.via == viaMsg2 {
			text = "sends a message to a kernel object and declares it to be for a message queue"
		}
		return j.add(invalidOptions, "options", p, j.remoteKind.all(portKind.kernel), true, text, args)
	case queue && j.kernelRoutine() && !j.remoteKind.all(func(k portKind) bool { return !k.kernel() }):
		// A stub of a kernel interface that was compiled into the program.
		p := j.sent()
		p.see("msgh_remote_port", j.remote)
		p.doubt("the destination is not proven to be a kernel object, for which alone this call is meant: " +
			j.remote.String())
		return j.add(invalidOptions, "options", p, false, j.complete(), "calls a kernel interface with mach_msg, through "+
			"a stub of its own, which the library declares to be for a message queue", args)
	case queue && j.remoteKind.some(is(portTimer)):
		p := j.sent()
		j.valid(p)
		id := "timer-elsewhere"
		if j.s.macOS {
			id = "timer"
		}
		return j.add(invalidOptions, id, p, j.remoteKind.all(is(portTimer)), true, "sends a message to a timer", args)
	case says(mach.SendKobjectCall):
		queued := func(k portKind) bool { return k.plain() || k == portBootstrap || k == portService }
		if j.remoteKind.some(queued) {
			p := j.sent()
			j.valid(p)
			return j.add(invalidOptions, "options", p, j.remoteKind.all(queued), true,
				"sends a message to a port of a process and declares it to be for a kernel object", args)
		}
		if rcv := uint64(mach.RcvMsg); j.remoteKind.some(portKind.kernel) && mask&rcv != 0 && bits&rcv == 0 {
			p := j.sent()
			j.valid(p)
			return j.add(invalidOptions, "send-only", p, j.remoteKind.all(portKind.kernel), true,
				"calls a kernel object without receiving the answer in the same call", args)
		}
	}
	return false
}

// kernelRoutine tells whether the message's number is that of a routine of the kernel, and MIG's record of data
// representation or its reply port shows that a generated stub sends it.
func (j *messageJudge) kernelRoutine() bool {
	id, ok := j.id.Const()
	if !ok || int32(id) >= 2400 && int32(id) < 2600 || int32(id) < 200 {
		return false // notifications and exceptions go to processes
	}
	_, ok = mach.RoutineName(int32(id))
	return ok && j.localKind.some(is(portReply))
}

// complete tells whether all that the destination can be is known to come from the caller or from an object: a guess
// that it is what the number asks for is worth something then.
func (j *messageJudge) complete() bool { return j.remote.Complete() }

// replyPort judges the port for the answer.
func (j *messageJudge) replyPort() bool {
	d, ok := j.disposition(8)
	if ok && d == 0 || j.localKind.all(is(portNull)) {
		return false
	}
	kernel := j.remoteKind.some(portKind.kernel)
	wrong := portKind.plain
	if kernel {
		wrong = func(k portKind) bool { return k.plain() || k == portWeakReply }
	}
	if !j.localKind.some(wrong) {
		return false
	}
	p := j.sent()
	j.valid(p)
	p.see("msgh_local_port", j.local)
	if !ok {
		p.doubt("the disposition of the reply port is not known: " + j.bits.String())
	}
	always := j.localKind.all(wrong)
	args := map[string]flow.Value{"msgh_remote_port": j.remote, "msgh_local_port": j.local}
	switch {
	case kernel:
		return j.add(kobjectReply, "kernel-object", p, always && j.remoteKind.all(portKind.kernel), true,
			"calls a kernel object with an ordinary port for the answer", args)
	case j.remoteKind.some(is(portBootstrap)):
		return j.add(requireReply, "bootstrap-port", p, always && j.remoteKind.all(is(portBootstrap)), true,
			"sends a message to launchd's bootstrap port with an ordinary port for the answer", args)
	case j.remoteKind.some(is(portService)):
		p.doubt("which services insist on a reply port, launchd decides")
		return j.add(requireReply, "service-port", p, false, true,
			"sends a message to a service with an ordinary port for the answer", args)
	}
	return false
}

// arrays judges out-of-line arrays of ports.
func (j *messageJudge) arrays() bool {
	n := 0
	var d descriptor
	for _, x := range j.descriptors {
		if x.kind == mach.DescriptorOOLPorts {
			if n == 0 {
				d = x
			}
			n++
		}
	}
	if n == 0 {
		return false
	}
	p := j.sent()
	j.valid(p)
	args := map[string]flow.Value{"msgh_remote_port": j.remote, "disposition": d.disposition}
	text := "sends an out-of-line array of port rights"
	if d.maybe {
		p.doubt("it is not proven to be an array of ports")
	}
	if !j.remoteKind.some(is(portArray)) {
		if len(j.remoteKind.set) == 0 {
			p.doubt("an array may go to a port that was built to take one")
		}
		return j.add(oolPortArray, "destination", p, j.remoteKind.complete, true, text+
			" to a port that was not built to take one", args)
	}
	if n > 1 {
		return j.add(oolPortArray, "two-arrays", p, j.remoteKind.all(is(portArray)), true,
			fmt.Sprintf("sends %d out-of-line arrays of port rights in one message", n), args)
	}
	if c, ok := d.disposition.Const(); ok && mach.Disposition(c) != mach.CopySend {
		return j.add(oolPortArray, "disposition", p, j.remoteKind.all(is(portArray)), true,
			text+" with another disposition than MACH_MSG_TYPE_COPY_SEND", args)
	}
	return false
}

// body judges the rights in port descriptors.
func (j *messageJudge) body() bool {
	if j.remoteKind.all(portKind.kernel) {
		return false // a kernel object may be sent what is bound to the process
	}
	for i, d := range j.descriptors {
		if d.kind != mach.DescriptorPort {
			continue
		}
		c, ok := d.disposition.Const()
		if !ok {
			continue
		}
		k := kindsOf(d.name)
		disposition := mach.Disposition(c)
		args := map[string]flow.Value{fmt.Sprintf("port %d", i+1): d.name,
			fmt.Sprintf("disposition %d", i+1): d.disposition}
		proof := func() *proof {
			p := j.sent()
			j.valid(p)
			p.see("port", d.name)
			return p
		}
		own := func(k portKind) bool { return k == portTaskSelf || k == portThread }
		reply := func(k portKind) bool { return k == portReply || k == portSpecial }
		fixed := func(k portKind) bool {
			return k == portException || k == portArray || k == portTimer || k == portImmovable
		}
		done := false
		switch {
		case k.some(own) && (disposition == mach.CopySend || disposition == mach.MoveSend):
			done = j.move(proof(), k.all(own), "sends the program's own task or thread control port to another process", args)
		case k.some(own) && (disposition == mach.MakeSend || disposition == mach.MakeSendOnce):
			done = j.add(invalidRight, "", proof(), k.all(own), true,
				"makes a right of the program's own task or thread control port, of which the kernel holds the receive right",
				args)
		case k.some(reply) && disposition != mach.MakeSendOnce && disposition != mach.MoveSendOnce:
			done = j.add(illegalMove, "immovable-type", proof(), k.all(reply), true,
				"sends a right of a reply port", args)
			j.out[len(j.out)-1].killsFrom = max(rules.Level1, j.out[len(j.out)-1].killsFrom)
		case k.some(fixed) && disposition == mach.MoveReceive:
			id := "immovable-type"
			if k.some(is(portImmovable)) {
				id = "guarded-receive"
			}
			done = j.add(illegalMove, id, proof(), k.all(fixed), true,
				"moves the receive right of a port that was built to stay where it is", args)
		}
		if done {
			return true
		}
	}
	return false
}
