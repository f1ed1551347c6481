package server_test

import (
	"slices"
	"testing"
	"time"

	"portcullis.dev/defs/clock"
	"portcullis.dev/defs/hostpriv"
	"portcullis.dev/defs/machhost"
	"portcullis.dev/defs/processorset"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// computer is a computer of two processors.
type computer struct{}

func (computer) Computer() server.Computer {
	return server.Computer{Processors: 2, PhysicalProcessors: 1, Memory: 3 << 30, PageSize: 16384, CPUType: 0x0100000c,
		CPUSubtype: 2, Version: "a kernel"}
}

func (computer) Load() server.Load {
	return server.Load{Average: [3]float64{0.5, 1, 4}, Ticks: [][4]uint32{{1, 2, 3, 4}, {10, 20, 30, 40}},
		Pages: server.Pages{Free: 1 << 33, Active: 5, Faults: 1 << 33}}
}

// root joins a task whose host port is the host's privileged one.
func (w *world) root(l rules.Level) *person {
	w.Helper()
	return w.join(object.TaskConfig{Root: true, Restrict: restrict.NewTask(restrict.ForLevel(l))})
}

// TestHost asks for every flavor of what the computer is and does, with just enough room and with too little.
//
// Source of sizes: XNU osfmk/mach/host_info.h.
func TestHost(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{Host: computer{}})
	p := w.level(rules.Level2)
	c, host := p.c, p.host
	for _, x := range []struct {
		flavor int32
		words  int
		check  func(v []int32) bool
	}{
		{1, 5, func(v []int32) bool { return v[0] == 2 && uint32(v[2]) == 1<<31 && v[4] == 2 }},
		{1, 12, func(v []int32) bool { return v[6] == 1 && v[8] == 2 && uint32(v[10]) == 3<<30 && v[11] == 0 }},
		{3, 2, nil}, {5, 8, nil}, {9, 68, nil}, {11, 1, nil}, {12, 2, func(v []int32) bool { return v[1] == 2 }},
	} {
		v, kr := machhost.HostInfo(c, host, x.flavor, uint32(x.words))
		if w.want(kr, 0); len(v) != x.words || x.check != nil && !x.check(v) {
			t.Errorf("flavor %d: %v", x.flavor, v)
		}
		if x.words != 12 {
			_, kr = machhost.HostInfo(c, host, x.flavor, uint32(x.words-1))
			w.want(kr, mach.KernFailure)
		}
	}
	for flavor, want := range map[int32]mach.KernReturn{4: mach.KernInvalidArgument, 10: mach.KernNotSupported,
		99: mach.KernInvalidArgument} {
		_, kr := machhost.HostInfo(c, host, flavor, 68)
		w.want(kr, want)
	}
	version, kr := machhost.HostKernelVersion(c, host)
	if w.want(kr, 0); version != "a kernel" {
		t.Errorf("version %q", version)
	}
	size, kr := machhost.HostPageSize(c, host)
	if w.want(kr, 0); size != 16384 {
		t.Errorf("pages of %d bytes", size)
	}
	n, v, kr := machhost.HostProcessorInfo(c, host, 2)
	if w.want(kr, 0); n != 2 || !slices.Equal(v, []int32{1, 2, 3, 4, 10, 20, 30, 40}) {
		t.Errorf("%d processors: %v", n, v)
	}
	n, v, kr = machhost.HostProcessorInfo(c, host, 1)
	if w.want(kr, 0); n != 2 || len(v) != 10 || v[4] != 1 || v[9] != 0 {
		t.Errorf("%d processors: %v", n, v)
	}
	_, _, kr = machhost.HostProcessorInfo(c, host, 3)
	w.want(kr, mach.KernInvalidArgument)
	w.end()
}

