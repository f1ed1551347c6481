package mach

import "testing"

// bothWays checks that every entry of a table prints as its name and is read back as its number.
func bothWays[T integer](t *testing.T, kind string, values map[string]T, str func(T) string,
	parse func(string) (T, bool)) {
	t.Helper()
	for name, v := range values {
		got, ok := parse(str(v))
		if !ok || got != v {
			t.Errorf("%s: %#x prints as %q, which reads as %#x, %v", kind, uint64(v), str(v), uint64(got), ok)
		}
		if got, ok := parse(name); !ok || got != v {
			t.Errorf("%s: %q reads as %#x, %v; want %#x", kind, name, uint64(got), ok, uint64(v))
		}
	}
}

func members[T integer](f flags[T]) map[string]T {
	m := map[string]T{}
	for _, p := range f {
		m[p.name] = p.value
	}
	return m
}

func TestNamesBothWays(t *testing.T) {
	bothWays(t, "right", rightTable.values, Right.String, ParseRight)
	bothWays(t, "disposition", dispositionTable.values, Disposition.String, ParseDisposition)
	bothWays(t, "port type", portTypeTable.values, PortType.String, ParsePortType)
	bothWays(t, "exception", exceptionTable.values, ExceptionType.String, ParseExceptionType)
	bothWays(t, "behaviour", behaviorTable.values, ExceptionBehavior.String, ParseExceptionBehavior)
	bothWays(t, "return", returnNames, KernReturn.String, ParseKernReturn)
	bothWays(t, "right type", members(rightTypeFlags), RightType.String, ParseRightType)
	bothWays(t, "mask", members(exceptionMaskFlags), ExceptionMask.String, ParseExceptionMask)
	bothWays(t, "construct", members(constructFlags), ConstructFlags.String, ParseConstructFlags)
	bothWays(t, "option", members(lowOptions), Option.String, ParseOption)
	bothWays(t, "policy option", members(policyOptions), Option.String, ParseOption)
	for id, name := range routineNames {
		if got, ok := RoutineID(name); !ok || got != id {
			t.Errorf("routine %d is %q, which has id %d, %v", id, name, got, ok)
		}
	}
	for n, name := range traps {
		if got, ok := TrapNumber(name); name != "" && (!ok || got != -int32(n)) {
			t.Errorf("trap %d is %q, which has number %d, %v", n, name, got, ok)
		}
	}
	for n, name := range legacyPortTypes {
		if got, ok := ParseLegacyPortType(name); ok != (name != "") || ok && got != uint32(n) {
			t.Errorf("legacy type %d is %q, which has number %d, %v", n, name, got, ok)
		}
	}
	for _, cpu := range []string{"arm64", "x86_64"} {
		for n, f := range threadFlavors(cpu) {
			if got, ok := ParseThreadFlavor(cpu, f.name); !ok || got != n {
				t.Errorf("%s flavor %d is %q, which has number %d, %v", cpu, n, f.name, got, ok)
			}
		}
	}
}

