package mig

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/mig/model"
	"portcullis.dev/mig/syntax"
)

// broken are files with mistakes of their own: types that nothing declares, arguments without a separator.
var broken = map[string]bool{
	"mach/upl.defs": true, "device/notify.defs": true, "mount/mount.defs": true,
}

// TestReal compiles real definitions that are on this machine: all *.defs below the folders in PORTCULLIS_DEFS, which
// is
// a list as in PATH; in GNU's dialect below those in PORTCULLIS_GNU_DEFS. Headers are searched in those folders and in
// PORTCULLIS_DEFS_INCLUDE or PORTCULLIS_GNU_DEFS_INCLUDE. Files that declare types alone, that include what is not
// there,
// or that no compiler accepts as they were published, are counted apart.
func TestReal(t *testing.T) {
	for _, tt := range []struct {
		env     string
		dialect syntax.Dialect
	}{{"PORTCULLIS_DEFS", syntax.Apple}, {"PORTCULLIS_GNU_DEFS", syntax.GNU}} {
		t.Run(tt.dialect.String(), func(t *testing.T) {
			roots := filepath.SplitList(os.Getenv(tt.env))
			if len(roots) == 0 {
				t.Skipf("%s names no folder with definitions", tt.env)
			}
			include := append(filepath.SplitList(os.Getenv(tt.env+"_INCLUDE")), roots...)
			var good, routines, simple, types, missing int
			for _, root := range roots {
				err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
					if err != nil || d.IsDir() || !strings.HasSuffix(path, ".defs") {
						return err
					}
					i, errs := Compile(path, Options{Dialect: tt.dialect, Include: include})
					if tt.dialect == syntax.GNU {
						compareReal(t, i, path, include, errs.Errors() == 0)
					}
					switch {
					case errs.Errors() == 0:
						good++
						for _, r := range i.Routines() {
							routines++
							if r.Simple {
								simple++
							}
						}
					case i == nil && errs.Errors() > 0 && !strings.Contains(errs.All[0].Message, "cannot include"):
						types++
					case broken[filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path)]:
						missing++
						t.Logf("%s", errs.All[0].String())
					case strings.Contains(errs.All[0].Message, "cannot include"):
						missing++
						t.Logf("%s", errs.All[0].String())
					default:
						t.Errorf("%s", errs.All[0].String())
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d files, %d routines, %d of them simple; %d files of types alone, %d incomplete",
				good, routines, simple, types, missing)
		})
	}
}

// compareReal compares a verdict, and ids and parameters, with those of GNU MIG, if that is installed.
func compareReal(t *testing.T, i *model.Interface, path string, include []string, good bool) {
	gnu, err := exec.LookPath(gnuMig)
	if err != nil {
		return
	}
	dir := t.TempDir()
	list, header := filepath.Join(dir, "list"), filepath.Join(dir, "h.h")
	args := []string{"-n", "-user", filepath.Join(dir, "u.c"), "-server", filepath.Join(dir, "s.c"), "-header", header,
		"-list", list}
	for _, dir := range include {
		args = append(args, "-I"+dir)
	}
	out, err := exec.Command(gnu, append(args, path)...).CombinedOutput()
	if (err == nil) != good {
		t.Errorf("%s: %s accepted: %v, we: %v; %.300s", path, gnuMig, err == nil, good, out)
	} else if good {
		compareIDs(t, i, list)
		compareParams(t, i, header)
	}
}

// BenchmarkCompile compiles the kernel's interfaces as we define them.
func BenchmarkCompile(b *testing.B) {
	files, err := filepath.Glob("../defs/*.defs")
	if err != nil || len(files) < 10 {
		b.Fatalf("%d files: %v", len(files), err)
	}
	for b.Loop() {
		n := 0
		for _, f := range files {
			if i, errs := Compile(f, Options{}); i != nil && errs.Errors() == 0 {
				n += len(i.Routines())
			}
		}
		if n < 140 {
			b.Fatalf("%d routines", n)
		}
	}
}
