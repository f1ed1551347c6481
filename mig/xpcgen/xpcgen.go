// Package xpcgen writes a typed XPC service that offers what a MIG interface offers: the way to go for an interface
// that the restrictions of hardened processes forbid. It writes Go, for package xpc, and Swift, for Apple's libxpc, which
// understand each other.
//
// What changes: arguments are values of a dictionary, so that nothing depends on their places; the answer comes over
// the connection's reply port, so that explicit reply ports go; a send right becomes an endpoint, which is how XPC
// hands on the way to a listener, and an array of rights an array of endpoints, each with a descriptor of its own.
// Receive rights and send-once rights cannot be handed on at all.
package xpcgen

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"strings"
	"unicode"

	"portcullis.dev/mach"
	"portcullis.dev/mig/model"
)

// File is a file to write.
type File struct {
	Name string
	Data []byte
}

// Generate returns the Go and the Swift source of a service. An interface that moves rights which XPC does not move
// gives an error that names them all.
func Generate(i *model.Interface) (pkg string, files []File, err error) {
	s, err := read(i)
	if err != nil {
		return "", nil, err
	}
	src, err := format.Source([]byte(s.goSource()))
	if err != nil {
		return "", nil, fmt.Errorf("%s: the names of the interface clash: %w", i.File, err)
	}
	name := camel(i.Name)
	return s.pkg, []File{{s.pkg + ".go", src}, {name + "Service.swift", []byte(s.swiftSource())}}, nil
}

// service is an interface as XPC has it.
type service struct {
	name    string // of the subsystem
	file    string
	pkg     string
	methods []*method
	structs []*record // in order of first use
}

type method struct {
	name    string // of the routine: the name on the wire
	oneWay  bool
	in, out *record
}

// record is a dictionary with known keys.
type record struct {
	name   string
	fields []field
}

type field struct {
	key string // as in the definition
	typ *typ
}

// kind of a value.
type kind uint8

const (
	kindNumber kind = iota
	kindText
	kindBytes
	kindEndpoint
	kindList
	kindRecord
)

type typ struct {
	kind   kind
	number string // Go's name of a number
	elem   *typ
	count  int // of a list or bytes of fixed length; 0 for any
	record *record
}

type builder struct {
	i     *model.Interface
	s     *service
	known map[string]*record
	errs  []error
}

func read(i *model.Interface) (*service, error) {
	b := &builder{i: i, s: &service{name: i.Name, file: i.File, pkg: packageName(i.Name)}, known: make(map[string]*record)}
	for _, r := range i.Routines() {
		b.routine(r)
	}
	return b.s, errors.Join(b.errs...)
}

func (b *builder) routine(r *model.Routine) {
	m := &method{name: r.Name, oneWay: r.Simple, in: &record{name: camel(r.Name) + "Request"},
		out: &record{name: camel(r.Name) + "Reply"}}
	for _, a := range r.Args {
		if a.RetCode || a.Type == nil {
			continue
		}
		if a.Direction.Sent() {
			b.add(m.in, r, a)
		}
		if a.Direction.Returned() {
			b.add(m.out, r, a)
		}
	}
	b.s.methods = append(b.s.methods, m)
}

func (b *builder) add(to *record, r *model.Routine, a *model.Arg) {
	t, err := b.typ(a.Type)
	if err != nil {
		file, line, _ := a.Pos.Place()
		b.errs = append(b.errs, fmt.Errorf("%s:%d: %s of %s: %w", file, line, a.Name, r.Name, err))
		return
	}
	to.fields = append(to.fields, field{a.Name, t})
}

func (b *builder) typ(t *model.Type) (*typ, error) {
	switch {
	case t.Fields != nil:
		return b.structure(t)
	case t.Shape == model.String, t.Shape == model.VarString:
		return &typ{kind: kindText}, nil
	case t.Shape == model.Scalar && t.IsPort():
		switch mach.Disposition(t.Out) {
		case mach.MoveReceive:
			return nil, errors.New("a receive right cannot be handed on over XPC: make a listener and hand out its endpoint")
		case mach.MoveSendOnce:
			return nil, errors.New("a send-once right cannot be handed on over XPC: answer the message, or hand out an endpoint")
		}
		return &typ{kind: kindEndpoint}, nil
	case t.Shape == model.Scalar:
		return number(t), nil
	}
	elem, err := b.typ(t.Elem)
	if err != nil {
		return nil, err
	}
	count := t.Count
	if t.Shape == model.VarArray {
		count = 0
	}
	switch {
	case elem.kind == kindNumber && (elem.number == "uint8" || elem.number == "int8"):
		return &typ{kind: kindBytes, count: count}, nil
	case t.OutOfLine && t.Shape == model.Array && t.Count == 1 && !t.IsPort():
		return elem, nil
	}
	return &typ{kind: kindList, elem: elem, count: count}, nil
}

func (b *builder) structure(t *model.Type) (*typ, error) {
	named := t
	for named.Name == "" && named.Alias != nil {
		named = named.Alias
	}
	name := camel(named.Name)
	if rec := b.known[name]; rec != nil {
		return &typ{kind: kindRecord, record: rec}, nil
	}
	rec := &record{name: name}
	b.known[name] = rec
	for _, f := range t.Fields {
		ft, err := b.typ(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		rec.fields = append(rec.fields, field{f.Name, ft})
	}
	b.s.structs = append(b.s.structs, rec)
	return &typ{kind: kindRecord, record: rec}, nil
}

// number is the type of a number. Sizes and signs are those of the C type where its name says them.
func number(t *model.Type) *typ {
	name := ""
	for a := t; a != nil && name == ""; a = a.Alias {
		switch {
		case a.Name == "boolean_t":
			name = "int32"
		case a.Name == "float" || a.Name == "double":
			name = map[int]string{32: "float32", 64: "float64"}[t.Bits]
		case strings.HasPrefix(a.Name, "uint"), strings.HasPrefix(a.Name, "unsigned"), a.Name == "natural_t",
			a.Name == "mach_port_name_t", strings.HasPrefix(a.Name, "mach_vm_"), strings.HasPrefix(a.Name, "vm_"):
			name = fmt.Sprintf("uint%d", t.Bits)
		}
	}
	if name == "" {
		switch {
		case t.In == primReal32:
			name = "float32"
		case t.In == primReal64:
			name = "float64"
		case t.Bits == 8:
			name = "uint8"
		default:
			name = fmt.Sprintf("int%d", t.Bits)
		}
	}
	return &typ{kind: kindNumber, number: name}
}

// Primitive numbers of fractions (MACH_MSG_TYPE_REAL_32 and REAL_64).
const (
	primReal32 = 10
	primReal64 = 11
)

// camel turns a C name into an exported name: task_info, TaskInfo; a "_t" at the end goes.
func camel(s string) string {
	var b strings.Builder
	for _, w := range strings.Split(strings.TrimSuffix(s, "_t"), "_") {
		if w != "" {
			r := []rune(w)
			b.WriteRune(unicode.ToUpper(r[0]))
			b.WriteString(string(r[1:]))
		}
	}
	name := b.String()
	if name == "" || !unicode.IsLetter([]rune(name)[0]) {
		name = "X" + name
	}
	return name
}

func packageName(s string) string {
	name := strings.ToLower(strings.ReplaceAll(s, "_", ""))
	if name == "" || token.IsKeyword(name) || name[0] >= '0' && name[0] <= '9' || name == "xpc" || name == "context" {
		name = "svc" + name
	}
	return name
}

type printer struct{ bytes.Buffer }

func (p *printer) p(format string, a ...any) { fmt.Fprintf(p, format+"\n", a...) }
