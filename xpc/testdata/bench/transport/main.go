//go:build linux

// Command transport compares round trips of small messages between two processes: two C programs that speak through the
// kernel of Portcullis, two that wake each other with futexes over shared memory, with and without looking before they
// sleep (the floor: nobody stands between them), two that speak through a third over Unix sockets, sd-bus through
// dbus-daemon, and gRPC in Go over a Unix socket. Then it compares memory out of line with memcpy. All take turns. The
// programs are in kernel/linux/testdata/peers and beside this one; a C compiler, dbus-daemon and libsystemd-dev must be
// installed.
//
//	cd xpc/testdata/bench && go run ./transport
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	log.SetFlags(0)
	if dir := os.Getenv("TRANSPORT_SERVER"); dir != "" {
		log.Fatal(serve(dir))
	}
	if err := compare(); err != nil {
		log.Fatal(err)
	}
}

// system makes round trips and returns how long each took, in nanoseconds.
type system struct {
	name string
	run  func(n int) ([]float64, error)
	took []float64
}

func compare() error {
	turns := flag.Int("turns", 20, "how often all take turns")
	memory := flag.Bool("memory", false, "compare memory out of line alone")
	flag.Parse()
	dir, err := os.MkdirTemp("", "transport")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	peers := filepath.Join("..", "..", "..", "kernel", "linux", "testdata", "peers")
	portcullis := filepath.Join(dir, "portcullis")
	for _, argv := range [][]string{
		{"go", "build", "-C", filepath.Join("..", "..", ".."), "-o", portcullis, "./cmd/portcullis"},
		{"cc", "-O2", "-o", dir + "/futex", peers + "/futex.c"},
		{"cc", "-O2", "-o", dir + "/relay", peers + "/relay.c"},
		{"cc", "-O2", "-o", dir + "/sdbus", "sdbus/sdbus.c", "-lsystemd"},
		{portcullis, "cc", "-O2", "-o", dir + "/mach", peers + "/mach.c"},
	} {
		cmd := exec.Command(argv[0], argv[1:]...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
		}
	}
	if *memory {
		return compareMemory(portcullis, dir+"/mach", *turns)
	}
	bus, stop, err := startBus(dir)
	defer stop()
	if err != nil {
		return err
	}
	rpc, end, err := startGRPC(dir)
	defer end()
	if err != nil {
		return err
	}
	program := func(argv ...string) func(int) ([]float64, error) {
		return func(n int) ([]float64, error) {
			rows, err := numbers(append(argv, fmt.Sprint(n))...)
			return column(rows, 0), err
		}
	}
	systems := []*system{
		{name: "portcullis", run: program(portcullis, "run", dir+"/mach")},
		{name: "futex", run: program(dir + "/futex")},
		{name: "futex, looking", run: func(n int) ([]float64, error) {
			rows, err := numbers(dir+"/futex", fmt.Sprint(n), "look")
			return column(rows, 0), err
		}},
		{name: "relay", run: program(dir + "/relay")},
		{name: "sd-bus", run: bus},
		{name: "gRPC", run: rpc},
	}
	const batch = 5000 // enough for all to settle
	for range *turns {
		for _, s := range systems {
			took, err := s.run(batch)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.took = append(s.took, took...)
		}
	}
	fmt.Printf("%-14s %10s %10s %10s   p50 against portcullis\n", "ns", "p50", "p99", "p99.9")
	for _, s := range systems {
		fmt.Printf("%-14s %10.0f %10.0f %10.0f   %.2f\n", s.name, quantile(s.took, 0.5), quantile(s.took, 0.99),
			quantile(s.took, 0.999), quantile(s.took, 0.5)/quantile(systems[0].took, 0.5))
	}
	fmt.Println()
	return compareMemory(portcullis, dir+"/mach", *turns)
}

// compareMemory sends memory of several sizes out of line, to who reads its ends and to who reads every page of it.
func compareMemory(portcullis, mach string, turns int) error {
	fmt.Printf("%-12s %12s %14s %12s %12s\n", "out of line", "transfer", "and all read", "memcpy",
		"memcpy into fresh memory (p50, us)")
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20, 16 << 20} {
		var rows, read [][]float64
		for range max(2, turns/4) {
			more, err := numbers(portcullis, "run", mach, "30", fmt.Sprint(size))
			if err != nil {
				return err
			}
			rows = append(rows, more...)
			if more, err = numbers(portcullis, "run", mach, "30", fmt.Sprint(size), "read"); err != nil {
				return err
			}
			read = append(read, more...)
		}
		both := append(slices.Clone(rows), read...)
		fmt.Printf("%-12d %12.1f %14.1f %12.1f %12.1f\n", size, quantile(column(rows, 0), 0.5)/1e3,
			quantile(column(read, 0), 0.5)/1e3, quantile(column(both, 1), 0.5)/1e3, quantile(column(both, 2), 0.5)/1e3)
	}
	return nil
}

