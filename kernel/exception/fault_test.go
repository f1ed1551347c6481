package exception_test

import (
	"testing"

	"portcullis.dev/kernel/exception"
	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
)

// TestFaultsAMD64: what Linux tells of a fault, the exception, and the signal that is due if nobody handles it.
func TestFaultsAMD64(t *testing.T) {
	fx := func(status uint16, mxcsr uint32) (b [512]byte) {
		le.PutUint16(b[2:], status)
		le.PutUint32(b[24:], mxcsr)
		return b
	}
	const at = 0x7fff_1234
	for _, tt := range []struct {
		name              string
		signal, code      int32
		trap, err         uint64
		fpStatus          uint16
		mxcsr             uint32
		want              mach.ExceptionType
		wantCode, wantSub int64
		due               exception.Signal
	}{
		{name: "null dereference", signal: 11, code: 1, trap: 14, err: 6, want: mach.ExcBadAccess, wantCode: 1, wantSub: at,
			due: exception.SIGSEGV},
		{name: "write to what may only be read", signal: 11, code: 2, trap: 14, err: 7, want: mach.ExcBadAccess, wantCode: 2,
			wantSub: at, due: exception.SIGBUS},
		{name: "memory key", signal: 11, code: 4, trap: 14, err: 0x27, want: mach.ExcBadAccess, wantCode: 2, wantSub: at,
			due: exception.SIGBUS},
		{name: "address of no program", signal: 11, code: 0x80, trap: 13, want: mach.ExcBadAccess, wantCode: 13,
			due: exception.SIGSEGV},
		{name: "privileged instruction", signal: 11, code: 0x80, trap: 13, err: 0x102, want: mach.ExcBadAccess, wantCode: 13,
			wantSub: 0x102, due: exception.SIGSEGV},
		{name: "beyond the end of a file", signal: 7, code: 2, trap: 14, err: 4, want: mach.ExcBadAccess, wantCode: 10,
			wantSub: at, due: exception.SIGBUS},
		{name: "broken memory", signal: 7, code: 4, trap: 14, want: mach.ExcBadAccess, wantCode: 9, wantSub: at,
			due: exception.SIGBUS},
		{name: "alignment", signal: 7, code: 1, trap: 17, want: mach.ExcBadAccess, wantCode: 17, due: exception.SIGBUS},
		{name: "stack segment", signal: 7, code: 0x80, trap: 12, err: 8, want: mach.ExcBadInstruction, wantCode: 12,
			wantSub: 8, due: exception.SIGILL},
		{name: "segment", signal: 7, code: 0x80, trap: 11, err: 0x10018, want: mach.ExcBadInstruction, wantCode: 11,
			wantSub: 0x18, due: exception.SIGILL},
		{name: "ud2", signal: 4, code: 2, trap: 6, want: mach.ExcBadInstruction, wantCode: 1, due: exception.SIGILL},
		{name: "division", signal: 8, code: 1, trap: 0, want: mach.ExcArithmetic, wantCode: 1, due: exception.SIGFPE},
		{name: "overflow", signal: 11, code: 0x80, trap: 4, want: mach.ExcArithmetic, wantCode: 2, due: exception.SIGFPE},
		{name: "x87", signal: 8, code: 3, trap: 16, fpStatus: 0xb884, want: mach.ExcArithmetic, wantCode: 5,
			wantSub: 0xb884, due: exception.SIGFPE},
		{name: "SSE", signal: 8, code: 7, trap: 19, mxcsr: 0x1f01, want: mach.ExcArithmetic, wantCode: 8, wantSub: 0x1f01,
			due: exception.SIGFPE},
		{name: "int3", signal: 5, code: 0x80, trap: 3, want: mach.ExcBreakpoint, wantCode: 2, due: exception.SIGTRAP},
		{name: "single step", signal: 5, code: 2, trap: 1, want: mach.ExcBreakpoint, wantCode: 1, due: exception.SIGTRAP},
		{name: "bound", signal: 11, code: 0x80, trap: 5, want: mach.ExcSoftware, wantCode: 7, due: exception.SIGTRAP},
		{name: "kill(SIGSEGV)", signal: 11, code: 0, trap: 14},
		{name: "raise(SIGABRT)", signal: 6, code: -6, trap: 14},
		{name: "a signal that is no fault's", signal: 17, code: 1, trap: 14},
		{name: "a trap that is none", signal: 11, code: 0x80, trap: 99},
		{name: "a child that stopped, no trap yet", signal: 17, code: 5, trap: 0},
	} {
		r := &state.AMD64{Trap: tt.trap, Err: tt.err, FX: fx(tt.fpStatus, tt.mxcsr)}
		x, ok := exception.OfAMD64(exception.Info{Signal: tt.signal, Code: tt.code, Address: at}, r)
		if want := (exception.Exception{Type: tt.want, Code: tt.wantCode, Subcode: tt.wantSub}); ok != (tt.want != 0) ||
			ok && x != want {
			t.Errorf("%s: %v, %v; want %v", tt.name, x, ok, want)
		}
		if s := x.Signal("x86_64"); ok && s != tt.due {
			t.Errorf("%s: %v is due, want %v", tt.name, s, tt.due)
		}
	}
}

