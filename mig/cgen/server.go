package cgen

import (
	"fmt"
	"maps"
	"strings"

	"portcullis.dev/mach"
	"portcullis.dev/mig/model"
)

// demux is the name of the function that serves any request of the subsystem.
func (g *generator) demux() string {
	if g.i.ServerDemux != "" {
		return g.i.ServerDemux
	}
	return g.i.Name + "_server"
}

func (g *generator) serverHeader() {
	guard := "_" + g.i.Name + "_server_"
	g.p("#ifndef %s\n#define %s\n\n#include \"%sMessages.h\"", guard, guard, g.i.Name)
	g.imports("import", "simport")
	g.p("\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n")
	for _, r := range g.i.Routines() {
		g.p("/* %s, message %d */\nextern %s;\n", r.Name, r.ID, prototype(r, true))
	}
	g.p("/* Serves a request; false for a message of another subsystem. */\nextern boolean_t\n"+
		"%s(mach_msg_header_t *InHeadP, mach_msg_header_t *OutHeadP);\n", g.demux())
	g.p("extern mig_stub_routine_t\n%s_routine(mach_msg_header_t *InHeadP);\n", g.demux())
	g.p("extern const struct %s {\n\tmig_server_routine_t server;\n\tmach_msg_id_t start;\n\tmach_msg_id_t end;\n"+
		"\tmach_msg_size_t maxsize;", g.subsystem(g.i.ServerPrefix))
	g.p("\tuint64_t reserved;\n\tstruct mig_routine routine[%d];\n} %s;\n", max(len(g.i.Slots), 1),
		g.subsystem(g.i.ServerPrefix))
	g.p("#ifdef __cplusplus\n}\n#endif\n\n#endif")
}

// server writes the server's stubs.
func (g *generator) server() {
	g.p("#include \"%sServer.h\"\n", g.i.Name)
	for _, r := range g.i.Routines() {
		g.serverStub(r)
	}
	sub := g.subsystem(g.i.ServerPrefix)
	biggest := model.ErrorReplySize
	for _, r := range g.i.Routines() {
		biggest = max(biggest, r.Reply.Max)
	}
	g.p("const struct %s %s = {\n\t%s_routine, %d, %d, %d, 0, {", sub, sub, g.demux(), g.i.Base,
		int(g.i.Base)+len(g.i.Slots), biggest)
	for _, r := range g.i.Slots {
		if r == nil {
			g.p("\t\t{ 0, 0, 0, 0, 0, 0 },")
		} else {
			g.p("\t\t{ 0, _X%s, %d, 0, 0, %d },", r.Name, r.Words(), r.Reply.Max)
		}
	}
	if len(g.i.Slots) == 0 {
		g.p("\t\t{ 0, 0, 0, 0, 0, 0 },")
	}
	g.p("\t}\n};\n")
	g.p("mig_stub_routine_t\n%s_routine(mach_msg_header_t *InHeadP)\n{", g.demux())
	if len(g.i.Slots) == 0 {
		g.p("\t(void)InHeadP;\n\treturn NULL;\n}\n")
	} else {
		g.p("\tint64_t _at = (int64_t)InHeadP->msgh_id - %d;\n"+
			"\treturn _at < 0 || _at >= %d ? NULL : %s.routine[_at].stub_routine;\n}\n", g.i.Base, len(g.i.Slots), sub)
	}
	g.p("boolean_t\n%s(mach_msg_header_t *InHeadP, mach_msg_header_t *OutHeadP)\n{", g.demux())
	g.p("\tmig_stub_routine_t _stub = %s_routine(InHeadP);\n\tmig_reply_error_t *_error = (void *)OutHeadP;", g.demux())
	g.p(`	OutHeadP->msgh_bits = MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(InHeadP->msgh_bits), 0);
	OutHeadP->msgh_size = sizeof(mig_reply_error_t);
	OutHeadP->msgh_remote_port = InHeadP->msgh_remote_port;
	OutHeadP->msgh_local_port = MACH_PORT_NULL;
	OutHeadP->msgh_voucher_port = MACH_PORT_NULL;
	OutHeadP->msgh_id = InHeadP->msgh_id + %d;
	_error->NDR = mig_NDR;
	if (_stub == NULL) {
		_error->RetCode = MIG_BAD_ID;
		return FALSE;
	}
	_stub(InHeadP, OutHeadP);
	return TRUE;
}`, mach.ReplyOffset)
}

// local is a variable of a server's stub.
func local(a *model.Arg) string { return a.Name }

