//go:build linux

package linux

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

var _ server.AddressSpace = (*Process)(nil)

const pageSize = 4096

// maxCopy bounds what one call reads or writes of a task's memory.
const maxCopy = 256 << 20

// doer is a thread that does for the kernel what only a process itself can do to its memory: the one whose call is being
// served, or one that was stopped for it. Bytes go in and come out by data.
type doer func(what trap.Upcall, args [4]uint64, data []byte) (uint64, error)

// do finds a doer, lets it work, and lets it go.
func (p *Process) do(by *ipc.Thread, work func(doer) error) mach.KernReturn {
	defer p.kernel.asleep()()
	if l := laneOf(by); l != nil && l.process == p {
		return vmError(work(l.upcall))
	}
	for _, tid := range p.tids() {
		s := p.standing(tid)
		if s == nil {
			var err error
			if s, err = p.StopThread(tid); err != nil {
				continue
			}
		}
		defer s.Resume()
		return vmError(work(s.Do))
	}
	return mach.KernFailure
}

// upcallTime is how long a thread may take for an upcall.
const upcallTime = 5 * time.Second

// upcall lets the thread do something to its own memory in the middle of its call. It implements doer.
func (l *lane) upcall(what trap.Upcall, args [4]uint64, data []byte) (uint64, error) {
	c := l.c
	l.bring()
	copy(c.Result[1:], args[:])
	c.OutSize = 0
	if what == trap.UpcallWrite {
		c.OutSize = uint32(copy(l.mem.Out(), data))
	}
	c.Upcall = what
	l.answer(trap.AnswerUpcall)
	if !l.posted(upcallTime) {
		return 0, unix.ESRCH
	}
	l.seen = atomic.LoadUint32(&c.Posted)
	if c.Op != trap.OpUpcallDone {
		l.process.misbehaves("it does not do what the kernel asks")
		return 0, unix.ESRCH
	}
	if e := unix.Errno(c.Args[0]); e != 0 {
		return 0, e
	}
	if what == trap.UpcallRead {
		if n := c.InSize; n != uint32(len(data)) || n > trap.InSize {
			return 0, unix.EFAULT
		}
		copy(data, l.mem.In())
	}
	return c.Args[1], nil
}

// vmError says what Linux's error is to Mach.
func vmError(err error) mach.KernReturn {
	var kr mach.KernReturn
	switch {
	case err == nil:
		return 0
	case errors.As(err, &kr):
		return kr
	case errors.Is(err, unix.EFAULT):
		return mach.KernInvalidAddress
	case errors.Is(err, unix.ENOMEM):
		return mach.KernNoSpace
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return mach.KernProtectionFailure
	case errors.Is(err, unix.EINVAL):
		return mach.KernInvalidArgument
	case errors.Is(err, unix.ENOSYS):
		return mach.KernNotSupported
	}
	return mach.KernFailure
}

// pages widens a stretch of memory to whole pages; false if it passes the end of memory.
func pages(addr, size uint64) (from, length uint64, ok bool) {
	end := addr + size
	from = addr &^ (pageSize - 1)
	end = (end + pageSize - 1) &^ (pageSize - 1)
	return from, end - from, addr+size >= addr && end >= from
}

// Allocate implements [server.AddressSpace].
func (p *Process) Allocate(by *ipc.Thread, addr, size, mask uint64, f server.VMFlags) (uint64, mach.KernReturn) {
	from, length, ok := pages(addr, size)
	if !ok {
		return 0, mach.KernInvalidArgument
	}
	var at uint64
	kr := p.do(by, func(do doer) (err error) {
		const all = unix.PROT_READ | unix.PROT_WRITE
		if f&server.VMAnywhere == 0 {
			if f&server.VMOverwrite == 0 {
				if r, kr := p.Region(nil, from); kr == 0 && r.Address < from+length {
					return mach.KernNoSpace
				}
			}
			at, err = do(trap.UpcallMap, [4]uint64{length, from, all}, nil)
			return err
		}
		// An address without the bits of mask is somewhere in a stretch that is larger by them.
		at, err = do(trap.UpcallMap, [4]uint64{length + mask&^(pageSize-1), 0, all}, nil)
		if err != nil || mask < pageSize {
			return err
		}
		aligned := (at + mask) &^ mask
		if before := aligned - at; before > 0 {
			if _, err = do(trap.UpcallUnmap, [4]uint64{at, before}, nil); err != nil {
				return err
			}
		}
		if after := at + mask&^(pageSize-1) - aligned; after > 0 {
			_, err = do(trap.UpcallUnmap, [4]uint64{aligned + length, after}, nil)
		}
		at = aligned
		return err
	})
	return at, kr
}

// Deallocate implements [server.AddressSpace].
func (p *Process) Deallocate(by *ipc.Thread, addr, size uint64) mach.KernReturn {
	from, length, ok := pages(addr, size)
	if !ok {
		return mach.KernInvalidArgument
	}
	if length == 0 {
		return 0
	}
	return p.do(by, func(do doer) error {
		_, err := do(trap.UpcallUnmap, [4]uint64{from, length}, nil)
		return err
	})
}

