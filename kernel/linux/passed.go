//go:build linux

package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// passed is an open file on its way from or to a process, which it is counted against until it is closed.
type passed struct {
	*os.File // nil: there were too many
	of       *Process
	landing  *landing // that the file is; nil if it is another, or was taken
}

// taken says that the process has got the file, and returns the number that it may return it with, 0 if it need not.
func (f *passed) taken() (number uint32) {
	if l := f.landing; l != nil {
		f.landing = nil
		return l.number
	}
	return 0
}

// openFiles returns how many files the kernel's own process may have open.
func openFiles() int64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return int64(min(l.Cur, 1<<16))
}

// fileShare is which part of the files that the kernel keeps for memory may be one process's: a fourth, but enough for the
// largest message.
func (k *Kernel) fileShare() int64 { return max(k.fileMost/4, 64) }

// hold counts a file against the process. A file that a process gives beyond what it may have is closed.
func (p *Process) hold(f *os.File) *passed {
	all, own := p.kernel.files.Add(1), p.files.Add(1)
	if all > p.kernel.fileMost || own > p.kernel.fileShare() {
		p.kernel.files.Add(-1)
		p.files.Add(-1)
		f.Close()
		p.kernel.log.Warn("a process has the kernel keep too many files", "pid", p.PID, "program", p.Path, "files", own-1)
		return &passed{of: p}
	}
	return &passed{File: f, of: p}
}

// many says that so many files are open that memory is copied rather than kept in one more.
func (f *passed) many() bool {
	k := f.of.kernel
	return f.of.files.Load() > k.fileShare()/2 || k.files.Load() > k.fileMost/2
}

// own takes the file away from the count.
func (f *passed) own() *os.File {
	file := f.File
	if f.landing != nil {
		f.of.landings.back(f.taken(), false)
	}
	if file != nil {
		f.File = nil
		f.of.files.Add(-1)
		f.of.kernel.files.Add(-1)
	}
	return file
}

// Close closes the file.
func (f *passed) Close() {
	if file := f.own(); file != nil {
		file.Close()
	}
}
