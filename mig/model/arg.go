package model

import (
	"portcullis.dev/mach"
	"portcullis.dev/mig/syntax"
)

// arg checks one argument. It returns nil after an error that leaves nothing to go on with.
func (c *checker) arg(r *Routine, s *syntax.Arg, counted *Arg) *Arg {
	a := &Arg{Name: s.Name.Name, Pos: s.Name.Pos}
	switch {
	case s.Direction != "":
		a.Direction = directionWords[s.Direction]
	case r.RequestPort == nil:
		a.Direction = RequestPort
	default:
		a.Direction = In
	}
	if s.Type != nil {
		a.Type = c.named(s.TypeName, s.Type)
	} else if a.Type = c.types[s.TypeName.Name]; a.Type == nil {
		c.undeclared(s.TypeName)
	}
	if a.Type == nil {
		// The routine has a request port all the same: one error is enough.
		if a.Direction == RequestPort {
			r.RequestPort = a
		}
		return nil
	}
	c.roles(r, a)
	for _, f := range s.Flags {
		c.flag(r, a, f, counted)
	}
	c.longFlags(a, s)
	if a.Direction == InOut && a.Type.Variable() && !a.Type.OutOfLine {
		c.errs.Errorf(a.Pos, a.Name,
			"argument %q has a variable size and cannot be \"inout\": use one \"in\" and one \"out\"", a.Name)
	}
	request, reply := a.Direction.Trailer()
	r.RequestTrailer, r.ReplyTrailer = max(r.RequestTrailer, request), max(r.ReplyTrailer, reply)
	return a
}

// longFlags takes the flags of GNU's long form.
func (c *checker) longFlags(a *Arg, s *syntax.Arg) {
	if s.Type == nil {
		return
	}
	if l, ok := s.Type.Spec.(*syntax.LongForm); ok {
		for _, f := range l.Flags {
			if f.Word == "dealloc" && a.Type.OutOfLine {
				a.Dealloc = Free
			}
		}
	}
}

// roles checks what a direction asks of the argument and of the routine.
func (c *checker) roles(r *Routine, a *Arg) {
	t := a.Type
	fail := func(format string, args ...any) { c.errs.Errorf(a.Pos, a.Name, format, args...) }
	switch a.Direction {
	case RequestPort:
		if r.RequestPort != nil {
			fail("routine %q has two request ports, %q and %q", r.Name, r.RequestPort.Name, a.Name)
			return
		}
		r.RequestPort = a
		if t.Shape != Scalar || !t.IsPort() || t.OutOfLine {
			fail("request port %q must be of a port type", a.Name)
		}
		if t.In == int32(mach.MoveReceive) || t.Out == int32(mach.MoveReceive) {
			fail("request port %q cannot be a receive right: a message is sent to a send right", a.Name)
		}
	case ReplyPort, UserReplyPort, ServerReplyPort:
		if r.ReplyPort != nil && !(r.ReplyPort.Direction != a.Direction && a.Direction != ReplyPort &&
			r.ReplyPort.Direction != ReplyPort) {
			fail("routine %q has two reply ports, %q and %q", r.Name, r.ReplyPort.Name, a.Name)
			return
		}
		if r.ReplyPort == nil || a.Direction != ServerReplyPort {
			r.ReplyPort = a
		}
		if t.Shape != Scalar || !t.IsPort() || t.OutOfLine {
			fail("reply port %q must be of a port type", a.Name)
		}
	case WaitTime, SendTime, MsgOption, MsgSeqno:
		if t.Shape != Scalar || t.IsPort() || t.Bits != 32 || t.OutOfLine {
			fail("argument %q must be a 32-bit number", a.Name)
		}
		if r.ByDirection(a.Direction) != nil {
			fail("routine %q has two arguments of the kind of %q", r.Name, a.Name)
		}
	case SecToken, ServerSecToken, UserSecToken:
		c.token(a, "a security token", 8)
	case AuditToken, ServerAuditToken, UserAuditToken:
		c.token(a, "an audit token", 32)
	case ServerContext:
		c.token(a, "a port context", 8)
	case Out, InOut:
		if r.Simple {
			fail("simpleroutine %q has no reply that could bring %q back", r.Name, a.Name)
		}
	}
	if (a.Direction == UserSecToken || a.Direction == UserAuditToken) && r.Simple {
		fail("simpleroutine %q has no reply that could bring %q", r.Name, a.Name)
	}
}

