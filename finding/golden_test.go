package finding

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update rewrites the golden files: go test ./finding -update
var update = flag.Bool("update", false, "rewrite golden files")

// reports are the inputs of the golden files, made anew for every rendering.
var reports = map[string]func() *Report{
	"check":   sampleCheck,
	"explain": sampleExplain,
	"nothing": func() *Report {
		return &Report{Moment: MomentCheck, Summary: Summary{Files: 1, Images: 2, Bytes: 99, Level: "2"}}
	},
	"hostile": sampleHostile,
}

// renderings are all forms of a report, by the ending of their golden file.
var renderings = map[string]func(io.Writer, *Report) error{
	"txt":           func(w io.Writer, r *Report) error { return WriteText(w, r, TextOptions{}) },
	"60.txt":        func(w io.Writer, r *Report) error { return WriteText(w, r, TextOptions{Width: 60}) },
	"ansi":          func(w io.Writer, r *Report) error { return WriteText(w, r, TextOptions{Color: true}) },
	"json":          WriteJSON,
	"sarif":         func(w io.Writer, r *Report) error { return WriteSARIF(w, r, SARIFOptions{Version: "v1.2.3"}) },
	"html":          func(w io.Writer, r *Report) error { return WriteHTML(w, r, HTMLOptions{Version: "v1.2.3"}) },
	"baseline.json": func(w io.Writer, r *Report) error { return NewBaseline(r).Write(w) },
}

func TestGolden(t *testing.T) {
	for name, report := range reports {
		for ending, write := range renderings {
			if name == "hostile" && ending != "txt" {
				continue // TestHostile checks the others
			}
			t.Run(name+"."+ending, func(t *testing.T) {
				var first, second bytes.Buffer
				r := report()
				if err := write(&first, r); err != nil {
					t.Fatal(err)
				}
				if err := write(&second, r); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(first.Bytes(), second.Bytes()) {
					t.Error("the same report renders differently the second time")
				}
				file := filepath.Join("testdata", name+"."+ending)
				if *update {
					if err := os.MkdirAll("testdata", 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, first.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), first.String()); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}
