package cpp

import (
	"strconv"
	"strings"

	"portcullis.dev/mig/source"
)

func itoa(n int) string { return strconv.Itoa(n) }

// evaluator computes the expression of an #if in 64-bit integers.
type evaluator struct {
	tokens []Token
	at     int
	end    source.Pos
	errs   *source.List
	failed bool
	depth  int
}

func (e *evaluator) peek() Token {
	if e.at < len(e.tokens) {
		return e.tokens[e.at]
	}
	return Token{Kind: EOF, Pos: e.end}
}

func (e *evaluator) fail(t Token, format string, args ...any) int64 {
	if !e.failed {
		e.errs.Errorf(t.Pos, t.Text, format, args...)
	}
	e.failed = true
	return 0
}

var precedence = map[string]int{
	"||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7,
	"<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}

// maxNesting bounds parentheses and operators before a value.
const maxNesting = 200

// ternary evaluates a whole expression; live is false in a branch whose value does not count.
func (e *evaluator) ternary(live bool) int64 {
	v := e.binary(1, live)
	if t := e.peek(); !t.Is("?") || e.failed {
		return v
	}
	if e.depth++; e.depth > maxNesting {
		return e.fail(e.peek(), "expression is nested too deeply")
	}
	defer func() { e.depth-- }()
	e.at++
	a := e.ternary(live && v != 0)
	if t := e.peek(); !t.Is(":") {
		return e.fail(t, "expected \":\" of a conditional expression, found %s", describe(t))
	}
	e.at++
	b := e.ternary(live && v == 0)
	if v != 0 {
		return a
	}
	return b
}

func (e *evaluator) binary(least int, live bool) int64 {
	left := e.unary(live)
	for !e.failed {
		op := e.peek()
		prec := 0
		if op.Kind == Punct {
			prec = precedence[op.Text]
		}
		if prec == 0 || prec < least {
			return left
		}
		e.at++
		rightLive := live && !(op.Text == "&&" && left == 0) && !(op.Text == "||" && left != 0)
		right := e.binary(prec+1, rightLive)
		if (op.Text == "/" || op.Text == "%") && right == 0 {
			if rightLive {
				return e.fail(op, "division by zero")
			}
			right = 1
		}
		left = compute(op.Text, left, right)
	}
	return left
}

func compute(op string, a, b int64) int64 {
	truth := func(v bool) int64 {
		if v {
			return 1
		}
		return 0
	}
	switch op {
	case "||":
		return truth(a != 0 || b != 0)
	case "&&":
		return truth(a != 0 && b != 0)
	case "|":
		return a | b
	case "^":
		return a ^ b
	case "&":
		return a & b
	case "==":
		return truth(a == b)
	case "!=":
		return truth(a != b)
	case "<":
		return truth(a < b)
	case ">":
		return truth(a > b)
	case "<=":
		return truth(a <= b)
	case ">=":
		return truth(a >= b)
	case "<<":
		return a << (uint64(b) & 63)
	case ">>":
		return a >> (uint64(b) & 63)
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		return a / b
	}
	return a % b
}

func (e *evaluator) unary(live bool) int64 {
	if e.depth++; e.depth > maxNesting {
		return e.fail(e.peek(), "expression is nested too deeply")
	}
	defer func() { e.depth-- }()
	t := e.peek()
	e.at++
	switch {
	case t.Is("!"):
		if e.unary(live) == 0 {
			return 1
		}
		return 0
	case t.Is("-"):
		return -e.unary(live)
	case t.Is("+"):
		return e.unary(live)
	case t.Is("~"):
		return ^e.unary(live)
	case t.Is("("):
		v := e.ternary(live)
		if c := e.peek(); !c.Is(")") {
			return e.fail(c, "expected \")\" in the expression, found %s", describe(c))
		}
		e.at++
		return v
	case t.Kind == Number:
		text := strings.TrimRight(strings.ToLower(t.Text), "ul")
		v, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			return e.fail(t, "%q is not an integer", t.Text)
		}
		return int64(v)
	case t.Kind == Char:
		if v, _, _, err := strconv.UnquoteChar(strings.Trim(t.Text, "'"), '\''); err == nil {
			return int64(v)
		}
		return e.fail(t, "%s is not a character", t.Text)
	case t.Kind == Ident:
		return 0 // a word that is no macro
	}
	return e.fail(t, "expected a value in the expression, found %s", describe(t))
}

// describe says what a token is, in a message.
func describe(t Token) string {
	switch t.Kind {
	case EOF, newline:
		return "the end of the line"
	}
	return strconv.Quote(t.Text)
}