// TestHostStatistics asks how busy the computer is.
//
// Source of sizes: XNU osfmk/mach/host_info.h, osfmk/mach/vm_statistics.h.
func TestHostStatistics(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{Host: computer{}})
	p, r := w.level(rules.Level2), w.root(rules.Level2)
	for _, x := range []struct {
		flavor int32
		words  int
		check  func(v []int32) bool
	}{
		{1, 6, func(v []int32) bool { return slices.Equal(v, []int32{500, 1000, 4000, 1500, 1000, 400}) }},
		{2, 12, func(v []int32) bool { return uint32(v[0]) == ^uint32(0) && v[1] == 5 }}, {2, 15, nil},
		{3, 4, func(v []int32) bool { return slices.Equal(v, []int32{11, 22, 33, 44}) }}, {6, 12, nil},
	} {
		v, kr := machhost.HostStatistics(p.c, p.host, x.flavor, uint32(x.words))
		if w.want(kr, 0); len(v) != x.words || x.check != nil && !x.check(v) {
			t.Errorf("flavor %d: %v", x.flavor, v)
		}
		same, kr := hostpriv.HostPrivStatistics(r.c, r.host, x.flavor, uint32(x.words))
		if w.want(kr, 0); !slices.Equal(v, same) {
			t.Errorf("flavor %d: %v and %v", x.flavor, v, same)
		}
		if x.words != 15 {
			_, kr = machhost.HostStatistics(p.c, p.host, x.flavor, uint32(x.words-1))
			w.want(kr, mach.KernFailure)
		}
	}
	_, kr := machhost.HostStatistics(p.c, p.host, 4, 38)
	w.want(kr, mach.KernInvalidArgument)
	for _, x := range []struct {
		flavor      int32
		room, words int
	}{{4, 24, 24}, {4, 38, 38}, {5, 12, 12}, {3, 4, 4}} {
		v, kr := machhost.HostStatistics64(p.c, p.host, x.flavor, uint32(x.room))
		if w.want(kr, 0); len(v) != x.words {
			t.Errorf("flavor %d: %d words", x.flavor, len(v))
		}
	}
	_, kr = machhost.HostStatistics64(p.c, p.host, 4, 23)
	w.want(kr, mach.KernFailure)
	w.end()
}

// TestHostRefuses calls what nobody may do to the computer from here.
func TestHostRefuses(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p, r := w.level(rules.Level2), w.root(rules.Level2)
	n := p.port()
	w.messages = true
	w.want(machhost.HostRequestNotification(p.c, p.host, 2, n), mach.KernInvalidArgument)
	if id := p.next(n); id != mach.NotifySendOnce { // of the right that was made to notify
		t.Errorf("message %d", id)
	}
	w.messages = false
	_, _, kr := machhost.MachZoneInfo(p.c, p.host)
	w.want(kr, mach.KernNoAccess)
	_, kr = machhost.MachZoneInfoForZone(p.c, p.host, [80]byte{})
	w.want(kr, mach.KernNoAccess)
	_, _, _, kr = machhost.MachMemoryInfo(p.c, p.host)
	w.want(kr, mach.KernNoAccess)
	voucher, kr := machhost.HostCreateMachVoucher(p.c, p.host, nil)
	if w.want(kr, 0); voucher != 0 {
		t.Errorf("voucher %v", voucher)
	}
	for _, x := range []struct {
		p                            *person
		none, reboot, clock, cpu, vm mach.KernReturn
	}{
		{p, mach.KernInvalidHost, mach.KernInvalidHost, mach.KernInvalidArgument, mach.KernInvalidArgument,
			mach.KernInvalidHost},
		{r, 0, mach.KernNoAccess, mach.KernFailure, mach.KernResourceShortage, mach.KernResourceShortage},
	} {
		c, host := x.p.c, x.p.host
		_, kr = hostpriv.HostGetBootInfo(c, host)
		w.want(kr, x.none)
		w.want(hostpriv.HostReboot(c, host, 0), x.reboot)
		_, kr = hostpriv.HostGetClockControl(c, host, 0)
		w.want(kr, x.clock)
		_, kr = hostpriv.HostProcessors(c, host)
		w.want(kr, x.cpu)
		w.want(hostpriv.VmWire(c, host, x.p.self, 0, 1, 1), x.vm)
		w.want(hostpriv.MachVmWire(c, host, x.p.self, 0, 1, 1), x.vm)
		w.want(hostpriv.ThreadWire(c, host, x.p.thread, 1), mach.KernNotSupported)
	}
	w.want(hostpriv.MachVmWire(r.c, r.host, r.host, 0, 1, 1), mach.KernInvalidTask)
	w.want(hostpriv.MachVmWire(r.c, r.host, r.self, 0, 1, 8), mach.KernInvalidArgument)
	w.end()
}

