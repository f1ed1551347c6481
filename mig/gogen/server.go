package gogen

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"portcullis.dev/mig/model"
	"portcullis.dev/mig/syntax"
)

// translation is a function between what a message carries and what a server's functions see.
type translation struct {
	method        string
	param, result string // Go types; result empty for a destructor
	name          string
}

// typeParam returns the type parameter that stands for a translated server type.
func (g *generator) typeParam(t *model.Type) string {
	if t.ServerType == t.WireType {
		return g.element(t)
	}
	name := camel(t.ServerType)
	if !slices.Contains(g.params, name) {
		g.params = append(g.params, name)
	}
	return name
}

// collect finds the translations that a routine needs.
func (g *generator) collect(r *model.Routine) {
	for _, a := range r.Args {
		t := a.Type
		if !a.Direction.ServerSees() || !t.Translated() && t.Destructor == nil {
			continue
		}
		wire, server := g.value(t, false), ""
		if t.Translated() {
			server = g.typeParam(t)
		}
		sent := a.Direction.Sent() || a.Direction == model.RequestPort
		if t.InTran != nil && sent {
			g.translate(t.InTran, wire, server)
		}
		if t.OutTran != nil && a.Direction.Returned() {
			g.translate(t.OutTran, server, wire)
		}
		if t.Destructor != nil && (a.Direction == model.In || a.Direction == model.RequestPort) {
			if server == "" {
				server = wire
			}
			g.translate(t.Destructor, server, "")
		}
	}
}

func (g *generator) translate(f *syntax.Function, param, result string) string {
	key := f.Name + " " + param + " " + result
	if tr := g.trans[key]; tr != nil {
		return tr.method
	}
	name := camel(f.Name)
	if g.names[name] && result != "" {
		name += "To" + camel(result)
	}
	for g.names[name] {
		name += "_"
	}
	g.names[name] = true
	g.trans[key] = &translation{method: name, param: param, result: result, name: f.Name}
	return name
}

// typeParams returns the declaration of the server's type parameters, and their use.
func (g *generator) typeParams() (decl, use string) {
	if len(g.params) == 0 {
		return "[P comparable]", "[P]"
	}
	list := strings.Join(g.params, ", ")
	return "[P comparable, " + list + " any]", "[P, " + list + "]"
}

// signature returns parameters and results of a server's function.
func (g *generator) signature(r *model.Routine) (params, results []string) {
	params = append(params, "req *rpc.Message[P]")
	for _, a := range r.Args {
		if !a.Direction.ServerSees() {
			continue
		}
		x, t := lower(a.Name), a.Type
		translated := t.Translated()
		switch a.Direction {
		case model.RequestPort:
			if translated && t.InTran != nil {
				params = append(params, x+" "+g.typeParam(t))
			} else {
				params = append(params, x+" P")
			}
		case model.ReplyPort, model.ServerReplyPort:
			params = append(params, x+" rpc.Right[P]")
		case model.In, model.InOut, model.Out:
			if a.Direction.Sent() {
				if translated && t.InTran != nil {
					params = append(params, x+" "+g.typeParam(t))
				} else {
					params = append(params, x+" "+g.value(t, openOnReceive(a)))
				}
			}
			if a.CountInOut {
				params = append(params, x+"Room uint32")
			}
			if a.Direction.Returned() {
				if a.Direction == model.InOut {
					x += "Out"
				}
				if translated && t.OutTran != nil {
					results = append(results, x+" "+g.typeParam(t))
				} else {
					results = append(results, x+" "+g.value(t, openOnSend(a)))
				}
				if a.Dealloc == model.Ask {
					results = append(results, x+"Dealloc bool")
				}
			}
		default:
			goType, _ := trailer(a.Direction)
			params = append(params, x+" "+goType)
		}
	}
	return params, append(results, "kr mach.KernReturn")
}

