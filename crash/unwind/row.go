package unwind

import (
	"errors"
	"fmt"
)

type ruleKind uint8

const (
	ruleUnset ruleKind = iota
	ruleUndefined
	ruleSame
	ruleOffset    // at CFA + n
	ruleValOffset // is CFA + n
	ruleRegister
	ruleExpr    // at the address that the expression gives
	ruleValExpr // is what the expression gives
)

type rule struct {
	kind ruleKind
	n    int64
	expr []byte
}

// row says where the caller's registers are, for one instruction.
type row struct {
	cfaReg    int // -1: expression
	cfaOff    int64
	cfaExpr   []byte
	rules     [registers]rule
	signedRA  bool // arm64: the return address carries a signature
	cfaIsUsed bool
}

const maxRemembered = 64

var errCFI = errors.New("call frame instructions that make no sense")

// row runs the instructions up to the one at pc.
func (d *fde) row(pc uint64) (*row, error) {
	w := &row{cfaReg: -1}
	m := machine{c: d.cie, row: w, loc: d.start, pc: pc}
	if err := m.run(d.initial); err != nil {
		return nil, err
	}
	m.initial = w.rules
	if !m.done {
		if err := m.run(d.insns); err != nil {
			return nil, err
		}
	}
	if !w.cfaIsUsed {
		return nil, errCFI
	}
	return w, nil
}

type machine struct {
	c       *cie
	row     *row
	initial [registers]rule
	stack   []row
	loc, pc uint64
	done    bool
}

func (m *machine) set(reg uint64, r rule) {
	if reg < registers {
		m.row.rules[reg] = r
	}
}

func (m *machine) advance(delta uint64) {
	m.loc += delta * m.c.codeAlign
	if m.loc > m.pc {
		m.done = true
	}
}

// run executes instructions. It ends where they end, or where they go beyond pc.
func (m *machine) run(code []byte) error {
	r := &reader{data: code}
	w := m.row
	for r.left() > 0 && !m.done && r.err == nil {
		op := r.u8()
		low := uint64(op & 0x3f)
		switch op & 0xc0 {
		case 0x40: // advance_loc
			m.advance(low)
			continue
		case 0x80: // offset
			m.set(low, rule{kind: ruleOffset, n: int64(r.uleb()) * m.c.dataAlign})
			continue
		case 0xc0: // restore
			if low < registers {
				m.set(low, m.initial[low])
			}
			continue
		}
		switch op {
		case 0x00: // nop
		case 0x01: // set_loc
			m.loc = r.u64()
			m.done = m.loc > m.pc
		case 0x02:
			m.advance(uint64(r.u8()))
		case 0x03:
			m.advance(uint64(r.u16()))
		case 0x04:
			m.advance(uint64(r.u32()))
		case 0x05: // offset_extended
			reg := r.uleb()
			m.set(reg, rule{kind: ruleOffset, n: int64(r.uleb()) * m.c.dataAlign})
		case 0x06: // restore_extended
			if reg := r.uleb(); reg < registers {
				m.set(reg, m.initial[reg])
			}
		case 0x07:
			m.set(r.uleb(), rule{kind: ruleUndefined})
		case 0x08:
			m.set(r.uleb(), rule{kind: ruleSame})
		case 0x09:
			reg := r.uleb()
			m.set(reg, rule{kind: ruleRegister, n: int64(r.uleb())})
		case 0x0a: // remember_state
			if len(m.stack) >= maxRemembered {
				return errCFI
			}
			m.stack = append(m.stack, *w)
		case 0x0b: // restore_state
			if len(m.stack) == 0 {
				return errCFI
			}
			*w = m.stack[len(m.stack)-1]
			m.stack = m.stack[:len(m.stack)-1]
		case 0x0c: // def_cfa
			w.defCFA(r.uleb(), int64(r.uleb()))
		case 0x0d:
			w.defCFA(r.uleb(), w.cfaOff)
		case 0x0e:
			w.cfaOff = int64(r.uleb())
		case 0x0f:
			w.cfaExpr, w.cfaReg, w.cfaIsUsed = r.bytes(r.uleb()), -1, true
		case 0x10:
			reg := r.uleb()
			m.set(reg, rule{kind: ruleExpr, expr: r.bytes(r.uleb())})
		case 0x11: // offset_extended_sf
			reg := r.uleb()
			m.set(reg, rule{kind: ruleOffset, n: r.sleb() * m.c.dataAlign})
		case 0x12:
			reg := r.uleb()
			w.defCFA(reg, r.sleb()*m.c.dataAlign)
		case 0x13:
			w.cfaOff = r.sleb() * m.c.dataAlign
		case 0x14:
			reg := r.uleb()
			m.set(reg, rule{kind: ruleValOffset, n: int64(r.uleb()) * m.c.dataAlign})
		case 0x15:
			reg := r.uleb()
			m.set(reg, rule{kind: ruleValOffset, n: r.sleb() * m.c.dataAlign})
		case 0x16:
			reg := r.uleb()
			m.set(reg, rule{kind: ruleValExpr, expr: r.bytes(r.uleb())})
		case 0x2d: // AARCH64_negate_ra_state
			w.signedRA = !w.signedRA
		case 0x2e: // GNU_args_size
			r.uleb()
		case 0x2f: // GNU_negative_offset_extended
			reg := r.uleb()
			m.set(reg, rule{kind: ruleOffset, n: -int64(r.uleb()) * m.c.dataAlign})
		default:
			return fmt.Errorf("call frame instruction %#x is not known", op)
		}
	}
	return r.err
}

func (w *row) defCFA(reg uint64, off int64) {
	w.cfaReg, w.cfaOff, w.cfaIsUsed = registers, off, true
	if reg < registers {
		w.cfaReg = int(reg)
	}
}
