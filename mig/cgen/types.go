package cgen

import (
	"fmt"
	"strings"

	"portcullis.dev/mach"
	"portcullis.dev/mig/model"
)

// provided are the C types of the language and of portcullis_mig.h.
var provided = map[string]bool{
	"char": true, "short": true, "int": true, "long": true, "unsigned": true, "float": true, "double": true,
	"int8_t": true, "int16_t": true, "int32_t": true, "int64_t": true, "uint8_t": true, "uint16_t": true,
	"uint32_t": true, "uint64_t": true, "uintptr_t": true, "intptr_t": true, "integer_t": true, "natural_t": true,
	"boolean_t": true, "kern_return_t": true, "mach_port_t": true, "mach_port_name_t": true, "mach_msg_bits_t": true,
	"mach_msg_size_t": true, "mach_msg_id_t": true, "mach_msg_option_t": true, "mach_msg_timeout_t": true,
	"mach_msg_type_name_t": true, "mach_msg_type_number_t": true, "security_token_t": true, "audit_token_t": true,
}

// primitive is the C type of a primitive that has no name.
func primitive(t *model.Type) string {
	switch {
	case t.IsPort() || t.In == int32(mach.PortName):
		return "mach_port_t"
	case t.In == 10 && t.Bits == 32:
		return "float"
	case t.In == 11 && t.Bits == 64:
		return "double"
	case t.In == 8 || t.In == 12:
		return "char"
	case t.Bits == 8:
		return "uint8_t"
	case t.Bits == 16, t.Bits == 32, t.Bits == 64:
		return fmt.Sprintf("int%d_t", t.Bits)
	}
	return ""
}

// element declares a member or variable of a type with fixed size: "int32_t x", "char x[4][3]".
func element(t *model.Type, x string) string {
	switch {
	case t.Name != "" && t.UserType != "" && t.Shape != model.VarString && t.Shape != model.VarArray:
		if !t.Translated() || t.IsPort() || t.WireType == t.UserType {
			return t.UserType + " " + x
		}
		return t.WireType + " " + x
	case t.Shape == model.String || t.Shape == model.VarString:
		return fmt.Sprintf("char %s[%d]", x, t.Count)
	case t.Shape == model.Scalar && primitive(t) != "":
		return primitive(t) + " " + x
	case t.Shape == model.Scalar:
		return fmt.Sprintf("uint8_t %s[%d]", x, t.Unit())
	case t.Shape == model.Struct:
		return fmt.Sprintf("struct { %s; } %s", element(t.Elem, fmt.Sprintf("val[%d]", t.Count)), x)
	case t.Elem.Shape == model.Scalar && t.Elem.Bits < 8:
		return fmt.Sprintf("uint8_t %s[%d]", x, t.Size())
	}
	return element(t.Elem, fmt.Sprintf("%s[%d]", x, t.Count))
}

// pointerTo declares a pointer to the elements of a type, for variable and out-of-line types.
func pointerTo(t *model.Type, x string) string {
	switch {
	case t.Elem == nil: // a string out of line
		return "char *" + x
	case t.Elem.Shape == model.Scalar && t.Elem.Bits < 8:
		return "uint8_t *" + x
	case t.Elem.Shape == model.Array || t.Elem.Shape == model.String:
		return element(t.Elem, "(*"+x+")")
	}
	return element(t.Elem, "*"+x)
}

// behind says that the C value of the type is a pointer to its data.
func behind(t *model.Type) bool { return t.OutOfLine || t.Shape == model.VarArray }

// isArray says that a parameter of the type decays to a pointer, so that results need no further one.
func isArray(t *model.Type) bool {
	return !t.OutOfLine && (t.Shape == model.Array || t.Shape == model.VarArray || t.Shape == model.String ||
		t.Shape == model.VarString)
}

// typeName is the name by which one side calls a type, "" for one without a name.
func typeName(t *model.Type, server bool) string {
	if server {
		return t.ServerType
	}
	return t.UserType
}

// variable declares a parameter, by reference where it is out.
func variable(t *model.Type, x string, server, out bool) string {
	if out && !isArray(t) {
		if strings.HasPrefix(x, "*") {
			x = "(" + x + ")"
		}
		x = "*" + x
	}
	if n := typeName(t, server); t.Name != "" && n != "" {
		return n + " " + x
	}
	if behind(t) {
		return pointerTo(t, x)
	}
	return element(t, x)
}

// typedef declares the C type of a named type.
func typedef(t *model.Type, name string) string {
	if t.Fields != nil {
		var b strings.Builder
		b.WriteString("typedef struct {\n")
		for _, f := range t.Fields {
			fmt.Fprintf(&b, "\t%s;\n", element(f.Type, f.Name))
		}
		return b.String() + "} " + name
	}
	anonymous := *t
	anonymous.Name, anonymous.UserType = "", ""
	if a := t.Alias; a != nil && typeName(a, false) != "" && typeName(a, false) != name {
		return "typedef " + a.UserType + " " + name
	}
	if behind(t) {
		return "typedef " + pointerTo(&anonymous, name)
	}
	return "typedef " + element(&anonymous, name)
}

// cast turns an address into the type that one side's function has for it, which may be an integer.
func cast(t *model.Type, server bool) string {
	if n := typeName(t, server); t.Name != "" && n != "" && t.OutOfLine {
		return "(" + n + ")(uintptr_t)"
	}
	return "(void *)"
}
