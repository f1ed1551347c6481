package mach

import (
	"fmt"
	"strings"
)

// KernReturn is the result of a call: a kern_return_t, a mach_msg_return_t or a MIG error, which share one numbering.
// It is an error whose text is in our own words; String has the constant's name.
//
// Source: XNU osfmk/mach/kern_return.h, message.h and mig_errors.h.
type KernReturn int32

const (
	KernSuccess                KernReturn = 0
	KernInvalidAddress         KernReturn = 1
	KernProtectionFailure      KernReturn = 2
	KernNoSpace                KernReturn = 3
	KernInvalidArgument        KernReturn = 4
	KernFailure                KernReturn = 5
	KernResourceShortage       KernReturn = 6
	KernNotReceiver            KernReturn = 7
	KernNoAccess               KernReturn = 8
	KernMemoryFailure          KernReturn = 9
	KernMemoryError            KernReturn = 10
	KernAlreadyInSet           KernReturn = 11
	KernNotInSet               KernReturn = 12
	KernNameExists             KernReturn = 13
	KernAborted                KernReturn = 14
	KernInvalidName            KernReturn = 15
	KernInvalidTask            KernReturn = 16
	KernInvalidRight           KernReturn = 17
	KernInvalidValue           KernReturn = 18
	KernUrefsOverflow          KernReturn = 19
	KernInvalidCapability      KernReturn = 20
	KernRightExists            KernReturn = 21
	KernInvalidHost            KernReturn = 22
	KernMemoryPresent          KernReturn = 23
	KernMemoryDataMoved        KernReturn = 24
	KernMemoryRestartCopy      KernReturn = 25
	KernInvalidProcessorSet    KernReturn = 26
	KernPolicyLimit            KernReturn = 27
	KernInvalidPolicy          KernReturn = 28
	KernInvalidObject          KernReturn = 29
	KernAlreadyWaiting         KernReturn = 30
	KernDefaultSet             KernReturn = 31
	KernExceptionProtected     KernReturn = 32
	KernInvalidLedger          KernReturn = 33
	KernInvalidMemoryControl   KernReturn = 34
	KernInvalidSecurity        KernReturn = 35
	KernNotDepressed           KernReturn = 36
	KernTerminated             KernReturn = 37
	KernLockSetDestroyed       KernReturn = 38
	KernLockUnstable           KernReturn = 39
	KernLockOwned              KernReturn = 40
	KernLockOwnedSelf          KernReturn = 41
	KernSemaphoreDestroyed     KernReturn = 42
	KernRPCServerTerminated    KernReturn = 43
	KernRPCTerminateOrphan     KernReturn = 44
	KernRPCContinueOrphan      KernReturn = 45
	KernNotSupported           KernReturn = 46
	KernNodeDown               KernReturn = 47
	KernNotWaiting             KernReturn = 48
	KernOperationTimedOut      KernReturn = 49
	KernCodesignError          KernReturn = 50
	KernPolicyStatic           KernReturn = 51
	KernInsufficientBufferSize KernReturn = 52
	KernDenied                 KernReturn = 53
	KernMissingKC              KernReturn = 54
	KernInvalidKC              KernReturn = 55
	KernNotFound               KernReturn = 56

	SendInProgress       KernReturn = 0x10000001
	SendInvalidData      KernReturn = 0x10000002
	SendInvalidDest      KernReturn = 0x10000003
	SendTimedOut         KernReturn = 0x10000004
	SendInvalidVoucher   KernReturn = 0x10000005
	SendInterrupted      KernReturn = 0x10000007
	SendMsgTooSmall      KernReturn = 0x10000008
	SendInvalidReply     KernReturn = 0x10000009
	SendInvalidRight     KernReturn = 0x1000000a
	SendInvalidNotify    KernReturn = 0x1000000b
	SendInvalidMemory    KernReturn = 0x1000000c
	SendNoBuffer         KernReturn = 0x1000000d
	SendTooLarge         KernReturn = 0x1000000e
	SendInvalidType      KernReturn = 0x1000000f
	SendInvalidHeader    KernReturn = 0x10000010
	SendInvalidTrailer   KernReturn = 0x10000011
	SendInvalidContext   KernReturn = 0x10000012
	SendInvalidOptions   KernReturn = 0x10000013
	SendInvalidRTOOLSize KernReturn = 0x10000015
	SendNoGrantDest      KernReturn = 0x10000016
	SendMsgFiltered      KernReturn = 0x10000017
	SendAuxTooSmall      KernReturn = 0x10000018
	SendAuxTooLarge      KernReturn = 0x10000019

	RcvInProgress       KernReturn = 0x10004001
	RcvInvalidName      KernReturn = 0x10004002
	RcvTimedOut         KernReturn = 0x10004003
	RcvTooLarge         KernReturn = 0x10004004
	RcvInterrupted      KernReturn = 0x10004005
	RcvPortChanged      KernReturn = 0x10004006
	RcvInvalidNotify    KernReturn = 0x10004007
	RcvInvalidData      KernReturn = 0x10004008
	RcvPortDied         KernReturn = 0x10004009
	RcvInSet            KernReturn = 0x1000400a
	RcvHeaderError      KernReturn = 0x1000400b
	RcvBodyError        KernReturn = 0x1000400c
	RcvInvalidType      KernReturn = 0x1000400d
	RcvScatterSmall     KernReturn = 0x1000400e
	RcvInvalidTrailer   KernReturn = 0x1000400f
	RcvInProgressTimed  KernReturn = 0x10004011
	RcvInvalidReply     KernReturn = 0x10004012
	RcvInvalidArguments KernReturn = 0x10004013

	MigTypeError     KernReturn = -300
	MigReplyMismatch KernReturn = -301
	MigRemoteError   KernReturn = -302
	MigBadID         KernReturn = -303
	MigBadArguments  KernReturn = -304
	MigNoReply       KernReturn = -305
	MigException     KernReturn = -306
	MigArrayTooLarge KernReturn = -307
	MigServerDied    KernReturn = -308
	MigTrailerError  KernReturn = -309

	// MsgSuccess (MACH_MSG_SUCCESS) is KernSuccess under the name mach_msg gives it.
	MsgSuccess = KernSuccess
)

