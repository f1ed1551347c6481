package model

import (
	"portcullis.dev/mach"
	"portcullis.dev/mig/source"
	"portcullis.dev/mig/syntax"
)

// Shape says how the values of a type lie in a message.
type Shape uint8

const (
	Scalar    Shape = iota // one number, or one right
	Struct                 // a fixed number of members, one C value
	Array                  // a fixed number of elements, a C array
	VarArray               // up to a bound, or any number; counted
	String                 // c_string[N]
	VarString              // c_string[*:N]
)

// Type is a type of the language.
type Type struct {
	Name  string // as declared; empty for a type that was written out in place
	Pos   source.Pos
	Alias *Type // the named type that this one is a copy of

	Shape     Shape
	OutOfLine bool  // carried by a descriptor
	Callee    bool  // "array[]": out of line, and the server's stub frees the memory after the call
	Elem      *Type // of Struct, Array and VarArray, and what a pointer to a single value points to
	Count     int   // members, elements or bytes; the bound of variable shapes, 0 for none
	Fields    []Field
	leaves    int // of Fields, those of their own structs counted

	In, Out int32 // primitive numbers of the leaf: what a sender writes and a receiver sees
	Bits    int   // of a Scalar

	UserType, ServerType string // names of the C types on either side
	WireType             string // of the C type that translations take and give
	Imported             bool   // headers define the C types: those that its file or one around it imports
	Predefined           bool   // GNU's built-in types
	InTran, OutTran      *syntax.Function
	Destructor           *syntax.Function
}

// Field is a member of a struct with names.
type Field struct {
	Name   string
	Type   *Type
	Offset int
}

// IsPort says that the type carries rights.
func (t *Type) IsPort() bool { return isPort(t.In) || isPort(t.Out) }

// Leaf returns the type of the innermost elements.
func (t *Type) Leaf() *Type {
	for t.Elem != nil {
		t = t.Elem
	}
	return t
}

// Variable says that the number of elements is known at run time alone.
func (t *Type) Variable() bool { return t.Shape == VarArray || t.Shape == VarString }

// Translated says that the server sees another C type than the message carries.
func (t *Type) Translated() bool { return t.InTran != nil || t.OutTran != nil }

// Scattered says that the type is an array whose elements are out of line, each with a descriptor of its own.
func (t *Type) Scattered() bool { return t.Shape == Array && !t.OutOfLine && t.Elem.OutOfLine }

// Unit returns the bytes of one element, or of one value where there are no elements.
func (t *Type) Unit() int {
	if t.Elem != nil {
		return t.Elem.Size()
	}
	return (t.Bits + 7) / 8
}

// Size returns the bytes of a value; of variable shapes, of the longest.
func (t *Type) Size() int {
	switch {
	case t.Fields != nil:
		return t.Bits / 8
	case t.Shape == Scalar:
		return t.Unit()
	case t.Shape == String || t.Shape == VarString:
		return t.Count
	}
	if t.Elem.Shape == Scalar && t.Elem.Bits < 8 {
		return (t.Count*t.Elem.Bits + 7) / 8
	}
	return t.Count * t.Elem.Size()
}

// align returns the alignment that a C compiler gives a value on a 64-bit machine.
func (t *Type) align() int {
	switch {
	case t.Fields != nil:
		a := 1
		for _, f := range t.Fields {
			a = max(a, f.Type.align())
		}
		return a
	case t.Elem != nil:
		return t.Elem.align()
	case t.Shape == Scalar:
		return max(t.Unit(), 1)
	}
	return 1
}

// maxBytes bounds the memory that one value of a type may take: what fits into a message at all, generously.
const maxBytes = 64 << 20

// maxMembers bounds the members of a struct, for stubs copy them one by one.
const maxMembers = 1024