// TestWellKnown pins numbers that public sources state, each found outside this package's tables.
func TestWellKnown(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{ExceptionBehavior(0x80000001).String(), "EXCEPTION_DEFAULT|MACH_EXCEPTION_CODES"},
		{ExceptionBehavior(0xa0000004).String(),
			"EXCEPTION_IDENTITY_PROTECTED|MACH_EXCEPTION_CODES|MACH_EXCEPTION_BACKTRACE_PREFERRED"},
		{ExceptionMask(0x6e).String(), "EXC_MASK_BAD_ACCESS|EXC_MASK_BAD_INSTRUCTION|EXC_MASK_ARITHMETIC|" +
			"EXC_MASK_SOFTWARE|EXC_MASK_BREAKPOINT"},
		{ExceptionMask(0x1bfe).String(), "EXC_MASK_ALL"},
		{ExceptionMask(0x5bfe).String(), "EXC_MASK_ALL|0x4000"},
		{Disposition(19).String(), "MACH_MSG_TYPE_COPY_SEND"},
		{Disposition(99).String(), "mach_msg_type_name_t(0x63)"},
		{PortType(17).String(), "IKOT_TASK_CONTROL"},
		{PortType(6).String(), "IOT_CONNECTION_PORT_WITH_PORT_ARRAY"},
		{Option(0x200000003).String(), "MACH_SEND_MSG|MACH_RCV_MSG|MACH64_SEND_KOBJECT_CALL"},
		{Option(0x8003030400000003).String(), "MACH_SEND_MSG|MACH_RCV_MSG|MACH64_SEND_MQ_CALL|MACH64_POLICY_DEFAULT|" +
			"MACH64_POLICY_ENHANCED|MACH64_POLICY_ENHANCED_V2|MACH64_MACH_MSG2"},
		{Option(0x8090000000000001).String15(),
			"MACH_SEND_MSG|MACH64_POLICY_DEFAULT|MACH64_POLICY_HARDENED|MACH64_MACH_MSG2"},
		{Option(0x03000002).String(), "MACH_RCV_MSG|MACH_RCV_TRAILER_TYPE(0)|MACH_RCV_TRAILER_ELEMENTS(3)"},
		{KernReturn(0x10000003).String(), "MACH_SEND_INVALID_DEST"},
		{KernReturn(0x10004004).String(), "MACH_RCV_TOO_LARGE"},
		{KernReturn(0x1000680c).String(), "MACH_RCV_BODY_ERROR|MACH_MSG_IPC_SPACE|MACH_MSG_IPC_KERNEL"},
		{KernReturn(-304).String(), "MIG_BAD_ARGUMENTS"},
		{KernReturn(53).Error(), "denied by policy (KERN_DENIED)"},
		{KernReturn(999).Error(), "kern_return_t(0x3e7)"},
		{MakeName(0x12, 3).String(), "0x1203"},
		{DeadName.String(), "MACH_PORT_DEAD"},
		{ConstructFlags(0x4400).String(), "MPO_NOTIFICATION_PORT"},
		{ConstructFlags(0x2411).String(), "MPO_STRICT_SERVICE_PORT|MPO_CONTEXT_AS_GUARD|MPO_INSERT_SEND_RIGHT"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	for id, want := range map[int32]string{
		3402: "task_threads", 3405: "task_info", 3409: "task_get_special_port", 3411: "thread_create",
		3413: "task_set_exception_ports", 3415: "task_swap_exception_ports", 3418: "semaphore_create",
		3433: "task_get_state", 3452: "task_get_exc_guard_behavior", 3457: "task_create_identity_token",
		3460: "task_get_exception_ports_info", 3465: "task_register_hardened_exception_handler",
		414: "host_set_exception_ports", 416: "host_swap_exception_ports", 222: "host_create_mach_voucher",
		3600: "thread_terminate", 3602: "act_set_state", 3604: "thread_set_state", 3611: "thread_set_special_port",
		3613: "thread_set_exception_ports", 3628: "thread_convert_thread_state",
		3630: "thread_get_exception_ports_info", 3631: "thread_adopt_exception_handler",
		3204: "mach_port_allocate", 3213: "mach_port_request_notification", 3215: "mach_port_extract_right",
		3232: "mach_port_destruct", 3238: "mach_port_swap_guard", 4804: "mach_vm_read",
		4808: "mach_vm_read_overwrite", 2403: "exception_raise_state_identity",
		2410: "mach_exception_raise_state_identity_protected", 65: "mach_notify_port_deleted",
		72: "mach_notify_dead_name", 1000: "clock_get_time",
	} {
		if got, _ := RoutineName(id); got != want {
			t.Errorf("RoutineName(%d) = %q, want %q", id, got, want)
		}
	}
	if s, ok := RoutineSubsystem(3604); s != "thread_act" || !ok {
		t.Errorf("RoutineSubsystem(3604) = %q, %v", s, ok)
	}
	if s, ok := RoutineName(2404); ok {
		t.Errorf("RoutineName(2404) = %q, want none", s)
	}
	if s, ok := TrapName(-47); s != "mach_msg2_trap" || !ok {
		t.Errorf("TrapName(-47) = %q, %v", s, ok)
	}
	if n, ok := ThreadFlavorName("x86_64", 23); n != "x86_THREAD_FULL_STATE64" || !ok {
		t.Errorf("flavor 23 = %q, %v", n, ok)
	}
	for _, cpu := range []string{"arm64", "x86_64"} {
		for n := range threadFlavors(cpu) {
			want := cpu == "x86_64" || n <= 27 && n != 18
			if got := ThreadFlavorOfExceptions(cpu, n); got != want {
				t.Errorf("%s %d: %v, want %v", cpu, n, got, want)
			}
		}
		if ThreadFlavorOfExceptions(cpu, 0) || ThreadFlavorOfExceptions(cpu, 8) == (cpu == "arm64") {
			t.Error(cpu)
		}
	}
	if !ThreadFlavorSetsRegisters("arm64", 6) || ThreadFlavorSetsRegisters("arm64", 17) ||
		!ThreadFlavorIsDebug("x86_64", 11) || ThreadFlavorSetsRegisters("mips", 1) {
		t.Error("register and debug flavors are wrong")
	}
	if !PortTypeTaskControl.KernelObject() || PortTypeWeakReply.KernelObject() || PortTypeUnknown.KernelObject() {
		t.Error("kernel objects are wrong")
	}
}
