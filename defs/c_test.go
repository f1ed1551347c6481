package defs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/mig/cgen"
	"portcullis.dev/mig/model"
)

// inlineArray says that a C parameter of the type points into memory that the caller has.
func inlineArray(t *model.Type) bool {
	return !t.OutOfLine && t.Shape != model.Scalar && t.Shape != model.Struct
}

func isString(t *model.Type) bool { return t.Shape == model.String || t.Shape == model.VarString }

// clientC writes a program that calls stubs with the values it is told, and tells the values they return.
func clientC(i *model.Interface) string {
	var b strings.Builder
	p := func(f string, args ...any) { fmt.Fprintf(&b, f+"\n", args...) }
	p("#include \"%s.h\"\n%s\nint main(void)\n{\nfor (;;) {\nuint32_t id = get_u32();\nswitch (id) {\n"+
		"case 0: return 0;", i.Name, runtimeC)
	for _, r := range i.Routines() {
		p("case %d: {", r.ID)
		var args, outs []string
		for _, q := range r.UserParams() {
			a, t := q.Arg, q.Arg.Type
			switch q.Role {
			case model.Disposition:
				if a.Direction == model.Out {
					p("mach_msg_type_name_t %s = 0;", q.Name)
				} else {
					p("mach_msg_type_name_t %s = get_u32();", q.Name)
				}
			case model.Count:
				switch {
				case a.CountInOut:
					p("mach_msg_type_number_t %s = get_u32();", q.Name)
				case a.Direction == model.Out:
					p("mach_msg_type_number_t %s = %d;", q.Name, t.Count)
				default:
					p("mach_msg_type_number_t %s = %s_n / %d;", q.Name, a.Name, t.Elem.Size())
				}
			case model.Deallocate:
				p("boolean_t %s = 1;", q.Name)
			case model.Value:
				switch {
				case t.OutOfLine && a.Direction == model.Out:
					p("void *%s = NULL;", a.Name)
				case t.OutOfLine:
					p("uint32_t %s_n; void *%s = get_memory(&%s_n); (void)%s_n;", a.Name, a.Name, a.Name, a.Name)
				case t.Scattered():
					p("static char %s_data[%d]; memset(%s_data, 0, sizeof %s_data);", a.Name, t.Size(), a.Name, a.Name)
					if a.Direction.Sent() {
						p("get_blob(%s_data, sizeof %s_data);", a.Name, a.Name)
					}
					p("void *%s[%d];", a.Name, t.Count)
					p("for (int i = 0; i < %d; i++) %s[i] = %s_data + i * %d;", t.Count, a.Name, a.Name, t.Elem.Size())
				case inlineArray(t):
					p("static char %s[%d + 16]; memset(%s, 0, sizeof %s);", a.Name, t.Size(), a.Name, a.Name)
					if a.Direction.Sent() {
						p("uint32_t %s_n = get_blob(%s, sizeof %s); (void)%s_n;", a.Name, a.Name, a.Name, a.Name)
					}
				default:
					p("struct { char b[%d]; } %s_raw; memset(&%s_raw, 0, sizeof %s_raw);", t.Size(), a.Name, a.Name, a.Name)
					if a.Direction.Sent() || a.Direction == model.RequestPort {
						p("get_blob(&%s_raw, sizeof %s_raw);", a.Name, a.Name)
					}
				}
			}
			switch {
			case q.Role == model.Value && (inlineArray(t)):
				args = append(args, "(void *)"+a.Name)
			case q.Role == model.Value && t.OutOfLine && q.Out:
				args = append(args, "(void *)&"+a.Name)
			case q.Role == model.Value && t.OutOfLine:
				args = append(args, a.Name)
			case q.Role == model.Value && q.Out:
				args = append(args, "(void *)&"+a.Name+"_raw")
			case q.Role == model.Value:
				args = append(args, fmt.Sprintf("*(%s *)(void *)&%s_raw", t.UserType, a.Name))
			case q.Out:
				args = append(args, "&"+q.Name)
			default:
				args = append(args, q.Name)
			}
			if q.Role == model.Value && q.Out || q.Role == model.Value && a.Direction.Returned() {
				outs = append(outs, outC(a))
			}
		}
		p("kern_return_t _kr = %s(%s);", r.UserName, strings.Join(args, ", "))
		p("put(\"R\", 1); put_u32((uint32_t)_kr); put_u32(messages); put_u32(rights); messages = rights = 0;")
		p("if (_kr == 0) {\n%s\n}\nfflush(stdout); break; }", strings.Join(outs, "\n"))
	}
	p("}\n}\n}")
	return b.String()
}

// outC writes the telling of a value that came out.
func outC(a *model.Arg) string {
	t := a.Type
	master := a
	if a.SameCount != nil {
		master = a.SameCount
	}
	switch {
	case t.Scattered():
		return putPieces(t, a.Name)
	case isString(t):
		return fmt.Sprintf("put_blob(%s, strlen(%s));", a.Name, a.Name)
	case t.Shape == model.VarArray:
		return fmt.Sprintf("put_blob(%s, %sCnt * (size_t)%d);", a.Name, master.Name, t.Elem.Size())
	case t.OutOfLine || inlineArray(t):
		return fmt.Sprintf("put_blob(%s, %d);", a.Name, t.Size())
	}
	return fmt.Sprintf("put_blob(&%s_raw, %d);", a.Name, t.Size())
}

// putPieces writes the telling of an array of values that are out of line one by one, as one value.
func putPieces(t *model.Type, x string) string {
	return fmt.Sprintf("put_u32(%d); for (int i = 0; i < %d; i++) put((const void *)%s[i], %d);", t.Size(), t.Count, x,
		t.Elem.Size())
}

