/* Names of rights, kinds of rights, options of ports. Values and layouts: XNU osfmk/mach/port.h. */
#ifndef _MACH_PORT_H_
#define _MACH_PORT_H_

#include <stdint.h>
#include <mach/boolean.h>
#include <mach/machine/vm_types.h>

typedef natural_t mach_port_name_t;
typedef mach_port_name_t *mach_port_name_array_t;
typedef mach_port_name_t mach_port_t;
typedef mach_port_t *mach_port_array_t;

#define MACH_PORT_NULL 0
#define MACH_PORT_DEAD ((mach_port_name_t)~0)
#define MACH_PORT_VALID(name) (((name) != MACH_PORT_NULL) && ((name) != MACH_PORT_DEAD))

#define MACH_PORT_INDEX(name) ((name) >> 8)
#define MACH_PORT_GEN(name) (((name) & 0xff) << 24)
#define MACH_PORT_MAKE(index, gen) (((index) << 8) | (gen) >> 24)

/* Kinds of rights. */
typedef natural_t mach_port_right_t;
#define MACH_PORT_RIGHT_SEND ((mach_port_right_t)0)
#define MACH_PORT_RIGHT_RECEIVE ((mach_port_right_t)1)
#define MACH_PORT_RIGHT_SEND_ONCE ((mach_port_right_t)2)
#define MACH_PORT_RIGHT_PORT_SET ((mach_port_right_t)3)
#define MACH_PORT_RIGHT_DEAD_NAME ((mach_port_right_t)4)
#define MACH_PORT_RIGHT_LABELH ((mach_port_right_t)5)
#define MACH_PORT_RIGHT_NUMBER ((mach_port_right_t)6)

/* What a name denotes: a set of rights. */
typedef natural_t mach_port_type_t;
typedef mach_port_type_t *mach_port_type_array_t;
#define MACH_PORT_TYPE(right) ((mach_port_type_t)(((mach_port_type_t)1) << ((right) + ((mach_port_right_t)16))))
#define MACH_PORT_TYPE_NONE ((mach_port_type_t)0L)
#define MACH_PORT_TYPE_SEND MACH_PORT_TYPE(MACH_PORT_RIGHT_SEND)
#define MACH_PORT_TYPE_RECEIVE MACH_PORT_TYPE(MACH_PORT_RIGHT_RECEIVE)
#define MACH_PORT_TYPE_SEND_ONCE MACH_PORT_TYPE(MACH_PORT_RIGHT_SEND_ONCE)
#define MACH_PORT_TYPE_PORT_SET MACH_PORT_TYPE(MACH_PORT_RIGHT_PORT_SET)
#define MACH_PORT_TYPE_DEAD_NAME MACH_PORT_TYPE(MACH_PORT_RIGHT_DEAD_NAME)
#define MACH_PORT_TYPE_LABELH MACH_PORT_TYPE(MACH_PORT_RIGHT_LABELH)
#define MACH_PORT_TYPE_SEND_RECEIVE (MACH_PORT_TYPE_SEND | MACH_PORT_TYPE_RECEIVE)
#define MACH_PORT_TYPE_SEND_RIGHTS (MACH_PORT_TYPE_SEND | MACH_PORT_TYPE_SEND_ONCE)
#define MACH_PORT_TYPE_PORT_RIGHTS (MACH_PORT_TYPE_SEND_RIGHTS | MACH_PORT_TYPE_RECEIVE)
#define MACH_PORT_TYPE_PORT_OR_DEAD (MACH_PORT_TYPE_PORT_RIGHTS | MACH_PORT_TYPE_DEAD_NAME)
#define MACH_PORT_TYPE_ALL_RIGHTS (MACH_PORT_TYPE_PORT_OR_DEAD | MACH_PORT_TYPE_PORT_SET)
#define MACH_PORT_TYPE_DNREQUEST 0x80000000
#define MACH_PORT_TYPE_SPREQUEST 0x40000000
#define MACH_PORT_TYPE_SPREQUEST_DELAYED 0x20000000

