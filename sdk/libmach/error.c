/* Codes in words. */
#include <stdio.h>
#include <stddef.h>

#include <mach/mach_error.h>
#include <mach/message.h>
#include <mach/mig_errors.h>
#include <servers/bootstrap.h>

struct text {
	mach_error_t code;
	const char *words;
};

/* The words are those that programs and their logs know from macOS. */
static const struct text texts[] = {
	{ KERN_SUCCESS, "(os/kern) successful" },
	{ KERN_INVALID_ADDRESS, "(os/kern) invalid address" },
	{ KERN_PROTECTION_FAILURE, "(os/kern) protection failure" },
	{ KERN_NO_SPACE, "(os/kern) no space available" },
	{ KERN_INVALID_ARGUMENT, "(os/kern) invalid argument" },
	{ KERN_FAILURE, "(os/kern) failure" },
	{ KERN_RESOURCE_SHORTAGE, "(os/kern) resource shortage" },
	{ KERN_NOT_RECEIVER, "(os/kern) not receiver" },
	{ KERN_NO_ACCESS, "(os/kern) no access" },
	{ KERN_MEMORY_FAILURE, "(os/kern) memory failure" },
	{ KERN_MEMORY_ERROR, "(os/kern) memory error" },
	{ KERN_ALREADY_IN_SET, "(os/kern) already in set" },
	{ KERN_NOT_IN_SET, "(os/kern) not in set" },
	{ KERN_NAME_EXISTS, "(os/kern) name exists" },
	{ KERN_ABORTED, "(os/kern) aborted" },
	{ KERN_INVALID_NAME, "(os/kern) invalid name" },
	{ KERN_INVALID_TASK, "(os/kern) invalid task" },
	{ KERN_INVALID_RIGHT, "(os/kern) invalid right" },
	{ KERN_INVALID_VALUE, "(os/kern) invalid value" },
	{ KERN_UREFS_OVERFLOW, "(os/kern) urefs overflow" },
	{ KERN_INVALID_CAPABILITY, "(os/kern) invalid capability" },
	{ KERN_RIGHT_EXISTS, "(os/kern) right exists" },
	{ KERN_INVALID_HOST, "(os/kern) invalid host" },
	{ KERN_MEMORY_PRESENT, "(os/kern) memory present" },
	{ KERN_MEMORY_DATA_MOVED, "(os/kern) memory data moved" },
	{ KERN_MEMORY_RESTART_COPY, "(os/kern) memory restart copy" },
	{ KERN_INVALID_PROCESSOR_SET, "(os/kern) invalid processor set" },
	{ KERN_POLICY_LIMIT, "(os/kern) policy limit" },
	{ KERN_INVALID_POLICY, "(os/kern) invalid policy" },
	{ KERN_INVALID_OBJECT, "(os/kern) object terminated" },
	{ KERN_ALREADY_WAITING, "(os/kern) already waiting" },
	{ KERN_DEFAULT_SET, "(os/kern) default set" },
	{ KERN_EXCEPTION_PROTECTED, "(os/kern) exception protected" },
	{ KERN_INVALID_LEDGER, "(os/kern) invalid ledger" },
	{ KERN_INVALID_MEMORY_CONTROL, "(os/kern) invalid memory control" },
	{ KERN_INVALID_SECURITY, "(os/kern) invalid security" },
	{ KERN_NOT_DEPRESSED, "(os/kern) not depressed" },
	{ KERN_TERMINATED, "(os/kern) object terminated" },
	{ KERN_LOCK_SET_DESTROYED, "(os/kern) lock set destroyed" },
	{ KERN_LOCK_UNSTABLE, "(os/kern) lock unstable" },
	{ KERN_LOCK_OWNED, "(os/kern) lock owned by another" },
	{ KERN_LOCK_OWNED_SELF, "(os/kern) lock owned by self" },
	{ KERN_SEMAPHORE_DESTROYED, "(os/kern) semaphore destroyed" },
	{ KERN_RPC_SERVER_TERMINATED, "(os/kern) RPC terminated" },
	{ KERN_RPC_TERMINATE_ORPHAN, "(os/kern) terminate orphan" },
	{ KERN_RPC_CONTINUE_ORPHAN, "(os/kern) let orphan continue" },
	{ KERN_NOT_SUPPORTED, "(os/kern) service not supported" },
	{ KERN_NODE_DOWN, "(os/kern) remote node down" },
	{ KERN_NOT_WAITING, "(os/kern) thread not waiting" },
	{ KERN_OPERATION_TIMED_OUT, "(os/kern) operation timed out" },
	{ KERN_CODESIGN_ERROR, "(os/kern) code signing error" },
	{ KERN_POLICY_STATIC, "(os/kern) policy is static" },
	{ KERN_INSUFFICIENT_BUFFER_SIZE, "(os/kern) insufficient buffer size" },
	{ KERN_DENIED, "(os/kern) denied" },
	{ KERN_NOT_FOUND, "(os/kern) not found" },

	{ MACH_SEND_IN_PROGRESS, "(ipc/send) transfer in progress" },
	{ MACH_SEND_INVALID_DATA, "(ipc/send) invalid data" },
	{ MACH_SEND_INVALID_DEST, "(ipc/send) invalid destination port" },
	{ MACH_SEND_TIMED_OUT, "(ipc/send) timed out" },
	{ MACH_SEND_INVALID_VOUCHER, "(ipc/send) invalid voucher" },
	{ MACH_SEND_INTERRUPTED, "(ipc/send) interrupted" },
	{ MACH_SEND_MSG_TOO_SMALL, "(ipc/send) message is too small" },
	{ MACH_SEND_INVALID_REPLY, "(ipc/send) invalid reply port" },
	{ MACH_SEND_INVALID_RIGHT, "(ipc/send) invalid port right" },
	{ MACH_SEND_INVALID_NOTIFY, "(ipc/send) invalid notify port" },
	{ MACH_SEND_INVALID_MEMORY, "(ipc/send) invalid memory" },
	{ MACH_SEND_NO_BUFFER, "(ipc/send) no msg buffer" },
	{ MACH_SEND_TOO_LARGE, "(ipc/send) msg too large" },
	{ MACH_SEND_INVALID_TYPE, "(ipc/send) invalid msg-type" },
	{ MACH_SEND_INVALID_HEADER, "(ipc/send) invalid msg header" },
	{ MACH_SEND_INVALID_TRAILER, "(ipc/send) invalid msg trailer" },
	{ MACH_SEND_INVALID_OPTIONS, "(ipc/send) invalid options" },
	{ MACH_SEND_NO_GRANT_DEST, "(ipc/send) destination grants no rights" },
	{ MACH_SEND_MSG_FILTERED, "(ipc/send) message filtered" },
	{ MACH_SEND_AUX_TOO_SMALL, "(ipc/send) auxiliary data too small" },
	{ MACH_SEND_AUX_TOO_LARGE, "(ipc/send) auxiliary data too large" },

	{ MACH_RCV_IN_PROGRESS, "(ipc/rcv) transfer in progress" },
	{ MACH_RCV_INVALID_NAME, "(ipc/rcv) invalid name" },
	{ MACH_RCV_TIMED_OUT, "(ipc/rcv) timed out" },
	{ MACH_RCV_TOO_LARGE, "(ipc/rcv) msg too large" },
	{ MACH_RCV_INTERRUPTED, "(ipc/rcv) msg interrupted" },
	{ MACH_RCV_PORT_CHANGED, "(ipc/rcv) port changed" },
	{ MACH_RCV_INVALID_NOTIFY, "(ipc/rcv) invalid notify port" },
	{ MACH_RCV_INVALID_DATA, "(ipc/rcv) invalid data" },
	{ MACH_RCV_PORT_DIED, "(ipc/rcv) port died" },
	{ MACH_RCV_IN_SET, "(ipc/rcv) port in set" },
	{ MACH_RCV_HEADER_ERROR, "(ipc/rcv) header error" },
	{ MACH_RCV_BODY_ERROR, "(ipc/rcv) body error" },
	{ MACH_RCV_INVALID_TYPE, "(ipc/rcv) invalid type" },
	{ MACH_RCV_SCATTER_SMALL, "(ipc/rcv) scatter list too small" },
	{ MACH_RCV_INVALID_TRAILER, "(ipc/rcv) invalid trailer" },
	{ MACH_RCV_INVALID_REPLY, "(ipc/rcv) invalid reply" },
	{ MACH_RCV_INVALID_ARGUMENTS, "(ipc/rcv) invalid arguments" },

	{ MIG_TYPE_ERROR, "(ipc/mig) wrong type" },
	{ MIG_REPLY_MISMATCH, "(ipc/mig) wrong reply message ID" },
	{ MIG_REMOTE_ERROR, "(ipc/mig) server detected error" },
	{ MIG_BAD_ID, "(ipc/mig) bad request message ID" },
	{ MIG_BAD_ARGUMENTS, "(ipc/mig) server type check failure" },
	{ MIG_NO_REPLY, "(ipc/mig) no reply should be sent" },
	{ MIG_EXCEPTION, "(ipc/mig) server raised exception" },
	{ MIG_ARRAY_TOO_LARGE, "(ipc/mig) array not large enough" },
	{ MIG_SERVER_DIED, "(ipc/mig) server died" },
	{ MIG_TRAILER_ERROR, "(ipc/mig) trailer error" },
};