func TestFaultsARM64(t *testing.T) {
	const at, pc, sp, insn = 0x1_0000_4444, 0x4000, 0x8003, 0xd4200020
	for _, tt := range []struct {
		name              string
		signal, code      int32
		class             uint64
		want              mach.ExceptionType
		wantCode, wantSub int64
		due               exception.Signal
	}{
		{"null dereference", 11, 1, 0x24, mach.ExcBadAccess, 1, at, exception.SIGSEGV},
		{"execution of data", 11, 2, 0x20, mach.ExcBadAccess, 2, at, exception.SIGBUS},
		{"beyond the end of a file", 7, 2, 0x24, mach.ExcBadAccess, 10, at, exception.SIGBUS},
		{"alignment of data", 7, 1, 0x24, mach.ExcBadAccess, 0x101, at, exception.SIGBUS},
		{"alignment of pc", 7, 1, 0x22, mach.ExcBadAccess, 0x101, pc, exception.SIGBUS},
		{"alignment of sp", 7, 1, 0x26, mach.ExcBadAccess, 0x103, sp, exception.SIGBUS},
		{"pointer authentication", 4, 2, 0x1c, mach.ExcBadAccess, 0x105, insn, exception.SIGBUS},
		{"udf", 4, 1, 0, mach.ExcBadInstruction, 1, insn, exception.SIGILL},
		{"brk", 5, 1, 0x3c, mach.ExcBreakpoint, 1, pc, exception.SIGTRAP},
		{"single step", 5, 2, 0x32, mach.ExcBreakpoint, 1, 0, exception.SIGTRAP},
		{"watchpoint", 5, 4, 0x34, mach.ExcBreakpoint, 0x102, at, exception.SIGTRAP},
		{"breakpoint of the processor", 5, 4, 0x30, mach.ExcBreakpoint, 1, pc, exception.SIGTRAP},
		{"division by zero", 8, 3, 0x2c, mach.ExcArithmetic, 2, insn, exception.SIGFPE},
		{"overflow", 8, 4, 0x2c, mach.ExcArithmetic, 3, insn, exception.SIGFPE},
		{"underflow", 8, 5, 0x2c, mach.ExcArithmetic, 4, insn, exception.SIGFPE},
		{"inexact", 8, 6, 0x2c, mach.ExcArithmetic, 5, insn, exception.SIGFPE},
		{"invalid", 8, 7, 0x2c, mach.ExcArithmetic, 1, insn, exception.SIGFPE},
		{"nobody knows", 8, 14, 0x2c, mach.ExcArithmetic, 0, insn, exception.SIGFPE},
		{"kill(SIGSEGV)", 11, 0, 0x24, 0, 0, 0, 0},
		{"a signal that is no fault's", 17, 1, 0, 0, 0, 0, 0},
	} {
		r := &state.ARM64{Syndrome: tt.class << 26, PC: pc, SP: sp}
		x, ok := exception.OfARM64(exception.Info{Signal: tt.signal, Code: tt.code, Address: at}, r, insn)
		if want := (exception.Exception{Type: tt.want, Code: tt.wantCode, Subcode: tt.wantSub}); ok != (tt.want != 0) ||
			ok && x != want {
			t.Errorf("%s: %v, %v; want %v", tt.name, x, ok, want)
		}
		if s := x.Signal("arm64"); ok && s != tt.due {
			t.Errorf("%s: %v is due, want %v", tt.name, s, tt.due)
		}
	}
}

func TestSignals(t *testing.T) {
	for _, tt := range []struct {
		x    exception.Exception
		cpu  string
		want exception.Signal
	}{
		{exception.Exception{Type: mach.ExcSoftware, Code: 0x10000}, "arm64", exception.SIGSYS},
		{exception.Exception{Type: mach.ExcSoftware, Code: 0x10001}, "arm64", exception.SIGPIPE},
		{exception.Exception{Type: mach.ExcSoftware, Code: 0x10002}, "arm64", exception.SIGABRT},
		{exception.Exception{Type: mach.ExcSoftware, Code: 0x10003, Subcode: 15}, "arm64", exception.SIGKILL},
		{exception.Exception{Type: mach.ExcSoftware, Code: 7}, "arm64", 0},
		{exception.Exception{Type: mach.ExcBadAccess, Code: 13}, "arm64", exception.SIGBUS},
		{exception.Exception{Type: mach.ExcEmulation}, "x86_64", exception.SIGEMT},
		{exception.Exception{Type: mach.ExcGuard}, "x86_64", 0},
		{exception.Exception{Type: mach.ExcCrash}, "x86_64", 0},
		{exception.Exception{Type: mach.ExcSyscall}, "x86_64", 0},
	} {
		if got := tt.x.Signal(tt.cpu); got != tt.want {
			t.Errorf("%v on %s: %v, want %v", tt.x, tt.cpu, got, tt.want)
		}
	}
	seen := map[int32]bool{}
	for s := exception.Signal(1); s < 32; s++ {
		n := s.Linux()
		if n != 0 && (exception.OfLinux(n) != s || seen[n]) {
			t.Errorf("%v is %d in Linux, which is %v", s, n, exception.OfLinux(n))
		}
		seen[n] = true
	}
	if exception.SIGBUS.Linux() != 7 || exception.OfLinux(16) != 0 || exception.SIGSEGV.String() != "SIGSEGV" ||
		exception.Signal(99).String() != "signal 99" || exception.OfLinux(0) != 0 {
		t.Error("numbers and names")
	}
}
