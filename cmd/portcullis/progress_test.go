package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	p := startProgress(&out, func() time.Time { return clock }, func() int { return 40 })
	p.File("first")
	p.Add(1, 10)
	if out.Len() > 0 {
		t.Errorf("a short command draws %q", &out)
	}
	clock = clock.Add(time.Second)
	p.File("MyApp.app/Contents/Frameworks/\x1b[31mFoo.framework/Foo")
	if got, want := out.String(), "\r\x1b[K1 files, 10 bytes  "; !strings.HasPrefix(got, want) {
		t.Errorf("line is %q, want it to begin with %q", got, want)
	}
	line := strings.TrimPrefix(out.String(), "\r\x1b[K")
	if len([]rune(line)) > 39 || !strings.HasSuffix(line, "framework/Foo") || strings.Contains(line, "\x1b") {
		t.Errorf("line is %q: want at most 39 columns and the end of the path", line)
	}
	drawn := out.Len()
	p.Add(12345, 5_000_000)
	if out.Len() != drawn {
		t.Error("drawn again within the interval")
	}
	clock = clock.Add(time.Second)
	p.Add(0, 0)
	if !strings.Contains(out.String(), "12,346 files, 5.0 MB") {
		t.Errorf("output is %q", &out)
	}
	p.Done()
	if !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Error("the line is not erased")
	}
	drawn = out.Len()
	clock = clock.Add(time.Second)
	p.File("late")
	p.Done()
	if out.Len() != drawn {
		t.Error("drawn after the end")
	}
}

// A progress line that shows nothing can be used like any other.
func TestProgressNil(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	if p != nil {
		t.Fatal("a buffer is taken for a terminal")
	}
	p.File("x")
	p.Add(1, 1)
	p.Done()
}

func TestKeepEnd(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"short", 10, "short"},
		{"a/long/path", 6, "…/path"},
		{"a/long/path", 1, ""},
		{"漢字漢字", 5, "…漢字"},
		{"", 5, ""},
	} {
		if got := keepEnd(c.text, c.columns); got != c.want {
			t.Errorf("keepEnd(%q, %d) = %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -100: "-100", -1000: "-1,000",
	} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %q, want %q", n, got, want)
		}
	}
}
