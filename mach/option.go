package mach

import (
	"fmt"
	"strings"
)

// Option is a set of mach_msg options: the 32 bits of mach_msg, what mach_msg2 adds above them, and the policy bits
// that the kernel keeps for itself but that show in the payloads of guard exceptions.
//
// Source: XNU osfmk/mach/message.h.
type Option uint64

const (
	SendMsg                  Option = 0x1
	RcvMsg                   Option = 0x2
	RcvLarge                 Option = 0x4
	RcvLargeIdentity         Option = 0x8
	SendTimeout              Option = 0x10
	SendOverride             Option = 0x20
	SendInterrupt            Option = 0x40
	SendNotify               Option = 0x80
	RcvTimeout               Option = 0x100
	StrictReply              Option = 0x200
	RcvInterrupt             Option = 0x400
	RcvVoucher               Option = 0x800
	RcvGuardedDesc           Option = 0x1000
	RcvSyncWait              Option = 0x4000
	RcvSyncPeek              Option = 0x8000
	SendFilterNonfatal       Option = 0x10000 // from a user; inside the kernel the bit is MACH_SEND_ALWAYS
	SendTrailer              Option = 0x20000
	SendNoImportance         Option = 0x40000
	SendImportance           Option = 0x80000
	SendSyncOverride         Option = 0x100000
	SendPropagateQoS         Option = 0x200000
	SendKernel               Option = 0x400000
	SendSyncBootstrapCheckin Option = 0x800000

	MsgVector       Option = 1 << 32
	SendKobjectCall Option = 1 << 33
	SendMQCall      Option = 1 << 34
	SendAny         Option = 1 << 35
	SendDKCall      Option = 1 << 36

	PolicyKernelExtension Option = 1 << 37
	PolicyFilterNonfatal  Option = 1 << 38
	PolicyFilterMsg       Option = 1 << 39
	PolicyDefault         Option = 1 << 40
	PolicyEnhanced        Option = 1 << 41
	PolicyPlatform        Option = 1 << 42
	PolicyContained       Option = 1 << 43
	PolicyKernel          Option = 1 << 44
	PolicySimulated       Option = 1 << 45
	PolicyTranslated      Option = 1 << 46
	PolicyOptedOut        Option = 1 << 47
	PolicyV0              Option = 1 << 48
	PolicyV1              Option = 1 << 49
	PolicyV2              Option = PolicyV0 | PolicyV1
	PolicyV3              Option = 1 << 50

	RcvLinearVector Option = 1 << 60
	RcvStack        Option = 1 << 61
	PeekMsg         Option = 1 << 62
	MachMsg2        Option = 1 << 63

	// OptionCFIMask holds the bits of which a mach_msg2 send has exactly one: what kind of destination it means.
	OptionCFIMask = SendKobjectCall | SendMQCall | SendAny | SendDKCall

	// OptionUser holds the bits that the kernel takes from a user; it clears all others.
	OptionUser = SendMsg | SendTimeout | SendNotify | SendOverride | SendTrailer | SendNoImportance |
		SendSyncOverride | SendPropagateQoS | SendSyncBootstrapCheckin | SendFilterNonfatal | StrictReply |
		RcvMsg | RcvTimeout | RcvLarge | RcvLargeIdentity | RcvVoucher | RcvGuardedDesc | RcvSyncWait |
		RcvSyncPeek | optionTrailerElements | MsgVector | OptionCFIMask

	// PolicyShift is where the policy word of the caller's space starts in an Option.
	PolicyShift = 40

	optionTrailer         Option = 0xff000000
	optionTrailerElements Option = 0x0f000000
)

var lowOptions = flags[Option]{
	{SendMsg, "MACH_SEND_MSG"}, {RcvMsg, "MACH_RCV_MSG"}, {RcvLarge, "MACH_RCV_LARGE"},
	{RcvLargeIdentity, "MACH_RCV_LARGE_IDENTITY"}, {SendTimeout, "MACH_SEND_TIMEOUT"},
	{SendOverride, "MACH_SEND_OVERRIDE"}, {SendInterrupt, "MACH_SEND_INTERRUPT"},
	{SendNotify, "MACH_SEND_NOTIFY"}, {RcvTimeout, "MACH_RCV_TIMEOUT"}, {StrictReply, "MACH_MSG_STRICT_REPLY"},
	{RcvInterrupt, "MACH_RCV_INTERRUPT"}, {RcvVoucher, "MACH_RCV_VOUCHER"},
	{RcvGuardedDesc, "MACH_RCV_GUARDED_DESC"}, {RcvSyncWait, "MACH_RCV_SYNC_WAIT"},
	{RcvSyncPeek, "MACH_RCV_SYNC_PEEK"}, {SendFilterNonfatal, "MACH_SEND_FILTER_NONFATAL"},
	{SendTrailer, "MACH_SEND_TRAILER"}, {SendNoImportance, "MACH_SEND_NOIMPORTANCE"},
	{SendImportance, "MACH_SEND_IMPORTANCE"}, {SendSyncOverride, "MACH_SEND_SYNC_OVERRIDE"},
	{SendPropagateQoS, "MACH_SEND_PROPAGATE_QOS"}, {SendKernel, "MACH_SEND_KERNEL"},
	{SendSyncBootstrapCheckin, "MACH_SEND_SYNC_BOOTSTRAP_CHECKIN"},
	{MsgVector, "MACH64_MSG_VECTOR"}, {SendKobjectCall, "MACH64_SEND_KOBJECT_CALL"},
	{SendMQCall, "MACH64_SEND_MQ_CALL"}, {SendAny, "MACH64_SEND_ANY"}, {SendDKCall, "MACH64_SEND_DK_CALL"},
}

