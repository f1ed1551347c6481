package model

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"portcullis.dev/mach"
	"portcullis.dev/mig/source"
	"portcullis.dev/mig/syntax"
)

// checker is the state of Check: what the statements read so far have set.
type checker struct {
	dialect   syntax.Dialect
	errs      *source.List
	types     map[string]*Type
	order     []*Type
	out       *Interface
	subsystem *syntax.Subsystem
	names     map[string]source.Pos
	importing map[*source.File]bool

	msgOption, waitTime, sendTime, onError string
	special                                bool
	consume                                ConsumeOnError
}

func (c *checker) statement(s syntax.Statement) {
	switch s := s.(type) {
	case *syntax.Subsystem:
		c.begin(s)
	case *syntax.Option:
		c.option(s)
	case *syntax.Import:
		c.out.Imports = append(c.out.Imports, Import{s.Word, s.File})
	case *syntax.TypeDecl:
		c.declare(s)
	case *syntax.Skip:
		if c.started(s.Pos, "skip") {
			c.out.Slots = append(c.out.Slots, nil)
		}
	case *syntax.Routine:
		word := "routine"
		if s.Simple {
			word = "simpleroutine"
		}
		if c.started(s.Pos, word) {
			c.routine(s)
		}
	}
}

func (c *checker) begin(s *syntax.Subsystem) {
	if c.subsystem != nil {
		c.errs.Warnf(s.Pos, "subsystem", "subsystem %q takes the place of %q", s.Name.Name, c.subsystem.Name.Name)
	}
	c.subsystem = s
	c.out.Name, c.out.Base = s.Name.Name, int32(s.Base)
	c.out.KernelServer, c.out.KernelUser = s.KernelServer, s.KernelUser
	if c.dialect == syntax.GNU {
		for _, p := range []struct {
			name, prim string
		}{{"char", "CHAR"}, {"short", "INTEGER_16"}, {"int", "INTEGER_32"}, {"uintptr_t", "INTEGER_64"}} {
			if c.types[p.name] == nil {
				t := c.primitiveType(&syntax.Primitive{In: p.prim})
				t.Name, t.UserType, t.ServerType, t.Predefined = p.name, p.name, p.name, true
				c.types[p.name] = t
			}
		}
	}
}

func (c *checker) started(pos source.Pos, word string) bool {
	if c.subsystem == nil {
		c.errs.Errorf(pos, word, "%q before the subsystem: expected \"subsystem NAME NUMBER;\" first", word)
		return false
	}
	if len(c.out.Slots) >= 10000 || int64(c.out.Base)+int64(len(c.out.Slots)) > math.MaxInt32-mach.ReplyOffset {
		c.errs.Errorf(pos, word, "there is no message id left for this")
		return false
	}
	return true
}

func (c *checker) option(s *syntax.Option) {
	switch s.Word {
	case "msgoption":
		if c.msgOption = s.Value; s.Value == "MACH_MSG_OPTION_NONE" {
			c.msgOption = ""
		}
	case "waittime":
		c.waitTime = s.Value
	case "nowaittime":
		c.waitTime = ""
	case "sendtime":
		c.sendTime = s.Value
	case "nosendtime":
		c.sendTime = ""
	case "error":
		c.onError = s.Value
	case "serverprefix":
		c.out.ServerPrefix = s.Value
	case "userprefix":
		c.out.UserPrefix = s.Value
	case "serverdemux":
		c.out.ServerDemux = s.Value
	case "usespecialreplyport":
		c.special = s.Value != "0"
		if c.special && c.subsystem != nil && (c.subsystem.KernelServer || c.subsystem.KernelUser) {
			c.errs.Errorf(s.Pos, s.Word, "\"UseSpecialReplyPort\" cannot be used with KernelServer or KernelUser")
		}
	case "consumeonsenderror":
		switch s.Value {
		case "None", "none":
			c.consume = ConsumeNone
		case "Timeout", "timeout":
			c.consume = ConsumeTimeout
		case "Any", "any":
			c.consume = ConsumeAny
		default:
			c.errs.Errorf(s.At, s.Value, "expected None, Timeout or Any after \"ConsumeOnSendError\", found %q", s.Value)
		}
	}
}

func (c *checker) undeclared(name syntax.Ident) {
	d := c.errs.Errorf(name.Pos, name.Name, "type %q is not declared", name.Name)
	for _, known := range slices.Sorted(maps.Keys(c.types)) {
		if syntax.Near(name.Name, known) {
			d.Notes = append(d.Notes, "did you mean "+strconv.Quote(known)+"?")
			break
		}
	}
}

func (c *checker) declare(s *syntax.TypeDecl) {
	if old := c.types[s.Name.Name]; old != nil && (c.dialect == syntax.GNU || old.Predefined) {
		c.errs.Errorf(s.Name.Pos, s.Name.Name, "type %q is declared already", s.Name.Name)
		return
	} else if old != nil {
		c.errs.Warnf(s.Name.Pos, s.Name.Name, "type %q is declared anew and takes the place of the earlier one", s.Name.Name)
	}
	t := c.named(s.Name, s.Type)
	if t == nil {
		// Whoever uses the name should not be told that it does not exist.
		t = &Type{Name: s.Name.Name, Pos: s.Pos, Bits: 32, In: primInteger32, Out: primInteger32}
	}
	c.types[s.Name.Name] = t
	c.order = append(c.order, t)
}

