package mach

// PortType is the kind of a port: what its kernel object is (IKOT_) or which policy it follows (IOT_). The numbers
// stand in the payloads of guard exceptions.
//
// Source: ipc_object_type_t in XNU osfmk/ipc/ipc_object.h of the newest public tree; [LegacyPortTypeName] has those
// of macOS 15.4 and before.
type PortType uint32

const (
	PortTypePortSet             PortType = 0
	PortTypePlain               PortType = 1
	PortTypeService             PortType = 2
	PortTypeBootstrap           PortType = 3
	PortTypeWeakService         PortType = 4
	PortTypeConnection          PortType = 5
	PortTypeConnectionWithArray PortType = 6
	PortTypeNotification        PortType = 7
	PortTypeException           PortType = 8
	PortTypeTimer               PortType = 9
	PortTypeReply               PortType = 10
	PortTypeSpecialReply        PortType = 11
	PortTypeWeakReply           PortType = 12
	PortTypeThreadControl       PortType = 13
	PortTypeThreadRead          PortType = 14
	PortTypeThreadInspect       PortType = 15
	PortTypeThreadResume        PortType = 16
	PortTypeTaskControl         PortType = 17
	PortTypeTaskRead            PortType = 18
	PortTypeTaskInspect         PortType = 19
	PortTypeTaskName            PortType = 20
	PortTypeTaskResume          PortType = 21
	PortTypeTaskIDToken         PortType = 22
	PortTypeTaskFatal           PortType = 23
	PortTypeHost                PortType = 24
	PortTypeHostPriv            PortType = 25
	PortTypeClock               PortType = 26
	PortTypeProcessor           PortType = 27
	PortTypeProcessorSet        PortType = 28
	PortTypeProcessorSetName    PortType = 29
	PortTypeEventlink           PortType = 30
	PortTypeFileport            PortType = 31
	PortTypeSemaphore           PortType = 32
	PortTypeVoucher             PortType = 33
	PortTypeWorkInterval        PortType = 34
	PortTypeMemoryObject        PortType = 35
	PortTypeNamedEntry          PortType = 36
	PortTypeMainDevice          PortType = 37
	PortTypeIOKitIdent          PortType = 38
	PortTypeIOKitConnect        PortType = 39
	PortTypeIOKitObject         PortType = 40
	PortTypeUEXTObject          PortType = 41
	PortTypeExclavesResource    PortType = 42
	PortTypeArcadeReg           PortType = 43
	PortTypeAUSession           PortType = 44
	PortTypeHypervisor          PortType = 45
	PortTypeKCData              PortType = 46
	PortTypeUNDReply            PortType = 47
	PortTypeUXHandler           PortType = 48
	PortTypeUnknown             PortType = 49 // count of types
	firstKernelObject                    = PortTypeThreadControl
)

var portTypeTable = newTable([]pair[PortType]{
	{PortTypePortSet, "IOT_PORT_SET"}, {PortTypePlain, "IOT_PORT"}, {PortTypeService, "IOT_SERVICE_PORT"},
	{PortTypeBootstrap, "IOT_BOOTSTRAP_PORT"}, {PortTypeWeakService, "IOT_WEAK_SERVICE_PORT"},
	{PortTypeConnection, "IOT_CONNECTION_PORT"},
	{PortTypeConnectionWithArray, "IOT_CONNECTION_PORT_WITH_PORT_ARRAY"},
	{PortTypeNotification, "IOT_NOTIFICATION_PORT"}, {PortTypeException, "IOT_EXCEPTION_PORT"},
	{PortTypeTimer, "IOT_TIMER_PORT"}, {PortTypeReply, "IOT_REPLY_PORT"},
	{PortTypeSpecialReply, "IOT_SPECIAL_REPLY_PORT"}, {PortTypeWeakReply, "IOT_WEAK_REPLY_PORT"},
	{PortTypeThreadControl, "IKOT_THREAD_CONTROL"}, {PortTypeThreadRead, "IKOT_THREAD_READ"},
	{PortTypeThreadInspect, "IKOT_THREAD_INSPECT"}, {PortTypeThreadResume, "IKOT_THREAD_RESUME"},
	{PortTypeTaskControl, "IKOT_TASK_CONTROL"}, {PortTypeTaskRead, "IKOT_TASK_READ"},
	{PortTypeTaskInspect, "IKOT_TASK_INSPECT"}, {PortTypeTaskName, "IKOT_TASK_NAME"},
	{PortTypeTaskResume, "IKOT_TASK_RESUME"}, {PortTypeTaskIDToken, "IKOT_TASK_ID_TOKEN"},
	{PortTypeTaskFatal, "IKOT_TASK_FATAL"}, {PortTypeHost, "IKOT_HOST"}, {PortTypeHostPriv, "IKOT_HOST_PRIV"},
	{PortTypeClock, "IKOT_CLOCK"}, {PortTypeProcessor, "IKOT_PROCESSOR"},
	{PortTypeProcessorSet, "IKOT_PROCESSOR_SET"}, {PortTypeProcessorSetName, "IKOT_PROCESSOR_SET_NAME"},
	{PortTypeEventlink, "IKOT_EVENTLINK"}, {PortTypeFileport, "IKOT_FILEPORT"},
	{PortTypeSemaphore, "IKOT_SEMAPHORE"}, {PortTypeVoucher, "IKOT_VOUCHER"},
	{PortTypeWorkInterval, "IKOT_WORK_INTERVAL"}, {PortTypeMemoryObject, "IKOT_MEMORY_OBJECT"},
	{PortTypeNamedEntry, "IKOT_NAMED_ENTRY"}, {PortTypeMainDevice, "IKOT_MAIN_DEVICE"},
	{PortTypeIOKitIdent, "IKOT_IOKIT_IDENT"}, {PortTypeIOKitConnect, "IKOT_IOKIT_CONNECT"},
	{PortTypeIOKitObject, "IKOT_IOKIT_OBJECT"}, {PortTypeUEXTObject, "IKOT_UEXT_OBJECT"},
	{PortTypeExclavesResource, "IKOT_EXCLAVES_RESOURCE"}, {PortTypeArcadeReg, "IKOT_ARCADE_REG"},
	{PortTypeAUSession, "IKOT_AU_SESSIONPORT"}, {PortTypeHypervisor, "IKOT_HYPERVISOR"},
	{PortTypeKCData, "IKOT_KCDATA"}, {PortTypeUNDReply, "IKOT_UND_REPLY"}, {PortTypeUXHandler, "IKOT_UX_HANDLER"},
}...)

