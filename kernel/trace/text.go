package trace

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Text writes a line for each event: the time, the program with its process and thread, and what it does: > a message is
// sent, < one is received, ! a violation.
type Text struct {
	w   io.Writer
	err error
}

// NewText makes a sink of lines.
func NewText(w io.Writer) *Text { return &Text{w: w} }

// Write implements [Sink].
func (t *Text) Write(e *Event) {
	switch e.Kind {
	case Called:
		if e.Sent != nil {
			t.line(e.Begin, e.Who, "> "+e.Sent.sent())
		}
	case Returned:
		switch {
		case e.Received != nil:
			t.line(e.End, e.Who, "< "+e.Received.received())
		case e.Result != 0:
			verb := "mach_msg"
			if !e.Receives {
				verb = "send"
			} else if !e.Sends {
				verb = "receive"
			}
			t.line(e.End, e.Who, fmt.Sprintf("%s: %v", verb, e.Result))
		}
	case Operated:
		t.line(e.End, e.Who, e.Text)
	case Started:
		t.line(e.End, e.Who, "begins, "+e.Text)
	case Ended:
		t.line(e.End, e.Who, "ends")
	case Violated:
		t.line(e.End, e.Who, "! "+e.Text)
	}
}

func (t *Text) line(at time.Duration, w Who, what string) {
	if t.err != nil {
		return
	}
	who := fmt.Sprintf("%s %d", w.Program, w.PID)
	if w.Thread != 0 && w.Thread != uint64(w.PID) {
		who += fmt.Sprintf(".%d", w.Thread)
	}
	_, t.err = fmt.Fprintf(t.w, "%12.6f  %-24s  %s\n", at.Seconds(), who, what)
}

// Close implements [Sink].
func (t *Text) Close() error { return t.err }

// title is what a message is about: the routine, or the id.
func (m *Message) title() string {
	if m.Routine != "" {
		return fmt.Sprintf("%s [%d]", m.Routine, m.ID)
	}
	return fmt.Sprintf("message [%d]", m.ID)
}

func (m *Message) sent() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %s to %s: %v %s", m.Number, m.title(), m.What, m.Port, m.With)
	if m.Reply != 0 {
		fmt.Fprintf(&b, ", reply to %v %s", m.Reply, m.ReplyBy)
	}
	m.rest(&b)
	return b.String()
}

func (m *Message) received() string {
	var b strings.Builder
	from := "the kernel"
	if m.From != nil {
		from = fmt.Sprintf("%s(%d)", m.From.Program, m.From.PID)
	} else if m.Number != 0 {
		from = "somebody"
	}
	if m.Number != 0 {
		fmt.Fprintf(&b, "#%d ", m.Number)
	}
	fmt.Fprintf(&b, "%s from %s on %v", m.title(), from, m.Port)
	if m.Reply != 0 {
		fmt.Fprintf(&b, ", reply to %v %s", m.Reply, m.ReplyBy)
	}
	m.rest(&b)
	return b.String()
}

func (m *Message) rest(b *strings.Builder) {
	fmt.Fprintf(b, ", %d bytes", m.Size)
	if len(m.Items) > 0 {
		b.WriteString("; " + strings.Join(m.Items, "; "))
	}
}
