package rules

// TargetKind says what the low 32 bits of a code mean for a rule.
type TargetKind uint8

const (
	TargetUnused          TargetKind = iota // 0
	TargetPortName                          // name of the port in the process that was killed
	TargetReceiverName                      // name of the destination in the task that receives from it
	TargetKernelPointer                     // low half of a kernel address: noise
	TargetBehavior                          // exception behavior with its flag bits
	TargetThreadFlavor                      // thread-state flavor
	TargetPolicyWord                        // IPC space policy of the sender
	TargetLegacyMessageID                   // msgh_id for the legacy trap, 0 otherwise
	TargetMPOFlags                          // mach_port_construct flags
	TargetPortType                          // IOT_ or IKOT_ number
	TargetDefenseID                         // number of the service-port rule that was broken
	TargetFD                                // file descriptor
	TargetReasonNamespace                   // exit-reason namespace
	TargetOwnerPID                          // process that set the guard
	TargetTrapFlag                          // 1: Mach trap, 0: BSD system call
	TargetTagFault                          // kind of tag-check fault, and the soft-mode flag
	TargetPID                               // a process
)

// PayloadKind says what the 64-bit payload (the exception's subcode) means for a rule.
type PayloadKind uint8

const (
	PayloadUnused          PayloadKind = iota // 0
	PayloadGuard                              // context the port is guarded with, or guard of the descriptor or file
	PayloadPinned                             // which call gave up a pinned right
	PayloadOptions                            // 64-bit mach_msg options
	PayloadMask                               // exception mask
	PayloadPortName                           // name of the port in the process
	PayloadBootstrap                          // 1: the destination was the bootstrap port
	PayloadTypeDisposition                    // 0, or port type << 32 | disposition
	PayloadNotification                       // message id of the notification asked for
	PayloadDescriptor                         // kind << 56 | detail
	PayloadMessageID                          // msgh_id
	PayloadInvalidRight                       // which check failed << 56 | details
	PayloadInvalidValue                       // which check failed << 56 | details
	PayloadPDRequest                          // which port-destroyed rule was broken
	PayloadReplyEntry                         // entry bits << 32 | disposition
	PayloadDisposition                        // disposition
	PayloadSendRight                          // descriptor kind << 56 | disposition
	PayloadStrictReply                        // flags << 56 | return code
	PayloadPortType                           // IOT_ or IKOT_ number
	PayloadPID                                // process id
	PayloadReasonCode                         // code in the namespace of the target
	PayloadAddress                            // address or offset
	PayloadSyscall                            // number of the call
	PayloadThreadState                        // 0; documented flags << 56
	PayloadCopyinReason                       // part of the message the right stood in
	PayloadSize                               // bytes
)

// targetTexts and payloadTexts hold the name of a kind in JSON and its meaning in the generated page.
var targetTexts = [...]kindText{
	TargetUnused:          {"unused", "always 0"},
	TargetPortName:        {"port-name", "name of the port in the process that was killed"},
	TargetReceiverName:    {"receiver-name", "name of the destination port in the task that receives from it"},
	TargetKernelPointer:   {"kernel-pointer", "low half of a kernel address, without meaning"},
	TargetBehavior:        {"behavior", "the exception behavior asked for, flag bits included"},
	TargetThreadFlavor:    {"thread-flavor", "the thread-state flavor asked for"},
	TargetPolicyWord:      {"policy-word", "the IPC space policy of the sender"},
	TargetLegacyMessageID: {"legacy-message-id", "the message id for the legacy trap, else 0"},
	TargetMPOFlags:        {"mpo-flags", "the flags given to mach_port_construct"},
	TargetPortType:        {"port-type", "the port's type number"},
	TargetDefenseID:       {"defense-id", "number of the service-port rule that was broken"},
	TargetFD:              {"fd", "the file descriptor"},
	TargetReasonNamespace: {"reason-namespace", "the exit-reason namespace"},
	TargetOwnerPID:        {"owner-pid", "process id of the owner of the guard"},
	TargetTrapFlag:        {"trap-flag", "1 for a Mach trap, 0 for a BSD system call"},
	TargetTagFault:        {"tag-fault", "kind of tag-check fault; 0x100000 is set in soft mode"},
	TargetPID:             {"pid", "a process id"},
}

var payloadTexts = [...]kindText{
	PayloadUnused:          {"unused", "always 0"},
	PayloadGuard:           {"guard", "the guard value that really protects the resource"},
	PayloadPinned:          {"pinned", "the call that gave up the right: 1 deallocate, 2 destroy, 3 message"},
	PayloadOptions:         {"options", "the 64-bit mach_msg options, with the sender's policy in bits 40 to 50"},
	PayloadMask:            {"exception-mask", "the exception mask"},
	PayloadPortName:        {"port-name", "name of the port in the process"},
	PayloadBootstrap:       {"bootstrap", "1 when the destination was the bootstrap port, else 0"},
	PayloadTypeDisposition: {"type-disposition", "0 for a receive right, else port type << 32 | disposition"},
	PayloadNotification:    {"notification", "message id of the notification that was asked for"},
	PayloadDescriptor:      {"descriptor", "kind << 56 | detail: 1 disposition, 2 number of arrays, 3 destination's type"},
	PayloadMessageID:       {"message-id", "the message id"},
	PayloadInvalidRight:    {"invalid-right", "the check that failed << 56 | details"},
	PayloadInvalidValue:    {"invalid-value", "the check that failed << 56 | details"},
	PayloadPDRequest:       {"pd-request", "the rule that was broken: 1 to 4"},
	PayloadReplyEntry:      {"reply-entry", "rights held under the name << 32 | disposition"},
	PayloadDisposition:     {"disposition", "the disposition"},
	PayloadSendRight:       {"send-right", "descriptor kind << 56 | disposition"},
	PayloadStrictReply:     {"strict-reply", "flags << 56 | return code"},
	PayloadPortType:        {"port-type", "the port's type number"},
	PayloadPID:             {"pid", "a process id"},
	PayloadReasonCode:      {"reason-code", "the reason code in that namespace"},
	PayloadAddress:         {"address", "the address or offset"},
	PayloadSyscall:         {"syscall", "number of the trap or system call"},
	PayloadThreadState:     {"thread-state", "0; documented as 1, 2 or 3 << 56"},
	PayloadCopyinReason:    {"copyin-reason", "the part of the message the right stood in"},
	PayloadSize:            {"size", "the size in bytes"},
}

type kindText struct{ name, meaning string }

// String returns the name of the kind.
func (k TargetKind) String() string {
	if int(k) < len(targetTexts) {
		return targetTexts[k].name
	}
	return "unknown"
}

// Meaning says in a few words what a target of the kind is.
func (k TargetKind) Meaning() string {
	if int(k) < len(targetTexts) {
		return targetTexts[k].meaning
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (k TargetKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// String returns the name of the kind.
func (k PayloadKind) String() string {
	if int(k) < len(payloadTexts) {
		return payloadTexts[k].name
	}
	return "unknown"
}

// Meaning says in a few words what a payload of the kind is.
func (k PayloadKind) Meaning() string {
	if int(k) < len(payloadTexts) {
		return payloadTexts[k].meaning
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler.
func (k PayloadKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
