//go:build linux

package linux

import "portcullis.dev/kernel/object"

func (p *Process) deliver(s *Stopped)             { s.Default() }
func (p *Process) registers(tid int) object.State { return nil }

type Fault struct{}
