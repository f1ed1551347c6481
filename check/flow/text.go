package flow

import (
	"fmt"
	"strings"
)

// text says what a member is, without its address.
func (a *atom) text() string {
	var s string
	switch a.kind {
	case KindConst:
		return fmt.Sprintf("%#x", a.c)
	case KindAddr:
		s = fmt.Sprintf("address %#x", a.c)
		if a.sym != "" {
			s = "address of " + a.sym
		}
	case KindStack, kindStackAny:
		if a.kind == kindStackAny {
			return "an address in the function's own frame"
		}
		if a.site != 0 {
			return fmt.Sprintf("memory that was got at %#x %+#x", a.site, a.off)
		}
		return fmt.Sprintf("address of the function's frame%+#x", a.off)
	case KindParam:
		s = fmt.Sprintf("parameter %d of the function", a.index+1)
		if a.index == Receiver {
			s = "the object that the message is sent to"
		}
	case KindResult:
		s = fmt.Sprintf("result of %s at %#x", callee(a.sym), a.site)
	case KindOut:
		s = fmt.Sprintf("what %s at %#x stored through its argument %d", callee(a.sym), a.site, a.index+1)
		if a.field != 0 {
			s += fmt.Sprintf("%+#x", a.field)
		}
	case KindField:
		switch b := a.base; {
		case b.kind == KindStack:
			return fmt.Sprintf("parameter of the function on the stack at %+#x", b.off+a.field)
		case b.kind == KindAddr && b.sym != "" && a.field == 0:
			s = "value of " + b.sym
		case b.kind == KindAddr && b.sym == "":
			s = fmt.Sprintf("loaded from %#x", b.c+uint64(a.field))
		default:
			s = fmt.Sprintf("field %#x of %s", a.field, b.text())
		}
	case kindIndexed:
		return fmt.Sprintf("an address in the table at %#x", a.c)
	case kindEntry, kindTarget:
		return fmt.Sprintf("an entry of the table at %#x", a.c)
	}
	if a.off != 0 {
		s += fmt.Sprintf(" %+#x", a.off)
	}
	return s
}

func callee(sym string) string {
	if sym == "" {
		return "the call"
	}
	return sym
}

const maxListed = 6

func (v *val) text(*context) string {
	var parts []string
	for i := range v.atoms {
		if i == maxListed {
			parts = append(parts, fmt.Sprintf("%d more", len(v.atoms)-i))
			break
		}
		if s := v.atoms[i].text(); len(parts) == 0 || parts[len(parts)-1] != s {
			parts = append(parts, s)
		}
	}
	if v.rest != nil {
		s := "unknown"
		if len(v.rest.reasons) > 0 && v.rest.reasons[0].text != "" {
			s += " (" + v.rest.reasons[0].text + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " or ")
}

func (v *val) why(*context) []string {
	var out []string
	for i := range v.atoms {
		if i == maxListed {
			break
		}
		a := &v.atoms[i]
		s := a.text()
		if a.def != 0 {
			s += fmt.Sprintf(" (%s)", strings.TrimSpace(a.how+fmt.Sprintf(" at %#x", a.def)))
		}
		out = append(out, s)
	}
	if v.rest != nil {
		for _, r := range v.rest.reasons {
			if r.text == "" {
				continue
			}
			s := "unknown: " + r.text
			if r.site != 0 {
				s += fmt.Sprintf(" (at %#x)", r.site)
			}
			out = append(out, s)
		}
	}
	return out
}
