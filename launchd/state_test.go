package launchd

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const alive = "<key>KeepAlive</key><true/>"

func keepAlive(k string) string { return "<key>KeepAlive</key><dict>" + k + "</dict>" }

// TestKeepAlive goes through the conditions: does a job run after loading, and after each kind of end?
func TestKeepAlive(t *testing.T) {
	good, bad, crash := Exit{}, Exit{Code: 3}, Exit{Signal: syscall.SIGSEGV}
	for _, c := range []struct {
		keys   string
		loaded bool
		after  map[Exit]bool
	}{
		{"", false, nil},
		{"<key>RunAtLoad</key><true/>", true, map[Exit]bool{good: false, bad: false, crash: false}},
		{alive, true, map[Exit]bool{good: true, bad: true, crash: true}},
		{"<key>OnDemand</key><false/>", true, map[Exit]bool{good: true}},
		{"<key>KeepAlive</key><false/>", false, nil},
		{keepAlive("<key>SuccessfulExit</key><true/>"), true, map[Exit]bool{good: true, bad: false, crash: false}},
		{keepAlive("<key>SuccessfulExit</key><false/>"), true, map[Exit]bool{good: false, bad: true, crash: true}},
		{keepAlive("<key>Crashed</key><true/>") + key("RunAtLoad", "<true/>"), true,
			map[Exit]bool{good: false, bad: false, crash: true}},
		{keepAlive("<key>Crashed</key><false/>") + key("RunAtLoad", "<true/>"), true,
			map[Exit]bool{good: true, bad: true, crash: false}},
		{keepAlive("<key>NetworkState</key><true/>"), true, map[Exit]bool{good: true}},
		{alive + "<key>LaunchOnlyOnce</key><true/>", true, map[Exit]bool{good: false, crash: false}},
	} {
		for e, again := range c.after {
			w := newWorld(t)
			w.load("a", c.keys)
			p := w.wantRuns("a", c.loaded)
			w.pass(time.Minute)
			p.end(e)
			if got := w.runs("a") != nil; got != again {
				t.Errorf("%s: after %v it runs: %v, want %v", c.keys, e, got, again)
			}
		}
		if c.after == nil {
			w := newWorld(t)
			w.load("a", c.keys)
			w.wantRuns("a", c.loaded)
		}
	}
}

func TestPathAndOtherJobs(t *testing.T) {
	w := newWorld(t)
	w.load("a", keepAlive("<key>PathState</key><dict><key>/x</key><true/></dict>"))
	w.wantRuns("a", false)
	w.files["/x"] = w.now
	w.pass(2 * time.Second)
	p := w.wantRuns("a", true)
	w.pass(time.Minute)
	delete(w.files, "/x")
	p.end(Exit{})
	w.pass(time.Minute)
	w.wantRuns("a", false)

	w.load("b", keepAlive("<key>OtherJobActive</key><dict><key>c</key><true/></dict>"))
	w.load("d", keepAlive("<key>OtherJobEnabled</key><dict><key>c</key><true/></dict>"))
	w.wantRuns("b", false)
	w.wantRuns("d", false)
	w.load("c", "")
	w.wantRuns("d", true)
	w.wantRuns("b", false)
	if _, err := w.Kickstart(SystemDomain, "c", LeaveRunning); err != nil {
		t.Fatal(err)
	}
	w.wantRuns("b", true)

	w.load("e", "<key>WatchPaths</key><array><string>/w</string></array>")
	w.load("f", "<key>QueueDirectories</key><array><string>/q</string></array>")
	w.pass(5 * time.Second)
	w.wantRuns("e", false)
	w.files["/w"], w.files["/q"], w.full["/q"] = w.now, w.now, true
	w.pass(2 * time.Second)
	w.wantRuns("e", true).end(Exit{})
	w.wantRuns("f", true).end(Exit{})
	w.pass(time.Minute)
	w.wantRuns("e", false)
	w.wantRuns("f", true) // the directory is not empty yet
}

func TestThrottling(t *testing.T) {
	w := newWorld(t)
	w.load("a", alive)
	p := w.wantRuns("a", true)
	w.pass(3 * time.Second)
	p.end(Exit{Signal: syscall.SIGSEGV})
	w.wantRuns("a", false)
	if !w.has("Throttling respawn: Will start in 7 seconds") || !w.has("crashed") {
		t.Errorf("log: %q", w.log)
	}
	w.pass(6900 * time.Millisecond)
	w.wantRuns("a", false)
	w.pass(100 * time.Millisecond)
	w.wantRuns("a", true).end(Exit{})
	w.wantRuns("a", false)
	if pid, err := w.Kickstart(SystemDomain, "a", LeaveRunning); err != nil || pid == 0 {
		t.Errorf("a kickstart does not wait: %v", err)
	}
	w.wantRuns("a", true)

	w.load("b", alive+"<key>ThrottleInterval</key><integer>0</integer>")
	w.wantRuns("b", true).end(Exit{})
	w.wantRuns("b", true)
}

