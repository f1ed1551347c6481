package xpcgen_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/mig"
	"portcullis.dev/mig/xpcgen"
)

var update = flag.Bool("update", false, "rewrite golden files")

// sample is where the tests of XPC find what is generated of testdata/observers.defs.
const sample = "../../xpc/local/internal/observers"

func TestGolden(t *testing.T) {
	i, diagnostics := mig.Compile("testdata/observers.defs", mig.Options{})
	if diagnostics.Errors() > 0 {
		t.Fatal(diagnostics)
	}
	pkg, files, err := xpcgen.Generate(i)
	if err != nil || pkg != "observers" || len(files) != 2 {
		t.Fatal(pkg, len(files), err)
	}
	for _, f := range files {
		dir := "testdata"
		if strings.HasSuffix(f.Name, ".go") {
			dir = sample
		}
		path := filepath.Join(dir, f.Name)
		if *update {
			if err := os.WriteFile(path, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(f.Data, want) {
			t.Errorf("%s is not what is generated (%v); run go test ./mig/xpcgen -update", path, err)
		}
	}
}

// TestRefused names the rights that XPC does not hand on.
func TestRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "moves.defs")
	if err := os.WriteFile(path, []byte(`subsystem moves 1000;
type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
type receive_t = MACH_MSG_TYPE_MOVE_RECEIVE;
type once_t = MACH_MSG_TYPE_MOVE_SEND_ONCE;
routine give(server : mach_port_t; port : receive_t);
routine later(server : mach_port_t; replyport reply : mach_port_t; once : once_t);
`), 0o600); err != nil {
		t.Fatal(err)
	}
	i, diagnostics := mig.Compile(path, mig.Options{})
	if diagnostics.Errors() > 0 {
		t.Skip("the definition itself is refused: ", diagnostics)
	}
	_, _, err := xpcgen.Generate(i)
	for _, want := range []string{"port of give: a receive right", "once of later: a send-once right", "moves.defs:5"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}