// Protect implements [server.AddressSpace]. Linux has no maximum that would be kept: what may be allowed at most bounds what
// is allowed now.
func (p *Process) Protect(by *ipc.Thread, addr, size uint64, prot server.Protection,
	what server.ProtectWhat) mach.KernReturn {
	from, length, ok := pages(addr, size)
	if !ok {
		return mach.KernInvalidArgument
	}
	if length == 0 {
		return 0
	}
	if what == server.ProtectMaximum {
		r, kr := p.Region(by, addr)
		if kr != 0 {
			return kr
		}
		prot &= r.Current
	}
	return p.do(by, func(do doer) error {
		_, err := do(trap.UpcallProtect, [4]uint64{from, length, uint64(prot & server.ProtAll)}, nil)
		if errors.Is(err, unix.ENOMEM) {
			err = mach.KernInvalidAddress // a hole
		}
		return err
	})
}

// Inherit implements [server.AddressSpace]. Children of Linux processes get copies, and nothing else can be had.
func (p *Process) Inherit(_ *ipc.Thread, _, _ uint64, how uint32) mach.KernReturn {
	if how == 1 {
		return 0
	}
	return mach.KernNotSupported
}

// Read implements [server.AddressSpace].
func (p *Process) Read(by *ipc.Thread, addr, size uint64) ([]byte, mach.KernReturn) {
	if size > maxCopy {
		return nil, mach.KernResourceShortage
	}
	b := make([]byte, size)
	_, err := readMemory(p.PID, b, addr)
	if err == nil || errors.Is(err, unix.EFAULT) {
		return b, vmError(err)
	}
	kr := p.do(by, func(do doer) error {
		for n := 0; n < len(b); n += trap.CommandData {
			part := b[n:min(len(b), n+trap.CommandData)]
			if _, err := do(trap.UpcallRead, [4]uint64{addr + uint64(n), uint64(len(part))}, part); err != nil {
				return err
			}
		}
		return nil
	})
	return b, kr
}

// Write implements [server.AddressSpace].
func (p *Process) Write(by *ipc.Thread, addr uint64, b []byte) mach.KernReturn {
	err := writeMemory(p.PID, b, addr)
	if err == nil || errors.Is(err, unix.EFAULT) {
		return vmError(err)
	}
	return p.do(by, func(do doer) error {
		for n := 0; n < len(b); n += trap.CommandData {
			part := b[n:min(len(b), n+trap.CommandData)]
			if _, err := do(trap.UpcallWrite, [4]uint64{addr + uint64(n), uint64(len(part))}, part); err != nil {
				return err
			}
		}
		return nil
	})
}

// Remap implements [server.AddressSpace] for copies. Memory that is there cannot be shared with another process of
// Linux's afterwards.
func (p *Process) Remap(by *ipc.Thread, addr, size, mask uint64, f server.VMFlags, from server.AddressSpace,
	source uint64, how server.RemapHow) (uint64, server.Protection, server.Protection, mach.KernReturn) {
	if how != server.RemapCopied {
		return 0, 0, 0, mach.KernNotSupported
	}
	r, kr := from.Region(by, source)
	if kr != 0 || r.Address > source {
		return 0, 0, 0, mach.KernInvalidAddress
	}
	b, kr := from.Read(by, source, size)
	if kr != 0 {
		return 0, 0, 0, kr
	}
	at, kr := p.Allocate(by, addr, size, mask, f)
	if kr != 0 {
		return 0, 0, 0, kr
	}
	if kr = p.Write(by, at, b); kr == 0 && r.Current != server.ProtRead|server.ProtWrite {
		kr = p.Protect(by, at, size, r.Current, server.ProtectCurrent)
	}
	if kr != 0 {
		p.Deallocate(by, at, size)
		return 0, 0, 0, kr
	}
	return at, r.Current, server.ProtAll, 0
}

// Region implements [server.AddressSpace].
func (p *Process) Region(_ *ipc.Thread, addr uint64) (server.Region, mach.KernReturn) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", p.PID))
	if err != nil {
		return server.Region{}, mach.KernInvalidArgument
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var from, to, offset uint64
		var mode string
		if n, _ := fmt.Sscanf(s.Text(), "%x-%x %s %x", &from, &to, &mode, &offset); n != 4 || len(mode) < 4 || to <= addr {
			continue
		}
		r := server.Region{Address: from, Size: to - from, Max: server.ProtAll, Inheritance: 1, Offset: offset,
			Shared: mode[3] == 's', File: strings.Contains(s.Text(), " /")}
		for i, bit := range []server.Protection{server.ProtRead, server.ProtWrite, server.ProtExecute} {
			if mode[i] != '-' {
				r.Current |= bit
			}
		}
		return r, 0
	}
	return server.Region{}, mach.KernInvalidAddress
}

// Sync implements [server.AddressSpace]. Linux keeps files and what is mapped of them the same.
func (p *Process) Sync(by *ipc.Thread, addr, _ uint64, _ uint32) mach.KernReturn {
	if r, kr := p.Region(by, addr); kr != 0 || r.Address > addr {
		return mach.KernInvalidAddress
	}
	return 0
}

// writeMemory is process_vm_writev.
func writeMemory(pid int, b []byte, addr uint64) error {
	if len(b) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &b[0]}}
	local[0].SetLen(len(b))
	n, err := unix.ProcessVMWritev(pid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}, 0)
	if err == nil && n < len(b) {
		err = unix.EFAULT
	}
	return err
}
