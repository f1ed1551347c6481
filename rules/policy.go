package rules

import "slices"

// Mode is what the kernel does about a policy.
type Mode uint8

const (
	ModeOff       Mode = iota + 1 // known to the kernel, not acted upon
	ModeTelemetry                 // reported, never denied
	ModeEnforced                  // denied, and the process is killed
)

// String returns "off", "telemetry" or "enforced".
func (m Mode) String() string {
	switch m {
	case ModeOff:
		return "off"
	case ModeTelemetry:
		return "telemetry"
	case ModeEnforced:
		return "enforced"
	}
	return "unset"
}

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Report is how a violation of a policy becomes known.
type Report uint8

const (
	ReportNone           Report = iota // not at all
	ReportAnalytics                    // a CoreAnalytics event with a backtrace: nothing a developer sees
	ReportSimulatedCrash               // a simulated crash report; the process lives
	ReportCrash                        // the crash report of the process that was killed
)

// String returns "none", "analytics", "simulated crash" or "crash".
func (r Report) String() string {
	return [...]string{"none", "analytics", "simulated crash", "crash"}[min(r, ReportCrash)]
}

// MarshalText implements encoding.TextMarshaler.
func (r Report) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Policy is one of the kernel's Mach IPC policies: what is restricted, from which level, and what is done about it.
// Restrictions that the kernel checks without a policy (SET_EXCEPTION_BEHAVIOR, THREAD_SET_STATE, ILLEGAL_MOVE,
// INVALID_OPTIONS …) are not in this list.
type Policy struct {
	ID        int      `json:"id"`   // ipc_sec_policy_t
	Name      string   `json:"name"` // without the prefix IPC_SEC_POLICY_
	Mode      Mode     `json:"mode"`
	From      Level    `json:"from"`                // level from which it applies
	Contained bool     `json:"contained,omitempty"` // applies to contained processes alone, whatever their level
	Flavor    uint32   `json:"flavor,omitempty"`    // Mach port guard it raises; 0 for none
	Report    Report   `json:"report"`
	Once      bool     `json:"once,omitempty"`      // reported once for each process
	Condition string   `json:"condition,omitempty"` // checked at run time; empty: none
	NotOn     []string `json:"not_on,omitempty"`    // off on these platforms
	What      string   `json:"what"`                // continues "restricted is …"
	Source    string   `json:"source"`
}

// Policies returns the policies of the newest public kernel, by ID.
//
// Source: XNU (newest) osfmk/ipc/ipc_policy.h, ipc_sec_policy_t; ipc_policy.c, ipc_sec_policy_array.
func Policies() []Policy { return slices.Clone(policies) }

