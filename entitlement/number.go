package entitlement

import (
	"errors"
	"fmt"
	"math"
)

// parseRestrictions reads the value of platform-restrictions-string: a string that is a number from 2 to 7. Lenient
// tells that only strtoul's tolerance let it pass.
func parseRestrictions(v Value) (n int, lenient bool, err error) {
	u, lenient, err := parseNumber(v)
	switch {
	case err != nil:
		return 0, false, err
	case u < 2:
		return 0, false, errors.New("versions below 2 are not accepted")
	case u >= 8:
		return 0, false, errors.New("versions above 7 are not accepted")
	}
	return int(u), lenient, nil
}

// parseNumber mirrors how the kernel reads a number from a string entitlement: strtoul with base 10, which must consume
// the whole string, and a result of at most UINT_MAX (XNU bsd/kern/kern_exec.c, imgact_setup_platform_restrictions).
func parseNumber(v Value) (n int64, lenient bool, err error) {
	if v.Kind != KindString {
		return 0, false, fmt.Errorf("%s where a string is due", v.Kind.WithArticle())
	}
	u, rest, ok := strtoul(v.Str)
	switch {
	case v.Str == "":
		return 0, false, errors.New("the string is empty")
	case !ok:
		return 0, false, errors.New("not a number")
	case rest != "":
		return 0, false, fmt.Errorf("%q after the number", rest)
	case u > math.MaxUint32:
		return 0, false, errors.New("the number is too large")
	}
	return int64(u), v.Str[0] < '0' || v.Str[0] > '9', nil
}

// strtoul is C's, with base 10 and a 64-bit unsigned long: blanks, a sign, digits. A minus sign negates the result in
// 64 bits, overflow gives the largest number. It returns what follows the number; ok is false where there is none.
func strtoul(s string) (n uint64, rest string, ok bool) {
	i := 0
	for i < len(s) && (s[i] == ' ' || s[i] >= '\t' && s[i] <= '\r') {
		i++
	}
	negative := false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		negative = s[i] == '-'
		i++
	}
	start, overflow := i, false
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		digit := uint64(s[i] - '0')
		if n > (math.MaxUint64-digit)/10 {
			overflow = true
		}
		n = n*10 + digit
	}
	if i == start {
		return 0, s, false
	}
	if overflow {
		return math.MaxUint64, s[i:], true
	}
	if negative {
		n = -n
	}
	return n, s[i:], true
}
