package mach

// subsystems lists the MIG subsystems of the kernel with the routine at each id from the base on; an empty name is an
// id that is skipped. Ids that XNU assigns without a subsystem of their own (notifications, exceptions raised with
// protected identity) stand with the nearest.
//
// Source: the .defs files of XNU 11417.101.15 osfmk/mach, as clients see them; ids added since are from the newest
// public tree.
var subsystems = []subsystem{
	{"notify", 64, []string{
		"", "mach_notify_port_deleted", "mach_notify_send_possible", "", "", "mach_notify_port_destroyed",
		"mach_notify_no_senders", "mach_notify_send_once", "mach_notify_dead_name",
	}},
	{"mach_host", 200, []string{
		"host_info", "host_kernel_version", "host_page_size", "mach_memory_object_memory_entry",
		"host_processor_info", "host_get_io_main", "host_get_clock_service", "kmod_get_info", "",
		"host_virtual_physical_table_info", "", "", "", "processor_set_default", "processor_set_create",
		"mach_memory_object_memory_entry_64", "host_statistics", "host_request_notification",
		"host_lockgroup_info", "host_statistics64", "mach_zone_info", "mach_zone_force_gc",
		"host_create_mach_voucher", "host_register_mach_voucher_attr_manager",
		"host_register_well_known_mach_voucher_attr_manager", "host_set_atm_diagnostic_flag",
		"host_get_atm_diagnostic_flag", "mach_memory_info", "host_set_multiuser_config_flags",
		"host_get_multiuser_config_flags", "host_check_multiuser_mode", "mach_zone_info_for_zone",
		"mach_zone_info_for_largest_zone", "mach_zone_get_zlog_zones", "mach_zone_get_btlog_records",
	}},
	{"host_priv", 400, []string{
		"host_get_boot_info", "host_reboot", "host_priv_statistics", "host_default_memory_manager",
		"vm_wire", "thread_wire", "vm_allocate_cpm", "host_processors", "host_get_clock_control",
		"kmod_create", "kmod_destroy", "kmod_control", "host_get_special_port", "host_set_special_port",
		"host_set_exception_ports", "host_get_exception_ports", "host_swap_exception_ports", "",
		"mach_vm_wire", "host_processor_sets", "host_processor_set_priv", "", "", "host_set_UNDServer",
		"host_get_UNDServer", "kext_request",
	}},
	{"host_security", 600, []string{
		"host_security_create_task_token", "host_security_set_task_token",
	}},
	{"clock", 1000, []string{
		"clock_get_time", "clock_get_attributes", "clock_alarm",
	}},
	{"clock_priv", 1200, []string{
		"clock_set_time", "clock_set_attributes",
	}},
	{"exc", 2401, []string{
		"exception_raise", "exception_raise_state", "exception_raise_state_identity",
	}},
	{"mach_exc", 2405, []string{
		"mach_exception_raise", "mach_exception_raise_state", "mach_exception_raise_state_identity",
		"mach_exception_raise_identity_protected", "mach_exception_raise_backtrace",
		"mach_exception_raise_state_identity_protected",
	}},
	{"processor", 3000, []string{
		"processor_start", "processor_exit", "processor_info", "processor_control", "processor_assign",
		"processor_get_assignment",
	}},
	{"mach_port", 3200, []string{
		"mach_port_names", "mach_port_type", "mach_port_rename", "mach_port_allocate_name",
		"mach_port_allocate", "mach_port_destroy", "mach_port_deallocate", "mach_port_get_refs",
		"mach_port_mod_refs", "mach_port_peek", "mach_port_set_mscount", "mach_port_get_set_status",
		"mach_port_move_member", "mach_port_request_notification", "mach_port_insert_right",
		"mach_port_extract_right", "mach_port_set_seqno", "mach_port_get_attributes",
		"mach_port_set_attributes", "mach_port_allocate_qos", "mach_port_allocate_full",
		"task_set_port_space", "mach_port_get_srights", "mach_port_space_info", "mach_port_dnrequest_info",
		"mach_port_kernel_object", "mach_port_insert_member", "mach_port_extract_member",
		"mach_port_get_context", "mach_port_set_context", "mach_port_kobject", "mach_port_construct",
		"mach_port_destruct", "mach_port_guard", "mach_port_unguard", "mach_port_space_basic_info",
		"mach_port_special_reply_port_reset_link", "mach_port_guard_with_flags", "mach_port_swap_guard",
		"mach_port_kobject_description",
		"mach_port_is_connection_for_service", "mach_port_get_service_port_info",
		"mach_port_assert_attributes",
	}},
	{"task", 3400, []string{
		"task_create", "task_terminate", "task_threads", "mach_ports_register", "mach_ports_lookup",
		"task_info", "task_set_info", "task_suspend", "task_resume", "task_get_special_port",
		"task_set_special_port", "thread_create", "thread_create_running", "task_set_exception_ports",
		"task_get_exception_ports", "task_swap_exception_ports", "lock_set_create", "lock_set_destroy",
		"semaphore_create", "semaphore_destroy", "task_policy_set", "task_policy_get", "task_sample",
		"task_policy", "task_set_emulation", "task_get_emulation_vector", "task_set_emulation_vector",
		"task_set_ras_pc", "task_zone_info", "task_assign", "task_assign_default", "task_get_assignment",
		"task_set_policy", "task_get_state", "task_set_state", "task_set_phys_footprint_limit",
		"task_suspend2", "task_resume2", "task_purgable_info", "task_get_mach_voucher",
		"task_set_mach_voucher", "task_swap_mach_voucher", "task_generate_corpse", "task_map_corpse_info",
		"task_register_dyld_image_infos", "task_unregister_dyld_image_infos", "task_get_dyld_image_infos",
		"task_register_dyld_shared_cache_image_info", "task_register_dyld_set_dyld_state",
		"task_register_dyld_get_process_state", "task_map_corpse_info_64", "task_inspect",
		"task_get_exc_guard_behavior", "task_set_exc_guard_behavior", "", "mach_task_is_self",
		"task_dyld_process_info_notify_register", "task_create_identity_token",
		"task_identity_token_get_task_port", "task_dyld_process_info_notify_deregister",
		"task_get_exception_ports_info", "task_test_sync_upcall", "task_set_corpse_forking_behavior",
		"task_test_async_upcall_propagation", "task_map_kcdata_object_64",
		"task_register_hardened_exception_handler",
	}},
	{"thread_act", 3600, []string{
		"thread_terminate", "act_get_state", "act_set_state", "thread_get_state", "thread_set_state",
		"thread_suspend", "thread_resume", "thread_abort", "thread_abort_safely", "thread_depress_abort",
		"thread_get_special_port", "thread_set_special_port", "thread_info", "thread_set_exception_ports",
		"thread_get_exception_ports", "thread_swap_exception_ports", "thread_policy", "thread_policy_set",
		"thread_policy_get", "thread_sample", "etap_trace_thread", "thread_assign", "thread_assign_default",
		"thread_get_assignment", "thread_set_policy", "thread_get_mach_voucher", "thread_set_mach_voucher",
		"thread_swap_mach_voucher", "thread_convert_thread_state", "", "thread_get_exception_ports_info",
		"thread_adopt_exception_handler",
	}},
	{"processor_set", 4000, []string{
		"processor_set_statistics", "processor_set_destroy", "processor_set_max_priority",
		"processor_set_policy_enable", "processor_set_policy_disable", "processor_set_tasks",
		"processor_set_threads", "processor_set_policy_control", "processor_set_stack_usage",
		"processor_set_info", "processor_set_tasks_with_flavor",
	}},
	{"mach_vm", 4800, []string{
		"mach_vm_allocate", "mach_vm_deallocate", "mach_vm_protect", "mach_vm_inherit", "mach_vm_read",
		"mach_vm_read_list", "mach_vm_write", "mach_vm_copy", "mach_vm_read_overwrite", "mach_vm_msync",
		"mach_vm_behavior_set", "mach_vm_map", "mach_vm_machine_attribute", "mach_vm_remap",
		"mach_vm_page_query", "mach_vm_region_recurse", "mach_vm_region", "mach_make_memory_entry",
		"mach_vm_purgable_control", "mach_vm_page_info", "mach_vm_page_range_query", "mach_vm_remap_new", "",
		"", "", "mach_vm_range_create",
	}},
	{"memory_entry", 4900, []string{
		"mach_memory_entry_purgable_control", "mach_memory_entry_access_tracking",
		"mach_memory_entry_ownership",
	}},
	{"mach_voucher", 5400, []string{
		"mach_voucher_extract_attr_content", "mach_voucher_extract_attr_recipe",
		"mach_voucher_extract_all_attr_recipes", "mach_voucher_attr_command", "mach_voucher_debug_info",
	}},
	{"restartable", 8000, []string{
		"task_restartable_ranges_register", "task_restartable_ranges_synchronize",
	}},
	{"task_access", 27000, []string{
		"check_task_access", "find_code_signature", "check_task_access_with_flavor",
	}},
	{"arcade_register", 51471, []string{
		"arcade_register_new_upcall",
	}},
	{"semaphore", 617200, []string{
		"semaphore_signal", "semaphore_signal_all", "semaphore_wait", "semaphore_signal_thread",
		"semaphore_timedwait", "semaphore_wait_signal", "semaphore_timedwait_signal",
	}},
	{"mach_eventlink", 716200, []string{
		"mach_eventlink_create", "mach_eventlink_destroy", "mach_eventlink_associate",
		"mach_eventlink_disassociate",
	}},
	{"clock_reply", 3125107, []string{
		"clock_alarm_reply",
	}},
}
