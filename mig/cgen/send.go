package cgen

import (
	"fmt"

	"portcullis.dev/mach"
	"portcullis.dev/mig/model"
)

// send writes the sending, and for a routine the receiving, of a message.
func (g *generator) send(r *model.Routine, m *model.Message, onHeap bool) {
	remote := fmt.Sprint(r.RequestPort.Type.In)
	if r.RequestPort.Type.In == model.Polymorphic {
		remote = r.RequestPort.Name + "Poly"
	}
	local, reply, own := "0", "MACH_PORT_NULL", false
	if r.ReplyPort != nil && r.ReplyPort.Direction != model.ServerReplyPort {
		own, reply, local = true, r.ReplyPort.Name, fmt.Sprint(r.ReplyPort.Type.In)
		if r.ReplyPort.Type.In == model.Polymorphic {
			local = r.ReplyPort.Name + "Poly"
		}
	} else if !r.Simple {
		local, reply = "MACH_MSG_TYPE_MAKE_SEND_ONCE", "mig_get_reply_port()"
		if r.Special {
			reply = "mig_get_special_reply_port()"
		}
	}
	complexBit := ""
	if m.Complex() {
		complexBit = "MACH_MSGH_BITS_COMPLEX | "
	}
	g.p("\tInP->Head.msgh_bits = %sMACH_MSGH_BITS((uint32_t)%s, (uint32_t)%s);", complexBit, remote, local)
	g.p("\tInP->Head.msgh_size = _size;\n\tInP->Head.msgh_remote_port = (mach_port_t)%s;\n"+
		"\tInP->Head.msgh_local_port = (mach_port_t)%s;", r.RequestPort.Name, reply)
	g.p("\tInP->Head.msgh_voucher_port = MACH_PORT_NULL;\n\tInP->Head.msgh_id = %d;", r.ID)
	if r.RetCode != nil && m.Complex() {
		g.p("\tif (%s != KERN_SUCCESS) { /* the code has no place beside descriptors: an error goes out alone */",
			r.RetCode.Name)
		g.p("\t\tmig_reply_error_t _error = { InP->Head, mig_NDR, %s };\n"+
			"\t\t_error.Head.msgh_bits &= ~MACH_MSGH_BITS_COMPLEX;", r.RetCode.Name)
		g.p("\t\t_error.Head.msgh_size = _size = sizeof _error;\n\t\tmemcpy(InP, &_error, sizeof _error);\n\t}")
	}
	if !r.Simple && !own {
		g.p("\tmach_port_t _reply = InP->Head.msgh_local_port;")
	}
	opts, timeout := g.options(r)
	if r.Simple {
		g.p("\t_kr = mach_msg(&InP->Head, MACH_SEND_MSG%s, _size, 0, MACH_PORT_NULL, %s, MACH_PORT_NULL);", opts, timeout)
		g.consume(r, "\t")
		g.finish(r, onHeap, "\t")
		g.p("}\n")
		return
	}
	rcv := "_reply"
	if own {
		rcv = "(mach_port_t)" + reply
	}
	g.p("\t_kr = mach_msg(&InP->Head, MACH_SEND_MSG | MACH_RCV_MSG%s, _size, "+
		"sizeof _mess->Out, %s, %s, MACH_PORT_NULL);", opts, rcv, timeout)
	g.p("\tif (_kr != KERN_SUCCESS) {")
	if !own && !r.Special {
		g.p("\t\tif (_kr == MACH_SEND_INVALID_DATA || _kr == MACH_SEND_INVALID_DEST || _kr == MACH_SEND_INVALID_HEADER)")
		g.p("\t\t\tmig_put_reply_port(_reply);\n\t\telse\n\t\t\tmig_dealloc_reply_port(_reply);")
	}
	g.consume(r, "\t\t")
	g.finish(r, onHeap, "\t\t")
	g.p("\t}")
	if !own && !r.Special {
		g.p("\tmig_put_reply_port(_reply);")
	}
	_, names := outParams(r)
	g.p("\t_kr = _check_%s(&_mess->Out.M%s);", r.Name, prefixed(names))
	g.p("\tif (_kr != KERN_SUCCESS && _kr != MIG_ARRAY_TOO_LARGE) {\n\t\tmach_msg_destroy(&_mess->Out.M.Head);")
	g.finish(r, onHeap, "\t\t")
	g.p("\t}")
	if r.ReplyTrailer > 0 {
		g.p("\tconst mach_msg_max_trailer_t *_trailer =\n\t    (const void *)((const char *)_mess + mig_round(_mess->Out.M.Head.msgh_size));")
		g.p("\tif (_trailer->msgh_trailer_type != 0 || _trailer->msgh_trailer_size < %d) {\n"+
			"\t\tmach_msg_destroy(&_mess->Out.M.Head);\n\t\t_kr = MIG_TRAILER_ERROR;", mach.TrailerSize(r.ReplyTrailer))
		g.finish(r, onHeap, "\t\t")
		g.p("\t}")
		for _, a := range r.Args {
			if _, reply := a.Direction.Trailer(); reply > 0 {
				g.p("\tmemcpy(%s, &_trailer->%s, sizeof *%s);", a.Name, trailerField(a.Direction), a.Name)
			}
		}
	}
	g.finish(r, onHeap, "\t")
	g.p("}\n")
}

