package launchd

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// everything has every key that means something, and some that do not.
const everything = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
	<key>Label</key><string>com.example.all</string>
	<key>Program</key><string>/bin/prog</string>
	<key>ProgramArguments</key><array><string>prog</string><string>-x</string></array>
	<key>EnvironmentVariables</key><dict><key>A</key><string>b</string></dict>
	<key>WorkingDirectory</key><string>/tmp</string>
	<key>UserName</key><string>nobody</string>
	<key>Umask</key><string>022</string>
	<key>Nice</key><integer>5</integer>
	<key>StandardOutPath</key><string>/tmp/out</string>
	<key>SoftResourceLimits</key><dict><key>NumberOfFiles</key><integer>256</integer></dict>
	<key>HardResourceLimits</key><dict><key>Core</key><integer>0</integer></dict>
	<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/><key>PathState</key><dict><key>/x</key><true/></dict></dict>
	<key>ThrottleInterval</key><integer>3</integer>
	<key>StartCalendarInterval</key><dict><key>Weekday</key><integer>7</integer></dict>
	<key>MachServices</key><dict>
		<key>com.example.one</key><true/>
		<key>com.example.off</key><false/>
		<key>com.example.two</key><dict><key>ResetAtClose</key><true/><key>DrainMessagesOnCrash</key><string>All</string>
			<key>HostSpecialPort</key><integer>20</integer></dict></dict>
	<key>Sockets</key><dict><key>web</key><array><dict><key>SockServiceName</key><integer>8080</integer></dict>
		<dict><key>SockPathName</key><string>/tmp/s</string><key>SockPathMode</key><integer>384</integer></dict></array></dict>
	<key>LimitLoadToSessionType</key><string>Aqua</string>
	<key>ProcessType</key><string>Background</string>
	<key>LegacyTimers</key><true/>
	<key>Keepalive</key><true/>
</dict></plist>`

func TestParseJob(t *testing.T) {
	no := false
	want := &Job{Path: "all.plist", Label: "com.example.all", Program: "/bin/prog", Arguments: []string{"prog", "-x"},
		Environment: map[string]string{"A": "b"}, WorkingDirectory: "/tmp", UserName: "nobody", InitGroups: true, Umask: 0o22,
		Nice: 5, StandardOut: "/tmp/out", Soft: map[int]uint64{7: 256}, Hard: map[int]uint64{4: 0},
		KeepAlive:        KeepAlive{SuccessfulExit: &no, PathState: map[string]bool{"/x": true}},
		ThrottleInterval: 3 * time.Second, ExitTimeOut: 20 * time.Second,
		Calendar: []Calendar{{-1, -1, -1, 0, -1}}, ProcessType: "Background", LimitSession: []string{"Aqua"},
		Services: []Service{{Name: "com.example.one"}, {Name: "com.example.two", ResetAtClose: true, Drain: DrainAll}},
		Sockets: []Socket{{Name: "web", Type: "stream", Passive: true, Service: "8080"},
			{Name: "web", Type: "stream", Passive: true, Path: "/tmp/s", PathMode: 0o600}}}
	got, warnings, err := ParseJob("all.plist", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"all.plist: unknown key Keepalive"}, warnings); diff != "" {
		t.Error(diff)
	}
}

func TestInetdCompatibility(t *testing.T) {
	for wait, want := range map[string]Inetd{"false": InetdNoWait, "true": InetdWait} {
		j, warnings, err := ParseJob("ssh.plist", []byte(`<plist version="1.0"><dict><key>Label</key><string>ssh</string>
			<key>Program</key><string>/usr/sbin/sshd</string><key>inetdCompatibility</key><dict><key>Wait</key><`+wait+`/></dict>
			<key>Sockets</key><dict><key>Listeners</key><dict><key>SockServiceName</key><string>ssh</string></dict></dict>
			</dict></plist>`))
		if err != nil || len(warnings) > 0 || j.Wait != want {
			t.Errorf("Wait %s: %v, %v, %v", wait, j, warnings, err)
		}
	}
}

func TestParseJobErrors(t *testing.T) {
	for keys, want := range map[string]string{
		"": "j.plist: Label is missing\nProgram or ProgramArguments is needed",
		"<key>Label</key><integer>1</integer><key>Program</key><string>p</string>":           "Label: want text, not a number",
		"L<key>Nice</key><integer>50</integer>":                                              "Nice: 50 is not between -20 and 20",
		"L<key>KeepAlive</key><string>yes</string>":                                          "KeepAlive: want true, false or a dictionary, not text",
		"L<key>KeepAlive</key><dict><key>Crashed</key><array/></dict>":                       "KeepAlive.Crashed: want true or false, not an array",
		"L<key>ProgramArguments</key><array><true/></array>":                                 "ProgramArguments[0]: want text",
		"L<key>Umask</key><string>999</string>":                                              `Umask: "999" is no mode`,
		"L<key>MachServices</key><dict><key></key><true/></dict>":                            `"" cannot be a name`,
		"L<key>MachServices</key><dict><key>a</key><integer>1</integer></dict>":              "MachServices.a: want true or a dictionary",
		"L<key>Sockets</key><dict><key>a</key><dict/></dict>":                                "Sockets.a[0].SockServiceName or SockPathName is needed",
		"L<key>Sockets</key><dict><key>a:b</key><array/></dict>":                             `Sockets: "a:b" cannot be a name`,
		"L<key>Sockets</key><dict><key></key><array/></dict>":                                `Sockets: "" cannot be a name`,
		"L<key>WorkingDirectory</key><string>tmp</string>":                                   `WorkingDirectory: "tmp" is not an absolute path`,
		"L<key>inetdCompatibility</key><dict><key>Wait</key><true/></dict>":                  "inetdCompatibility wants one socket, there are 0",
		"L<key>StartCalendarInterval</key><dict><key>Hour</key><integer>24</integer></dict>": "StartCalendarInterval[0].Hour: 24 is not",
	} {
		keys = strings.Replace(keys, "L<", "<key>Label</key><string>l</string><key>Program</key><string>p</string><", 1)
		_, _, err := ParseJob("j.plist", []byte(`<plist version="1.0"><dict>`+keys+`</dict></plist>`))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", keys, err, want)
		}
	}
	for _, bad := range []string{"", "text", "<plist><array/></plist>", "<plist><dict><key>Label</key></dict></plist>"} {
		if _, _, err := ParseJob("j.plist", []byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "j.plist: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseJob(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte(`<plist><dict><key>Label</key><string>a</string></dict></plist>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		j, _, err := ParseJob("f", b)
		if (j == nil) != (err != nil) {
			t.Fatalf("%v, %v", j, err)
		}
		if err != nil {
			return
		}
		for _, c := range j.Calendar {
			c.Next(time.Unix(0, 0))
		}
		if j.Label == "" || len(j.Arguments) == 0 {
			t.Fatalf("%+v", j)
		}
	})
}