// Bits that mach_msg adds to a result to say which resource ran out.
const (
	MsgIPCSpace  KernReturn = 0x2000 // no room for names in the receiver's space
	MsgVMSpace   KernReturn = 0x1000 // no room for memory in the receiver's address space
	MsgIPCKernel KernReturn = 0x800  // kernel ran out of memory for rights
	MsgVMKernel  KernReturn = 0x400  // kernel ran out of memory for data
	MsgMask      KernReturn = 0x3e00
)

var returnCodes = []struct {
	code       KernReturn
	name, text string
}{
	{KernSuccess, "KERN_SUCCESS", "success"},
	{KernInvalidAddress, "KERN_INVALID_ADDRESS", "address is not valid in this task"},
	{KernProtectionFailure, "KERN_PROTECTION_FAILURE", "memory is protected against this access"},
	{KernNoSpace, "KERN_NO_SPACE", "no room left for the request"},
	{KernInvalidArgument, "KERN_INVALID_ARGUMENT", "argument is not valid"},
	{KernFailure, "KERN_FAILURE", "operation failed"},
	{KernResourceShortage, "KERN_RESOURCE_SHORTAGE", "out of a resource"},
	{KernNotReceiver, "KERN_NOT_RECEIVER", "task does not hold the receive right"},
	{KernNoAccess, "KERN_NO_ACCESS", "access is not granted"},
	{KernMemoryFailure, "KERN_MEMORY_FAILURE", "memory object destroyed"},
	{KernMemoryError, "KERN_MEMORY_ERROR", "memory object could not supply its data"},
	{KernAlreadyInSet, "KERN_ALREADY_IN_SET", "already in the port set"},
	{KernNotInSet, "KERN_NOT_IN_SET", "in no such port set"},
	{KernNameExists, "KERN_NAME_EXISTS", "name is in use"},
	{KernAborted, "KERN_ABORTED", "operation was aborted"},
	{KernInvalidName, "KERN_INVALID_NAME", "name denotes no right"},
	{KernInvalidTask, "KERN_INVALID_TASK", "not a live task"},
	{KernInvalidRight, "KERN_INVALID_RIGHT", "name denotes another right"},
	{KernInvalidValue, "KERN_INVALID_VALUE", "value is out of range"},
	{KernUrefsOverflow, "KERN_UREFS_OVERFLOW", "user reference count would overflow"},
	{KernInvalidCapability, "KERN_INVALID_CAPABILITY", "right does not allow this"},
	{KernRightExists, "KERN_RIGHT_EXISTS", "task holds the right under another name"},
	{KernInvalidHost, "KERN_INVALID_HOST", "not a host"},
	{KernMemoryPresent, "KERN_MEMORY_PRESENT", "memory is already there"},
	{KernMemoryDataMoved, "KERN_MEMORY_DATA_MOVED", "memory was moved elsewhere"},
	{KernMemoryRestartCopy, "KERN_MEMORY_RESTART_COPY", "copy must be started again"},
	{KernInvalidProcessorSet, "KERN_INVALID_PROCESSOR_SET", "not a processor set"},
	{KernPolicyLimit, "KERN_POLICY_LIMIT", "beyond the limits of the policy"},
	{KernInvalidPolicy, "KERN_INVALID_POLICY", "policy is not valid here"},
	{KernInvalidObject, "KERN_INVALID_OBJECT", "object is not valid"},
	{KernAlreadyWaiting, "KERN_ALREADY_WAITING", "someone is waiting already"},
	{KernDefaultSet, "KERN_DEFAULT_SET", "default processor set cannot be destroyed"},
	{KernExceptionProtected, "KERN_EXCEPTION_PROTECTED", "exception port is protected"},
	{KernInvalidLedger, "KERN_INVALID_LEDGER", "not a ledger"},
	{KernInvalidMemoryControl, "KERN_INVALID_MEMORY_CONTROL", "not a memory control"},
	{KernInvalidSecurity, "KERN_INVALID_SECURITY", "security token refuses this"},
	{KernNotDepressed, "KERN_NOT_DEPRESSED", "thread is not depressed"},
	{KernTerminated, "KERN_TERMINATED", "object was terminated"},
	{KernLockSetDestroyed, "KERN_LOCK_SET_DESTROYED", "lock set was destroyed"},
	{KernLockUnstable, "KERN_LOCK_UNSTABLE", "holder of the lock died"},
	{KernLockOwned, "KERN_LOCK_OWNED", "lock is held by another"},
	{KernLockOwnedSelf, "KERN_LOCK_OWNED_SELF", "lock is held by the caller"},
	{KernSemaphoreDestroyed, "KERN_SEMAPHORE_DESTROYED", "semaphore was destroyed"},
	{KernRPCServerTerminated, "KERN_RPC_SERVER_TERMINATED", "server of the call was terminated"},
	{KernRPCTerminateOrphan, "KERN_RPC_TERMINATE_ORPHAN", "terminate the orphaned call"},
	{KernRPCContinueOrphan, "KERN_RPC_CONTINUE_ORPHAN", "let the orphaned call go on"},
	{KernNotSupported, "KERN_NOT_SUPPORTED", "not supported"},
	{KernNodeDown, "KERN_NODE_DOWN", "remote node is down"},
	{KernNotWaiting, "KERN_NOT_WAITING", "thread was not waiting"},
	{KernOperationTimedOut, "KERN_OPERATION_TIMED_OUT", "operation timed out"},
	{KernCodesignError, "KERN_CODESIGN_ERROR", "code signature refuses this"},
	{KernPolicyStatic, "KERN_POLICY_STATIC", "policy cannot be changed"},
	{KernInsufficientBufferSize, "KERN_INSUFFICIENT_BUFFER_SIZE", "buffer is too small"},
	{KernDenied, "KERN_DENIED", "denied by policy"},
	{KernMissingKC, "KERN_MISSING_KC", "kernel collection is missing"},
	{KernInvalidKC, "KERN_INVALID_KC", "kernel collection is not valid"},
	{KernNotFound, "KERN_NOT_FOUND", "not found"},
	{SendInProgress, "MACH_SEND_IN_PROGRESS", "send is still under way"},
	{SendInvalidData, "MACH_SEND_INVALID_DATA", "message could not be read"},
	{SendInvalidDest, "MACH_SEND_INVALID_DEST", "destination is not a usable send right"},
	{SendTimedOut, "MACH_SEND_TIMED_OUT", "send timed out"},
	{SendInvalidVoucher, "MACH_SEND_INVALID_VOUCHER", "voucher is not valid"},
	{SendInterrupted, "MACH_SEND_INTERRUPTED", "send was interrupted"},
	{SendMsgTooSmall, "MACH_SEND_MSG_TOO_SMALL", "message is shorter than its header or descriptors"},
	{SendInvalidReply, "MACH_SEND_INVALID_REPLY", "reply port is not valid"},
	{SendInvalidRight, "MACH_SEND_INVALID_RIGHT", "right in the body is not valid"},
	{SendInvalidNotify, "MACH_SEND_INVALID_NOTIFY", "notify port is not valid"},
	{SendInvalidMemory, "MACH_SEND_INVALID_MEMORY", "out-of-line memory is not valid"},
	{SendNoBuffer, "MACH_SEND_NO_BUFFER", "no message buffer left"},
	{SendTooLarge, "MACH_SEND_TOO_LARGE", "message is too large"},
	{SendInvalidType, "MACH_SEND_INVALID_TYPE", "descriptor type or disposition is not valid"},
	{SendInvalidHeader, "MACH_SEND_INVALID_HEADER", "header bits are not valid"},
	{SendInvalidTrailer, "MACH_SEND_INVALID_TRAILER", "trailer is not valid"},
	{SendInvalidContext, "MACH_SEND_INVALID_CONTEXT", "send context is not valid"},
	{SendInvalidOptions, "MACH_SEND_INVALID_OPTIONS", "options are not allowed together"},
	{SendInvalidRTOOLSize, "MACH_SEND_INVALID_RT_OOL_SIZE", "out-of-line data too large for a real-time thread"},
	{SendNoGrantDest, "MACH_SEND_NO_GRANT_DEST", "destination takes no such port descriptor"},
	{SendMsgFiltered, "MACH_SEND_MSG_FILTERED", "message filter refused the message"},
	{SendAuxTooSmall, "MACH_SEND_AUX_TOO_SMALL", "auxiliary data is shorter than its header"},
	{SendAuxTooLarge, "MACH_SEND_AUX_TOO_LARGE", "auxiliary data is too large"},
	{RcvInProgress, "MACH_RCV_IN_PROGRESS", "receive is still under way"},
	{RcvInvalidName, "MACH_RCV_INVALID_NAME", "name is neither a receive right nor a port set"},
	{RcvTimedOut, "MACH_RCV_TIMED_OUT", "receive timed out"},
	{RcvTooLarge, "MACH_RCV_TOO_LARGE", "message is larger than the buffer"},
	{RcvInterrupted, "MACH_RCV_INTERRUPTED", "receive was interrupted"},
	{RcvPortChanged, "MACH_RCV_PORT_CHANGED", "port moved into a set during the receive"},
	{RcvInvalidNotify, "MACH_RCV_INVALID_NOTIFY", "notify port is not valid"},
	{RcvInvalidData, "MACH_RCV_INVALID_DATA", "buffer could not be written"},
	{RcvPortDied, "MACH_RCV_PORT_DIED", "port or set died during the receive"},
	{RcvInSet, "MACH_RCV_IN_SET", "port is a member of a set"},
	{RcvHeaderError, "MACH_RCV_HEADER_ERROR", "rights of the header could not be given"},
	{RcvBodyError, "MACH_RCV_BODY_ERROR", "rights or memory of the body could not be given"},
	{RcvInvalidType, "MACH_RCV_INVALID_TYPE", "scatter list has a bad type"},
	{RcvScatterSmall, "MACH_RCV_SCATTER_SMALL", "scatter list is too small"},
	{RcvInvalidTrailer, "MACH_RCV_INVALID_TRAILER", "trailer type or size is not valid"},
	{RcvInProgressTimed, "MACH_RCV_IN_PROGRESS_TIMED", "timed receive is still under way"},
	{RcvInvalidReply, "MACH_RCV_INVALID_REPLY", "reply port is not valid"},
	{RcvInvalidArguments, "MACH_RCV_INVALID_ARGUMENTS", "arguments are not valid"},
	{MigTypeError, "MIG_TYPE_ERROR", "descriptor or type does not match the interface"},
	{MigReplyMismatch, "MIG_REPLY_MISMATCH", "reply has the wrong id"},
	{MigRemoteError, "MIG_REMOTE_ERROR", "remote error"},
	{MigBadID, "MIG_BAD_ID", "no routine has this id"},
	{MigBadArguments, "MIG_BAD_ARGUMENTS", "sizes or counts do not match the interface"},
	{MigNoReply, "MIG_NO_REPLY", "no reply is to be sent"},
	{MigException, "MIG_EXCEPTION", "server raised an exception"},
	{MigArrayTooLarge, "MIG_ARRAY_TOO_LARGE", "array is longer than its bound"},
	{MigServerDied, "MIG_SERVER_DIED", "server died before it replied"},
	{MigTrailerError, "MIG_TRAILER_ERROR", "trailer is not valid"},
}