// typeOf gives a specification its meaning. It returns nil after an error.
func (c *checker) typeOf(s syntax.Spec) *Type {
	switch s := s.(type) {
	case *syntax.Primitive:
		return c.primitiveType(s)
	case *syntax.Named:
		t := c.types[s.Name.Name]
		if t == nil {
			c.undeclared(s.Name)
			return nil
		}
		return t
	case *syntax.Pointer:
		return c.pointerType(s)
	case *syntax.Array:
		return c.arrayType(s)
	case *syntax.Struct:
		return c.structType(s)
	case *syntax.Fields:
		return c.fieldsType(s)
	case *syntax.CString:
		if s.Bound < 1 || s.Bound > maxBytes {
			c.errs.Errorf(s.Pos, "c_string", "a string of %d bytes cannot be carried", s.Bound)
			return nil
		}
		t := &Type{Pos: s.Pos, Shape: String, Count: int(s.Bound), In: primString, Out: primString, Bits: 8}
		if s.Variable {
			t.Shape = VarString
		}
		return t
	case *syntax.LongForm:
		return c.longFormType(s)
	}
	return nil
}

func (c *checker) primitiveType(s *syntax.Primitive) *Type {
	p, ok := findPrimitive(c.dialect, s.In)
	if !ok {
		c.errs.Errorf(s.Pos, "MACH_MSG_TYPE_"+s.In, "%s MIG has no primitive type %q", c.dialect, s.In)
		return nil
	}
	t := &Type{Pos: s.Pos, In: p.in, Out: p.out, Bits: p.bits}
	if s.Out != "" {
		o, ok := findPrimitive(c.dialect, s.Out)
		if !ok {
			c.errs.Errorf(s.Pos, "MACH_MSG_TYPE_"+s.In, "%s MIG has no primitive type %q", c.dialect, s.Out)
			return nil
		}
		if p.bits != o.bits {
			c.errs.Errorf(s.Pos, "MACH_MSG_TYPE_"+s.In, "%s has %d bits and %s has %d", s.In, p.bits, s.Out, o.bits)
			return nil
		}
		t.Out = o.out
	}
	return t
}

// longFormType is GNU's "(primitive, bits, flags)": so many bits of the primitive.
func (c *checker) longFormType(s *syntax.LongForm) *Type {
	t := c.primitiveType(&s.Primitive)
	if t == nil {
		return nil
	}
	if s.Bits < 1 || s.Bits > maxBytes {
		c.errs.Errorf(s.Primitive.Pos, "(", "a size of %d bits cannot be carried", s.Bits)
		return nil
	}
	if t.In == primString {
		return &Type{Pos: t.Pos, Shape: String, Count: int(s.Bits+7) / 8, In: primString, Out: primString, Bits: 8}
	}
	t.Bits = int(s.Bits)
	return t
}

func (c *checker) pointerType(s *syntax.Pointer) *Type {
	e := c.typeOf(s.Element)
	if e == nil {
		return nil
	}
	switch {
	case e.OutOfLine && e.Callee: // "^array[]": the caret takes the freeing away
	case e.OutOfLine:
		c.errs.Errorf(s.Pos, "^", "the type after \"^\" is out of line already")
		return nil
	case e.Scattered():
		c.errs.Errorf(s.Pos, "^", "the elements of the array after \"^\" are out of line already")
		return nil
	case e.Shape == VarString:
		c.errs.Errorf(s.Pos, "^", "a string of variable length cannot be out of line; write ^array[] of char")
		return nil
	}
	t := *e
	t.Name, t.Pos, t.Alias = "", s.Pos, nil
	t.OutOfLine, t.Callee = true, false
	t.InTran, t.OutTran, t.Destructor = nil, nil, nil
	t.UserType, t.ServerType = "", ""
	if e.Shape == Scalar || e.Shape == Struct || e.Fields != nil {
		t.Shape, t.Elem, t.Count, t.Fields = Array, e, 1, nil
	}
	return &t
}

