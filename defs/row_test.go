package defs_test

import (
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// row is a generated package: its adapter for servers, its server, its client functions by routine.
type row struct {
	funcs   func() any
	serve   func(s any, req *rpc.Message[mach.Name]) (*rpc.Message[mach.Name], mach.KernReturn)
	clients map[string]any
}
