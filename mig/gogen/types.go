package gogen

import (
	"fmt"
	"strings"

	"portcullis.dev/mach"
	"portcullis.dev/mig/model"
)

// number is the Go type of a primitive that is no right.
func (g *generator) number(t *model.Type) string {
	for a := t; a != nil; a = a.Alias {
		switch a.Name {
		case "kern_return_t":
			return "mach.KernReturn"
		case "float", "double":
			return map[int]string{32: "float32", 64: "float64"}[t.Bits]
		case "natural_t", "mach_port_name_t":
			if t.In == int32(mach.PortName) {
				return "mach.Name"
			}
			return "uint32"
		case "char", "int8_t", "uint8_t":
			if t.Bits == 8 {
				return map[bool]string{true: "int8", false: "uint8"}[a.Name == "int8_t"]
			}
		}
		if strings.HasPrefix(a.Name, "uint") || strings.HasPrefix(a.Name, "unsigned") {
			switch t.Bits {
			case 8, 16, 32, 64:
				return fmt.Sprintf("uint%d", t.Bits)
			}
		}
	}
	switch {
	case t.In == int32(mach.PortName) && t.Bits == 32:
		return "mach.Name"
	case t.In == primReal32 && t.Bits == 32 && t.Out == primReal32:
		return "float32"
	case t.In == primReal64 && t.Bits == 64:
		return "float64"
	case t.Bits == 8:
		return "uint8"
	case t.Bits == 16, t.Bits == 32, t.Bits == 64:
		return fmt.Sprintf("int%d", t.Bits)
	}
	return fmt.Sprintf("[%d]uint8", t.Unit())
}

const (
	primReal32 = 10
	primReal64 = 11
)

// element is the Go type of a value of fixed size that lies inline, or of an element.
func (g *generator) element(t *model.Type) string {
	switch {
	case t.Fields != nil:
		g.structs[g.structName(t)] = t
		return g.structName(t)
	case t.Shape == model.String:
		return "string"
	case t.Shape == model.Scalar && t.IsPort():
		return "P"
	case t.Shape == model.Scalar:
		return g.number(t)
	case t.Elem.Shape == model.Scalar && t.Elem.Bits < 8:
		return fmt.Sprintf("[%d]uint8", t.Size())
	case t.Scattered():
		return fmt.Sprintf("[%d]%s", t.Count, g.value(t.Elem, false))
	}
	return fmt.Sprintf("[%d]%s", t.Count, g.element(t.Elem))
}

func (g *generator) structName(t *model.Type) string {
	for t.Name == "" && t.Alias != nil {
		t = t.Alias
	}
	name := camel(t.Name)
	for _, r := range g.i.Routines() {
		if camel(r.Name) == name {
			return name + "Struct"
		}
	}
	return name
}

// value is the Go type of an argument; open says that the disposition of rights goes with them.
func (g *generator) value(t *model.Type, open bool) string {
	switch {
	case t.Shape == model.VarString:
		return "string"
	case t.IsPort() && t.Shape == model.Scalar && open:
		return "rpc.Right[P]"
	case t.Scattered():
		return fmt.Sprintf("[%d]%s", t.Count, g.value(t.Elem, open))
	case t.IsPort() && open:
		return "rpc.Rights[P]"
	case t.Shape == model.VarArray || t.IsPort() && t.OutOfLine:
		return "[]" + g.element(t.Elem)
	case t.OutOfLine && t.Shape == model.Array && t.Count == 1:
		return g.element(t.Elem)
	}
	return g.element(t)
}

// single says that the argument is a pointer to one value.
func single(t *model.Type) bool {
	return t.OutOfLine && t.Shape == model.Array && t.Count == 1 && !t.IsPort()
}