func (c *checker) arrayType(s *syntax.Array) *Type {
	e := c.element(s.Element, s.Pos, "array")
	if e == nil {
		return nil
	}
	t := &Type{Pos: s.Pos, Shape: Array, Elem: e, In: e.In, Out: e.Out}
	if s.Variable {
		t.Shape = VarArray
	}
	if s.Bounded {
		if !c.bound(s.Pos, "array", s.Bound, e) {
			return nil
		}
		t.Count = int(s.Bound)
	} else {
		t.OutOfLine, t.Callee = true, true
	}
	if e.OutOfLine && (t.Shape == VarArray || e.Variable()) {
		c.errs.Errorf(s.Pos, "array", "only a fixed number of fixed-size values can be out of line one by one")
		return nil
	}
	if e.Scattered() {
		c.errs.Errorf(s.Pos, "array", "elements that are out of line one by one cannot be arrays of such elements")
		return nil
	}
	if t.Shape == VarArray && !t.OutOfLine && e.IsPort() && t.Count > maxRights {
		c.errs.Errorf(s.Pos, "array", "a message carries at most %d rights", maxRights)
		return nil
	}
	return t
}

// maxRights is how many rights a message carries.
const maxRights = mach.MaxPorts

// element is the type of the elements of an array or struct.
func (c *checker) element(s syntax.Spec, pos source.Pos, of string) *Type {
	e := c.typeOf(s)
	if e == nil {
		return nil
	}
	if e.Variable() && !e.OutOfLine {
		c.errs.Errorf(pos, of, "elements of an %s must have a fixed size", of)
		return nil
	}
	return e
}

func (c *checker) bound(pos source.Pos, word string, n int64, e *Type) bool {
	if n < 1 {
		c.errs.Errorf(pos, word, "a size of %d is not possible", n)
		return false
	}
	if n*int64(max(e.Size(), 1)) > maxBytes {
		c.errs.Errorf(pos, word, "%d elements of %d bytes do not fit into a message", n, e.Size())
		return false
	}
	return true
}

func (c *checker) structType(s *syntax.Struct) *Type {
	e := c.element(s.Element, s.Pos, "struct")
	if e == nil || !c.bound(s.Pos, "struct", s.Count, e) {
		return nil
	}
	if e.OutOfLine {
		c.errs.Errorf(s.Pos, "struct", "members of a struct cannot be out of line")
		return nil
	}
	if e.IsPort() {
		c.errs.Errorf(s.Pos, "struct", "members of a struct cannot be rights: a right needs a descriptor of its own")
		return nil
	}
	return &Type{Pos: s.Pos, Shape: Struct, Elem: e, Count: int(s.Count), In: e.In, Out: e.Out}
}

// fieldsType lays a struct with named members out as a C compiler does on a 64-bit machine.
func (c *checker) fieldsType(s *syntax.Fields) *Type {
	t := &Type{Pos: s.Pos, Shape: Struct, Fields: []Field{}}
	size, seen := 0, map[string]bool{}
	for _, f := range s.Fields {
		ft := c.types[f.Type.Name]
		switch {
		case ft == nil:
			c.undeclared(f.Type)
			return nil
		case ft.OutOfLine || ft.Variable() || ft.IsPort():
			c.errs.Errorf(f.Type.Pos, f.Type.Name, "member %q must be inline data of a fixed size", f.Name.Name)
			return nil
		case seen[f.Name.Name]:
			c.errs.Errorf(f.Name.Pos, f.Name.Name, "member %q is declared twice", f.Name.Name)
			return nil
		}
		seen[f.Name.Name] = true
		a := ft.align()
		size = (size + a - 1) / a * a
		t.Fields = append(t.Fields, Field{f.Name.Name, ft, size})
		if t.leaves += max(ft.Leaf().leaves, 1); t.leaves > maxMembers {
			c.errs.Errorf(s.Pos, "struct", "the struct has more than %d members, counting those of its members", maxMembers)
			return nil
		}
		if size += ft.Size(); size > maxBytes {
			c.errs.Errorf(s.Pos, "struct", "the struct does not fit into a message")
			return nil
		}
	}
	if size == 0 {
		c.errs.Errorf(s.Pos, "struct", "the struct has no members")
		return nil
	}
	a := t.align()
	t.Bits = (size + a - 1) / a * a * 8
	return t
}
