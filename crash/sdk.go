package crash

import (
	"strings"

	"portcullis.dev/mach"
)

// A Linux process has the Mach calls from our own library, linked into the program or beside it, where a process of
// Apple's has libsystem_kernel. Its frames lie on top of every stack that ended in a violation, and nobody wants to be
// told that they are at fault.

// sdkFunctions are functions of Mach's user library that are neither traps nor routines of an interface definition.
var sdkFunctions = func() map[string]bool {
	m := map[string]bool{}
	for _, s := range strings.Fields(`mach_msg mach_msg_overwrite mach_msg2 mach_msg2_internal mach_msg_send
		mach_msg_receive mach_msg_server mach_msg_server_once mach_msg_destroy mach_msg_priority_encode
		mach_task_self mach_thread_self mach_host_self mig_get_reply_port mig_put_reply_port mig_dealloc_reply_port
		mig_reply_setup mig_strncpy mig_strncpy_zerofill mig_allocate mig_deallocate bootstrap_look_up
		bootstrap_look_up2 bootstrap_register bootstrap_register2 bootstrap_check_in bootstrap_check_in2
		bootstrap_strerror mach_error mach_error_string pthread_mach_thread_np pthread_from_mach_thread_np
		mach_port_construct mach_port_destruct mach_vm_allocate mach_vm_deallocate vm_allocate vm_deallocate
		semaphore_create semaphore_destroy semaphore_signal semaphore_wait semaphore_timedwait task_for_pid
		pid_for_task thread_switch mach_wait_until clock_sleep`) {
		m[s] = true
	}
	return m
}()

// sdkPrefixes begin the names of functions that only our own library has: what its calls are made of in C, and the
// client for Go.
var sdkPrefixes = []string{"_kernelrpc_", "__libmach_", "libmach_", "portcullis.dev/"}

// sdkSource begins the names of our own library's source files, whose functions have all sorts of names.
const sdkSource = "libmach/"

// goRuntime begins the names of functions of Go through which every call passes.
var goRuntime = []string{"runtime.", "internal/runtime/", "syscall.", "golang.org/x/sys/", "internal/poll.", "runtime/"}

// sdk reports whether a frame of a Linux process belongs to the library of Mach calls, or to what lies between the
// library and its caller.
func (r *Report) sdk(f *Frame) bool {
	if r.own == nil {
		return false
	}
	if strings.HasPrefix(f.Image, "libmach.") || strings.HasPrefix(f.Image, "libmach-") || f.Image == "[vdso]" ||
		strings.HasPrefix(f.File, sdkSource) {
		return true
	}
	name := f.Symbol
	if sdkFunctions[name] || underAny(name, sdkPrefixes...) || underAny(name, goRuntime...) {
		return true
	}
	if _, ok := mach.TrapNumber(name); ok {
		return true
	}
	_, ok := mach.RoutineID(name)
	return ok
}

// belowSDK returns the index of the innermost frame of the library of Mach calls, where the thread was in a trap: what
// it called in turn, to wait, is no more at fault than it is. It returns 0 for all others.
func (r *Report) belowSDK(t *Thread) int {
	const deep = 16 // frames between the library and the kernel
	if r.own != nil && r.own.Trap != "" {
		for i := range t.Frames[:min(len(t.Frames), deep)] {
			if r.sdk(&t.Frames[i]) {
				return i
			}
		}
	}
	return 0
}
