package syntax

import (
	"fmt"
	"strconv"

	"portcullis.dev/mig/cpp"
)

func (p *parser) routine(t cpp.Token, simple bool) Statement {
	r := &Routine{Pos: t.Pos, Simple: simple}
	r.Name = p.name("the name of the routine")
	p.doing = "routine " + strconv.Quote(r.Name.Name)
	p.expect("(", "after the name of "+p.doing)
	if p.accept(")") {
		return r
	}
	for {
		r.Args = append(r.Args, p.arg())
		if p.accept(";") {
			if c := p.peek(); c.Is(")") {
				p.fail(c, "expected another argument after \";\", found \")\"")
			}
			continue
		}
		t := p.peek()
		if !t.Is(")") {
			last := r.Args[len(r.Args)-1].Name.Name
			p.fail(p.missing(t, ";"), "expected \";\" or \")\" after argument %q, found %s", last, p.found(t))
		}
		p.at++
		return r
	}
}

func (p *parser) arg() *Arg {
	a := &Arg{}
	t := p.peek()
	if t.Kind == cpp.Ident {
		if w := p.dialect.word(t.Text); directions[w] {
			a.Direction = w
			p.at++
		} else if o := (1 - p.dialect).word(t.Text); w == "" && directions[o] && p.at+1 < len(p.tokens) &&
			p.tokens[p.at+1].Kind == cpp.Ident {
			p.fail(t, "%q is a direction in %s MIG only", t.Text, 1-p.dialect)
		}
	}
	a.Name = p.name("the name of an argument")
	p.expect(":", "after argument "+strconv.Quote(a.Name.Name))
	t = p.peek()
	if p.dialect == Apple && natives[t.Text] {
		p.fail(t, "the native type %q is not supported: no stub that uses it can be compiled", t.Text)
	}
	a.TypeName = p.name("the type of argument " + strconv.Quote(a.Name.Name))
	if p.accept("=") {
		a.Type = p.transType()
	}
	for p.accept(",") {
		a.Flags = append(a.Flags, p.flag())
	}
	return a
}

func (p *parser) flag() Flag {
	t := p.peek()
	w := ""
	if t.Kind == cpp.Ident {
		w = p.dialect.word(t.Text)
	}
	if !flags[w] {
		d := p.report(t, "expected a flag such as \"dealloc\" or \"countinout\", found %s", p.found(t))
		if o := 1 - p.dialect; flags[o.word(t.Text)] {
			d.Notes = append(d.Notes, fmt.Sprintf("%s MIG has the flag %q, %s MIG does not", o, t.Text, p.dialect))
		}
		panic(failure{})
	}
	p.at++
	f := Flag{Word: w, Pos: t.Pos}
	if w == "dealloc" && p.accept("[") {
		p.expect("]", "after \"dealloc[\"")
		f.Brackets = true
	}
	return f
}
