//go:build linux

// Offender wants to hear of changes in three places: it makes a port for each, and sends them to a service, which sends a
// message to each. The service is a goroutine of this program with a Mach thread of its own.
//
// The three rights go in one out-of-line array, which kills from level 2 on: OOL_PORT_ARRAY.
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

const name = "com.example.changes"

// serve receives one subscription and tells its observers that everything has changed.
func serve(ctx context.Context, th *task.Thread, service mach.Name) error {
	m, err := th.Msg(ctx, nil, task.Args{Options: mach.RcvMsg, Receive: service})
	if err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	if len(m.Items) != 1 {
		return fmt.Errorf("%d descriptors", len(m.Items))
	}
	for place, observer := range m.Items[0].Ports {
		_, err := th.Msg(ctx, &task.Message{ID: int32(place), Dest: observer, DestDisposition: mach.MoveSend},
			task.Args{Options: mach.SendMsg | mach.SendMQCall})
		if err != nil {
			return fmt.Errorf("telling an observer: %w", err)
		}
	}
	return nil
}

// subscribe sends the service rights to be told by.
func subscribe(ctx context.Context, th *task.Thread, service mach.Name, observers []mach.Name) error {
	m := &task.Message{Dest: service, DestDisposition: mach.CopySend, Complex: true}
	m.AddPorts(observers, mach.MakeSend, false)
	_, err := th.Msg(ctx, m, task.Args{Options: mach.SendMsg | mach.SendMQCall})
	return err
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	t, err := task.Join(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	server, err := t.NewThread()
	if err != nil {
		return err
	}
	client, err := t.NewThread()
	if err != nil {
		return err
	}
	launchd, err := server.BootstrapPort()
	if err != nil {
		return err
	}
	receive, _, kr := bootstrap.CheckIn2(server.Peer(), launchd, name, 0)
	if kr != 0 {
		return fmt.Errorf("checking in: %w", kr)
	}
	served := make(chan error, 1)
	go func() { served <- serve(ctx, server, receive) }()

	service, _, kr := bootstrap.LookUp2(client.Peer(), launchd, name, 0, [16]byte{}, 0)
	if kr != 0 {
		return fmt.Errorf("looking up: %w", kr)
	}
	var observers []mach.Name
	for range 3 {
		port, err := client.Allocate(mach.RightReceive)
		if err != nil {
			return err
		}
		observers = append(observers, port)
	}
	if err := subscribe(ctx, client, service, observers); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	for _, port := range observers {
		m, err := client.Msg(ctx, nil, task.Args{Options: mach.RcvMsg, Receive: port})
		if err != nil {
			return fmt.Errorf("hearing: %w", err)
		}
		fmt.Printf("place %d has changed\n", m.ID)
	}
	return <-served
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
