package rules

// Optional Mach port guards: an error for an ordinary process, death for platform binaries and from level 1 on.

var optionalPortRules = []Rule{
	{
		Name: "INVALID_RIGHT", Guard: GuardMachPort, Flavor: 0x100, Enum: "kGUARD_EXC_INVALID_RIGHT",
		ReportCrash: "INVALID_RIGHT", Title: "operation that needs another kind of right", Class: Optional,
		KillsFrom: Level1, Since: Version{10, 14},
		Happened: "The process used a port name for something that the right behind it does not allow.",
		Trigger: "A call finds another kind of right under the name than it needs: deallocating a receive right, " +
			"receiving without a receive right, copying a send right that is not there; also giving a reply port's " +
			"send-once right anywhere but in the reply field.",
		Return: "KERN_INVALID_RIGHT (17) or KERN_INVALID_CAPABILITY (20)", Target: TargetPortName,
		Payload: PayloadInvalidRight, Remedy: remedyRights, Verified: true,
		Sources: []string{srcGuardDoc, srcRight, "XNU (newest) osfmk/ipc/ipc_object.c, ipc_object_translate_port_pset",
			"public crash report: zed-industries/zed issue 57664 (code 0x2000010000001d03)"},
		tell: tellInvalidRight,
	},
	{
		Name: "INVALID_NAME", Guard: GuardMachPort, Flavor: 0x200, Enum: "kGUARD_EXC_INVALID_NAME",
		ReportCrash: "INVALID_NAME", Title: "port name that means nothing", Class: Optional, KillsFrom: Level1,
		Since:    Version{10, 14},
		Happened: "The process used a port name under which it holds no right.",
		Trigger: "A call is given a name that does not exist in the process, most often because it was released " +
			"before. The commonest cause in public reports is IOObjectRelease or IOServiceClose called twice on one " +
			"IOKit object.",
		Return: "KERN_INVALID_NAME (15)", Target: TargetPortName, Payload: PayloadUnused, Remedy: remedyRights,
		Verified: true,
		Sources: []string{srcGuardDoc, srcRight,
			"public crash report: block/buzz issue 5338 (code 0x2000020000027b83)"},
	},
	{
		Name: "INVALID_VALUE", Guard: GuardMachPort, Flavor: 0x400, Enum: "kGUARD_EXC_INVALID_VALUE",
		ReportCrash: "INVALID_VALUE", Title: "count or trailer that makes no sense", Class: Optional, KillsFrom: Level1,
		Since:    Version{10, 14},
		Happened: "The process asked for a change of references, or a trailer, that is not possible.",
		Trigger: "mach_port_mod_refs or mach_port_destruct with a count that overflows or falls below zero; " +
			"mach_port_peek with a bad trailer.",
		Return: "KERN_INVALID_VALUE (18)", Target: TargetPortName, Payload: PayloadInvalidValue, Remedy: remedyRights,
		Verified: true, Sources: []string{srcGuardDoc, srcRight + ", ipc_right_delta and ipc_right_destruct"},
	},
	{
		Name: "INVALID_ARGUMENT", Guard: GuardMachPort, Flavor: 0x800, Enum: "kGUARD_EXC_INVALID_ARGUMENT",
		ReportCrash: "INVALID_ARGUMENT", Aliases: []string{"ALREADY_GUARDED"}, Title: "port guarded " +
			"twice", Class: Optional,
		KillsFrom: Level1, Since: Version{10, 14},
		Happened: "The process set a guard on a port that is guarded already.",
		Trigger:  "mach_port_guard or mach_port_guard_with_flags on a guarded port.",
		Return:   "KERN_INVALID_ARGUMENT (4)", Target: TargetPortName, Payload: PayloadGuard, Remedy: remedyRights,
		Verified: true, Sources: []string{srcGuardDoc, srcMachPort + ", mach_port_guard_with_flags"},
	},
	unusedOptional("RIGHT_EXISTS", 0x1000),
	unusedOptional("KERN_NO_SPACE", 0x2000),
	{
		Name: "KERN_FAILURE", Guard: GuardMachPort, Flavor: 0x4000, Enum: "kGUARD_EXC_KERN_FAILURE",
		ReportCrash: "KERN_FAILURE", Aliases: []string{"INVALID_PDREQUEST"},
		Title: "port-destroyed notification refused", Class: Optional, KillsFrom: Level1, Since: Version{10, 14},
		Happened: "The process asked for a port-destroyed notification that the system does not allow.",
		Trigger: "mach_port_request_notification(MACH_NOTIFY_PORT_DESTROYED) on a service port by any process but " +
			"launchd, with a notification port that may move or is not launchd's, or a second time on one port.",
		Return: "KERN_INVALID_RIGHT (17); KERN_FAILURE (5) for the second registration", Target: TargetUnused,
		Payload: PayloadPDRequest,
		Remedy: "Leave port-destroyed notifications on services to launchd; watch a peer with a dead-name " +
			"notification.",
		Verified: true, Sources: []string{srcPolicy + ", ipc_allow_register_pd_notification", srcGuardDoc},
	},
	unusedOptional("KERN_RESOURCE", 0x8000),
	{
		Name: "SEND_INVALID_REPLY", Guard: GuardMachPort, Flavor: 0x10000, Enum: "kGUARD_EXC_SEND_INVALID_REPLY",
		ReportCrash: "SEND_INVALID_REPLY", Title: "reply field that cannot be used", Class: Optional, KillsFrom: Level1,
		Since:    Version{10, 14},
		Happened: "The process sent a message whose reply field names a right it cannot use like that.",
		Trigger: "The reply field (msgh_local_port) fails to be copied in: the name does not exist, the disposition " +
			"does not fit the right, or a reply port is given in another way than MAKE_SEND_ONCE.",
		Return: "MACH_SEND_INVALID_REPLY (0x10000009)", Target: TargetPortName, Payload: PayloadReplyEntry,
		History: []Era{
			{From: Version{10, 14}, XNU: "xnu-4903.221.2", Flavor: 0x10000, Class: Optional, KillsFrom: LevelPlatform,
				Target: TargetPortName, Payload: PayloadUnused, Note: "shared its number with SEND_INVALID_VOUCHER"},
			{From: Version{10, 15}, XNU: "xnu-6153.11.26", Flavor: 0x10000, Class: Optional, KillsFrom: LevelPlatform,
				Target: TargetPortName, Payload: PayloadUnused},
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x10000, Class: Optional, KillsFrom: Level1,
				Target: TargetPortName, Payload: PayloadReplyEntry, Note: "the payload tells rights and disposition",
				Unsure: "whether 26.0 already fills the payload; the newest kernel does"},
		},
		Remedy: "Give the reply port as MAKE_SEND_ONCE, and make sure that it still exists.", Verified: true,
		Sources: []string{srcKmsg + ", ipc_kmsg_copyin_header", srcGuardDoc},
	},
	{
		Name: "SEND_INVALID_VOUCHER", Guard: GuardMachPort, Flavor: 0x20000, Enum: "kGUARD_EXC_SEND_INVALID_VOUCHER",
		ReportCrash: "SEND_INVALID_VOUCHER", Title: "voucher field that cannot be used", Class: Optional,
		KillsFrom: Level1, Since: Version{10, 14},
		Happened: "The process sent a message whose voucher field is no voucher it may send.",
		Trigger: "The voucher field (msgh_voucher_port) is not a send right to a voucher, or its disposition is " +
			"neither MOVE_SEND nor COPY_SEND.",
		Return: "MACH_SEND_INVALID_VOUCHER (0x10000005)", Target: TargetPortName, Payload: PayloadDisposition,
		History: []Era{
			{From: Version{10, 14}, XNU: "xnu-4903.221.2", Flavor: 0x10000, Class: Optional, KillsFrom: LevelPlatform,
				Target: TargetPortName, Payload: PayloadUnused, Note: "shared its number with SEND_INVALID_REPLY"},
			{From: Version{10, 15}, XNU: "xnu-6153.11.26", Flavor: 0x20000, Class: Optional, KillsFrom: LevelPlatform,
				Target: TargetPortName, Payload: PayloadUnused, Note: "number of its own"},
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x20000, Class: Optional, KillsFrom: Level1,
				Target: TargetPortName, Payload: PayloadDisposition,
				Unsure: "whether 26.0 already fills the payload; the newest kernel does"},
		},
		Remedy: "Pass a voucher received or created, as COPY_SEND, or none at all.", Verified: true,
		Doubts: []string{"Apple's text swaps the numbers of SEND_INVALID_RIGHT and SEND_INVALID_VOUCHER; the header " +
			"and ReportCrash agree on those given here"},
		Sources: []string{srcKmsg + ", ipc_kmsg_copyin_header", srcPortH, srcGuardDoc},
	},
	{
		Name: "SEND_INVALID_RIGHT", Guard: GuardMachPort, Flavor: 0x40000, Enum: "kGUARD_EXC_SEND_INVALID_RIGHT",
		ReportCrash: "SEND_INVALID_RIGHT", Title: "descriptor with a right of the wrong kind", Class: Optional,
		KillsFrom: Level1, Since: Version{10, 14},
		Happened: "The process sent a message with a port descriptor that does not fit the right it names.",
		Trigger: "A right named in a port, port-array or guarded-port descriptor cannot be copied in with its " +
			"disposition.",
		Return: "MACH_SEND_INVALID_RIGHT (0x1000000a)", Target: TargetPortName, Payload: PayloadSendRight,
		History: []Era{
			{From: Version{10, 14}, XNU: "xnu-4903.221.2", Flavor: 0x20000, Class: Optional, KillsFrom: LevelPlatform,
				Target: TargetPortName, Payload: PayloadUnused, Note: "number 1 << 17"},
			{From: Version{10, 15}, XNU: "xnu-6153.11.26", Flavor: 0x40000, Class: Optional, KillsFrom: LevelPlatform,
				Target: TargetPortName, Payload: PayloadUnused, Note: "renumbered to 1 << 18"},
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x40000, Class: Optional, KillsFrom: Level1,
				Target: TargetPortName, Payload: PayloadSendRight,
				Unsure: "whether 26.0 already fills the payload; the newest kernel does"},
		},
		Remedy: "Match disposition and right: MAKE_SEND needs the receive right, COPY_SEND and MOVE_SEND a send " +
			"right. " +
			remedyRights,
		Verified: true,
		Doubts: []string{"Apple's text swaps the numbers of SEND_INVALID_RIGHT and SEND_INVALID_VOUCHER; the header " +
			"and ReportCrash agree on those given here"},
		Sources: []string{srcGuardDoc, srcPortH, srcKmsg + ", ipc_kmsg_copyin_ool_ports_descriptor"},
	},
	{
		Name: "RCV_INVALID_NAME", Guard: GuardMachPort, Flavor: 0x80000, Enum: "kGUARD_EXC_RCV_INVALID_NAME",
		ReportCrash: "RCV_INVALID_NAME", Title: "receive on a name that cannot receive", Class: Optional,
		KillsFrom: Level1, Since: Version{10, 14},
		Happened: "The process tried to receive on a name that is neither a receive right nor a port set.",
		Trigger: "mach_msg with MACH_RCV_MSG names a right that cannot receive and never could. A name that denotes nothing, or a " +
			"dead one, only returns the error.",
		Return: "MACH_RCV_INVALID_NAME (0x10004002)", Target: TargetPortName, Payload: PayloadUnused,
		History: []Era{
			{From: Version{10, 14}, XNU: "xnu-4903.221.2", Flavor: 0x40000, Class: Optional, KillsFrom: LevelPlatform,
				Target: TargetPortName, Payload: PayloadUnused, Note: "number 1 << 18"},
			{From: Version{10, 15}, XNU: "xnu-6153.11.26", Flavor: 0x80000, Class: Optional, KillsFrom: LevelPlatform,
				Target: TargetPortName, Payload: PayloadUnused, Note: "renumbered to 1 << 19"},
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x80000, Class: Optional, KillsFrom: Level1,
				Target: TargetPortName, Payload: PayloadUnused},
		},
		Remedy: "Stop the receiving thread before the port is destroyed. " + remedyRights, Verified: true,
		Sources: []string{srcGuardDoc, srcPortH},
	},
	{
		Name: "RCV_INVALID_NOTIFY", Guard: GuardMachPort, Flavor: 0x80000, Enum: "kGUARD_EXC_RCV_INVALID_NOTIFY",
		Title: "receive with a bad notification port", Class: Optional, KillsFrom: LevelPlatform,
		Retired: "gone since macOS 10.15; its number is RCV_INVALID_NAME now", Since: Version{10, 14},
		History: []Era{
			{From: Version{10, 14}, XNU: "xnu-4903.221.2", Flavor: 0x80000, Class: Optional, KillsFrom: LevelPlatform,
				Target: TargetPortName, Payload: PayloadUnused},
			{From: Version{10, 15}, XNU: "xnu-6153.11.26", Flavor: 0, Class: Optional, KillsFrom: Never, Note: "removed"},
		},
		Happened: "The process received with a notification port that could not be used.",
		Trigger:  "macOS 10.14 only.", Return: "MACH_RCV_INVALID_NOTIFY (0x10004007)", Target: TargetPortName,
		Payload: PayloadUnused, Remedy: remedyRights, Verified: true,
		Sources: []string{"XNU xnu-4903.221.2 osfmk/mach/port.h"},
	},
}

// unusedOptional makes the row of a number that XNU defines and never raises.
func unusedOptional(name string, flavor uint32) Rule {
	return Rule{
		Name: name, Guard: GuardMachPort, Flavor: flavor, Enum: "kGUARD_EXC_" + name, ReportCrash: name,
		Title: "defined, never raised", Class: Optional, KillsFrom: Level1, Since: Version{10, 14},
		Retired:  "no call site in public kernels",
		Happened: "The process broke a Mach port rule that public kernels define but never report.",
		Trigger:  "No public kernel raises it.", Target: TargetPortName, Payload: PayloadUnused,
		Remedy:   remedyRights,
		Verified: true, Doubts: []string{"a kernel that raises it is not public; its target and payload are unknown"},
		Sources: []string{srcPortH},
	}
}
