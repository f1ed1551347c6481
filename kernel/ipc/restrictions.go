package ipc

import "portcullis.dev/mach"

// Movability says how often the receive right of a port may change hands.
type Movability uint8

const (
	MoveAlways        Movability = iota
	MoveNever                    // born immovable
	MoveOnce                     // immovable from its first arrival on
	MoveOnceOrAfterPD            // as MoveOnce, and movable again after a port-destroyed notification brought it home
)

// TypePolicy says how ports of one type behave.
//
// Source: struct ipc_object_policy, XNU osfmk/ipc/ipc_policy.h of the newest public tree.
type TypePolicy struct {
	Movability    Movability
	SendMovable   bool   // a send right may leave the space it is in
	EnforceReply  bool   // messages to it need a proper reply port
	DeadName      bool   // dead-name and send-possible notifications may be armed on it
	NoSenders     bool   // no-senders notifications may be armed on it
	PortDestroyed bool   // port-destroyed notifications may be armed on it
	Notify        bool   // it may receive notifications
	Entitlement   string // needed from level 1 on to construct one
}

// Violation is a guard that a call ran into: the raw material of an EXC_GUARD exception.
type Violation struct {
	Guard   Guard
	Target  uint32
	Payload uint64
}

// Guard numbers mach-port guards: the flavor of the exception code (kGUARD_EXC_*).
//
// Source: XNU osfmk/mach/port.h, mach_port_guard_exception_codes.
type Guard uint32

const (
	GuardDestroy               Guard = 0x1
	GuardModRefs               Guard = 0x2
	GuardInvalidOptions        Guard = 0x3
	GuardSetContext            Guard = 0x4
	GuardThreadSetState        Guard = 0x5
	GuardExceptionBehavior     Guard = 0x6
	GuardServicePort           Guard = 0x7
	GuardUnguarded             Guard = 0x8
	GuardKobjectReply          Guard = 0x9
	GuardRequireReply          Guard = 0xa
	GuardIncorrectGuard        Guard = 0x10
	GuardImmovable             Guard = 0x20
	GuardInvalidNotification   Guard = 0x41
	GuardInvalidMPOEntitlement Guard = 0x42
	GuardDescriptor            Guard = 0x43
	GuardMsgFiltered           Guard = 0x80
	GuardInvalidRight          Guard = 0x100
	GuardInvalidName           Guard = 0x200
	GuardInvalidValue          Guard = 0x400
	GuardInvalidArgument       Guard = 0x800
	GuardKernFailure           Guard = 0x4000
	GuardSendInvalidReply      Guard = 0x10000
	GuardSendInvalidVoucher    Guard = 0x20000
	GuardSendInvalidRight      Guard = 0x40000
	GuardRcvInvalidName        Guard = 0x80000
	GuardMoveWeakReply         Guard = 0x100004
	GuardNotificationPort      Guard = 0x100006
	GuardNotificationPortReq   Guard = 0x100008
	GuardModRefsNonFatal       Guard = 0x200000
)

// Payload packs what most guards carry: a flag in the top byte, 24 bits and 32 bits (MPG_PAYLOAD).
func Payload(flag uint8, a uint32, b uint32) uint64 {
	return uint64(flag)<<56 | uint64(a&0xffffff)<<32 | uint64(b)
}

// Reason says which operation takes a right out of a space (IPC_COPYIN_*); it shows in payloads.
type Reason uint32

const (
	ReasonNone        Reason = 0
	ReasonDestination Reason = 1
	ReasonReply       Reason = 2
	ReasonVoucher     Reason = 3
	ReasonDescriptor  Reason = 4
	ReasonGuarded     Reason = 5
	ReasonOOL         Reason = 6
	ReasonKernel      Reason = 7 // insert_right and extract_right, whose port arguments the kernel takes
)

// PinnedReason says how a pinned right was about to be lost (MPG_FLAGS_MOD_REFS_PINNED_*, unshifted).
type PinnedReason uint64

const (
	PinnedDealloc PinnedReason = 1
	PinnedDestroy PinnedReason = 2
	PinnedCopyin  PinnedReason = 3
)