var resourceBits = flags[KernReturn]{
	{MsgIPCSpace, "MACH_MSG_IPC_SPACE"}, {MsgVMSpace, "MACH_MSG_VM_SPACE"},
	{MsgIPCKernel, "MACH_MSG_IPC_KERNEL"}, {MsgVMKernel, "MACH_MSG_VM_KERNEL"},
}

var (
	returnIndex = map[KernReturn]int{}
	returnNames = map[string]KernReturn{"MACH_MSG_SUCCESS": MsgSuccess}
)

func init() {
	for i, r := range returnCodes {
		returnIndex[r.code] = i
		returnNames[r.name] = r.code
	}
}

// split parts the resource bits from a mach_msg result; other results have none.
func (r KernReturn) split() (code, bits KernReturn) {
	if r&0x10000000 == 0 || r < 0 {
		return r, 0
	}
	return r &^ MsgMask, r & MsgMask
}

// String returns the constant's name, with resource bits joined by "|".
func (r KernReturn) String() string {
	code, bits := r.split()
	i, ok := returnIndex[code]
	if !ok {
		return fmt.Sprintf("kern_return_t(%#x)", uint32(r))
	}
	if bits != 0 {
		return returnCodes[i].name + "|" + resourceBits.list(bits)
	}
	return returnCodes[i].name
}

