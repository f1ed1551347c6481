package entitlement

// Keys the kernel reads, by what they are about. Apple's documentation ("Enhanced Security", Bundle Resources >
// Entitlements) has those that begin with com.apple.security.hardened-process; the com.apple.private keys stand in XNU.
const (
	hardenedPrefix       = "com.apple.security.hardened-process"
	legacyHardenedPrefix = "com.apple.developer.hardened-process"

	// KeyRestrictions is the first spelling, documented as an integer, of macOS and iOS 26.0. Deprecated since 26.4.
	KeyRestrictions = hardenedPrefix + ".platform-restrictions"
	// KeyRestrictionsString is the present spelling, a string, known since macOS and iOS 26.4.
	KeyRestrictionsString = hardenedPrefix + ".platform-restrictions-string"

	KeyHardenedProcess = hardenedPrefix
	KeyVersion         = hardenedPrefix + ".enhanced-security-version"
	KeyVersionString   = hardenedPrefix + ".enhanced-security-version-string"
	KeyHardenedHeap    = hardenedPrefix + ".hardened-heap"
	KeyCheckedAllocs   = hardenedPrefix + ".checked-allocations"
	KeyDyldReadOnly    = hardenedPrefix + ".dyld-ro"
	KeyContainmentIPC  = hardenedPrefix + ".containment.ipc"
	KeyNoGuardObjects  = hardenedPrefix + ".no-guard-objects"

	KeySetExceptionPort   = "com.apple.private.set-exception-port"
	KeyThreadSetState     = "com.apple.private.thread-set-state"
	KeyWeakReplyPort      = "com.apple.private.allow-weak-reply-port"
	KeyPortArray          = "com.apple.developer.allow-connection-port-with-port-array"
	KeyMovableControlPort = "com.apple.security.get-movable-control-port"
	KeyOneExceptionPort   = "com.apple.security.only-one-exception-port"

	KeyGetTaskAllow    = "get-task-allow"
	KeyGetTaskAllowMac = "com.apple.security.get-task-allow"
)

// browserKeys mark the processes of a web browser engine. Apple's documentation calls them so; libCodeSignature's
// header Entitlements.h (kCSWebBrowserHostEntitlement and three more) gives them to the kernel.
var browserKeys = []string{
	"com.apple.developer.web-browser-engine.host",
	"com.apple.developer.web-browser-engine.rendering",
	"com.apple.developer.web-browser-engine.networking",
	"com.apple.developer.web-browser-engine.webcontent",
}

// spellings pairs each key that XNU knows under two names: bsd/kern/kern_exec.c, exec_security_mitigation_entitlement.
var spellings = []struct {
	legacy, current string
	// stage tells where both at once are refused.
	stage refusalStage
	// needsHardened: only looked at in a hardened process, and on devices with memory tagging.
	needsHardened bool
}{
	{legacyHardenedPrefix, KeyHardenedProcess, stageLoad, false},
	{legacyHardenedPrefix + ".hardened-heap", KeyHardenedHeap, stageActivate, false},
	{legacyHardenedPrefix + ".checked-allocations", KeyCheckedAllocs, stageActivate, true},
}

// hardenedKeys are the keys of the family that the kernel or Apple's documentation knows; others near them are typing
// errors.
var hardenedKeys = []string{
	KeyHardenedProcess, KeyRestrictions, KeyRestrictionsString, KeyVersion, KeyVersionString, KeyHardenedHeap,
	KeyCheckedAllocs,
	KeyCheckedAllocs + ".soft-mode",
	KeyCheckedAllocs + ".no-tagged-receive",
	KeyCheckedAllocs + ".disable-pure-data",
	KeyCheckedAllocs + ".enable-pure-data",
	KeyDyldReadOnly, KeyContainmentIPC, KeyNoGuardObjects,
}

// effectKeys loosen or tighten a single restriction. The kernel asks for all of them with IOTaskHasEntitlement or its
// kin, which accept the boolean true alone.
var effectKeys = []struct {
	key     string
	relaxes bool
	private bool // only Apple's signatures may carry it
	what    string
}{
	{KeySetExceptionPort, true, true,
		"may set any exception behavior on any task: SET_EXCEPTION_BEHAVIOR does not apply to its calls"},
	{KeyThreadSetState, true, true,
		"may set the state of threads outside an exception: THREAD_SET_STATE does not apply to its calls"},
	{KeyWeakReplyPort, true, true, "may create weak reply ports"},
	{KeyPortArray, true, false,
		"may create connection ports that take one array of ports, the only ones OOL_PORT_ARRAY allows"},
	{KeyMovableControlPort, true, false,
		"its own task and thread control ports stay movable: ILLEGAL_MOVE does not apply to them"},
	{KeyNoGuardObjects, true, false, "turns guard objects in virtual memory off; no Mach restriction changes"},
	{KeyOneExceptionPort, false, false,
		"from level 1 on, any exception port but the hardened handler violates, even a null one"},
	{KeyContainmentIPC, false, false,
		"contained: further Mach rules apply, which the newest kernel reports without killing"},
}
