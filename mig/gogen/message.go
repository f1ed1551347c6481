package gogen

import (
	"fmt"
	"strings"

	"portcullis.dev/mig/model"
)

// slot is how generated code names an argument while it writes or reads a message.
type slot struct {
	x    string // the Go expression
	open bool   // rights with their disposition
	free string // whether memory goes away: "true", "false" or a variable
}

// slots names the arguments of a message; sending says which disposition matters.
type slots map[*model.Arg]slot

// count returns the expression of how many elements an argument has.
func (s slots) count(a *model.Arg) string {
	if s[a].open {
		return "len(" + s[a].x + ".Ports)"
	}
	return "len(" + s[a].x + ")"
}

// bounds writes checks of lengths, which fail with the statement in fail.
func (g *generator) bounds(m *model.Message, s slots, room map[*model.Arg]string, fail string) {
	seen := map[*model.Arg]bool{}
	check := func(a *model.Arg) {
		t := a.Type
		if seen[a] {
			return
		}
		seen[a] = true
		if t.Shape != model.VarArray {
			g.fixed(t, s[a].x, s[a].open, fail)
		} else if a.SameCount != nil {
			g.p("if %s != %s {\n%s\n}", s.count(a), s.count(a.SameCount), fail)
		} else if room[a] != "" {
			g.p("if %s > %s {\n%s\n}", s.count(a), room[a], fail)
		} else if t.Count > 0 {
			g.p("if %s > %d {\n%s\n}", s.count(a), t.Count, fail)
		}
	}
	for _, d := range m.Descriptors {
		check(d.Arg)
	}
	for _, it := range m.Items {
		if it.Kind == model.VarItem {
			check(it.Arg)
		}
	}
}

// fixed writes the check that a slice has the length of the fixed array it stands for.
func (g *generator) fixed(t *model.Type, x string, open bool, fail string) {
	if open {
		x += ".Ports"
	}
	switch {
	case !t.IsPort():
	case t.OutOfLine:
		g.p("if len(%s) != %d {\n%s\n}", x, t.Count, fail)
	case t.Scattered():
		g.p("for piece := range %d {", t.Count)
		g.fixed(t.Elem, strings.TrimSuffix(x, ".Ports")+"[piece]", open, fail)
		g.p("}")
	case t.Shape == model.Array && open:
		g.p("if len(%s) != %d {\n%s\n}", x, ports(t), fail)
	}
}

// ports is how many rights an inline array of rights, or of arrays of them, has.
func ports(t *model.Type) int {
	if t.Elem == nil {
		return 1
	}
	return t.Count * ports(t.Elem)
}

// write writes descriptors and body of the message in variable v.
func (g *generator) write(v string, m *model.Message, s slots) {
	if m.Complex() {
		g.p("%s.Complex = true", v)
	}
	for _, d := range m.Descriptors {
		g.writeDescriptor(v, d, s)
	}
}

// body writes the body of the message in variable v.
func (g *generator) body(v string, m *model.Message, s slots, room map[*model.Arg]string) {
	if !m.NDR {
		if v == "rep" {
			g.p("rep.Body = nil")
		}
		return
	}
	size := m.Min - m.NDROffset
	g.p("w := rpc.NewWriter(%d)", size)
	for _, it := range m.Items {
		a := it.Arg
		switch it.Kind {
		case model.RetCodeItem:
			g.p("w.Uint32(0)")
		case model.DataItem:
			g.put(a.Type, s[a].x, 0)
			if it.Size%4 != 0 {
				g.p("w.Pad()")
			}
		case model.CountItem:
			g.p("w.Uint32(uint32(%s))", s.count(a))
		case model.RoomItem:
			g.p("w.Uint32(min(%s, %d))", room[a], a.Type.Count)
		case model.VarItem:
			g.putElements(a.Type, s[a].x)
			g.p("w.Pad()")
		case model.OffsetItem:
			g.p("w.VarString(%s, %d)", s[a].x, a.Type.Count)
		}
	}
	g.p("%s.Body = w.B", v)
}

