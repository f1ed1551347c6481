package object

import (
	"slices"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// HostEvent is something that the host tells of, once, to who asked for it (host_flavor_t of host_request_notification).
type HostEvent int32

const (
	CalendarChange HostEvent = 0 // the calendar goes otherwise than the clock of the system
	CalendarSet    HostEvent = 1 // for it was set, and not because the machine slept

	hostEvents = 2
)

// calendarChangedID is the message that tells of [CalendarChange]; that of the next event follows. They have no body.
const calendarChangedID = 950

// CalendarWatch is a [Clock] that knows when its calendar changes. Without it the calendar never does.
type CalendarWatch interface {
	// WatchCalendar calls changed, on a goroutine of its own, each time that the calendar has changed, until stop is
	// called, which does not wait. set says that somebody has set it.
	WatchCalendar(changed func(set bool)) (stop func(), err error)
}

// hostRequest is the wish of a task to hear of an event. The task pays for it, and it goes when the task ends.
type hostRequest struct {
	by    *Task
	event HostEvent
	right *ipc.Port // send-once
}

// RequestNotification is host_request_notification: a message goes through a send-once right when the event happens next.
// A port that is to hear of an event cannot wait for another, and stays where it is from then on. If it succeeds the
// right is taken.
//
// Source: XNU osfmk/kern/host_notify.c, host_request_notification; osfmk/ipc/ipc_port.c, ipc_port_request_hnotify_alloc.
func (h *Host) RequestNotification(by *Task, e HostEvent, right *ipc.Port) mach.KernReturn {
	switch {
	case h == nil:
		return mach.KernInvalidArgument
	case !valid(right):
		return mach.KernInvalidCapability
	case e < 0 || e >= hostEvents:
		return mach.KernInvalidArgument
	}
	r := &hostRequest{by, e, right}
	if kr := h.add(r); kr != 0 {
		return kr
	}
	if !right.HoldReceiver() && len(h.take(func(o *hostRequest) bool { return o == r })) > 0 {
		return mach.KernInvalidCapability
	}
	by.mu.Lock()
	ended := by.life != alive
	by.mu.Unlock()
	if ended {
		h.leaves(by)
	}
	return 0
}

// add takes a request in.
func (h *Host) add(r *hostRequest) mach.KernReturn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.ContainsFunc(h.requests, func(o *hostRequest) bool { return o.right == r.right }) {
		return mach.KernInvalidCapability
	}
	if w, ok := h.m.clock.(CalendarWatch); ok && h.unwatch == nil {
		stop, err := w.WatchCalendar(h.calendarChanged)
		if err != nil {
			return mach.KernResourceShortage
		}
		h.unwatch = stop
	}
	if !r.by.charge() {
		h.rest()
		return mach.KernResourceShortage
	}
	h.requests = append(h.requests, r)
	return 0
}

// rest ends the watch that nobody needs. The host is locked.
func (h *Host) rest() {
	if len(h.requests) == 0 && h.unwatch != nil {
		h.unwatch()
		h.unwatch = nil
	}
}

// take removes the requests that a function picks.
func (h *Host) take(picks func(*hostRequest) bool) (taken []*hostRequest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = slices.DeleteFunc(h.requests, func(r *hostRequest) bool {
		if picks(r) {
			taken = append(taken, r)
			r.by.made.Add(-1)
			return true
		}
		return false
	})
	h.rest()
	return taken
}

// calendarChanged tells of the events.
func (h *Host) calendarChanged(set bool) {
	for _, r := range h.take(func(r *hostRequest) bool { return set || r.event == CalendarChange }) {
		r.right.PostThrough(mach.MoveSendOnce, calendarChangedID+int32(r.event), nil)
	}
}

// leaves gives up what a task asked for that has ended, or what all did if it is nil.
func (h *Host) leaves(t *Task) {
	for _, r := range h.take(func(r *hostRequest) bool { return t == nil || r.by == t }) {
		r.right.Release(mach.MoveSendOnce)
	}
}