var policies = []Policy{
	{ID: 1, Name: "REQUIRE_REPLY_PORT_SEMANTICS_KOBJECT", Mode: ModeEnforced, From: Level1, Flavor: 0x09,
		Report: ReportCrash, What: "a call to a kernel object without a real reply port",
		Source: "ipc_policy.c, ipc_validate_local_port"},
	{ID: 2, Name: "REQUIRE_REPLY_PORT_SEMANTICS_BOOTSTRAP_PORT", Mode: ModeEnforced, From: Level2, Flavor: 0x0a,
		Report: ReportCrash, What: "a message to the bootstrap port without a reply port",
		Source: "ipc_policy.c, ipc_validate_local_port"},
	{ID: 3, Name: "REQUIRE_REPLY_PORT_SEMANTICS_SERVICE_PORT", Mode: ModeEnforced, From: LevelNone, Flavor: 0x0a,
		Report: ReportCrash, What: "a message to a service or connection port without a reply port",
		Source: "ipc_policy.c, ipc_validate_local_port"},
	{ID: 4, Name: "DISALLOW_CONSTRUCT_WEAK_REPLY_PORT_WITHOUT_ENTITLEMENT", Mode: ModeEnforced, From: Level1,
		Flavor: 0x42, Report: ReportCrash, Condition: "on macOS only while System Integrity Protection is on",
		What:   "construction of a weak reply port without the entitlement",
		Source: "mach_port.c, mach_port_construct"},
	{ID: 5, Name: "RESTRICT_MOVE_WEAK_REPLY_PORT", Mode: ModeTelemetry, From: Level2, Flavor: 0x100004,
		Report: ReportSimulatedCrash, Once: true, What: "moving the receive right of a weak reply port",
		Source: "ipc_policy.c, ipc_move_receive_allowed"},
	{ID: 6, Name: "RESTRICT_MOVE_SERVICE_PORT", Mode: ModeEnforced, From: LevelNone, Flavor: 0x07, Report: ReportCrash,
		What:   "moving the receive right of a strong service port, by any process but launchd",
		Source: "ipc_policy.c, ipc_move_receive_allowed"},
	{ID: 7, Name: "RESTRICT_OOL_PORT_ARRAYS", Mode: ModeEnforced, From: Level2, Flavor: 0x43, Report: ReportCrash,
		Condition: "boot argument ool_port_array_enforced, on by default", NotOn: []string{"visionOS"},
		What:   "sending arrays of port rights",
		Source: "ipc_policy.c, ipc_validate_kmsg_header_from_user; ipc_kmsg.c, ipc_kmsg_copyin_ool_ports_descriptor"},
	{ID: 8, Name: "RESTRICT_INLINE_PORT_DESCRIPTORS", Mode: ModeTelemetry, From: LevelNone, Report: ReportAnalytics,
		Once: true, What: "a message with 128 port descriptors or more",
		Source: "ipc_policy.c, ipc_validate_kmsg_schema_from_user"},
	{ID: 9, Name: "RESTRICT_VOUCHER_RECIPE_SIZE", Mode: ModeTelemetry, From: Level3, Report: ReportAnalytics, Once: true,
		What: "a voucher recipe of 64 bytes or more", Source: "ipc_voucher.c, ipc_create_mach_voucher_internal"},
	{ID: 10, Name: "RESTRICT_VOUCHER_OPERATIONS", Mode: ModeTelemetry, From: Level3, Report: ReportAnalytics, Once: true,
		What:   "a voucher command beyond those that programs need",
		Source: "ipc_voucher.c, ipc_create_mach_voucher_internal"},
	{ID: 11, Name: "RESTRICT_MOVE_IOT_PORT", Mode: ModeTelemetry, From: LevelNone, Contained: true,
		Report: ReportAnalytics, Once: true, What: "moving the receive right of an ordinary port",
		Source: "ipc_policy.c, ipc_move_receive_allowed"},
	{ID: 12, Name: "RESTRICT_SERVICE_PORT_FOR_EXCEPTION", Mode: ModeTelemetry, From: Level2, Report: ReportAnalytics,
		Once: true, What: "exceptions sent to a service port other than ReportCrash's",
		Source: "exception_policy.c, ipc_is_valid_exception_port"},
	{ID: 13, Name: "RESTRICT_CONTAINED_EXCEPTION_PORT", Mode: ModeTelemetry, From: LevelNone, Contained: true,
		Report: ReportAnalytics, Once: true, What: "exceptions sent to anything but an exception port, ReportCrash " +
			"or a debugger",
		Source: "exception_policy.c, contained_process_exception_port_allowed"},
	{ID: 14, Name: "RESTRICT_REGISTER_NON_NOTIFICATION_PORT", Mode: ModeTelemetry, From: LevelNone, Contained: true,
		Flavor: 0x100008, Report: ReportSimulatedCrash,
		Condition: "boot argument cv_notif_port_required_enforced, off by default",
		What:      "notifications on anything but a notification port",
		Source:    "ipc_policy.c, ipc_port_can_receive_notifications"},
	{ID: 15, Name: "RESTRICT_MACH_EXC_THREAD_SET_STATE", Mode: ModeTelemetry, From: Level3, Report: ReportAnalytics,
		Once: true, What: "thread state in the answer to an exception that another process gives",
		Source: "thread_act.c, thread_set_state_allowed"},
	{ID: 16, Name: "RESTRICT_EXCEPTION_PORT_NOT_IN_SPACE", Mode: ModeOff, From: LevelNone,
		What: "exception ports received by another process", Source: "ipc_policy.c, ipc_sec_policy_array"},
	{ID: 17, Name: "DISALLOW_BOOTSTRAP_PORT_FOR_NOTIFICATION", Mode: ModeOff, From: LevelNone,
		What: "notifications on the bootstrap port", Source: "ipc_policy.c, ipc_sec_policy_array"},
	{ID: 18, Name: "RESTRICT_MESSAGE_QUEUE_SIZE", Mode: ModeOff, From: LevelNone,
		What: "long message queues", Source: "ipc_policy.c, ipc_sec_policy_array"},
	{ID: 19, Name: "RESTRICT_PER_PROCESS_MESSAGE_LIMIT", Mode: ModeOff, From: LevelNone,
		What: "many messages of one process in flight", Source: "ipc_policy.c, ipc_sec_policy_array"},
	{ID: 20, Name: "RESTRICT_IMMOVABLE_SEND_RIGHT_CREATION", Mode: ModeTelemetry, From: LevelNone,
		Report: ReportAnalytics, Once: true, What: "an immovable send right arriving under a new name, unexpectedly",
		Source: "ipc_right.c, ipc_right_copyout_any_send"},
	{ID: 21, Name: "DISALLOW_REPLY_PORT_WITH_MULTIPLE_SO", Mode: ModeOff, From: LevelNone,
		What:   "a second send-once right to a reply port (XNU spells it MUTIPLE)",
		Source: "ipc_policy.c, ipc_sec_policy_array"},
}