// serverStub writes the function that unpacks a request, calls the server's function and packs the reply.
func (g *generator) serverStub(r *model.Routine) {
	m := &r.Request
	out := &r.Reply
	g.p("static kern_return_t\n_Y%s(__Request__%s_t *InP, __Reply__%s_t *OutP, uint32_t *_length)\n{", r.Name, r.Name,
		r.Name)
	g.p("\tuint32_t _size = InP->Head.msgh_size;\n\tkern_return_t _kr;\n\t(void)OutP;\n\t(void)_length;")
	bit := "(InP->Head.msgh_bits & MACH_MSGH_BITS_COMPLEX)"
	alone := r.RetCode != nil && m.Complex()
	if alone {
		g.p("\tif (!%s) {", bit)
		g.p("\t\tconst mig_reply_error_t *_error = (const void *)InP;\n\t\tif (_size != sizeof *_error)\n" +
			"\t\t\treturn MIG_BAD_ARGUMENTS;")
		g.errorCall(r)
		g.p("\t}")
	}
	if m.Complex() {
		bit = "!" + bit
	}
	g.p("\tif (%s || _size < %d || _size > %d)\n\t\treturn MIG_BAD_ARGUMENTS;", bit, m.Min, m.Max)
	if m.Complex() {
		g.p("\tif (InP->msgh_body.msgh_descriptor_count != %d)\n\t\treturn MIG_BAD_ARGUMENTS;", m.Count)
	}
	g.checkDescriptors("InP", m)
	if r.RequestTrailer > 0 {
		g.p("\tconst mach_msg_max_trailer_t *_trailer = (const void *)((const char *)InP + mig_round(_size));")
		g.p("\tif (_trailer->msgh_trailer_type != 0 || _trailer->msgh_trailer_size < %d)\n\t\treturn MIG_TRAILER_ERROR;",
			mach.TrailerSize(r.RequestTrailer))
	}
	values := map[*model.Arg]string{} // what is passed for the value of an argument
	counts := map[*model.Arg]string{}
	g.walk("InP", m, "MIG_BAD_ARGUMENTS", func(it model.Item, at member) {
		a := it.Arg
		switch it.Kind {
		case model.DataItem:
			g.dataIn(a, at, values)
		case model.VarItem, model.StringItem:
			values[a] = g.pointer(a, at)
		case model.RoomItem:
			g.p("\tmach_msg_type_number_t %sCnt;\n\tmemcpy(&%sCnt, %s, 4);\n\tif (%sCnt > %d)\n\t\t%sCnt = %d;", a.Name,
				a.Name, at.address(), a.Name, a.Type.Count, a.Name, a.Type.Count)
		case model.CountItem:
			counts[a] = it.Name + "_"
		}
	})
	for _, d := range m.Descriptors {
		g.descriptorIn(d, values)
	}
	wires := maps.Clone(values) // of what goes in and comes out, which declareOut replaces
	g.declareOut(r, values)
	g.adopt(r, values, wires)
	var args []string
	for _, p := range r.ServerParams() {
		args = append(args, g.argument(p, values, counts))
	}
	g.p("\t_kr = %s(%s);", r.ServerName, strings.Join(args, ", "))
	g.afterCall(r, values)
	g.p("\tif (_kr != KERN_SUCCESS)\n\t\treturn _kr;")
	if r.Simple {
		g.p("\treturn KERN_SUCCESS;\n}\n")
	} else {
		g.reply(r, out)
	}
	g.p("static void\n_X%s(mach_msg_header_t *InHeadP, mach_msg_header_t *OutHeadP)\n{", r.Name)
	g.p("\tmig_reply_error_t *_error = (void *)OutHeadP;\n\tuint32_t _length = sizeof *_error;")
	g.p("\tkern_return_t _kr = _Y%s((void *)InHeadP, (void *)OutHeadP, &_length);", r.Name)
	if !r.Simple && out.Complex() {
		g.p("\tif (_kr == KERN_SUCCESS) {\n\t\tOutHeadP->msgh_bits |= MACH_MSGH_BITS_COMPLEX;\n" +
			"\t\tOutHeadP->msgh_size = _length;\n\t\treturn;\n\t}")
	}
	g.p("\t_error->NDR = mig_NDR;\n\t_error->RetCode = _kr;\n" +
		"\tOutHeadP->msgh_size = _kr == KERN_SUCCESS ? _length : sizeof *_error;\n}\n")
}

