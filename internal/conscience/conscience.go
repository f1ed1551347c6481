// Package conscience holds programs that try what the restrictions forbid, and their mended twins, each with what must
// become of it. They keep two judges honest: check reads them compiled for macOS, and run lets the kernel have them on
// Linux; both must come to what the table says, and so to the same.
//
// A program is an [act], one call or message with a value that decides whether it kills, in a construction: how the
// value and the call come together, through wrappers, structs, tables of functions and so on. Every act is done with a
// value that kills and with one that does not.
package conscience

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Program is one C program. It needs the headers of the Mach interfaces, <stdlib.h>, <string.h>, <pthread.h> and
// <dlfcn.h>, and ends with status 0 if nothing kills it, whatever its calls return.
type Program struct {
	Name         string // act-construction-kills or act-construction-mended
	Act          string
	Construction string
	Callee       string // the function that the value goes to
	Source       string
	// Rule is the name of the restriction that kills it, "" for a program that must live at every level.
	Rule string
	// Also lists other rules that may come first: the kernel reports the first that it meets.
	Also []string
	// From is the lowest level at which it kills, written as package rules does: none (always), 1, 2.
	From string
	// Depends tells that the killing value comes only where the program is called with few arguments, so that no reader
	// of the file can be certain.
	Depends bool
	// Needs says what the program needs beside the kernel; "" for nothing, else "launchd" or "dlsym".
	Needs string
}

// Programs returns all of them, in the order of their names' parts.
func Programs() []Program {
	var out []Program
	for _, a := range acts {
		for _, c := range constructions {
			if c.constant && !a.constant {
				continue
			}
			for _, kills := range []bool{true, false} {
				out = append(out, a.program(c, kills))
			}
		}
	}
	return out
}

func (a *act) program(c construction, kills bool) Program {
	p := Program{Act: a.name, Construction: c.name, Callee: a.call, Needs: a.needs, Depends: c.depends}
	value := a.good
	p.Name = a.name + "-" + c.name + "-mended"
	if kills {
		value = a.bad
		p.Name = a.name + "-" + c.name + "-kills"
		p.Rule, p.Also, p.From = a.rule, a.also, a.from
	}
	if c.dlsym {
		p.Needs = strings.TrimSpace(p.Needs + " dlsym")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "// %s: %s, %s.\n", p.Name, a.what, c.what)
	if kills {
		fmt.Fprintf(&b, "// verdict: %s from level %s\n", p.Rule, p.From)
	} else {
		b.WriteString("// verdict: lives at every level\n")
	}
	b.WriteString(prologue)
	fmt.Fprintf(&b, "typedef %s value_t;\n#define VALUE (%s)\n#define OTHER (%s)\n", a.typ, value, a.good)
	call := "#define CALL(f) f\n"
	if c.call != "" {
		call = strings.ReplaceAll(c.call, "FUNCTION", a.call)
	}
	b.WriteString(a.helpers)
	b.WriteString(call)
	act := "NOINLINE static"
	if c.inline {
		act = "INLINE static"
	}
	fmt.Fprintf(&b, "%s void act(value_t p) {\n%s}\n%s", act, a.body, c.code)
	b.WriteString("int main(int argc, char **argv) {\n\t(void)argv;\n\tgo(argc);\n\treturn 0;\n}\n")
	p.Source = b.String()
	return p
}

const prologue = `#include <dlfcn.h>
#include <mach/mach.h>
#include <pthread.h>
#ifndef __APPLE__
#include <pthread_mach.h>
#endif
#include <servers/bootstrap.h>
#include <stdlib.h>
#include <string.h>
#define NOINLINE __attribute__((noinline))
#define INLINE inline __attribute__((always_inline))
`

//go:embed include system libSystem.tbd
var files embed.FS

// WriteSDK writes into dir what compiling and linking for macOS needs: the headers (include/, and system/ for those that
// are not Mach's) and the stub of libSystem (libSystem.tbd).
func WriteSDK(dir string) error {
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(to, 0o777)
		}
		b, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o666)
	})
}
