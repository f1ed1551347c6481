package entitlement

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"portcullis.dev/entitlement/elfnote"
)

// Sign puts entitlements, a property list, into a Linux program, in place of those that it has. The program is replaced
// as a whole: whoever runs it meanwhile keeps the old one, and where writing fails nothing has changed. It follows
// symbolic links.
func Sign(program string, claims []byte) (err error) {
	if _, err := ParsePlist(claims); err != nil {
		return err
	}
	plain := func(err error) error { // without the name, which the message has in front
		var e *fs.PathError
		if errors.As(err, &e) {
			err = e.Err
		}
		return fmt.Errorf("%s: %w", program, err)
	}
	path, err := filepath.EvalSymlinks(program)
	if err != nil {
		return plain(err)
	}
	in, err := os.Open(path)
	if err != nil {
		return plain(err)
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", program)
	}
	out, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*.tmp")
	if err != nil {
		return plain(err)
	}
	defer func() {
		if rm := os.Remove(out.Name()); rm != nil && !errors.Is(rm, fs.ErrNotExist) && err == nil {
			err = rm
		}
	}()
	w := bufio.NewWriterSize(out, 1<<20)
	if err = elfnote.Write(w, in, st.Size(), claims); err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = keepMode(out, st)
	}
	if closing := out.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return nil
}

// keepMode gives a file the owner and the permissions of the one it replaces. Another user's file becomes ours, and then
// loses the bits that would run it as that user.
func keepMode(f *os.File, st fs.FileInfo) error {
	mode := st.Mode()
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && (int(sys.Uid) != os.Geteuid() || int(sys.Gid) != os.Getegid()) {
		if f.Chown(int(sys.Uid), int(sys.Gid)) != nil {
			mode &^= fs.ModeSetuid | fs.ModeSetgid
		}
	}
	return f.Chmod(mode)
}
