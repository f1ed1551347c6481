//go:build linux

package linux

import (
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// start carries out the request that was taken; false if it waits for a message.
func (l *lane) start() bool {
	if l.placed = l.placed[:0]; cap(l.out) > trap.RequestMax {
		l.out = nil
	}
	l.out = l.out[:0]
	l.bulk.clearOut()
	l.narrow(&l.wideOut, l.mem.Out())
	l.result = [8]uint64{}
	switch l.request.op {
	case trap.OpMsg2, trap.OpMsgLegacy:
		return l.message()
	case trap.OpThreadEnds:
		l.over.Store(true)
	case trap.OpUpcallDone, trap.OpBacktrace:
		l.process.misbehaves("it answers what nobody asked")
		l.over.Store(true)
	default:
		trace := l.process.kernel.config.Tracer
		if trace == nil {
			l.code = l.operation()
			break
		}
		began := time.Now()
		l.code = l.operation()
		trace.Operation(l.thread, l.tid, l.request.op, &l.request.args, &l.result, l.code, time.Since(began))
	}
	return true
}

// reply gives the thread what its call has come to; false if the thread gets no answer any more.
func (l *lane) reply() bool {
	l.bring() // from the answer on the task writes there
	l.bulk.clearIn()
	if !l.judge(l.code) {
		return false
	}
	if l.over.Load() {
		if l.request.op == trap.OpThreadEnds {
			l.answer(trap.AnswerDone)
		}
		return false
	}
	if l.result[0] == 0 {
		l.result[0] = uint64(uint32(l.code))
	}
	l.c.Result = l.result
	l.narrow(&l.wideIn, l.mem.In())
	if !l.write() {
		l.process.misbehaves("there is no memory for what it receives, or it does not take what it has received")
		return false
	}
	l.answer(trap.AnswerDone)
	return true
}

// write puts what the thread gets into the lane: bytes, and memory for its address space. It returns false if the system
// has no more memory.
func (l *lane) write() bool {
	out, n, count := l.mem.Out(), 0, uint32(0)
	put := func(address uint64, p placed) bool {
		e := trap.Piece{Address: address, Size: uint64(len(p.data)), Offset: trap.Bulk}
		at := (n + 15) &^ 15
		switch {
		case p.bulk != nil && p.bulk.file != nil:
			trap.UnmapBulk(p.bulk.data)
			l.bulk.putOut(count, p.bulk.file)
			p.bulk = nil
		case address != 0 && l.land(&e, count, p):
		case address != 0 && len(p.data) <= trap.InlineMax && at+len(p.data) <= len(out):
			p.copyTo(out[at:])
			e.Offset, n = uint64(at), at+len(p.data)
			l.window(&l.wideOut, n)
		default:
			f, err := p.newFile()
			if err != nil {
				return false
			}
			held := l.process.hold(f)
			if held.File == nil {
				return false
			}
			l.bulk.putOut(count, held)
		}
		if p.bulk != nil {
			p.bulk.close()
		}
		l.c.OOLOut[count] = e
		count++
		return true
	}
	if len(l.out) > len(out) {
		if !put(0, placed{data: l.out}) {
			return false
		}
	} else {
		n = copy(out, l.out)
		l.window(&l.wideOut, n)
	}
	l.c.OutSize = uint32(n)
	for i := range l.placed {
		p := l.placed[i]
		l.placed[i] = placed{}
		if !put(trap.Cookie+uint64(i), p) {
			return false
		}
	}
	l.c.OOLOutCount = count
	return true
}

// maxRoom is the most that one message may take in a receiver's buffer: the largest message and its trailer.
const maxRoom = mach.MaxBodySize + mach.HeaderSize + mach.MaxTrailerSize

// maxWhole is the most that a message to be sent may take: header and body, and aux data behind them.
const maxWhole = maxRoom + mach.MaxAuxSize

// message is mach_msg2 or the trap that was there before; false if it waits for a message.
func (l *lane) message() bool {
	a := &l.request.args
	m := &l.args
	*m = ipc.Args{Options: mach.Option(a[0]), Receive: mach.Name(a[1]), Timeout: uint32(a[3]), BufferAt: a[5],
		Room: uint32(min(a[2], maxRoom)), Grow: l.grown}
	size, aux := a[6], a[7]
	in := l.in
	if l.request.size == 0 && len(l.pieces) > 0 && l.pieces[0].Address == 0 && l.pieces[0].Offset == trap.Bulk {
		if l.pieces[0].Size > maxWhole {
			l.code = mach.SendTooLarge
			return true
		}
		b, err := l.process.kernel.openBulk(l.bulk.takeIn(l.process.kernel, 0), l.pieces[0].Size)
		if err != nil {
			l.process.kernel.log.Warn("a message that is no memory", "pid", l.process.PID, "error", err)
			l.code = mach.SendInvalidData
			return true
		}
		in = append([]byte(nil), b...)
		l.process.kernel.release(b)
		l.pieces[0].Size = 0
	}
	if m.Options&mach.SendMsg != 0 {
		if size > uint64(len(in)) {
			l.code = mach.SendInvalidData
			return true
		}
		m.Send = in[:size]
		if m.Options&mach.MsgVector != 0 && aux > 0 {
			at := (size + 7) &^ 7
			if at > uint64(len(in)) || aux > uint64(len(in))-at {
				l.code = mach.SendInvalidData
				return true
			}
			m.SendAux = in[at : at+aux]
		}
	}
	if m.Options&mach.MsgVector != 0 && a[8] > 0 {
		m.BufferAux = make([]byte, min(a[8], mach.MaxAuxSize))
	}
	if trace := l.process.kernel.config.Tracer; trace != nil {
		trace.Call(l.thread, l.tid, m)
	}
	if l.request.op == trap.OpMsgLegacy {
		l.messageDone(l.thread.IPC.MsgLegacy(m))
		return true
	}
	kr, waiting := l.thread.IPC.StartMsg2(m, l.wake)
	if !waiting {
		l.messageDone(kr)
	}
	return !waiting
}

// messageDone takes down what a message call has come to.
func (l *lane) messageDone(kr mach.KernReturn) {
	m := &l.args
	l.code = kr
	if trace := l.process.kernel.config.Tracer; trace != nil {
		trace.Return(l.thread, l.tid, m, kr)
	}
	if sendError(kr) && len(m.Send) > 0 {
		l.result[1] = 1
		l.out = append(l.out[:0], m.Send...)
	}
	if len(m.BufferAux) >= 8 && !sendError(kr) {
		l.result[2] = uint64(len(m.BufferAux))
		for len(l.out)%8 != 0 {
			l.out = append(l.out, 0)
		}
		l.out = append(l.out, m.BufferAux...)
	}
}

// grow makes the buffer that a message is received into.
func (l *lane) grow(n int) []byte {
	if cap(l.out) < n {
		l.out = make([]byte, n)
	}
	l.out = l.out[:n]
	clear(l.out)
	return l.out
}

// operation carries out everything but messages.
func (l *lane) operation() mach.KernReturn {
	a, t := &l.request.args, l.process.Task
	th := l.thread
	named := func(name mach.Name) mach.KernReturn {
		l.result[0] = uint64(name)
		return 0
	}
	switch l.request.op {
	case trap.OpTaskSelf:
		return named(t.Self())
	case trap.OpThreadSelf:
		return named(th.Self())
	case trap.OpHostSelf:
		return named(t.HostSelf())
	case trap.OpReplyPort:
		return named(th.IPC.ReplyPort())
	case trap.OpSpecialReplyPort:
		return named(th.IPC.SpecialReplyPort())
	case trap.OpTaskForPID:
		return l.taskForPID(mach.Name(a[0]), int(int32(a[1])), object.Control)
	case trap.OpTaskReadForPID:
		return l.taskForPID(mach.Name(a[0]), int(int32(a[1])), object.Read)
	case trap.OpTaskInspectForPID:
		return l.taskForPID(mach.Name(a[0]), int(int32(a[1])), object.Inspect)
	case trap.OpTaskNameForPID:
		return l.taskForPID(mach.Name(a[0]), int(int32(a[1])), object.Name)
	case trap.OpPIDForTask:
		p, kr := t.Space.SendPort(mach.Name(a[0]))
		if kr != 0 {
			return mach.KernFailure
		}
		of := t.Machine().TaskUnjudged(p, object.Name)
		if of == nil {
			return mach.KernFailure
		}
		l.result[1] = uint64(of.PID())
		return 0
	case trap.OpThreadPort:
		return l.threadPort(int(int32(a[0])))
	case trap.OpBootstrapPort:
		p, kr := t.SpecialPort(t, object.TaskBootstrapPort)
		if kr != 0 {
			return kr
		}
		return l.give(p)

	case trap.OpSemaphoreSignal:
		return th.SignalSemaphore(mach.Name(a[0]))
	case trap.OpSemaphoreSignalAll:
		return th.SignalAllSemaphore(mach.Name(a[0]))
	case trap.OpSemaphoreSignalThread:
		return th.SignalThreadSemaphore(mach.Name(a[0]), mach.Name(a[1]))
	case trap.OpSemaphoreWait:
		return th.WaitSemaphore(mach.Name(a[0]))
	case trap.OpSemaphoreWaitSignal:
		return th.WaitSignalSemaphore(mach.Name(a[0]), mach.Name(a[1]))
	case trap.OpSemaphoreTimedWait:
		return th.TimedWaitSemaphore(mach.Name(a[0]), uint32(a[1]), int32(a[2]))
	case trap.OpSemaphoreTimedWaitSignal:
		return th.TimedWaitSignalSemaphore(mach.Name(a[0]), mach.Name(a[1]), uint32(a[2]), int32(a[3]))

	case trap.OpTimerCreate:
		return named(th.CreateTimer())
	case trap.OpTimerArm:
		return th.ArmTimer(mach.Name(a[0]), a[1])
	case trap.OpTimerCancel:
		when, kr := th.CancelTimer(mach.Name(a[0]))
		l.result[1] = when
		return kr
	case trap.OpTimerDestroy:
		return th.DestroyTimer(mach.Name(a[0]))
	case trap.OpVoucherCreate:
		p, kr := t.Machine().Host.CreateVoucher(l.in)
		if kr != 0 {
			return kr
		}
		return l.give(p)
	case trap.OpFileportMakePort, trap.OpFileportMakeFD, trap.OpMemoryEntryMake, trap.OpMemoryEntryOpen:
		return l.fileOperation()
	}
	return l.portOperation()
}

// give puts a send right into the task and its name into the results.
func (l *lane) give(p *ipc.Port) mach.KernReturn {
	if p == nil {
		return 0
	}
	name, kr := l.process.Task.Space.InsertSend(p, false)
	if kr == mach.KernInvalidCapability {
		name, kr = mach.DeadName, 0
	}
	l.result[1] = uint64(name)
	return kr
}

// portOperation carries out the calls on port names that XNU has traps for. They are for the caller's own task; for others
// the answer is that of XNU's traps, and makes the library send a message instead.
//
// Source: XNU osfmk/ipc/mach_kernelrpc.c.
func (l *lane) portOperation() mach.KernReturn {
	a, s, t := &l.request.args, l.process.Task.Space, l.thread.IPC
	if l.request.op < trap.OpPortAllocate || l.request.op > trap.OpPortRequestNotification {
		return mach.KernInvalidArgument
	}
	if !l.own(mach.Name(a[0])) {
		return mach.SendInvalidDest
	}
	name, other := mach.Name(a[1]), mach.Name(a[2])
	switch l.request.op {
	case trap.OpPortAllocate:
		got, kr := s.Allocate(t, mach.Right(a[1]))
		l.result[1] = uint64(got)
		return kr
	case trap.OpPortDestroy:
		return s.Destroy(t, name)
	case trap.OpPortDeallocate:
		return s.Deallocate(t, name)
	case trap.OpPortModRefs:
		return s.ModRefs(t, name, mach.Right(a[2]), int32(a[3]))
	case trap.OpPortMoveMember:
		return s.MoveMember(t, name, other)
	case trap.OpPortInsertRight:
		return s.InsertRight(t, name, other, mach.Disposition(a[3]))
	case trap.OpPortInsertMember:
		return s.InsertMember(t, name, other)
	case trap.OpPortExtractMember:
		return s.ExtractMember(t, name, other)
	case trap.OpPortConstruct:
		o := ipc.ConstructOptions{Flags: mach.ConstructFlags(a[1]), Context: a[2], QueueLimit: uint32(a[3]),
			ServiceName: mach.Name(a[4])}
		if o.Flags&mach.ConstructTypeMask == mach.ServicePort {
			if len(l.in) > 254 {
				return mach.KernInvalidArgument
			}
			o.Service = &ipc.ServiceInfo{Name: string(l.in), Domain: uint8(a[5])}
		}
		got, kr := s.Construct(t, &o)
		l.result[1] = uint64(got)
		return kr
	case trap.OpPortDestruct:
		return s.Destruct(t, name, int32(a[2]), a[3])
	case trap.OpPortGuard:
		var f mach.GuardFlags
		if a[3] != 0 {
			f = mach.GuardStrict
		}
		return s.Guard(t, name, a[2], f)
	case trap.OpPortUnguard:
		return s.Unguard(t, name, a[2])
	case trap.OpPortType:
		rights, kr := s.Type(t, name)
		l.result[1] = uint64(rights)
		return kr
	case trap.OpPortRequestNotification:
		previous, kr := s.RequestNotification(t, name, int32(a[2]), uint32(a[3]), mach.Name(a[4]), mach.Disposition(a[5]))
		l.result[1] = uint64(previous)
		return kr
	}
	return mach.KernInvalidArgument
}

// own says that a name denotes the caller's own control port.
func (l *lane) own(name mach.Name) bool {
	t := l.process.Task
	p, kr := t.Space.SendPort(name)
	return kr == 0 && t.Machine().TaskOf(t, p, object.Control) == t
}

// taskForPID gives the caller a port of the task with a process id. Control ports of others are for the same user, or
// root, and Developer Mode decides if they are alive.
//
// Source: XNU bsd/vm/vm_unix.c, task_for_pid and its kin, task_for_pid_posix_check.
func (l *lane) taskForPID(self mach.Name, pid int, f object.Flavor) mach.KernReturn {
	if !l.own(self) {
		return mach.KernFailure
	}
	p := l.process
	of := p.kernel.Find(pid)
	if of == nil || of != p && p.UID != 0 && p.UID != of.UID {
		return mach.KernFailure
	}
	right := of.Task.TaskPort(p.Task, f)
	if right == nil {
		return mach.KernFailure
	}
	return l.give(right)
}

// threadPort finds the caller's name for the control port of a thread of its own.
func (l *lane) threadPort(tid int) mach.KernReturn {
	p := l.process
	th := p.Threads()[tid]
	if th == nil {
		p.enroll() // it may have made no call yet
		th = p.Threads()[tid]
	}
	if th == nil {
		return mach.KernInvalidArgument
	}
	right := th.ThreadPort(p.Task, object.Control)
	if right == nil {
		return mach.KernFailure
	}
	if kr := l.give(right); kr != 0 {
		return kr
	}
	// The thread library knows the name without a reference of its own.
	p.Task.Space.Deallocate(l.thread.IPC, mach.Name(l.result[1]))
	return 0
}

// sendError says that a message call failed before or while it sent.
func sendError(kr mach.KernReturn) bool { return kr&^0x3fff == 0x10000000 }
