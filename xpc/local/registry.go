package local

import (
	"fmt"
	"sync"

	"portcullis.dev/mach"
	"portcullis.dev/xpc"
)

// Registry knows which program runs in the processes of a machine. Whoever starts processes tells it.
type Registry struct {
	mu  sync.Mutex
	all map[mach.AuditToken]*xpc.Identity
}

// Set says what is known of the process of a token.
func (r *Registry) Set(t mach.AuditToken, id *xpc.Identity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = make(map[mach.AuditToken]*xpc.Identity)
	}
	r.all[t] = id
}

// Remove says that the process of a token is gone.
func (r *Registry) Remove(t mach.AuditToken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, t)
}

// Identify implements xpc.Identifier.
func (r *Registry) Identify(t mach.AuditToken) (*xpc.Identity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id := r.all[t]; id != nil {
		return id, nil
	}
	return nil, fmt.Errorf("there is no process %d of version %d", t.PID(), t[7])
}