// named gives a type its name and translations. It returns nil after an error.
func (c *checker) named(name syntax.Ident, s *syntax.Type) *Type {
	base := c.typeOf(s.Spec)
	if base == nil {
		return nil
	}
	t := *base
	t.Name, t.Pos = name.Name, name.Pos
	if base.Name != "" {
		t.Alias = base
	}
	t.Predefined = false
	t.Imported = c.imported(name.Pos.File)
	t.UserType, t.ServerType = name.Name, name.Name
	t.InTran, t.OutTran, t.Destructor = s.InTran, s.OutTran, s.Destructor
	if s.CType != nil {
		t.UserType, t.ServerType = s.CType.Name, s.CType.Name
	}
	t.WireType = t.UserType
	if s.InTran != nil {
		t.WireType, t.ServerType = s.InTran.Parameter, s.InTran.Result
	}
	if s.OutTran != nil {
		if s.InTran != nil && (s.OutTran.Parameter != s.InTran.Result || s.OutTran.Result != s.InTran.Parameter) {
			c.errs.Warnf(s.OutTran.Pos, "outtran", "outtran turns %s into %s, but intran turns %s into %s",
				s.OutTran.Parameter, s.OutTran.Result, s.InTran.Parameter, s.InTran.Result)
		}
		t.WireType, t.ServerType = s.OutTran.Result, s.OutTran.Parameter
	}
	if s.Destructor != nil && !t.Translated() {
		t.ServerType = s.Destructor.Parameter
	}
	if s.UserType != nil {
		t.UserType = s.UserType.Name
	}
	if s.ServerType != nil {
		t.ServerType = s.ServerType.Name
	}
	if t.Variable() && (t.Translated() || t.Destructor != nil) {
		c.errs.Errorf(name.Pos, name.Name, "type %q has a variable size: it cannot be translated or destroyed", name.Name)
		return nil
	}
	if t.Translated() && (t.OutOfLine || t.Shape != Scalar && t.Shape != Struct) {
		c.errs.Errorf(name.Pos, name.Name, "type %q is an array: no C function returns one, so it cannot be translated",
			name.Name)
		return nil
	}
	return &t
}

// imported says that headers define the C types of a file: those that it, or a file that includes it, imports.
func (c *checker) imported(f *source.File) bool {
	for ; f != nil; f = f.From.File {
		if c.importing[f] {
			return true
		}
	}
	return false
}

// routine checks a routine and lays its messages out.
func (c *checker) routine(s *syntax.Routine) {
	r := &Routine{
		Name: s.Name.Name, Pos: s.Name.Pos, Simple: s.Simple, ID: c.out.Base + int32(len(c.out.Slots)),
		UserName: c.out.UserPrefix + s.Name.Name, ServerName: c.out.ServerPrefix + s.Name.Name,
		MsgOption: c.msgOption, WaitTime: c.waitTime, SendTime: c.sendTime, OnError: c.onError,
		Consume: c.consume, Special: c.special && !s.Simple,
	}
	c.out.Slots = append(c.out.Slots, r)
	if c.names == nil {
		c.names = map[string]source.Pos{}
	}
	if first, ok := c.names[r.Name]; ok {
		_, line, _ := first.Place()
		c.errs.Warnf(r.Pos, r.Name, "routine %q is declared already, in line %d: its C functions will clash", r.Name, line)
	}
	c.names[r.Name] = r.Pos

	before := c.errs.Errors()
	var counted *Arg // the variable argument before, whose count SameCount shares
	seen := map[string]bool{}
	for _, sa := range s.Args {
		a := c.arg(r, sa, counted)
		if a == nil {
			continue
		}
		if seen[a.Name] {
			c.errs.Errorf(a.Pos, a.Name, "routine %q has two arguments %q", r.Name, a.Name)
		}
		seen[a.Name] = true
		if a.Counted() {
			counted = a
		}
		r.Args = append(r.Args, a)
	}
	if r.RequestPort == nil && c.errs.Errors() == before {
		c.errs.Errorf(r.Pos, r.Name, "routine %q has no request port: its first argument must be the port it is sent to",
			r.Name)
	}
	if r.Special && r.ReplyPort != nil && r.ReplyPort.Direction != ServerReplyPort {
		r.Special = false
	}
	if (r.WaitTime != "" || r.SendTime != "") && r.Consume == ConsumeNone && c.dialect == syntax.Apple {
		c.errs.Warnf(r.Pos, r.Name, "routine %q can time out, and a request that was not sent keeps its rights: "+
			"say \"ConsumeOnSendError Timeout;\"", r.Name)
	}
	if c.errs.Errors() == before {
		r.layout()
		if n := max(r.Request.Max, r.Reply.Max); n > mach.MaxBodySize {
			c.errs.Errorf(r.Pos, r.Name, "a message of %d bytes is larger than the kernel takes", n)
		}
	}
}