func TestBrokenProgram(t *testing.T) {
	w := newWorld(t)
	w.broken = errors.New("no such program")
	w.load("a", alive)
	w.wantRuns("a", false)
	if e, _, _ := w.Info(SystemDomain, "a"); e.Status != exitConfig {
		t.Errorf("status %d", e.Status)
	}
	if text, _ := w.Print(SystemDomain, "a"); !strings.Contains(text, "last spawn error = no such program") {
		t.Errorf("%s", text)
	}
	if _, err := w.Kickstart(SystemDomain, "a", LeaveRunning); err == nil || !strings.Contains(err.Error(), "no such program") {
		t.Errorf("kickstart: %v", err)
	}
	w.pass(11 * time.Second)
	w.broken = nil
	w.pass(11 * time.Second)
	w.wantRuns("a", true)
}

// TestExitTimeOut stops programs that do as they are told, and one that does not.
func TestExitTimeOut(t *testing.T) {
	w := newWorld(t)
	w.load("a", "<key>RunAtLoad</key><true/><key>ExitTimeOut</key><integer>5</integer>")
	w.stubborn = true
	p := w.runs("a")
	if err := w.Stop(SystemDomain, "a"); err != nil {
		t.Fatal(err)
	}
	w.pass(4 * time.Second)
	if !slices.Equal(p.signals, []syscall.Signal{syscall.SIGTERM}) {
		t.Errorf("signals %v", p.signals)
	}
	w.pass(time.Second)
	if !slices.Equal(p.signals, []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}) {
		t.Errorf("signals %v", p.signals)
	}
	w.settle("the program ends", func() bool { return w.runs("a") == nil })
	if err := w.Stop(SystemDomain, "a"); !errors.Is(err, ErrNotAlive) {
		t.Errorf("stopped twice: %v", err)
	}
	if e, _, _ := w.Info(SystemDomain, "a"); e.Status != -9 {
		t.Errorf("status %d", e.Status)
	}

	// A stop on purpose is no reason for KeepAlive {Crashed}, and no crash.
	w.load("b", keepAlive("<key>Crashed</key><true/>")+"<key>RunAtLoad</key><true/>")
	w.stubborn = false
	w.pass(time.Minute)
	w.Stop(SystemDomain, "b")
	w.settle("the program ends", func() bool { return w.runs("b") == nil })
	if w.has("b: crashed") {
		t.Errorf("log %q", w.log)
	}
}

func TestTimers(t *testing.T) {
	w := newWorld(t)
	w.load("a", "<key>StartInterval</key><integer>60</integer>")
	w.wantRuns("a", false)
	w.pass(61 * time.Second)
	p := w.wantRuns("a", true)
	w.pass(61 * time.Second) // the next one finds it running, and is missed
	p.end(Exit{})
	w.wantRuns("a", false)
	w.pass(time.Minute)
	w.wantRuns("a", true).end(Exit{})
	w.pass(time.Second)
	w.wantRuns("a", false)

	w.load("b", `<key>StartCalendarInterval</key><array>
		<dict><key>Hour</key><integer>13</integer><key>Minute</key><integer>30</integer></dict>
		<dict><key>Hour</key><integer>18</integer><key>Minute</key><integer>0</integer></dict></array>`)
	w.pass(70 * time.Minute)
	w.wantRuns("b", false)
	w.pass(20 * time.Minute)
	w.wantRuns("b", true).end(Exit{})
	w.pass(4 * time.Hour)
	w.wantRuns("b", false)
	w.pass(time.Hour)
	w.wantRuns("b", true)
}

func TestCalendar(t *testing.T) {
	at := func(s string) time.Time {
		p, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		c          Calendar
		from, want string
	}{
		{Calendar{-1, -1, -1, -1, -1}, "2026-03-01 12:00", "2026-03-01 12:01"},
		{Calendar{0, -1, -1, -1, -1}, "2026-03-01 12:00", "2026-03-01 13:00"},
		{Calendar{30, 3, -1, -1, -1}, "2026-03-01 12:00", "2026-03-02 03:30"},
		{Calendar{0, 0, 31, -1, -1}, "2026-04-01 00:00", "2026-05-31 00:00"},
		{Calendar{0, 0, 29, -1, 2}, "2026-03-01 00:00", "2028-02-29 00:00"},
		{Calendar{0, 0, -1, 1, -1}, "2026-03-01 12:00", "2026-03-02 00:00"}, // a Monday
		{Calendar{0, 0, 5, 1, -1}, "2026-03-03 12:00", "2026-03-05 00:00"},
		{Calendar{0, 0, 30, -1, 2}, "2026-03-01 00:00", "0001-01-01 00:00"},
		{Calendar{59, 23, 31, -1, 12}, "2026-12-31 23:59", "2027-12-31 23:59"},
	} {
		if got := c.c.Next(at(c.from)); !got.Equal(at(c.want)) {
			t.Errorf("%+v after %s: %v, want %s", c.c, c.from, got, c.want)
		}
	}
}

