package flow

import (
	"slices"

	"portcullis.dev/check/flow/op"
)

func maskOf(width uint8) uint64 {
	if width >= 64 {
		return ^uint64(0)
	}
	return uint64(1)<<width - 1
}

func signExtend(x uint64, from uint8) uint64 {
	if from >= 64 {
		return x
	}
	return uint64(int64(x<<(64-from)) >> (64 - from))
}

// cut returns the low n bits of v, zero- or sign-extended to 64.
func cut(v *val, n uint8, signed bool, site uint64, how string) *val {
	if n >= 64 {
		return v
	}
	if low, _ := v.halves(); low != nil && n <= 32 {
		v = low
	}
	var out []atom
	var r *rest
	m := maskOf(n)
	for _, a := range v.atoms {
		switch {
		case a.kind == KindConst:
			a.c &= m
			if signed {
				a.c = signExtend(a.c, n)
			}
		case a.bits <= n && (!a.signed || a.bits == n && signed) && !(a.bits == n && signed && !a.signed):
		case a.kind == kindStackAny || a.kind >= kindIndexed:
			r = joinRest(r, &rest{bits: cutBits(bits{}, n, signed), reasons: []reason{{a.text(), a.def}}})
			continue
		case a.bits < n: // sign-extended from fewer bits: keep no more than that it is unknown
			r = joinRest(r, &rest{bits: cutBits(bits{}, n, signed), reasons: []reason{{a.text(), a.def}}})
			continue
		default:
			a.bits, a.signed = n, signed
			if a.nz > n {
				a.nz = 0
			}
		}
		out = append(out, a)
	}
	if v.rest != nil {
		nz := v.rest.nonzero
		if nz > n && !(v.rest.mask|m == ^uint64(0) && v.rest.bits.bits&^m == 0) {
			nz = 0
		}
		r = joinRest(r, &rest{bits: cutBits(v.rest.bits, n, signed), nonzero: min(nz, n), reasons: v.rest.reasons})
	}
	if r != nil && r.mask == ^uint64(0) {
		out, r = append(out, atom{kind: KindConst, bits: 64, c: r.bits.bits, def: site, how: how}), nil
	}
	return setOf(out, r)
}

func cutBits(k bits, n uint8, signed bool) bits {
	m := maskOf(n)
	x := bits{k.mask&m | ^m, k.bits & m}
	if signed {
		if k.mask>>(n-1)&1 == 0 {
			x.mask = k.mask & m
		} else {
			x.bits = signExtend(x.bits, n)
		}
	}
	return x
}

// binary computes a op b on width bits, zero-extended to 64.
func binary(k op.Kind, a, b *val, width uint8, site uint64, how string) *val {
	if width == 64 {
		if v := halfway(k, a, b, site); v != nil {
			return v
		}
	}
	if x, ok := a.constOnly(); ok {
		if y, ok := b.constOnly(); ok {
			v := constant(arith(k, x, y, width), site, how)
			v.atoms[0].open = a.atoms[0].open || b.atoms[0].open
			return v
		}
	}
	var out []atom
	var r *rest
	add := func(x *atom, y *atom, kb bits, reasons []reason) {
		// One pair whose result is not a member that can be named.
		if x != nil && x.stackish() || y != nil && y.stackish() {
			if width == 64 && (k == op.Add || k == op.Sub || k == op.And || k == op.Or) {
				out = append(out, atom{kind: kindStackAny, bits: 64, def: site, how: how})
				return
			}
		}
		if kb.mask == ^uint64(0) {
			out = append(out, atom{kind: KindConst, bits: 64, c: kb.bits, def: site, how: how})
			return
		}
		r = joinRest(r, &rest{bits: kb, reasons: reasons})
	}
	for i := range a.atoms {
		for j := range b.atoms {
			x, y := &a.atoms[i], &b.atoms[j]
			if z, ok := pair(k, x, y, width, site, how); ok {
				z.open = x.open || y.open
				out = append(out, z)
				continue
			}
			why := x
			if x.kind == KindConst {
				why = y
			}
			add(x, y, arithBits(k, x.known(), y.known(), width), []reason{{why.text(), why.def}})
		}
		if b.rest != nil {
			x := &a.atoms[i]
			if z, ok := index(k, x, b.rest, width, site, how); ok {
				out = append(out, z)
			} else {
				add(x, nil, arithBits(k, x.known(), b.rest.bits, width), b.rest.reasons)
			}
		}
	}
	if a.rest != nil {
		for j := range b.atoms {
			y := &b.atoms[j]
			if k == op.Add {
				if z, ok := index(k, y, a.rest, width, site, how); ok {
					out = append(out, z)
					continue
				}
			}
			add(nil, y, arithBits(k, a.rest.bits, y.known(), width), a.rest.reasons)
		}
		if b.rest != nil {
			rs := a.rest.reasons
			if len(rs) == 0 {
				rs = b.rest.reasons
			}
			add(nil, nil, arithBits(k, a.rest.bits, b.rest.bits, width), rs)
		}
	}
	return enumerate(setOf(out, r))
}

