//go:build linux

// Command bench compares calls between two processes: XPC over the kernel of Portcullis, D-Bus (godbus, with dbus-daemon
// between them) and gRPC over a Unix socket. All three send a typed call with bytes and get them back. They take turns,
// so that whatever else the machine does hits them alike.
//
// It is a module of its own, because nothing else needs what it compares with. dbus-daemon must be installed.
//
//	cd xpc/testdata/bench && go run .
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"portcullis.dev/launchd"
	"portcullis.dev/launchd/daemon"
	"portcullis.dev/xpc"
	"portcullis.dev/xpc/attached"
)

const (
	roleVariable = "BENCH_ROLE"
	xpcName      = "dev.portcullis.bench"
	dbusName     = "dev.portcullis.Bench"
	dbusPath     = "/dev/portcullis/Bench"
)

type payload struct {
	Number int64
	Bytes  []byte
}

func main() {
	daemon.Exec()
	dir := os.Getenv("BENCH_DIR")
	switch os.Getenv(roleVariable) {
	case "kernel":
		check(serveKernel(dir))
	case "xpc":
		check(serveXPC())
	case "dbus":
		check(serveDBus())
	case "grpc":
		check(serveGRPC(dir))
	default:
		check(compare())
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func serveKernel(dir string) error {
	d, err := daemon.New(daemon.Config{Socket: dir + "/kernel", Domain: launchd.SystemDomain, Jobs: []string{dir + "/job.plist"},
		Log:     func(s string) { fmt.Fprintln(os.Stderr, s) },
		Started: func() { fmt.Println("ready") }})
	if err != nil {
		return err
	}
	return d.Run(context.Background())
}

func serveXPC() error {
	ctx := context.Background()
	p, err := attached.Join(ctx)
	if err != nil {
		return err
	}
	l, err := p.Listen(ctx, xpcName)
	if err != nil {
		return err
	}
	mux := &xpc.Mux{}
	xpc.Handle(mux, "echo", func(_ context.Context, r payload) (payload, error) { return r, nil })
	return l.Serve(ctx, func(c *xpc.Connection) { c.Activate(mux) })
}

type dbusService struct{}

func (dbusService) Echo(n int64, b []byte) (int64, []byte, *dbus.Error) { return n, b, nil }

func serveDBus() error {
	c, err := dbus.ConnectSessionBus()
	if err != nil {
		return err
	}
	if err := c.Export(dbusService{}, dbusPath, dbusName); err != nil {
		return err
	}
	if _, err := c.RequestName(dbusName, dbus.NameFlagDoNotQueue); err != nil {
		return err
	}
	fmt.Println("ready")
	select {}
}

// grpcEcho is a service with one method, as protoc would describe it.
var grpcEcho = grpc.ServiceDesc{ServiceName: "bench.Echo", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
	MethodName: "Echo",
	Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.BytesValue)
		return in, dec(in)
	}}}}

func serveGRPC(dir string) error {
	l, err := net.Listen("unix", dir+"/grpc")
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	s.RegisterService(&grpcEcho, nil)
	fmt.Println("ready")
	return s.Serve(l)
}

// child starts this program in a role and waits until it is ready.
func child(role, dir string, env ...string) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), roleVariable+"="+role, "BENCH_DIR="+dir), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready") {
		return nil, fmt.Errorf("%s does not start: %v", role, err)
	}
	return cmd, nil
}

// system is one of those compared: a call that sends bytes and gets them back.
type system struct {
	name string
	call func(b []byte) ([]byte, error)
}

func compare() error {
	rounds := flag.Int("rounds", 15, "how often all take turns")
	flag.Parse()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	systems, stop, err := startAll(dir)
	defer stop()
	if err != nil {
		return err
	}
	fmt.Printf("%-10s", "bytes")
	for _, s := range systems {
		fmt.Printf("%16s", s.name)
	}
	fmt.Println("   (microseconds a call: median of the rounds; times that of XPC)")
	for _, size := range []int{0, 64, 1 << 10, 16 << 10, 64 << 10, 1 << 20} {
		if err := one(systems, size, *rounds); err != nil {
			return err
		}
	}
	return nil
}