func TestCommands(t *testing.T) {
	w := newWorld(t)
	w.load("a", alive)
	if err := w.Load(SystemDomain, w.job("a", "")); !errors.Is(err, ErrLoaded) {
		t.Errorf("loaded twice: %v", err)
	}
	if err := w.Load("nowhere", w.job("z", "")); !errors.Is(err, ErrNoDomain) {
		t.Errorf("in no domain: %v", err)
	}
	if err := w.Load(SystemDomain, w.job("off", key("Disabled", "<true/>"))); !errors.Is(err, ErrDisabled) {
		t.Errorf("disabled: %v", err)
	}
	w.Enable(SystemDomain, "off", On)
	if err := w.Load(SystemDomain, w.job("off", key("Disabled", "<true/>"))); err != nil {
		t.Errorf("enabled: %v", err)
	}
	w.Enable(SystemDomain, "never", Off)
	if err := w.Load(SystemDomain, w.job("never", "")); !errors.Is(err, ErrDisabled) {
		t.Errorf("disabled: %v", err)
	}
	if r, err := w.Blame(SystemDomain, "a"); r != Always || err != nil {
		t.Errorf("blame: %q, %v", r, err)
	}
	if _, err := w.Blame(SystemDomain, "off"); err == nil {
		t.Error("blamed a job that does not run")
	}
	p := w.runs("a")
	if pid, err := w.Kickstart(SystemDomain, "a", LeaveRunning); pid != p.pid || err != nil {
		t.Errorf("kickstart: %d, %v", pid, err)
	}
	w.pass(time.Minute)
	if pid, err := w.Kickstart(SystemDomain, "a", KillFirst); pid != 0 || err != nil {
		t.Errorf("kickstart -k: %d, %v", pid, err)
	}
	w.settle("another process", func() bool { q := w.runs("a"); return q != nil && q != p })
	if r, _ := w.Blame(SystemDomain, "a"); r != ByHand {
		t.Errorf("blame: %q", r)
	}
	if err := w.Kill(SystemDomain, "a", syscall.SIGUSR1); err != nil || !slices.Contains(w.runs("a").signals, syscall.SIGUSR1) {
		t.Errorf("kill: %v", err)
	}
	list, err := w.List(SystemDomain)
	if err != nil || len(list) != 2 || list[0].Label != "a" || list[0].Status != -15 || list[1].Ended {
		t.Errorf("list: %+v, %v", list, err)
	}
	for _, e := range []error{w.Stop(SystemDomain, "none"), w.Stop("user/7", "a"), w.Kill(SystemDomain, "none", 1)} {
		if !errors.Is(e, ErrNoService) && !errors.Is(e, ErrNoDomain) {
			t.Errorf("%v", e)
		}
	}
	gone, err := w.Unload(SystemDomain, "a")
	if err != nil {
		t.Fatal(err)
	}
	w.happen()
	<-gone
	if _, _, err := w.Info(SystemDomain, "a"); !errors.Is(err, ErrNoService) {
		t.Errorf("unloaded: %v", err)
	}
	w.load("b", alive)
	down := w.Shutdown()
	w.happen()
	<-down
	if c := w.Counts(); c.Jobs != 0 || c.Running != 0 {
		t.Errorf("%+v", c)
	}
	if err := w.Load(SystemDomain, w.job("c", "")); !errors.Is(err, ErrDown) {
		t.Errorf("loaded while shutting down: %v", err)
	}
	w.pass(24 * time.Hour)
	if n := len(w.alarms); n != 0 {
		t.Errorf("%d alarms are left", n)
	}
}

func TestSockets(t *testing.T) {
	w := newWorld(t)
	w.load("a", "<key>Sockets</key><dict><key>L</key><dict><key>SockPathName</key><string>/s</string></dict></dict>")
	w.wantRuns("a", false)
	w.sockets["a"].ready()
	p := w.wantRuns("a", true)
	if p.spawn.Sockets == nil || w.sockets["a"].ready != nil {
		t.Error("the program has no sockets, or they are watched while it runs")
	}
	w.pass(time.Minute)
	p.end(Exit{})
	if w.sockets["a"].ready == nil {
		t.Error("nobody watches the sockets")
	}
	gone, _ := w.Unload(SystemDomain, "a")
	w.happen()
	<-gone
	if !w.sockets["a"].closed {
		t.Error("the sockets are open")
	}
}
