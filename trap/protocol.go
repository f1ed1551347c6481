package trap

// Version is the version of the protocol (PT_VERSION). Kernel and task must agree.
const Version = 3

// Environment is the variable that holds the path of the kernel's socket.
const Environment = "PORTCULLIS_KERNEL"

// Parts of a lane, in bytes from its start.
const (
	LaneSize = 0x1240000
	In       = 0x1000
	InSize   = 0x111f000
	Out      = 0x1120000
	OutSize  = 0x120000
)

// RequestMax is how much of what goes in the kernel looks at: the message, or what another operation is given.
const RequestMax = 0xf000

// What the kernel has to be woken with after a request (kernel_state).
const (
	KernelAwake  = 0
	KernelFutex  = 1
	KernelAsleep = 2
)

// OOLMax is how many pieces of out-of-line memory go with one payload through the tables of a lane.
const OOLMax = 48

// Largest pieces of out-of-line memory that are copied through the lane: to the kernel, and from it.
const (
	LentMax   = 0x1000000
	InlineMax = 0x110000
)

// Bulk as the offset of a piece says that it is a memory file, given or taken over the socket.
const Bulk = ^uint64(0)

// Landed and a number as the offset of a piece say that it is in the memory file that was returned with the number.
const Landed = uint64(0xffffffff00000000)

// Kept says of a memory file that is returned that it is still mapped.
const Kept = 1

// Cookie is what stands for the address of piece 0 in a message to a task; the task puts its own address there.
const Cookie = 0x00c0ffee00000000

// Answers of the kernel.
const (
	AnswerDone   = 0
	AnswerUpcall = 1
	AnswerDying  = 2
)

// Upcall is something that only a task itself can do to its memory.
type Upcall uint32

// Upcalls (PT_UPCALL_*).
const (
	UpcallMap     Upcall = 1
	UpcallUnmap   Upcall = 2
	UpcallProtect Upcall = 3
	UpcallRead    Upcall = 4
	UpcallWrite   Upcall = 5
)

// Op is the operation that a thread asks for (PT_OP_*).
type Op uint32

// Operations. Arguments and results of each are in trap.h.
const (
	OpNone       Op = 0
	OpUpcallDone Op = 1
	OpBacktrace  Op = 2

	OpMsg2      Op = 16
	OpMsgLegacy Op = 17
)

// Operations on the caller itself.
const (
	OpTaskSelf Op = 32 + iota
	OpThreadSelf
	OpHostSelf
	OpReplyPort
	OpSpecialReplyPort
	OpTaskForPID
	OpTaskNameForPID
	OpPIDForTask
	OpThreadPort
	OpThreadEnds
	OpBootstrapPort
	OpTaskReadForPID
	OpTaskInspectForPID
)

// Operations on port names.
const (
	OpPortAllocate Op = 64 + iota
	OpPortDestroy
	OpPortDeallocate
	OpPortModRefs
	OpPortMoveMember
	OpPortInsertRight
	_ // mach_port_get_attributes is a message
	OpPortInsertMember
	OpPortExtractMember
	OpPortConstruct
	OpPortDestruct
	OpPortGuard
	OpPortUnguard
	OpPortType
	OpPortRequestNotification
)

// Operations on semaphores.
const (
	OpSemaphoreSignal Op = 96 + iota
	OpSemaphoreSignalAll
	OpSemaphoreSignalThread
	OpSemaphoreWait
	OpSemaphoreWaitSignal
	OpSemaphoreTimedWait
	OpSemaphoreTimedWaitSignal
)

// Operations on timers and vouchers.
const (
	OpTimerCreate   Op = 112
	OpTimerArm      Op = 113
	OpTimerCancel   Op = 114
	OpTimerDestroy  Op = 115
	OpVoucherCreate Op = 120
)

// Operations on files.
const (
	OpFileportMakePort Op = 128 + iota
	OpFileportMakeFD
	OpMemoryEntryMake
	OpMemoryEntryOpen
)

// Piece is one piece of out-of-line memory that goes with a payload (struct pt_ool).
type Piece struct {
	Address uint64 // in: in the task; out: the cookie in the descriptor; 0 for the message itself
	Size    uint64
	Offset  uint64 // from the start of the payload's part of the lane, or Bulk
}

// Control is the first page of a lane (struct pt_lane). Its first line is the task's to write, the second the kernel's.
type Control struct {
	Posted    uint32
	TaskWaits uint32
	Op        Op
	InSize    uint32
	OOLCount  uint32
	_         [11]uint32

	Done        uint32
	KernelState uint32
	Answer      uint32
	OutSize     uint32
	OOLOutCount uint32
	Upcall      Upcall
	_           [10]uint32

	Args   [12]uint64
	Result [8]uint64
	_      [12]uint64

	OOLIn  [OOLMax]Piece
	OOLOut [OOLMax]Piece
}

// Kind is the kind of a packet.
type Kind uint32

// Kinds of packets.
const (
	Hello     Kind = 1
	Lane      Kind = 2
	Doorbell  Kind = 3
	Give      Kind = 4
	Take      Kind = 5
	Fork      Kind = 6
	Interrupt Kind = 7
	Fault     Kind = 8
	Bye       Kind = 9
	Return    Kind = 10
	List      Kind = 16
	Fate      Kind = 17
)

// Token is what a forked child proves its parent with.
type Token [16]byte

// Packet is one packet on the socket (struct pt_packet).
type Packet struct {
	Kind    Kind
	A, B, C uint32
	Token   Token
	Text    [96]byte
}

// Flags of Hello.
const (
	HelloRecords = 1
	HelloFaults  = 2
	HelloGo      = 4
)

// SignalOffset counts from SIGRTMAX down to the signal that stops a thread.
const SignalOffset = 5

// Parts of a process's area.
const (
	AreaRecords = 64
	AreaData    = 0x20000
	CommandData = 0x4000
	AreaSize    = AreaData + AreaRecords*CommandData
)

// States of a record.
const (
	RecordFree    = 0
	RecordTaken   = 1
	RecordStopped = 2
	RecordCommand = 3
	RecordResume  = 4
	RecordDefault = 5
)

// Kinds of records.
const (
	RecordStop  = 0
	RecordFault = 1
)

// What the kernel changed in a record.
const (
	ChangedRegisters = 1
	ChangedFloating  = 2
)

// Record is a thread in a signal handler (struct pt_record).
type Record struct {
	State              uint32
	Kind               uint32
	TID                int32
	Signo, Code, Error int32
	Address            uint64
	Trap, ErrorCode    uint64
	Registers          [40]uint64
	Floating           [528]byte
	Changed            uint32
	Chained            uint32

	Command   Upcall
	Result    int32
	Arguments [4]uint64
}

// Area is the memory a process shares with the kernel for faults and stops (struct pt_area).
type Area struct {
	StopGeneration uint32
	_              [15]uint32
	Records        [AreaRecords]Record
}
