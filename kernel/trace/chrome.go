package trace

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Chrome writes the JSON array form of Chrome's trace events, which chrome://tracing and Perfetto open. Tasks are
// processes, calls are slices, and an arrow leads from the call that sends a message to the one that receives it. The form
// may be cut off anywhere, so that a trace is good even if its writer is killed.
//
// Source: Trace Event Format, Google, "JSON Array Format" and "Flow Events".
type Chrome struct {
	w       *bufio.Writer
	err     error
	any     bool
	known   map[Who]bool
	pending map[Who]*Event // calls that are not over
	last    time.Duration
}

// NewChrome makes a sink in Chrome's form.
func NewChrome(w io.Writer) *Chrome {
	return &Chrome{w: bufio.NewWriterSize(w, 1<<16), known: map[Who]bool{}, pending: map[Who]*Event{}}
}

// item is a trace event.
type item struct {
	Name     string         `json:"name"`
	Category string         `json:"cat,omitempty"`
	Phase    string         `json:"ph"`
	Time     float64        `json:"ts"` // microseconds
	Duration *float64       `json:"dur,omitempty"`
	PID      int32          `json:"pid"`
	TID      uint64         `json:"tid"`
	ID       uint64         `json:"id,omitempty"`
	Binding  string         `json:"bp,omitempty"`
	Scope    string         `json:"s,omitempty"`
	Args     map[string]any `json:"args,omitempty"`
}

func micro(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// Write implements [Sink].
func (c *Chrome) Write(e *Event) {
	c.last = max(c.last, e.End, e.Begin)
	who := e.Who
	if who.Thread == 0 {
		who.Thread = uint64(who.PID)
	}
	c.introduce(who)
	at := item{PID: who.PID, TID: who.Thread, Time: micro(e.Begin), Category: "mach"}
	switch e.Kind {
	case Called:
		c.pending[who] = e
		if e.Sent != nil && !e.Sent.Kernel {
			flow := at
			flow.Name, flow.Phase, flow.ID = "message", "s", e.Sent.Number
			c.put(&flow)
		}
	case Returned:
		delete(c.pending, who)
		c.slice(at, e, e.End)
		if e.Received != nil && e.Received.Number != 0 {
			flow := at
			flow.Name, flow.Phase, flow.ID, flow.Binding, flow.Time = "message", "f", e.Received.Number, "e", micro(e.End)
			c.put(&flow)
		}
	case Operated:
		name, _, _ := strings.Cut(e.Text, "(")
		long := micro(e.End) - micro(e.Begin)
		at.Name, at.Phase, at.Duration, at.Args = name, "X", &long, map[string]any{"call": e.Text}
		c.put(&at)
	case Started, Ended, Violated:
		at.Name, at.Phase, at.Scope = map[Kind]string{Started: "task begins", Ended: "task ends", Violated: "violation"}[e.Kind],
			"i", "p"
		if e.Text != "" {
			at.Args = map[string]any{"what": e.Text}
		}
		if e.Kind == Ended {
			c.finish(func(w Who) bool { return w.PID == who.PID })
		}
		if e.Kind == Violated {
			at.Name, _, _ = strings.Cut(e.Text, ":")
		}
		c.put(&at)
	}
}

// slice writes a message call that lasted until end.
func (c *Chrome) slice(at item, e *Event, end time.Duration) {
	long := micro(end) - micro(e.Begin)
	at.Phase, at.Duration, at.Name, at.Args = "X", &long, "receive", map[string]any{}
	if e.Kind == Returned {
		at.Args["result"] = e.Result.String()
	}
	if m := e.Received; m != nil {
		at.Name = "receive " + m.title()
		at.Args["received"] = m.received()
	}
	if m := e.Sent; m != nil {
		at.Name = m.title()
		at.Args["sent"] = m.sent()
	}
	c.put(&at)
}

// finish writes the calls of some threads that will not return.
func (c *Chrome) finish(of func(Who) bool) {
	for w, e := range c.pending {
		if of(w) {
			delete(c.pending, w)
			c.slice(item{PID: w.PID, TID: w.Thread, Time: micro(e.Begin), Category: "mach"}, e, c.last)
		}
	}
}

// introduce names a process and a thread.
func (c *Chrome) introduce(w Who) {
	if c.known[w] {
		return
	}
	c.known[w] = true
	c.put(&item{Name: "process_name", Phase: "M", PID: w.PID, TID: w.Thread, Args: map[string]any{"name": w.Program}})
	c.put(&item{Name: "thread_name", Phase: "M", PID: w.PID, TID: w.Thread,
		Args: map[string]any{"name": fmt.Sprintf("thread %d", w.Thread)}})
}

func (c *Chrome) put(i *item) {
	if c.err != nil {
		return
	}
	b, err := json.Marshal(i)
	if err == nil {
		lead := ",\n"
		if !c.any {
			lead = "[\n"
		}
		c.any = true
		c.w.WriteString(lead)
		_, err = c.w.Write(b)
	}
	c.err = err
}

// Close writes the calls that are not over, and the end.
func (c *Chrome) Close() error {
	c.finish(func(Who) bool { return true })
	if !c.any {
		c.w.WriteString("[")
	}
	c.w.WriteString("\n]\n")
	if err := c.w.Flush(); c.err == nil {
		c.err = err
	}
	return c.err
}