// errorCall serves a complex simpleroutine with RetCode whose message is an error alone.
func (g *generator) errorCall(r *model.Routine) {
	var args []string
	for _, p := range r.ServerParams() {
		switch {
		case p.Arg == r.RetCode:
			args = append(args, "_error->RetCode")
		case p.Arg.Direction == model.RequestPort:
			args = append(args, "InP->Head.msgh_local_port")
		default:
			args = append(args, "0")
		}
	}
	g.p("\t\treturn %s(%s);", r.ServerName, strings.Join(args, ", "))
}

// dataIn declares a variable for a value of fixed size, or points into the message.
func (g *generator) dataIn(a *model.Arg, at member, values map[*model.Arg]string) {
	if isArray(a.Type) {
		if a.Direction == model.InOut {
			g.p("\tmemcpy(OutP->%s, %s, %d);", a.Name, at.address(), a.Type.Size())
			return
		}
		values[a] = g.pointer(a, at)
		return
	}
	wire := a.Type
	name := local(a)
	if wire.Translated() {
		name += "Wire"
		g.p("\t%s %s;", a.Type.WireType, name)
	} else {
		g.p("\t%s;", variable(wire, name, true, false))
	}
	g.p("\tmemcpy(&%s, %s, %d);", name, at.address(), a.Type.Size())
	values[a] = name
}

// pointer declares a pointer into the message: later, _slide is another.
func (g *generator) pointer(a *model.Arg, at member) string {
	g.p("\tvoid *%sAt = (void *)%s;", a.Name, at.address())
	return a.Name + "At"
}

// descriptorIn finds or declares the values that descriptors carry.
func (g *generator) descriptorIn(d model.Descriptor, values map[*model.Arg]string) {
	a := d.Arg
	at := "InP->" + a.Name
	switch {
	case d.Kind == model.PortDescriptor && a.Type.Shape == model.Scalar:
		values[a] = at + ".name"
	case a.Type.Scattered():
		values[a] = a.Name + "Memory"
		g.p("\t%s;", element(memories(a.Type), values[a]))
		g.p("\tfor (unsigned _i = 0; _i < %d; _i++)\n\t\t%s[_i] = %s%s[_i].address;", d.N, values[a],
			cast(a.Type.Elem, true), at)
	case d.Kind == model.PortDescriptor:
		g.p("\tmach_port_t %sNames[%d];\n\tfor (unsigned _i = 0; _i < %d; _i++)\n\t\t%sNames[_i] = %s[_i].name;", a.Name,
			d.N, d.N, a.Name, at)
		values[a] = a.Name + "Names"
	default:
		values[a] = fmt.Sprintf("%s%s.address", cast(a.Type, true), at)
	}
}

// declareOut declares what the server's function sets.
func (g *generator) declareOut(r *model.Routine, values map[*model.Arg]string) {
	for _, p := range r.ServerParams() {
		a := p.Arg
		if !a.Direction.Returned() || !p.Out && p.Role == model.Value {
			continue
		}
		switch p.Role {
		case model.Count:
			most := fmt.Sprint(a.Type.Count)
			if a.Type.OutOfLine {
				most = "0"
			}
			if a.Direction == model.InOut {
				g.p("\tmach_msg_type_number_t %s = %sCnt_;", p.Name, a.Name)
			} else if !a.CountInOut {
				g.p("\tmach_msg_type_number_t %s = %s;", p.Name, most)
			}
		case model.Disposition:
			if a.Direction == model.InOut {
				g.p("\tmach_msg_type_name_t %s = %s.disposition;", p.Name, firstDescriptor(a))
			} else {
				g.p("\tmach_msg_type_name_t %s = 0;", p.Name)
			}
		case model.Deallocate:
			g.p("\tboolean_t %s = 0;", p.Name)
		default:
			g.declareValue(a, values)
		}
	}
}

func (g *generator) declareValue(a *model.Arg, values map[*model.Arg]string) {
	t := a.Type
	in := values[a]
	switch {
	case t.Scattered():
		if in == "" {
			in = a.Name + "Memory"
			g.p("\t%s;\n\tmemset(%s, 0, sizeof %s);", element(memories(t), in), in, in)
		}
		values[a] = in
	case t.IsPort() && t.Shape != model.Scalar && !t.OutOfLine:
		if in == "" {
			in = a.Name + "Names"
			g.p("\tmach_port_t %s[%d] = { 0 };", in, len0(t))
		}
		values[a] = in
	case aside(a):
		values[a] = a.Name + "Out"
		g.p("\t_Alignas(8) char %s[%d] = { 0 };", values[a], t.Size())
		values[a] = "(void *)" + values[a]
	case isArray(t):
		values[a] = "" // in place, in the reply, which must not tell what lay there before
		if a.Direction == model.Out {
			g.p("\tmemset(OutP->%s, 0, sizeof OutP->%s);", a.Name, a.Name)
		}
	default:
		g.p("\t%s;\n\tmemset(&%sOut, 0, sizeof %sOut);", variable(t, a.Name+"Out", true, false), a.Name, a.Name)
		if a.Direction == model.InOut {
			if t.InTran == nil {
				g.p("\t%sOut = %s;", a.Name, in)
			}
		}
		values[a] = "&" + a.Name + "Out"
	}
}

