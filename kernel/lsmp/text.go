package lsmp

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes a table for each task. A row is a name; rows that begin with + say who else has rights to a port that
// the task receives on, and rows that begin with - who receives on a port that it has rights to.
func (l *Listing) WriteText(w io.Writer) error {
	programs, ports := map[int32]string{}, map[Number]*Port{}
	for _, t := range l.Tasks {
		programs[t.PID] = t.Program
	}
	for i := range l.Ports {
		ports[l.Ports[i].ID] = &l.Ports[i]
	}
	var b strings.Builder
	for _, t := range l.Tasks {
		fmt.Fprintf(&b, "Process (%d) : %s, level %s, %s, %s\n", t.PID, t.Program, t.Level, plural(t.Threads, "thread"),
			plural(len(t.Names), "name"))
		tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "  name\tport\trights\tflags\trequests\trefs\tsends\tsonces\tmscount\tqueue\tcontext\twhat")
		for _, n := range t.Names {
			p := ports[n.Port]
			if p == nil {
				fmt.Fprintf(tw, "  %s\t\t%s\t\t%s\t%d\t\t\t\t\t\t%s\n", hex(n.Name), short(n.Rights), letters(n.Requests), n.Refs,
					members(n.Members))
				continue
			}
			if slices.Contains(n.Rights, "receive") {
				fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d/%d\t%#x\t%s\n", hex(n.Name), hex(p.ID), short(n.Rights),
					letters(p.Flags), requests(n.Requests, p), n.Refs, p.Sends, p.SendOnces, p.MakeSends, p.Messages, p.QueueLimit,
					uint64(p.Context), p.label())
				for _, h := range p.Holders {
					if h.PID != t.PID {
						fmt.Fprintf(tw, "  +\t\t%s\t\t\t%d\t\t\t\t\t\theld by (%d) %s as %s\n", short(h.Rights), h.Refs, h.PID,
							programs[h.PID], hex(h.Name))
					}
				}
				if p.Carried > 0 {
					fmt.Fprintf(tw, "  +\t\t\t\t\t\t\t\t\t\t\t%s in messages or the kernel\n", plural(p.Carried, "right"))
				}
				continue
			}
			fmt.Fprintf(tw, "  %s\t%s\t%s\t\t%s\t%d\t\t\t\t\t\t%s%s\n", hex(n.Name), hex(p.ID), short(n.Rights),
				letters(n.Requests), n.Refs, p.label(), p.where(programs))
		}
		tw.Flush()
		b.WriteByte('\n')
	}
	t := l.Totals
	fmt.Fprintf(&b, "%s, %s, %s, %s of %d bytes\n", plural(int(t.Spaces), "space"), plural(int(t.Ports), "port"),
		plural(int(t.Sets), "port set"), plural(int(t.Messages), "message"), t.Bytes)
	// Tables leave blanks at the ends of rows.
	lines := strings.SplitAfter(b.String(), "\n")
	for _, line := range lines {
		if _, err := io.WriteString(w, strings.TrimRight(line, " \n")+strings.Repeat("\n", strings.Count(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

// where says who receives on a port, if it is not the kernel.
func (p *Port) where(programs map[int32]string) string {
	switch p.Receiver {
	case "task":
		if len(p.Holders) > 0 && slices.Contains(p.Holders[0].Rights, "receive") {
			h := p.Holders[0]
			return fmt.Sprintf(" -> (%d) %s as %s", h.PID, programs[h.PID], hex(h.Name))
		}
		return " -> another task"
	case "message":
		return " -> in a message to port " + hex(p.Transit)
	case "nobody":
		return " -> nobody"
	}
	return ""
}

func hex(n Number) string { return fmt.Sprintf("0x%08x", uint64(n)) }

// short is the rights as lsmp calls them.
func short(rights []string) string {
	s := strings.Join(rights, ",")
	return strings.NewReplacer("receive", "recv", "send-once", "sonce", "dead-name", "dead").Replace(s)
}

// letters is one letter for each flag or request: I(mmovable), G(uarded), S(trict), N(o-senders), P(ort-destroyed),
// D(ead-name), s(end-possible).
func letters(all []string) string {
	var b strings.Builder
	for _, f := range all {
		switch f {
		case "send-possible":
			b.WriteByte('s')
		case "no-senders", "port-destroyed":
			// requests, not flags
		default:
			b.WriteByte(f[0] &^ 0x20)
		}
	}
	return b.String()
}

// requests is the letters of what is asked for on a name and on the port that is received under it.
func requests(ofName []string, p *Port) string {
	s := letters(ofName)
	if slices.Contains(p.Flags, "no-senders") {
		s += "N"
	}
	if slices.Contains(p.Flags, "port-destroyed") {
		s += "P"
	}
	return s
}

func members(names []Number) string {
	if len(names) == 0 {
		return ""
	}
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = hex(n)
	}
	return "members " + strings.Join(all, " ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
