package unwind

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"portcullis.dev/internal/pclntab"
)

// Code is what is known about the code at an address.
type Code struct {
	Bias  uint64         // run-time addresses are those of the file plus this
	Table *Table         // call frame information; nil where there is none
	Go    *pclntab.Table // of a Go program; nil elsewhere
}

// Find returns the code at a run-time address, nil where no executable code lies there.
type Find func(pc uint64) *Code

// Method is how the caller of a frame was found.
type Method string

const (
	MethodNone    Method = ""              // the backtrace ends here
	MethodCFI     Method = "cfi"           // call frame information
	MethodGo      Method = "go"            // Go's function table
	MethodPointer Method = "frame pointer" // the chain of frame pointers
	MethodSignal  Method = "signal"        // registers that the kernel saved
	MethodCall    Method = "call"          // the return address of a call that went nowhere
)

// Frame is one frame of a backtrace, the innermost first.
type Frame struct {
	PC        uint64
	Registers Registers // as far as they are known
	Returned  bool      // PC is a return address, so that the call lies before it
	Signal    bool      // the trampoline between a signal handler and what it interrupted
	Method    Method    // how its caller was found
}

// Lookup returns the address to look the frame's function and line up with: inside the call.
func (f *Frame) Lookup() uint64 {
	if f.Returned && f.PC > 0 {
		return f.PC - 1
	}
	return f.PC
}

// MaxFrames bounds a backtrace. Apple's reporter stops at the same number.
const MaxFrames = 512

// ErrEnd is the end of a backtrace at the thread's first function.
var ErrEnd = errors.New("the first function of the thread")

// ErrDeep is the end of a backtrace of more than [MaxFrames] frames.
var ErrDeep = fmt.Errorf("more than %d frames", MaxFrames)

// Walk returns the backtrace of a thread and why it ended: [ErrEnd], [ErrDeep], or what could not be read or makes no
// sense. There is at least the frame of the registers. The memory may be nil.
func Walk(regs Registers, mem io.ReaderAt, find Find) ([]Frame, error) {
	w := walker{mem: mem, find: find}
	f := Frame{PC: regs.PC(), Registers: regs}
	var frames []Frame
	for {
		if len(frames) == MaxFrames {
			return frames, ErrDeep
		}
		caller, err := w.step(&f)
		frames = append(frames, f)
		if err != nil {
			return frames, err
		}
		f = caller
	}
}

type walker struct {
	mem  io.ReaderAt
	find Find
}

// step returns the caller of a frame.
func (w *walker) step(f *Frame) (Frame, error) {
	regs := &f.Registers
	if regs.Arch != AMD64 && regs.Arch != ARM64 {
		return Frame{}, fmt.Errorf("%s is not supported", regs.Arch)
	}
	if w.trampoline(f.PC, regs.Arch) {
		f.Signal = true
		return w.signal(f)
	}
	code := w.find(f.Lookup())
	if code == nil {
		if f.Returned {
			return Frame{}, fmt.Errorf("no code at %#x", f.PC)
		}
		return w.call(f)
	}
	pc := f.Lookup() - code.Bias
	if code.Go != nil {
		if name, _, ok := code.Go.Name(pc); ok {
			return w.goFrame(f, code.Go, name, pc)
		}
	}
	if code.Table != nil {
		if d, ok := code.Table.find(pc); ok {
			next, err := w.cfi(f, &d, pc)
			if refused := (*refusal)(nil); err == nil || errors.Is(err, ErrEnd) || errors.Is(err, errMemory) ||
				errors.As(err, &refused) {
				return next, err
			}
			// Call frame information that cannot be read does not say that there is no frame pointer.
		}
	}
	return w.pointer(f)
}

// refusal says why what was found cannot be a caller.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// accept makes a frame of the caller's registers, where they can be those of a caller.
func (w *walker) accept(f *Frame, next Registers, returned bool, m Method) (Frame, error) {
	pc := next.PC()
	if pc == 0 {
		return Frame{}, ErrEnd
	}
	sp, before := next.StackPointer(), f.Registers.StackPointer()
	if returned && sp <= before && !(sp == before && pc != f.PC && !f.Returned) {
		return Frame{}, &refusal{fmt.Sprintf("the caller's frame at %#x does not lie above the frame at %#x", sp, before)}
	}
	c := Frame{PC: pc, Registers: next, Returned: returned}
	if w.find(c.Lookup()) == nil && !w.trampoline(pc, next.Arch) {
		return Frame{}, &refusal{fmt.Sprintf("no code at the return address %#x", pc)}
	}
	f.Method = m
	return c, nil
}

