package cgen

import (
	"fmt"
	"strings"

	"portcullis.dev/mach"
	"portcullis.dev/mig/model"
)

func (g *generator) userHeader() {
	guard := "_" + g.i.Name + "_user_"
	g.p("#ifndef %s\n#define %s\n\n#include \"%sMessages.h\"", guard, guard, g.i.Name)
	g.imports("import", "uimport", "dimport")
	g.p("\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n")
	for _, r := range g.i.Routines() {
		g.p("/* %s, message %d */\nextern %s;\n", r.Name, r.ID, prototype(r, false))
	}
	g.p("#ifdef __cplusplus\n}\n#endif\n\n#endif")
}

// user writes the client's stubs.
func (g *generator) user() {
	g.p("#include \"%s.h\"\n", g.i.Name)
	seen := map[string]bool{}
	for _, r := range g.i.Routines() {
		if r.OnError != "" && !seen[r.OnError] {
			seen[r.OnError] = true
			g.p("extern void %s(kern_return_t);\n", r.OnError)
		}
	}
	for _, r := range g.i.Routines() {
		if !r.Simple {
			g.checkReply(r)
		}
		g.userStub(r)
	}
}

// outParams are the parameters that a reply sets.
func outParams(r *model.Routine) (list, names []string) {
	for _, p := range r.UserParams() {
		a := p.Arg
		if a.Direction.Returned() && p.Role != model.Deallocate && (p.Out || a.Direction == model.InOut) {
			list = append(list, parameter(r, p, false))
			names = append(names, p.Name)
		}
	}
	return list, names
}

// checkReply writes the function that checks a reply and takes its values.
func (g *generator) checkReply(r *model.Routine) {
	m := &r.Reply
	list, _ := outParams(r)
	g.p("static kern_return_t\n_check_%s(const __Reply__%s_t *OutP%s)\n{", r.Name, r.Name, prefixed(list))
	g.p("\tuint32_t _size = OutP->Head.msgh_size;\n\tkern_return_t _kr = KERN_SUCCESS;")
	g.p("\tif (OutP->Head.msgh_id != %d)\n"+
		"\t\treturn OutP->Head.msgh_id == MACH_NOTIFY_SEND_ONCE ? MIG_SERVER_DIED : MIG_REPLY_MISMATCH;", r.Reply.ID)
	g.p("\tif (!(OutP->Head.msgh_bits & MACH_MSGH_BITS_COMPLEX) && _size == sizeof(mig_reply_error_t) &&")
	g.p("\t    OutP->Head.msgh_remote_port == MACH_PORT_NULL) {")
	g.p("\t\tkern_return_t _error;\n\t\tmemcpy(&_error, (const char *)OutP + %d, sizeof _error);", model.ErrorReplySize-4)
	g.p("\t\tif (_error != KERN_SUCCESS)\n\t\t\treturn _error;\n\t}")
	complexTest := "(OutP->Head.msgh_bits & MACH_MSGH_BITS_COMPLEX)"
	if m.Complex() {
		complexTest = "!" + complexTest
	}
	g.p("\tif (%s || _size < %d || _size > %d || OutP->Head.msgh_remote_port != MACH_PORT_NULL)\n"+
		"\t\treturn MIG_TYPE_ERROR;", complexTest, m.Min, m.Max)
	if m.Complex() {
		g.p("\tif (OutP->msgh_body.msgh_descriptor_count != %d)\n\t\treturn MIG_TYPE_ERROR;", m.Count)
	}
	g.checkDescriptors("OutP", m)
	if !m.Complex() {
		g.p("\tif (OutP->RetCode != KERN_SUCCESS)\n\t\treturn OutP->RetCode;")
	}
	g.walk("OutP", m, "MIG_TYPE_ERROR", func(it model.Item, at member) {})
	if m.Variable() {
		g.p("\t_slide = 0;")
	}
	slid := false
	for _, it := range m.Items {
		g.takeItem(it, member{"OutP", slid, it})
		if it.Variable() {
			a := it.Arg
			g.p("\t_slide += %d - mig_round(%s * %d);", it.Padded(), receivedCount(a), unit(a.Type))
			slid = true
		}
	}
	if slid {
		g.p("\t(void)_slide;")
	}
	for _, d := range m.Descriptors {
		g.takeDescriptor(d)
	}
	g.p("\treturn _kr;\n}\n")
}

