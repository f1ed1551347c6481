package rules

import (
	"fmt"
	"strconv"
	"strings"
)

// GuardType is the class of resource an EXC_GUARD exception is about: bits 63 to 61 of a [Code].
//
// Source: XNU osfmk/kern/exc_guard.h.
type GuardType uint8

const (
	GuardNone       GuardType = 0
	GuardMachPort   GuardType = 1
	GuardFD         GuardType = 2
	GuardUser       GuardType = 3
	GuardVN         GuardType = 4
	GuardVirtMemory GuardType = 5
	GuardRejectedSC GuardType = 6
	GuardFrozen     GuardType = 7
)

// Code is the 64-bit exception code of an EXC_GUARD: guard type (3 bits), flavor (29 bits), target (32 bits).
// It stands in crash reports as the decimal of "Termination Reason: Namespace GUARD, Code …".
type Code uint64

// MakeCode packs a code. Bits of flavor above 29 are cut off, as the kernel's macro does.
func MakeCode(t GuardType, flavor, target uint32) Code {
	return Code(uint64(t&7)<<61 | uint64(flavor&0x1fffffff)<<32 | uint64(target))
}

// Type returns the guard type in bits 63 to 61.
func (c Code) Type() GuardType { return GuardType(c >> 61) }

// Flavor returns the flavor, a kGUARD_EXC_* value, in bits 60 to 32.
func (c Code) Flavor() uint32 { return uint32(c>>32) & 0x1fffffff }

// Target returns the target in bits 31 to 0; what it means depends on type, flavor and OS version.
func (c Code) Target() uint32 { return uint32(c) }

// String returns the code in hexadecimal, sixteen digits wide.
func (c Code) String() string { return fmt.Sprintf("0x%016x", uint64(c)) }

// MarshalText implements encoding.TextMarshaler: hexadecimal, so that no JSON reader loses bits over 2^53.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with the forms that [ParseCode] reads.
func (c *Code) UnmarshalText(b []byte) error {
	v, err := ParseCode(string(b))
	if err == nil {
		*c = v
	}
	return err
}

// ParseCode reads a 64-bit code as it stands in reports, logs and debuggers: hexadecimal with 0x, unsigned decimal, or
// the negative decimal that tools with signed integers print for guard types 4 and above.
func ParseCode(s string) (Code, error) {
	t := strings.TrimSpace(s)
	if n, err := strconv.ParseUint(t, 0, 64); err == nil {
		return Code(n), nil
	}
	if n, err := strconv.ParseInt(t, 0, 64); err == nil {
		return Code(uint64(n)), nil
	}
	return 0, fmt.Errorf("%q is not a 64-bit number", s)
}
