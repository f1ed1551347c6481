package gogen

import (
	"go/token"
	"strings"
	"unicode"
)

// camel turns a C name into an exported Go name: task_info, TaskInfo; a "_t" at the end goes.
func camel(s string) string {
	var b strings.Builder
	for _, w := range strings.Split(strings.TrimSuffix(s, "_t"), "_") {
		if w != "" {
			r := []rune(w)
			b.WriteRune(unicode.ToUpper(r[0]))
			b.WriteString(string(r[1:]))
		}
	}
	name := b.String()
	if name == "" || !unicode.IsLetter([]rune(name)[0]) {
		name = "X" + name
	}
	return name
}

// reserved are names that the generated functions use themselves.
var reserved = map[string]bool{
	"c": true, "s": true, "req": true, "rep": true, "w": true, "r": true, "o": true, "kr": true, "n": true, "i": true,
	"j": true, "k": true, "none": true, "mach": true, "rpc": true, "len": true, "min": true, "make": true, "clear": true,
	"append": true, "string": true, "uint32": true, "int32": true, "byte": true,
	"bool": true, "nil": true, "P": true, "f": true,
	"right": true, "mem": true, "next": true, "piece": true,
	"uint8": true, "uint16": true, "uint64": true, "int8": true, "int16": true, "int64": true, "float32": true,
	"float64": true, "new": true, "true": true, "false": true, "any": true, "comparable": true, "uint": true, "int": true,
}

// lower turns a C name into the name of a Go parameter.
func lower(s string) string {
	r := []rune(camel(s))
	i := 0
	for i < len(r) && unicode.IsUpper(r[i]) && (i == 0 || i+1 == len(r) || unicode.IsUpper(r[i+1])) {
		r[i] = unicode.ToLower(r[i])
		i++
	}
	name := string(r)
	if token.IsKeyword(name) || reserved[name] {
		name += "_"
	}
	return name
}

// packageName makes the name of a package of that of a subsystem.
func packageName(s string) string {
	name := strings.ToLower(strings.ReplaceAll(s, "_", ""))
	if name == "" || token.IsKeyword(name) || name[0] >= '0' && name[0] <= '9' || name == "mach" || name == "rpc" {
		name = "mig" + name
	}
	return name
}
