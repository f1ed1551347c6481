//go:build linux

package daemon

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portcullis.dev/launchd"
)

func openState(t *testing.T, dir string) *State {
	t.Helper()
	s, err := OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestState keeps overrides in files as macOS has them, for one launchd at a time.
func TestState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openState(t, dir)
	want := map[launchd.Owner]map[string]bool{launchd.SystemDomain: {"com.example.<&>": true, "b": false}, "501": {"c": true}}
	for o, m := range want {
		if got, err := s.Read(o); got != nil || err != nil {
			t.Errorf("before: %v, %v", got, err)
		}
		if err := s.Write(o, map[string]bool{"old": true}); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(o, m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenState(dir); err == nil || !strings.Contains(err.Error(), "another launchd keeps its state there") {
		t.Errorf("a second launchd: %v", err)
	}
	s.Close()
	if err := os.WriteFile(dir+"/.disabled-1", []byte("<plist"), 0o600); err != nil { // as a launchd leaves it that is killed
		t.Fatal(err)
	}
	s = openState(t, dir)
	for o, m := range want {
		if got, err := s.Read(o); err != nil || !maps.Equal(got, m) {
			t.Errorf("%s: %v, %v", o, got, err)
		}
	}
	b, err := os.ReadFile(dir + "/disabled.501.plist")
	if !strings.Contains(string(b), "<key>c</key>\n\t\t<true/>") || err != nil {
		t.Errorf("%s%v", b, err)
	}
	list, _ := os.ReadDir(dir)
	if len(list) != 2 {
		t.Errorf("there are %v", list)
	}
}

// TestDamagedState: what cannot be read, or not be trusted, is told of with its cause and kept aside.
func TestDamagedState(t *testing.T) {
	many := &strings.Builder{}
	for i := range maxOverrides + 1 {
		fmt.Fprintf(many, "<key>%d</key><true/>", i)
	}
	dictionary := func(s string) string { return `<plist version="1.0"><dict>` + s + `</dict></plist>` }
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"cut off":        {`<plist version="1.0"><dict><key>a</key><tr`, 0o600, "property list"},
		"empty":          {"", 0o600, "property list"},
		"no dictionary":  {`<plist version="1.0"><array/></plist>`, 0o600, "property list"},
		"number":         {dictionary("<key>a</key><integer>1</integer>"), 0o600, `"a": want true or false`},
		"too many":       {dictionary(many.String()), 0o600, "more than 10000"},
		"too large":      {dictionary(strings.Repeat(" ", maxFile)), 0o600, "not a file of at most"},
		"others' to set": {dictionary(""), 0o666, "others may write"},
	} {
		t.Run(name, func(t *testing.T) {
			s := openState(t, t.TempDir())
			path := s.path(launchd.SystemDomain)
			if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			os.Chmod(path, c.mode)
			_, err := s.Read(launchd.SystemDomain)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if b, err := os.ReadFile(path + ".damaged"); string(b) != c.text {
				t.Errorf("kept aside: %d bytes, %v", len(b), err)
			}
			if err := s.Write(launchd.SystemDomain, map[string]bool{"a": true}); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("FIFO", func(t *testing.T) {
		s := openState(t, t.TempDir())
		if err := syscall.Mkfifo(s.path("1"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read("1"); err == nil {
			t.Error("it was read")
		}
	})
}

// TestStateLimits: nothing is written that could not be read.
func TestStateLimits(t *testing.T) {
	s := openState(t, t.TempDir())
	m := make(map[string]bool)
	for i := range maxOverrides {
		m[fmt.Sprint(i)] = true
	}
	if err := s.Write("1", m); err != nil {
		t.Error(err)
	}
	if got, err := s.Read("1"); len(got) != maxOverrides || err != nil {
		t.Errorf("%d, %v", len(got), err)
	}
	m["more"] = true
	if err := s.Write("1", m); err == nil {
		t.Error("too many")
	}
	clear(m)
	for i := range maxOverrides {
		m[fmt.Sprintf("%0200d", i)] = true
	}
	if err := s.Write("1", m); err == nil {
		t.Error("too large")
	}
	open := t.TempDir()
	os.Chmod(open, 0o777)
	if _, err := OpenState(open); err == nil || !strings.Contains(err.Error(), "others may write") {
		t.Errorf("everybody's directory: %v", err)
	}
}