#define MACH_PORT_SRIGHTS_NONE 0
#define MACH_PORT_SRIGHTS_PRESENT 1
typedef natural_t mach_port_rights_t;
typedef unsigned int mach_port_srights_t;
typedef natural_t mach_port_urefs_t;
typedef integer_t mach_port_delta_t;
typedef natural_t mach_port_seqno_t;
typedef natural_t mach_port_mscount_t;
typedef natural_t mach_port_msgcount_t;

/* Flags in the receive status. */
#define MACH_PORT_STATUS_FLAG_TEMPOWNER 0x01
#define MACH_PORT_STATUS_FLAG_GUARDED 0x02
#define MACH_PORT_STATUS_FLAG_STRICT_GUARD 0x04
#define MACH_PORT_STATUS_FLAG_IMP_DONATION 0x08
#define MACH_PORT_STATUS_FLAG_REVIVE 0x10
#define MACH_PORT_STATUS_FLAG_TASKPTR 0x20
#define MACH_PORT_STATUS_FLAG_GUARD_IMMOVABLE_RECEIVE 0x40
#define MACH_PORT_STATUS_FLAG_NO_GRANT 0x80

typedef struct mach_port_status {
	mach_port_rights_t mps_pset;
	mach_port_seqno_t mps_seqno;
	mach_port_mscount_t mps_mscount;
	mach_port_msgcount_t mps_qlimit;
	mach_port_msgcount_t mps_msgcount;
	mach_port_rights_t mps_sorights;
	boolean_t mps_srights;
	boolean_t mps_pdrequest;
	boolean_t mps_nsrequest;
	natural_t mps_flags;
} mach_port_status_t;

/* Lengths of queues. */
#define MACH_PORT_QLIMIT_ZERO (0)
#define MACH_PORT_QLIMIT_BASIC (5)
#define MACH_PORT_QLIMIT_SMALL (16)
#define MACH_PORT_QLIMIT_LARGE (1024)
#define MACH_PORT_QLIMIT_KERNEL (65534)
#define MACH_PORT_QLIMIT_MIN MACH_PORT_QLIMIT_ZERO
#define MACH_PORT_QLIMIT_DEFAULT MACH_PORT_QLIMIT_BASIC
#define MACH_PORT_QLIMIT_MAX MACH_PORT_QLIMIT_LARGE

typedef struct mach_port_limits {
	mach_port_msgcount_t mpl_qlimit;
} mach_port_limits_t;

typedef struct mach_port_info_ext {
	mach_port_status_t mpie_status;
	mach_port_msgcount_t mpie_boost_cnt;
	uint32_t reserved[6];
} mach_port_info_ext_t;

typedef struct mach_port_guard_info {
	uint64_t mpgi_guard;
} mach_port_guard_info_t;

typedef integer_t *mach_port_info_t;

/* What mach_port_get_attributes and mach_port_set_attributes are about. */
typedef int mach_port_flavor_t;
#define MACH_PORT_LIMITS_INFO 1
#define MACH_PORT_RECEIVE_STATUS 2
#define MACH_PORT_DNREQUESTS_SIZE 3
#define MACH_PORT_TEMPOWNER 4
#define MACH_PORT_IMPORTANCE_RECEIVER 5
#define MACH_PORT_DENAP_RECEIVER 6
#define MACH_PORT_INFO_EXT 7
#define MACH_PORT_GUARD_INFO 8
#define MACH_PORT_SERVICE_THROTTLED 9

#define MACH_PORT_LIMITS_INFO_COUNT ((natural_t)(sizeof(mach_port_limits_t) / sizeof(natural_t)))
#define MACH_PORT_RECEIVE_STATUS_COUNT ((natural_t)(sizeof(mach_port_status_t) / sizeof(natural_t)))
#define MACH_PORT_DNREQUESTS_SIZE_COUNT 1
#define MACH_PORT_INFO_EXT_COUNT ((natural_t)(sizeof(mach_port_info_ext_t) / sizeof(natural_t)))
#define MACH_PORT_GUARD_INFO_COUNT ((natural_t)(sizeof(mach_port_guard_info_t) / sizeof(natural_t)))
#define MACH_PORT_SERVICE_THROTTLED_COUNT 1

