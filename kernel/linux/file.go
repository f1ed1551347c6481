//go:build linux

package linux

import (
	"errors"
	"io"
	"os"

	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// fileOperation carries out the calls on ports that stand for files and memory. Nothing is ever read from or written to
// a file here: whoever gave it may make that take for ever.
func (l *lane) fileOperation() mach.KernReturn {
	switch l.request.op {
	case trap.OpFileportMakePort:
		return l.makeFile(mach.PortTypeFileport)
	case trap.OpFileportMakeFD:
		return l.openFile(mach.PortTypeFileport)
	case trap.OpMemoryEntryMake:
		return l.makeFile(mach.PortTypeNamedEntry)
	}
	return l.openFile(mach.PortTypeNamedEntry)
}

// makeFile makes a port of the file that the thread gave.
func (l *lane) makeFile(kind mach.PortType) mach.KernReturn {
	given := l.bulk.takeIn(l.process.kernel, 0)
	if given == nil {
		return mach.KernInvalidArgument
	}
	f := given.own()
	if f == nil {
		return mach.KernResourceShortage
	}
	if kind == mach.PortTypeNamedEntry {
		if _, err := trap.EntrySize(f); err != nil {
			l.process.kernel.log.Warn("memory that cannot be shared", "pid", l.process.PID, "error", err)
			f.Close()
			return mach.KernInvalidArgument
		}
	}
	p, kr := l.process.Task.CreateFile(kind, f)
	if kr != 0 {
		f.Close()
		return kr
	}
	name, kr := l.process.Task.Space.InsertSend(p, false)
	l.result[1] = uint64(name)
	return kr
}

// openFile lets the thread take what a port stands for.
func (l *lane) openFile(kind mach.PortType) mach.KernReturn {
	p, kr := l.process.Task.Space.SendPort(mach.Name(l.request.args[0]))
	if kr != 0 {
		return kr
	}
	err := l.process.kernel.UseFile(p, kind, func(c io.Closer) error {
		f := c.(*os.File)
		own, err := trap.Duplicate(f)
		if err != nil {
			return mach.KernResourceShortage
		}
		if kind == mach.PortTypeNamedEntry {
			size, err := trap.EntrySize(own)
			if err != nil {
				own.Close()
				return mach.KernFailure
			}
			l.result[1] = uint64(size)
		}
		held := l.process.hold(own)
		if held.File == nil {
			return mach.KernResourceShortage
		}
		l.bulk.putOut(0, held)
		return nil
	})
	if err != nil && !errors.As(err, &kr) {
		kr = mach.KernFailure
	}
	return kr
}