func quantile(all []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(all))
	if len(s) == 0 {
		return 0
	}
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

func column(rows [][]float64, n int) []float64 {
	var out []float64
	for _, r := range rows {
		if n < len(r) {
			out = append(out, r[n])
		}
	}
	return out
}

// numbers runs a program that prints lines of numbers.
func numbers(argv ...string) ([][]float64, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	var rows [][]float64
	for line := range strings.Lines(string(out)) {
		var row []float64
		for _, f := range strings.Fields(line) {
			var v float64
			if _, err := fmt.Sscan(f, &v); err != nil {
				return nil, err
			}
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// startBus starts dbus-daemon, and the service and the client of sdbus.c.
func startBus(dir string) (run func(int) ([]float64, error), stop func(), err error) {
	var cmds []*exec.Cmd
	stop = func() {
		for _, c := range cmds {
			c.Process.Kill()
			c.Wait()
		}
	}
	begin := func(argv ...string) (*exec.Cmd, *bufio.Reader, error) {
		c := exec.Command(argv[0], argv[1:]...)
		out, err := c.StdoutPipe()
		return c, bufio.NewReader(out), err
	}
	launch := func(c *exec.Cmd, out *bufio.Reader) (string, error) {
		if err := c.Start(); err != nil {
			return "", err
		}
		cmds = append(cmds, c)
		line, err := out.ReadString('\n')
		return strings.TrimSpace(line), err
	}
	daemon, out, err := begin("dbus-daemon", "--session", "--nofork", "--print-address")
	if err != nil {
		return nil, stop, err
	}
	address, err := launch(daemon, out)
	if err != nil {
		return nil, stop, err
	}
	os.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	service, out, err := begin(dir+"/sdbus", "service")
	if err != nil {
		return nil, stop, err
	}
	if _, err := launch(service, out); err != nil {
		return nil, stop, err
	}
	client, out, err := begin(dir+"/sdbus", "client")
	if err != nil {
		return nil, stop, err
	}
	in, err := client.StdinPipe()
	if err != nil {
		return nil, stop, err
	}
	if _, err := launch(client, out); err != nil {
		return nil, stop, err
	}
	return func(n int) ([]float64, error) {
		fmt.Fprintf(in, "48 %d\n", n)
		took := make([]float64, n)
		for i := range took {
			if _, err := fmt.Fscanln(out, &took[i]); err != nil {
				return nil, err
			}
			took[i] *= 1e3
		}
		return took, nil
	}, stop, nil
}

var echo = grpc.ServiceDesc{ServiceName: "bench.Echo", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
	MethodName: "Echo",
	Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.BytesValue)
		return in, dec(in)
	}}}}

func serve(dir string) error {
	l, err := net.Listen("unix", dir+"/grpc")
	if err != nil {
		return err
	}
	s := grpc.NewServer()
	s.RegisterService(&echo, nil)
	return s.Serve(l)
}

// startGRPC starts this program again as a server.
func startGRPC(dir string) (run func(int) ([]float64, error), stop func(), err error) {
	server := exec.Command("/proc/self/exe")
	server.Env = append(os.Environ(), "TRANSPORT_SERVER="+dir)
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return nil, func() {}, err
	}
	stop = func() { server.Process.Kill(); server.Wait() }
	c, err := grpc.NewClient("unix:"+dir+"/grpc", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, stop, err
	}
	ask := wrapperspb.Bytes(bytes.Repeat([]byte{7}, 48))
	return func(n int) ([]float64, error) {
		took := make([]float64, n)
		for i := range took {
			begun := time.Now()
			if err := c.Invoke(context.Background(), "/bench.Echo/Echo", ask, new(wrapperspb.BytesValue),
				grpc.WaitForReady(true)); err != nil {
				return nil, err
			}
			took[i] = float64(time.Since(begun).Nanoseconds())
		}
		return took, nil
	}, stop, nil
}
