package check

import (
	"path/filepath"
	"strconv"
	"testing"

	"portcullis.dev/entitlement"
	"portcullis.dev/finding"
	"portcullis.dev/macho/container"
)

// FuzzCheck reads damaged programs, libraries and object files as the check does: whatever they hold, there is an answer,
// and it can be relied upon as far as it goes.
func FuzzCheck(f *testing.F) {
	dir := f.TempDir()
	for _, arch := range []string{"arm64", "x86_64"} {
		m := maker{t: f, arch: arch, system: "macos13"}
		f.Add(read(f, m.object("handler.c", "-g")))
		f.Add(read(f, m.object("calls.c")))
		lib := m.library(filepath.Join(dir, arch, "libx.dylib"), "@rpath/libx.dylib")
		f.Add(read(f, lib))
		tool := sign(f, m.offender(filepath.Join(dir, arch, "tool"), lib, "-rpath", "@executable_path"),
			signature{claims: claims{entitlement.KeyRestrictionsString: "3"}, runtime: true})
		f.Add(read(f, tool))
		fat := fatOf(f, filepath.Join(dir, "fat"), slice{cpuARM64, 0, read(f, tool)}, slice{cpuAMD64, 3, read(f, lib)})
		f.Add(read(f, fat))
	}
	lib := read(f, filepath.Join(dir, "arm64", "libx.dylib"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newChecker(Options{})
		// The damaged file is a program that may load the library, or a library that the other may link to.
		for _, it := range []container.Item{{Path: "App.app/App", Data: data}, {Path: "App.app/libx.dylib", Data: lib}} {
			it.Size = int64(len(it.Data))
			c.take(c.read(it))
		}
		c.judge()
		c.report.Finish()
		for _, x := range c.report.Findings {
			if _, err := strconv.ParseUint(x.Where.Address, 0, 64); err != nil || x.Confidence.Rank() == 0 || x.Message == "" ||
				x.Moment != finding.MomentCheck || x.Level == nil || x.KillsHere && *x.Level < x.KillsFrom {
				t.Errorf("%+v", x)
			}
		}
		for _, u := range c.report.Unread {
			if u.Path == "App.app/libx.dylib" || u.Reason == "" {
				t.Errorf("%+v", u)
			}
		}
	})
}