var highOptions = flags[Option]{
	{RcvLinearVector, "MACH64_RCV_LINEAR_VECTOR"}, {RcvStack, "MACH64_RCV_STACK"},
	{PeekMsg, "MACH64_PEEK_MSG"}, {MachMsg2, "MACH64_MACH_MSG2"},
}

var policyOptions = flags[Option]{
	{PolicyKernelExtension, "MACH64_POLICY_KERNEL_EXTENSION"},
	{PolicyFilterNonfatal, "MACH64_POLICY_FILTER_NON_FATAL"}, {PolicyFilterMsg, "MACH64_POLICY_FILTER_MSG"},
	{PolicyDefault, "MACH64_POLICY_DEFAULT"}, {PolicyEnhanced, "MACH64_POLICY_ENHANCED"},
	{PolicyPlatform, "MACH64_POLICY_PLATFORM"}, {PolicyContained, "MACH64_POLICY_CONTAINED"},
	{PolicyKernel, "MACH64_POLICY_KERNEL"}, {PolicySimulated, "MACH64_POLICY_SIMULATED"},
	{PolicyTranslated, "MACH64_POLICY_TRANSLATED"}, {PolicyOptedOut, "MACH64_POLICY_OPTED_OUT"},
	{PolicyV2, "MACH64_POLICY_ENHANCED_V2"}, {PolicyV0, "MACH64_POLICY_ENHANCED_V0"},
	{PolicyV1, "MACH64_POLICY_ENHANCED_V1"}, {PolicyV3, "MACH64_POLICY_ENHANCED_V3"},
}

// policyOptions15 are the policy bits of macOS 15.4.
var policyOptions15 = flags[Option]{
	{1 << 49, "MACH64_POLICY_KERNEL_EXTENSION"}, {1 << 50, "MACH64_POLICY_FILTER_NON_FATAL"},
	{1 << 51, "MACH64_POLICY_FILTER_MSG"}, {1 << 52, "MACH64_POLICY_DEFAULT"},
	{1 << 53, "MACH64_POLICY_SIMULATED"}, {1 << 54, "MACH64_POLICY_TRANSLATED"},
	{1 << 55, "MACH64_POLICY_HARDENED"}, {1 << 56, "MACH64_POLICY_RIGID"}, {1 << 57, "MACH64_POLICY_PLATFORM"},
}

// String returns the options joined by "|" in the newest layout.
func (o Option) String() string { return o.list(policyOptions) }

// String15 returns the options joined by "|" in the layout of macOS 15.4 (XNU 11417), whose policy bits lie elsewhere.
func (o Option) String15() string { return o.list(policyOptions15) }

func (o Option) list(policy flags[Option]) string {
	var all flags[Option]
	all = append(append(append(all, lowOptions...), policy...), highOptions...)
	s := all.list(o &^ optionTrailer)
	if t := o & optionTrailer; t != 0 {
		var b strings.Builder
		if s != "0" {
			b.WriteString(s)
		}
		appendMember(&b, fmt.Sprintf("MACH_RCV_TRAILER_TYPE(%d)", uint32(t>>28)))
		appendMember(&b, fmt.Sprintf("MACH_RCV_TRAILER_ELEMENTS(%d)", uint32(t>>24&0xf)))
		return b.String()
	}
	return s
}

// ParseOption reads what [Option.String] writes.
func ParseOption(s string) (Option, bool) {
	var all flags[Option]
	all = append(append(append(all, lowOptions...), policyOptions...), highOptions...)
	all = append(all, pair[Option]{0x10000, "MACH_SEND_ALWAYS"})
	for n := range Option(16) {
		all = append(all, pair[Option]{n << 28, fmt.Sprintf("MACH_RCV_TRAILER_TYPE(%d)", n)},
			pair[Option]{n << 24, fmt.Sprintf("MACH_RCV_TRAILER_ELEMENTS(%d)", n)})
	}
	return all.parse(s)
}

// TrailerElements returns which elements of the trailer the receiver asks for.
func (o Option) TrailerElements() uint32 { return uint32(o>>24) & 0xf }

// TrailerType returns the trailer format the receiver asks for; 0 is the only one there is.
func (o Option) TrailerType() uint32 { return uint32(o>>28) & 0xf }
