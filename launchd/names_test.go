package launchd

import (
	"testing"
	"time"

	"portcullis.dev/mach"
)

func services(xml string) string { return "<key>MachServices</key><dict>" + xml + "</dict>" }

// TestOnDemand follows a service through start on demand, crash, and start again with what was not taken.
func TestOnDemand(t *testing.T) {
	w := newWorld(t)
	w.load("a", services("<key>x</key><true/>"))
	w.wantRuns("a", false)
	w.send("x")
	p := w.wantRuns("a", true)
	if r, _ := w.Blame(SystemDomain, "a"); r != ByMessage {
		t.Errorf("reason %q", r)
	}
	port := p.checkIn("x")
	if w.queued[port] != 1 {
		t.Errorf("%d messages", w.queued[port])
	}
	if _, kr := w.CheckIn(Caller{PID: p.pid}, "x", 0); kr != codeServiceActive {
		t.Errorf("checked in twice: %v", kr)
	}
	w.send("x")
	w.queued[port] = 1 // the program takes one
	w.pass(time.Minute)
	p.end(Exit{Signal: 11})
	w.wantRuns("a", false)
	w.Returned(port)
	w.settle("the job runs again", func() bool { return w.runs("a") != nil })
	if again := w.runs("a").checkIn("x"); again != port || w.queued[port] != 1 {
		t.Errorf("port %v with %d messages, was %v", again, w.queued[again], port)
	}
	// It gives the port up while it runs: what comes now waits until it checks in again or ends.
	w.Returned(port)
	w.send("x")
	if w.runs("a").checkIn("x") != port {
		t.Error("another port")
	}
}

// TestReturn goes through what becomes of a port and its messages when the program dies.
func TestReturn(t *testing.T) {
	for _, c := range []struct {
		keys  string
		exit  Exit
		same  bool
		left  int
		first string // what is heard of first
	}{
		{"", Exit{}, true, 3, "exit"},
		{"", Exit{Signal: 11}, true, 3, "port"},
		{"<key>ResetAtClose</key><true/>", Exit{}, false, 0, "exit"},
		{"<key>DrainMessagesOnCrash</key><string>One</string>", Exit{Signal: 11}, true, 2, "exit"},
		{"<key>DrainMessagesOnCrash</key><string>One</string>", Exit{Signal: 11}, true, 2, "port"},
		{"<key>DrainMessagesOnCrash</key><string>All</string>", Exit{Signal: 6}, true, 0, "port"},
		{"<key>DrainMessagesOnCrash</key><string>All</string>", Exit{Code: 1}, true, 3, "exit"},
	} {
		w := newWorld(t)
		w.load("a", services("<key>x</key><dict>"+c.keys+"</dict>"))
		w.send("x")
		p := w.runs("a")
		port := p.checkIn("x")
		w.queued[port] = 3
		if c.first == "port" {
			w.Returned(port)
		}
		p.end(c.exit)
		if c.first == "exit" {
			w.Returned(port)
		}
		now, kr := w.LookUp(Caller{PID: 5}, "x", 0)
		if kr != 0 || (now == port) != c.same || w.queued[now] != c.left {
			t.Errorf("%s after %v (%s first): port %v with %d messages, was %v", c.keys, c.exit, c.first, now, w.queued[now], port)
		}
	}
}

// TestNames goes through who may check in and look up what.
func TestNames(t *testing.T) {
	w := newWorld(t)
	w.load("a", services("<key>x</key><true/><key>hidden</key><dict><key>HideUntilCheckIn</key><true/></dict>")+alive)
	w.load("b", services("<key>y</key><true/>")+alive)
	if err := w.Load("user/501", w.job("agent", services("<key>mine</key><true/>")+alive)); err != nil {
		t.Fatal(err)
	}
	e, _, err := w.Info("user/501", "agent")
	if err != nil {
		t.Fatal(err)
	}
	a, b, agent := Caller{w.runs("a").pid, 0}, Caller{w.runs("b").pid, 0}, Caller{e.PID, 501}
	stranger, foreigner := Caller{9999, 501}, Caller{9998, 502}
	for _, c := range []struct {
		what  string
		who   Caller
		name  string
		flags uint64
		want  mach.KernReturn
	}{
		{"look up", stranger, "x", 0, 0},
		{"look up", stranger, "hidden", 0, codeUnknownService},
		{"look up", stranger, "none", 0, codeUnknownService},
		{"look up", stranger, "x", FlagPerPID, codeUnknownService},
		{"look up", stranger, "mine", 0, 0},
		{"look up", stranger, "mine", FlagPrivileged, codeUnknownService},
		{"look up", foreigner, "mine", 0, codeUnknownService},
		{"look up", b, "mine", 0, codeUnknownService},
		{"look up", agent, "x", 0, 0}, // of the domain above
		{"check in", stranger, "x", 0, codeNotPrivileged},
		{"check in", stranger, "new", 0, codeNotPrivileged},
		{"check in", stranger, "new", FlagStrictCheckIn, codeUnknownService},
		{"check in", agent, "x", FlagStrictCheckIn, codeUnknownService}, // its own domain alone
		{"check in", b, "x", 0, codeNotPrivileged},
		{"check in", a, "hidden", 0, 0},
		{"look up", stranger, "hidden", 0, 0},
		{"check in", a, "new", FlagStrictCheckIn, codeUnknownService},
		{"check in", a, "new", 0, 0},
		{"look up", b, "new", 0, 0},
		{"check in", b, "new", 0, codeNotPrivileged},
	} {
		var kr mach.KernReturn
		if c.what == "check in" {
			_, kr = w.CheckIn(c.who, c.name, c.flags)
		} else {
			_, kr = w.LookUp(c.who, c.name, c.flags)
		}
		if kr != c.want {
			t.Errorf("%s of %s by %+v with %d: %v, want %v", c.what, c.name, c.who, c.flags, kr, c.want)
		}
	}
	// What is in a user's session is found by the user's programs, and has the user's domain above it.
	if err := w.Load("gui/501", w.job("seen", services("<key>window</key><true/>")+alive)); err != nil {
		t.Fatal(err)
	}
	e, _, _ = w.Info("gui/501", "seen")
	for _, c := range []struct {
		who  Caller
		name string
		want mach.KernReturn
	}{{stranger, "window", 0}, {stranger, "mine", 0}, {stranger, "x", 0}, {Caller{e.PID, 501}, "mine", 0},
		{agent, "window", codeUnknownService}, {foreigner, "window", codeUnknownService}} {
		if _, kr := w.LookUp(c.who, c.name, 0); kr != c.want {
			t.Errorf("%+v looks up %s: %v, want %v", c.who, c.name, kr, c.want)
		}
	}
	// A name that was taken while running goes with the program, or to the job whose file has it.
	w.load("c", services("<key>new</key><true/>"))
	if !w.has("takes the name new from process") {
		t.Errorf("log %q", w.log)
	}
	if err := w.Load(SystemDomain, w.job("d", services("<key>x</key><true/>"))); err == nil {
		t.Error("two files for one name")
	}
	if c := w.Counts(); c.Services != 6 || c.Active != 1 {
		t.Errorf("%+v", c)
	}
	w.CheckIn(a, "fleeting", 0)
	w.pass(time.Minute)
	w.runs("a").end(Exit{})
	if _, kr := w.LookUp(stranger, "fleeting", 0); kr != codeUnknownService {
		t.Errorf("a name of a program that ended: %v", kr)
	}
	down := w.Shutdown()
	w.happen()
	<-down
	if len(w.ports) != 0 {
		t.Errorf("ports are left: %v", w.ports)
	}
}
