package crash

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	maxSame     = 1000 // reports of one program in one second
	maxFileName = 100  // bytes of the program's name in the file's
)

// Save writes a report into a folder, as PROGRAM-YYYY-MM-DD-HHMMSS.ips, and returns the path. A file that exists is
// never replaced: the next one is called PROGRAM-YYYY-MM-DD-HHMMSS-1.ips. The file appears as a whole, and only its
// owner may read it.
func Save(dir string, r *IPS, at time.Time) (path string, err error) {
	program := r.Header.AppName
	if program == "" {
		program = r.Body.ProcName
	}
	stem := fileName(program) + at.Format("-2006-01-02-150405")
	tmp, err := os.CreateTemp(dir, "."+stem+"-*.tmp") // 0600
	if err != nil {
		return "", fmt.Errorf("write crash report: %w", err)
	}
	defer func() {
		if rm := os.Remove(tmp.Name()); rm != nil && !errors.Is(rm, fs.ErrNotExist) && err == nil {
			err = fmt.Errorf("write crash report: %w", rm)
		}
	}()
	w := bufio.NewWriter(tmp)
	_, err = r.WriteTo(w)
	if err == nil {
		err = w.Flush()
	}
	if closing := tmp.Close(); err == nil {
		err = closing
	}
	for n := 0; err == nil; n++ {
		name := stem
		if n > 0 {
			name = fmt.Sprintf("%s-%d", stem, n)
		}
		path = filepath.Join(dir, name+".ips")
		if err = publish(tmp.Name(), path); err == nil {
			return path, nil
		}
		if errors.Is(err, fs.ErrExist) && n < maxSame {
			err = nil
		}
	}
	return "", fmt.Errorf("write crash report: %w", err)
}

// publish gives a file its name, which must be free.
func publish(tmp, path string) error {
	err := os.Link(tmp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// File systems without hard links: take the name, then put the file there.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// fileName makes a part of a file's name of what a process calls itself.
func fileName(program string) string {
	s := strings.Map(func(c rune) rune {
		if c == '/' || c == '\\' || c < ' ' || c == 0x7f {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(program, "_"))
	if s = strings.TrimLeft(s, ".-"); s == "" {
		return "process"
	}
	for len(s) > maxFileName {
		s = s[:len(s)-1]
	}
	return strings.ToValidUTF8(s, "")
}
