package finding

import (
	"strconv"
	"strings"

	"github.com/ianlancetaylor/demangle"
)

// Limits of what is demangled: longer symbols are shown as they are, longer results are cut.
const (
	maxMangled      = 8192
	maxDemangledLog = 11 // 2048 bytes
)

// FunctionName returns a symbol of a Mach-O file as its author wrote it: C++ and Rust names demangled, Swift names as far
// as module, type and function go, and everything else without the underscore that Mach-O puts before the names of C.
// The result is [Printable].
func FunctionName(symbol string) string {
	if plain := demangled(symbol); plain != "" {
		return Printable(plain)
	}
	if name := strings.TrimPrefix(symbol, "_"); name != "" && len(symbol) <= maxMangled {
		return Printable(name)
	}
	return Printable(symbol)
}

// function is the name of the function for people. Crash reports have left Mach-O's underscore out, so one that stands
// there is part of the name.
func (f *Finding) function() string {
	if f.Moment == MomentCheck {
		return FunctionName(f.Where.Function)
	}
	if plain := demangled(f.Where.Function); plain != "" {
		return Printable(plain)
	}
	return Printable(f.Where.Function)
}

// demangled returns what a mangled name stands for, with or without Mach-O's underscore before it; "" for other names.
func demangled(symbol string) string {
	if len(symbol) > maxMangled {
		return ""
	}
	mangled := symbol
	if strings.HasPrefix(symbol, "__Z") || strings.HasPrefix(symbol, "__R") || strings.HasPrefix(symbol, "___Z") ||
		strings.HasPrefix(symbol, "_$") {
		mangled = symbol[1:]
	}
	switch {
	case strings.HasPrefix(mangled, "_Z"), strings.HasPrefix(mangled, "_R"), strings.HasPrefix(mangled, "__Z"):
		plain, err := demangle.ToString(mangled, demangle.NoParams, demangle.NoTemplateParams,
			demangle.MaxLength(maxDemangledLog), demangle.LLVMStyle)
		if err == nil {
			return plain
		}
	case strings.HasPrefix(mangled, "$s"), strings.HasPrefix(mangled, "$S"):
		return swiftName(mangled[2:])
	}
	return ""
}

// swiftName reads the front of a Swift symbol behind its "$s": identifiers with their lengths before them, the module
// first, then types, each followed by its kind (C class, V structure, O enumeration), then the function. What follows
// tells labels and types and is left out. It returns "" for what does not begin so.
func swiftName(s string) string {
	var parts []string
	for len(s) > 0 && s[0] >= '1' && s[0] <= '9' {
		digits := 1
		for digits < len(s) && digits < 4 && s[digits] >= '0' && s[digits] <= '9' {
			digits++
		}
		n, err := strconv.Atoi(s[:digits])
		if err != nil || n > len(s)-digits {
			return ""
		}
		parts = append(parts, s[digits:digits+n])
		s = s[digits+n:]
		if len(parts) == 1 {
			continue // the module
		}
		if s == "" || !strings.ContainsRune("CVO", rune(s[0])) {
			break // the function
		}
		s = s[1:]
	}
	if len(parts) < 2 {
		return ""
	}
	return strings.Join(parts, ".")
}
