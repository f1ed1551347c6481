package mig

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/mig/cgen"
	"portcullis.dev/mig/gogen"
	"portcullis.dev/mig/model"
	"portcullis.dev/mig/syntax"
)

// broken are files with mistakes of their own: types that nothing declares, arguments without a separator.
var broken = map[string]bool{
	"mach/upl.defs": true, "device/notify.defs": true, "mount/mount.defs": true,
}

// TestReal compiles real definitions that are on this machine, to Go and C: all *.defs below the folders in
// PORTCULLIS_DEFS, which is a list as in PATH; in GNU's dialect below those in PORTCULLIS_GNU_DEFS. Headers are searched
// in those folders and in PORTCULLIS_DEFS_INCLUDE or PORTCULLIS_GNU_DEFS_INCLUDE. Files that declare types alone, that
// include what is not there, or that no compiler accepts as they were published, are counted apart. Where
// PORTCULLIS_DEFS_OUT names a folder, the Go packages are written there, to be vetted.
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
						generateReal(t, i, good, tt.dialect)
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

// generateReal writes code for an interface.
func generateReal(t *testing.T, i *model.Interface, n int, d syntax.Dialect) {
	pkg, src, err := gogen.Generate(i)
	if err != nil {
		t.Error(err)
	}
	if _, err := cgen.Generate(i); err != nil {
		t.Error(err)
	}
	if out := os.Getenv("PORTCULLIS_DEFS_OUT"); out != "" {
		dir := filepath.Join(out, fmt.Sprintf("%s%d%s", d, n, pkg))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, pkg+".go"), src, 0o644); err != nil {
			t.Fatal(err)
		}
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
		compareParams(t, i, header, false)
	}
}

// BenchmarkCompile compiles the kernel's interfaces as we define them, with and without writing code; and real
// definitions, where PORTCULLIS_DEFS names their folders.
func BenchmarkCompile(b *testing.B) {
	ours, err := filepath.Glob("../defs/*.defs")
	if err != nil || len(ours) < 10 {
		b.Fatalf("%d files: %v", len(ours), err)
	}
	var theirs []string
	roots := filepath.SplitList(os.Getenv("PORTCULLIS_DEFS"))
	for _, root := range roots {
		_ = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".defs") {
				theirs = append(theirs, path)
			}
			return nil
		})
	}
	for _, bb := range []struct {
		name  string
		files []string
		least int
		write bool
	}{{"ours", ours, 190, false}, {"ours, Go and C", ours, 190, true}, {"real", theirs, 0, false},
		{"real, Go and C", theirs, 0, true}} {
		b.Run(bb.name, func(b *testing.B) {
			if len(bb.files) == 0 {
				b.Skip("PORTCULLIS_DEFS names no folder with definitions")
			}
			n := 0
			for b.Loop() {
				n = 0
				for _, f := range bb.files {
					i, errs := Compile(f, Options{Include: roots})
					if i == nil || errs.Errors() > 0 {
						continue
					}
					n += len(i.Routines())
					if !bb.write {
						continue
					}
					if _, _, err := gogen.Generate(i); err != nil {
						b.Fatal(err)
					}
					if _, err := cgen.Generate(i); err != nil {
						b.Fatal(err)
					}
				}
			}
			if n < bb.least {
				b.Fatalf("%d routines", n)
			}
			b.ReportMetric(float64(n), "routines/op")
			b.ReportMetric(float64(len(bb.files)), "files/op")
		})
	}
}