static const char *
words(mach_error_t code)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (texts[i].code == code)
			return texts[i].words;
	if (code >= BOOTSTRAP_NOT_PRIVILEGED && code <= BOOTSTRAP_NO_MEMORY)
		return bootstrap_strerror(code);
	return NULL;
}

char *
mach_error_type(mach_error_t code)
{
	const char *type = "(?/?)";

	switch (err_get_system(code)) {
	case 0:
		type = code >= BOOTSTRAP_NOT_PRIVILEGED ? "(mach/bootstrap)" : "(os/kern)";
		break;
	case 4:
		type = (code & 0x4000) ? "(ipc/rcv)" : "(ipc/send)";
		break;
	case 0x3f:
		type = "(ipc/mig)";
		break;
	}
	return (char *)(uintptr_t)type;
}

char *
mach_error_string(mach_error_t code)
{
	const char *s = words(code);

	/* The memory where something would not fit is told in bits of the code. */
	if (s == NULL && err_get_system(code) == 4)
		s = words(code & ~MACH_MSG_MASK);
	return (char *)(uintptr_t)(s != NULL ? s : "unknown error code");
}

void
mach_error(const char *str, mach_error_t code)
{
	const char *s = words(code);

	if (s != NULL)
		fprintf(stderr, "%s: %s\n", str, s);
	else
		fprintf(stderr, "%s: unknown error code %x (%s)\n", str, (unsigned)code, mach_error_type(code));
}
