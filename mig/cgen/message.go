package cgen

import (
	"fmt"

	"portcullis.dev/mig/model"
)

// fillDescriptors writes the descriptors of a message in *P; x gives the C expression of an argument's value.
func (g *generator) fillDescriptors(P string, m *model.Message, x func(*model.Arg) string, server bool) {
	if m.Complex() {
		g.p("\t%s->msgh_body.msgh_descriptor_count = %d;", P, m.Count)
	}
	for _, d := range m.Descriptors {
		a := d.Arg
		t, disp := a.Type, disposition(a)
		if server && a.Type.In == model.Polymorphic {
			disp = a.Name + "Poly"
		} else if !server && a.Direction == model.InOut && a.Type.In == model.Polymorphic {
			disp = "*" + disp
		}
		free := map[model.Dealloc]string{model.Keep: "0", model.Free: "1", model.Ask: a.Name + "Dealloc != 0"}[a.Dealloc]
		at := fmt.Sprintf("%s->%s", P, a.Name)
		n := fmt.Sprint(t.Count)
		if t.Shape == model.VarArray {
			n = g.countOf(a, server)
		}
		g.p("\tmemset(&%s, 0, sizeof %s);", at, at)
		switch {
		case t.Scattered():
			g.p("\tfor (unsigned _i = 0; _i < %d; _i++) {", d.N)
			g.fillMemory(d, t.Elem, at+"[_i]", x(a)+"[_i]", disp, free, fmt.Sprint(t.Elem.Count))
			g.p("\t}")
		case d.Kind != model.PortDescriptor:
			g.fillMemory(d, t, at, x(a), disp, free, n)
		case t.Shape == model.Scalar:
			g.p("\t%s.name = (mach_port_t)%s;\n\t%s.disposition = (uint8_t)(%s);\n\t%s.type = MACH_MSG_PORT_DESCRIPTOR;", at,
				x(a), at, disp, at)
		default:
			g.p("\tfor (unsigned _i = 0; _i < %d; _i++) {", d.N)
			if t.Shape == model.VarArray {
				g.p("\t\tif (_i < %s)\n\t\t\t%s[_i].name = %s[_i];", n, at, x(a))
			} else {
				g.p("\t\t%s[_i].name = ((const mach_port_t *)%s)[_i];", at, x(a))
			}
			g.p("\t\t%s[_i].disposition = (uint8_t)(%s);\n\t\t%s[_i].type = MACH_MSG_PORT_DESCRIPTOR;\n\t}", at, disp, at)
		}
	}
}

// fillMemory writes one descriptor of memory or of an array of rights: n elements of type t at x.
func (g *generator) fillMemory(d model.Descriptor, t *model.Type, at, x, disp, free, n string) {
	g.p("\t%s.address = (void *)(uintptr_t)%s;\n\t%s.deallocate = %s;", at, x, at, free)
	if d.Kind == model.PortsDescriptor {
		g.p("\t%s.copy = MACH_MSG_VIRTUAL_COPY;\n\t%s.disposition = (uint8_t)(%s);", at, at, disp)
		g.p("\t%s.type = MACH_MSG_OOL_PORTS_DESCRIPTOR;\n\t%s.count = %s;", at, at, n)
		return
	}
	size := fmt.Sprint(t.Size())
	if t.Shape == model.VarArray {
		size = fmt.Sprintf("%s * %d", n, unit(t))
	}
	how := "MACH_MSG_VIRTUAL_COPY"
	if d.Arg.PhysicalCopy {
		how = "MACH_MSG_PHYSICAL_COPY"
	}
	g.p("\t%s.copy = %s;\n\t%s.type = MACH_MSG_OOL_DESCRIPTOR;\n\t%s.size = (mach_msg_size_t)(%s);", at, how, at, at, size)
}

// countOf is the C expression of how many elements an argument has on the side that sends.
func (g *generator) countOf(a *model.Arg, server bool) string {
	if a.SameCount != nil {
		a = a.SameCount
	}
	if !server && a.Direction == model.InOut {
		return "*" + a.Name + "Cnt"
	}
	return a.Name + "Cnt"
}

// slide writes the moving down of variable items, from the structure with the longest arrays to the message as it is
// sent, and declares the size of the message as size.
func (g *generator) slide(P string, m *model.Message, length func(model.Item) string, size string) {
	if !m.Variable() {
		g.p("\tuint32_t %s = %d;", size, m.Max)
		return
	}
	g.p("\tuint32_t %s = 0;", size)
	started, from := false, 0
	run := func(to int) { // moves the fixed items from..to
		if started && to > from {
			g.p("\t%s = mig_slide(%s, %s, %d, %d);", size, P, size, from, to-from)
		}
	}
	for _, it := range m.Items {
		if !it.Variable() {
			continue
		}
		if !started {
			g.p("\t%s = %d;", size, it.Offset)
		}
		run(it.Offset)
		started = true
		g.p("\t%s = mig_slide(%s, %s, %d, %s);", size, P, size, it.Offset, length(it))
		from = it.Offset + it.Padded()
	}
	run(m.Max)
}

// member is where an item of a received message lies: in the structure, or slid down.
type member struct {
	P    string
	slid bool
	it   model.Item
}

// address returns the address of the item.
func (m member) address() string {
	if m.slid {
		return fmt.Sprintf("((const char *)%s + %d - _slide)", m.P, m.it.Offset)
	}
	return fmt.Sprintf("((const char *)%s + %d)", m.P, m.it.Offset)
}

