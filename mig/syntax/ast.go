// Package syntax parses the MIG language: subsystems, types, routines.
//
// The language is line-free and small. A file is a list of statements that end in ";"; words of the language may be
// written in any case; the C preprocessor has been through before (package cpp). [Parse] gives a tree that says what
// was written and where; package model says what it means.
package syntax

import "portcullis.dev/mig/source"

// Dialect is one of the two compilers whose language is read.
type Dialect uint8

const (
	Apple Dialect = iota // bootstrap_cmds, as of build 138
	GNU                  // GNU MIG 1.8
)

// String returns "apple" or "gnu".
func (d Dialect) String() string {
	if d == GNU {
		return "gnu"
	}
	return "apple"
}

// ParseDialect reads what String writes.
func ParseDialect(s string) (Dialect, bool) {
	switch s {
	case "apple":
		return Apple, true
	case "gnu":
		return GNU, true
	}
	return 0, false
}

// Ident is a name and its place.
type Ident struct {
	Name string
	Pos  source.Pos
}

// Statement is one of the types below.
type Statement interface{ Place() source.Pos }

// Subsystem begins the interface: its name and the id of its first message.
type Subsystem struct {
	Pos                      source.Pos
	Name                     Ident
	Base                     int64
	KernelServer, KernelUser bool
}

// Option is a statement of a word and a value: msgoption, waittime, serverprefix and their like.
type Option struct {
	Pos   source.Pos
	Word  string // in lower case
	Value string
	At    source.Pos // of the value
}

// Import asks for a header in the generated C: import, uimport, simport, iimport, dimport.
type Import struct {
	Pos  source.Pos
	Word string
	File string // with its quotes or angle brackets
}

// TypeDecl is "type NAME = TYPE".
type TypeDecl struct {
	Pos  source.Pos
	Name Ident
	Type *Type
}

// Routine is a routine or simpleroutine.
type Routine struct {
	Pos    source.Pos
	Simple bool
	Name   Ident
	Args   []*Arg
}

// Skip uses up a message id.
type Skip struct{ Pos source.Pos }

func (s *Subsystem) Place() source.Pos { return s.Pos }
func (s *Option) Place() source.Pos    { return s.Pos }
func (s *Import) Place() source.Pos    { return s.Pos }
func (s *TypeDecl) Place() source.Pos  { return s.Pos }
func (s *Routine) Place() source.Pos   { return s.Pos }
func (s *Skip) Place() source.Pos      { return s.Pos }

// Arg is an argument of a routine.
type Arg struct {
	Name      Ident
	Direction string // in lower case; empty where none was written
	TypeName  Ident  // the name after ":"; empty where a type was written out without one
	Type      *Type  // after "="; nil where TypeName was declared before
	Flags     []Flag
}

// Flag is a word after an argument, and the "[]" of dealloc[].
type Flag struct {
	Word     string // in lower case
	Brackets bool
	Pos      source.Pos
}

// Type is a type as written, with the translations after it.
type Type struct {
	Pos  source.Pos
	Spec Spec

	CType, UserType, ServerType            *Ident
	InTran, OutTran, Destructor, InPayload *Function
}

// Function is a translation: "intran: RESULT NAME(PARAMETER)"; a destructor has no result.
type Function struct {
	Pos                     source.Pos
	Result, Name, Parameter string
}

// Spec is one of the type specifications below.
type Spec interface{ spec() }

// Primitive is a number or MACH_MSG_TYPE_ name; In is what a sender writes, Out what a receiver sees.
type Primitive struct {
	In, Out string // names in capitals without prefix, or numbers
	Pos     source.Pos
}

// LongForm is GNU's "(PRIMITIVE, BITS, flags)".
type LongForm struct {
	Primitive Primitive
	Bits      int64
	Flags     []Flag
}

// Named is a type declared before.
type Named struct{ Name Ident }

// Array is "array[N]", "array[]", "array[*]" or "array[*:N]".
type Array struct {
	Pos      source.Pos
	Variable bool
	Bounded  bool  // a bound was given; always so unless Variable
	Bound    int64 // elements
	Element  Spec
}

// Pointer is "^": out of line.
type Pointer struct {
	Pos     source.Pos
	Element Spec
}

// Struct is "struct[N] of TYPE".
type Struct struct {
	Pos     source.Pos
	Count   int64
	Element Spec
}

// Fields is GNU's "struct [NAME] { TYPE NAME; ... }".
type Fields struct {
	Pos    source.Pos
	Tag    string
	Fields []Field
}

// Field is a member of Fields.
type Field struct{ Type, Name Ident }

// CString is "c_string[N]" or "c_string[*:N]".
type CString struct {
	Pos      source.Pos
	Variable bool
	Bound    int64
}

func (*Primitive) spec() {}
func (*LongForm) spec()  {}
func (*Named) spec()     {}
func (*Array) spec()     {}
func (*Pointer) spec()   {}
func (*Struct) spec()    {}
func (*Fields) spec()    {}
func (*CString) spec()   {}
