package conscience

import (
	"fmt"
	"strings"
)

// act is something that kills with one value and does not with another.
type act struct {
	name, what string
	typ        string // of the value
	bad, good  string
	constant   bool // the values are constants
	call       string
	helpers    string
	body       string // of void act(value_t p)
	rule, from string
	also       []string
	needs      string
}

// A port whose receive right the program holds, with a send right under the same name.
const newPort = `NOINLINE static mach_port_t new_port(void) {
	mach_port_t port;
	if (mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port) != KERN_SUCCESS) abort();
	if (mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND) != KERN_SUCCESS) abort();
	return port;
}
`

const newReplyPort = `NOINLINE static mach_port_t new_reply_port(void) {
	mach_port_options_t options;
	mach_port_t port;
	memset(&options, 0, sizeof options);
	options.flags = MPO_REPLY_PORT;
	if (mach_port_construct(mach_task_self(), &options, 0, &port) != KERN_SUCCESS) abort();
	return port;
}
`

// A message to a port of one's own that carries one descriptor.
const oneDescriptor = `struct message { mach_msg_header_t header; mach_msg_body_t body; DESCRIPTOR port; };
`

// A thread that waits until it is suspended.
const restingThread = `#if defined __aarch64__
#define VECTOR_STATE ARM_NEON_STATE64
#define VECTOR_COUNT ARM_NEON_STATE64_COUNT
#else
#define VECTOR_STATE x86_FLOAT_STATE64
#define VECTOR_COUNT x86_FLOAT_STATE64_COUNT
#endif
extern int pause(void);
static volatile thread_t resting;
static void *rest(void *p) { for (resting = mach_thread_self();;) pause(); return p; }
`

const setState = `	static natural_t state[1296];
	pthread_t t;
	thread_t thread;
	if (pthread_create(&t, 0, rest, 0) != 0) abort();
	while ((thread = resting) == MACH_PORT_NULL) { }
	while (thread_suspend(thread) != KERN_SUCCESS) { } // a busy Linux may not stop it in time
	CALL(FUNCTION)(thread, p, (thread_state_t)state,
		p == MACHINE_THREAD_STATE ? MACHINE_THREAD_STATE_COUNT : VECTOR_COUNT);
`

// right is an act that sends a right in a descriptor: bad, or one to a port of one's own.
func right(name, bad, disposition string, also ...string) act {
	return act{name: name, what: "a right in a message, " + disposition, typ: "mach_port_t", bad: bad, good: "new_port()",
		call: "mach_msg", helpers: newPort + "#define DESCRIPTOR mach_msg_port_descriptor_t\n" + oneDescriptor,
		body: `	struct message message;
	memset(&message, 0, sizeof message);
	message.header.msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0);
	message.header.msgh_size = sizeof message;
	message.header.msgh_remote_port = new_port();
	message.body.msgh_descriptor_count = 1;
	message.port.name = p;
	message.port.disposition = ` + disposition + `;
	message.port.type = MACH_MSG_PORT_DESCRIPTOR;
	CALL(mach_msg)(&message.header, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof message, 0, MACH_PORT_NULL, 10,
		MACH_PORT_NULL);
`, rule: "ILLEGAL_MOVE", from: "1", also: also}
}

// kernelReply is an act that calls a routine of a kernel object with a port of its own for the answer. The routine finds
// its arguments missing.
func kernelReply(name, destination string, id int) act {
	return act{name: name, what: "a call of " + destination + " with a port for the answer", typ: "mach_port_t",
		bad: "new_port()", good: "mig_get_reply_port()", call: "mach_msg2_internal", helpers: newPort,
		body: `	struct { mach_msg_header_t header; char rest[256]; } message;
	memset(&message, 0, sizeof message);
	message.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	message.header.msgh_size = sizeof message.header;
	message.header.msgh_remote_port = ` + destination + `;
	message.header.msgh_local_port = p;
	message.header.msgh_id = ` + fmt.Sprint(id) + `;
	CALL(mach_msg2_internal)(&message, MACH_SEND_MSG | MACH_RCV_MSG | MACH_RCV_TIMEOUT | 1ull << 33,
		message.header.msgh_bits | (unsigned long long)sizeof message.header << 32,
		message.header.msgh_remote_port | (unsigned long long)p << 32, ` + fmt.Sprint(id) + `ull << 32,
		(unsigned long long)p << 32, sizeof message, 10);
`, rule: "KOBJECT_REPLY_PORT_SEMANTICS", from: "1"}
}

// kernelMessage begins an act that sends a raw message to a kernel object: the header of one.
const kernelMessage = `	struct { mach_msg_header_t header; char rest[64]; } message;
	memset(&message, 0, sizeof message);
	message.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	message.header.msgh_size = sizeof message.header;
	message.header.msgh_remote_port = p;
	message.header.msgh_id = 3409;
`