// finish returns _kr, from a block of the given indentation.
func (g *generator) finish(r *model.Routine, onHeap bool, in string) {
	if onHeap {
		g.p("%sfree(_mess);", in)
	}
	if r.OnError != "" {
		g.p("%[1]sif (_kr != KERN_SUCCESS)\n%[1]s\t%[2]s(_kr);", in, r.OnError)
	}
	g.p("%sreturn _kr;", in)
}

// trailerField is the member of the trailer that an argument is.
func trailerField(d model.Direction) string {
	switch d {
	case model.SecToken, model.ServerSecToken, model.UserSecToken:
		return "msgh_sender"
	case model.AuditToken, model.ServerAuditToken, model.UserAuditToken:
		return "msgh_audit"
	case model.MsgSeqno:
		return "msgh_seqno"
	case model.ServerContext:
		return "msgh_context"
	}
	return "msgh_trailer_type"
}

// options returns what is OR-ed to the options of mach_msg, and the timeout.
func (g *generator) options(r *model.Routine) (opts, timeout string) {
	timeout = "0"
	if r.MsgOption != "" {
		opts += " | " + r.MsgOption
	}
	if a := r.ByDirection(model.MsgOption); a != nil {
		opts += " | (mach_msg_option_t)" + a.Name
	}
	wait, send := r.WaitTime, r.SendTime
	if a := r.ByDirection(model.WaitTime); a != nil {
		wait = "(mach_msg_timeout_t)" + a.Name
	} else if a := r.ByDirection(model.SendTime); a != nil {
		wait, send = "", "(mach_msg_timeout_t)"+a.Name
	}
	switch {
	case wait != "" && r.Simple:
		opts, timeout = opts+" | MACH_SEND_TIMEOUT", wait
	case wait != "":
		opts, timeout = opts+" | MACH_SEND_TIMEOUT | MACH_RCV_TIMEOUT", wait
	case send != "":
		opts, timeout = opts+" | MACH_SEND_TIMEOUT", send
	}
	if r.Special {
		opts += " | MACH_SEND_SYNC_OVERRIDE | MACH_SEND_SYNC_USE_THRPRI | MACH_RCV_SYNC_WAIT"
	}
	if r.ReplyTrailer > 0 {
		opts += fmt.Sprintf(" | MACH_RCV_TRAILER_ELEMENTS(%d)", r.ReplyTrailer)
	}
	return opts, timeout
}

func (g *generator) consume(r *model.Routine, in string) {
	test := "_kr == MACH_SEND_TIMED_OUT"
	switch r.Consume {
	case model.ConsumeNone:
		return
	case model.ConsumeAny:
		test += " || _kr == MACH_SEND_INVALID_DEST"
	}
	g.p("%[1]sif (%[2]s)\n%[1]s\tmach_msg_destroy(&InP->Head);", in, test)
}
