package xpc

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"

	"portcullis.dev/mach"
)

// Errors that calls return and handlers get. Compare with errors.Is.
var (
	// ErrInterrupted says that the peer went away, or dropped a request without an answer. A connection to a named
	// service goes on: the next message finds the service anew, which knows nothing of what was before.
	ErrInterrupted = errors.New("xpc: connection interrupted")
	// ErrInvalid says that the connection is over: cancelled, or its peer is gone and cannot be found again.
	ErrInvalid = errors.New("xpc: connection invalid")
	// ErrPeer says that the peer does not meet the requirement. The connection is over.
	ErrPeer = errors.New("xpc: the peer does not meet the requirement")
	// ErrUnknownService says that nobody offers the name.
	ErrUnknownService = errors.New("xpc: unknown service name")
)

// Peer is who is at the other end, as the kernel says.
type Peer struct {
	Token mach.AuditToken
	p     *Process
	once  *sync.Once
	id    **Identity
	err   *error
}

func (p *Process) peer(t mach.AuditToken) Peer {
	return Peer{Token: t, p: p, once: new(sync.Once), id: new(*Identity), err: new(error)}
}

// UID returns the effective user id.
func (p Peer) UID() uint32 { return p.Token[1] }

// GID returns the effective group id.
func (p Peer) GID() uint32 { return p.Token[2] }

// PID returns the process id, which says who it is only together with Version.
func (p Peer) PID() int32 { return p.Token.PID() }

// Session returns the audit session id.
func (p Peer) Session() uint32 { return p.Token[6] }

// Version tells processes apart that had the same id one after the other, or that became another program.
func (p Peer) Version() uint32 { return p.Token[7] }

// Identity returns what is known of the process beyond its token.
func (p Peer) Identity() (*Identity, error) {
	if p.p == nil {
		return nil, fmt.Errorf("xpc: there is no peer yet")
	}
	p.once.Do(func() {
		if t, ok := p.p.task.(Identifier); ok {
			*p.id, *p.err = t.Identify(p.Token)
		} else {
			*p.err = fmt.Errorf("xpc: nothing more is known of peers here")
		}
	})
	return *p.id, *p.err
}

// sameProcess says that two tokens are of one process that runs one program.
func sameProcess(a, b mach.AuditToken) bool { return a == b }

// Requirement is what a peer must be.
type Requirement interface {
	// Check returns nil, or an error that says in what the peer falls short.
	Check(Peer) error
}

// RequirementFunc is a Requirement of one's own.
type RequirementFunc func(Peer) error

// Check implements Requirement.
func (f RequirementFunc) Check(p Peer) error { return f(p) }

// RequireUID wants a peer with one of these effective user ids.
func RequireUID(ids ...uint32) Requirement {
	return RequirementFunc(func(p Peer) error {
		for _, id := range ids {
			if p.UID() == id {
				return nil
			}
		}
		return fmt.Errorf("its user is %d", p.UID())
	})
}

// RequireExecutable wants a peer that runs one of these files, given by their absolute paths. Links are resolved now,
// so that changing them later helps nobody.
func RequireExecutable(paths ...string) Requirement {
	want := make([]string, len(paths))
	for i, p := range paths {
		want[i] = p
		if r, err := filepath.EvalSymlinks(p); err == nil {
			want[i] = r
		}
	}
	return RequirementFunc(func(p Peer) error {
		id, err := p.Identity()
		if err != nil {
			return err
		}
		for _, w := range want {
			if id.Executable == w && filepath.IsAbs(w) {
				return nil
			}
		}
		return fmt.Errorf("its program is %q", id.Executable)
	})
}

// RequireEntitlement wants a peer that has an entitlement which is neither false nor empty.
func RequireEntitlement(key string) Requirement {
	return entitlement(key, func(v any) bool {
		switch v := v.(type) {
		case bool:
			return v
		case string:
			return v != ""
		case []any:
			return len(v) > 0
		}
		return true
	})
}

// RequireEntitlementValue wants a peer whose entitlement is value, or a list that contains it.
func RequireEntitlementValue(key string, value any) Requirement {
	return entitlement(key, func(v any) bool {
		if list, ok := v.([]any); ok {
			for _, e := range list {
				if reflect.DeepEqual(e, value) {
					return true
				}
			}
		}
		return reflect.DeepEqual(v, value)
	})
}

func entitlement(key string, ok func(any) bool) Requirement {
	return RequirementFunc(func(p Peer) error {
		id, err := p.Identity()
		if err != nil {
			return err
		}
		v, has := id.Entitlements[key]
		switch {
		case !has:
			return fmt.Errorf("it lacks the entitlement %s", key)
		case !ok(v):
			return fmt.Errorf("its entitlement %s is %v", key, v)
		}
		return nil
	})
}

// RequireAll wants a peer that meets all requirements.
func RequireAll(all ...Requirement) Requirement {
	return RequirementFunc(func(p Peer) error {
		for _, r := range all {
			if err := r.Check(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// RequireAny wants a peer that meets one requirement at least.
func RequireAny(some ...Requirement) Requirement {
	return RequirementFunc(func(p Peer) error {
		var why []string
		for _, r := range some {
			err := r.Check(p)
			if err == nil {
				return nil
			}
			why = append(why, err.Error())
		}
		return errors.New(strings.Join(why, ", and "))
	})
}

// check returns an error that is ErrPeer if the peer falls short.
func check(r Requirement, p Peer) error {
	if r == nil {
		return nil
	}
	if err := r.Check(p); err != nil {
		return fmt.Errorf("%w: %w", ErrPeer, err)
	}
	return nil
}