// TestHostPorts gets and sets ports of the host: with the privileged port, of a task whose own host port it is.
func TestHostPorts(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	launchd := restrict.NewTask(restrict.ForLevel(rules.LevelPlatform))
	launchd.Launchd = true
	r, p := w.join(object.TaskConfig{Root: true, Restrict: launchd}), w.level(rules.Level2)
	n := r.port()
	w.want(hostpriv.HostSetSpecialPort(r.c, r.host, 8, n), 0)
	got, kr := hostpriv.HostGetSpecialPort(r.c, r.host, -1, 8)
	if w.want(kr, 0); got != n {
		t.Errorf("port %v, want %v", got, n)
	}
	w.want(hostpriv.HostSetSpecialPort(r.c, r.host, 3, n), mach.KernInvalidArgument)
	w.want(hostpriv.HostSetSpecialPort(p.c, p.host, 8, p.port()), mach.KernInvalidArgument)
	_, kr = hostpriv.HostGetSpecialPort(r.c, r.host, -1, 36)
	w.want(kr, mach.KernInvalidArgument)
	_, kr = hostpriv.HostGetSpecialPort(p.c, p.host, -1, 8)
	w.want(kr, mach.KernInvalidArgument)
	main, kr := machhost.HostGetIoMain(p.c, p.host)
	if w.want(kr, 0); main != 0 {
		t.Errorf("port %v", main)
	}
	_, kr = machhost.HostGetIoMain(p.c, p.self)
	w.want(kr, mach.KernInvalidArgument)

	name, kr := machhost.ProcessorSetDefault(r.c, r.host)
	w.want(kr, 0)
	sets, kr := hostpriv.HostProcessorSets(r.c, r.host)
	if w.want(kr, 0); !slices.Equal(sets, []mach.Name{name}) {
		t.Errorf("sets %v, want %v", sets, name)
	}
	set, kr := hostpriv.HostProcessorSetPriv(r.c, r.host, name)
	if w.want(kr, 0); set == name || set == 0 {
		t.Errorf("set %v with name %v", set, name)
	}
	_, kr = hostpriv.HostProcessorSetPriv(r.c, r.host, n)
	w.want(kr, mach.KernInvalidArgument)
	_, kr = hostpriv.HostProcessorSets(p.c, p.host)
	w.want(kr, mach.KernInvalidArgument)
	name, kr = machhost.ProcessorSetDefault(p.c, p.host)
	w.want(kr, 0)
	_, kr = hostpriv.HostProcessorSetPriv(p.c, p.host, name)
	w.want(kr, mach.KernInvalidArgument)
	w.end()
}

