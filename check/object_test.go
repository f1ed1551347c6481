package check

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/check/flow"
	"portcullis.dev/internal/conscience"
	"portcullis.dev/macho"
)

// objectVerdicts is what check must say of testdata/objects.m; methods that are not listed are harmless.
var objectVerdicts = map[string]string{
	"-[Handler install]":                 "SET_EXCEPTION_BEHAVIOR likely 1",
	"-[Settable installPort:]":           "SET_EXCEPTION_BEHAVIOR likely 1",
	"-[First installPort:withBehavior:]": "SET_EXCEPTION_BEHAVIOR likely 1",
	"-[Named installNamed:]":             "SET_EXCEPTION_BEHAVIOR likely 1",
	"-[Careful install]":                 "SET_EXCEPTION_BEHAVIOR possible 1",
}

// Instance variables and messages, in one image and in the object files of a library. Nothing of it is certain, for
// objects may be made elsewhere.
func TestObjects(t *testing.T) {
	sdk := t.TempDir()
	if err := conscience.WriteSDK(sdk); err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"arm64", "arm64e", "x86_64"} {
		for _, opt := range []string{"-O0", "-O1", "-Os"} {
			t.Run(arch+opt, func(t *testing.T) {
				t.Parallel()
				build := func(flags ...string) string {
					return compile(t, arch+"-apple-macos13", "objects.m", append(flags, opt, "-nostdlibinc", "-fno-stack-protector",
						"-isystem", filepath.Join(sdk, "include"))...)
				}
				want := func(name, file string) {
					t.Helper()
					if diff := cmp.Diff(objectVerdicts, verdicts(checkAll(t, Options{}, file))); diff != "" {
						t.Errorf("%s: -want +got\n%s", name, diff)
					}
				}
				whole := build("-DUSERS")
				want("object file", whole)
				library := filepath.Join(t.TempDir(), "library.a")
				classes, users := filepath.Join(t.TempDir(), "classes.o"), filepath.Join(t.TempDir(), "users.o")
				for from, to := range map[string]string{build(): classes, build("-DUSERS", "-DALONE"): users} {
					if err := os.Rename(from, to); err != nil {
						t.Fatal(err)
					}
				}
				run(t, "llvm-ar-19", "rc", library, classes, users)
				want("library", library)
				if arch == "arm64e" { // which lld does not link
					return
				}
				for _, how := range []string{"-fixup_chains", "-no_fixup_chains", "-objc_relative_method_lists"} {
					if how == "-objc_relative_method_lists" && arch != "arm64" {
						continue // lld 19 crashes
					}
					want("program "+how, link(t, arch, filepath.Join(t.TempDir(), "program"), how, "-undefined",
						"dynamic_lookup", whole))
				}
			})
		}
	}
}

// TestObjectsTogether lets several ask at a time what implements a message, as those do that look at functions side by
// side.
func TestObjectsTogether(t *testing.T) {
	sdk := t.TempDir()
	if err := conscience.WriteSDK(sdk); err != nil {
		t.Fatal(err)
	}
	file, err := macho.Parse([]byte(read(t, compile(t, "arm64-apple-macos13", "objects.m", "-DUSERS", "-nostdlibinc",
		"-isystem", filepath.Join(sdk, "include")))))
	if err != nil {
		t.Fatal(err)
	}
	x := newExplorer(file.Images[0])
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if len(x.implements(flow.PrefixMsgSend+"installNamed:")) == 0 {
				t.Error("nothing implements the message")
			}
		})
	}
	group.Wait()
}
