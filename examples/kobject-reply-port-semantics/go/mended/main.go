//go:build linux

// Mended finds a leak of port rights by asking the kernel, before and after, how many references a name has. It calls the
// compiled interface, which receives the answer on the thread's reply port.
package main

import (
	"context"
	"fmt"
	"log"

	"portcullis.dev/defs/machport"
	"portcullis.dev/mach"
	"portcullis.dev/trap/task"
)

// sendRights returns how many send rights a name has.
func sendRights(th *task.Thread, name mach.Name) (uint32, error) {
	self, err := th.Self()
	if err != nil {
		return 0, err
	}
	n, kr := machport.MachPortGetRefs(th.Kernel(), self, name, uint32(mach.RightSend))
	if kr != 0 {
		return 0, kr
	}
	return n, nil
}

// leaky forgets to deallocate what it was given.
func leaky(th *task.Thread, port mach.Name) error { return th.ModRefs(port, mach.RightSend, 3) }

func run() error {
	t, err := task.Join(context.Background())
	if err != nil {
		return err
	}
	defer t.Close()
	th, err := t.NewThread()
	if err != nil {
		return err
	}
	port, err := th.Construct(mach.InsertSendRight, 0)
	if err != nil {
		return err
	}
	before, err := sendRights(th, port)
	if err != nil {
		return err
	}
	if err := leaky(th, port); err != nil {
		return err
	}
	after, err := sendRights(th, port)
	if err != nil {
		return err
	}
	fmt.Printf("leaky() leaks %d send rights\n", after-before)
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