// receivedCount is the variable that holds the count of an argument as received.
func receivedCount(a *model.Arg) string {
	if a.SameCount != nil {
		a = a.SameCount
	}
	return a.Name + "Cnt_"
}

// takeItem copies an item of a reply to where the caller wants it.
func (g *generator) takeItem(it model.Item, at member) {
	a := it.Arg
	switch it.Kind {
	case model.DataItem:
		g.p("\tmemcpy(%s, %s, %d);", a.Name, at.address(), it.Size)
	case model.StringItem:
		g.p("\tmemcpy(%s, %s, %s);", a.Name, at.address(), receivedCount(a))
	case model.VarItem:
		master := a
		if a.SameCount != nil {
			master = a.SameCount
		}
		n := receivedCount(a)
		if master.CountInOut {
			g.p("\tmemcpy(%s, %s, (size_t)(%s < *%sCnt ? %s : *%sCnt) * %d);", a.Name, at.address(), n, master.Name, n,
				master.Name, unit(a.Type))
		} else {
			g.p("\tmemcpy(%s, %s, (size_t)%s * %d);", a.Name, at.address(), n, unit(a.Type))
		}
		if g.lastOf(master, a) {
			g.takeCount(master, n)
		}
	case model.CountItem:
		if a.Type.OutOfLine {
			g.p("\t*%sCnt = %s;", a.Name, receivedCount(a))
		}
	}
}

// takeCount tells the caller how many elements there are. Only with CountInOut does the caller say how many fit; else the
// arrays have room for as many as the type has.
func (g *generator) takeCount(master *model.Arg, n string) {
	if master.CountInOut {
		g.p("\tif (%s > *%sCnt)\n\t\t_kr = MIG_ARRAY_TOO_LARGE;", n, master.Name)
	}
	g.p("\t*%sCnt = %s;", master.Name, n)
}

// lastOf says that a is the last inline argument that shares the count of master; rights come after the data.
func (g *generator) lastOf(master, a *model.Arg) bool {
	for _, r := range g.i.Routines() {
		last := (*model.Arg)(nil)
		ports := false
		found := false
		for _, b := range r.Args {
			found = found || b == a
			if b == master || b.SameCount == master {
				if b.Type.IsPort() {
					ports = true
				} else {
					last = b
				}
			}
		}
		if found {
			return last == a && !ports
		}
	}
	return false
}

func (g *generator) takeDescriptor(d model.Descriptor) {
	a := d.Arg
	t := a.Type
	at := "OutP->" + a.Name
	switch {
	case t.Scattered():
		g.p("\tfor (unsigned _i = 0; _i < %d; _i++)\n\t\t%s[_i] = %s%s[_i].address;", d.N, a.Name, cast(t.Elem, false), at)
	case d.Kind == model.PortDescriptor && t.Shape == model.Scalar:
		g.p("\t*%s = %s.name;", a.Name, at)
	case d.Kind == model.PortDescriptor && t.Shape == model.VarArray:
		master := a
		if a.SameCount != nil {
			master = a.SameCount
		}
		n := receivedCount(a)
		room := ""
		if master.CountInOut {
			room = fmt.Sprintf(" && _i < *%sCnt", master.Name)
		}
		g.p("\tfor (unsigned _i = 0; _i < %s%s; _i++)\n\t\t%s[_i] = %s[_i].name;", n, room, a.Name, at)
		if g.lastPorts(master, a) {
			g.takeCount(master, n)
		}
	case d.Kind == model.PortDescriptor:
		g.p("\tfor (unsigned _i = 0; _i < %d; _i++)\n\t\t((mach_port_t *)%s)[_i] = %s[_i].name;", d.N, a.Name, at)
	default:
		g.p("\t*%s = %s%s.address;", a.Name, cast(t, false), at)
	}
	if t.IsPort() && t.Out == model.Polymorphic {
		if several(d) {
			at += "[0]"
		}
		g.p("\t*%sPoly = %s.disposition;", a.Name, at)
	}
}

// lastPorts says that a is the last inline array of rights that shares the count of master.
func (g *generator) lastPorts(master, a *model.Arg) bool {
	for _, r := range g.i.Routines() {
		last, found := (*model.Arg)(nil), false
		for _, b := range r.Args {
			found = found || b == a
			if (b == master || b.SameCount == master) && b.Type.IsPort() && !b.Type.OutOfLine {
				last = b
			}
		}
		if found {
			return last == a
		}
	}
	return false
}

