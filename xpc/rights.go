package xpc

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"portcullis.dev/mach"
)

// right is a right of the task that lives as long as the value that has it, or until it is closed or sent away.
type right struct {
	p    *Process
	name mach.Name
	kind mach.Right
	gone atomic.Bool
}

func (r *right) release() {
	if r == nil || r.gone.Swap(true) {
		return
	}
	r.p.calls(func(th Thread) {
		if r.kind == mach.RightReceive {
			th.ModRefs(r.name, mach.RightReceive, -1)
		} else {
			th.Deallocate(r.name)
		}
	})
}

// spend says that the right has been sent away; false if it had gone before.
func (r *right) spend() bool { return !r.gone.Swap(true) }

// hold ties a right to the value that has it.
func hold[T any](v *T, r *right) *T {
	runtime.AddCleanup(v, (*right).release, r)
	return v
}

// SendRight is a bare send right in a message. Sending it copies it.
type SendRight struct{ r *right }

// ReceiveRight is a bare receive right in a message. Sending it moves it away.
type ReceiveRight struct{ r *right }

// SendOnce is a bare send-once right in a message. Sending it moves it away.
type SendOnce struct{ r *right }

// SendRight makes a value of a send right of the task, which the value takes over.
func (p *Process) SendRight(name mach.Name) *SendRight {
	r := &right{p: p, name: name, kind: mach.RightSend}
	return hold(&SendRight{r}, r)
}

// ReceiveRight makes a value of a receive right of the task, which the value takes over.
func (p *Process) ReceiveRight(name mach.Name) *ReceiveRight {
	r := &right{p: p, name: name, kind: mach.RightReceive}
	return hold(&ReceiveRight{r}, r)
}

// SendOnce makes a value of a send-once right of the task, which the value takes over.
func (p *Process) SendOnce(name mach.Name) *SendOnce {
	r := &right{p: p, name: name, kind: mach.RightSendOnce}
	return hold(&SendOnce{r}, r)
}

// Name returns the task's name of the right.
func (s *SendRight) Name() mach.Name { return s.r.name }

// Name returns the task's name of the right.
func (s *ReceiveRight) Name() mach.Name { return s.r.name }

// Name returns the task's name of the right.
func (s *SendOnce) Name() mach.Name { return s.r.name }

// Take makes the right the caller's, who then gives it up.
func (s *SendRight) Take() mach.Name { return s.r.take() }

// Take makes the right the caller's, who then gives it up.
func (s *ReceiveRight) Take() mach.Name { return s.r.take() }

// Take makes the right the caller's, who then gives it up.
func (s *SendOnce) Take() mach.Name { return s.r.take() }

func (r *right) take() mach.Name {
	if !r.spend() {
		return mach.NullName
	}
	return r.name
}

// Close gives the right up.
func (s *SendRight) Close() { s.r.release() }

// Close gives the right up.
func (s *ReceiveRight) Close() { s.r.release() }

// Close gives the right up.
func (s *SendOnce) Close() { s.r.release() }

// Endpoint is the way to a listener: whoever has one can connect.
type Endpoint struct{ r *right }

func (p *Process) endpoint(name mach.Name) *Endpoint {
	r := &right{p: p, name: name, kind: mach.RightSend}
	return hold(&Endpoint{r}, r)
}

// Close gives the endpoint up. Connections made through it go on.
func (e *Endpoint) Close() { e.r.release() }

// SharedMemory is memory that several processes have in common.
type SharedMemory struct {
	r   *right
	mem []byte
}

// NewSharedMemory makes memory to share, of size bytes rounded up to whole pages.
func (p *Process) NewSharedMemory(size int) (*SharedMemory, error) {
	t, ok := p.task.(Regions)
	if !ok {
		return nil, fmt.Errorf("xpc: memory cannot be shared from here")
	}
	mem, name, err := t.NewRegion(size)
	if err != nil {
		return nil, err
	}
	return p.shared(mem, name), nil
}

func (p *Process) shared(mem []byte, name mach.Name) *SharedMemory {
	r := &right{p: p, name: name, kind: mach.RightSend}
	return hold(&SharedMemory{r, mem}, r)
}

// Bytes returns the memory. It must not be used after Close.
func (m *SharedMemory) Bytes() []byte { return m.mem }

// Len returns its size in bytes.
func (m *SharedMemory) Len() int { return len(m.mem) }

// Close ends the use of the memory here. Memory that is not closed stays until the process ends.
func (m *SharedMemory) Close() error {
	m.r.release()
	mem := m.mem
	if m.mem = nil; mem == nil {
		return nil
	}
	return m.r.p.task.(Regions).UnmapRegion(mem)
}
