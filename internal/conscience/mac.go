package conscience

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Clang and Linker are the tools that build programs for macOS.
const (
	Clang  = "clang-19"
	Linker = "ld64.lld-19"
)

// Variation is how a program is built for macOS.
type Variation struct {
	Arch  string
	Level string // of optimisation; -flto: when linking
	Link  string // the linker's flag for fixups; "" for an object file
}

func (v Variation) String() string {
	link := strings.TrimPrefix(v.Link, "-")
	if link == "" {
		link = "object"
	}
	return v.Arch + " " + v.Level + " " + link
}

// Variations returns those that every program is built in; arm64e, which lld does not link, as an object file.
func Variations() []Variation {
	var out []Variation
	for _, level := range []string{"-O0", "-O1", "-O2", "-O3", "-Os", "-Oz", "-flto"} {
		for _, arch := range []string{"arm64", "x86_64"} {
			out = append(out, Variation{arch, level, "-fixup_chains"})
		}
	}
	return append(out, Variation{"arm64", "-O2", "-no_fixup_chains"}, Variation{"x86_64", "-Os", "-no_fixup_chains"},
		Variation{"arm64e", "-O2", ""}, Variation{"arm64", "-O1", ""}, Variation{"x86_64", "-O2", ""})
}

// BuildMac compiles the program for macOS with what [WriteSDK] wrote into sdk, and returns the path of the Mach-O file,
// which is in dir.
func (p Program) BuildMac(v Variation, sdk, dir string) (string, error) {
	base := filepath.Join(dir, strings.ReplaceAll(p.Name+" "+v.String(), " ", "_"))
	if err := os.WriteFile(base+".c", []byte(p.Source), 0o666); err != nil {
		return "", err
	}
	flags := []string{"-target", v.Arch + "-apple-macos13", "-nostdlibinc", "-isystem", filepath.Join(sdk, "include"),
		"-isystem", filepath.Join(sdk, "system"), "-Wall", "-Werror", "-Wno-unused-function", "-fno-stack-protector", v.Level}
	if v.Level == "-flto" {
		flags = append(flags, "-O2")
	}
	if v.Level == "-Oz" && v.Arch != "x86_64" {
		flags = append(flags, "-moutline")
	}
	object := base + ".o"
	if out, err := exec.Command(Clang, append(flags, "-c", base+".c", "-o", object)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("clang: %w\n%s", err, out)
	}
	if v.Link == "" {
		return object, nil
	}
	if out, err := exec.Command(Linker, "-arch", v.Arch, "-platform_version", "macos", "13.0", "14.0", v.Link,
		"-o", base, object, filepath.Join(sdk, "libSystem.tbd")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("lld: %w\n%s", err, out)
	}
	return base, nil
}
