package macho

import (
	"debug/macho"
	"os"
	"testing"
)

// large returns the path of a program of 60 MB or more to measure with: MACHO_LARGE names it.
func large(b *testing.B) string {
	b.Helper()
	path := os.Getenv("MACHO_LARGE")
	if path == "" {
		b.Skip("SKIPPED: set MACHO_LARGE to the path of a large Mach-O program")
	}
	return path
}

// BenchmarkOpen measures what every image of a scan costs: opening it, and asking whether it imports any of some names.
func BenchmarkOpen(b *testing.B) {
	path := large(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		for _, m := range f.Images {
			m.HasImport(func(name []byte) bool { return string(name) == "_no_such_import" })
		}
		_ = f.Close()
	}
}

// BenchmarkEverything adds what images with interesting imports need: imports, stubs, functions.
func BenchmarkEverything(b *testing.B) {
	path := large(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		for _, m := range f.Images {
			for range m.Imports() {
			}
			if len(m.Stubs()) == 0 || len(m.Functions()) == 0 {
				b.Fatal("nothing found")
			}
		}
		_ = f.Close()
	}
}

// BenchmarkDebugMacho is the standard library's reader on the same file, for comparison; it knows thin files only.
func BenchmarkDebugMacho(b *testing.B) {
	path := large(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := macho.Open(path)
		if err != nil {
			b.Skip(err)
		}
		if _, err := f.ImportedSymbols(); err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
	}
}
