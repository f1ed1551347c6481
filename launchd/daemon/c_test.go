//go:build linux

package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// built is the folder of the C programs, once they are compiled. TestMain removes it.
var built string

// buildC compiles the library and the C programs of testdata, and returns their folder.
func buildC(t *testing.T) string {
	t.Helper()
	if built != "" {
		return built
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	dir, err := os.MkdirTemp("", "portcullis-c")
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", dir+"/libxpc.so", "../../sdk/libxpc")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, p := range []string{"service", "client", "things", "values", "activate"} {
		out, err := exec.Command(cc, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-I../../sdk/include",
			"-o", filepath.Join(dir, p), "testdata/"+p+".c", "-L"+dir, "-lxpc", "-Wl,-rpath,"+dir).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	built = dir
	return dir
}

// TestCValues makes, changes and reads values in C.
func TestCValues(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a library")
	}
	out, err := exec.Command(buildC(t) + "/values").CombinedOutput()
	if err != nil || string(out) != "fine\n" {
		t.Errorf("%s%v", out, err)
	}
}

// TestC lets a service and clients in C and in Go talk with each other, each with each, through start on demand, a crash
// and start again.
func TestC(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a library")
	}
	dir := buildC(t)
	for _, service := range []string{"C", "Go"} {
		t.Run(service, func(t *testing.T) {
			w := newWorld(t)
			if service == "Go" {
				w.job("echo", "echo", echoService)
			} else {
				path := w.file("echo", fmt.Sprintf(`<key>Label</key><string>echo</string><key>Program</key><string>%s/service</string>
					<key>StandardOutPath</key><string>%s/out</string><key>StandardErrorPath</key><string>%s/out</string>`, dir, w.dir, w.dir)+echoService)
				if err := w.loadFile("system", path, asItIs); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() {
				if b, _ := os.ReadFile(w.dir + "/out"); t.Failed() && len(b) > 0 {
					t.Logf("the service says:\n%s", b)
				}
			})
			inGo, inC := w.start("client"), w.startProgram(dir+"/client", "")
			inGo.tell("hello")
			first := inGo.hears("ok ")
			inC.tell("hello")
			got := strings.Fields(inC.hears("ok "))
			if got[0] != first || got[2] != "100000" || got[3] != "42" || service == "C" && (got[1] != "60" || got[4] != "1") {
				t.Errorf("the C client got %q, the Go client %s", got, first)
			}
			inC.tell("async")
			inC.hears("async answered")
			inC.tell("barrier")
			inC.hears("barrier passed")
			inC.tell("crash")
			heard := map[string]bool{}
			for range 2 { // the answer and the event come in any order
				heard[inC.hears("")] = true
			}
			if !heard["interrupted"] || !heard["event Connection interrupted"] {
				t.Errorf("after a crash: %v", heard)
			}
			inC.tell("hello")
			if again := strings.Fields(inC.hears("ok ")); again[0] == first || again[0] != strconv.Itoa(w.entry("echo").PID) {
				t.Errorf("after a crash: %q, before %s", again, first)
			}
			inGo.tell("hello")
			inGo.hears("ok ")
			inC.tell("cancel")
			inC.hears("event Connection invalid")
			inC.tell("hello")
			inC.hears("error Connection invalid")
			w.until("the crash is known", func() bool { return w.entry("echo").Status == -int(syscall.SIGABRT) })
		})
	}
}
