//go:build linux

package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	hplist "howett.net/plist"

	"portcullis.dev/launchd"
	"portcullis.dev/plist"
)

// State is a directory in which a launchd keeps what lasts longer than it does: which jobs are enabled and disabled, in
// property lists of labels and whether they are disabled. As in /var/db/com.apple.xpc.launchd of macOS, disabled.plist
// is that of the system domain and disabled.UID.plist that of a user. It implements launchd.Overrides.
type State struct {
	dir *os.File // locked as long as it is open
}

// maxOverrides is how many jobs of one owner can be enabled or disabled.
const maxOverrides = 10_000

// unfinished are the names of files that are being written.
const unfinished = ".disabled-*"

// OpenState opens a directory, which is made if it is missing. It must be the user's or root's, and one launchd has it at
// a time.
func OpenState(path string) (*State, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	st, err := dir.Stat()
	if err == nil {
		err = trusted(path, st)
	}
	if err == nil {
		if err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == syscall.EWOULDBLOCK {
			err = fmt.Errorf("%s: another launchd keeps its state there", path)
		}
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	begun, _ := fs.Glob(os.DirFS(path), unfinished) // by a launchd that was killed
	for _, name := range begun {
		os.Remove(filepath.Join(path, name))
	}
	return &State{dir}, nil
}

// Close lets another launchd have the directory.
func (s *State) Close() error { return s.dir.Close() }

func (s *State) path(o launchd.Owner) string {
	name := "disabled.plist"
	if o != launchd.SystemDomain {
		name = "disabled." + string(o) + ".plist"
	}
	return filepath.Join(s.dir.Name(), name)
}

// Read implements launchd.Overrides. A file that cannot be read gets another name, so that it is not overwritten.
func (s *State) Read(o launchd.Owner) (map[string]bool, error) {
	path := s.path(o)
	m, err := readOverrides(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	aside := path + ".damaged"
	if e := os.Rename(path, aside); e != nil {
		return nil, errors.Join(err, e)
	}
	return nil, fmt.Errorf("%w; the file is %s now", err, filepath.Base(aside))
}

func readOverrides(path string) (map[string]bool, error) {
	b, err := readTrusted(path)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := plist.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(m) > maxOverrides {
		return nil, fmt.Errorf("%s: %d labels are more than %d", path, len(m), maxOverrides)
	}
	disabled := make(map[string]bool, len(m))
	for label, v := range m {
		off, ok := v.(bool)
		if !ok {
			return nil, fmt.Errorf("%s: %q: want true or false", path, label)
		}
		disabled[label] = off
	}
	return disabled, nil
}

// Write implements launchd.Overrides. The file is there as a whole, the old one or the new one.
func (s *State) Write(o launchd.Owner, disabled map[string]bool) error {
	if len(disabled) > maxOverrides {
		return fmt.Errorf("more than %d jobs are enabled or disabled", maxOverrides)
	}
	b, err := hplist.MarshalIndent(disabled, hplist.XMLFormat, "\t")
	if err != nil {
		return err
	}
	path := s.path(o)
	if b = append(b, '\n'); len(b) > maxFile {
		return fmt.Errorf("%s would have more than %d bytes", path, maxFile)
	}
	f, err := os.CreateTemp(s.dir.Name(), unfinished) // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = s.dir.Sync()
	}
	return err
}
