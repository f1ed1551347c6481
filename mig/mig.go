// Package mig is the interface compiler: it reads definitions of message interfaces and writes the code on both sides
// of them, in Go and in C.
//
// A message is bytes and rights. Written by hand, both sides must agree on every offset, and each must doubt what it
// receives; most holes in Mach servers were messages that nobody checked. So the interface is written once, in a small
// language, and a compiler writes the stubs: the client's functions, which look like any other function, and the
// server's, which check a request to the byte before they call the function that serves it.
//
// The language is that of Mach's own Interface Generator, in Apple's dialect or GNU's; messages are Apple's. The parts:
//
//	source   files, places in them, what is printed about them
//	cpp      the C preprocessor
//	syntax   words and statements
//	model    types, routines, the layout of messages
//	lint     routines that the restrictions of hardened processes forbid
//	gogen    Go: clients, servers
//	cgen     C: user stubs, server stubs, header
//	rpc      what generated Go code runs on
package mig

import (
	"path/filepath"

	"portcullis.dev/mig/cpp"
	"portcullis.dev/mig/model"
	"portcullis.dev/mig/source"
	"portcullis.dev/mig/syntax"
)

// Options say how a definition is read.
type Options struct {
	Dialect syntax.Dialect
	Include []string
	Define  []string
	Undef   []string
	Read    func(string) ([]byte, error) // nil: from the disk
	System  map[string][]byte            // what #include finds where no folder has the file, by the name it asks for
}

// predefined are the names that Apple's driver and compiler define: the layout is that of 64-bit little-endian systems.
// GNU MIG's driver clears them all.
var predefined = []string{"__MACH30__", "__APPLE__", "__LP64__", "__LITTLE_ENDIAN__", "__arm64__", "__aarch64__"}

// Compile reads the definition at path and gives it its meaning. The interface is nil where the file has no subsystem,
// and must not be used where the list has errors.
func Compile(path string, o Options) (*model.Interface, *source.List) {
	errs := new(source.List)
	defer errs.Sort()
	c := cpp.Config{Include: append([]string{filepath.Dir(path)}, o.Include...), Define: o.Define, Undef: o.Undef,
		Read: o.Read, System: o.System}
	if o.Dialect == syntax.Apple {
		c.Define = append(append([]string{}, predefined...), o.Define...)
	}
	tokens := cpp.Process(c, path, errs)
	stmts := syntax.Parse(tokens, o.Dialect, errs)
	if len(stmts) == 0 && errs.Errors() > 0 {
		return nil, errs
	}
	return model.Check(stmts, o.Dialect, path, errs), errs
}
