package mach

// ConstructFlags are the flags of mach_port_construct (MPO_).
//
// Source: XNU osfmk/mach/port.h; the newest tree renamed MPO_PROVISIONAL_REPLY_PORT to MPO_WEAK_REPLY_PORT and added
// the notification port and the connection port with port array.
type ConstructFlags uint32

const (
	ContextAsGuard              ConstructFlags = 0x1
	QueueLimit                  ConstructFlags = 0x2
	TempOwner                   ConstructFlags = 0x4
	ImportanceReceiver          ConstructFlags = 0x8
	InsertSendRight             ConstructFlags = 0x10
	Strict                      ConstructFlags = 0x20
	DenapReceiver               ConstructFlags = 0x40
	ImmovableReceive            ConstructFlags = 0x80
	FilterMsg                   ConstructFlags = 0x100
	TGBlockTracking             ConstructFlags = 0x200
	ServicePort                 ConstructFlags = 0x400
	ConnectionPort              ConstructFlags = 0x800
	ReplyPort                   ConstructFlags = 0x1000
	EnforceReplyPortSemantics   ConstructFlags = 0x2000
	WeakReplyPort               ConstructFlags = 0x4000
	NotificationPort            ConstructFlags = 0x4400 // one type of its own, though made of two others' bits
	ExceptionPort               ConstructFlags = 0x8000
	ConnectionPortWithPortArray ConstructFlags = 0x10000

	StrictServicePort = ServicePort | EnforceReplyPortSemantics

	// ConstructTypeMask holds the bits that choose a port type; at most one type may be named.
	ConstructTypeMask ConstructFlags = 0x1dc00
	// ConstructFlagsKnown holds every bit there is.
	ConstructFlagsKnown ConstructFlags = 0x1ffff
)

var constructFlags = flags[ConstructFlags]{
	{NotificationPort, "MPO_NOTIFICATION_PORT"}, {StrictServicePort, "MPO_STRICT_SERVICE_PORT"},
	{ContextAsGuard, "MPO_CONTEXT_AS_GUARD"}, {QueueLimit, "MPO_QLIMIT"}, {TempOwner, "MPO_TEMPOWNER"},
	{ImportanceReceiver, "MPO_IMPORTANCE_RECEIVER"}, {InsertSendRight, "MPO_INSERT_SEND_RIGHT"},
	{Strict, "MPO_STRICT"}, {DenapReceiver, "MPO_DENAP_RECEIVER"}, {ImmovableReceive, "MPO_IMMOVABLE_RECEIVE"},
	{FilterMsg, "MPO_FILTER_MSG"}, {TGBlockTracking, "MPO_TG_BLOCK_TRACKING"}, {ServicePort, "MPO_SERVICE_PORT"},
	{ConnectionPort, "MPO_CONNECTION_PORT"}, {ReplyPort, "MPO_REPLY_PORT"},
	{EnforceReplyPortSemantics, "MPO_ENFORCE_REPLY_PORT_SEMANTICS"}, {WeakReplyPort, "MPO_WEAK_REPLY_PORT"},
	{ExceptionPort, "MPO_EXCEPTION_PORT"},
	{ConnectionPortWithPortArray, "MPO_CONNECTION_PORT_WITH_PORT_ARRAY"},
}

// String returns the flags joined by "|".
func (f ConstructFlags) String() string { return constructFlags.list(f) }

// ParseConstructFlags reads what [ConstructFlags.String] writes, and MPO_PROVISIONAL_REPLY_PORT for the weak one.
func ParseConstructFlags(s string) (ConstructFlags, bool) {
	return append(flags[ConstructFlags]{{WeakReplyPort, "MPO_PROVISIONAL_REPLY_PORT"}}, constructFlags...).parse(s)
}

// GuardFlags are the flags of mach_port_guard_with_flags (MPG_).
type GuardFlags uint64

const (
	GuardStrict           GuardFlags = 1
	GuardImmovableReceive GuardFlags = 2
)

// Queue limits: how many messages a port holds before senders wait.
const (
	QueueLimitZero    = 0
	QueueLimitBasic   = 5 // what a port is born with
	QueueLimitSmall   = 16
	QueueLimitLarge   = 1024 // the most a task may ask for
	QueueLimitKernel  = 65534
	QueueLimitDefault = QueueLimitBasic
	QueueLimitMax     = QueueLimitLarge
)

// StatusFlags are the flags in the receive status of a port (MACH_PORT_STATUS_FLAG_).
type StatusFlags uint32

const (
	StatusTempOwner             StatusFlags = 0x01
	StatusGuarded               StatusFlags = 0x02
	StatusStrictGuard           StatusFlags = 0x04
	StatusImpDonation           StatusFlags = 0x08
	StatusRevive                StatusFlags = 0x10
	StatusTaskPtr               StatusFlags = 0x20
	StatusGuardImmovableReceive StatusFlags = 0x40
	StatusNoGrant               StatusFlags = 0x80
)

// AttributeFlavor numbers what mach_port_get_attributes and mach_port_set_attributes are about.
type AttributeFlavor uint32

const (
	AttrLimitsInfo         AttributeFlavor = 1
	AttrReceiveStatus      AttributeFlavor = 2
	AttrDNRequestsSize     AttributeFlavor = 3
	AttrTempOwner          AttributeFlavor = 4
	AttrImportanceReceiver AttributeFlavor = 5
	AttrDenapReceiver      AttributeFlavor = 6
	AttrInfoExt            AttributeFlavor = 7
	AttrGuardInfo          AttributeFlavor = 8
	AttrServiceThrottled   AttributeFlavor = 9
)

var attributeTable = newTable([]pair[AttributeFlavor]{
	{AttrLimitsInfo, "MACH_PORT_LIMITS_INFO"}, {AttrReceiveStatus, "MACH_PORT_RECEIVE_STATUS"},
	{AttrDNRequestsSize, "MACH_PORT_DNREQUESTS_SIZE"}, {AttrTempOwner, "MACH_PORT_TEMPOWNER"},
	{AttrImportanceReceiver, "MACH_PORT_IMPORTANCE_RECEIVER"}, {AttrDenapReceiver, "MACH_PORT_DENAP_RECEIVER"},
	{AttrInfoExt, "MACH_PORT_INFO_EXT"}, {AttrGuardInfo, "MACH_PORT_GUARD_INFO"},
	{AttrServiceThrottled, "MACH_PORT_SERVICE_THROTTLED"},
}...)

// String returns XNU's name of the flavor.
func (a AttributeFlavor) String() string { return attributeTable.name("mach_port_flavor_t", a) }
