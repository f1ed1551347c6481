package check

import (
	"portcullis.dev/check/flow"
	"portcullis.dev/macho"
)

// view lets the flow engine look into an image.
type view struct{ img *macho.Image }

func (v view) Bytes(addr uint64, n int) []byte { return v.img.Bytes(addr, n) }

// ReadOnly takes for constant also what the Objective-C runtime may replace as it loads the image, by something that means
// the same: selectors, and the offsets of instance variables, which it moves where a superclass has grown, all of a
// class at once.
func (v view) ReadOnly(addr uint64) bool {
	if v.img.ReadOnly(addr) {
		return true
	}
	s := v.img.SectionAt(addr)
	return s != nil && (s.Name == "__objc_selrefs" || s.Name == "__objc_ivar")
}

// farBase is where programs lie at the lowest. Old images that lie there need not say which of their data are pointers;
// up there no number looks like an address of the image by chance.
const farBase = 1 << 32

func (v view) Pointer(slot uint64) (target uint64, symbol string, ok bool) {
	p, ok := v.img.Pointer(slot)
	if ok && p.Bare && slot%8 == 0 && v.img.Base() >= farBase && v.img.SectionAt(p.Target) != nil {
		return p.Target, "", true
	}
	if !ok || p.Bare || p.Import != "" && p.Addend != 0 {
		return 0, "", false
	}
	return p.Target, p.Import, true
}

// longestBranch is the longest x86_64 branch with a relocated target (jcc rel32), in bytes. The field of the next
// instruction begins beyond it.
const longestBranch = 6

func (v view) Callee(site, target uint64) (symbol string, ok bool) {
	if v.img.Type == macho.Object {
		n := 4
		if v.img.CPU == macho.CPUAMD64 {
			n = longestBranch
		}
		for _, r := range v.img.Reloc(site, n) {
			if r.Kind == macho.RelocBranch && r.Symbol != "" {
				return r.Symbol, true
			}
		}
		return "", false
	}
	s, ok := v.img.Stub(target)
	if s.Selector != "" {
		return flow.PrefixMsgSend + s.Selector, ok
	}
	return s.Import.Name, ok && s.Import.Name != ""
}

func (v view) Reloc(site uint64) (flow.Reloc, bool) {
	if v.img.Type != macho.Object {
		return flow.Reloc{}, false
	}
	for _, r := range v.img.Reloc(site, 1) {
		if r.Addr != site {
			continue
		}
		out := flow.Reloc{Symbol: r.Symbol, Addend: r.Addend, Defined: r.Defined, Kind: relocKinds[r.Kind]}
		if r.Defined {
			out.Addr = r.Target - uint64(r.Addend)
		}
		return out, true
	}
	return flow.Reloc{}, false
}

// relocKinds translates kinds of relocations; those that are not listed say nothing the engine could use.
var relocKinds = map[macho.RelocKind]flow.RelocKind{
	macho.RelocOther:      flow.RelocOther,
	macho.RelocSubtractor: flow.RelocOther,
	macho.RelocTLVPage:    flow.RelocOther,
	macho.RelocTLVPageOff: flow.RelocOther,
	macho.RelocTLV:        flow.RelocOther,
	macho.RelocPointer:    flow.RelocOther,
	macho.RelocBranch:     flow.RelocBranch,
	macho.RelocPage:       flow.RelocPage,
	macho.RelocPageOff:    flow.RelocPageOff,
	macho.RelocGOTPage:    flow.RelocGOTPage,
	macho.RelocGOTPageOff: flow.RelocGOTOff,
	macho.RelocGOTLoad:    flow.RelocGOT,
	macho.RelocGOT:        flow.RelocGOT,
	macho.RelocSigned:     flow.RelocAddr,
}

func (v view) Function(addr uint64) (start, end uint64, ok bool) { return v.img.Function(addr) }