var acts = []act{
	{name: "task-behavior", what: "exception ports of the task", typ: "exception_behavior_t", constant: true,
		bad:  "(exception_behavior_t)(EXCEPTION_DEFAULT | MACH_EXCEPTION_CODES)",
		good: "(exception_behavior_t)(EXCEPTION_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES)", call: "task_set_exception_ports",
		helpers: newPort,
		body: `	CALL(task_set_exception_ports)(mach_task_self(), EXC_MASK_BAD_ACCESS | EXC_MASK_BREAKPOINT, new_port(), p,
		THREAD_STATE_NONE);
`, rule: "SET_EXCEPTION_BEHAVIOR", from: "1"},
	{name: "thread-behavior", what: "exception ports of a thread", typ: "exception_behavior_t", constant: true,
		bad:  "(exception_behavior_t)(EXCEPTION_STATE_IDENTITY | MACH_EXCEPTION_CODES)",
		good: "(exception_behavior_t)(EXCEPTION_STATE | MACH_EXCEPTION_CODES)", call: "thread_set_exception_ports",
		helpers: newPort,
		body: `	CALL(thread_set_exception_ports)(mach_thread_self(), EXC_MASK_ARITHMETIC, new_port(), p, MACHINE_THREAD_STATE);
`, rule: "SET_EXCEPTION_BEHAVIOR", from: "1"},
	{name: "handler", what: "a port for exceptions that hand out the task", typ: "mach_port_t",
		bad: "new_port()", good: "MACH_PORT_NULL", call: "task_set_exception_ports", helpers: newPort,
		body: `	CALL(task_set_exception_ports)(mach_task_self(), EXC_MASK_BAD_ACCESS, p,
		(exception_behavior_t)(EXCEPTION_DEFAULT | MACH_EXCEPTION_CODES), THREAD_STATE_NONE);
`, rule: "SET_EXCEPTION_BEHAVIOR", from: "1"},
	{name: "registers", what: "the state of a thread that is suspended", typ: "thread_state_flavor_t", constant: true,
		bad: "MACHINE_THREAD_STATE", good: "VECTOR_STATE", call: "thread_set_state",
		helpers: restingThread, body: strings.ReplaceAll(setState, "FUNCTION", "thread_set_state"),
		rule: "THREAD_SET_STATE", from: "1"},
	{name: "act-registers", what: "the state of a thread that is suspended, with the older call",
		typ: "thread_state_flavor_t", constant: true, bad: "MACHINE_THREAD_STATE", good: "VECTOR_STATE", call: "act_set_state",
		helpers: restingThread, body: strings.ReplaceAll(setState, "FUNCTION", "act_set_state"),
		rule: "THREAD_SET_STATE", from: "1"},
	{name: "construct", what: "a port that needs an entitlement", typ: "unsigned", constant: true,
		bad: "(unsigned)MPO_WEAK_REPLY_PORT", good: "(unsigned)MPO_REPLY_PORT", call: "mach_port_construct",
		body: `	mach_port_options_t options;
	mach_port_t port;
	memset(&options, 0, sizeof options);
	options.flags = p;
	CALL(mach_port_construct)(mach_task_self(), &options, 0, &port);
`, rule: "INVALID_MPO_ENTITLEMENT", from: "1"},
	{name: "kernel-message", what: "a message to a kernel object that mach_msg sends", typ: "mach_port_t",
		bad: "mach_task_self()", good: "new_port()", call: "mach_msg", helpers: newPort,
		body: kernelMessage + `	CALL(mach_msg)(&message.header, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof message.header, 0, MACH_PORT_NULL, 10,
		MACH_PORT_NULL);
`, rule: "INVALID_OPTIONS", from: "none"},
	{name: "overwrite", what: "a message to a kernel object that mach_msg_overwrite sends", typ: "mach_port_t",
		bad: "mach_task_self()", good: "new_port()", call: "mach_msg_overwrite", helpers: newPort,
		body: kernelMessage + `	CALL(mach_msg_overwrite)(&message.header, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof message.header, 0, MACH_PORT_NULL,
		10, MACH_PORT_NULL, &message.header, sizeof message);
`, rule: "INVALID_OPTIONS", from: "none"},
	{name: "bootstrap-reply", what: "a request to launchd with a port for the answer", typ: "mach_port_t",
		bad: "new_port()", good: "new_reply_port()", call: "mach_msg", helpers: newPort + newReplyPort,
		body: `	struct { mach_msg_header_t header; char rest[64]; } message;
	memset(&message, 0, sizeof message);
	message.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	message.header.msgh_size = sizeof message.header;
	message.header.msgh_remote_port = bootstrap_port;
	message.header.msgh_local_port = p;
	message.header.msgh_id = 1;
	CALL(mach_msg)(&message.header, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof message.header, 0, MACH_PORT_NULL, 10,
		MACH_PORT_NULL);
`, rule: "REQUIRE_REPLY_PORT_SEMANTICS", from: "2", needs: "launchd"},
	{name: "service-reply", what: "a request to a service with a port for the answer", typ: "mach_port_t",
		bad: "mach_reply_port()", good: "mig_get_reply_port()", call: "mach_msg",
		body: `	struct { mach_msg_header_t header; char rest[64]; } message;
	mach_port_t service;
	if (bootstrap_look_up(bootstrap_port, "dev.portcullis.conscience", &service) != KERN_SUCCESS) return;
	memset(&message, 0, sizeof message);
	message.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	message.header.msgh_size = sizeof message.header;
	message.header.msgh_remote_port = service;
	message.header.msgh_local_port = p;
	message.header.msgh_id = 100;
	CALL(mach_msg)(&message.header, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof message.header, 0, MACH_PORT_NULL, 10,
		MACH_PORT_NULL);
`, rule: "REQUIRE_REPLY_PORT_SEMANTICS", from: "none", needs: "launchd"},
	{name: "port-array", what: "out-of-line data in a message", typ: "unsigned", constant: true,
		bad: "(unsigned)MACH_MSG_OOL_PORTS_DESCRIPTOR", good: "(unsigned)MACH_MSG_OOL_DESCRIPTOR", call: "mach_msg",
		helpers: newPort + "#define DESCRIPTOR mach_msg_ool_ports_descriptor_t\n" + oneDescriptor,
		body: `	static mach_port_t rights[2];
	struct message message;
	rights[0] = new_port();
	memset(&message, 0, sizeof message);
	message.header.msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0);
	message.header.msgh_size = sizeof message;
	message.header.msgh_remote_port = rights[0];
	message.body.msgh_descriptor_count = 1;
	message.port.address = rights;
	message.port.count = 1;
	message.port.copy = MACH_MSG_VIRTUAL_COPY;
	message.port.disposition = MACH_MSG_TYPE_COPY_SEND;
	message.port.type = p;
	CALL(mach_msg)(&message.header, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof message, 0, MACH_PORT_NULL, 10,
		MACH_PORT_NULL);
`, rule: "OOL_PORT_ARRAY", from: "2"},
	right("task-right", "mach_task_self()", "MACH_MSG_TYPE_COPY_SEND"),
	right("task-move", "mach_task_self()", "MACH_MSG_TYPE_MOVE_SEND", "MOD_REFS"),
	right("thread-right", "mach_thread_self()", "MACH_MSG_TYPE_MOVE_SEND", "MOD_REFS"),
	right("pthread-right", "pthread_mach_thread_np(pthread_self())", "MACH_MSG_TYPE_COPY_SEND"),
	kernelReply("task-reply", "mach_task_self()", 3409),
	kernelReply("thread-reply", "mach_thread_self()", 3612),
	kernelReply("host-reply", "mach_host_self()", 200),
	{name: "pinned", what: "a name that is destroyed", typ: "mach_port_t",
		bad: "mach_task_self()", good: "new_port()", call: "mach_port_destroy", helpers: newPort,
		body: `	CALL(mach_port_destroy)(mach_task_self(), p);
`, rule: "MOD_REFS", from: "1"},
	{name: "legacy-trap", what: "the old trap", typ: "mach_msg_option_t", constant: true,
		bad: "MACH_SEND_MSG", good: "MACH_RCV_MSG | MACH_RCV_TIMEOUT", call: "mach_msg_trap", helpers: newPort +
			"extern mach_msg_return_t mach_msg_trap(mach_msg_header_t *, mach_msg_option_t, mach_msg_size_t,\n" +
			"\tmach_msg_size_t, mach_port_name_t, mach_msg_timeout_t, mach_port_name_t);\n",
		body: `	struct { mach_msg_header_t header; char rest[64]; } message;
	mach_port_t port = new_port();
	memset(&message, 0, sizeof message);
	message.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0);
	message.header.msgh_size = sizeof message.header;
	message.header.msgh_remote_port = port;
	CALL(mach_msg_trap)(&message.header, p, sizeof message.header, sizeof message, port, 1, MACH_PORT_NULL);
`, rule: "INVALID_OPTIONS", from: "none"},
	{name: "options", what: "a message that says what its destination is", typ: "unsigned long long", constant: true,
		bad: "(unsigned long long)MACH_SEND_MSG", good: "((unsigned long long)MACH_SEND_MSG | 1ull << 34)",
		call: "mach_msg2_internal", helpers: newPort,
		body: `	mach_msg_header_t header;
	memset(&header, 0, sizeof header);
	header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0);
	header.msgh_size = sizeof header;
	header.msgh_remote_port = new_port();
	CALL(mach_msg2_internal)(&header, p, header.msgh_bits | (unsigned long long)sizeof header << 32,
		header.msgh_remote_port, 0, 0, 0, 0);
`, rule: "INVALID_OPTIONS", from: "none"},
}
