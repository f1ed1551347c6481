package rules

import (
	"fmt"
	"strconv"
	"strings"
)

// guardNames gives the names of guard types: XNU's constant, what users write, and what the thing guarded is.
var guardNames = [...]struct{ xnu, text, thing string }{
	GuardNone:       {"GUARD_TYPE_NONE", "none", "nothing"},
	GuardMachPort:   {"GUARD_TYPE_MACH_PORT", "mach-port", "a Mach port"},
	GuardFD:         {"GUARD_TYPE_FD", "fd", "a file descriptor"},
	GuardUser:       {"GUARD_TYPE_USER", "user", "a fault that the process reported itself"},
	GuardVN:         {"GUARD_TYPE_VN", "vn", "a file (vnode)"},
	GuardVirtMemory: {"GUARD_TYPE_VIRT_MEMORY", "virt-memory", "virtual memory"},
	GuardRejectedSC: {"GUARD_TYPE_REJECTED_SC", "rejected-sc", "a system call"},
	GuardFrozen:     {"GUARD_TYPE_FROZEN_SWAPIN", "frozen", "a frozen process"},
}

// GuardTypes lists the guard types a code can carry, without GuardNone.
func GuardTypes() []GuardType {
	return []GuardType{
		GuardMachPort, GuardFD, GuardUser, GuardVN, GuardVirtMemory, GuardRejectedSC, GuardFrozen,
	}
}

// String returns XNU's name, GUARD_TYPE_MACH_PORT.
func (t GuardType) String() string {
	if int(t) < len(guardNames) {
		return guardNames[t].xnu
	}
	return fmt.Sprintf("GUARD_TYPE_0x%X", uint8(t))
}

// Text returns the name as users write it: "mach-port".
func (t GuardType) Text() string {
	if int(t) < len(guardNames) {
		return guardNames[t].text
	}
	return strconv.Itoa(int(t))
}

// Thing says what the type guards, as it stands in a sentence: "a Mach port".
func (t GuardType) Thing() string {
	if int(t) < len(guardNames) {
		return guardNames[t].thing
	}
	return "an unknown resource"
}

// MarshalText implements encoding.TextMarshaler with [GuardType.String].
func (t GuardType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// ParseGuardType reads a guard type: mach-port, fd, user, vn, virt-memory, rejected-sc, frozen, XNU's constant with or
// without its prefix, or the number.
func ParseGuardType(s string) (GuardType, error) {
	t := strings.ToLower(strings.TrimSpace(s))
	t = strings.ReplaceAll(strings.TrimPrefix(t, "guard_type_"), "_", "-")
	switch t {
	case "vm", "virtual-memory":
		return GuardVirtMemory, nil
	case "port", "mach":
		return GuardMachPort, nil
	case "vnode":
		return GuardVN, nil
	case "frozen-swapin":
		return GuardFrozen, nil
	}
	for i, n := range guardNames {
		if t == n.text {
			return GuardType(i), nil
		}
	}
	if n, err := strconv.ParseUint(t, 0, 64); err == nil && n < uint64(len(guardNames)) {
		return GuardType(n), nil
	}
	return 0, fmt.Errorf("unknown guard type %q: want mach-port, fd, user, vn, virt-memory, rejected-sc or frozen", s)
}
