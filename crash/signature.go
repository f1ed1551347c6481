package crash

import (
	"strings"

	"portcullis.dev/finding"
)

// signature is a pattern of a stack whose cause is known from public reports.
type signature struct {
	symbol string // a part of some function's name on the stack, above the culprit or the culprit itself
	above  string // and a part of a function that it called, empty for any
	image  string // or a part of an image's name
	sdk    finding.SDK
	cause  string // one sentence
	advice string // what helps, where more is known than the rule's remedy
}

// signatures lists them, the more specific first. Every entry was read in the public thread that is its source.
var signatures = []signature{
	{symbol: "minidumper::ipc", above: "mach_port_deallocate",
		sdk: finding.SDK{Name: "minidumper", Source: "https://github.com/zed-industries/zed/issues/57950"},
		cause: "minidumper's Server gives up its receive right with mach_port_deallocate when it is dropped, which is " +
			"meant for send rights",
		advice: "Keep the server alive until the process exits, as Zed does, until the crate is mended."},
	{symbol: "user_idle::", sdk: finding.SDK{Name: "user-idle", Source: "https://github.com/block/buzz/issues/5338"},
		cause: "the crate releases the same IOKit objects twice on its success path"},
	{symbol: "google_breakpad::ForwardException", sdk: breakpad, cause: forwarding},
	{symbol: "google_breakpad::", sdk: breakpad},
	{symbol: "EnableMachExceptions", above: "exception_ports", sdk: coreCLR,
		cause: "CoreCLR registers its own Mach exception ports in the process that hosts it",
		advice: "Set the environment variable PAL_MachExceptionMode to 7 in the hosting process, so that CoreCLR leaves " +
			"exception ports alone."},
	{image: "libcoreclr", sdk: coreCLR},
	{symbol: "wasmtime_runtime::", sdk: wasmtime, advice: wasmtimeAdvice},
	{symbol: "wasmtime::runtime", sdk: wasmtime, advice: wasmtimeAdvice},
	{symbol: "FIRCLS", sdk: finding.SDK{Name: "Firebase Crashlytics",
		Source: "https://github.com/firebase/firebase-ios-sdk/issues/15393"}},
	{symbol: "sentrycrash", sdk: sentryCocoa}, {symbol: "SentryCrash", sdk: sentryCocoa},
	{symbol: "bsg_kscrash", sdk: finding.SDK{Name: "Bugsnag Cocoa"}},
	{symbol: "kscrash", sdk: kscrash}, {symbol: "installExceptionHandler", image: "KSCrash", sdk: kscrash},
	{symbol: "ksmach", sdk: kscrash},
	{symbol: "plcrash", sdk: finding.SDK{Name: "PLCrashReporter"}},
	{symbol: "PLCrashMach", sdk: finding.SDK{Name: "PLCrashReporter"}},
	{symbol: "crashpad::", sdk: finding.SDK{Name: "Crashpad"}},
	{symbol: "frida_", sdk: frida}, {symbol: "gum_", sdk: frida}, {image: "frida", sdk: frida},
	{image: "FridaGadget", sdk: frida},
}

var (
	breakpad = finding.SDK{Name: "Breakpad", Source: "https://github.com/ValveSoftware/Dota-2/issues/3515"}
	coreCLR  = finding.SDK{Name: ".NET CoreCLR", Source: "https://github.com/dotnet/diagnostics/issues/4551"}
	wasmtime = finding.SDK{Name: "Wasmtime",
		Source: "https://github.com/bytecodealliance/wasmtime/issues/10099"}
	sentryCocoa = finding.SDK{Name: "Sentry Cocoa", Source: "https://github.com/getsentry/sentry-cocoa/issues/5412"}
	kscrash     = finding.SDK{Name: "KSCrash"}
	frida       = finding.SDK{Name: "Frida", Source: "https://github.com/frida/frida/issues/3779"}
)

const (
	forwarding = "Breakpad's in-process handler passes the exception on to the next handler through a MIG stub that marks " +
		"the message as a call of the kernel, which the next handler is not"
	wasmtimeAdvice = "Configure Wasmtime to use signals: Config::macos_use_mach_ports(false)."
)

// match finds the first signature that a stack has. The culprit's own frame and those above it count, and below it
// those of the same image.
func matchSignature(t *Thread, c culprit) *signature {
	if t == nil {
		return nil
	}
	const depth = 40
	for i := range signatures {
		s := &signatures[i]
		for n := range t.Frames {
			if n > depth {
				break
			}
			f := &t.Frames[n]
			if s.image != "" && !strings.Contains(f.Image, s.image) || s.symbol != "" && !strings.Contains(f.name(), s.symbol) {
				continue
			}
			if c.frame != nil && n > c.index && f.Image != c.frame.Image {
				continue
			}
			if s.above != "" && !calledAbove(t.Frames[:n], s.above) {
				continue
			}
			return s
		}
	}
	return nil
}

func calledAbove(frames []Frame, part string) bool {
	for i := range frames {
		if strings.Contains(frames[i].Symbol, part) {
			return true
		}
	}
	return false
}

// handlers are functions that run because another thread has already crashed.
var handlers = []string{"ForwardException", "forward_exception", "ExceptionHandler::WaitForMessage", "exception_raise",
	"catch_mach_exception", "catch_exception", "exception_server_thread", "handleExceptions", "mach_exc_server",
	"_Xexception_raise"}

// registering are functions that set handlers up; their names look alike.
var registering = []string{"exception_ports", "exception_port", "Install", "install", "register"}

// secondary reports whether the thread was dealing with an exception of another thread when it was killed, and the
// function that shows it.
func (t *Thread) secondary() (function string, ok bool) {
	for i := range t.Frames {
		name := t.Frames[i].name()
		if containsAny(name, registering) {
			return "", false
		}
		if containsAny(name, handlers) {
			function = name
			ok = true
			if !strings.HasPrefix(name, "exception_raise") && !strings.HasPrefix(name, "mach_exception_raise") {
				return function, ok
			}
		}
	}
	return function, ok
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// waits are functions in which a thread that has nothing to do is found.
var waits = []string{"mach_msg", "semaphore_wait", "semaphore_timedwait", "__psynch_", "__ulock_wait", "kevent", "select",
	"poll", "__workq_kernreturn", "__semwait_signal", "swtch_pri", "start_wqthread", "nanosleep", "__wait4", "read",
	"__recvfrom", "recvmsg", "accept", "thread_start", "thread_suspend", "__sigwait", "__select", "_pthread_cond_wait",
	"usleep", "write", "connect", "_pthread_wqthread", "swtch", "thread_switch", "mach_wait_until", "clock_sleep"}

// trueFault finds the thread whose exception the handler was dealing with: the first one that was not waiting in the
// kernel.
func (r *Report) trueFault(handler *Thread) (*Thread, *Frame) {
	for i := range r.Threads {
		t := &r.Threads[i]
		if t.Index == handler.Index {
			continue
		}
		t.load()
		r.symbolicate(t)
		for n := range t.Frames {
			f := &t.Frames[n]
			if f.Symbol == "" && n == 0 && len(t.Frames) > 1 && r.originOf(f) == anonymous {
				continue // translated code of Rosetta
			}
			if f.Symbol == "" && (f.Image == "" || f.Image == "???" || f.Image == "runtime") || waiting(f.Symbol) {
				break
			}
			return t, f
		}
	}
	return nil, nil
}

func waiting(symbol string) bool {
	for _, w := range waits {
		if strings.HasPrefix(symbol, w) || strings.HasPrefix(symbol, "_"+w) && !strings.HasPrefix(w, "_") {
			return true
		}
	}
	return false
}
