package rules

// The six restrictions that Apple's documentation names ("Conforming to Mach IPC security restrictions").

// Public texts that many rows cite. "newest" is the newest public XNU, in which the levels are called V0 to V3.
const (
	srcPolicy    = "XNU (newest) osfmk/ipc/ipc_policy.c"
	srcGuardDoc  = "XNU (newest) doc/mach_ipc/guard_exceptions.md"
	srcTypesDoc  = "XNU (newest) document \"Mach IPC Port Types\""
	srcKmsg      = "XNU (newest) osfmk/ipc/ipc_kmsg.c"
	srcRight     = "XNU (newest) osfmk/ipc/ipc_right.c"
	srcMachPort  = "XNU (newest) osfmk/ipc/mach_port.c"
	srcIPCTT     = "XNU (newest) osfmk/kern/ipc_tt.c"
	srcThreadAct = "XNU (newest) osfmk/kern/thread_act.c"
	srcPortH     = "XNU (newest) osfmk/mach/port.h, mach_port_guard_exception_codes"
	srcArticle   = "Apple documentation: Conforming to Mach IPC security restrictions"
)

var documentedRules = []Rule{
	{
		Name: "REQUIRE_REPLY_PORT_SEMANTICS", Guard: GuardMachPort, Flavor: 0x0a,
		Enum:        "kGUARD_EXC_REQUIRE_REPLY_PORT_SEMANTICS",
		ReportCrash: "REQUIRE_REPLY_PORT_SEMANTICS",
		Documented:  true,
		Title:       "message to a service without a proper reply port",
		Class:       Fatal,
		KillsFrom:   LevelNone,
		Cases: []Case{
			{
				ID: "service-port", KillsFrom: LevelNone,
				When: "the destination is a strong service port, a connection port, or a port built with " +
					"MPO_ENFORCE_REPLY_PORT_SEMANTICS, and the reply port is neither a reply port nor a weak one",
				Policy: "REQUIRE_REPLY_PORT_SEMANTICS_SERVICE_PORT",
			},
			{
				ID: "bootstrap-port", KillsFrom: Level2,
				When: "the destination is launchd's bootstrap port and the reply port is neither a reply port nor a " +
					"weak one",
				Policy: "REQUIRE_REPLY_PORT_SEMANTICS_BOOTSTRAP_PORT",
			},
		},
		Since: Version{13, 0},
		History: []Era{
			{From: Version{13, 0}, XNU: "xnu-8792.41.9", Flavor: 0x00800000, Class: Soft, KillsFrom: Never,
				Target: TargetPortName, Payload: PayloadUnused,
				Note: "only for ports built with MPO_ENFORCE_REPLY_PORT_SEMANTICS, and only with the boot argument " +
					"-reply_port_semantics; the message is delivered all the same; the target is the sender's name " +
					"of the reply port"},
			{From: Version{13, 4}, XNU: "xnu-8796.101.5", Flavor: 0x00800000, Class: Soft, KillsFrom: Never,
				Target: TargetPortName, Payload: PayloadUnused,
				Note: "on by default; the message is refused with MACH_SEND_INVALID_REPLY, which raises " +
					"SEND_INVALID_REPLY too"},
			{From: Version{15, 4}, XNU: "xnu-11417.101.15", Flavor: 0x00800000, Class: Soft, KillsFrom: Never,
				Target: TargetPortName, Payload: PayloadUnused,
				Note: "for ordinary service ports only counted; hardened processes that call a kernel object with a " +
					"plain reply port have their message refused under this number too"},
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x0a, Class: Fatal, KillsFrom: LevelNone,
				Target: TargetReceiverName, Payload: PayloadBootstrap,
				Note: "fatal; the target is the receiver's name of the destination, not a name of the process that " +
					"is killed"},
		},
		Happened: "The process sent a message that asks for a reply on an ordinary port, to a service that insists " +
			"on a real reply port.",
		Trigger: "A message is sent from user space with a reply port (msgh_local_port) that is valid and alive but " +
			"is no reply port, and the destination requires reply-port semantics. No reply port at all, or a dead " +
			"one, violates nothing. A weak reply port is good enough for this rule.",
		Gain: "A reply that arrives on an ordinary port can be intercepted or forged: the right to answer could have " +
			"been copied or moved to a third process.",
		Return: "MACH_SEND_INVALID_REPLY (0x10000009)",
		Target: TargetReceiverName,
		TargetNote: "the name under which the receiver knows the destination port; 0 while its receive right travels " +
			"in a message. It is no name of the process that was killed, unless that sent to itself",
		Payload: PayloadBootstrap,
		Remedy: "Receive the reply on a real reply port: construct it with MPO_REPLY_PORT, take " +
			"mig_get_reply_port(), or let XPC do the exchange; send it as MACH_MSG_TYPE_MAKE_SEND_ONCE and nothing " +
			"else.",
		Wrong: `mach_port_t reply;
mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &reply); // an ordinary port

message.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
message.header.msgh_remote_port = service; // found with bootstrap_look_up
message.header.msgh_local_port = reply;
mach_msg(&message.header, MACH_SEND_MSG | MACH_RCV_MSG, size, limit, reply, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);`,
		Right: `mach_port_options_t options = { .flags = MPO_REPLY_PORT };
mach_port_t reply;
mach_port_construct(mach_task_self(), &options, 0, &reply); // a reply port: cannot be moved or copied

message.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
message.header.msgh_remote_port = service;
message.header.msgh_local_port = reply;
mach_msg(&message.header, MACH_SEND_MSG | MACH_RCV_MSG, size, limit, reply, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);`,
		Verified: true,
		Doubts: []string{
			"no public crash report of the fatal form (macOS 26 and later) has been found",
		},
		Sources: []string{
			srcPolicy + ", ipc_validate_local_port and ip_has_reply_port_semantics", srcGuardDoc, srcArticle,
		},
		tell: tellReplyPort,
	},
	{
		Name: "KOBJECT_REPLY_PORT_SEMANTICS", Guard: GuardMachPort, Flavor: 0x09,
		Enum:        "kGUARD_EXC_KOBJECT_REPLY_PORT_SEMANTICS",
		ReportCrash: "KOBJECT_REPLY_PORT_SEMANTICS",
		Documented:  true,
		Title:       "call to the kernel without a real reply port",
		Class:       Fatal,
		KillsFrom:   Level1,
		Cases: []Case{{
			ID: "kernel-object", KillsFrom: Level1,
			When: "the destination is a kernel object (task, thread, host, IOKit, semaphore, voucher, memory entry " +
				"…) and the reply port is neither a reply port nor a special reply port; a weak reply port is not " +
				"enough",
			Policy: "REQUIRE_REPLY_PORT_SEMANTICS_KOBJECT",
		}},
		Since: Version{14, 0},
		History: []Era{
			{From: Version{14, 0}, XNU: "xnu-10002.1.13", Flavor: 0, Class: Soft, KillsFrom: Never,
				Target: TargetUnused, Payload: PayloadUnused,
				Note: "the rule exists for platform binaries, without a number and without a crash"},
			{From: Version{15, 4}, XNU: "xnu-11417.101.15", Flavor: 0x00800000,
				Enum: "kGUARD_EXC_REQUIRE_REPLY_PORT_SEMANTICS", Class: Soft, KillsFrom: Never,
				Target: TargetPortName, Payload: PayloadUnused,
				Note: "hardened processes (platform binaries and browser engines) have the message refused; reported " +
					"under the number of REQUIRE_REPLY_PORT_SEMANTICS, mostly overtaken by SEND_INVALID_REPLY " +
					"(0x10000)"},
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x09, Class: Fatal, KillsFrom: Level1,
				Target: TargetReceiverName, Payload: PayloadUnused, Note: "own number, fatal"},
		},
		Happened: "The process called the kernel (a task, thread, host or other kernel object) with a port for the " +
			"answer that is no real reply port.",
		Trigger: "A message to a kernel object carries a reply port that is valid and alive but of another type than " +
			"reply port or special reply port. A plain mach_msg() to a kernel object does not get this far: it fails " +
			"with INVALID_OPTIONS. Code 9 therefore comes from a MIG stub of the system whose reply-port slot was " +
			"replaced, or from a stub with reply ports of its own.",
		Gain: "Answers of the kernel could be forged: whoever holds a send right to the ordinary port can write, for " +
			"instance, the task port or the register state that the caller believes to come from the kernel.",
		Return: "MACH_SEND_INVALID_REPLY (0x10000009)",
		Target: TargetReceiverName,
		TargetNote: "the kernel's name of the port: 1 for most kernel objects; for mach_task_self() probably the " +
			"process's own name of it. Informative, not identifying",
		Payload: PayloadUnused,
		Remedy: "Call the system's own stub (task_info, thread_get_state …) and leave its reply port alone; in a " +
			"stub of your own take the port from mig_get_reply_port(). mach_reply_port() returns an ordinary port.",
		Wrong: `// A copied MIG stub with a reply port of its own
request.header.msgh_remote_port = mach_task_self();
request.header.msgh_local_port = mach_reply_port(); // an ordinary port, in spite of its name
send_to_kernel(&request);`,
		Right: `// The system's stub: its reply port is a real one
task_basic_info_64_data_t info;
mach_msg_type_number_t count = TASK_BASIC_INFO_64_COUNT;
task_info(mach_task_self(), TASK_BASIC_INFO_64, (task_info_t)&info, &count);

// or, in a stub of your own
request.header.msgh_local_port = mig_get_reply_port();`,
		Verified: true,
		Doubts: []string{
			"the value of the target for kernel-owned ports has not been seen in a public report",
		},
		Sources: []string{
			srcPolicy + ", ipc_validate_local_port", srcGuardDoc, srcArticle,
			"XNU (newest) tests/reply_port_defense.c, kobject_reply_port_defense",
		},
		tell: tellKobjectReply,
	},
	{
		Name: "OOL_PORT_ARRAY", Guard: GuardMachPort, Flavor: 0x43,
		Enum:        "kGUARD_EXC_DESCRIPTOR_VIOLATION",
		ReportCrash: "DESCRIPTOR_VIOLATION",
		Aliases:     []string{"OOL_PORTS_ARRAY"},
		Documented:  true,
		Title:       "array of port rights in a message",
		Class:       Fatal,
		KillsFrom:   Level2,
		Cases: []Case{
			{
				ID: "destination", KillsFrom: Level2, NotOn: []string{"visionOS"},
				When: "a message carries an out-of-line port array to a port that was not built with " +
					"MPO_CONNECTION_PORT_WITH_PORT_ARRAY (kernel objects and service ports included)",
				Policy: "RESTRICT_OOL_PORT_ARRAYS",
			},
			{
				ID: "two-arrays", KillsFrom: Level2, NotOn: []string{"visionOS"},
				When:   "a message carries more than one out-of-line port array",
				Policy: "RESTRICT_OOL_PORT_ARRAYS",
			},
			{
				ID: "disposition", KillsFrom: Level2, NotOn: []string{"visionOS"},
				When: "the disposition of an out-of-line port array is any other than MACH_MSG_TYPE_COPY_SEND, even " +
					"if the array is empty",
				Policy: "RESTRICT_OOL_PORT_ARRAYS",
			},
		},
		Since: Version{26, 0},
		History: []Era{
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x43, Class: Fatal, KillsFrom: Level2,
				Target: TargetPolicyWord, Payload: PayloadDescriptor,
				Unsure: "in 26.0 the bits of the policy word and the numbers of the port types may differ from those " +
					"of today"},
			{From: Version{26, 4}, XNU: "newest public", Flavor: 0x43, Class: Fatal, KillsFrom: Level2,
				Target: TargetPolicyWord, Payload: PayloadDescriptor},
		},
		Happened: "The process sent an array of port rights in a message, in a way that is not allowed.",
		Trigger: "A message sent from user space carries a MACH_MSG_OOL_PORTS_DESCRIPTOR. The kernel looks first at " +
			"the destination, then at the number of arrays, and at the disposition when it copies the array in. " +
			"Out-of-line memory and inline port descriptors are not concerned, nor are arrays in answers of the " +
			"kernel.",
		Gain: "Arrays of port rights let an attacker allocate and lay out kernel memory filled with port pointers, a " +
			"standard step of kernel exploits.",
		Return:      "MACH_SEND_INVALID_OPTIONS (0x10000013)",
		Target:      TargetPolicyWord,
		TargetNote:  "the sender's IPC space policy; bit 0x800000 means that the message was sent with mach_msg2",
		Payload:     PayloadDescriptor,
		PayloadNote: "1 << 56 | disposition, 2 << 56 | number of arrays, or 3 << 56 | type of the destination port",
		Remedy: "Send each right in a port descriptor of its own, or in an XPC array of endpoints. Where an array is " +
			"unavoidable, receive it on a port built with MPO_CONNECTION_PORT_WITH_PORT_ARRAY (needs the entitlement " +
			"com.apple.developer.allow-connection-port-with-port-array), one array a message, COPY_SEND.",
		Wrong: `message.ports.address = rights; // mach_port_t[3]
message.ports.count = 3;
message.ports.disposition = MACH_MSG_TYPE_MOVE_SEND;
message.ports.type = MACH_MSG_OOL_PORTS_DESCRIPTOR;`,
		Right: `for (int i = 0; i < 3; i++) { // one inline descriptor for each right
    message.port[i].name = rights[i];
    message.port[i].disposition = MACH_MSG_TYPE_MOVE_SEND;
    message.port[i].type = MACH_MSG_PORT_DESCRIPTOR;
}
message.body.msgh_descriptor_count = 3;`,
		Verified: true,
		Doubts: []string{
			"no public report has been found, neither with OOL_PORT_ARRAY, as Apple's article writes, nor with " +
				"DESCRIPTOR_VIOLATION, as ReportCrash prints",
		},
		Sources: []string{
			srcPolicy + ", ipc_validate_kmsg_header_from_user and ipc_sec_policy_array",
			srcKmsg + ", ipc_kmsg_copyin_ool_ports_descriptor", srcGuardDoc, srcTypesDoc, srcArticle,
		},
		tell: tellPortArray,
	},
	{
		Name: "THREAD_SET_STATE", Guard: GuardMachPort, Flavor: 0x05,
		Enum:        "kGUARD_EXC_THREAD_SET_STATE",
		ReportCrash: "THREAD_SET_STATE",
		Documented:  true,
		Title:       "registers of a thread set from outside",
		Class:       Fatal,
		KillsFrom:   Level1,
		Cases: []Case{
			{
				ID: "registers", KillsFrom: Level1, OfTarget: true,
				When: "thread_set_state or act_set_state names a flavor that holds the program counter or the link " +
					"register, for a thread that is not stopped in a Mach exception, even one's own",
				Exempt: "callers with com.apple.private.thread-set-state",
			},
			{
				ID: "in-exception-macos", KillsFrom: Level2, OfTarget: true, On: []string{"macOS", "bridgeOS"},
				When: "another task sets any state of a thread that is stopped in a Mach exception",
				Exempt: "callers with com.apple.private.thread-set-state; debuggers attached to the target; the " +
					"task's own exception handler",
			},
			{
				ID: "in-exception", KillsFrom: Level1, OfTarget: true, NotOn: []string{"macOS", "bridgeOS"},
				When: "another task sets any state of a thread that is stopped in a Mach exception",
				Exempt: "callers with com.apple.private.thread-set-state; debuggers attached to the target; the " +
					"task's own exception handler",
			},
			{
				ID: "debug-registers", KillsFrom: LevelNone, OfTarget: true, Special: true,
				When:   "the debug registers are set of a task whose pointer-authentication failures are fatal (arm64e)",
				Exempt: "callers with com.apple.private.thread-set-state",
			},
		},
		Since: Version{13, 4},
		History: []Era{
			{From: Version{13, 4}, XNU: "xnu-8796.101.5", Flavor: 0x05, Class: Fatal, KillsFrom: LevelPlatform,
				Target: TargetUnused, Payload: PayloadUnused,
				Note: "judged on the caller, which has to be a platform binary; debugger entitlements exempt it"},
			{From: Version{14, 0}, XNU: "xnu-10002.1.13", Flavor: 0x05, Class: Fatal, KillsFrom: LevelPlatform,
				Target: TargetUnused, Payload: PayloadUnused, Note: "debug registers of fatal-PAC tasks added"},
			{From: Version{14, 4}, XNU: "xnu-10063.101.15", Flavor: 0x05, Class: Fatal, KillsFrom: Level1,
				Target: TargetUnused, Payload: PayloadUnused,
				Note: "judged on the task acted upon: a platform binary or a browser engine"},
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x05, Class: Fatal, KillsFrom: Level1,
				Target: TargetThreadFlavor, Payload: PayloadThreadState, Note: "levels replace the older notion of a " +
					"hardened binary",
				Unsure: "whether 26.0 to 26.3 already store the flavor in the target; the newest kernel does"},
		},
		Happened: "The process set the registers of a thread through the kernel.",
		Trigger: "thread_set_state or act_set_state is called for a thread of a task that is protected. What counts " +
			"is the level of the task whose thread is changed, so an ordinary tool is killed for touching a hardened " +
			"process.",
		Gain: "Whoever sets a program counter or a link register runs code of his choice in the target, past its " +
			"code signature.",
		Return: "KERN_NO_ACCESS (8)",
		Target: TargetThreadFlavor,
		TargetNote: "the flavor number, such as 6 for ARM_THREAD_STATE64; 0 before macOS 26, whose reports tell no " +
			"detail",
		Payload: PayloadThreadState,
		PayloadNote: "0 at every call site that was read; Apple's text documents 1 << 56 exception handler, 2 << 56 " +
			"registers, 3 << 56 fatal PAC",
		Remedy: "Let the thread change itself: answer its exception with a new state (behavior " +
			"EXCEPTION_STATE_IDENTITY_PROTECTED, or a signal handler that edits its ucontext). To start code " +
			"elsewhere use pthread_create; to inspect use thread_get_state, which is not restricted.",
		Wrong: `thread_suspend(thread);
arm_thread_state64_t state;
mach_msg_type_number_t count = ARM_THREAD_STATE64_COUNT;
thread_get_state(thread, ARM_THREAD_STATE64, (thread_state_t)&state, &count);
arm_thread_state64_set_pc_fptr(state, resume_here);
thread_set_state(thread, ARM_THREAD_STATE64, (thread_state_t)&state, count);`,
		Right: `// The faulting thread changes its own state on the way out of its signal handler.
static void on_fault(int signal, siginfo_t *info, void *context) {
    ucontext_t *thread = context;
    arm_thread_state64_set_pc_fptr(thread->uc_mcontext->__ss, resume_here);
}`,
		Verified: true,
		Doubts: []string{
			"the payload flags that Apple's text lists are passed by no call site of the newest public kernel",
			"whether thread_create_running is checked in every branch of the kernel; no public source shows a check",
		},
		Sources: []string{
			srcThreadAct + ", thread_set_state_allowed", srcGuardDoc, srcArticle,
			"public crash report: frida/frida issue 2722 (macOS 14.4, code 0x2000000500000000)",
		},
		tell: tellThreadSetState,
	},
	{
		Name: "SET_EXCEPTION_BEHAVIOR", Guard: GuardMachPort, Flavor: 0x06,
		Enum:        "kGUARD_EXC_EXCEPTION_BEHAVIOR_ENFORCE",
		ReportCrash: "SET_EXCEPTION_BEHAVIOR",
		Documented:  true,
		Title:       "exception handler that receives task and thread ports",
		Class:       Fatal,
		KillsFrom:   Level1,
		Cases: []Case{
			{
				ID: "behavior", KillsFrom: Level1, OfTarget: true,
				When: "a live port is registered with the behavior EXCEPTION_DEFAULT or EXCEPTION_STATE_IDENTITY, " +
					"whatever flag bits it carries, for a task, its threads, or a program being spawned",
				Exempt: "callers with com.apple.private.set-exception-port; macOS with System Integrity Protection off",
			},
			{
				ID: "host", KillsFrom: LevelNone, Special: true,
				When: "host_set_exception_ports or host_swap_exception_ports registers a live port with one of these " +
					"behaviors; needs the privileged host port",
				Exempt: "callers with com.apple.private.set-exception-port; macOS with System Integrity Protection off",
			},
			{
				ID: "only-one-exception-port", KillsFrom: Level1, OfTarget: true, Special: true,
				When: "the task carries com.apple.security.only-one-exception-port and any exception port is set " +
					"other than through task_register_hardened_exception_handler, even a null one",
				Exempt: "callers with com.apple.private.set-exception-port",
			},
		},
		Since: Version{14, 0},
		History: []Era{
			{From: Version{14, 0}, XNU: "xnu-10002.1.13", Flavor: 0x01000000, Class: Soft, KillsFrom: Never,
				Target: TargetPortName, Payload: PayloadUnused, Note: "telemetry; the target is the name of the new " +
					"port"},
			{From: Version{14, 4}, XNU: "xnu-10063.101.15", Flavor: 0x06, Class: Fatal, KillsFrom: Level1,
				Target: TargetKernelPointer, Payload: PayloadUnused,
				Note: "fatal for platform binaries and browser engines; returned KERN_NO_ACCESS",
				Unsure: "the target of 14.4 is meant to be the new port; the values in public reports look like " +
					"halves of kernel addresses"},
			{From: Version{15, 0}, XNU: "xnu-11215.1.10", Flavor: 0x06, Class: Fatal, KillsFrom: Level1,
				Target: TargetUnused, Payload: PayloadUnused, Note: "returns KERN_DENIED; reports tell no detail"},
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x06, Class: Fatal, KillsFrom: Level1,
				Target: TargetBehavior, Payload: PayloadMask, Note: "behavior and mask stand in the report"},
		},
		Happened: "The process registered an exception handler with a behavior that hands out control of the task " +
			"and its threads.",
		Trigger: "task_, thread_ or host_set_exception_ports, the swap variants, " +
			"task_register_hardened_exception_handler or posix_spawnattr_setexceptionports_np name EXCEPTION_DEFAULT " +
			"or EXCEPTION_STATE_IDENTITY with a live port. A null or dead port takes handlers away and is always " +
			"allowed. The flags MACH_EXCEPTION_CODES, MACH_EXCEPTION_ERRORS and MACH_EXCEPTION_BACKTRACE_PREFERRED " +
			"do not matter.",
		Gain: "A handler with these behaviors receives the task and thread ports with every exception: who plants " +
			"one gains control of the process as soon as it faults.",
		Return:      "KERN_DENIED (53); EINVAL from posix_spawn; KERN_NO_ACCESS (8) in macOS 14.4",
		Target:      TargetBehavior,
		TargetNote:  "the behavior with its flag bits; 0 in macOS 15, without meaning in 14.4",
		Payload:     PayloadMask,
		PayloadNote: "the exception mask; 0 before macOS 26",
		Remedy: "Register with EXCEPTION_STATE_IDENTITY_PROTECTED, EXCEPTION_IDENTITY_PROTECTED or EXCEPTION_STATE " +
			"(with MACH_EXCEPTION_CODES): the handler then receives a task identity token and a thread id. To find " +
			"the thread in its own process the handler compares thread ids; to clear handlers pass MACH_PORT_NULL.",
		Wrong: `task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, port,
                         EXCEPTION_DEFAULT | MACH_EXCEPTION_CODES, THREAD_STATE_NONE);`,
		Right: `task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, port,
                         EXCEPTION_STATE_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES, ARM_THREAD_STATE64);
// Intel: x86_THREAD_STATE64; handled by catch_mach_exception_raise_state_identity_protected (message id 2410)`,
		Verified: true,
		Doubts: []string{
			"whether the boot argument thid_should_crash=0 is honoured on release kernels",
		},
		Sources: []string{
			srcIPCTT + ", set_exception_ports_validation, set_exception_behavior_allowed, " +
				"exception_is_identity_protected",
			srcGuardDoc, srcArticle,
			"public crash report: firebase/firebase-ios-sdk issue 15393 (code 0x2000000680000001)",
		},
		tell: tellExceptionBehavior,
	},
	{
		Name: "ILLEGAL_MOVE", Guard: GuardMachPort, Flavor: 0x20,
		Enum:        "kGUARD_EXC_IMMOVABLE",
		ReportCrash: "ILLEGAL_MOVE",
		Documented:  true,
		Title:       "port right that may not leave the process",
		Class:       Fatal,
		KillsFrom:   LevelNone,
		Cases: []Case{
			{
				ID: "immovable-type", KillsFrom: LevelNone,
				When: "a right is moved or copied that its port type binds to the process: reply ports, connection ports, " +
					"task and thread read or inspect ports, IOKit connections, and the receive rights of timers and exception " +
					"ports, and of connection ports after their first move",
			},
			{
				ID: "guarded-receive", KillsFrom: LevelNone,
				When: "a receive right is moved that was made immovable with MPO_IMMOVABLE_RECEIVE or " +
					"mach_port_guard_with_flags(MPG_IMMOVABLE_RECEIVE)",
			},
			{
				ID: "own-control-port-macos", KillsFrom: Level1, On: []string{"macOS"},
				When:   "the process sends its own task or thread control port",
				Exempt: "com.apple.security.get-movable-control-port; System Integrity Protection off",
				Unsure: "what exactly the MAC hook behind that entitlement checks",
			},
			{
				ID: "own-control-port", KillsFrom: LevelNone, NotOn: []string{"macOS"},
				When:   "the process sends its own task or thread control port",
				Exempt: "com.apple.security.get-movable-control-port",
				Unsure: "what exactly the MAC hook behind that entitlement checks",
			},
		},
		Since: Version{10, 15},
		History: []Era{
			{From: Version{10, 15}, XNU: "xnu-6153.11.26", Flavor: 0x20, Class: Fatal, KillsFrom: LevelNone,
				Target: TargetPortName, Payload: PayloadUnused, Note: "payload always 0"},
			{From: Version{12, 0}, XNU: "xnu-8019.41.5", Flavor: 0x20, Class: Fatal, KillsFrom: LevelNone,
				Target: TargetPortName, Payload: PayloadUnused,
				Note: "own task and thread ports included, fatal or soft (0x400000) by the task's class; payload 0, " +
					"or 1 << 56 for a pinned port"},
			{From: Version{26, 0}, XNU: "xnu-12377", Flavor: 0x20, Class: Fatal, KillsFrom: LevelNone,
				Target: TargetPortName, Payload: PayloadTypeDisposition,
				Note:   "the payload names the port type and the disposition",
				Unsure: unsureTypes},
		},
		Happened: "The process tried to give away a port right that is not allowed to leave it.",
		Trigger: "A right is copied in from the process (destination, reply field, descriptor, port array, " +
			"insert_right or extract_right) and its entry or its port is immovable. Naming an immovable send right " +
			"as the destination of a message is allowed, and so is sending it to a kernel object.",
		Gain: "Whoever receives the task port of a process controls it; whoever receives a reply or connection port " +
			"can stand in the middle of its conversations.",
		Return: "KERN_INVALID_CAPABILITY (20); MACH_SEND_INVALID_RIGHT (0x1000000a) for a right in the body of a " +
			"message, MACH_SEND_INVALID_REPLY (0x10000009) for the reply field",
		Target:     TargetPortName,
		TargetNote: "the name of the port in the process that was killed",
		Payload:    PayloadTypeDisposition,
		PayloadNote: "0 for a receive right, and always before macOS 26; else port type << 32 | disposition, where 18 " +
			"stands for any right in the reply field",
		Remedy: "Do not send the right. Prove identity with a task identity token (task_create_identity_token), let " +
			"the process do the work itself and send the result, or let the peer build its own connection (XPC " +
			"endpoint).",
		Wrong: `message.port.name = mach_task_self(); // hands the receiver control of this process
message.port.disposition = MACH_MSG_TYPE_COPY_SEND;
message.port.type = MACH_MSG_PORT_DESCRIPTOR;`,
		Right: `task_id_token_t token; // says who we are and gives no control
task_create_identity_token(mach_task_self(), &token);

message.port.name = token;
message.port.disposition = MACH_MSG_TYPE_MOVE_SEND;
message.port.type = MACH_MSG_PORT_DESCRIPTOR;`,
		Verified: true,
		Sources: []string{
			srcRight + ", ipc_right_copyin",
			srcPolicy + ", ipc_move_receive_allowed, ipc_should_mark_immovable_send, " +
				"mach_port_guard_exception_immovable",
			srcGuardDoc, srcTypesDoc, srcArticle,
			"public crash report: frida/frida issue 2107 (macOS 12.3.1, code 0x2000002000000203)",
		},
		tell: tellIllegalMove,
	},
}