// Error says in words what happened.
func (r KernReturn) Error() string {
	code, bits := r.split()
	i, ok := returnIndex[code]
	if !ok {
		return r.String()
	}
	s := returnCodes[i].text
	if bits != 0 {
		s += " (" + resourceBits.list(bits) + ")"
	}
	return s + " (" + returnCodes[i].name + ")"
}

// Err returns r as an error, nil for success.
func (r KernReturn) Err() error {
	if r == KernSuccess {
		return nil
	}
	return r
}

// SendTookNothing says that a send failed before the kernel took a right or memory of the message: what is wrong is in its
// header, its size or the options.
//
// Source: XNU osfmk/ipc/mach_msg.c and ipc_kmsg.c, what is checked before ipc_kmsg_copyin_body.
func (r KernReturn) SendTookNothing() bool {
	switch r {
	case SendInvalidDest, SendInvalidReply, SendInvalidHeader, SendInvalidOptions, SendMsgTooSmall, SendTooLarge:
		return true
	}
	return false
}

// ParseKernReturn reads what [KernReturn.String] writes of known codes.
func ParseKernReturn(s string) (KernReturn, bool) {
	name, bits, more := strings.Cut(s, "|")
	r, ok := returnNames[name]
	if more && ok {
		var b KernReturn
		b, ok = resourceBits.parse(bits)
		r |= b
	}
	return r, ok
}
