// Package sdk is the C side of a task: headers in the places where portable Mach code looks for them, and libmach, the
// library that makes a Linux process a task of a kernel.
//
// Both are embedded. What the kernel's interfaces say in the MIG language is compiled when the SDK is written out: the
// prototypes in mach/task.h and its like, and the stubs behind them.
package sdk

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"portcullis.dev/defs"
	"portcullis.dev/mig"
	"portcullis.dev/mig/cgen"
)

//go:embed all:include libmach
var files embed.FS

// interfaces are the subsystems that libmach has stubs of: the client's side of all but what only the kernel sends.
var interfaces = []struct {
	name         string
	user, server bool
}{
	{"mach_port", true, false}, {"task", true, false}, {"thread_act", true, false}, {"mach_vm", true, false},
	{"mach_host", true, false}, {"host_priv", true, false}, {"processor_set", true, false},
	{"clock", true, false}, {"bootstrap", true, false},
	{"exc", true, true}, {"mach_exc", true, true}, {"notify", false, true}, {"clock_reply", false, true},
}

// hidden are interfaces whose headers programs do not include under that name.
var hidden = map[string]bool{"bootstrap": true, "clock_reply": true}

// Files returns all files of the SDK by path: include/..., libmach/....
func Files() (map[string][]byte, error) {
	out := map[string][]byte{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		out[name], err = files.ReadFile(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	definitions, err := Definitions()
	if err != nil {
		return nil, err
	}
	for name, b := range definitions {
		out["include/"+name] = b
	}
	for _, i := range interfaces {
		if err := generate(out, i.name, i.user, i.server); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Definitions returns the system's interface definitions by the name under which others include them:
// mach/std_types.defs and its like.
func Definitions() (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, in := range []struct {
		files embed.FS
		glob  string
	}{{files, "include/mach/*.defs"}, {defs.Files, "*.defs"}} {
		names, err := fs.Glob(in.files, in.glob)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if out["mach/"+path.Base(name)], err = in.files.ReadFile(name); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// generate compiles one interface: its stubs below libmach, its prototypes among the headers.
func generate(out map[string][]byte, name string, user, server bool) error {
	i, errs := mig.Compile(name+".defs", mig.Options{Define: []string{"MACH_HEADERS"}, Read: defs.Files.ReadFile})
	if len(errs.All) > 0 {
		return fmt.Errorf("%s", errs.All[0].String())
	}
	stubs, err := cgen.Generate(i)
	if err != nil {
		return err
	}
	structures, err := messages(stubs, name)
	if err != nil {
		return err
	}
	for _, f := range stubs {
		out["libmach/generated/"+f.Name] = f.Data
		if hidden[name] && f.Name != name+"Server.h" {
			continue
		}
		switch f.Name {
		case name + ".h":
			if user {
				out["include/mach/"+f.Name] = prototypes(name, string(f.Data), structures)
			}
		case name + "Server.h":
			if server {
				out["include/mach/"+name+"_server.h"] = prototypes(name+"_server", string(f.Data), structures)
			}
		}
	}
	return nil
}

var (
	includes = regexp.MustCompile(`(?m)^#include .*\n`)
	guards   = regexp.MustCompile(`(?m)^#(ifndef|define) _\w+_(user|server)_\n`)
	asserts  = regexp.MustCompile(`(?m)^MIG_ASSERT_SIZE.*\n`)
	table    = regexp.MustCompile(`(?s)extern const struct \w+_subsystem \{.*?\} \w+;\n\n`)
)

// messages returns the structures of an interface's messages. Their sizes are asserted where the stubs are compiled.
func messages(stubs []cgen.File, interfaceName string) (string, error) {
	for _, f := range stubs {
		if f.Name != interfaceName+"Messages.h" {
			continue
		}
		text := string(f.Data)
		from, to := strings.Index(text, "#ifndef __Request__"), strings.LastIndex(text, "\n#endif")
		if from < 0 || to < from {
			break
		}
		return asserts.ReplaceAllString(text[from:to], ""), nil
	}
	return "", fmt.Errorf("%s.defs: no structures of messages are generated", interfaceName)
}

// prototypes makes of a generated header one that programs may include, with the structures of the messages.
func prototypes(name, header, structures string) []byte {
	header = includes.ReplaceAllString(header, "")
	header = table.ReplaceAllString(header, "")
	header = guards.ReplaceAllString(header, "")
	header = strings.ReplaceAll(header, "\n\n\n", "\n\n")
	start, end := strings.Index(header, "\n")+1, strings.LastIndex(header, "#endif")
	guard := "_MACH_" + strings.ToUpper(name) + "_H_"
	return []byte(header[:start] + "#ifndef " + guard + "\n#define " + guard + "\n\n#include <mach/std_types.h>\n" +
		"#include <mach/mach_types.h>\n#include <mach/mig.h>\n#include <mach/mig_errors.h>\n#include <mach/ndr.h>\n" +
		"#include <mach/notify.h>\n#include <mach_debug/mach_debug_types.h>\n" + header[start:end] + structures + "\n" +
		header[end:])
}

// sources returns the C files of libmach among the files of the SDK.
func sources(all map[string][]byte) (names []string) {
	for name := range all {
		if path.Dir(name) == "libmach" && path.Ext(name) == ".c" {
			names = append(names, name)
		}
	}
	return names
}
