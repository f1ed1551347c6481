package container

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// root reads the argument of Walk. A symbolic link given by name is followed.
func (w *walker) root(path string) error {
	p := place{path: path}
	info, err := os.Stat(path)
	if err != nil {
		return w.fail(p, 0, err)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		if w.roots, err = filepath.EvalSymlinks(path); err == nil {
			w.roots, err = filepath.Abs(w.roots)
		}
		if err != nil {
			return w.fail(p, 0, err)
		}
		return w.folder(path, info)
	case mode.IsRegular():
		return w.file(path, info)
	default:
		w.stats.Special++
		return w.failf(p, 0, "%s: not a file", describe(mode))
	}
}

func describe(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "an irregular file"
}

// folder reads what is in a folder, sorted by name.
func (w *walker) folder(path string, info fs.FileInfo) error {
	if w.opts.Links == FollowLinks {
		if id, _, ok := idOf(info, ""); ok {
			if w.seen[id] {
				return nil
			}
			w.seen[id] = true
		}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		if err := w.fail(place{path: path}, 0, err); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.entry(filepath.Join(path, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(path string, e fs.DirEntry) error {
	if e.Type()&fs.ModeSymlink != 0 {
		return w.link(path)
	}
	if e.Type() != 0 && !e.IsDir() {
		w.stats.Special++
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return w.fail(place{path: path}, 0, err)
	}
	switch {
	case info.IsDir():
		return w.folder(path, info)
	case info.Mode().IsRegular():
		return w.file(path, info)
	}
	w.stats.Special++
	return nil
}

// link reads what a symbolic link in a folder names, if links are followed and it is outside the folder being walked.
func (w *walker) link(path string) error {
	w.stats.Links++
	if w.opts.Links != FollowLinks {
		return nil
	}
	p := place{path: path}
	target, err := filepath.EvalSymlinks(path)
	if err == nil {
		target, err = filepath.Abs(target)
	}
	if err != nil {
		return w.fail(p, 0, err)
	}
	if rel, err := filepath.Rel(w.roots, target); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return nil // met under its own name
	}
	info, err := os.Stat(target)
	switch {
	case err != nil:
		return w.fail(p, 0, err)
	case info.IsDir():
		return w.folder(path, info)
	case info.Mode().IsRegular():
		return w.file(path, info)
	}
	w.stats.Special++
	return nil
}

// file reads a file on disk, unless it has been read under another name for the same bundle.
func (w *walker) file(path string, info fs.FileInfo) error {
	bundle := ""
	if b, ok := ProgramOf(filepath.ToSlash(path)); ok {
		bundle = b.Path
	}
	if id, links, ok := idOf(info, bundle); ok && (links > 1 || w.opts.Links == FollowLinks) {
		if w.seen[id] {
			w.stats.Links++
			return nil
		}
		w.seen[id] = true
	}
	p := place{path: path}
	c, err := w.open(p)
	if err != nil {
		return w.fail(p, 0, err)
	}
	defer func() {
		if c.release != nil {
			c.release()
		}
	}()
	return w.offer(p, c)
}

// open gives the content of a file on disk: the whole, mapped, when it is an archive or wanted, and otherwise the head.
func (w *walker) open(p place) (*content, error) {
	f, err := os.OpenFile(p.path, openFlags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a file", describe(info.Mode()))
	}
	size := info.Size()
	if size != int64(int(size)) {
		return nil, fmt.Errorf("%d bytes are too many for this machine", size)
	}
	head := make([]byte, min(size, HeadSize))
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, err
	}
	var tail []byte
	if size >= 1<<20 { // smaller disk images are not worth a second read of every file
		tail = make([]byte, tailSize)
		if _, err := f.ReadAt(tail, size-tailSize); err != nil {
			return nil, err
		}
	}
	c := &content{head: head, tail: tail, size: size}
	format := sniff(p.path, head, tail)
	if format.kind == kindPlain && format.refusal == "" {
		c.verdict = w.ask(p, head)
	}
	if format.refusal != "" || c.verdict == unwanted {
		return c, nil
	}
	c.data, c.release, err = mapFile(f, size)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ask asks Options.Want.
func (w *walker) ask(p place, head []byte) verdict {
	if w.opts.Want == nil || w.opts.Want(p.name(), head) {
		return wanted
	}
	return unwanted
}