func one(systems []system, size, rounds int) error {
	b := bytes.Repeat([]byte{7}, size)
	n := max(20, min(500, 4<<20/(size+4096)))
	took := make([][]float64, len(systems))
	for r := range rounds + 1 {
		for i, s := range systems {
			begun := time.Now()
			for range n {
				got, err := s.call(b)
				if err != nil || len(got) != size {
					return fmt.Errorf("%s: %d bytes, %v", s.name, len(got), err)
				}
			}
			if r > 0 { // the first warms up
				took[i] = append(took[i], float64(time.Since(begun).Microseconds())/float64(n))
			}
		}
	}
	fmt.Printf("%-10d", size)
	first := 0.0
	for i := range systems {
		slices.Sort(took[i])
		m := took[i][len(took[i])/2]
		if i == 0 {
			first = m
		}
		fmt.Printf("%9.1f %5.1fx", m, m/first)
	}
	fmt.Println()
	return nil
}

func startAll(dir string) (systems []system, stop func(), err error) {
	var cmds []*exec.Cmd
	stop = func() {
		for _, c := range cmds {
			c.Process.Signal(os.Interrupt)
			time.AfterFunc(3*time.Second, func() { c.Process.Kill() })
			c.Wait()
		}
	}
	start := func(role string, env ...string) error {
		c, err := child(role, dir, env...)
		if err == nil {
			cmds = append(cmds, c)
		}
		return err
	}
	self, err := filepath.EvalSymlinks("/proc/self/exe")
	if err != nil {
		return nil, stop, err
	}
	job := `<plist version="1.0"><dict><key>Label</key><string>bench</string><key>Program</key><string>` + self + `</string>
		<key>EnvironmentVariables</key><dict><key>` + roleVariable + `</key><string>xpc</string></dict>
		<key>StandardErrorPath</key><string>/dev/stderr</string>
		<key>MachServices</key><dict><key>` + xpcName + `</key><true/></dict></dict></plist>`
	if err := os.WriteFile(dir+"/job.plist", []byte(job), 0o644); err != nil {
		return nil, stop, err
	}
	if err := start("kernel"); err != nil {
		return nil, stop, err
	}
	os.Setenv("PORTCULLIS_KERNEL", dir+"/kernel")
	p, err := attached.Join(context.Background())
	if err != nil {
		return nil, stop, err
	}
	c := p.Connect(xpcName)
	c.Activate(nil)
	systems = append(systems, system{"XPC", func(b []byte) ([]byte, error) {
		r, err := xpc.Invoke[payload](context.Background(), c, "echo", payload{1, b})
		return r.Bytes, err
	}})
	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address")
	out, err := bus.StdoutPipe()
	if err != nil {
		return nil, stop, err
	}
	if err := bus.Start(); err != nil {
		return nil, stop, fmt.Errorf("dbus-daemon: %w", err)
	}
	cmds = append(cmds, bus)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, stop, err
	}
	go io.Copy(io.Discard, out)
	os.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
	if err := start("dbus"); err != nil {
		return nil, stop, err
	}
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return nil, stop, err
	}
	object := conn.Object(dbusName, dbusPath)
	systems = append(systems, system{"D-Bus", func(b []byte) (got []byte, err error) {
		var n int64
		err = object.Call(dbusName+".Echo", 0, int64(1), b).Store(&n, &got)
		return got, err
	}})
	if err := start("grpc"); err != nil {
		return nil, stop, err
	}
	g, err := grpc.NewClient("unix:"+dir+"/grpc", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, stop, err
	}
	systems = append(systems, system{"gRPC", func(b []byte) ([]byte, error) {
		out := new(wrapperspb.BytesValue)
		err := g.Invoke(context.Background(), "/bench.Echo/Echo", wrapperspb.Bytes(b), out)
		return out.Value, err
	}})
	return systems, stop, nil
}