func prefixed(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return ", " + strings.Join(list, ", ")
}

// heap is the size from which messages are not put on the stack.
const heap = 16384

// userStub writes the function that a client calls.
func (g *generator) userStub(r *model.Routine) {
	m := &r.Request
	g.p("%s\n{", prototype(r, false))
	x := func(a *model.Arg) string {
		if a.Direction == model.InOut && !isArray(a.Type) {
			return "*" + a.Name
		}
		return a.Name
	}
	for _, it := range m.Items {
		if it.Kind == model.VarItem && it.Arg.SameCount == nil {
			g.p("\tif (%s > %d)\n\t\treturn MIG_ARRAY_TOO_LARGE;", g.countOf(it.Arg, false), it.Arg.Type.Count)
		}
	}
	for _, d := range m.Descriptors {
		if t := d.Arg.Type; t.Shape == model.VarArray && t.Count > 0 {
			g.p("\tif (%s > %d)\n\t\treturn MIG_ARRAY_TOO_LARGE;", g.countOf(d.Arg, false), t.Count)
		}
	}
	trailer := 8
	if r.ReplyTrailer > 0 {
		trailer = mach.MaxTrailerSize
	}
	g.p("\tunion {\n\t\t__Request__%s_t In;", r.Name)
	if !r.Simple {
		g.p("\t\tstruct {\n\t\t\t__Reply__%s_t M;\n\t\t\tchar trailer[%d];\n\t\t} Out;\n\t\tmig_reply_error_t Error;",
			r.Name, trailer)
	}
	onHeap := max(r.Request.Max, r.Reply.Max) > heap
	if onHeap {
		g.p("\t} *_mess = malloc(sizeof *_mess);\n\tif (_mess == NULL)\n\t\treturn 6; /* KERN_RESOURCE_SHORTAGE */")
	} else {
		g.p("\t} _message, *_mess = &_message;")
	}
	g.p("\t__Request__%s_t *InP = &_mess->In;\n\tkern_return_t _kr;", r.Name)
	g.fillDescriptors("InP", m, x, false)
	if m.NDR {
		g.p("\tInP->NDR = mig_NDR;")
	}
	for _, it := range m.Items {
		g.fillItem(it, x)
	}
	g.slide("InP", m, func(it model.Item) string {
		if it.Kind == model.StringItem {
			return "InP_" + it.Arg.Name + "Cnt"
		}
		return fmt.Sprintf("%s * %d", g.countOf(it.Arg, false), unit(it.Arg.Type))
	}, "_size")
	g.send(r, m, onHeap)
}

// fillItem writes an item of a request.
func (g *generator) fillItem(it model.Item, x func(*model.Arg) string) {
	a := it.Arg
	switch it.Kind {
	case model.DataItem:
		switch {
		case a.Type.Shape == model.String:
			g.p("\tmig_copy_string(InP->%s, %s, %d);", it.Name, x(a), it.Size)
		case isArray(a.Type):
			g.p("\tmemcpy((char *)InP + %d, %s, %d);", it.Offset, x(a), it.Size)
		default:
			g.p("\tInP->%s = %s;", it.Name, x(a))
		}
	case model.CountItem:
		g.p("\tInP->%s = %s;", it.Name, g.countOf(a, false))
	case model.RoomItem:
		g.p("\tInP->%s = *%sCnt < %d ? *%sCnt : %d;", it.Name, a.Name, a.Type.Count, a.Name, a.Type.Count)
	case model.VarItem:
		g.p("\tmemcpy((char *)InP + %d, %s, (size_t)%s * %d);", it.Offset, x(a), g.countOf(a, false), unit(a.Type))
	case model.OffsetItem:
		g.p("\tInP->%s = 0;", it.Name)
	case model.StringItem:
		g.p("\tuint32_t InP_%sCnt = mig_copy_string(InP->%s, %s, %d);\n\tInP->%sCnt = InP_%sCnt;", it.Name, it.Name, x(a),
			it.Size, it.Name, it.Name)
	}
	if n := it.Padded() - it.Size; n > 0 && !it.Variable() {
		g.p("\tmemset(InP->%sPad, 0, %d);", it.Name, n)
	}
}