func (g *generator) writeDescriptor(v string, d model.Descriptor, s slots) {
	a := d.Arg
	t, x := a.Type, s[a].x
	disp := disposition(t.In)
	if s[a].open {
		disp = x + ".Disposition"
	}
	free := s[a].free
	if free == "" {
		free = fmt.Sprint(a.Dealloc == model.Free)
	}
	switch {
	case t.Scattered():
		e := *a
		e.Type = t.Elem
		g.p("for piece := range %d {", t.Count)
		g.writeDescriptor(v, model.Descriptor{Arg: &e, Kind: d.Kind, N: 1},
			slots{&e: {x: s[a].x + "[piece]", open: s[a].open, free: s[a].free}})
		g.p("}")
	case d.Kind == model.PortsDescriptor:
		ports := x
		if s[a].open {
			ports = x + ".Ports"
		}
		g.p("%s.AddPorts(%s, %s, %s)", v, ports, disp, free)
	case d.Kind == model.MemoryDescriptor:
		g.p("{\nvar w rpc.Writer")
		switch {
		case t.Shape == model.VarArray:
			g.putElements(t, x)
		case single(t):
			g.put(t.Elem, x, 0)
		default:
			g.put(t, x, 0)
		}
		g.p("%s.AddMemory(w.B, %s, %v)\n}", v, free, a.PhysicalCopy)
	case t.Shape == model.Scalar:
		port := x
		if s[a].open {
			port = x + ".Port"
		}
		g.p("%s.AddPort(%s, %s)", v, port, disp)
	case s[a].open && t.Shape == model.Array:
		g.p("for _, right := range %s.Ports {\n%s.AddPort(right, %s)\n}", x, v, disp)
	case t.Shape == model.VarArray:
		if s[a].open {
			x += ".Ports"
		}
		g.p("for i := range %d {\nvar right P\nif i < len(%s) {\nright = %s[i]\n}\n%s.AddPort(right, %s)\n}", t.Count, x,
			x, v, disp)
		g.p("for i := %d; i < len(%s); i++ {\n%s.AddPort(%s[i], %s)\n}", t.Count, x, v, x, disp)
	default:
		g.eachPort(t, x, 0, func(p string) { g.p("%s.AddPort(%s, %s)", v, p, disp) })
	}
}

// eachPort writes loops over the rights of arrays in arrays.
func (g *generator) eachPort(t *model.Type, x string, depth int, f func(string)) {
	if t.Shape == model.Scalar {
		f(x)
		return
	}
	i := fmt.Sprintf("i%d", depth)
	g.p("for %s := range %s {", i, x)
	g.eachPort(t.Elem, x+"["+i+"]", depth+1, f)
	g.p("}")
}

// read writes statements that read the message in variable v into the variables of s, which are declared. Sizes that do
// not fit make the reader r bad.
func (g *generator) read(v string, m *model.Message, s slots, room map[*model.Arg]string) {
	for _, d := range m.Descriptors {
		if d.Kind == model.PortDescriptor && d.Arg.Type.Shape != model.VarArray {
			g.readPorts(v, d, s)
		}
	}
	if m.NDR {
		g.p("r := rpc.NewReader(%s.Body)", v)
	} else {
		g.p("r := rpc.NewReader(nil)")
	}
	counts := map[*model.Arg]string{}
	for _, it := range m.Items {
		a := it.Arg
		switch it.Kind {
		case model.RetCodeItem:
			g.p("r.Skip(4)")
		case model.DataItem:
			g.get(a.Type, s[a].x, 0)
			if it.Size%4 != 0 {
				g.p("r.Pad()")
			}
		case model.CountItem:
			most := a.Type.Count
			if most == 0 {
				most = 1<<31 - 1
			}
			counts[a] = "n" + camel(a.Name)
			g.p("%s := r.Count(%d)", counts[a], most)
		case model.RoomItem:
			g.p("%s = min(r.Uint32(), %d)", room[a], a.Type.Count)
		case model.VarItem:
			n := counts[a]
			if a.SameCount != nil {
				n = counts[a.SameCount]
			}
			if a.SameCount != nil && a.Type.Count < a.SameCount.Type.Count {
				g.p("if %s > %d {\nr.Fail()\n}", n, a.Type.Count)
			}
			g.getElements(a.Type, s[a].x, n)
			g.p("r.Pad()")
		case model.OffsetItem:
			g.p("%s = r.VarString(%d)", s[a].x, a.Type.Count)
		}
	}
	for _, d := range m.Descriptors {
		n := counts[d.Arg]
		if d.Arg.SameCount != nil {
			n = counts[d.Arg.SameCount]
		}
		item := fmt.Sprintf("%s.Items[%d]", v, d.Index)
		switch {
		case d.Arg.Type.Scattered():
			g.p("for piece := range %d {", d.N)
			item, x := fmt.Sprintf("%s.Items[%d+piece]", v, d.Index), s[d.Arg].x+"[piece]"
			if d.Kind == model.MemoryDescriptor {
				g.readMemory(item, d.Arg.Type.Elem, x, "")
			} else {
				g.readRights(item, d.Arg.Type.Elem, x, s[d.Arg].open, "")
			}
			g.p("}")
		case d.Kind == model.MemoryDescriptor:
			g.readMemory(item, d.Arg.Type, s[d.Arg].x, n)
		case d.Kind == model.PortsDescriptor:
			g.readRights(item, d.Arg.Type, s[d.Arg].x, s[d.Arg].open, n)
		case d.Arg.Type.Shape == model.VarArray:
			g.readArray(v, d, s, n)
		}
	}
	for a, n := range counts {
		used := a.Type.Shape == model.VarArray
		if !used {
			g.p("_ = %s", n)
		}
	}
}