typedef struct mach_port_qos {
	unsigned int name : 1;
	unsigned int prealloc : 1;
	boolean_t pad1 : 30;
	natural_t len;
} mach_port_qos_t;

/* Services of launchd, of which service and connection ports know. */
#define MACH_SERVICE_PORT_INFO_STRING_NAME_MAX_BUF_LEN 255
typedef struct mach_service_port_info {
	char mspi_string_name[MACH_SERVICE_PORT_INFO_STRING_NAME_MAX_BUF_LEN];
	uint8_t mspi_domain_type;
} mach_service_port_info_data_t;
#define MACH_SERVICE_PORT_INFO_COUNT ((char)(sizeof(mach_service_port_info_data_t) / sizeof(char)))
typedef struct mach_service_port_info *mach_service_port_info_t;

/* Options of mach_port_construct. */
#define MPO_PORT 0x0
#define MPO_CONTEXT_AS_GUARD 0x01
#define MPO_QLIMIT 0x02
#define MPO_TEMPOWNER 0x04
#define MPO_IMPORTANCE_RECEIVER 0x08
#define MPO_INSERT_SEND_RIGHT 0x10
#define MPO_STRICT 0x20
#define MPO_DENAP_RECEIVER 0x40
#define MPO_IMMOVABLE_RECEIVE 0x80
#define MPO_FILTER_MSG 0x100
#define MPO_TG_BLOCK_TRACKING 0x200
#define MPO_SERVICE_PORT 0x400
#define MPO_CONNECTION_PORT 0x800
#define MPO_REPLY_PORT 0x1000
#define MPO_ENFORCE_REPLY_PORT_SEMANTICS 0x2000
#define MPO_WEAK_REPLY_PORT 0x4000
#define MPO_PROVISIONAL_REPLY_PORT MPO_WEAK_REPLY_PORT
#define MPO_EXCEPTION_PORT 0x8000
#define MPO_CONNECTION_PORT_WITH_PORT_ARRAY 0x10000
#define MPO_NOTIFICATION_PORT (MPO_SERVICE_PORT | MPO_WEAK_REPLY_PORT)
#define MPO_STRICT_SERVICE_PORT (MPO_SERVICE_PORT | MPO_ENFORCE_REPLY_PORT_SEMANTICS)

typedef struct mach_port_options {
	uint32_t flags;
	mach_port_limits_t mpl;
	union {
		uint64_t reserved[2];
		mach_port_name_t work_interval_port;
		uint32_t service_port_info32;
		uint64_t service_port_info64;
		mach_port_name_t service_port_name;
	};
} mach_port_options_t;
typedef mach_port_options_t *mach_port_options_ptr_t;

/* mach_port_guard_with_flags. */
#define MPG_FLAGS_NONE (0x00ull)
#define MPG_STRICT 0x01
#define MPG_IMMOVABLE_RECEIVE 0x02

/* Bits of the subcode of STRICT_REPLY, MOD_REFS and IMMOVABLE. */
#define MPG_FLAGS_STRICT_REPLY_INVALID_REPLY_DISP (0x01ull << 56)
#define MPG_FLAGS_STRICT_REPLY_INVALID_REPLY_PORT (0x02ull << 56)
#define MPG_FLAGS_STRICT_REPLY_INVALID_VOUCHER (0x04ull << 56)
#define MPG_FLAGS_STRICT_REPLY_NO_BANK_ATTR (0x08ull << 56)
#define MPG_FLAGS_STRICT_REPLY_MISMATCHED_PERSONA (0x10ull << 56)
#define MPG_FLAGS_STRICT_REPLY_MASK (0xffull << 56)
#define MPG_FLAGS_MOD_REFS_PINNED_DEALLOC (0x01ull << 56)
#define MPG_FLAGS_MOD_REFS_PINNED_DESTROY (0x02ull << 56)
#define MPG_FLAGS_MOD_REFS_PINNED_COPYIN (0x04ull << 56)
#define MPG_FLAGS_IMMOVABLE_PINNED (0x01ull << 56)