// server writes the interface of servers, the adapter for functions, and what serves a request.
func (g *generator) server(routines []*model.Routine) {
	for _, r := range routines {
		g.names[g.name(r)] = true
		g.signature(r) // finds type parameters
	}
	decl, use := g.typeParams()
	g.p("// Server serves the routines of %s. Its functions own what they are given once they return success.", g.i.Name)
	if len(g.params) > 0 {
		g.p("// The type parameters beside P are what ports and numbers of the messages are translated to.")
	}
	g.p("type Server%s interface {", decl)
	for _, r := range routines {
		params, results := g.signature(r)
		g.p("// %s serves %s.", g.name(r), r.Name)
		g.p("%s(%s) (%s)", g.name(r), strings.Join(params, ", "), strings.Join(results, ", "))
	}
	for _, key := range slices.Sorted(maps.Keys(g.trans)) {
		tr := g.trans[key]
		g.p("// %s is the translation %s.", tr.method, tr.name)
		g.p("%s(%s) %s", tr.method, tr.param, tr.result)
	}
	g.p("}\n")
	g.funcs(routines, decl, use)
	g.p("// Serve serves a request and returns the reply with its code, MIG_BAD_ID for a message of another subsystem.")
	g.p("// What is to be done with both then is done by rpc.Answer.")
	g.p("func Serve%s(s Server%s, req *rpc.Message[P]) (rep *rpc.Message[P], kr mach.KernReturn) {", decl, use)
	g.p("rep = rpc.Begin(req)\nswitch req.ID {")
	for _, r := range routines {
		g.p("case ID%s:\nkr = serve%s(s, req, rep)", g.name(r), g.name(r))
	}
	g.p("default:\nkr = mach.MigBadID\n}\nif kr != 0 {\nrep.SetCode(kr)\n}\nreturn rep, kr\n}\n")
}

// funcs writes the adapter that makes a server of functions.
func (g *generator) funcs(routines []*model.Routine, decl, use string) {
	g.p("// Funcs is a Server made of functions, so that a part of the routines can be served.")
	g.p("// What has no function answers MIG_BAD_ID.")
	g.p("type Funcs%s struct {", decl)
	for _, r := range routines {
		params, results := g.signature(r)
		g.p("Do%s func(%s) (%s)", g.name(r), strings.Join(params, ", "), strings.Join(results, ", "))
	}
	keys := slices.Sorted(maps.Keys(g.trans))
	for _, key := range keys {
		tr := g.trans[key]
		g.p("Do%s func(%s) %s", tr.method, tr.param, tr.result)
	}
	g.p("}\n")
	for _, r := range routines {
		params, results := g.signature(r)
		var names []string
		for _, p := range params {
			n, _, _ := strings.Cut(p, " ")
			names = append(names, n)
		}
		g.p("// %s implements Server.", g.name(r))
		g.p("func (f *Funcs%s) %s(%s) (%s) {", use, g.name(r), strings.Join(params, ", "), strings.Join(results, ", "))
		g.p("if f.Do%s == nil {\nkr = mach.MigBadID\nreturn\n}\nreturn f.Do%s(%s)\n}\n", g.name(r), g.name(r),
			strings.Join(names, ", "))
	}
	for _, key := range keys {
		tr := g.trans[key]
		g.p("// %s implements Server.", tr.method)
		if tr.result == "" {
			g.p("func (f *Funcs%s) %s(x %s) {\nif f.Do%s != nil {\nf.Do%s(x)\n}\n}\n", use, tr.method, tr.param, tr.method,
				tr.method)
			continue
		}
		g.p("func (f *Funcs%s) %s(x %s) (y %s) {\nif f.Do%s != nil {\ny = f.Do%s(x)\n}\nreturn y\n}\n", use, tr.method,
			tr.param,
			tr.result, tr.method, tr.method)
	}
}

