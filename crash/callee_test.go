package crash

import (
	"strings"
	"testing"
)

// TestCalleeOf: frames are given innermost first, as in a report.
func TestCalleeOf(t *testing.T) {
	for _, tt := range []struct{ frames, callee string }{
		{"mach_msg2_trap mach_msg2_internal mach_msg_overwrite mach_msg thread_suspend", "thread_suspend"},
		{"mach_msg2_trap mach_msg2_internal mach_msg_overwrite mach_msg", "mach_msg"},
		{"syscall pt_futex_wait await pt_post call overwrite mach_msg", "mach_msg"},
		{"syscall pt_futex_wait await pt_post call mach_msg2_trap mach_msg2_internal mach_msg2", "mach_msg2"},
		{"syscall pt_post call overwrite pt_msg_kobject task_info", "task_info"},
		{"_kernelrpc_mach_port_construct_trap mach_port_construct", "mach_port_construct"},
		{"pt_ask _kernelrpc_mach_port_construct_trap", "pt_ask"},
		{"_kernelrpc_mach_port_construct_trap", "_kernelrpc_mach_port_construct_trap"},
		{"", ""},
	} {
		var frames []Frame
		for _, s := range strings.Fields(tt.frames) {
			frames = append(frames, Frame{Symbol: s})
		}
		if got := calleeOf(frames); got != tt.callee {
			t.Errorf("%s: %q, want %q", tt.frames, got, tt.callee)
		}
	}
}
