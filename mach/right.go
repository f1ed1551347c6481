package mach

// Right numbers the kinds of right a name can denote (mach_port_right_t).
type Right uint32

const (
	RightSend     Right = 0
	RightReceive  Right = 1
	RightSendOnce Right = 2
	RightPortSet  Right = 3
	RightDeadName Right = 4
	RightLabelH   Right = 5 // obsolete, refused everywhere
	RightNumber   Right = 6 // first number that is no right
)

var rightTable = newTable([]pair[Right]{
	{RightSend, "MACH_PORT_RIGHT_SEND"}, {RightReceive, "MACH_PORT_RIGHT_RECEIVE"},
	{RightSendOnce, "MACH_PORT_RIGHT_SEND_ONCE"}, {RightPortSet, "MACH_PORT_RIGHT_PORT_SET"},
	{RightDeadName, "MACH_PORT_RIGHT_DEAD_NAME"}, {RightLabelH, "MACH_PORT_RIGHT_LABELH"},
}...)

// String returns XNU's name of the right.
func (r Right) String() string { return rightTable.name("mach_port_right_t", r) }

// ParseRight reads what [Right.String] writes, or a number.
func ParseRight(s string) (Right, bool) { return rightTable.parse(s) }

// Type returns the type bit of the right.
func (r Right) Type() RightType { return 1 << (r + 16) }

// RightType is a set of rights one name denotes, with marks for the requests armed on it (mach_port_type_t).
type RightType uint32

const (
	TypeNone     RightType = 0
	TypeSend     RightType = 1 << 16
	TypeReceive  RightType = 1 << 17
	TypeSendOnce RightType = 1 << 18
	TypePortSet  RightType = 1 << 19
	TypeDeadName RightType = 1 << 20

	TypeSendReceive = TypeSend | TypeReceive

	TypeDeadNameRequest            RightType = 0x80000000 // MACH_PORT_TYPE_DNREQUEST
	TypeSendPossibleRequest        RightType = 0x40000000 // MACH_PORT_TYPE_SPREQUEST
	TypeSendPossibleRequestDelayed RightType = 0x20000000 // MACH_PORT_TYPE_SPREQUEST_DELAYED
)

var rightTypeFlags = flags[RightType]{
	{TypeSend, "MACH_PORT_TYPE_SEND"}, {TypeReceive, "MACH_PORT_TYPE_RECEIVE"},
	{TypeSendOnce, "MACH_PORT_TYPE_SEND_ONCE"}, {TypePortSet, "MACH_PORT_TYPE_PORT_SET"},
	{TypeDeadName, "MACH_PORT_TYPE_DEAD_NAME"}, {TypeDeadNameRequest, "MACH_PORT_TYPE_DNREQUEST"},
	{TypeSendPossibleRequest, "MACH_PORT_TYPE_SPREQUEST"},
	{TypeSendPossibleRequestDelayed, "MACH_PORT_TYPE_SPREQUEST_DELAYED"},
}

// String returns the members joined by "|".
func (t RightType) String() string { return rightTypeFlags.list(t) }

// ParseRightType reads what [RightType.String] writes.
func ParseRightType(s string) (RightType, bool) { return rightTypeFlags.parse(s) }

// Disposition says what sending a right does to the sender's own (mach_msg_type_name_t). A receiver sees the three
// MOVE forms alone: what it was given.
type Disposition uint8

const (
	DispositionNone Disposition = 0
	PortName        Disposition = 15 // a bare name, in notifications
	MoveReceive     Disposition = 16
	MoveSend        Disposition = 17
	MoveSendOnce    Disposition = 18
	CopySend        Disposition = 19
	MakeSend        Disposition = 20
	MakeSendOnce    Disposition = 21
	CopyReceive     Disposition = 22 // a number without a meaning: always refused
	DisposeReceive  Disposition = 24
	DisposeSend     Disposition = 25
	DisposeSendOnce Disposition = 26
)

var dispositionTable = newTable([]pair[Disposition]{
	{DispositionNone, "MACH_MSG_TYPE_PORT_NONE"}, {PortName, "MACH_MSG_TYPE_PORT_NAME"},
	{MoveReceive, "MACH_MSG_TYPE_MOVE_RECEIVE"}, {MoveSend, "MACH_MSG_TYPE_MOVE_SEND"},
	{MoveSendOnce, "MACH_MSG_TYPE_MOVE_SEND_ONCE"}, {CopySend, "MACH_MSG_TYPE_COPY_SEND"},
	{MakeSend, "MACH_MSG_TYPE_MAKE_SEND"}, {MakeSendOnce, "MACH_MSG_TYPE_MAKE_SEND_ONCE"},
	{CopyReceive, "MACH_MSG_TYPE_COPY_RECEIVE"}, {DisposeReceive, "MACH_MSG_TYPE_DISPOSE_RECEIVE"},
	{DisposeSend, "MACH_MSG_TYPE_DISPOSE_SEND"}, {DisposeSendOnce, "MACH_MSG_TYPE_DISPOSE_SEND_ONCE"},
	{MoveReceive, "MACH_MSG_TYPE_PORT_RECEIVE"}, {MoveSend, "MACH_MSG_TYPE_PORT_SEND"},
	{MoveSendOnce, "MACH_MSG_TYPE_PORT_SEND_ONCE"},
}...)

// String returns XNU's name of the disposition as a sender writes it.
func (d Disposition) String() string { return dispositionTable.name("mach_msg_type_name_t", d) }

// ParseDisposition reads what [Disposition.String] writes, the names a receiver uses, or a number.
func ParseDisposition(s string) (Disposition, bool) { return dispositionTable.parse(s) }

// Any says that d is one a user message may carry for a right.
func (d Disposition) Any() bool { return d >= MoveReceive && d <= MakeSendOnce }

// AnySend says that the receiver gets a send right.
func (d Disposition) AnySend() bool { return d == MoveSend || d == CopySend || d == MakeSend }

// AnySendOnce says that the receiver gets a send-once right.
func (d Disposition) AnySendOnce() bool { return d == MoveSendOnce || d == MakeSendOnce }

// Received returns what the receiver sees: the MOVE form of the right it was given.
func (d Disposition) Received() Disposition {
	switch {
	case d.AnySend():
		return MoveSend
	case d.AnySendOnce():
		return MoveSendOnce
	}
	return d
}