// checkDescriptors writes the checks of what descriptors are.
func (g *generator) checkDescriptors(P string, m *model.Message) {
	for _, d := range m.Descriptors {
		a := d.Arg
		at := fmt.Sprintf("%s->%s", P, a.Name)
		disp := ""
		switch {
		case d.Kind == model.MemoryDescriptor:
		case a.Type.Out != model.Polymorphic:
			disp = fmt.Sprintf(" || %%s.disposition != %d", a.Type.Out)
		case several(d): // the server is told one disposition for all
			disp = fmt.Sprintf(" || %%s.disposition != %s[0].disposition", at)
		}
		test := func(at string) string {
			extra := ""
			if disp != "" {
				extra = fmt.Sprintf(disp, at)
			}
			kind := map[model.DescriptorKind]string{model.PortDescriptor: "MACH_MSG_PORT_DESCRIPTOR",
				model.MemoryDescriptor: "MACH_MSG_OOL_DESCRIPTOR", model.PortsDescriptor: "MACH_MSG_OOL_PORTS_DESCRIPTOR"}[d.Kind]
			return fmt.Sprintf("%s.type != %s%s", at, kind, extra)
		}
		if several(d) {
			g.p("\tfor (unsigned _i = 0; _i < %d; _i++)\n\t\tif (%s)\n\t\t\treturn MIG_TYPE_ERROR;", d.N, test(at+"[_i]"))
			continue
		}
		g.p("\tif (%s)\n\t\treturn MIG_TYPE_ERROR;", test(at))
	}
	if m.NDR {
		g.p("\tif (mig_bad_NDR(&%s->NDR))\n\t\treturn MIG_TYPE_ERROR;", P)
	}
}

// counts writes the reading and checking of counts and sizes. It declares _size, _need, _slide and, for each count, a
// variable NAMECnt_; fail is the code for what does not fit. It calls item for each item when everything before it, and
// it, is known to be there.
func (g *generator) walk(P string, m *model.Message, fail string, item func(model.Item, member)) {
	slid := false
	if m.Variable() {
		g.p("\tuint32_t _need = %d, _slide = 0;\n\t(void)_slide;", m.Min)
	}
	number := func(it model.Item) string {
		v := it.Name + "_"
		g.p("\tuint32_t %s;\n\tmemcpy(&%s, %s, 4);", v, v, member{P, slid, it}.address())
		return v
	}
	for _, it := range m.Items {
		a := it.Arg
		switch it.Kind {
		case model.CountItem:
			v := number(it)
			if a.Type.Count > 0 {
				g.p("\tif (%s > %d)\n\t\treturn %s;", v, a.Type.Count, fail)
			}
		case model.OffsetItem:
			v := number(it)
			g.p("\tif (%s != 0)\n\t\treturn %s;", v, fail)
		case model.LengthItem:
			v := number(it)
			g.p("\tif (%s > %d)\n\t\treturn %s;", v, a.Type.Count, fail)
		case model.VarItem, model.StringItem:
			n := a.Name + "Cnt_"
			if a.SameCount != nil {
				n = a.SameCount.Name + "Cnt_"
				g.p("\tif (%s > %d)\n\t\treturn %s;", n, a.Type.Count, fail)
			}
			g.p("\t_need += mig_round(%s * %d);\n\tif (_need > _size)\n\t\treturn %s;", n, unit(a.Type), fail)
			if it.Kind == model.StringItem {
				g.p("\tif (memchr(%s, 0, %s) == NULL)\n\t\treturn %s;", member{P, slid, it}.address(), n, fail)
			}
		case model.DataItem:
			if a.Type.Shape == model.String {
				g.p("\tif (memchr(%s, 0, %d) == NULL)\n\t\treturn %s;", member{P, slid, it}.address(), it.Size, fail)
			}
		}
		item(it, member{P, slid, it})
		if it.Variable() {
			n := a.Name + "Cnt_"
			if a.SameCount != nil {
				n = a.SameCount.Name + "Cnt_"
			}
			g.p("\t_slide += %d - mig_round(%s * %d);", it.Padded(), n, unit(a.Type))
			slid = true
		}
	}
	if m.Variable() {
		g.p("\tif (_need != _size)\n\t\treturn %s;", fail)
	}
	for _, d := range m.Descriptors {
		a := d.Arg
		n := a.Name + "Cnt_"
		if a.SameCount != nil {
			n = a.SameCount.Name + "Cnt_"
		}
		variable := a.Type.Shape == model.VarArray
		switch {
		case a.Type.Scattered():
			size := fmt.Sprintf("size != %d", a.Type.Elem.Size())
			if d.Kind == model.PortsDescriptor {
				size = fmt.Sprintf("count != %d", a.Type.Elem.Count)
			}
			g.p("\tfor (unsigned _i = 0; _i < %d; _i++)\n\t\tif (%s->%s[_i].%s)\n\t\t\treturn %s;", d.N, P, a.Name, size, fail)
		case d.Kind == model.PortDescriptor && variable && a.SameCount != nil:
			g.p("\tif (%s > %d)\n\t\treturn %s;", n, a.Type.Count, fail)
		case d.Kind == model.PortsDescriptor && variable:
			g.p("\tif (%s->%s.count != %s)\n\t\treturn %s;", P, a.Name, n, fail)
		case d.Kind == model.PortsDescriptor:
			g.p("\tif (%s->%s.count != %d)\n\t\treturn %s;", P, a.Name, a.Type.Count, fail)
		case d.Kind == model.MemoryDescriptor && variable:
			g.p("\tif (%s->%s.size != (uint64_t)%s * %d)\n\t\treturn %s;", P, a.Name, n, unit(a.Type), fail)
		case d.Kind == model.MemoryDescriptor:
			g.p("\tif (%s->%s.size != %d)\n\t\treturn %s;", P, a.Name, a.Type.Size(), fail)
		}
	}
}
