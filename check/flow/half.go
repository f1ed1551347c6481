package flow

import "portcullis.dev/check/flow/op"

// halves returns the two halves of a value where they are known apart; nil where they are not.
func (v *val) halves() (low, high *val) {
	if len(v.atoms) > 0 || v.rest == nil || v.rest.half == nil {
		return nil, nil
	}
	return v.rest.half.low, v.rest.half.high
}

// pairOf puts a value together of its low and its high 32 bits.
func pairOf(low, high *val, site uint64) *val {
	if a, ok := low.constOnly(); ok {
		if b, ok := high.constOnly(); ok {
			return constant(a|b<<32, site, "")
		}
	}
	const m = 1<<32 - 1
	l, h := low.known(), high.known()
	k := bits{l.mask&m | h.mask<<32, l.bits&m | h.bits<<32}
	return &val{rest: &rest{bits: k, reasons: []reason{{"two values of 32 bits each", site}}, half: &halves{low, high}}}
}

// narrow tells whether nothing stands in the high half.
func (v *val) narrow() bool {
	k := v.known()
	return k.mask>>32 == 1<<32-1 && k.bits>>32 == 0
}

// halfway computes what takes values apart into halves, or puts them together; nil where the operation does neither.
func halfway(k op.Kind, a, b *val, site uint64) *val {
	c, isConst := b.constOnly()
	switch k {
	case op.Shr:
		if _, high := a.halves(); high != nil && isConst && c == 32 {
			return high
		}
	case op.Shl:
		if _, known := a.constOnly(); !known && isConst && c == 32 && a.narrow() {
			return pairOf(constant(0, site, ""), a, site)
		}
	case op.And:
		if low, high := a.halves(); low != nil && isConst {
			switch c {
			case 1<<32 - 1:
				return cut(low, 32, false, site, "")
			case ^uint64(1<<32 - 1):
				return pairOf(constant(0, site, ""), high, site)
			}
		}
	case op.Or, op.Add:
		for range 2 {
			if low, high := a.halves(); low != nil && b.narrow() {
				if z, ok := low.constOnly(); ok && z == 0 {
					return pairOf(b, high, site)
				}
			}
			a, b = b, a
		}
	}
	return nil
}

func joinHalves(a, b *halves) *halves {
	if a == nil || b == nil {
		return nil
	}
	return &halves{join(a.low, b.low), join(a.high, b.high)}
}

func sameHalves(a, b *halves) bool {
	if a == nil || b == nil {
		return a == b
	}
	return sameVal(a.low, b.low) && sameVal(a.high, b.high)
}