/* What a guard exception of a port is about. */
#define GUARD_TYPE_MACH_PORT 0x1
enum mach_port_guard_exception_codes {
	kGUARD_EXC_NONE = 0x0,
	kGUARD_EXC_DESTROY = 0x1,
	kGUARD_EXC_MOD_REFS = 0x2,
	kGUARD_EXC_INVALID_OPTIONS = 0x3,
	kGUARD_EXC_SET_CONTEXT = 0x4,
	kGUARD_EXC_THREAD_SET_STATE = 0x5,
	kGUARD_EXC_EXCEPTION_BEHAVIOR_ENFORCE = 0x6,
	kGUARD_EXC_SERVICE_PORT_VIOLATION_FATAL = 0x7,
	kGUARD_EXC_UNGUARDED = 0x8,
	kGUARD_EXC_KOBJECT_REPLY_PORT_SEMANTICS = 0x9,
	kGUARD_EXC_REQUIRE_REPLY_PORT_SEMANTICS = 0xa,
	kGUARD_EXC_INCORRECT_GUARD = 0x10,
	kGUARD_EXC_IMMOVABLE = 0x20,
	kGUARD_EXC_STRICT_REPLY = 0x40,
	kGUARD_EXC_INVALID_NOTIFICATION_REQ = 0x41,
	kGUARD_EXC_INVALID_MPO_ENTITLEMENT = 0x42,
	kGUARD_EXC_DESCRIPTOR_VIOLATION = 0x43,
	kGUARD_EXC_MSG_FILTERED = 0x80,
	/* From here on fatal only where the process or the machine says so. */
	kGUARD_EXC_INVALID_RIGHT = 0x100,
	kGUARD_EXC_INVALID_NAME = 0x200,
	kGUARD_EXC_INVALID_VALUE = 0x400,
	kGUARD_EXC_INVALID_ARGUMENT = 0x800,
	kGUARD_EXC_RIGHT_EXISTS = 0x1000,
	kGUARD_EXC_KERN_NO_SPACE = 0x2000,
	kGUARD_EXC_KERN_FAILURE = 0x4000,
	kGUARD_EXC_KERN_RESOURCE = 0x8000,
	kGUARD_EXC_SEND_INVALID_REPLY = 0x10000,
	kGUARD_EXC_SEND_INVALID_VOUCHER = 0x20000,
	kGUARD_EXC_SEND_INVALID_RIGHT = 0x40000,
	kGUARD_EXC_RCV_INVALID_NAME = 0x80000,
	kGUARD_EXC_RCV_INVALID_NOTIFY = kGUARD_EXC_RCV_INVALID_NAME, /* in macOS 10.14 */
	/* From here on never fatal. */
	kGUARD_EXC_RCV_GUARDED_DESC = 0x100000,
	kGUARD_EXC_SERVICE_PORT_VIOLATION_NON_FATAL = 0x100001,
	kGUARD_EXC_WEAK_REPLY_PORT = 0x100002,
	kGUARD_EXC_PROVISIONAL_REPLY_PORT = kGUARD_EXC_WEAK_REPLY_PORT, /* its old name */
	kGUARD_EXC_OOL_PORT_ARRAY_CREATION = 0x100003,
	kGUARD_EXC_MOVE_WEAK_REPLY_PORT = 0x100004,
	kGUARD_EXC_MOVE_PROVISIONAL_REPLY_PORT = kGUARD_EXC_MOVE_WEAK_REPLY_PORT, /* its old name */
	kGUARD_EXC_REPLY_PORT_SINGLE_SO_RIGHT = 0x100005,
	kGUARD_EXC_INVALID_NOTIFICATION_PORT = 0x100006,
	kGUARD_EXC_MACH_EXC_THREAD_SET_STATE = 0x100007,
	kGUARD_EXC_CV_NOTIFICATION_PORT_REQ = 0x100008,
	kGUARD_EXC_MOD_REFS_NON_FATAL = 0x200000,
	kGUARD_EXC_IMMOVABLE_NON_FATAL = 0x400000
};
#define MAX_FATAL_kGUARD_EXC_CODE (1u << 7)
#define MAX_OPTIONAL_kGUARD_EXC_CODE (1u << 19)

#endif