// cfi applies call frame information.
func (w *walker) cfi(f *Frame, d *fde, pc uint64) (Frame, error) {
	row, err := d.row(pc)
	if err != nil {
		return Frame{}, err
	}
	old := &f.Registers
	l := old.Arch.layout()
	var cfa uint64
	if row.cfaReg >= 0 {
		base, ok := old.Get(row.cfaReg)
		if !ok {
			return Frame{}, errCFI
		}
		cfa = base + uint64(row.cfaOff)
	} else if cfa, err = evaluate(row.cfaExpr, old, w.mem); err != nil {
		return Frame{}, err
	}
	next := *old
	next.Set(l.sp, cfa)
	for reg := range registers {
		r := &row.rules[reg]
		var v uint64
		switch r.kind {
		case ruleUnset, ruleSame:
			continue
		case ruleUndefined:
			next.forget(reg)
			continue
		case ruleOffset:
			v, err = readWord(w.mem, cfa+uint64(r.n))
		case ruleValOffset:
			v = cfa + uint64(r.n)
		case ruleRegister:
			var ok bool
			if v, ok = old.Get(int(min(uint64(r.n), registers))); !ok {
				next.forget(reg)
				continue
			}
		case ruleExpr, ruleValExpr:
			if v, err = evaluate(r.expr, old, w.mem, cfa); err == nil && r.kind == ruleExpr {
				v, err = readWord(w.mem, v)
			}
		}
		if err != nil {
			return Frame{}, err
		}
		next.Set(reg, v)
	}
	ra := int(min(d.ra, registers))
	if ra >= registers {
		return Frame{}, errCFI
	}
	if row.rules[ra].kind == ruleUndefined {
		return Frame{}, ErrEnd
	}
	v, ok := next.Get(ra)
	if !ok || ra == l.pc && row.rules[ra].kind == ruleUnset {
		return Frame{}, errCFI
	}
	next.Set(l.pc, plain(old.Arch, v))
	if d.signal {
		f.Signal = true
	}
	return w.accept(f, next, !d.signal, MethodCFI)
}

// plain removes the signature from a return address of arm64. User addresses have 48 bits there unless a program asks
// for more.
func plain(a Arch, v uint64) uint64 {
	if a == ARM64 {
		return v & (1<<48 - 1)
	}
	return v
}

// pointer follows the frame pointer.
func (w *walker) pointer(f *Frame) (Frame, error) {
	old := &f.Registers
	l := old.Arch.layout()
	fp, ok := old.Get(l.fp)
	if !ok || fp == 0 {
		return Frame{}, ErrEnd
	}
	if fp&7 != 0 || fp < old.StackPointer() {
		return Frame{}, fmt.Errorf("the frame pointer %#x points to no frame", fp)
	}
	next := *old
	up, err := readWord(w.mem, fp)
	if err != nil {
		return Frame{}, err
	}
	ra, err := readWord(w.mem, fp+8)
	if err != nil {
		return Frame{}, err
	}
	next.Set(l.fp, up)
	next.Set(l.sp, fp+16)
	next.Set(l.pc, plain(old.Arch, ra))
	if old.Arch == ARM64 {
		next.forget(X30)
	}
	return w.accept(f, next, true, MethodPointer)
}

// switches are functions of Go's runtime that change to another stack, so that the sizes of their frames lead nowhere.
// The frame pointer leads back to the stack they came from, past their caller.
var switches = []string{"runtime.systemstack", "runtime.asmcgocall", "runtime.cgocallback", "runtime.morestack",
	"runtime.mcall", "runtime.callCgoMmap", "runtime.vgetrandom", "runtime.nanotime1", "runtime.walltime"}

// goFrame applies the function table of Go.
func (w *walker) goFrame(f *Frame, t *pclntab.Table, name string, pc uint64) (Frame, error) {
	size, top, ok := t.Frame(pc)
	if top || name == "runtime.goexit" {
		return Frame{}, ErrEnd
	}
	for _, s := range switches {
		if name == s || strings.TrimSuffix(name, ".abi0") == s {
			return w.other(f)
		}
	}
	if !ok {
		return w.pointer(f)
	}
	old := &f.Registers
	l := old.Arch.layout()
	sp := old.StackPointer()
	next := *old
	var ra uint64
	var err error
	switch {
	case old.Arch == AMD64:
		cfa := sp + uint64(size) + 8
		ra, err = readWord(w.mem, cfa-8)
		next.Set(l.sp, cfa)
		if size >= 8 && err == nil {
			var fp uint64
			fp, err = readWord(w.mem, cfa-16)
			next.Set(l.fp, fp)
		}
	case size == 0:
		if f.Returned {
			return Frame{}, errors.New("a frame without a return address")
		}
		ra, _ = old.Get(X30)
	default:
		ra, err = readWord(w.mem, sp)
		next.Set(l.sp, sp+uint64(size))
		if err == nil {
			var fp uint64
			fp, err = readWord(w.mem, sp-8)
			next.Set(l.fp, fp)
		}
	}
	if err != nil {
		return Frame{}, err
	}
	next.Set(l.pc, plain(old.Arch, ra))
	return w.accept(f, next, true, MethodGo)
}

