package defs_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis.dev/mach"
	"portcullis.dev/mig/cgen"
	"portcullis.dev/mig/model"
)

// runtimeC is what the C programs of the tests link the stubs with: messages go over standard output and input
// instead of
// into a kernel. A frame is a letter, a length and bytes.
const runtimeC = `
#include <stdio.h>
static void put(const void *p, size_t n) { if (n && fwrite(p, 1, n, stdout) != n) exit(1); }
static void put_u32(uint32_t v) { put(&v, 4); }
static void put_blob(const void *p, size_t n) { put_u32((uint32_t)n); put(p, n); }
static void get(void *p, size_t n) { if (n && fread(p, 1, n, stdin) != n) exit(2); }
static uint32_t get_u32(void) { uint32_t v; get(&v, 4); return v; }
static uint32_t get_blob(void *p, size_t room) { uint32_t n = get_u32(); if (n > room) exit(3); get(p, n); return n; }
static void *get_memory(uint32_t *n) { *n = get_u32(); void *p = malloc(*n + 1); get(p, *n); return p; }
static char big[1 << 20];

/* Writes or reads the out-of-line memory that a message names, after the message. */
static void memory(mach_msg_header_t *h, int sending)
{
	if (!(h->msgh_bits & MACH_MSGH_BITS_COMPLEX))
		return;
	char *p = (char *)(h + 1) + sizeof(mach_msg_body_t);
	uint32_t n = ((mach_msg_body_t *)(h + 1))->msgh_descriptor_count;
	while (n--) {
		mach_msg_ool_descriptor_t d;
		size_t size = p[11] == MACH_MSG_PORT_DESCRIPTOR ? sizeof(mach_msg_port_descriptor_t) : sizeof d;
		if (p[11] != MACH_MSG_PORT_DESCRIPTOR) {
			memcpy(&d, p, sizeof d);
			uint64_t bytes = p[11] == MACH_MSG_OOL_DESCRIPTOR ? d.size : d.size * (uint64_t)4;
			if (sending) {
				put_blob(d.address, bytes);
			} else {
				uint32_t got;
				d.address = get_memory(&got);
				memcpy(p, &d, sizeof d);
			}
		}
		p += size;
	}
}

static void send_message(mach_msg_header_t *h)
{
	put("M", 1);
	put_blob(h, h->msgh_size);
	memory(h, 1);
	fflush(stdout);
}

static void receive_message(mach_msg_header_t *h, uint32_t room)
{
	uint32_t n = get_blob(big, sizeof big);
	memory((mach_msg_header_t *)(void *)big, 0);
	memcpy(h, big, n < room ? n : room);
}

mach_msg_return_t
mach_msg(mach_msg_header_t *h, mach_msg_option_t o, mach_msg_size_t send_size, mach_msg_size_t rcv_size,
    mach_port_t name,
    mach_msg_timeout_t t, mach_port_t notify)
{
	(void)t; (void)notify; (void)name;
	if (send_size != h->msgh_size)
		exit(4);
	send_message(h);
	if (o & MACH_RCV_MSG)
		receive_message(h, rcv_size);
	return 0;
}

static int destroyed;
void mach_msg_destroy(mach_msg_header_t *h) { (void)h; destroyed++; }
mach_port_t mig_get_reply_port(void) { return 0x1003; }
mach_port_t mig_get_special_reply_port(void) { return 0x1103; }
void mig_put_reply_port(mach_port_t p) { (void)p; }
void mig_dealloc_reply_port(mach_port_t p) { (void)p; }
void mig_deallocate(const void *p, uint64_t n) { (void)p; (void)n; }
`

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
		p("put(\"R\", 1); put_u32((uint32_t)_kr); put_u32((uint32_t)destroyed); destroyed = 0;")
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
	p("static char in[1 << 16] __attribute__((aligned(8))), out[1 << 16] __attribute__((aligned(8)));")
	p("int main(void)\n{\nfor (;;) {\nif (getchar() != 'M') return 0;\nreceive_message((void *)in, sizeof in);\n" +
		"memset(out, 0xa5, sizeof out);")
	p("%s((void *)in, (void *)out);\nsend_message((void *)out);\n}\n}", demux)
	return b.String()
}

// program is a C program that runs.
type program struct {
	cmd *exec.Cmd
	in  *bufio.Writer
	out *bufio.Reader
	end io.Closer
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
	header := ""
	for _, f := range files {
		if f.Name == i.Name+"Server.h" {
			header = string(f.Data)
		}
	}
	files = append(files, cgen.File{Name: "client.c", Data: []byte(clientC(i))},
		cgen.File{Name: "server.c", Data: []byte(serverC(i, header))})
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, side := range []string{"client", "server"} {
		stubs := map[string]string{"client": i.Name + "User.c", "server": i.Name + "Server.c"}[side]
		args := []string{"-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-variable"}
		args = append(args, strings.Fields(os.Getenv("PORTCULLIS_CFLAGS"))...) // -fsanitize=address,undefined
		cmd := exec.Command(cc, append(args, "-o", side, side+".c", stubs)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", side, err, out)
		}
	}
	return filepath.Join(dir, "client"), filepath.Join(dir, "server")
}

func start(t *testing.T, path string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(path)}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = os.Stderr
	p.in, p.out, p.end = bufio.NewWriter(in), bufio.NewReader(out), in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.in.Flush()
		p.end.Close()
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	})
	return p
}

func (p *program) putU32(v uint32) { binary.Write(p.in, binary.LittleEndian, v) }

func (p *program) putBlob(b []byte) {
	p.putU32(uint32(len(b)))
	p.in.Write(b)
}

// failed carries an error of the pipe out of the helpers below.
type failed struct{ err error }

func (p *program) u32() (v uint32) {
	p.in.Flush()
	if err := binary.Read(p.out, binary.LittleEndian, &v); err != nil {
		panic(failed{err})
	}
	return v
}

func (p *program) blob() []byte {
	b := make([]byte, p.u32())
	if _, err := io.ReadFull(p.out, b); err != nil {
		panic(failed{err})
	}
	return b
}

func (p *program) letter() byte {
	p.in.Flush()
	c, err := p.out.ReadByte()
	if err != nil {
		panic(failed{err})
	}
	return c
}

// outOfLine calls f for each descriptor of memory in a message with its size in bytes.
func outOfLine(b []byte, f func(at int, d *mach.Descriptor, size int)) {
	var h mach.Header
	h.Decode(b)
	if h.Bits&mach.BitsComplex == 0 {
		return
	}
	at := mach.HeaderSize + mach.BodySize
	for range binary.LittleEndian.Uint32(b[mach.HeaderSize:]) {
		var d mach.Descriptor
		n := d.Decode(b[at:])
		if d.Type == mach.DescriptorOOL {
			f(at, &d, int(d.Size))
		} else if d.Type == mach.DescriptorOOLPorts {
			f(at, &d, 4*int(d.Size))
		}
		at += n
	}
}

// message reads a message that the program sent, with its memory.
func (p *program) message(mem memory) []byte {
	b := p.blob()
	outOfLine(b, func(at int, d *mach.Descriptor, _ int) {
		d.Address, _ = mem.Store(p.blob())
		d.Encode(b[at:])
	})
	return b
}

// answer gives the program a message that it receives, with its memory behind it.
func (p *program) answer(b []byte, mem memory) {
	p.putBlob(b)
	outOfLine(b, func(_ int, d *mach.Descriptor, size int) {
		data := []byte{}
		if size > 0 {
			data, _ = mem.Load(d.Address, size)
		}
		p.putBlob(data)
	})
	p.in.Flush()
}
