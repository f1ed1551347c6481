package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version may be set by whoever builds a release from an archive that has no version control data:
//
//	go build -ldflags '-X main.version=v1.2.3 -X main.revision=abcdef0' ./cmd/portcullis
//
// Where they are empty the Go tool's own build information is used.
var version, revision string

// buildInfo is what "portcullis version --format json" prints.
type buildInfo struct {
	Schema   string `json:"schema"`
	Version  string `json:"version"`            // "v1.2.3", or "(devel)" for a build from a work tree
	Revision string `json:"revision,omitempty"` // commit
	Time     string `json:"time,omitempty"`     // of the commit, RFC 3339
	Dirty    *bool  `json:"dirty,omitempty"`    // built from a work tree with changes; left out where unknown
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// readBuildInfo gathers what is known about this build.
func readBuildInfo() buildInfo {
	b := buildInfo{
		Schema: "portcullis.version/1", Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.time":
				b.Time = s.Value
			case "vcs.modified":
				dirty := s.Value == "true"
				b.Dirty = &dirty
			}
		}
	}
	if version != "" {
		b.Version = version
	}
	if revision != "" {
		b.Revision, b.Time, b.Dirty = revision, "", nil
	}
	return b
}

// writeText prints the build information on one line, or two where a revision is known.
func (b buildInfo) writeText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "portcullis %s %s %s/%s\n", b.Version, b.Go, b.OS, b.Arch)
	if err != nil || b.Revision == "" {
		return err
	}
	line := "revision " + b.Revision
	if b.Time != "" {
		line += " of " + b.Time
	}
	if b.Dirty != nil && *b.Dirty {
		line += ", with local changes"
	}
	_, err = fmt.Fprintln(w, line)
	return err
}

// newVersionCommand makes "portcullis version".
func newVersionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "say which build this is",
		Long: `Say which build of Portcullis this is: version, commit, whether the work tree had changes, Go version,
operating system and architecture.

Exit status: 0, or 2 for wrong usage.`,
		Example: `  portcullis version
  portcullis version --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := readBuildInfo()
			if format == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(b)
			}
			return b.writeText(cmd.OutOrStdout())
		},
	}
	addFormatFlag(cmd, &format, "text", "json")
	return cmd
}
