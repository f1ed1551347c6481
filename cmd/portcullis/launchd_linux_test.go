package main

import "testing"

// TestStateDir says where a launchd keeps what is enabled and disabled.
func TestStateDir(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	for _, c := range []struct {
		xdg      string
		pid, uid int
		want     string
	}{
		{"", 7, 501, "/home/u/.local/state/portcullis/launchd"},
		{"/s", 7, 501, "/s/portcullis/launchd"},
		{"relative", 7, 501, "/home/u/.local/state/portcullis/launchd"},
		{"", 7, 0, "/var/lib/portcullis/launchd"},
		{"/s", 7, 0, "/var/lib/portcullis/launchd"}, // that of the user who became root
		{"", 1, 0, ""},
		{"/s", 1, 0, "/s/portcullis/launchd"},
		{"/s", 1, 501, "/s/portcullis/launchd"},
	} {
		t.Setenv("XDG_STATE_HOME", c.xdg)
		if got := stateDir(c.pid, c.uid); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "")
	if got := stateDir(7, 501); got != "" {
		t.Errorf("without a home: %q", got)
	}
}