// String returns XNU's name of the type.
func (t PortType) String() string { return portTypeTable.name("ipc_object_type_t", t) }

// ParsePortType reads what [PortType.String] writes, or a number in the newest numbering.
func ParsePortType(s string) (PortType, bool) { return portTypeTable.parse(s) }

// KernelObject says that the kernel receives on ports of this type.
func (t PortType) KernelObject() bool { return t >= firstKernelObject && t < PortTypeUnknown }

// legacyPortTypes numbers kernel objects up to macOS 15.4.
var legacyPortTypes = [...]string{
	0: "IKOT_NONE", 1: "IKOT_THREAD_CONTROL", 2: "IKOT_TASK_CONTROL", 3: "IKOT_HOST", 4: "IKOT_HOST_PRIV",
	5: "IKOT_PROCESSOR", 6: "IKOT_PSET", 7: "IKOT_PSET_NAME", 8: "IKOT_TIMER", 9: "IKOT_PORT_SUBST_ONCE",
	11: "IKOT_MEMORY_OBJECT", 15: "IKOT_UND_REPLY", 19: "IKOT_MAIN_DEVICE", 20: "IKOT_TASK_NAME",
	23: "IKOT_SEMAPHORE", 25: "IKOT_CLOCK", 27: "IKOT_IOKIT_IDENT", 28: "IKOT_NAMED_ENTRY",
	29: "IKOT_IOKIT_CONNECT", 30: "IKOT_IOKIT_OBJECT", 33: "IKOT_AU_SESSIONPORT", 34: "IKOT_FILEPORT",
	36: "IKOT_TASK_RESUME", 37: "IKOT_VOUCHER", 39: "IKOT_WORK_INTERVAL", 40: "IKOT_UX_HANDLER",
	41: "IKOT_UEXT_OBJECT", 42: "IKOT_ARCADE_REG", 43: "IKOT_EVENTLINK", 44: "IKOT_TASK_INSPECT",
	45: "IKOT_TASK_READ", 46: "IKOT_THREAD_INSPECT", 47: "IKOT_THREAD_READ", 49: "IKOT_HYPERVISOR",
	50: "IKOT_TASK_ID_TOKEN", 51: "IKOT_TASK_FATAL", 52: "IKOT_KCDATA", 53: "IKOT_EXCLAVES_RESOURCE",
}

// LegacyPortTypeName returns the name that n had up to macOS 15.4, when only kernel objects had types; ok is false
// for numbers that were not assigned.
//
// Source: XNU 11417.101.15 osfmk/kern/ipc_kobject.h.
func LegacyPortTypeName(n uint32) (name string, ok bool) {
	if n < uint32(len(legacyPortTypes)) {
		name = legacyPortTypes[n]
	}
	return name, name != ""
}

// ParseLegacyPortType returns the number that a name had up to macOS 15.4.
func ParseLegacyPortType(name string) (n uint32, ok bool) {
	for i, s := range legacyPortTypes {
		if s != "" && s == name {
			return uint32(i), true
		}
	}
	return 0, false
}
