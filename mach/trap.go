package mach

// traps holds the Mach traps by their positive number; user space calls them with the number negated.
//
// Source: XNU osfmk/kern/syscall_sw.c, mach_trap_table.
var traps = [...]string{
	10: "mach_vm_allocate", 11: "mach_vm_purgable_control", 12: "mach_vm_deallocate",
	13: "task_dyld_process_info_notify_get", 14: "mach_vm_protect", 15: "mach_vm_map", 16: "mach_port_allocate",
	18: "mach_port_deallocate", 19: "mach_port_mod_refs", 20: "mach_port_move_member",
	21: "mach_port_insert_right", 22: "mach_port_insert_member", 23: "mach_port_extract_member",
	24: "mach_port_construct", 25: "mach_port_destruct", 26: "mach_reply_port", 27: "thread_self_trap",
	28: "task_self_trap", 29: "host_self_trap", 31: "mach_msg_trap", 32: "mach_msg_overwrite_trap",
	33: "semaphore_signal_trap", 34: "semaphore_signal_all_trap", 35: "semaphore_signal_thread_trap",
	36: "semaphore_wait_trap", 37: "semaphore_wait_signal_trap", 38: "semaphore_timedwait_trap",
	39: "semaphore_timedwait_signal_trap", 40: "mach_port_get_attributes", 41: "mach_port_guard",
	42: "mach_port_unguard", 43: "mach_generate_activity_id", 44: "task_name_for_pid", 45: "task_for_pid",
	46: "pid_for_task", 47: "mach_msg2_trap", 48: "macx_swapon", 49: "macx_swapoff",
	50: "thread_get_special_reply_port", 51: "macx_triggers", 52: "macx_backing_store_suspend",
	53: "macx_backing_store_recovery", 58: "pfz_exit", 59: "swtch_pri", 60: "swtch", 61: "thread_switch",
	62: "clock_sleep_trap", 70: "host_create_mach_voucher_trap", 72: "mach_voucher_extract_attr_recipe_trap",
	76: "mach_port_type", 77: "mach_port_request_notification", 88: "exclaves_ctl_trap",
	89: "mach_timebase_info_trap", 90: "mach_wait_until_trap", 91: "mk_timer_create_trap",
	92: "mk_timer_destroy_trap", 93: "mk_timer_arm_trap", 94: "mk_timer_cancel_trap",
	95: "mk_timer_arm_leeway_trap", 96: "debug_control_port_for_pid", 100: "iokit_user_client_trap",
}

// TrapName returns the Mach trap with a number, which may be given negated, as user space has it, or not.
func TrapName(n int32) (name string, ok bool) {
	if n < 0 {
		n = -n
	}
	if n >= 0 && n < int32(len(traps)) {
		name = traps[n]
	}
	return name, name != ""
}

// TrapNumber returns the number of a trap as user space passes it: negative.
func TrapNumber(name string) (n int32, ok bool) {
	for i, s := range traps {
		if s != "" && s == name {
			return -int32(i), true
		}
	}
	return 0, false
}