// put writes statements that append a value to the writer w.
func (g *generator) put(t *model.Type, x string, depth int) {
	switch {
	case t.Fields != nil:
		at := 0
		for _, f := range t.Fields {
			if f.Offset > at {
				g.p("w.Zero(%d)", f.Offset-at)
			}
			g.put(f.Type, x+"."+camel(f.Name), depth)
			at = f.Offset + f.Type.Size()
		}
		if t.Size() > at {
			g.p("w.Zero(%d)", t.Size()-at)
		}
	case t.Shape == model.String:
		g.p("w.String(%s, %d)", x, t.Count)
	case t.Shape == model.Scalar:
		g.p("%s", g.putNumber(t, x))
	case isBytes(g.element(t)):
		g.p("w.Bytes(%s[:])", x)
	default:
		i := "ijk"[depth%3:][:1] + strings.Repeat("_", depth/3)
		g.p("for %s := range %s {", i, x)
		g.put(t.Elem, x+"["+i+"]", depth+1)
		g.p("}")
	}
}

// isBytes says that a Go array type has bytes as its elements.
func isBytes(goType string) bool {
	_, elem, ok := strings.Cut(goType, "]")
	return ok && elem == "uint8"
}

func (g *generator) putNumber(t *model.Type, x string) string {
	switch n := g.number(t); {
	case n == "float32" || n == "float64":
		return fmt.Sprintf("w.F%s(%s)", n[1:], x)
	case isBytes(n):
		return fmt.Sprintf("w.Bytes(%s[:])", x)
	case n == fmt.Sprintf("uint%d", t.Bits):
		return fmt.Sprintf("w.Uint%d(%s)", t.Bits, x)
	}
	return fmt.Sprintf("w.Uint%d(uint%d(%s))", t.Bits, t.Bits, x)
}

// get writes statements that read a value from the reader r into x.
func (g *generator) get(t *model.Type, x string, depth int) {
	switch {
	case t.Fields != nil:
		at := 0
		for _, f := range t.Fields {
			if f.Offset > at {
				g.p("%s.Skip(%d)", g.r, f.Offset-at)
			}
			g.get(f.Type, x+"."+camel(f.Name), depth)
			at = f.Offset + f.Type.Size()
		}
		if t.Size() > at {
			g.p("%s.Skip(%d)", g.r, t.Size()-at)
		}
	case t.Shape == model.String:
		g.p("%s = %s.String(%d)", x, g.r, t.Count)
	case t.Shape == model.Scalar:
		n := g.number(t)
		switch {
		case n == "float32" || n == "float64":
			g.p("%s = %s.F%s()", x, g.r, n[1:])
		case isBytes(n):
			g.p("%s.Read(%s[:])", g.r, x)
		case n == fmt.Sprintf("uint%d", t.Bits):
			g.p("%s = %s.Uint%d()", x, g.r, t.Bits)
		default:
			g.p("%s = %s(%s.Uint%d())", x, n, g.r, t.Bits)
		}
	case isBytes(g.element(t)):
		g.p("%s.Read(%s[:])", g.r, x)
	default:
		i := "ijk"[depth%3:][:1] + strings.Repeat("_", depth/3)
		g.p("for %s := range %s {", i, x)
		g.get(t.Elem, x+"["+i+"]", depth+1)
		g.p("}")
	}
}

// putElements writes the elements of a slice.
func (g *generator) putElements(t *model.Type, x string) {
	if isBytes("[]" + g.element(t.Elem)) {
		g.p("w.Bytes(%s)", x)
		return
	}
	g.p("for i := range %s {", x)
	g.put(t.Elem, x+"[i]", 1)
	g.p("}")
}

// getElements reads n elements into the slice x.
func (g *generator) getElements(t *model.Type, x, n string) {
	g.p("%s = make([]%s, %s.Elements(%s, %d))", x, g.element(t.Elem), g.r, n, t.Elem.Size())
	if isBytes("[]" + g.element(t.Elem)) {
		g.p("%s.Read(%s)", g.r, x)
		return
	}
	g.p("for i := range %s {", x)
	g.get(t.Elem, x+"[i]", 1)
	g.p("}")
}
