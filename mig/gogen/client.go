package gogen

import (
	"fmt"
	"strings"

	"portcullis.dev/mig/model"
)

// client writes the function that calls a routine.
func (g *generator) client(r *model.Routine) {
	in, out := slots{}, slots{}
	room := map[*model.Arg]string{}
	var params, results []string
	var after []string // assignments from the trailer
	opts := g.options(r)
	body := "" // statements before the call
	reply := ""
	for _, a := range r.Args {
		x := lower(a.Name)
		param := func(t string) { params = append(params, x+" "+t) }
		switch a.Direction {
		case model.RequestPort:
			if openOnSend(a) {
				param("rpc.Right[P]")
				body = fmt.Sprintf("Dest: %s.Port, DestDisposition: %s.Disposition", x, x)
			} else {
				param("P")
				body = fmt.Sprintf("Dest: %s, DestDisposition: %s", x, disposition(a.Type.In))
			}
		case model.ReplyPort, model.UserReplyPort:
			opts = append(opts, "OwnReply: true")
			if openOnSend(a) {
				param("rpc.Right[P]")
				reply = fmt.Sprintf(", Reply: %s.Port, ReplyDisposition: %s.Disposition", x, x)
			} else {
				param("P")
				reply = fmt.Sprintf(", Reply: %s, ReplyDisposition: %s", x, disposition(a.Type.In))
			}
		case model.WaitTime:
			param("uint32")
			opts = without(opts, "Timeout:")
			opts = append(opts, "Timed: true", "Timeout: "+x)
		case model.SendTime:
			param("uint32")
			opts = without(opts, "Timeout:")
			opts = append(opts, "SendTimed: true", "Timeout: "+x)
		case model.MsgOption:
			param("mach.Option")
			opts = append(without(opts, "Extra:"), "Extra: "+x+extra(r))
		case model.SecToken, model.UserSecToken, model.AuditToken, model.UserAuditToken, model.UserImpl:
			if r.Simple {
				continue
			}
			t, f := trailer(a.Direction)
			results = append(results, x+" "+t)
			after = append(after, fmt.Sprintf("%s = rep.Trailer%s", x, f))
		case model.In, model.InOut, model.Out:
			if a.Direction.Sent() {
				s := slot{x: x, open: openOnSend(a)}
				param(g.value(a.Type, s.open))
				if a.Dealloc == model.Ask {
					s.free = x + "Dealloc"
					params = append(params, s.free+" bool")
				}
				in[a] = s
			}
			if a.CountInOut {
				room[a] = x + "Room"
				params = append(params, room[a]+" uint32")
			}
			if a.Direction.Returned() {
				s := slot{x: x, open: openOnReceive(a)}
				if a.Direction == model.InOut {
					s.x += "Out"
				}
				results = append(results, s.x+" "+g.value(a.Type, s.open))
				out[a] = s
			}
		}
	}
	g.comment(r)
	g.p("func %s[P comparable](c rpc.Caller[P], %s) (%s) {", g.name(r), strings.Join(params, ", "),
		strings.Join(append(results, "kr mach.KernReturn"), ", "))
	g.bounds(&r.Request, in, nil, "kr = mach.MigArrayTooLarge\nreturn")
	g.p("req := &rpc.Message[P]{ID: %d, %s%s}", r.ID, body, reply)
	if r.RetCode != nil && r.Request.Complex() {
		// The code has no place in the message. An error goes out alone.
		g.p("if %s != 0 {\nreq.SetCode(mach.KernReturn(%s))\nreturn rpc.Post(c, req, &rpc.Options{%s})\n}",
			lower(r.RetCode.Name), lower(r.RetCode.Name), strings.Join(opts, ", "))
	}
	g.write("req", &r.Request, in)
	g.body("req", &r.Request, in, room)
	if r.Simple {
		g.p("return rpc.Post(c, req, &rpc.Options{%s})\n}\n", strings.Join(opts, ", "))
		return
	}
	if len(results) == 0 && !r.Reply.Complex() && len(r.Reply.Items) == 1 {
		g.p("_, kr = rpc.Do(c, req, &rpc.Options{%s}, &shape%sReply)\nreturn\n}\n", strings.Join(opts, ", "), g.name(r))
		return
	}
	g.p("rep, kr := rpc.Do(c, req, &rpc.Options{%s}, &shape%sReply)", strings.Join(opts, ", "), g.name(r))
	var zero strings.Builder
	for _, f := range results {
		name, t, _ := strings.Cut(f, " ")
		fmt.Fprintf(&zero, "%s = *new(%s)\n", name, t)
	}
	g.p("if kr != 0 {\nreturn\n}")
	g.read("rep", &r.Reply, out, nil)
	g.p("if !r.Done() {\nrpc.Refuse(c, rep)\n%skr = mach.MigTypeError\nreturn\n}", zero.String())
	if r.ReplyTrailer > 0 {
		g.p("if rep.Elements < %d {\nrpc.Refuse(c, rep)\n%skr = mach.MigTrailerError\nreturn\n}", r.ReplyTrailer,
			zero.String())
	}
	for _, s := range after {
		g.p("%s", s)
	}
	for _, a := range r.Args {
		if room[a] != "" {
			x := out[a].x
			g.p("if uint64(len(%s)) > uint64(%s) {\n%s, kr = %s[:%s], mach.MigArrayTooLarge\n}", x, room[a], x, x, room[a])
		}
	}
	g.p("return\n}\n")
}

func (g *generator) comment(r *model.Routine) {
	kind := "routine"
	if r.Simple {
		kind = "simpleroutine"
	}
	g.p("// %s calls the %s %s, message %d.", g.name(r), kind, r.Name, r.ID)
}

// trailer returns the Go type of an argument that comes from a trailer, and the field it stands in.
func trailer(d model.Direction) (goType, field string) {
	switch d {
	case model.SecToken, model.ServerSecToken, model.UserSecToken:
		return "[2]uint32", ".Security"
	case model.AuditToken, model.ServerAuditToken, model.UserAuditToken:
		return "mach.AuditToken", ".Audit"
	case model.MsgSeqno:
		return "uint32", ".Seqno"
	case model.ServerContext:
		return "uint64", ".Context"
	}
	return "mach.Trailer", ""
}

func extra(r *model.Routine) string {
	if r.MsgOption == "" {
		return ""
	}
	o, _ := option(r.MsgOption)
	return fmt.Sprintf("|%#x", uint64(o))
}

// options lists the fields of rpc.Options that statements set.
func (g *generator) options(r *model.Routine) []string {
	var o []string
	if r.MsgOption != "" {
		o = append(o, "Extra: "+extra(r)[1:])
	}
	if r.WaitTime != "" {
		o = append(o, "Timed: true", "Timeout: "+milliseconds(r.WaitTime))
	} else if r.SendTime != "" {
		o = append(o, "SendTimed: true", "Timeout: "+milliseconds(r.SendTime))
	}
	if r.Special {
		o = append(o, "Special: true")
	}
	if r.ReplyTrailer > 0 {
		o = append(o, fmt.Sprintf("Trailer: %d", r.ReplyTrailer))
	}
	switch r.Consume {
	case model.ConsumeTimeout:
		o = append(o, "Consume: rpc.ConsumeTimeout")
	case model.ConsumeAny:
		o = append(o, "Consume: rpc.ConsumeAny")
	}
	return o
}

func without(list []string, prefix string) []string {
	var out []string
	for _, s := range list {
		if !strings.HasPrefix(s, prefix) && s != "Timed: true" && s != "SendTimed: true" {
			out = append(out, s)
		}
	}
	return out
}