// TestProcessorSet asks for all tasks and threads, with the port of the set and with its name, and how busy the set is.
//
// Source: XNU osfmk/kern/processor.c, processor_set_things, processor_set_info, processor_set_statistics.
func TestProcessorSet(t *testing.T) {
	for _, notMac := range []bool{false, true} {
		w := newWorld(t, object.Config{Restrictions: &restrict.Restrictions{System: restrict.System{NotMac: notMac}}, DeveloperMode: true},
			server.Config{Host: computer{}})
		r, p := w.root(rules.Level2), w.level(rules.Level2)
		name, kr := machhost.ProcessorSetDefault(r.c, r.host)
		w.want(kr, 0)
		set, kr := hostpriv.HostProcessorSetPriv(r.c, r.host, name)
		w.want(kr, 0)
		tasks, kr := processorset.ProcessorSetTasks(r.c, set)
		w.want(kr, 0)
		if want := []mach.Name{r.self, r.of(p, object.Control)}; !slices.Equal(tasks, want) {
			t.Errorf("tasks %v, want %v", tasks, want)
		}
		for f := object.Control; f <= object.Name; f++ {
			tasks, kr := processorset.ProcessorSetTasksWithFlavor(r.c, set, uint32(f))
			w.want(kr, 0)
			if want := []mach.Name{r.of(r, f), r.of(p, f)}; !slices.Equal(tasks, want) {
				t.Errorf("flavor %d: tasks %v, want %v", f, tasks, want)
			}
			_, kr = processorset.ProcessorSetTasksWithFlavor(r.c, name, uint32(f))
			w.want(kr, mach.KernInvalidArgument)
		}
		_, kr = processorset.ProcessorSetTasksWithFlavor(r.c, set, uint32(object.Name)+1)
		w.want(kr, mach.KernInvalidArgument)
		_, kr = processorset.ProcessorSetTasks(p.c, name)
		w.want(kr, mach.SendInvalidDest) // a name of another task's
		threads, kr := processorset.ProcessorSetThreads(r.c, set)
		if notMac {
			w.want(kr, mach.KernNotSupported)
		} else if w.want(kr, 0); len(threads) != 2 || threads[0] != r.thread {
			t.Errorf("threads %v, want %v and another", threads, r.thread)
		}
		if !notMac {
			_, kr = processorset.ProcessorSetThreads(r.c, name)
			w.want(kr, mach.KernInvalidArgument)
		}

		load, kr := processorset.ProcessorSetStatistics(r.c, name, 4, 4)
		if w.want(kr, 0); !slices.Equal(load, []int32{2, 2, 500, 1500}) {
			t.Errorf("load %v", load)
		}
		_, kr = processorset.ProcessorSetStatistics(r.c, name, 4, 3)
		w.want(kr, mach.KernFailure)
		_, kr = processorset.ProcessorSetStatistics(r.c, name, 5, 5)
		w.want(kr, mach.KernInvalidArgument)
		_, kr = processorset.ProcessorSetStatistics(r.c, r.self, 4, 4)
		w.want(kr, mach.KernInvalidProcessorSet)
		for flavor, want := range map[int32][]int32{3: {7}, 5: {2, 1}, 10: {31}, 11: {95}, 20: {31, 1}, 21: {95}, 30: {31},
			31: {95}} {
			host, info, kr := processorset.ProcessorSetInfo(r.c, name, flavor, uint32(len(want)))
			if w.want(kr, 0); !slices.Equal(info, want) || host == 0 || host == r.host {
				t.Errorf("flavor %d: %v of host %v, want %v", flavor, info, host, want)
			}
			_, _, kr = processorset.ProcessorSetInfo(r.c, name, flavor, uint32(len(want)-1))
			w.want(kr, mach.KernFailure)
		}
		_, _, kr = processorset.ProcessorSetInfo(r.c, name, 6, 5)
		w.want(kr, mach.KernInvalidArgument)
		_, _, kr = processorset.ProcessorSetInfo(r.c, r.self, 5, 5)
		w.want(kr, mach.KernInvalidArgument)
		w.end()
	}
}

