package rules

// Mach port guards other than the six documented ones, that are fatal for every process.

const remedyRights = "Find who gave the name up first: a double mach_port_deallocate, a receive right released as a " +
	"send right, or a name used after it was destroyed. Release receive rights with mach_port_destruct, send rights " +
	"with mach_port_deallocate, and set the variable to MACH_PORT_NULL afterwards."

const remedyGuard = "The port belongs to a library that guards it (often XPC or libdispatch). Look for code that " +
	"treats a stale or foreign port name as its own; never destroy or re-guard a port that you did not create."

var fatalPortRules = []Rule{
	{
		Name: "DESTROY", Guard: GuardMachPort, Flavor: 0x01, Enum: "kGUARD_EXC_DESTROY", ReportCrash: "DESTROY",
		Title: "guarded port destroyed without its guard", Class: Fatal, KillsFrom: LevelNone, Since: Version{10, 10},
		Happened: "The process destroyed a guarded receive right without the value that guards it.",
		Trigger: "mach_port_destroy, mach_port_destruct or mach_port_mod_refs takes away a receive right whose guard " +
			"the caller does not present.",
		Gain: "A stale port name could destroy a port that now belongs to somebody else, and receive its messages " +
			"after reuse.",
		Return: "KERN_INVALID_ARGUMENT (4)",
		Target: TargetPortName, Payload: PayloadGuard, Remedy: remedyGuard, Verified: true,
		Sources: []string{srcGuardDoc, srcRight + ", ipc_right_destruct and ipc_right_delta"},
	},
	{
		Name: "MOD_REFS", Guard: GuardMachPort, Flavor: 0x02, Enum: "kGUARD_EXC_MOD_REFS", ReportCrash: "MOD_REFS",
		Aliases: []string{"OVER_DEALLOC", "OVERDEALLOC"},
		Title:   "last reference to a pinned port given up", Class: Fatal, KillsFrom: Level1, Since: Version{10, 10},
		Cases: []Case{{
			ID: "pinned", KillsFrom: Level1,
			When: "the last reference to the process's own task port, or to the port of one of its pthreads, is " +
				"released",
		}},
		History: []Era{
			{From: Version{10, 10}, XNU: "xnu-4570.1.46", Flavor: 0x02, Class: Fatal, KillsFrom: LevelNone,
				Target: TargetPortName, Payload: PayloadGuard, Note: "references of a guarded receive right changed"},
			{From: Version{12, 0}, XNU: "xnu-8019.41.5", Flavor: 0x02, Class: Fatal, KillsFrom: LevelPlatform,
				Target: TargetPortName, Payload: PayloadPinned,
				Note: "pinned task and thread ports; flags stood in the top byte, a message was 4 instead of 3"},
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x02, Class: Fatal, KillsFrom: Level1,
				Target: TargetPortName, Payload: PayloadPinned, Note: "bound to level 1; the payload is the bare " +
					"number"},
		},
		Happened: "The process gave up its last reference to its own task port or to the port of a thread.",
		Trigger: "mach_port_deallocate, mach_port_destroy, mach_port_mod_refs or a MOVE_SEND in a message would drop " +
			"the name of a pinned control port. Below level 1 it is reported softly as OVERDEALLOC_SOFT.",
		Gain: "The name could be reused for a port of the attacker's choice while the process still believes it to " +
			"be its own task.",
		Return: "KERN_INVALID_CAPABILITY (20)",
		Target: TargetPortName, Payload: PayloadPinned,
		PayloadNote: "1 mach_port_deallocate, 2 mach_port_destroy, 3 moved in a message; Apple's text shows the " +
			"number in the top byte",
		Remedy: "Balance the references: mach_task_self() and pthread_mach_thread_np() give none that you may " +
			"release; mach_thread_self() and mach_host_self() give one.",
		Verified: true,
		Sources:  []string{srcPolicy + ", mach_port_guard_exception_pinned", srcGuardDoc},
	},
	{
		Name: "INVALID_OPTIONS", Guard: GuardMachPort, Flavor: 0x03, Enum: "kGUARD_EXC_INVALID_OPTIONS",
		ReportCrash: "INVALID_OPTIONS",
		Title:       "message options that do not fit the destination", Class: Fatal, KillsFrom: LevelNone,
		Since: Version{13, 0},
		Cases: []Case{
			{ID: "options", KillsFrom: LevelNone,
				When: "a message to a port of a process is sent as a kernel call, or the reverse, or the options name " +
					"neither or both",
				Exempt: "on macOS, kernel calls to ports of processes where System Integrity Protection allows kernel " +
					"debugging"},
			{ID: "send-only", KillsFrom: LevelNone,
				When: "a kernel object is called without receiving the answer in the same call",
				Exempt: "below hardened-runtime: programs built with an SDK of iOS 17, macOS 14, watchOS 10 or before, " +
					"when they give no reply port"},
			{ID: "timer", KillsFrom: LevelHardenedRuntime, On: []string{"macOS"},
				When: "a message is sent to a timer port"},
			{ID: "timer-elsewhere", KillsFrom: LevelNone, NotOn: []string{"macOS"},
				When: "a message is sent to a timer port"},
			{ID: "legacy-trap", KillsFrom: LevelNone,
				When: "a message is sent with the old mach_msg_trap",
				Exempt: "below hardened-runtime: 32-bit programs, and five calls of macOS programs built with an SDK " +
					"of macOS 12 or before"},
		},
		Happened: "The process sent a message with options that do not fit its destination.",
		Trigger: "mach_msg2 must say with exactly one bit what it talks to: a kernel object (KOBJECT_CALL), a " +
			"message queue (MQ_CALL), DriverKit (DK_CALL), and the destination must be of that kind. The old trap " +
			"mach_msg_trap is closed to new programs.",
		Gain: "Confusing kernel objects with message queues lets a process send the kernel's own calls to a port it " +
			"controls, and the reverse.",
		Return: "MACH_SEND_INVALID_OPTIONS (0x10000013); KERN_NOT_SUPPORTED (46) from the old trap",
		Target: TargetLegacyMessageID, Payload: PayloadOptions,
		Remedy: "Call mach_msg from the system library, and kernel routines through the system's own stubs. Do not " +
			"use a stub of the kernel (exception_raise, mach_exception_raise …) to forward a message to another " +
			"process: compile the interface yourself.",
		Verified: true,
		Sources: []string{
			srcPolicy + ", ipc_preflight_msg_option64, ipc_validate_kmsg_dest_from_user, " +
				"ipc_policy_allow_legacy_send_trap",
			srcGuardDoc, "public crash reports: ValveSoftware/Dota-2 issues 2198 and 3511",
		},
		tell: tellOptions,
	},
	{
		Name: "SET_CONTEXT", Guard: GuardMachPort, Flavor: 0x04, Enum: "kGUARD_EXC_SET_CONTEXT",
		ReportCrash: "SET_CONTEXT", Title: "context of a strictly guarded port changed", Class: Fatal,
		KillsFrom: LevelNone, Since: Version{10, 10},
		Happened: "The process changed the context of a port that is strictly guarded.",
		Trigger: "mach_port_set_context or mach_port_swap_guard on a port built with MPO_STRICT and " +
			"MPO_CONTEXT_AS_GUARD.",
		Return: "KERN_INVALID_ARGUMENT (4)", Target: TargetPortName, Payload: PayloadGuard,
		Remedy: remedyGuard, Verified: true,
		Sources: []string{srcMachPort + ", mach_port_set_context", srcGuardDoc},
	},
	{
		Name: "SERVICE_PORT_VIOLATION_FATAL", Guard: GuardMachPort, Flavor: 0x07,
		Enum: "kGUARD_EXC_SERVICE_PORT_VIOLATION_FATAL", ReportCrash: "SERVICE_PORT_VIOLATION_FATAL",
		Title: "receive right of a service moved", Class: Fatal, KillsFrom: LevelNone, Since: Version{15, 4},
		Cases: []Case{{ID: "move", KillsFrom: LevelNone, Policy: "RESTRICT_MOVE_SERVICE_PORT",
			When: "a process other than launchd moves the receive right of a strong service port"}},
		History: []Era{
			{From: Version{15, 4}, XNU: "xnu-11417.101.15", Flavor: 0x07, Class: Fatal, KillsFrom: LevelNone,
				Target: TargetDefenseID, Payload: PayloadPortName,
				Note: "behind the boot argument service_port_defense_enabled; also for port-destroyed notifications " +
					"and exception ports; the target tells which"},
			{From: Version{26, 4}, XNU: "newest public", Flavor: 0x07, Class: Fatal, KillsFrom: LevelNone,
				Target: TargetUnused, Payload: PayloadPortName, Note: "only for moving the right; the target is " +
					"always 0",
				Unsure: "in which release between 26.0 and 26.4 the target became 0"},
		},
		Happened: "The process tried to give away the receive right of one of its launchd services.",
		Trigger:  "MOVE_RECEIVE of a strong service port by a process other than launchd (pid 1).",
		Gain:     "Who receives on the port of a service is the service: all its clients would talk to him.",
		Return:   "KERN_INVALID_CAPABILITY (20)", Target: TargetUnused, Payload: PayloadPortName,
		Remedy: "Keep the receive right where launchd delivered it. To let another process serve, declare the " +
			"service in its own launchd job, or hand connections over as XPC endpoints.",
		Verified: true,
		Sources:  []string{srcPolicy + ", ipc_move_receive_allowed", srcGuardDoc},
	},
	{
		Name: "UNGUARDED", Guard: GuardMachPort, Flavor: 0x08, Enum: "kGUARD_EXC_UNGUARDED", ReportCrash: "UNGUARDED",
		Title: "guard removed from a port that has none", Class: Fatal, KillsFrom: LevelNone, Since: Version{10, 10},
		Happened: "The process used a guard on a port that is not guarded.",
		Trigger:  "mach_port_unguard, or another call that presents a guard, on a port without one.",
		Return:   "KERN_INVALID_ARGUMENT (4)", Target: TargetPortName, Payload: PayloadUnused,
		Remedy: remedyRights, Verified: true, Sources: []string{srcGuardDoc, srcMachPort + ", mach_port_unguard_locked"},
	},
	{
		Name: "INCORRECT_GUARD", Guard: GuardMachPort, Flavor: 0x10, Enum: "kGUARD_EXC_INCORRECT_GUARD",
		ReportCrash: "INCORRECT_GUARD", Title: "wrong guard presented for a port", Class: Fatal, KillsFrom: LevelNone,
		Since:    Version{10, 10},
		Happened: "The process presented a guard for a port that is guarded with another value.",
		Trigger: "mach_port_unguard, mach_port_swap_guard, a destruct or a guarded descriptor with a value that is " +
			"not the port's guard.",
		Return: "KERN_INVALID_ARGUMENT (4)", Target: TargetPortName, Payload: PayloadGuard,
		Remedy: remedyGuard, Verified: true, Sources: []string{srcGuardDoc, srcMachPort + ", mach_port_unguard_locked"},
	},
	{
		Name: "STRICT_REPLY", Guard: GuardMachPort, Flavor: 0x40, Enum: "kGUARD_EXC_STRICT_REPLY",
		ReportCrash: "STRICT_REPLY", Title: "strict reply rules broken", Class: Fatal, KillsFrom: LevelNone,
		Since: Version{10, 15},
		Cases: []Case{{ID: "boot-argument", KillsFrom: LevelNone, Special: true,
			When: "the system was started with the boot argument -enforce_strict_reply and a message asks for a " +
				"strict reply"}},
		Happened: "The process broke the rules of a strict reply, on a system started with -enforce_strict_reply.",
		Trigger:  "Messages with MACH_SEND_STRICT_REPLY or MACH_RCV_STRICT_REPLY, only with the boot argument.",
		Return:   "MACH_SEND_INVALID_REPLY or a related code; it stands in the payload",
		Target:   TargetPortName, Payload: PayloadStrictReply,
		Remedy:   "Remove the boot argument; otherwise use a real reply port and the voucher that came with the request.",
		Verified: true, Doubts: []string{"what exactly is checked: Apple's text leaves it undocumented on purpose"},
		Sources: []string{srcGuardDoc, srcPortH},
	},
	{
		Name: "INVALID_NOTIFICATION_REQ", Guard: GuardMachPort, Flavor: 0x41,
		Enum: "kGUARD_EXC_INVALID_NOTIFICATION_REQ", ReportCrash: "INVALID_NOTIFICATION_REQ",
		Title: "notification that the port type forbids", Class: Fatal, KillsFrom: LevelNone, Since: Version{26, 0},
		Happened: "The process asked for a notification about a port whose type does not allow it.",
		Trigger: "mach_port_request_notification asks for port-destroyed on a port that is immovable or forbids it " +
			"(reply, timer, exception, bootstrap and notification ports, kernel objects), or for no-senders on a " +
			"reply port and the like.",
		Return: "KERN_INVALID_RIGHT (17)", Target: TargetPortType, Payload: PayloadNotification,
		Remedy: "Do not arm port-destroyed or no-senders on such ports. A reply port tells by MACH_NOTIFY_SEND_ONCE " +
			"that nobody will answer; for the life of a peer use a dead-name notification on the right you hold.",
		Verified: true, Sources: []string{srcPolicy + ", ipc_allow_register_pd_notification", srcGuardDoc},
	},
	{
		Name: "INVALID_MPO_ENTITLEMENT", Guard: GuardMachPort, Flavor: 0x42,
		Enum: "kGUARD_EXC_INVALID_MPO_ENTITLEMENT", ReportCrash: "INVALID_MPO_ENTITLEMENT",
		Title: "port type that needs an entitlement", Class: Fatal, KillsFrom: Level1, Since: Version{26, 0},
		Cases: []Case{
			{ID: "port-array", KillsFrom: Level1,
				When: "MPO_CONNECTION_PORT_WITH_PORT_ARRAY is constructed without " +
					"com.apple.developer.allow-connection-port-with-port-array"},
			{ID: "weak-reply", KillsFrom: Level1,
				When: "MPO_WEAK_REPLY_PORT (formerly MPO_PROVISIONAL_REPLY_PORT) is constructed without " +
					"com.apple.private.allow-weak-reply-port",
				Exempt: "macOS with System Integrity Protection off",
				Policy: "DISALLOW_CONSTRUCT_WEAK_REPLY_PORT_WITHOUT_ENTITLEMENT"},
		},
		Happened: "The process constructed a kind of port for which it lacks the entitlement.",
		Trigger:  "mach_port_construct with the flag of a port type that has a construction entitlement.",
		Gain:     "Such ports are exempt from other restrictions; without the entitlement anyone could step around them.",
		Return:   "KERN_DENIED (53)", Target: TargetMPOFlags, Payload: PayloadUnused,
		Remedy: "Use MPO_REPLY_PORT for replies; for port arrays ask for the entitlement or send the rights in " +
			"inline descriptors.",
		Verified: true,
		Sources: []string{
			srcMachPort + ", mach_port_construct", srcPolicy + ", ipc_sec_policy_array", srcGuardDoc,
		},
		tell: tellConstruct,
	},
	{
		Name: "MSG_FILTERED", Guard: GuardMachPort, Flavor: 0x80, Enum: "kGUARD_EXC_MSG_FILTERED",
		ReportCrash: "MSG_FILTERED", Title: "message refused by the sandbox", Class: Fatal, KillsFrom: LevelNone,
		Since: Version{11, 0},
		History: []Era{
			{From: Version{11, 0}, XNU: "xnu-7195.50.7", Flavor: 0x80, Class: Optional, KillsFrom: LevelPlatform,
				Target: TargetKernelPointer, Payload: PayloadMessageID, Note: "not yet in the range that is always " +
					"fatal"},
			{From: Version{12, 0}, XNU: "xnu-8019.41.5", Flavor: 0x80, Class: Fatal, KillsFrom: LevelNone,
				Target: TargetKernelPointer, Payload: PayloadMessageID, Note: "always fatal"},
		},
		Cases: []Case{{ID: "filtered", KillsFrom: LevelNone, Special: true,
			When: "the sandbox profile of the process filters messages to this port, refuses this message id, and " +
				"the sender did not ask for a mere error (MACH_SEND_FILTER_NONFATAL)"}},
		Happened: "The process sent a message that its sandbox profile forbids.",
		Trigger:  "The sandbox's message filter refuses the message id for the destination.",
		Return:   "MACH_SEND_MSG_FILTERED (0x10000017)", Target: TargetKernelPointer, Payload: PayloadMessageID,
		TargetNote: "documented as the name of the destination; the code passes the low half of a kernel pointer",
		Remedy:     "Do not send this request from a sandboxed process; do the work in a helper that may.",
		Verified:   true, Sources: []string{srcPolicy + ", ipc_filter_kmsg_header_from_user", srcGuardDoc},
	},
}
