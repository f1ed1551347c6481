package object

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// ClockID numbers the clocks of the host (clock_id_t).
type ClockID int32

const (
	SystemClock   ClockID = 0 // since the machine started; the only one with alarms
	CalendarClock ClockID = 1 // since 1970

	clocks = 2
)

// Calendar is a [Clock] that knows what day it is. Without it the calendar began when the machine did.
type Calendar interface {
	// Calendar returns nanoseconds since 1970.
	Calendar() uint64
}

// ClockService is a clock as tasks know it.
//
// Source: XNU osfmk/kern/clock_oldops.c.
type ClockService struct {
	m    *Machine
	id   ClockID
	port portal
}

// AlarmKind says what the time of an alarm counts from (alarm_type_t).
type AlarmKind int32

const (
	AlarmAt    AlarmKind = 0 // TIME_ABSOLUTE
	AlarmAfter AlarmKind = 1 // TIME_RELATIVE
)

// ClockService makes a send right to a clock (host_get_clock_service).
func (h *Host) ClockService(id ClockID) (*ipc.Port, mach.KernReturn) {
	if h == nil || id < 0 || id >= clocks {
		return nil, mach.KernInvalidArgument
	}
	return h.makeServiceSend(hostClocks + int(id)), 0
}

// ClockServiceOf returns the clock that a port stands for; nil if it is none (convert_port_to_clock).
func (m *Machine) ClockServiceOf(p *ipc.Port) *ClockService {
	c, _ := m.objectOf(p).(*ClockService)
	return c
}

// Time is clock_get_time, in nanoseconds.
func (c *ClockService) Time() (uint64, mach.KernReturn) {
	switch {
	case c == nil:
		return 0, mach.KernInvalidArgument
	case c.m.clock == nil:
		return 0, 0
	}
	if cal, ok := c.m.clock.(Calendar); ok && c.id == CalendarClock {
		return cal.Calendar(), 0
	}
	return c.m.clock.Now(), 0
}

// resolution is what clocks say of theirs: a hundredth of a second.
const resolution = uint32(time.Second / 100)

// Attributes of a clock (clock_flavor_t).
const (
	clockTimeResolution  = 1
	clockAlarmResolution = 3 // now; the least and the most follow
	clockAlarmMax        = 5
)

// Attribute is clock_get_attributes: the resolution of the time, or of alarms, in nanoseconds; 0 if there are none.
func (c *ClockService) Attribute(flavor int32) (uint32, mach.KernReturn) {
	switch {
	case c == nil:
		return 0, mach.KernInvalidArgument
	case flavor == clockTimeResolution:
		return resolution, 0
	case flavor >= clockAlarmResolution && flavor <= clockAlarmMax:
		if c.id == SystemClock {
			return resolution, 0
		}
		return 0, 0
	}
	return 0, mach.KernInvalidValue
}

// alarmReplyID is the message that an alarm sends (clock_alarm_reply).
const alarmReplyID = 3125107

// clockAlarm is an alarm that is not due yet. The task that set it pays for it, and it goes when the task ends.
type clockAlarm struct {
	clock *ClockService
	by    *Task
	right *ipc.Port
	disp  mach.Disposition
	kind  AlarmKind
	stop  func() bool
	once  sync.Once
}

// Alarm is clock_alarm: a message goes through a send or send-once right, a MOVE form, when the time has come. What is
// due already, or no time at all, is told at once. If it succeeds the right is taken.
//
// Source: XNU osfmk/kern/clock_oldops.c, clock_alarm and check_time.
func (c *ClockService) Alarm(by *Thread, kind AlarmKind, sec uint32, nsec int32, right *ipc.Port,
	d mach.Disposition) mach.KernReturn {
	switch {
	case c == nil:
		return mach.KernInvalidArgument
	case c.id != SystemClock:
		return mach.KernFailure
	case !valid(right):
		return mach.KernInvalidCapability
	}
	now, _ := c.Time()
	at, kr := uint64(sec)*uint64(time.Second)+uint64(nsec), mach.KernSuccess
	if kind == AlarmAfter {
		at += now
	}
	switch {
	case kind != AlarmAt && kind != AlarmAfter || nsec < 0 || nsec >= int32(time.Second):
		kr = mach.KernInvalidValue
	case at > now && c.m.clock != nil:
		return c.set(by.task, &clockAlarm{clock: c, by: by.task, right: right, disp: d, kind: kind}, at-now)
	}
	ring(right, d, kr, kind, now)
	return 0
}

// ring sends the message of an alarm.
func ring(right *ipc.Port, d mach.Disposition, kr mach.KernReturn, kind AlarmKind, now uint64) {
	body := []byte{4: 1, 23: 0}
	le := binary.LittleEndian
	le.PutUint32(body[8:], uint32(kr))
	le.PutUint32(body[12:], uint32(kind))
	le.PutUint32(body[16:], uint32(now/uint64(time.Second)))
	le.PutUint32(body[20:], uint32(now%uint64(time.Second)))
	right.PostThrough(d, alarmReplyID, body)
}

func (c *ClockService) set(t *Task, a *clockAlarm, d uint64) mach.KernReturn {
	if !t.charge() {
		return mach.KernResourceShortage
	}
	t.mu.Lock()
	if t.life != alive {
		t.mu.Unlock()
		t.made.Add(-1)
		return mach.KernFailure
	}
	if t.alarms == nil {
		t.alarms = map[*clockAlarm]struct{}{}
	}
	t.alarms[a] = struct{}{}
	a.stop = c.m.clock.AfterFunc(time.Duration(min(d, math.MaxInt64)), func() {
		a.end(func() {
			now, _ := c.Time()
			ring(a.right, a.disp, 0, a.kind, now)
		})
	})
	t.mu.Unlock()
	return 0
}

// end does what is to be done with the right, once, then takes the alarm from its task: in this order, so that a task
// that ends finds the alarm and waits until it is done.
func (a *clockAlarm) end(f func()) {
	a.once.Do(func() {
		f()
		a.by.mu.Lock()
		delete(a.by.alarms, a)
		a.by.mu.Unlock()
		a.by.made.Add(-1)
	})
}

// cancel ends an alarm that nobody wants any more.
func (a *clockAlarm) cancel() {
	a.stop()
	a.end(func() { a.right.Release(a.disp) })
}
