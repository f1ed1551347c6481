package syntax

import (
	"math"
	"strconv"
	"strings"

	"portcullis.dev/mig/cpp"
)

// maxNesting bounds types within types and parentheses.
const maxNesting = 100

func (p *parser) typeDecl(t cpp.Token) Statement {
	d := &TypeDecl{Pos: t.Pos, Name: p.name("the name of the type")}
	p.doing = "type " + strconv.Quote(d.Name.Name)
	p.expect("=", "after the name of "+p.doing)
	d.Type = p.transType()
	return d
}

// transType reads a type and the translations after it.
func (p *parser) transType() *Type {
	t := &Type{Pos: p.peek().Pos}
	t.Spec = p.spec()
	for {
		n := p.peek()
		if n.Kind != cpp.Ident {
			return t
		}
		w := p.dialect.word(n.Text)
		switch w {
		case "intran", "outtran", "destructor", "intranpayload", "ctype", "cusertype", "cservertype":
		default:
			return t
		}
		p.at++
		p.expect(":", "after "+strconv.Quote(w))
		switch w {
		case "intran":
			t.InTran = p.function(n, true)
		case "outtran":
			t.OutTran = p.function(n, true)
		case "destructor":
			t.Destructor = p.function(n, false)
		case "intranpayload":
			f := &Function{Pos: n.Pos, Result: p.name("a C type").Name}
			f.Name = p.name("a C function").Name
			t.InPayload = f
		default:
			name := p.name("a C type after " + strconv.Quote(w+":"))
			switch w {
			case "ctype":
				t.CType = &name
			case "cusertype":
				t.UserType = &name
			case "cservertype":
				t.ServerType = &name
			}
		}
	}
}

func (p *parser) function(at cpp.Token, result bool) *Function {
	f := &Function{Pos: at.Pos}
	if result {
		f.Result = p.name("the C type that the translation gives").Name
	}
	f.Name = p.name("a C function").Name
	p.expect("(", "after function "+strconv.Quote(f.Name))
	f.Parameter = p.name("the C type that the function takes").Name
	p.expect(")", "after the parameter of "+strconv.Quote(f.Name))
	return f
}

// spec reads a type specification.
func (p *parser) spec() Spec {
	t := p.peek()
	if p.depth++; p.depth > maxNesting {
		p.fail(t, "type is nested more than %d deep", maxNesting)
	}
	defer func() { p.depth-- }()
	switch {
	case t.Kind == cpp.Number || t.Kind == cpp.Ident && (strings.HasPrefix(t.Text, primitivePrefix) ||
		p.is("polymorphic")):
		return p.ipcType()
	case t.Is("^"):
		p.at++
		return &Pointer{t.Pos, p.spec()}
	case t.Is("("):
		return p.longForm(t)
	case p.is("array"):
		p.at++
		return p.array(t)
	case p.is("struct"):
		p.at++
		return p.structure(t)
	case p.is("c_string"):
		p.at++
		return p.cstring(t)
	case p.dialect == Apple && natives[t.Text]:
		p.fail(t, "the native type %q is not supported: no stub that uses it can be compiled", t.Text)
	}
	return &Named{p.name("a type")}
}

const primitivePrefix = "MACH_MSG_TYPE_"

func (p *parser) primitive() string {
	t := p.peek()
	switch {
	case t.Kind == cpp.Number:
		return strconv.FormatInt(p.number("a number"), 10)
	case p.acceptWord("polymorphic"):
		return "POLYMORPHIC"
	case t.Kind == cpp.Ident && strings.HasPrefix(t.Text, primitivePrefix):
		p.at++
		return strings.TrimPrefix(t.Text, primitivePrefix)
	}
	p.fail(t, "expected a primitive type such as MACH_MSG_TYPE_INTEGER_32, found %s", p.found(t))
	return ""
}

func (p *parser) ipcType() *Primitive {
	s := &Primitive{Pos: p.peek().Pos}
	s.In = p.primitive()
	if p.accept("|") {
		s.Out = p.primitive()
	}
	return s
}

