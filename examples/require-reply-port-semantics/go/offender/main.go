//go:build linux

// Offender is a service that makes sure, once it has checked in, that clients can find it. It waits a second for
// launchd's answer.
//
// The answer comes to an ordinary port, which kills from level 2 on: REQUIRE_REPLY_PORT_SEMANTICS.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"portcullis.dev/defs/bootstrap"
	"portcullis.dev/mach"
	"portcullis.dev/trap/task"
)

const name = "com.example.notes"

// lookUp asks launchd for a service; 0 if there is none.
func lookUp(ctx context.Context, th *task.Thread, launchd mach.Name, service string) (mach.Name, error) {
	answers, err := th.Allocate(mach.RightReceive)
	if err != nil {
		return 0, err
	}
	defer th.ModRefs(answers, mach.RightReceive, -1)
	body := make([]byte, 8+128+4+16+8) // NDR record, name, process, instance, flags
	body[4] = 1                        // little endian
	copy(body[8:8+127], service)
	reply, err := th.Msg(ctx, &task.Message{
		ID: bootstrap.IDLookUp2, Dest: launchd, DestDisposition: mach.CopySend, Reply: answers,
		ReplyDisposition: mach.MakeSendOnce, Body: body,
	}, task.Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendMQCall, Receive: answers})
	if err != nil || len(reply.Items) == 0 {
		return 0, err
	}
	return reply.Items[0].Port, nil
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	t, err := task.Join(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	th, err := t.NewThread()
	if err != nil {
		return err
	}
	launchd, err := th.BootstrapPort()
	if err != nil {
		return err
	}
	mine, _, kr := bootstrap.CheckIn2(th.Peer(), launchd, name, 0)
	if kr != 0 {
		return fmt.Errorf("checking in: %w", kr)
	}
	found, err := lookUp(ctx, th, launchd, name)
	if err != nil {
		return err
	}
	if found != mine {
		return fmt.Errorf("clients of %s go elsewhere", name)
	}
	fmt.Printf("clients of %s come here\n", name)
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
