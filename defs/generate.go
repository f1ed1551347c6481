//go:build ignore

// Generate writes the Go code of the definitions in this folder: go generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"portcullis.dev/defs/internal/generate"
)

func main() {
	files, err := generate.Files(os.DirFS("."))
	for path, data := range files {
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o755)
		}
		if err == nil {
			err = os.WriteFile(path, data, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
