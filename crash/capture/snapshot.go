// Package capture makes a crash report of a Linux process while it is still there.
//
// A [Snapshot] is what was seen of the process: who it was, its images, its threads with their backtraces. [Process]
// takes one of a live process; whoever has less, because the process is gone or closed to us, fills in what is known.
// [Snapshot.Report] makes the report of it, in Apple's form, with the functions, files and lines that symbols and debug
// information tell.
package capture

import (
	"time"

	"portcullis.dev/crash/image"
	"portcullis.dev/crash/unwind"
)

// Snapshot is what was seen of a process. Everything but the identity may be missing.
type Snapshot struct {
	Facts
	Threads  []Thread // the main thread first
	Images   *image.Process
	Problems []string // why there is less than there should be, one sentence each
}

// Facts is who a process is.
type Facts struct {
	PID, PPID int
	Name      string // as the kernel has it, 15 bytes at most
	Path      string // of the program
	Parent    string // name of the parent
	UID       int
	Arch      unwind.Arch
	Launched  time.Time
	Uptime    time.Duration // of the machine
	OS        string        // "Debian GNU/Linux 12 (bookworm)"
	Kernel    string        // "6.1.0-18-amd64"
	Hardware  string        // model of the machine
	BootID    string
}

// Thread is one thread of a process.
type Thread struct {
	TID       int
	Name      string
	Registers unwind.Registers // Arch is 0 where they are not known
	Triggered bool             // the thread at fault
	Frames    []unwind.Frame
	End       error // why the backtrace ends there; unwind.ErrEnd where it is whole; nil where there are no registers
}

// Options says what the caller knows, and how far to go.
type Options struct {
	// Registers are those of threads that the caller knows, by thread id: from a signal's context, or from a trap. They
	// are taken before those that ptrace gives.
	Registers map[int]unwind.Registers
	Triggered int // id of the thread at fault; 0: none

	// Memory is asked for what neither process_vm_readv nor /proc/PID/mem gives. Addresses are offsets. May be nil.
	Memory Memory
	// Maps is the text of /proc/PID/maps, where the caller has it and we may not read it. May be nil.
	Maps []byte

	Stop    StopMode
	Timeout time.Duration // of the whole; 0: 5 seconds
}

// Memory reads the memory of a process; offsets are addresses.
type Memory interface {
	ReadAt(p []byte, addr int64) (int, error)
}

// StopMode says whether threads are stopped, with ptrace, to learn their registers.
type StopMode uint8

const (
	StopThreads StopMode = iota // where that is allowed
	LeaveThreads
)

const defaultTimeout = 5 * time.Second

func (s *Snapshot) problem(text string) {
	const maxProblems = 100
	if len(s.Problems) < maxProblems {
		s.Problems = append(s.Problems, text)
	}
}

// Close releases the files of the images. A report can be made afterwards, without what was not read yet.
func (s *Snapshot) Close() {
	if s.Images != nil {
		s.Images.Close()
	}
}