// aside says that the server's function fills an array outside of the reply, so that no more of the reply is touched
// than is sent. Servers of exceptions have less room for replies than the longest registers would take.
func aside(a *model.Arg) bool {
	const most = 8192 // of a stack, which may be a handler's small one
	return a.Direction == model.Out && a.Type.Shape == model.VarArray && isArray(a.Type) && !a.Type.IsPort() &&
		a.Type.Size() <= most
}

// memories is the type of an array of addresses, without the name that one side may call it by.
func memories(t *model.Type) *model.Type {
	anonymous := *t
	anonymous.Name = ""
	return &anonymous
}

// len0 is how many rights an inline array of rights holds.
func len0(t *model.Type) int {
	if t.Elem == nil {
		return 1
	}
	return t.Count * len0(t.Elem)
}

// adopt translates what comes in, in the order of the arguments.
func (g *generator) adopt(r *model.Routine, values, wires map[*model.Arg]string) {
	wires[r.RequestPort] = "InP->Head.msgh_local_port"
	for _, a := range r.Args {
		if a.Type.InTran == nil {
			continue
		}
		switch a.Direction {
		case model.In, model.RequestPort:
			g.p("\t%s %sIn = %s(%s);", a.Type.ServerType, a.Name, a.Type.InTran.Name, wires[a])
			values[a] = a.Name + "In"
		case model.InOut:
			g.p("\t%sOut = %s(%s);", a.Name, a.Type.InTran.Name, wires[a])
		}
	}
}

// argument is what the server's function is given for a parameter.
func (g *generator) argument(p model.Param, values, counts map[*model.Arg]string) string {
	a := p.Arg
	switch p.Role {
	case model.Count:
		if p.Out {
			return "&" + p.Name
		}
		return counts[a]
	case model.Disposition:
		if p.Out {
			return "&" + p.Name
		}
		switch a.Direction {
		case model.RequestPort:
			return "MACH_MSGH_BITS_LOCAL(InP->Head.msgh_bits)"
		case model.ReplyPort, model.ServerReplyPort:
			return "MACH_MSGH_BITS_REMOTE(InP->Head.msgh_bits)"
		}
		return firstDescriptor(a) + ".disposition"
	case model.Deallocate:
		return "&" + p.Name
	}
	switch a.Direction {
	case model.RequestPort:
		if v := values[a]; v != "" {
			return v
		}
		return "InP->Head.msgh_local_port"
	case model.ReplyPort, model.ServerReplyPort:
		return "InP->Head.msgh_remote_port"
	case model.In, model.Out, model.InOut:
		if v := values[a]; v != "" {
			return v
		}
		if a.RetCode { // beside descriptors it has no place: what is sent at all is a success
			return "KERN_SUCCESS"
		}
		return "(void *)OutP->" + a.Name
	}
	return "_trailer->" + trailerField(a.Direction)
}

// firstDescriptor is the first or only descriptor of an argument of a request.
func firstDescriptor(a *model.Arg) string {
	if a.Type.Shape != model.Scalar && !a.Type.OutOfLine {
		return "InP->" + a.Name + "[0]"
	}
	return "InP->" + a.Name
}

// afterCall frees and destroys what the server's function has used.
func (g *generator) afterCall(r *model.Routine, values map[*model.Arg]string) {
	for _, a := range r.Args {
		t := a.Type
		if a.Direction == model.In && t.OutOfLine && (t.Callee || a.Auto) {
			size := "size"
			if t.IsPort() {
				size = "count * (uint64_t)4"
			}
			g.p("\tmig_release(InP->%s.address, InP->%s.%s);\n\tInP->%s.address = NULL;", a.Name, a.Name, size, a.Name)
			if t.IsPort() {
				g.p("\tInP->%s.count = 0;", a.Name)
			} else {
				g.p("\tInP->%s.size = 0;", a.Name)
			}
		}
		if t.Destructor != nil && (a.Direction == model.In || a.Direction == model.RequestPort) {
			v := values[a]
			if v == "" {
				v = "InP->Head.msgh_local_port"
			}
			g.p("\t%s(%s);", t.Destructor.Name, v)
		}
	}
}
