//go:build linux

package daemon

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"portcullis.dev/xpc"
	"portcullis.dev/xpc/attached"
)

func init() {
	// things-service reads the file that it gets, writes to the memory that it gets, and gives both back, and an array of
	// files; and says how many files it has open.
	roles["things-service"] = func(ctx context.Context, say func(string, ...any)) error {
		p, err := attached.Join(ctx)
		if err != nil {
			return err
		}
		l, err := p.Listen(ctx, echoName)
		if err != nil {
			return err
		}
		return l.Serve(ctx, func(c *xpc.Connection) {
			c.Activate(xpc.HandlerFuncs{Message: func(m *xpc.Message) {
				f, _ := m.Get("file").(*xpc.FD)
				shared, _ := m.Get("memory").(*xpc.SharedMemory)
				if f == nil || shared == nil {
					m.Reply(dict("error", xpc.String(fmt.Sprint(m.Dictionary))))
					return
				}
				defer f.File.Close()
				defer shared.Close()
				text, _ := io.ReadAll(f.File)
				seen := cString(shared.Bytes())
				copy(shared.Bytes(), "from the service\x00")
				r, err := pipeOf("an answer")
				if err != nil {
					return
				}
				defer r.Close()
				open, _ := os.ReadDir("/proc/self/fd")
				m.Reply(dict("text", xpc.String(text), "seen", xpc.String(seen), "memory", shared,
					"files", xpc.Array{xpc.Int64(1), &xpc.FD{File: r}}, "open", xpc.Int64(len(open))))
			}})
		})
	}
	roles["things-client"] = func(ctx context.Context, say func(string, ...any)) error {
		p, err := attached.Join(ctx)
		if err != nil {
			return err
		}
		c := p.Connect(echoName)
		c.Activate(nil)
		for range 20 {
			r, err := pipeOf("a question")
			if err != nil {
				return err
			}
			shared, err := p.NewSharedMemory(3 * os.Getpagesize())
			if err != nil {
				return err
			}
			copy(shared.Bytes(), "from the client\x00")
			d, err := c.Call(ctx, dict("file", &xpc.FD{File: r}, "memory", shared))
			r.Close()
			if err != nil {
				return err
			}
			back, _ := d.Get("memory").(*xpc.SharedMemory)
			files, _ := d.Get("files").(xpc.Array)
			if back == nil || len(files) != 2 {
				return fmt.Errorf("the answer is %v", d)
			}
			f := files[1].(*xpc.FD).File
			text, err := io.ReadAll(f)
			if err != nil {
				return err
			}
			f.Close()
			back.Bytes()[back.Len()-1] = 42 // the same memory, mapped twice
			say("%s, %s, %s, %s, %d, %d", d.Text("text"), d.Text("seen"), cString(shared.Bytes()), text,
				shared.Bytes()[shared.Len()-1], d.Int64("open"))
			back.Close()
			shared.Close()
		}
		return nil
	}
}

func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// pipeOf returns a file from which a text can be read, once.
func pipeOf(text string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	_, err = w.WriteString(text)
	return r, err
}

// TestRealThings lets programs in C and in Go pass files and shared memory to each other, each to each. Nothing stays open
// anywhere.
func TestRealThings(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a library")
	}
	dir := buildC(t)
	for _, service := range []string{"C", "Go"} {
		for _, client := range []string{"C", "Go"} {
			t.Run(service+" to "+client, func(t *testing.T) {
				w := newWorld(t)
				if service == "Go" {
					w.job("echo", "things-service", echoService)
				} else {
					path := w.file("echo", fmt.Sprintf(`<key>Label</key><string>echo</string><key>ProgramArguments</key>
						<array><string>%s/things</string><string>service</string></array>
						<key>StandardErrorPath</key><string>%s/echo.err</string>`, dir, w.dir)+echoService)
					if err := w.loadFile("system", path, asItIs); err != nil {
						t.Fatal(err)
					}
				}
				a := w.start("things-client")
				if client == "C" {
					a.cmd.Process.Kill()
					a = w.startProgram(dir+"/things", "", "client")
				}
				const want = "a question, from the client, from the service, an answer, 42, "
				open := make([]int, 20)
				for i := range open {
					fmt.Sscan(a.hears(want), &open[i])
				}
				if open[19] > open[4]+2 {
					t.Errorf("open files of the service: %v", open)
				}
				w.until("all files are closed", func() bool { return w.kernel.Stats().Files == 0 })
			})
		}
	}
}