func (g *generator) readPorts(v string, d model.Descriptor, s slots) {
	t, x := d.Arg.Type, s[d.Arg].x
	if t.Shape == model.Scalar {
		it := fmt.Sprintf("%s.Items[%d]", v, d.Index)
		if s[d.Arg].open {
			g.p("%s = rpc.Right[P]{Port: %s.Port, Disposition: %s.Disposition}", x, it, it)
		} else {
			g.p("%s = %s.Port", x, it)
		}
		return
	}
	if s[d.Arg].open {
		g.p("%s.Disposition = %s.Items[%d].Disposition", x, v, d.Index)
		g.p("for i := range %d {\n%s.Ports = append(%s.Ports, %s.Items[%d+i].Port)\n}", d.N, x, x, v, d.Index)
		return
	}
	g.p("{\nnext := %d", d.Index)
	g.eachPort(t, x, 0, func(p string) { g.p("%s = %s.Items[next].Port\nnext++", p, v) })
	g.p("}")
}

// readArray reads an inline array of rights with a count.
func (g *generator) readArray(v string, d model.Descriptor, s slots, n string) {
	t, x := d.Arg.Type, s[d.Arg].x
	g.p("if %s > %d {\nr.Fail()\n} else {", n, t.Count)
	if s[d.Arg].open {
		g.p("%s.Disposition = %s.Items[%d].Disposition", x, v, d.Index)
		x += ".Ports"
	}
	g.p("%s = make([]P, %s)\nfor i := range %s {\n%s[i] = %s.Items[%d+i].Port\n}\n}", x, n, x, x, v, d.Index)
}

// readRights reads an array of rights out of line.
func (g *generator) readRights(it string, t *model.Type, x string, open bool, n string) {
	want := n
	if n == "" {
		want = fmt.Sprint(t.Count)
	}
	g.p("if len(%s.Ports) != %s {\nr.Fail()\n}", it, want)
	if open {
		g.p("%s = rpc.Rights[P]{Ports: %s.Ports, Disposition: %s.Disposition}", x, it, it)
	} else {
		g.p("%s = %s.Ports", x, it)
	}
}

// readMemory reads out-of-line memory.
func (g *generator) readMemory(it string, t *model.Type, x, n string) {
	data := it + ".Data"
	switch {
	case n != "":
		g.p("if len(%s) != %s*%d {\nr.Fail()\n} else {", data, n, t.Elem.Size())
		if isBytes("[]" + g.element(t.Elem)) {
			g.p("%s = %s\n}", x, data)
			return
		}
		g.nested(data, func() { g.getElements(t, x, n) })
		g.p("}")
	default:
		g.p("if len(%s) != %d {\nr.Fail()\n} else {", data, t.Size())
		g.nested(data, func() {
			if single(t) {
				g.get(t.Elem, x, 0)
			} else {
				g.get(t, x, 0)
			}
		})
		g.p("}")
	}
}

// nested reads plain memory with a reader of its own.
func (g *generator) nested(data string, read func()) {
	g.p("mem := rpc.Fields(%s)", data)
	g.r = "mem"
	read()
	g.r = "r"
	g.p("if !mem.Done() {\nr.Fail()\n}")
}

// openOnSend and openOnReceive say that an argument's rights go with their disposition on that side.
func openOnSend(a *model.Arg) bool    { return a.Type.IsPort() && a.Type.In == model.Polymorphic }
func openOnReceive(a *model.Arg) bool { return a.Type.IsPort() && a.Type.Out == model.Polymorphic }
