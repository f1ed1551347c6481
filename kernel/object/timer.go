package object

import (
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// timer hangs on a receive right of a task, of type IOT_TIMER_PORT, and sends it a message when its time has come. It
// has one message: if that was not received yet, the timer runs out unheard. The task may send to the port too.
//
// Source: XNU osfmk/kern/mk_timer.c.
type timer struct {
	m    *Machine
	busy atomic.Bool // the message is in the queue

	mu       sync.Mutex
	port     *ipc.Port
	dead     bool
	armed    bool
	deadline uint64
	turn     uint64 // tells an alarm whether it is still meant
	stop     func() bool
}

// expired is the message of a timer after its header: three unused words of 64 bits.
var expired [24]byte

// CreateTimer is mk_timer_create: a new timer's name; 0 if there is no room.
func (th *Thread) CreateTimer() mach.Name {
	m := th.task.m
	t := &timer{m: m}
	t.mu.Lock()
	defer t.mu.Unlock()
	name, p, kr := th.task.Space.AllocateAttached(mach.PortTypeTimer, t)
	if kr != 0 {
		return 0
	}
	t.port = p
	m.live.timers.Add(1)
	return name
}

// timerNamed finds the timer that a receive right of the thread's task hangs on.
func (th *Thread) timerNamed(name mach.Name) (*timer, mach.KernReturn) {
	p, kr := th.task.Space.ReceivePort(name)
	if kr != 0 {
		return nil, kr
	}
	t, ok := p.Attached().(*timer)
	if !ok {
		return nil, mach.KernInvalidArgument
	}
	return t, 0
}

// ArmTimer is mk_timer_arm: the timer runs out when the clock shows expire. It replaces an earlier time.
func (th *Thread) ArmTimer(name mach.Name, expire uint64) mach.KernReturn {
	t, kr := th.timerNamed(name)
	if kr != 0 {
		return kr
	}
	t.arm(expire)
	return 0
}

// ArmTimerLeeway is mk_timer_arm_leeway. Timers here are exact, which any leeway allows.
func (th *Thread) ArmTimerLeeway(name mach.Name, _ uint64, expire, _ uint64) mach.KernReturn {
	return th.ArmTimer(name, expire)
}

// CancelTimer is mk_timer_cancel: it returns the time that the timer was armed for, 0 if it was not.
func (th *Thread) CancelTimer(name mach.Name) (expire uint64, kr mach.KernReturn) {
	t, kr := th.timerNamed(name)
	if kr != 0 {
		return 0, kr
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.armed {
		expire = t.deadline
	}
	t.disarm()
	return expire, 0
}

// DestroyTimer is mk_timer_destroy: every right that the name denotes goes. To this call dead names are names.
func (th *Thread) DestroyTimer(name mach.Name) mach.KernReturn {
	e, ok := th.task.Space.Entry(name)
	switch {
	case !ok:
		return mach.KernInvalidName
	case e.Type&mach.TypeReceive == 0:
		return mach.KernInvalidRight
	}
	if _, ok := e.Port.Attached().(*timer); !ok {
		return mach.KernInvalidArgument
	}
	return th.task.Space.Destroy(th.IPC, name)
}

// disarm forgets the alarm. The timer is locked.
func (t *timer) disarm() {
	t.armed = false
	t.turn++
	if t.stop != nil {
		t.stop()
		t.stop = nil
	}
}

func (t *timer) arm(expire uint64) {
	t.mu.Lock()
	if t.dead {
		t.mu.Unlock()
		return
	}
	t.disarm()
	t.armed, t.deadline = true, expire
	turn, late := t.turn, false
	if c := t.m.clock; c != nil {
		now := c.Now()
		if late = expire <= now; !late {
			t.stop = c.AfterFunc(time.Duration(min(expire-now, 1<<63-1)), func() { t.ring(turn) })
		}
	}
	t.mu.Unlock()
	if late {
		t.ring(turn)
	}
}

// ring sends the message, unless the timer has been armed anew, cancelled or destroyed. The timer stays locked over it:
// PortDied waits for a message that is just being made, and none is left after it.
func (t *timer) ring(turn uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.armed || t.turn != turn {
		return
	}
	t.armed, t.stop = false, nil
	t.port.Post(0, expired[:], &t.busy)
}

// PortDied implements [ipc.Attachment].
func (t *timer) PortDied() {
	t.mu.Lock()
	t.dead = true
	t.disarm()
	t.mu.Unlock()
	t.m.live.timers.Add(-1)
}
