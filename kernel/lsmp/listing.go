package lsmp

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// Version is the version of the form of a [Listing].
const Version = 1

// Listing is what a machine holds.
type Listing struct {
	Version int    `json:"version"`
	Totals  Totals `json:"totals"`
	Tasks   []Task `json:"tasks"` // by process id
	Ports   []Port `json:"ports"` // in the order in which tasks name them
}

// Totals counts what a machine holds, also what no task has a name for.
type Totals struct {
	Spaces   int64 `json:"spaces"`
	Ports    int64 `json:"ports"`
	Sets     int64 `json:"port_sets"`
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"message_bytes"`
}

// Task is a task and its names.
type Task struct {
	PID     int32       `json:"pid"`
	Program string      `json:"program"`
	Level   rules.Level `json:"level"`
	Threads int         `json:"threads"`
	Names   []Name      `json:"names"`
}

// Number is a number that people know in hexadecimal digits.
type Number uint64

// MarshalText implements [encoding.TextMarshaler].
func (n Number) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "0x%x", uint64(n)), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (n *Number) UnmarshalText(b []byte) error {
	_, err := fmt.Sscanf(string(b), "0x%x", (*uint64)(n))
	return err
}

// Name is what a name denotes.
type Name struct {
	Name     Number   `json:"name"`
	Port     Number   `json:"port,omitempty"` // Port.ID; none for dead names and sets
	Rights   []string `json:"rights"`         // "receive", "send", "send-once", "port-set", "dead-name"
	Refs     uint32   `json:"refs"`           // user references
	Requests []string `json:"requests,omitempty"`
	Members  []Number `json:"members,omitempty"` // of a set: names of the same task
}

// Holder is a task that has a right to a port.
type Holder struct {
	PID    int32    `json:"pid"`
	Name   Number   `json:"name"`
	Rights []string `json:"rights"`
	Refs   uint32   `json:"refs"`
}

// Port is a port that a task has a name for.
type Port struct {
	ID       Number   `json:"id"`                 // the same in all listings of a kernel
	Type     string   `json:"type"`               // as XNU calls it
	Object   string   `json:"object,omitempty"`   // what the kernel's port stands for
	Service  string   `json:"service,omitempty"`  // name that it was made for
	Receiver string   `json:"receiver"`           // "task", "kernel", "message", "nobody"
	Transit  Number   `json:"transit,omitempty"`  // Port.ID of the queue that the receive right is in
	Holders  []Holder `json:"holders"`            // who receives comes first
	Carried  int      `json:"carried,omitempty"`  // send and send-once rights in messages and in the kernel's hands
	Flags    []string `json:"flags,omitempty"`    // "immovable", "guarded", "strict", "no-senders", "port-destroyed"
	Context  Number   `json:"context,omitempty"`  // and guard
	Requests int      `json:"requests,omitempty"` // dead-name and send-possible notifications that are asked for

	Messages   int    `json:"messages"`
	QueueLimit int    `json:"queue_limit"`
	Seqno      uint32 `json:"seqno"`
	MakeSends  uint32 `json:"make_sends"`
	Sends      int    `json:"sends"`
	SendOnces  int    `json:"send_onces"`
}

// Of lists a machine.
func Of(m *object.Machine) *Listing {
	st := m.IPC.Stats()
	l := &Listing{Version: Version, Totals: Totals{st.Spaces, st.Ports, st.Sets, st.Messages, st.Bytes}}
	index := map[*ipc.Port]int{}
	for _, t := range m.Tasks() {
		table, kr := t.Space.Table()
		if kr != 0 {
			continue // it has just ended
		}
		one := Task{PID: t.PID(), Program: t.Program(), Level: t.Restrict.Policy.Level(), Threads: t.ThreadCount()}
		members := map[*ipc.PortSet][]Number{}
		for _, e := range table {
			if e.Port == nil {
				continue
			}
			i, known := index[e.Port]
			if !known {
				i = len(l.Ports)
				index[e.Port] = i
				l.Ports = append(l.Ports, portOf(m, e.Port))
			}
			p := &l.Ports[i]
			h := Holder{t.PID(), Number(e.Name), rightsOf(e.Type), e.Refs}
			if e.Type&mach.TypeReceive == 0 {
				p.Holders = append(p.Holders, h)
				continue
			}
			p.Holders = slices.Insert(p.Holders, 0, h)
			for _, set := range e.Port.State().Sets { // who receives has the sets, too
				members[set] = append(members[set], Number(e.Name))
			}
		}
		for _, e := range table {
			if e.Type == 0 {
				continue
			}
			n := Name{Name: Number(e.Name), Rights: rightsOf(e.Type), Refs: e.Refs, Requests: requestsOf(e.Type)}
			switch {
			case e.Set != nil:
				n.Members = members[e.Set]
			case e.Port != nil:
				n.Port = l.Ports[index[e.Port]].ID
			}
			one.Names = append(one.Names, n)
		}
		l.Tasks = append(l.Tasks, one)
	}
	for i := range l.Ports {
		l.Ports[i].count()
	}
	return l
}

func portOf(m *object.Machine, p *ipc.Port) Port {
	st := p.State()
	out := Port{ID: Number(m.PortID(p)), Type: p.Type().String(), Object: m.Describe(p), Context: Number(st.Context),
		Requests: st.Requests, Messages: st.Messages, QueueLimit: st.QueueLimit, Seqno: st.Seqno, MakeSends: st.MakeSends,
		Sends: st.Sends, SendOnces: st.SendOnces}
	switch {
	case st.Receiver != nil:
		out.Receiver = "task"
	case st.KernelOwned:
		out.Receiver = "kernel"
	case st.Destination != nil:
		out.Receiver, out.Transit = "message", Number(m.PortID(st.Destination))
	default:
		out.Receiver = "nobody"
	}
	if st.Service != nil {
		out.Service = st.Service.Name
	}
	for _, f := range []struct {
		set  bool
		name string
	}{{st.Immovable, "immovable"}, {st.Guarded, "guarded"}, {st.Strict, "strict"}, {st.NoSenders, "no-senders"},
		{st.PortDestroyed, "port-destroyed"}} {
		if f.set {
			out.Flags = append(out.Flags, f.name)
		}
	}
	return out
}

// count finds how many rights no task holds.
func (p *Port) count() {
	held := 0
	for _, h := range p.Holders {
		if slices.Contains(h.Rights, "send") || slices.Contains(h.Rights, "send-once") {
			held++
		}
	}
	p.Carried = max(0, p.Sends+p.SendOnces-held)
}

func rightsOf(t mach.RightType) []string {
	var all []string
	for _, r := range []struct {
		t    mach.RightType
		name string
	}{{mach.TypeReceive, "receive"}, {mach.TypeSend, "send"}, {mach.TypeSendOnce, "send-once"},
		{mach.TypePortSet, "port-set"}, {mach.TypeDeadName, "dead-name"}} {
		if t&r.t != 0 {
			all = append(all, r.name)
		}
	}
	return all
}

func requestsOf(t mach.RightType) []string {
	switch {
	case t&mach.TypeDeadNameRequest == 0:
		return nil
	case t&mach.TypeSendPossibleRequest != 0:
		return []string{"send-possible"}
	}
	return []string{"dead-name"}
}

// Select leaves only the tasks with the given process ids, and the ports that they have names for.
func (l *Listing) Select(pids ...int32) *Listing {
	out := &Listing{Version: l.Version, Totals: l.Totals}
	named := map[Number]bool{}
	for _, t := range l.Tasks {
		if !slices.Contains(pids, t.PID) {
			continue
		}
		out.Tasks = append(out.Tasks, t)
		for _, n := range t.Names {
			named[n.Port] = true
		}
	}
	for _, p := range l.Ports {
		if named[p.ID] {
			out.Ports = append(out.Ports, p)
		}
	}
	return out
}

// WriteJSON writes the listing as JSON.
func (l *Listing) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(l)
}

// Read reads what [Listing.WriteJSON] has written.
func Read(r io.Reader) (*Listing, error) {
	var l Listing
	if err := json.NewDecoder(r).Decode(&l); err != nil {
		return nil, fmt.Errorf("the listing cannot be read: %w", err)
	}
	if l.Version != Version {
		return nil, fmt.Errorf("the listing has version %d, and version %d is understood", l.Version, Version)
	}
	return &l, nil
}

// label says what a port is, in a few words.
func (p *Port) label() string {
	switch {
	case p.Object != "":
		return p.Object + " (" + p.kind() + ")"
	case p.Service != "":
		return p.kind() + " " + p.Service
	}
	return p.kind()
}

// kind is the type in the words of people.
func (p *Port) kind() string {
	s := strings.TrimPrefix(strings.TrimPrefix(p.Type, "IOT_"), "IKOT_")
	return strings.ReplaceAll(strings.ToLower(s), "_", " ")
}