// token checks the size of an argument that comes from a trailer.
func (c *checker) token(a *Arg, what string, size int) {
	if a.Type.OutOfLine || a.Type.Variable() || a.Type.IsPort() || a.Type.Size() != size {
		c.errs.Errorf(a.Pos, a.Name, "argument %q must be of a type of %d bytes, as %s is", a.Name, size, what)
	}
}

// flag checks a flag and sets it.
func (c *checker) flag(r *Routine, a *Arg, f syntax.Flag, counted *Arg) {
	t := a.Type
	// What GNU calls meaningless and ignores, Apple's compiler refuses.
	wrong := func(format string, args ...any) {
		if c.dialect == syntax.GNU {
			c.errs.Warnf(f.Pos, f.Word, format, args...)
		} else {
			c.errs.Errorf(f.Pos, f.Word, format, args...)
		}
	}
	inline := t.Shape == VarArray && !t.OutOfLine
	memory := t.OutOfLine || t.Scattered()
	switch f.Word {
	case "dealloc":
		switch {
		case !memory && c.dialect == syntax.GNU && t.IsPort():
		case !memory:
			wrong("\"dealloc\" is for out-of-line memory, and %q is inline", a.Name)
		case f.Brackets:
			a.Dealloc = Ask
		default:
			a.Dealloc = Free
		}
	case "notdealloc":
		a.Dealloc = Keep
	case "countinout":
		if a.Direction != Out || !inline && c.dialect == syntax.Apple || !t.Variable() {
			wrong("\"CountInOut\" is for an \"out\" array that is inline and variable, and %q is not", a.Name)
			return
		}
		a.CountInOut = inline
	case "samecount":
		switch {
		case t.Shape != VarArray:
			wrong("\"SameCount\" is for variable arrays, and %q is none", a.Name)
		case counted == nil || counted.Direction != a.Direction:
			wrong("\"SameCount\" needs a variable array with the same direction before %q", a.Name)
		case !counted.Type.OutOfLine && !t.OutOfLine && counted.Type.Count > t.Count:
			wrong("%q has room for %d elements, but the count it shares goes up to %d", a.Name, t.Count, counted.Type.Count)
		default:
			a.SameCount = counted
		}
	case "retcode":
		c.retCode(r, a, f)
	case "physicalcopy":
		if a.PhysicalCopy = memory && !t.IsPort(); !a.PhysicalCopy {
			wrong("\"PhysicalCopy\" is for out-of-line memory, and %q is none", a.Name)
		}
	case "overwrite":
		if a.Overwrite = t.OutOfLine && a.Direction == Out; !a.Overwrite {
			wrong("\"Overwrite\" is for \"out\" arguments that are out of line, and %q is not", a.Name)
		}
	case "const":
		a.Const = true
	case "auto":
		if a.Auto = t.OutOfLine && a.Direction == In; !a.Auto {
			wrong("\"auto\" is for \"in\" arguments that are out of line, and %q is not", a.Name)
		}
	}
}

func (c *checker) retCode(r *Routine, a *Arg, f syntax.Flag) {
	switch {
	case !r.Simple || a.Direction != In:
		c.errs.Errorf(f.Pos, f.Word,
			"\"RetCode\" is for an \"in\" argument of a simpleroutine that answers for another routine")
	case a.Type.Shape != Scalar || a.Type.Bits != 32 || a.Type.IsPort():
		c.errs.Errorf(f.Pos, f.Word, "\"RetCode\" argument %q must be a 32-bit number", a.Name)
	case r.RetCode != nil:
		c.errs.Errorf(f.Pos, f.Word, "routine %q has two \"RetCode\" arguments", r.Name)
	default:
		a.RetCode = true
		r.RetCode = a
	}
}