// other follows the frame pointer to another stack, which may lie below this one.
func (w *walker) other(f *Frame) (Frame, error) {
	g := *f
	g.Registers.Set(f.Registers.Arch.layout().sp, 0)
	next, err := w.pointer(&g)
	f.Method = g.Method
	return next, err
}

// call takes a program counter without code for a call through a wild pointer: the return address is where a call
// leaves it.
func (w *walker) call(f *Frame) (Frame, error) {
	old := &f.Registers
	l := old.Arch.layout()
	next := *old
	var ra uint64
	if old.Arch == ARM64 {
		ra, _ = old.Get(X30)
	} else {
		var err error
		if ra, err = readWord(w.mem, old.StackPointer()); err != nil {
			return Frame{}, err
		}
		next.Set(l.sp, old.StackPointer()+8)
	}
	next.Set(l.pc, plain(old.Arch, ra))
	return w.accept(f, next, true, MethodCall)
}

// trampolines are the instructions with which a signal handler returns: the number of rt_sigreturn into the register
// that system calls take it from, and the call. With the interrupted registers they are part of Linux's interface to
// programs.
var trampolines = map[Arch][]string{
	AMD64: {"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", "\xb8\x0f\x00\x00\x00\x0f\x05"},
	ARM64: {"\x68\x11\x80\xd2\x01\x00\x00\xd4"},
}

func (w *walker) trampoline(pc uint64, a Arch) bool {
	if w.mem == nil || pc == 0 {
		return false
	}
	var b [9]byte
	n, _ := w.mem.ReadAt(b[:], int64(pc)) // what cannot be read is none
	for _, t := range trampolines[a] {
		if n >= len(t) && string(b[:len(t)]) == t {
			return true
		}
	}
	return false
}

// ucontext says where the registers lie above the stack pointer at a trampoline, as 64-bit words, by DWARF number.
//
// Source: Linux arch/x86/include/uapi/asm/sigcontext.h and ucontext.h, struct sigcontext_64; arch/arm64/include/uapi/
// asm/sigcontext.h and kernel/signal.c, struct rt_sigframe.
var ucontext = map[Arch]struct {
	offset uint64
	regs   []int // -1: none; flagsSlot: the flags
}{
	AMD64: {40, []int{8, 9, 10, 11, 12, 13, 14, 15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, flagsSlot}},
	ARM64: {128 + 176, append(append([]int{-1}, upTo(31)...), SP, PC, flagsSlot)},
}

const flagsSlot = -2

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// Ucontext returns the registers in a ucontext_t of Linux, as a signal handler gets it; ok is false where it is too
// short.
func Ucontext(a Arch, uc []byte) (regs Registers, ok bool) {
	u := ucontext[a]
	at := u.offset
	if a == ARM64 {
		at -= 128 // siginfo comes first on the stack
	}
	regs.Arch = a
	r := &reader{data: uc}
	r.bytes(at)
	for _, n := range u.regs {
		v := r.u64()
		if n == flagsSlot {
			regs.Flags = v
		} else if n >= 0 {
			regs.Set(n, v)
		}
	}
	return regs, r.err == nil && len(u.regs) > 0
}

// signal reads the interrupted registers from the stack.
func (w *walker) signal(f *Frame) (Frame, error) {
	a := f.Registers.Arch
	u := ucontext[a]
	at := f.Registers.StackPointer()
	n := u.offset + uint64(8*len(u.regs))
	b := make([]byte, n)
	if got, err := w.mem.ReadAt(b, int64(at)); got < len(b) {
		return Frame{}, fmt.Errorf("signal frame at %#x: %w", at, errors.Join(errMemory, err))
	}
	if a == ARM64 {
		b = b[128:]
	}
	next, _ := Ucontext(a, b) // long enough
	if next.PC() == 0 && next.StackPointer() == 0 {
		return Frame{}, errors.New("the signal frame holds no registers")
	}
	f.Method = MethodSignal
	return Frame{PC: next.PC(), Registers: next}, nil
}
