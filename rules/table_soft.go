package rules

// Soft Mach port guards: reported, never fatal.

const ignoredBySoft = "Nothing has to be done for the process to live: it was not killed. "

var softPortRules = []Rule{
	{
		Name: "RCV_GUARDED_DESC", Guard: GuardMachPort, Flavor: 0x100000, Enum: "kGUARD_EXC_RCV_GUARDED_DESC",
		ReportCrash: "RCV_GUARDED_DESC", Title: "guarded descriptor received unasked", Class: Soft, KillsFrom: Never,
		Since:    Version{10, 15},
		Happened: "The process received a guarded port descriptor without having said that it understands them.",
		Trigger: "A message with a guarded port descriptor is received without MACH_RCV_GUARDED_DESC; development " +
			"kernels only.",
		Target: TargetPortName, Payload: PayloadGuard,
		Remedy:   ignoredBySoft + "Receive with MACH_RCV_GUARDED_DESC and unguard the port.",
		Verified: true, Doubts: []string{"whether the payload is the guard: Apple's text says that it is always 0"},
		Sources: []string{srcGuardDoc, srcPortH},
	},
	{
		Name: "SERVICE_PORT_VIOLATION_NON_FATAL", Guard: GuardMachPort, Flavor: 0x100001,
		Enum:        "kGUARD_EXC_SERVICE_PORT_VIOLATION_NON_FATAL",
		ReportCrash: "SERVICE_PORT_VIOLATION_NON_FATAL", Title: "service port rule, reported softly", Class: Soft,
		KillsFrom: Never, Since: Version{15, 4}, Retired: "not raised by the newest kernel",
		Happened: "The process broke a rule about launchd service ports that was only being observed.",
		Trigger:  "As SERVICE_PORT_VIOLATION_FATAL, while that was not enforced.",
		Target:   TargetDefenseID, Payload: PayloadPortName,
		Remedy:   ignoredBySoft + "See SERVICE_PORT_VIOLATION_FATAL.",
		Verified: true, Sources: []string{srcPortH, "XNU xnu-11417.101.15 doc/mach_ipc/guard_exceptions.md"},
	},
	{
		Name: "PROVISIONAL_REPLY_PORT", Guard: GuardMachPort, Flavor: 0x100002, Enum: "kGUARD_EXC_WEAK_REPLY_PORT",
		ReportCrash: "PROVISIONAL_REPLY_PORT", Aliases: []string{"WEAK_REPLY_PORT", "kGUARD_EXC_PROVISIONAL_REPLY_PORT"},
		Title: "weak reply port created", Class: Soft, KillsFrom: Never, Since: Version{15, 4},
		Retired:  "replaced by INVALID_MPO_ENTITLEMENT in macOS 26",
		Happened: "The process created a weak (provisional) reply port.",
		Trigger:  "mach_port_construct with MPO_PROVISIONAL_REPLY_PORT, on iOS 18.4.",
		Target:   TargetUnused, Payload: PayloadUnused,
		Remedy:   ignoredBySoft + "Use MPO_REPLY_PORT: from macOS 26 on the weak kind kills at level 1.",
		Verified: true, Doubts: []string{"what its target and payload held"}, Sources: []string{srcPortH},
	},
	{
		Name: "OOL_PORT_ARRAY_CREATION", Guard: GuardMachPort, Flavor: 0x100003,
		Enum:        "kGUARD_EXC_OOL_PORT_ARRAY_CREATION",
		ReportCrash: "OOL_PORT_ARRAY_CREATION", Title: "port for arrays created", Class: Soft, KillsFrom: Never,
		Since: Version{26, 0}, Retired: "not raised by the newest kernel",
		Happened: "The process created a port that accepts arrays of rights.",
		Trigger: "Telemetry of 26.0 about ports built with MPO_CONNECTION_PORT_WITH_PORT_ARRAY. It is not " +
			"OOL_PORT_ARRAY (0x43).",
		Target: TargetUnused, Payload: PayloadUnused, Remedy: ignoredBySoft + "See OOL_PORT_ARRAY.",
		Verified: true, Doubts: []string{"what its target and payload held"}, Sources: []string{srcPortH},
	},
	{
		Name: "MOVE_WEAK_REPLY_PORT", Guard: GuardMachPort, Flavor: 0x100004, Enum: "kGUARD_EXC_MOVE_WEAK_REPLY_PORT",
		Aliases: []string{"MOVE_PROVISIONAL_REPLY_PORT", "kGUARD_EXC_MOVE_PROVISIONAL_REPLY_PORT"},
		Title:   "weak reply port moved", Class: Soft, KillsFrom: Never, Since: Version{26, 0},
		Cases: []Case{{ID: "move", KillsFrom: Never, Policy: "RESTRICT_MOVE_WEAK_REPLY_PORT",
			When: "a process at level 2 or above moves the receive right of a weak reply port (reported once for a " +
				"process)"}},
		Happened: "The process moved the receive right of a weak reply port to another process.",
		Trigger:  "MOVE_RECEIVE of a weak reply port at level 2 and above, once for each process.",
		Target:   TargetPortName, Payload: PayloadUnused,
		Remedy:   ignoredBySoft + "Receive the reply where the request was sent, on a port built with MPO_REPLY_PORT.",
		Verified: true, Sources: []string{srcPolicy + ", ipc_move_receive_allowed", srcGuardDoc},
	},
	{
		Name: "REPLY_PORT_SINGLE_SO_RIGHT", Guard: GuardMachPort, Flavor: 0x100005,
		Enum:        "kGUARD_EXC_REPLY_PORT_SINGLE_SO_RIGHT",
		ReportCrash: "REPLY_PORT_SINGLE_SO_RIGHT", Title: "two send-once rights to one reply port", Class: Soft,
		KillsFrom: Never, Since: Version{26, 0}, Retired: "the policy is switched off in the newest kernel",
		Happened: "The process made a second send-once right to a reply port while the first was still out.",
		Trigger:  "MAKE_SEND_ONCE of a reply port that has a send-once right already; not enforced.",
		Target:   TargetPortName, Payload: PayloadCopyinReason,
		Remedy:   ignoredBySoft + "Use one reply port for each request in flight.",
		Verified: true, Sources: []string{srcGuardDoc, srcPolicy + ", ipc_sec_policy_array"},
	},
	{
		Name: "INVALID_NOTIFICATION_PORT", Guard: GuardMachPort, Flavor: 0x100006,
		Enum: "kGUARD_EXC_INVALID_NOTIFICATION_PORT", Title: "notification to a port of the wrong type", Class: Soft,
		KillsFrom: Never, Since: Version{26, 4},
		Happened: "The process asked to be notified on a port whose type should not receive notifications.",
		Trigger: "mach_port_request_notification with a notify port whose type may not receive notifications; " +
			"reported, not refused yet.",
		Target: TargetKernelPointer, Payload: PayloadPortType,
		TargetNote: "documented as a port name; the code passes the low half of a kernel pointer",
		Remedy:     ignoredBySoft + "Receive notifications on an ordinary port or on one built with MPO_NOTIFICATION_PORT.",
		Verified:   true, Doubts: []string{"the first release that raises it"},
		Sources: []string{srcPolicy + ", ipc_port_can_receive_notifications", srcGuardDoc},
	},
	{
		Name: "MACH_EXC_THREAD_SET_STATE", Guard: GuardMachPort, Flavor: 0x100007,
		Enum: "kGUARD_EXC_MACH_EXC_THREAD_SET_STATE", Title: "thread state in an answer from another " +
			"process", Class: Soft,
		KillsFrom: Never, Since: Version{26, 4},
		Retired:  "the newest kernel sends analytics instead; the number is commented out",
		Happened: "A process other than the target answered an exception with a new thread state.",
		Trigger: "The reply to a Mach exception comes from another pid than the target's, at level 3; counted by " +
			"analytics.",
		Target: TargetThreadFlavor, Payload: PayloadPID,
		Remedy:   ignoredBySoft + "Answer exceptions with a state from inside the process.",
		Verified: true,
		Sources: []string{
			srcThreadAct + ", thread_set_state_allowed", srcPolicy + ", ipc_sec_policy_array", srcGuardDoc,
		},
	},
	{
		Name: "CV_NOTIFICATION_PORT_REQ", Guard: GuardMachPort, Flavor: 0x100008,
		Enum: "kGUARD_EXC_CV_NOTIFICATION_PORT_REQ", Title: "contained process without a notification " +
			"port", Class: Soft,
		KillsFrom: Never, Since: Version{26, 4},
		Cases: []Case{{ID: "contained", KillsFrom: Never, Special: true,
			Policy: "RESTRICT_REGISTER_NON_NOTIFICATION_PORT",
			When: "a process with com.apple.security.hardened-process.containment.ipc asks for notifications on " +
				"another type of port, and the boot argument cv_notif_port_required_enforced is set"}},
		Happened: "A contained process asked for notifications on a port that is no notification port.",
		Trigger:  "Contained processes only, and only with a boot argument that is off by default.",
		Target:   TargetUnused, Payload: PayloadUnused,
		TargetNote: "documented as a port name, with the port type as payload; the code passes 0 for both",
		Remedy:     ignoredBySoft + "Build the port with MPO_NOTIFICATION_PORT.",
		Verified:   true, Sources: []string{srcPolicy + ", ipc_port_can_receive_notifications", srcGuardDoc},
	},
	{
		Name: "OVERDEALLOC_SOFT", Guard: GuardMachPort, Flavor: 0x200000, Enum: "kGUARD_EXC_MOD_REFS_NON_FATAL",
		ReportCrash: "OVERDEALLOC_SOFT", Title: "last reference to a pinned port, reported softly", Class: Soft,
		KillsFrom: Never, Since: Version{12, 0},
		Happened: "The process gave up its last reference to its own task port or to the port of a thread; it was " +
			"let live.",
		Trigger: "As MOD_REFS, in a process below level 1.", Return: "KERN_INVALID_CAPABILITY (20)",
		Target: TargetPortName, Payload: PayloadPinned,
		Remedy:   ignoredBySoft + "It would be killed at level 1: see MOD_REFS.",
		Verified: true, Sources: []string{srcPolicy + ", mach_port_guard_exception_pinned", srcGuardDoc},
	},
	{
		Name: "ILLEGALMOVE_SOFT", Guard: GuardMachPort, Flavor: 0x400000, Enum: "kGUARD_EXC_IMMOVABLE_NON_FATAL",
		ReportCrash: "ILLEGALMOVE_SOFT", Title: "own control port moved, reported softly", Class: Soft,
		KillsFrom: Never, Since: Version{12, 0}, Retired: "not raised by the newest kernel",
		Happened: "The process sent its own task or thread port away; it was let live.",
		Trigger:  "macOS 12.0 to 15.x, where the process's class had the soft setting.", Target: TargetPortName,
		Payload: PayloadUnused, Return: "KERN_INVALID_CAPABILITY (20)",
		Remedy:   ignoredBySoft + "It would be killed at level 1: see ILLEGAL_MOVE.",
		Verified: true, Sources: []string{srcGuardDoc, "XNU xnu-8019.41.5 osfmk/ipc/mach_port.c"},
	},
}
