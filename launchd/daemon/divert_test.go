//go:build linux

package daemon

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"portcullis.dev/mach"
	"portcullis.dev/trap"
	"portcullis.dev/xpc"
	"portcullis.dev/xpc/attached"
)

const accompliceName = "com.example.accomplice"

// rawMessage is a message of a size as a program that knows Mach lays it out.
func rawMessage(size int, h mach.Header) []byte {
	b := make([]byte, size)
	h.Size = uint32(size)
	h.Encode(b)
	return b
}

func init() {
	// diverter takes the check-in and the first message of a client, as a program that knows Mach and means ill, and
	// passes the right to answer on to an accomplice, as HOW says.
	roles["diverter"] = func(ctx context.Context, say func(string, ...any)) error {
		p, err := attached.Join(ctx)
		if err != nil {
			return err
		}
		port, err := p.CheckIn(ctx, echoName)
		if err != nil {
			return err
		}
		there, err := p.LookUp(ctx, accompliceName)
		if err != nil {
			return err
		}
		th, err := p.Task().NewThread()
		if err != nil {
			return err
		}
		b := make([]byte, 4096)
		if kr := th.Msg2(&xpc.Call{Options: mach.RcvMsg, Receive: port, Buffer: b}); kr != 0 {
			return kr
		}
		var d mach.Descriptor
		d.Decode(b[mach.HeaderSize+mach.BodySize:])
		if kr := th.Msg2(&xpc.Call{Options: mach.RcvMsg, Receive: d.Name, Buffer: b}); kr != 0 {
			return kr
		}
		var h mach.Header
		h.Decode(b)
		how, err := strconv.Atoi(os.Getenv("HOW"))
		if err != nil {
			return err
		}
		m := rawMessage(40, mach.Header{Bits: mach.BitsComplex | mach.MakeBits(mach.CopySend, 0, 0), Remote: there})
		m[mach.HeaderSize] = 1
		d = mach.Descriptor{Type: mach.DescriptorPort, Name: h.Remote, Disposition: mach.Disposition(how)}
		d.Encode(m[mach.HeaderSize+mach.BodySize:])
		say("diverts the right to answer")
		kr := th.Msg2(&xpc.Call{Options: mach.SendMsg | mach.SendMQCall, Send: m})
		say("the kernel says %d", kr)
		return nil
	}
	// accomplice answers with whatever right it is sent, so that a client cannot tell.
	roles["accomplice"] = func(ctx context.Context, say func(string, ...any)) error {
		p, err := attached.Join(ctx)
		if err != nil {
			return err
		}
		port, err := p.CheckIn(ctx, accompliceName)
		if err != nil {
			return err
		}
		th, err := p.Task().NewThread()
		if err != nil {
			return err
		}
		b := make([]byte, 4096)
		for {
			if kr := th.Msg2(&xpc.Call{Options: mach.RcvMsg, Receive: port, Buffer: b}); kr != 0 {
				return kr
			}
			var d mach.Descriptor
			d.Decode(b[mach.HeaderSize+mach.BodySize:])
			say("has a right: %v", d.Disposition)
			m := rawMessage(mach.HeaderSize+20, mach.Header{Bits: mach.MakeBits(d.Disposition, 0, 0), Remote: d.Name, ID: 0x20000000})
			copy(m[mach.HeaderSize:], "CPX@\x05\x00\x00\x00\x00\xf0\x00\x00\x04\x00\x00\x00")
			th.Msg2(&xpc.Call{Options: mach.SendMsg | mach.SendMQCall, Send: m})
		}
	}
}

// TestRealReplyDiversion lets a service pass the right to answer its client on to another program. The client hears that
// there is no answer, and never one of that other program's.
func TestRealReplyDiversion(t *testing.T) {
	for _, how := range []mach.Disposition{mach.MoveSendOnce, mach.MoveSend, mach.CopySend, mach.MakeSend} {
		t.Run(how.String(), func(t *testing.T) {
			w := newWorld(t)
			w.job("echo", "diverter", echoService+fmt.Sprintf(`<key>EnvironmentVariables</key><dict><key>%s</key>
				<string>diverter</string><key>HOW</key><string>%d</string></dict>`, roleVariable, how))
			w.job("accomplice", "accomplice", "<key>MachServices</key><dict><key>"+accompliceName+"</key><true/></dict>")
			c := w.start("client")
			c.tell("hello")
			c.hears("interrupted")
			if b, _ := os.ReadFile(w.dir + "/echo.out"); !containsLine(b, "diverts the right to answer") {
				t.Errorf("the attack did not get far: %q", b)
			} else if containsLine(b, "the kernel says 0") {
				t.Errorf("the kernel let it pass: %q", b)
			}
			if b, _ := os.ReadFile(w.dir + "/accomplice.out"); len(b) > 0 {
				t.Errorf("the accomplice %s", b)
			}
		})
	}
}

func containsLine(b []byte, line string) bool {
	return slices.Contains(strings.Split(string(b), "\n"), line)
}

// lastPID is where Linux can be told which process id it gave out last.
const lastPID = "/proc/sys/kernel/ns_last_pid"

// TestRealReusedPID starts an impostor with the process id of a program that the service trusts, as soon as that has
// ended.
func TestRealReusedPID(t *testing.T) {
	if err := os.WriteFile(lastPID, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		t.Skip("process ids cannot be chosen: ", err)
	}
	w := newWorld(t)
	w.job("echo", "echo", strict("<key>STRICT</key><string>1</string>"))
	friend := w.start("client")
	friend.tell("hello")
	friend.hears("ok ")
	pid := friend.cmd.Process.Pid
	friend.cmd.Process.Kill()
	friend.cmd.Wait()
	path := w.copyProgram("impostor")
	for range 300 { // others take process ids, too
		os.WriteFile(lastPID, []byte(strconv.Itoa(pid-1)), 0o644)
		cmd := exec.Command(path)
		cmd.Env = append(os.Environ(), roleVariable+"=client", trap.Environment+"="+w.dir+"/kernel")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if cmd.Process.Pid != pid {
			cmd.Process.Signal(syscall.SIGKILL)
			cmd.Wait()
			continue
		}
		fmt.Fprintln(in, "hello")
		in.Close()
		var said string
		fmt.Fscanln(out, &said)
		cmd.Wait()
		if said != "interrupted" {
			t.Errorf("the impostor heard %q", said)
		}
		return
	}
	t.Skip("the process id could not be had")
}