// handler writes the function that serves one routine.
func (g *generator) handler(r *model.Routine) {
	decl, use := g.typeParams()
	in, out := slots{}, slots{}
	room := map[*model.Arg]string{}
	args := []string{"req"}
	var results, destructors, adopted []string
	var take []string
	wires := map[*model.Arg]string{} // statements that translate what the server's function returned
	index := map[*model.Arg]model.Descriptor{}
	for _, d := range r.Request.Descriptors {
		index[d.Arg] = d
	}
	g.p("func serve%s%s(s Server%s, req, rep *rpc.Message[P]) (kr mach.KernReturn) {", g.name(r), decl, use)
	if r.RetCode != nil && r.Request.Complex() {
		g.p("if !req.Complex {\nif kr := rpc.CheckRequest(req, &rpc.Shape{NDR: true, Min: 12, Max: 12}); kr != 0 {\n" +
			"return kr\n}\n} else ")
	}
	g.p("if kr := rpc.CheckRequest(req, &shape%sRequest); kr != 0 {\nreturn kr\n}", g.name(r))
	if r.RequestTrailer > 0 {
		g.p("if req.Elements < %d {\nreturn mach.MigTrailerError\n}", r.RequestTrailer)
	}
	for _, a := range r.Args {
		if !a.Direction.ServerSees() {
			continue
		}
		x, t := lower(a.Name), a.Type
		translated := t.Translated()
		intran := translated && t.InTran != nil
		adopt := func(wire string) { // what the server's function is given
			if !intran {
				args = append(args, wire)
				return
			}
			server := g.typeParam(t)
			method := g.translate(t.InTran, g.element(t), server)
			adopted = append(adopted, fmt.Sprintf("%sIn := s.%s(%s)", x, method, wire))
			args = append(args, x+"In")
		}
		destroy := func(wire string) {
			if t.Destructor == nil || a.Direction == model.InOut {
				return
			}
			server, v := g.value(t, false), wire
			if intran {
				server, v = g.typeParam(t), x+"In"
			}
			destructors = append(destructors, fmt.Sprintf("s.%s(%s)", g.translate(t.Destructor, server, ""), v))
		}
		switch a.Direction {
		case model.RequestPort:
			adopt("req.Dest")
			destroy("req.Dest")
		case model.ReplyPort, model.ServerReplyPort:
			args = append(args, "rpc.Right[P]{Port: req.Reply, Disposition: req.ReplyDisposition}")
		case model.In, model.InOut, model.Out:
			if a.Direction.Sent() {
				in[a] = slot{x: x, open: openOnReceive(a)}
				g.p("var %s %s", x, g.value(t, in[a].open))
				wire := x
				if in[a].open && t.Shape == model.Scalar {
					wire += ".Port"
				}
				if intran {
					adopt(wire)
				} else {
					adopt(x)
				}
				destroy(wire)
				if d, ok := index[a]; ok && !(intran && g.i.KernelServer) {
					take = append(take, fmt.Sprintf("req.Take(%d, %d)", d.Index, d.N))
				}
			}
			if a.CountInOut {
				room[a] = x + "Room"
				g.p("var %s uint32", room[a])
				args = append(args, room[a])
			}
			if a.Direction.Returned() {
				y := x + "Out"
				results = append(results, y)
				o := slot{x: y, open: openOnSend(a)}
				if translated && t.OutTran != nil {
					o.x = y + "Wire"
					wires[a] = fmt.Sprintf("%s := s.%s(%s)", o.x, g.translate(t.OutTran, g.typeParam(t), g.element(t)), y)
				}
				if a.Dealloc == model.Ask {
					o.free = y + "Dealloc"
					results = append(results, o.free)
				}
				out[a] = o
			}
		default:
			_, f := trailer(a.Direction)
			args = append(args, "req.Trailer"+f)
		}
	}
	g.requestBody(r, in, room)
	for _, s := range adopted {
		g.p("%s", s)
	}
	if len(results) == 0 {
		g.p("kr = s.%s(%s)", g.name(r), strings.Join(args, ", "))
	} else {
		g.p("%s, kr := s.%s(%s)", strings.Join(results, ", "), g.name(r), strings.Join(args, ", "))
	}
	for _, s := range destructors {
		g.p("%s", s)
	}
	if r.Simple || len(results) == 0 && !r.Reply.Complex() {
		if len(take) > 0 {
			g.p("if kr == 0 {")
			for _, s := range take {
				g.p("%s", s)
			}
			g.p("}")
		}
		g.p("return kr\n}\n")
		return
	}
	g.p("if kr != 0 {\nreturn kr\n}")
	for _, s := range take {
		g.p("%s", s)
	}
	wire := func(a *model.Arg) {
		if s := wires[a]; s != "" {
			g.p("%s", s)
		}
	}
	for _, d := range r.Reply.Descriptors {
		wire(d.Arg)
	}
	for _, it := range r.Reply.Items {
		wire(it.Arg)
	}
	g.write("rep", &r.Reply, out)
	most := map[*model.Arg]string{}
	for a, v := range room {
		most[a] = "int(" + v + ")"
	}
	g.bounds(&r.Reply, out, most, "return mach.MigArrayTooLarge")
	g.body("rep", &r.Reply, out, nil)
	g.p("return 0\n}\n")
}

// requestBody writes the reading of a request.
func (g *generator) requestBody(r *model.Routine, in slots, room map[*model.Arg]string) {
	if r.RetCode != nil && r.Request.Complex() {
		g.p("if req.Complex {")
		g.read("req", &r.Request, in, room)
		g.p("if !r.Done() {\nreturn mach.MigBadArguments\n}\n} else {")
		g.p("r := rpc.NewReader(req.Body)")
		g.get(r.RetCode.Type, in[r.RetCode].x, 0)
		g.p("}")
		return
	}
	if !r.Request.NDR && !r.Request.Complex() {
		return
	}
	g.read("req", &r.Request, in, room)
	g.p("if !r.Done() {\nreturn mach.MigBadArguments\n}")
}
