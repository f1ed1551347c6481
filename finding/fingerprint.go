package finding

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// A fingerprint names a finding in a way that survives a new build: baselines and code-scanning services recognise it
// by that. It is made of the rule, the file, the architecture, the function and the function called, and counts the
// findings that agree in all of these; the address is not in it, for addresses move with every build.

// fingerprint fills in Finding.Fingerprint. The findings are sorted.
func fingerprint(findings []Finding) {
	seen := map[string]int{}
	for i := range findings {
		f := &findings[i]
		key := strings.Join(identity(f), "\x00")
		n := seen[key]
		seen[key]++
		sum := sha256.Sum256([]byte(key + "\x00" + strconv.Itoa(n)))
		f.Fingerprint = hex.EncodeToString(sum[:16])
	}
}

// identity returns what stays the same from build to build.
func identity(f *Finding) []string {
	w := &f.Where
	if f.Moment == MomentExplain {
		// Each crash writes a report of its own name; what is the same is the code at fault.
		return []string{"explain/1", f.Rule, w.Image, stableFunction(w.Function), f.Callee}
	}
	return []string{"check/1", f.Rule, stablePath(w.Path), w.Member, w.Arch, stableFunction(w.Function), f.Callee}
}

// stablePath returns a relative path with slashes. Of an absolute one it keeps the last element alone: folders above a
// build differ from machine to machine.
func stablePath(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Base(p)
	}
	return path.Clean(filepath.ToSlash(p))
}

// Parts of a symbol that change with every build: the hash at the end of Rust's older mangling, what LLVM adds to
// symbols it made local or split, and names that tools make up from an address.
var (
	rustHash    = regexp.MustCompile(`17h[0-9a-f]{16}E`)
	llvmSuffix  = regexp.MustCompile(`\.llvm\.[0-9]+`)
	addressName = regexp.MustCompile(`^(?:sub_|fun_|FUN_|func_|0x)[0-9a-fA-F]+$`)
)

// stableFunction returns a symbol without those parts.
func stableFunction(symbol string) string {
	if addressName.MatchString(symbol) {
		return ""
	}
	return llvmSuffix.ReplaceAllString(rustHash.ReplaceAllString(symbol, "E"), "")
}
