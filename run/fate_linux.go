package run

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"portcullis.dev/trap"
)

// fate is what restrictions did to a process.
type fate struct {
	At      int64    `json:"at"` // of the last of it, in nanoseconds since 1970
	Killed  bool     `json:"killed"`
	Seen    int      `json:"seen"`              // violations
	Reports []Report `json:"reports,omitempty"` // the first of them
}

// maxFates is how many processes a kernel remembers.
const maxFates = 1024

// befalls takes down what befalls a process. Process ids are used again: who asks knows when its process started.
func (s *Session) befalls(pid int, change func(*fate)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fates[pid]
	if f == nil {
		f = &fate{}
		s.fates[pid] = f
		if s.remembered = append(s.remembered, pid); len(s.remembered) > maxFates {
			delete(s.fates, s.remembered[0])
			s.remembered = append([]int(nil), s.remembered[1:]...)
		}
	}
	f.At = time.Now().UnixNano()
	change(f)
}

// fate writes what has befallen a process.
func (s *Session) fate(pid int, w io.Writer) error {
	return json.NewEncoder(w).Encode(s.fateOf(pid))
}

func (s *Session) fateOf(pid int) fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.fates[pid]; f != nil {
		return fate{f.At, f.Killed, f.Seen, append([]Report(nil), f.Reports...)}
	}
	return fate{}
}

// since returns what befell a process that started at a time: as this kernel knows, or as that says which was joined.
func (s *Session) since(pid int, start time.Time) (f fate, err error) {
	if s.Kernel != nil {
		f = s.fateOf(pid)
	} else if f, err = askFate(s.Socket, pid); err != nil {
		return fate{}, err
	}
	if f.At < start.UnixNano() {
		return fate{}, nil
	}
	return f, nil
}

// maxFate bounds what a kernel may tell of a process, in bytes.
const maxFate = 1 << 20

func askFate(socket string, pid int) (f fate, err error) {
	file, err := ask(socket, &trap.Packet{Kind: trap.Fate, A: uint32(pid)}, 10*time.Second)
	if err != nil {
		return f, err
	}
	defer file.Close()
	if err := json.NewDecoder(io.NewSectionReader(file, 0, maxFate)).Decode(&f); err != nil {
		return f, fmt.Errorf("%s: %w", socket, err)
	}
	return f, nil
}

// absolute is a path that means the same to a process with another working folder.
func absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}
