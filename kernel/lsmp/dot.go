package lsmp

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteDOT writes the listing as a graph for Graphviz: tasks are boxes, ports ellipses, the kernel's ports hexagons. An
// arrow goes from who holds a send right to the port, dashed for a send-once right, and from the port to its receiver. What
// every task has and nobody else (ports of itself, of its threads and of the host) is left out.
func (l *Listing) WriteDOT(w io.Writer) error {
	var b strings.Builder
	b.WriteString("digraph ports {\n\trankdir=LR;\n\tnode [fontname=\"Helvetica\", fontsize=10];\n" +
		"\tedge [fontname=\"Helvetica\", fontsize=8];\n")
	for _, t := range l.Tasks {
		fmt.Fprintf(&b, "\ttask%d [shape=box, style=\"rounded,filled\", fillcolor=\"#dde8f7\", label=%q];\n", t.PID,
			fmt.Sprintf("%s (%d)\nlevel %s", t.Program, t.PID, t.Level))
	}
	drawn := map[int32]bool{}
	for _, t := range l.Tasks {
		drawn[t.PID] = true
	}
	for i := range l.Ports {
		p := &l.Ports[i]
		if p.ordinary() {
			continue
		}
		shape, fill := "ellipse", "#ffffff"
		switch {
		case p.Receiver == "kernel":
			shape, fill = "hexagon", "#eeeeee"
		case p.Service != "":
			fill = "#fdf3d0"
		case p.Receiver != "task":
			fill = "#f7dddd"
		}
		label := p.label()
		if p.Messages > 0 {
			label += fmt.Sprintf("\n%d/%d messages", p.Messages, p.QueueLimit)
		}
		fmt.Fprintf(&b, "\tport%x [shape=%s, style=filled, fillcolor=%q, label=%q];\n", uint64(p.ID), shape, fill, label)
		for _, h := range p.Holders {
			if !drawn[h.PID] {
				continue
			}
			name := fmt.Sprintf("%#x", uint64(h.Name))
			if slices.Contains(h.Rights, "receive") {
				fmt.Fprintf(&b, "\tport%x -> task%d [penwidth=2, label=%q];\n", uint64(p.ID), h.PID, name)
			}
			if slices.Contains(h.Rights, "send") {
				fmt.Fprintf(&b, "\ttask%d -> port%x [label=%q];\n", h.PID, uint64(p.ID), name)
			}
			if slices.Contains(h.Rights, "send-once") {
				fmt.Fprintf(&b, "\ttask%d -> port%x [style=dashed, label=%q];\n", h.PID, uint64(p.ID), name)
			}
		}
		if p.Transit != 0 {
			fmt.Fprintf(&b, "\tport%x -> port%x [style=dotted, label=\"in a message\"];\n", uint64(p.ID), uint64(p.Transit))
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// ordinary says that a port tells nothing about who talks to whom.
func (p *Port) ordinary() bool {
	if p.Receiver != "kernel" {
		return p.Receiver == "task" && len(p.Holders) == 1 && p.Carried == 0
	}
	if p.Object == "host" {
		return true
	}
	for _, h := range p.Holders {
		if p.Object != fmt.Sprintf("task %d", h.PID) && !strings.HasSuffix(p.Object, fmt.Sprintf(" of task %d", h.PID)) {
			return false
		}
	}
	return true
}
