package check

import (
	"maps"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/internal/conscience"
)

// wrappers is what check must say of testdata/wrappers.c as a program; those that are not listed are harmless.
var wrappers = map[string]string{
	"_exported":       "SET_EXCEPTION_BEHAVIOR certain 1",
	"_only_forbidden": "SET_EXCEPTION_BEHAVIOR certain 1",
	"_both":           "SET_EXCEPTION_BEHAVIOR likely 1",
	"_handed_out":     "SET_EXCEPTION_BEHAVIOR likely 1",
	"_by_filled":      "SET_EXCEPTION_BEHAVIOR possible 1",
}

// Verdicts hang on who may call. A library's functions may be called by others.
func TestWrappers(t *testing.T) {
	library := maps.Clone(wrappers)
	library["_exported"] = "SET_EXCEPTION_BEHAVIOR likely 1"
	sdk := t.TempDir()
	if err := conscience.WriteSDK(sdk); err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"arm64", "x86_64"} {
		for _, opt := range []string{"-O0", "-O1", "-Os"} {
			t.Run(arch+opt, func(t *testing.T) {
				t.Parallel()
				object := compile(t, arch+"-apple-macos13", "wrappers.c", opt, "-nostdlibinc", "-fno-stack-protector",
					"-Xclang", "-fno-inline", "-mllvm", "-enable-ipra=false", "-isystem", filepath.Join(sdk, "include"))
				program := link(t, arch, filepath.Join(t.TempDir(), "program"), "-undefined", "dynamic_lookup",
					object)
				if diff := cmp.Diff(wrappers, verdicts(checkAll(t, Options{}, program))); diff != "" {
					t.Error("program: -want +got\n" + diff)
				}
				for _, fixups := range []string{"-fixup_chains", "-no_fixup_chains"} {
					dylib := link(t, arch, filepath.Join(t.TempDir(), "library.dylib"), "-dylib", "-install_name", "/l.dylib",
						fixups, "-undefined", "dynamic_lookup", object)
					if diff := cmp.Diff(library, verdicts(checkAll(t, Options{}, dylib))); diff != "" {
						t.Error("library " + fixups + ": -want +got\n" + diff)
					}
				}
			})
		}
	}
}