// TestClocks asks clocks for the time, and sets alarms.
//
// Source: XNU osfmk/kern/clock_oldops.c.
func TestClocks(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.level(rules.Level2)
	c := p.c
	w.clock.pass(5*time.Second + 7)
	system, kr := machhost.HostGetClockService(c, p.host, int32(object.SystemClock))
	w.want(kr, 0)
	calendar, kr := machhost.HostGetClockService(c, p.host, int32(object.CalendarClock))
	w.want(kr, 0)
	_, kr = machhost.HostGetClockService(c, p.host, 2)
	w.want(kr, mach.KernInvalidArgument)
	now, kr := clock.ClockGetTime(c, system)
	if w.want(kr, 0); now != [2]uint32{5, 7} {
		t.Errorf("time %v", now)
	}
	_, kr = clock.ClockGetTime(c, p.host)
	w.want(kr, mach.KernInvalidArgument)
	for _, x := range []struct {
		clock  mach.Name
		flavor int32
		want   int32
	}{{system, 1, 10_000_000}, {system, 3, 10_000_000}, {calendar, 1, 10_000_000}, {calendar, 3, 0}} {
		v, kr := clock.ClockGetAttributes(c, x.clock, x.flavor, 1)
		if w.want(kr, 0); !slices.Equal(v, []int32{x.want}) {
			t.Errorf("attribute %d: %v", x.flavor, v)
		}
	}
	_, kr = clock.ClockGetAttributes(c, system, 2, 1)
	w.want(kr, mach.KernInvalidValue)
	_, kr = clock.ClockGetAttributes(c, system, 1, 0)
	w.want(kr, mach.KernFailure)

	const reply = 3125107
	n := p.port()
	w.messages = true
	w.want(clock.ClockAlarm(c, calendar, 0, [2]uint32{9, 0}, n), mach.KernFailure)
	if id := p.next(n); id != mach.NotifySendOnce {
		t.Errorf("message %d", id)
	}
	w.want(clock.ClockAlarm(c, system, 0, [2]uint32{1, 0}, n), 0) // which was
	if id := p.next(n); id != reply {
		t.Errorf("message %d", id)
	}
	w.want(clock.ClockAlarm(c, system, 1, [2]uint32{2, 0}, n), 0)
	if at := w.pending(); !slices.Equal(at, []uint64{7e9 + 7}) {
		t.Errorf("alarms %v", at)
	}
	w.clock.pass(2 * time.Second)
	if id := p.next(n); id != reply {
		t.Errorf("message %d", id)
	}
	w.want(clock.ClockAlarm(c, system, 1, [2]uint32{2, 0}, n), 0) // still pending as the task ends
	w.end()
}

// TestHostNotification asks to hear of the calendar.
func TestHostNotification(t *testing.T) {
	const change, set = int32(object.CalendarChange), int32(object.CalendarSet)
	w := newWorld(t, object.Config{}, server.Config{})
	p, q := w.level(rules.LevelNone), w.level(rules.LevelNone)
	w.messages = true
	a, b, gone := p.port(), p.port(), q.port()
	hears := func(n mach.Name, want int32) {
		t.Helper()
		if id := p.next(n); id != want {
			t.Errorf("message %d, want %d", id, want)
		}
	}
	w.clock.setCalendar(true) // nobody listens
	w.want(machhost.HostRequestNotification(p.c, p.host, change, a), 0)
	w.want(machhost.HostRequestNotification(p.c, p.host, set, b), 0)
	w.want(machhost.HostRequestNotification(q.c, q.host, set, gone), 0)
	if port, _ := p.Space.ReceivePort(a); !port.ReceiveImmovable() {
		t.Error("a port that is to hear of the calendar can be moved")
	}
	for _, kind := range []int32{change, set} { // a port waits for one
		w.want(machhost.HostRequestNotification(p.c, p.host, kind, a), mach.KernInvalidCapability)
		hears(a, mach.NotifySendOnce)
	}
	w.clock.setCalendar(false)
	hears(a, 950)
	if !w.clock.watched() {
		t.Error("nobody waits for the other event")
	}
	q.Terminate()
	w.clock.setCalendar(true)
	hears(b, 951)
	if w.clock.watched() {
		t.Error("the calendar is watched for nobody")
	}
	w.want(machhost.HostRequestNotification(p.c, p.host, change, a), 0) // and again
	w.clock.setCalendar(true)
	hears(a, 950)
	w.want(machhost.HostRequestNotification(p.c, p.host, change, a), 0) // which is still pending as the task ends
	p.Terminate()
	if w.clock.watched() {
		t.Error("the calendar is watched for the dead")
	}
}
