package trace

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"portcullis.dev/defs"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
)

// Who is a thread, or a task where Thread is 0.
type Who struct {
	Program string
	PID     int32
	Thread  uint64 // of the operating system where it is known, else of the machine
}

// Kind says what an event is.
type Kind uint8

const (
	Called   Kind = iota // a message call has begun
	Returned             // and is over
	Operated             // a call on port names and the like, from begin to end
	Started              // a task
	Ended                // a task
	Violated             // a thread has run into a guard
)

// Event is one thing that happened.
type Event struct {
	Kind       Kind
	Who        Who
	Begin, End time.Duration // since the recorder was made

	Sends, Receives bool     // of message calls
	Sent            *Message // what is sent
	Received        *Message // what was received; of Returned alone
	Result          mach.KernReturn
	Text            string // of operations and violations
}

// Message is a message as one side sees it: names are those of that side's task.
type Message struct {
	Number  uint64 // the same for the sender and the receiver; 0 for messages of the kernel
	ID      int32
	Routine string // that the id stands for; "" if that is not known
	Size    uint32
	Port    mach.Name // it is sent to, or was received on
	What    string    // the port is
	Kernel  bool      // the kernel receives on the port
	With    string    // the right that was used
	Reply   mach.Name // where an answer goes
	ReplyBy string    // the right that goes with it
	Items   []string  // rights and memory
	From    *Who      // who sent a received message; nil for the kernel
	to      *Who      // who receives a sent message; nil for the kernel, and if nobody does
}

// short is a disposition in the words of Mach's documentation: "copy-send".
func short(d mach.Disposition) string {
	s := strings.ToLower(strings.TrimPrefix(d.String(), "MACH_MSG_TYPE_"))
	s = strings.ReplaceAll(s, "_", "-")
	switch s {
	case "port-none":
		return ""
	case "port-send":
		return "send"
	case "port-send-once":
		return "send-once"
	case "port-receive":
		return "receive"
	}
	return s
}

// items describes the descriptors of a message; those that are alike and follow each other, such as the null rights of
// an array, once. What is malformed ends the list.
func items(b []byte) []string {
	var all []string
	for one, run := descriptors(b), 0; run < len(one); {
		n := 1
		for run+n < len(one) && one[run+n] == one[run] {
			n++
		}
		if n == 1 {
			all = append(all, one[run])
		} else {
			all = append(all, fmt.Sprintf("%d times %s", n, one[run]))
		}
		run += n
	}
	return all
}

func descriptors(b []byte) (all []string) {
	const base = mach.HeaderSize + mach.BodySize
	if len(b) < base {
		return nil
	}
	const most = 32
	n := int(b[mach.HeaderSize]) | int(b[mach.HeaderSize+1])<<8
	at := base
	var d mach.Descriptor
	for i := range n {
		if i == most {
			return append(all, fmt.Sprintf("and %d more", n-most))
		}
		size := d.Decode(b[at:])
		if size == 0 {
			return append(all, "something malformed")
		}
		at += size
		switch d.Type {
		case mach.DescriptorPort:
			all = append(all, fmt.Sprintf("%s %v", short(d.Disposition), d.Name))
		case mach.DescriptorGuardedPort:
			all = append(all, fmt.Sprintf("guarded %s %v", short(d.Disposition), d.Name))
		case mach.DescriptorOOLPorts:
			all = append(all, fmt.Sprintf("%s of %d ports out of line", short(d.Disposition), d.Size))
		default:
			all = append(all, fmt.Sprintf("%d bytes out of line", d.Size))
		}
	}
	return all
}

// describe says what a port is, beside its type: the object, the service, or who receives.
func describe(m *object.Machine, p *ipc.Port) (what string, receiver *Who, kernel bool) {
	st := p.State()
	switch {
	case st.KernelOwned:
		if what = m.Describe(p); what == "" {
			what = "the kernel"
		}
		return what, nil, true
	case !st.Active:
		return "dead port", nil, false
	case st.Receiver == nil:
		return "port in a message", nil, false
	}
	what = "port"
	if st.Service != nil && st.Service.Name != "" {
		what = st.Service.Name
	}
	if t := object.Owner(st.Receiver); t != nil {
		receiver = &Who{Program: program(t), PID: t.PID()}
		what += fmt.Sprintf(" of %s(%d)", receiver.Program, receiver.PID)
	}
	return what, receiver, false
}

func program(t *object.Task) string { return cmp.Or(t.Program(), "task") }

// between says whom a message goes between.
type between uint8

const (
	toKernel between = iota
	fromKernel
	tasks
)

// answers says that the message is the answer to one that was sent in the same call. Its id alone does not tell who
// answers: tasks that live with the kernel, as the bootstrap server, are traced as little as the kernel itself.
func (m *Message) answers(sent *Message) {
	if m.Number != 0 || m.Port != sent.Reply || m.ID != sent.ID+mach.ReplyOffset || sent.Routine == "" {
		return
	}
	m.Routine, m.From = sent.Routine+" reply", sent.to
}

// routine names what a message with an id is, "" if that is not known. The kernel asks tasks (exceptions, notifications)
// and answers them; tasks ask it, and answer.
func routine(id int32, b between) string {
	asked, answered := defs.Task, defs.Task
	switch b {
	case toKernel:
		asked = defs.Kernel
	case fromKernel:
		answered = defs.Kernel
	}
	if name := defs.Routine(asked, id); name != "" {
		return name
	}
	if name := defs.Routine(answered, id-mach.ReplyOffset); name != "" {
		return name + " reply"
	}
	return ""
}
