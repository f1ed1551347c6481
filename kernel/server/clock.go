package server

import (
	"portcullis.dev/defs/clock"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// clocks serves clock.
type clocks struct{ *call }

var _ clock.Server[port] = clocks{}

// ClockGetTime serves clock_get_time.
func (c clocks) ClockGetTime(_ *rpc.Message[port], p port) ([2]uint32, mach.KernReturn) {
	ns, kr := c.m.ClockServiceOf(p).Time()
	return [2]uint32{uint32(ns / 1e9), uint32(ns % 1e9)}, kr
}

// ClockGetAttributes serves clock_get_attributes, for callers with room for exactly one.
func (c clocks) ClockGetAttributes(_ *rpc.Message[port], p port, flavor int32, room uint32) ([]int32, mach.KernReturn) {
	s := c.m.ClockServiceOf(p)
	if s != nil && room != 1 {
		return nil, mach.KernFailure
	}
	v, kr := s.Attribute(flavor)
	return []int32{int32(v)}, kr
}

// ClockAlarm serves clock_alarm.
func (c clocks) ClockAlarm(_ *rpc.Message[port], p port, kind int32, t [2]uint32, to rpc.Right[port]) mach.KernReturn {
	return c.m.ClockServiceOf(p).Alarm(c.by, object.AlarmKind(kind), t[0], int32(t[1]), to.Port, to.Disposition)
}