// enumerate lists the members of a rest of which at most two bits are open.
func enumerate(v *val) *val {
	if v.rest == nil || v.rest.mask == 0 {
		return v
	}
	open := ^v.rest.mask
	if open&(open-1)&((open&(open-1))-1) != 0 {
		return v
	}
	out := slices.Clone(v.atoms)
	var why reason
	if len(v.rest.reasons) > 0 {
		why = v.rest.reasons[0]
	}
	for sub := open; ; sub = (sub - 1) & open {
		if c := v.rest.bits.bits | sub; c != 0 || v.rest.nonzero == 0 {
			out = append(out, atom{kind: KindConst, bits: 64, c: c, def: why.site, how: "bits of " + why.text,
				open: true})
		}
		if sub == 0 {
			return setOf(out, nil)
		}
	}
}

// index forms an address plus something unknown.
func index(k op.Kind, x *atom, r *rest, width uint8, site uint64, how string) (atom, bool) {
	if k != op.Add || width != 64 || x.bits != 64 {
		return atom{}, false
	}
	if x.kind == KindAddr && x.sym == "" {
		return atom{kind: kindIndexed, bits: 64, c: x.c, def: site, how: how}, true
	}
	return atom{}, false
}

// pair computes the members that can be named: numbers, and known things plus a number.
func pair(k op.Kind, x, y *atom, width uint8, site uint64, how string) (atom, bool) {
	if x.kind == KindConst && y.kind == KindConst {
		return atom{kind: KindConst, bits: 64, c: arith(k, x.c, y.c, width), def: site, how: how}, true
	}
	if y.kind == KindConst {
		switch k {
		case op.Add, op.Sub:
			d := int64(y.c)
			if k == op.Sub {
				d = -d
			}
			return plus(x, d, width, site, how)
		case op.Or, op.Xor:
			if y.c == 0 && (width == 64 || x.bits <= width && !x.signed) {
				return *x, true
			}
		case op.And:
			for _, n := range []uint8{8, 16, 32} {
				if y.c == maskOf(n) && x.kind < kindStackAny && x.bits > n {
					z := *x
					z.bits, z.signed = n, false
					if z.nz > n {
						z.nz = 0
					}
					return z, true
				}
				if y.c == maskOf(n) && x.bits <= n && !x.signed {
					return *x, true
				}
			}
			if y.c == ^uint64(0) && width == 64 {
				return *x, true
			}
		case op.Shl:
			if x.kind == kindEntry && x.off == 0 && y.c < 8 && width == 64 {
				z := *x
				z.index += int32(y.c)
				return z, true
			}
		}
		return atom{}, false
	}
	if x.kind == KindConst {
		if k == op.Add || k == op.Or || k == op.Xor || k == op.And {
			return pair(k, y, x, width, site, how)
		}
		return atom{}, false
	}
	if k == op.Sub && width == 64 && x.kind == y.kind && x.bits == 64 && y.bits == 64 {
		switch {
		case x.kind == KindStack && x.site == y.site:
			return atom{kind: KindConst, bits: 64, c: uint64(x.off - y.off), def: site, how: how}, true
		case x.kind == KindAddr && x.sym == y.sym:
			return atom{kind: KindConst, bits: 64, c: x.c - y.c + uint64(x.off-y.off), def: site, how: how}, true
		}
	}
	if k == op.Add && width == 64 {
		if y.kind == KindAddr {
			x, y = y, x
		}
		if x.kind == KindAddr && x.sym == "" && x.bits == 64 {
			switch {
			case y.kind == kindEntry && y.off == 0:
				z := *y
				z.kind, z.field, z.def, z.how = kindTarget, int64(x.c), site, how
				return z, true
			case y.kind == KindParam || y.kind == KindField || y.kind == KindResult || y.kind == KindOut:
				return atom{kind: kindIndexed, bits: 64, c: x.c, def: site, how: how}, true
			}
		}
	}
	return atom{}, false
}