// longForm reads "(PRIMITIVE, BITS, flags)", which GNU MIG still has.
func (p *parser) longForm(t cpp.Token) Spec {
	p.at++
	f := &LongForm{Primitive: *p.ipcType()}
	p.expect(",", "after the primitive type")
	f.Bits = p.intExp()
	for p.accept(",") {
		f.Flags = append(f.Flags, p.flag())
	}
	p.expect(")", "after the long form of a type")
	if p.dialect == Apple {
		d := p.report(t, "the long form of a type is not allowed any longer")
		d.Notes = append(d.Notes, "write the primitive alone, or array[N] of it")
		panic(failure{})
	}
	return f
}

func (p *parser) array(t cpp.Token) Spec {
	a := &Array{Pos: t.Pos}
	p.expect("[", "after \"array\"")
	switch {
	case p.accept("*"):
		a.Variable = true
		if p.accept(":") {
			a.Bounded, a.Bound = true, p.intExp()
		}
	case p.nextIs("]"):
		a.Variable = true
	default:
		a.Bounded, a.Bound = true, p.intExp()
	}
	p.expect("]", "after the size of the array")
	if !p.acceptWord("of") {
		n := p.peek()
		p.fail(n, "expected \"of\" and the type of the elements, found %s", p.found(n))
	}
	a.Element = p.spec()
	return a
}

func (p *parser) structure(t cpp.Token) Spec {
	if n := p.peek(); p.dialect == GNU && !n.Is("[") {
		return p.fields(t)
	}
	s := &Struct{Pos: t.Pos}
	p.expect("[", "after \"struct\"")
	s.Count = p.intExp()
	p.expect("]", "after the size of the struct")
	if !p.acceptWord("of") {
		n := p.peek()
		p.fail(n, "expected \"of\" and the type of the members, found %s", p.found(n))
	}
	s.Element = p.spec()
	return s
}

func (p *parser) fields(t cpp.Token) Spec {
	f := &Fields{Pos: t.Pos}
	if n := p.peek(); n.Kind == cpp.Ident {
		f.Tag = p.name("the tag of the struct").Name
	}
	p.expect("{", "after \"struct\"")
	for !p.accept("}") {
		m := Field{Type: p.name("the type of a member")}
		m.Name = p.name("the name of a member")
		p.expect(";", "after member "+strconv.Quote(m.Name.Name))
		f.Fields = append(f.Fields, m)
	}
	return f
}

func (p *parser) cstring(t cpp.Token) Spec {
	s := &CString{Pos: t.Pos}
	p.expect("[", "after \"c_string\"")
	if p.accept("*") {
		s.Variable = true
		p.expect(":", "after \"c_string[*\"")
	}
	s.Bound = p.intExp()
	p.expect("]", "after the size of the string")
	return s
}

// intExp reads a sum of products; the language knows no unary operators.
func (p *parser) intExp() int64 {
	v := p.product()
	for {
		t := p.peek()
		switch {
		case p.accept("+"):
			v = p.bounded(t, v+p.product())
		case p.accept("-"):
			v = p.bounded(t, v-p.product())
		default:
			return v
		}
	}
}

func (p *parser) product() int64 {
	v := p.term()
	for {
		t := p.peek()
		switch {
		case p.accept("*"):
			v = p.bounded(t, v*p.term())
		case p.accept("/"):
			d := p.term()
			if d == 0 {
				p.fail(t, "division by zero")
			}
			v /= d
		default:
			return v
		}
	}
}

func (p *parser) bounded(t cpp.Token, v int64) int64 {
	if v > math.MaxInt32 || v < math.MinInt32 {
		p.fail(t, "the size does not fit into 32 bits")
	}
	return v
}

func (p *parser) term() int64 {
	t := p.peek()
	if p.accept("(") {
		if p.depth++; p.depth > maxNesting {
			p.fail(t, "expression is nested more than %d deep", maxNesting)
		}
		v := p.intExp()
		p.depth--
		p.expect(")", "after the expression")
		return v
	}
	return p.number("a size")
}