// serverC writes a program that serves requests: it tells the values of each and returns the values it is told.
func serverC(i *model.Interface, header string) string {
	var b strings.Builder
	p := func(f string, args ...any) { fmt.Fprintf(&b, f+"\n", args...) }
	p("#include \"%sServer.h\"\n%s", i.Name, runtimeC)
	for _, r := range i.Routines() {
		_, rest, _ := strings.Cut(header, "extern kern_return_t\n"+r.ServerName+"(")
		proto, _, _ := strings.Cut(rest, ";")
		p("kern_return_t\n%s(%s\n{", r.ServerName, proto)
		p("put(\"C\", 1); put_u32(%d);", r.ID)
		var outs []string
		for _, q := range r.ServerParams() {
			a, t := q.Arg, q.Arg.Type
			if q.Role != model.Value {
				p("(void)%s;", q.Name)
				if a.CountInOut && q.Role == model.Count {
					p("put_u32(*%s);", q.Name)
				}
				if q.Role == model.Disposition && q.Out {
					p("*%s = %d;", q.Name, chosen(a))
				}
				if q.Role == model.Deallocate {
					p("*%s = 1;", q.Name)
				}
				continue
			}
			star := ""
			if q.Out {
				star = "*"
			}
			master := a
			if a.SameCount != nil {
				master = a.SameCount
			}
			if a.Direction.Sent() || a.Direction == model.RequestPort {
				switch {
				case t.Scattered():
					p("%s", putPieces(t, a.Name))
				case isString(t):
					p("put_blob(%s, strlen(%s));", a.Name, a.Name)
				case t.Shape == model.VarArray:
					p("put_blob((const void *)%s%s, %s%sCnt * (size_t)%d);", star, a.Name, star, master.Name, t.Elem.Size())
				case t.OutOfLine:
					p("put_blob((const void *)%s%s, %d);", star, a.Name, t.Size())
				case inlineArray(t):
					p("put_blob(%s, %d);", a.Name, t.Size())
				default:
					p("{ __typeof__(%s%s) v = %s%s; put_blob(&v, %d); }", star, a.Name, star, a.Name, t.Size())
				}
			} else {
				p("(void)%s;", a.Name)
			}
			if !a.Direction.Returned() {
				continue
			}
			switch {
			case t.Scattered():
				outs = append(outs, fmt.Sprintf("uint32_t %s_n; char *%s_data = get_memory(&%s_n);\n"+
					"for (int i = 0; i < %d; i++) %s[i] = (void *)(%s_data + i * %d);", a.Name, a.Name, a.Name, t.Count, a.Name,
					a.Name, t.Elem.Size()))
			case t.OutOfLine:
				outs = append(outs, fmt.Sprintf("uint32_t %s_n; *(void **)%s = get_memory(&%s_n);", a.Name, a.Name, a.Name))
			case inlineArray(t):
				outs = append(outs, fmt.Sprintf("uint32_t %s_n = get_blob(%s, %d); (void)%s_n;", a.Name, a.Name, t.Size(), a.Name))
			default:
				outs = append(outs, fmt.Sprintf("uint32_t %s_n = get_blob(%s, %d); (void)%s_n;", a.Name, a.Name, t.Size(), a.Name))
			}
			if a.Counted() {
				outs = append(outs, fmt.Sprintf("*%sCnt = %s_n / %d;", a.Name, a.Name, t.Elem.Size()))
			}
		}
		p("fflush(stdout);\nkern_return_t _kr = (kern_return_t)get_u32();\nif (_kr != 0)\n\treturn _kr;\n%s\n"+
			"return 0;\n}\n", strings.Join(outs, "\n"))
	}
	demux := i.Name + "_server"
	p("int main(void) { return mig_serve(%s, 1 << 16, 0x2203, 0) == 0x10004009 ? 0 : 5; }", demux)
	return b.String()
}

// built is where programs lie that were built before, by subsystem.
var built = map[string]string{}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range built {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// build compiles both programs of a subsystem and returns the paths.
func build(t *testing.T, i *model.Interface) (client, server string) {
	t.Helper()
	files, err := cgen.Generate(i)
	if err != nil {
		t.Fatal(err)
	}
	header := ""
	for _, f := range files {
		if f.Name == i.Name+"Server.h" {
			header = string(f.Data)
		}
	}
	return buildPrograms(t, i, map[string]string{"client.c": clientC(i), "server.c": serverC(i, header)})
}

// buildPrograms compiles client.c and server.c with the stubs of a subsystem, and with headers, and returns the paths.
func buildPrograms(t *testing.T, i *model.Interface, sources map[string]string) (client, server string) {
	t.Helper()
	if dir := built[i.Name]; dir != "" {
		return filepath.Join(dir, "client"), filepath.Join(dir, "server")
	}
	cc, err := exec.LookPath("gcc")
	if err != nil {
		if cc, err = exec.LookPath("clang"); err != nil {
			t.Skip("no C compiler is installed")
		}
	}
	files, err := cgen.Generate(i)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "portcullis-defs-")
	if err != nil {
		t.Fatal(err)
	}
	built[i.Name] = dir
	for name, text := range sources {
		files = append(files, cgen.File{Name: name, Data: []byte(text)})
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, side := range []string{"client", "server"} {
		stubs := map[string]string{"client": i.Name + "User.c", "server": i.Name + "Server.c"}[side]
		args := []string{"-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-variable"}
		// -fsanitize=address,undefined finds bugs of the stubs; the programs leak: ASAN_OPTIONS=detect_leaks=0.
		args = append(args, strings.Fields(os.Getenv("PORTCULLIS_CFLAGS"))...)
		cmd := exec.Command(cc, append(args, "-o", side, side+".c", stubs)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", side, err, out)
		}
	}
	return filepath.Join(dir, "client"), filepath.Join(dir, "server")
}