// plus adds a number to a member.
func plus(x *atom, d int64, width uint8, site uint64, how string) (atom, bool) {
	if d == 0 && (width == 64 || x.bits <= width && !x.signed) {
		return *x, true
	}
	if width != 64 || x.bits != 64 {
		return atom{}, false
	}
	z := *x
	z.nz = 0
	switch x.kind {
	case KindAddr:
		if x.sym == "" {
			z.c += uint64(d)
		} else {
			z.off += d
		}
		z.def, z.how = site, how
	case KindStack, KindParam, KindResult, KindOut, KindField:
		z.off += d
		if x.kind == KindStack {
			z.def, z.how = site, how
		}
	case kindStackAny:
	case kindIndexed:
		z.c += uint64(d)
	case kindTarget:
		z.field += d
	default:
		return atom{}, false
	}
	return z, true
}

func arith(k op.Kind, x, y uint64, width uint8) uint64 {
	m := maskOf(width)
	switch k {
	case op.Add:
		return (x + y) & m
	case op.Sub:
		return (x - y) & m
	case op.And:
		return x & y & m
	case op.Or:
		return (x | y) & m
	case op.Xor:
		return (x ^ y) & m
	case op.Mul:
		return x * y & m
	}
	n := y & uint64(width-1)
	x &= m
	switch k {
	case op.Shl:
		return x << n & m
	case op.Shr:
		return x >> n
	case op.Sar:
		return uint64(int64(signExtend(x, width))>>n) & m
	case op.Ror:
		if n == 0 {
			return x
		}
		return (x>>n | x<<(uint64(width)-n)) & m
	}
	return 0
}

// arithBits computes what is known of the bits of a result.
func arithBits(k op.Kind, x, y bits, width uint8) bits {
	m := maskOf(width)
	high := bits{mask: ^m}
	var z bits
	switch k {
	case op.And:
		zeros := x.mask&^x.bits | y.mask&^y.bits
		z = bits{x.mask&y.mask | zeros, x.bits & y.bits}
	case op.Or:
		ones := x.bits | y.bits
		z = bits{x.mask&y.mask | ones, ones}
	case op.Xor:
		z.mask = x.mask & y.mask
		z.bits = (x.bits ^ y.bits) & z.mask
	case op.Add, op.Sub:
		// The bits below the lowest unknown one.
		z.mask = trailingOnes(x.mask & y.mask)
		z.bits = arith(k, x.bits, y.bits, 64) & z.mask
	case op.Shl, op.Shr, op.Sar:
		if y.mask&uint64(width-1) != uint64(width-1) {
			break
		}
		n := y.bits & uint64(width-1)
		switch {
		case k == op.Shl:
			z = bits{x.mask<<n | (1<<n - 1), x.bits << n}
		case k == op.Shr:
			z = bits{(x.mask&m)>>n | ^(m >> n), (x.bits & m) >> n}
		case x.mask>>(width-1)&1 == 1:
			z.mask = uint64(int64(signExtend(x.mask&m, width)) >> n)
			z.bits = uint64(int64(signExtend(x.bits&m, width))>>n) & z.mask
		}
	}
	return bits{z.mask&m | high.mask, z.bits & m}
}

func trailingOnes(m uint64) uint64 { return m & ^(m + 1) }
