//go:build linux

// Offender finds a leak of port rights by asking the kernel, before and after, how many references a name has. It asks
// with a message and a port of its own.
//
// The kernel's answer comes to an ordinary port, which kills from level 1 on: KOBJECT_REPLY_PORT_SEMANTICS.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"

	"portcullis.dev/mach"
	"portcullis.dev/trap/task"
)

const getRefs = 3207 // message of the task port: mach_port_get_refs

// sendRights returns how many send rights a name has.
func sendRights(th *task.Thread, name, answers mach.Name) (uint32, error) {
	self, err := th.Self()
	if err != nil {
		return 0, err
	}
	body := []byte{0, 0, 0, 0, 1, 0, 0, 0} // NDR record
	body = binary.LittleEndian.AppendUint32(body, uint32(name))
	body = binary.LittleEndian.AppendUint32(body, uint32(mach.RightSend))
	reply, err := th.Msg(context.Background(), &task.Message{
		ID: getRefs, Dest: self, DestDisposition: mach.CopySend, Reply: answers, ReplyDisposition: mach.MakeSendOnce,
		Body: body,
	}, task.Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendKobjectCall, Receive: answers})
	if err != nil {
		return 0, err
	}
	if len(reply.Body) < 16 {
		return 0, fmt.Errorf("an answer of %d bytes", len(reply.Body))
	}
	if kr := mach.KernReturn(binary.LittleEndian.Uint32(reply.Body[8:])); kr != 0 {
		return 0, kr
	}
	return binary.LittleEndian.Uint32(reply.Body[12:]), nil
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
	answers, err := th.Allocate(mach.RightReceive)
	if err != nil {
		return err
	}
	before, err := sendRights(th, port, answers)
	if err != nil {
		return err
	}
	if err := leaky(th, port); err != nil {
		return err
	}
	after, err := sendRights(th, port, answers)
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
