//go:build linux

// Command bench compares calls between two processes: XPC over the kernel of Portcullis, D-Bus (godbus, and sd-bus in C,
// with dbus-daemon between them) and gRPC over a Unix socket. All send a typed call with bytes and get them back. They take turns,
// so that whatever else the machine does hits them alike.
//
// It is a module of its own, because nothing else needs what it compares with. dbus-daemon, a C compiler
// and libsystemd-dev must be installed.
//
//	cd xpc/testdata/bench && go run .
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
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
	err = l.Serve(ctx, func(c *xpc.Connection) { c.Activate(mux) })
	if errors.Is(err, xpc.ErrInvalid) { // the kernel has ended, as it should
		return nil
	}
	return err
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
	// run makes n calls with so many bytes and returns how long each took, in microseconds.
	run func(size, n int) ([]float64, error)
}

// inGo times a call.
func inGo(name string, call func(b []byte) ([]byte, error)) system {
	return system{name, func(size, n int) ([]float64, error) {
		b := bytes.Repeat([]byte{7}, size)
		took := make([]float64, n)
		for i := range took {
			begun := time.Now()
			got, err := call(b)
			if err != nil || len(got) != size {
				return nil, fmt.Errorf("%s: %d bytes, %w", name, len(got), err)
			}
			took[i] = float64(time.Since(begun).Nanoseconds()) / 1e3
		}
		return took, nil
	}}
}

var busAddress = flag.String("bus", "", "address of the message bus; a dbus-daemon is started if empty")

func compare() error {
	rounds := flag.Int("rounds", 15, "how often all take turns")
	only := flag.String("only", "", "names of systems to compare, with commas between; all if empty")
	sizes := []int{0, 64, 1 << 10, 16 << 10, 64 << 10, 1 << 20}
	flag.Func("size", "the only `bytes` to send", func(s string) error {
		n, err := strconv.Atoi(s)
		sizes = []int{n}
		return err
	})
	profile := flag.String("profile", "", "file for a profile of this process")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	systems, stop, err := startAll(dir, func(name string) bool {
		return *only == "" || slices.Contains(strings.Split(*only, ","), name)
	})
	defer stop()
	if err != nil {
		return err
	}
	fmt.Printf("%-10s", "bytes")
	for _, s := range systems {
		fmt.Printf("%18s", s.name)
	}
	fmt.Println("   (microseconds a call: median of all calls; times that of XPC)")
	for _, size := range sizes {
		if err := one(systems, size, *rounds); err != nil {
			return err
		}
	}
	return nil
}

func one(systems []system, size, rounds int) error {
	n := max(20, min(500, 4<<20/(size+4096)))
	took := make([][]float64, len(systems))
	for r := range rounds + 1 {
		for i, s := range systems {
			n := n
			if s.name == slowest && size > 4<<10 {
				n = 3
			}
			all, err := s.run(size, n)
			if err != nil {
				return err
			}
			if r > 0 { // the first warms up
				took[i] = append(took[i], all...)
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
		fmt.Printf("%10.1f %6.1fx", m, m/first)
	}
	fmt.Println()
	return nil
}

// slowest is the system that gets less to do: it takes a second for a mebibyte.
const slowest = "godbus"

func startAll(dir string, wanted func(string) bool) (systems []system, stop func(), err error) {
	var cmds []*exec.Cmd
	stop = func() {
		for _, c := range slices.Backward(cmds) { // a bus ends after those that are on it
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
	systems = append(systems, inGo("XPC", func(b []byte) ([]byte, error) {
		r, err := xpc.Invoke[payload](context.Background(), c, "echo", payload{1, b})
		return r.Bytes, err
	}))
	if *busAddress == "" {
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
		*busAddress = strings.TrimSpace(address)
	}
	os.Setenv("DBUS_SESSION_BUS_ADDRESS", *busAddress)
	if err := start("dbus"); err != nil {
		return nil, stop, err
	}
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return nil, stop, err
	}
	object := conn.Object(dbusName, dbusPath)
	if wanted("godbus") {
		systems = append(systems, inGo("godbus", func(b []byte) (got []byte, err error) {
			var n int64
			err = object.Call(dbusName+".Echo", 0, int64(1), b).Store(&n, &got)
			return got, err
		}))
	}
	if wanted("sd-bus") {
		s, more, err := startSDBus(dir)
		cmds = append(cmds, more...)
		if err != nil {
			return nil, stop, err
		}
		systems = append(systems, s)
	}
	if !wanted("gRPC") {
		return systems, stop, nil
	}
	if err := start("grpc"); err != nil {
		return nil, stop, err
	}
	g, err := grpc.NewClient("unix:"+dir+"/grpc", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, stop, err
	}
	systems = append(systems, inGo("gRPC", func(b []byte) ([]byte, error) {
		out := new(wrapperspb.BytesValue)
		err := g.Invoke(context.Background(), "/bench.Echo/Echo", wrapperspb.Bytes(b), out)
		return out.Value, err
	}))
	return systems, stop, nil
}

//go:embed sdbus/sdbus.c
var sdbus string

// startSDBus compiles and starts both programs in C.
func startSDBus(dir string) (system, []*exec.Cmd, error) {
	source, program := dir+"/sdbus.c", dir+"/sdbus"
	if err := os.WriteFile(source, []byte(sdbus), 0o644); err != nil {
		return system{}, nil, err
	}
	if out, err := exec.Command("cc", "-O2", "-o", program, source, "-lsystemd").CombinedOutput(); err != nil {
		return system{}, nil, fmt.Errorf("sd-bus needs a C compiler and libsystemd-dev: %w\n%s", err, out)
	}
	var cmds []*exec.Cmd
	start := func(role string) (io.Writer, *bufio.Scanner, error) {
		cmd := exec.Command(program, role)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, nil, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, nil, err
		}
		cmds = append(cmds, cmd)
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "ready" {
			return nil, nil, fmt.Errorf("sd-bus: the %s does not start", role)
		}
		return in, lines, nil
	}
	if _, _, err := start("service"); err != nil {
		return system{}, cmds, err
	}
	in, lines, err := start("client")
	if err != nil {
		return system{}, cmds, err
	}
	return system{"sd-bus", func(size, n int) ([]float64, error) {
		fmt.Fprintf(in, "%d %d\n", size, n)
		took := make([]float64, n)
		for i := range took {
			if !lines.Scan() {
				return nil, fmt.Errorf("sd-bus: the client has ended")
			}
			if _, err := fmt.Sscan(lines.Text(), &took[i]); err != nil {
				return nil, err
			}
		}
		return took, nil
	}}, cmds, nil
}
