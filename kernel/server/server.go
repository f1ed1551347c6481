package server

import (
	"sync"

	"portcullis.dev/defs/clock"
	"portcullis.dev/defs/hostpriv"
	"portcullis.dev/defs/machhost"
	"portcullis.dev/defs/machport"
	"portcullis.dev/defs/machvm"
	"portcullis.dev/defs/processorset"
	"portcullis.dev/defs/semaphore"
	"portcullis.dev/defs/task"
	"portcullis.dev/defs/threadact"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// port is a port as generated code sees it: a right of the kernel's own, nil for none.
type port = *ipc.Port

// Config says what a server knows beside the objects.
type Config struct {
	Host HostFacts // nil: nothing is known of the computer
}

// Server serves the kernel's interfaces.
type Server struct {
	host HostFacts
}

var _ object.Server = (*Server)(nil)

// New makes a server.
func New(c Config) *Server { return &Server{host: c.Host} }

// call is one call while it is served. It implements the parts of the interfaces, each by a type of its own.
type call struct {
	server *Server
	m      *object.Machine
	by     *object.Thread
	req    rpc.Message[port]
	items  [4]rpc.Item[port] // room for most requests
	reply  [8]ipc.Item       // and for most replies
}

var calls = sync.Pool{New: func() any { return new(call) }}

// Serve implements [object.Server].
//
// Source: XNU osfmk/kern/ipc_kobject.c, ipc_kobject_server_internal.
func (s *Server) Serve(by *object.Thread, _ any, in *ipc.Call) bool {
	c := calls.Get().(*call)
	c.server, c.m, c.by = s, by.Task().Machine(), by
	c.read(in)
	rep, kr := c.dispatch()
	for i := range rep.Items { // rights were made for the reply: they move
		rep.Items[i].Disposition = moved(rep.Items[i].Disposition)
	}
	if rpc.Answer(destroyer{}, &c.req, rep, kr) {
		in.Reply(rep.ID, rep.Body, c.write(rep)...)
	}
	*c = call{}
	calls.Put(c)
	return true
}

// read takes the rights of a message over. Memory stays the message's, until the call is over.
func (c *call) read(in *ipc.Call) {
	c.req = rpc.Message[port]{ID: in.ID, Dest: in.Port, Complex: in.Complex, Items: c.items[:0], Body: in.Body,
		Trailer: mach.Trailer{Security: in.Sender.Security, Audit: in.Sender.Audit}, Elements: mach.TrailerAudit}
	c.req.Reply, c.req.ReplyDisposition = in.ReplyPort()
	for i := range in.Items {
		c.req.Items = append(c.req.Items, rpc.Item[port](in.Items[i]))
		in.Items[i].Port, in.Items[i].Ports = nil, nil
	}
}

// write turns the descriptors of a reply into the kernel's own.
func (c *call) write(rep *rpc.Message[port]) []ipc.Item {
	items := c.reply[:0]
	for _, it := range rep.Items {
		items = append(items, ipc.Item(it))
	}
	return items
}

// moved returns the disposition of a right that has been made and is on its way.
func moved(d mach.Disposition) mach.Disposition {
	if d.Any() {
		return d.Received()
	}
	return d
}

// dispatch lets the generated server of the subsystem check, decode and serve the request.
func (c *call) dispatch() (*rpc.Message[port], mach.KernReturn) {
	switch id := c.req.ID; {
	case in(id, machport.IDMachPortNames, machport.IDMachPortAssertAttributes):
		return machport.Serve[port](ports{c}, &c.req)
	case in(id, task.IDTaskTerminate, task.IDTaskRegisterHardenedExceptionHandler):
		return task.Serve[port](tasks{c}, &c.req)
	case in(id, threadact.IDThreadTerminate, threadact.IDThreadAdoptExceptionHandler):
		return threadact.Serve[port](threads{c}, &c.req)
	case in(id, machvm.IDMachVmAllocate, machvm.IDMachVmRemapNew):
		return machvm.Serve[port](memory{c}, &c.req)
	case in(id, machhost.IDHostInfo, machhost.IDMachZoneInfoForZone):
		return machhost.Serve[port](host{c}, &c.req)
	case in(id, hostpriv.IDHostGetBootInfo, hostpriv.IDHostProcessorSetPriv):
		return hostpriv.Serve[port](hostPriv{c}, &c.req)
	case in(id, processorset.IDProcessorSetStatistics, processorset.IDProcessorSetTasksWithFlavor):
		return processorset.Serve[port](processorSets{c}, &c.req)
	case in(id, semaphore.IDSemaphoreSignal, semaphore.IDSemaphoreTimedwaitSignal):
		return semaphore.Serve[port](semaphores{c}, &c.req)
	case in(id, clock.IDClockGetTime, clock.IDClockAlarm):
		return clock.Serve[port](clocks{c}, &c.req)
	}
	rep := rpc.Begin(&c.req)
	rep.SetCode(mach.MigBadID)
	return rep, mach.MigBadID
}

func in(id, first, last int32) bool { return first <= id && id <= last }

// destroyer gives up rights that nobody took.
type destroyer struct{}

// Destroy implements [rpc.Destroyer].
func (destroyer) Destroy(p port, d mach.Disposition) { p.Release(d) }

// drop gives up send rights that a call took and does not keep.
func drop(rights ...port) {
	for _, p := range rights {
		p.Release(mach.MoveSend)
	}
}

// task returns the task that the request's port lets the caller act on with a strength; nil if there is none.
func (c *call) task(p port, f object.Flavor) *object.Task { return c.m.TaskOf(c.by.Task(), p, f) }

// thread does the same for threads.
func (c *call) thread(p port, f object.Flavor) *object.Thread { return c.m.ThreadOf(c.by.Task(), p, f) }
