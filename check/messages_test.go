package check

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/internal/conscience"
)

// messages is what check must say of each function of testdata/messages.c; those that are not listed are harmless.
var messages = map[string]string{
	"_own_stub":           "INVALID_OPTIONS likely none",
	"_to_the_host":        "INVALID_OPTIONS certain none",
	"_to_a_timer":         "INVALID_OPTIONS certain hardened-runtime",
	"_bootstrap_by_call":  "REQUIRE_REPLY_PORT_SEMANTICS likely 2",
	"_reply_copied":       "SEND_INVALID_REPLY certain 1",
	"_own_task_as_reply":  "ILLEGAL_MOVE certain 1",
	"_carries_made":       "SEND_INVALID_RIGHT likely 1",
	"_carries_reply_port": "ILLEGAL_MOVE likely 1",
	"_array_to_kernel":    "INVALID_OPTIONS certain none",
	"_forwards":           "INVALID_OPTIONS likely none",
	"_trap":               "INVALID_OPTIONS certain none",
}

func TestMessages(t *testing.T) {
	for _, arch := range []string{"arm64", "x86_64"} {
		for _, opt := range []string{"-O1", "-O2", "-Os"} {
			t.Run(arch+opt, func(t *testing.T) {
				t.Parallel()
				sdk := t.TempDir()
				if err := conscience.WriteSDK(sdk); err != nil {
					t.Fatal(err)
				}
				object := compile(t, arch+"-apple-macos13", "messages.c", opt, "-nostdlibinc", "-fno-stack-protector",
					"-isystem", filepath.Join(sdk, "include"), "-isystem", filepath.Join(sdk, "system"))
				program := link(t, arch, filepath.Join(t.TempDir(), "program"), "-undefined", "dynamic_lookup", object)
				if diff := cmp.Diff(messages, verdicts(checkAll(t, Options{}, program))); diff != "" {
					t.Error("-want +got\n" + diff)
				}
			})
		}
	}
}