// Send is what the restrictions get to see of a message whose header rights were taken and whose body was not.
type Send struct {
	ID      int32
	Options mach.Option
	Dest    *Port
	Reply   *Port // nil if there is none or it is dead
	Arrays  int   // out-of-line port arrays in the body
}

// Notify is a port that is to receive notifications, and what it was a moment ago; the port is nil for none.
type Notify struct {
	Port      *Port
	Immovable bool   // its receive right
	Receiver  *Space // who holds that
}

// Restrictions decides what is forbidden although rights allow it, and takes down violations. Its methods are called
// with spaces and ports locked, but for SendHeader and those named before it: they must neither block nor call back.
// A KernReturn other than success ends the call.
type Restrictions interface {
	// Type returns how ports of a type behave; the answer never changes.
	Type(mach.PortType) *TypePolicy
	// Violate takes down a guard that has no decision attached.
	Violate(*Thread, Violation)
	// SendOptions judges the options of a send before anything is looked at.
	SendOptions(t *Thread, o mach.Option) mach.KernReturn
	// LegacySend judges a send through the legacy mach_msg trap.
	LegacySend(t *Thread, id int32, o mach.Option) mach.KernReturn
	// SendHeader judges destination, reply port and descriptors.
	SendHeader(t *Thread, s *Send) mach.KernReturn
	// ArrayDisposition judges the disposition of an out-of-line port array.
	ArrayDisposition(t *Thread, o mach.Option, d mach.Disposition) mach.KernReturn
	// MoveReceive says whether the receive right called name may leave the space.
	MoveReceive(t *Thread, s *Space, p *Port, name mach.Name) bool
	// ImmovableSend says whether a send right arriving in the space will be immovable there.
	ImmovableSend(s *Space, p *Port) bool
	// Pinned takes down that a pinned right was about to be lost.
	Pinned(t *Thread, s *Space, name mach.Name, why PinnedReason)
	// Construct chooses the type of a new port.
	Construct(t *Thread, s *Space, o *ConstructOptions) (mach.PortType, mach.KernReturn)
	// PortDestroyed judges arming a port-destroyed notification on p, which has one already if armed.
	PortDestroyed(t *Thread, p *Port, notify Notify, armed bool) mach.KernReturn
	// NotifyPort judges a port that is to receive notifications; it may only take down.
	NotifyPort(t *Thread, s *Space, notify *Port)
}

// Unrestricted forbids nothing: every port is movable and nothing is taken down. Reply ports and the like are plain.
type Unrestricted struct{}

var openPolicy = TypePolicy{SendMovable: true, DeadName: true, NoSenders: true, PortDestroyed: true, Notify: true}

func (Unrestricted) Type(mach.PortType) *TypePolicy                             { return &openPolicy }
func (Unrestricted) Violate(*Thread, Violation)                                 {}
func (Unrestricted) SendOptions(*Thread, mach.Option) mach.KernReturn           { return 0 }
func (Unrestricted) LegacySend(*Thread, int32, mach.Option) mach.KernReturn     { return 0 }
func (Unrestricted) SendHeader(*Thread, *Send) mach.KernReturn                  { return 0 }
func (Unrestricted) MoveReceive(_ *Thread, _ *Space, p *Port, _ mach.Name) bool { return !p.immovable }
func (Unrestricted) ImmovableSend(*Space, *Port) bool                           { return false }
func (Unrestricted) Pinned(*Thread, *Space, mach.Name, PinnedReason)            {}
func (Unrestricted) NotifyPort(*Thread, *Space, *Port)                          {}
func (Unrestricted) ArrayDisposition(*Thread, mach.Option, mach.Disposition) mach.KernReturn {
	return 0
}

func (Unrestricted) Construct(*Thread, *Space, *ConstructOptions) (mach.PortType, mach.KernReturn) {
	return mach.PortTypePlain, 0
}

func (Unrestricted) PortDestroyed(_ *Thread, _ *Port, _ Notify, armed bool) mach.KernReturn {
	if armed {
		return mach.KernFailure
	}
	return 0
}
