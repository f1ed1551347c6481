package cgen

import (
	"fmt"

	"portcullis.dev/mig/model"
)

// reply writes the packing of a reply.
func (g *generator) reply(r *model.Routine, m *model.Message) {
	x := func(a *model.Arg) string {
		t := a.Type
		if t.Scattered() {
			return a.Name + "Memory"
		}
		if t.IsPort() && t.Shape != model.Scalar && !t.OutOfLine {
			return a.Name + "Names"
		}
		v := a.Name + "Out"
		if t.OutTran != nil {
			v = fmt.Sprintf("%s(%s)", t.OutTran.Name, v)
		}
		return v
	}
	for _, it := range m.Items {
		if it.Kind == model.CountItem && it.Arg.Type.Count > 0 {
			g.p("\tif (%sCnt > %d) {", it.Arg.Name, it.Arg.Type.Count)
			if r.Request.Complex() {
				g.p("\t\tInP->Head.msgh_bits &= ~MACH_MSGH_BITS_COMPLEX; /* the server has taken what it brought */")
			}
			g.p("\t\treturn MIG_ARRAY_TOO_LARGE;\n\t}")
		}
	}
	g.fillDescriptors("OutP", m, x, true)
	if m.NDR {
		g.p("\tOutP->NDR = mig_NDR;")
	}
	for _, it := range m.Items {
		a := it.Arg
		switch it.Kind {
		case model.RetCodeItem:
			g.p("\tOutP->RetCode = KERN_SUCCESS;")
		case model.CountItem:
			g.p("\tOutP->%s = %sCnt;", it.Name, a.Name)
		case model.DataItem:
			switch {
			case a.Type.Shape == model.String:
				g.p("\tOutP->%s[%d] = '\\0';", it.Name, it.Size-1)
			case !isArray(a.Type):
				g.p("\tOutP->%s = %s;", it.Name, x(a))
			}
		case model.VarItem:
			if aside(a) {
				g.p("\tmemcpy(OutP->%s, %sOut, %s * %d);", it.Name, a.Name, g.countOf(a, true), unit(a.Type))
			}
		case model.OffsetItem:
			g.p("\tOutP->%s = 0;", it.Name)
		case model.StringItem:
			g.p("\tOutP->%s[%d] = '\\0';\n\tuint32_t %sLength = (uint32_t)strlen(OutP->%s) + 1;\n\tOutP->%sCnt = %sLength;",
				it.Name, it.Size-1, it.Name, it.Name, it.Name, it.Name)
		}
		if n := it.Padded() - it.Size; n > 0 && !it.Variable() {
			g.p("\tmemset(OutP->%sPad, 0, %d);", it.Name, n)
		}
	}
	g.slide("OutP", m, func(it model.Item) string {
		if it.Kind == model.StringItem {
			return it.Arg.Name + "Length"
		}
		return fmt.Sprintf("%s * %d", g.countOf(it.Arg, true), unit(it.Arg.Type))
	}, "_end")
	g.p("\t*_length = _end;\n\treturn KERN_SUCCESS;\n}\n")
}
