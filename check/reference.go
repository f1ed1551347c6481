package check

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	"portcullis.dev/check/amd64"
	"portcullis.dev/check/arm64"
	"portcullis.dev/check/flow"
	"portcullis.dev/macho"
)

// references tells where an address of the image is used.
type references struct {
	functions []uint64 // starts of the functions with instructions that do, in order
	// taken: its address is in data, or formed by code, so that uses of it need not show.
	taken bool
	// tables are where its address lies in data.
	tables []uint64
}

// exported tells which addresses other images may know by name. A program is not linked against.
func exported(img *macho.Image) map[uint64]bool {
	out := map[uint64]bool{}
	if img.Type == macho.Execute {
		return out
	}
	const privateExternal = 0x10
	for s := range img.Symbols() {
		if s.Defined() && s.External() && s.Type&privateExternal == 0 {
			out[s.Addr] = true
		}
	}
	for _, e := range img.Exports() {
		out[e.Addr] = true
	}
	return out
}

// referTo finds the references to functions (code) and variables (data) of an image, in one pass.
func referTo(img *macho.Image, code, data []uint64) map[uint64]*references {
	out := make(map[uint64]*references, len(code)+len(data))
	for _, a := range code {
		out[a] = &references{}
	}
	for _, a := range data {
		out[a] = &references{}
	}
	if len(out) == 0 {
		return out
	}
	if img.Type == macho.Object {
		referByRelocation(img, out)
	} else {
		referByCode(img, code, data, out)
		referByData(img, out)
	}
	for _, r := range out {
		slices.Sort(r.functions)
		r.functions = slices.Compact(r.functions)
	}
	return out
}

func (r *references) in(img *macho.Image, site uint64) {
	start, _, ok := img.Function(site)
	if !ok {
		start = site
	}
	r.functions = append(r.functions, start)
}

// referByRelocation reads the relocations of an object file.
func referByRelocation(img *macho.Image, out map[uint64]*references) {
	for i := range img.Sections {
		s := &img.Sections[i]
		for rel := range s.Relocs() {
			if !rel.Defined {
				continue
			}
			at := rel.Target - uint64(rel.Addend)
			for _, a := range []uint64{at, rel.Target} {
				r := out[a]
				if r == nil {
					continue
				}
				switch {
				case rel.Kind == macho.RelocSubtractor:
				case !s.IsCode():
					if !metadata(s) {
						r.taken = true
						r.tables = append(r.tables, rel.Addr)
					}
				default:
					r.in(img, rel.Addr)
					if rel.Kind != macho.RelocBranch && formsAddress(img, rel.Addr) {
						r.taken = true
					}
				}
				if at == rel.Target {
					break
				}
			}
		}
	}
}

// metadata tells sections that name functions without calling them: unwind tables and debug information.
func metadata(s *macho.Section) bool {
	return s.Segment == "__DWARF" || s.Segment == "__LD" || strings.HasPrefix(s.Name, "__debug") ||
		s.Name == "__compact_unwind" || s.Name == "__eh_frame"
}

// formsAddress tells whether the instruction at a relocation makes an address rather than to load or store there.
func formsAddress(img *macho.Image, at uint64) bool {
	if img.CPU == macho.CPUAMD64 {
		b := img.Bytes(at-2, 1)
		return b == nil || b[0] == 0x8d // lea
	}
	b := img.Bytes(at, 4)
	if b == nil {
		return true
	}
	return binary.LittleEndian.Uint32(b)&0xff800000 == 0x91000000 // add
}

// referByCode scans the code of a linked image. Functions and variables lie apart, and a scan rules out most of the code
// by the range that its targets span: each gets a scan of its own.
func referByCode(img *macho.Image, code, data []uint64, out map[uint64]*references) {
	if len(code) > 0 {
		referByScan(img, flow.Targets{Code: code, Data: code}, out)
	}
	if len(data) > 0 {
		referByScan(img, flow.Targets{Data: data}, out)
	}
}

func referByScan(img *macho.Image, targets flow.Targets, out map[uint64]*references) {
	set := flow.NewRange(targets.Data)
	scan := arm64.Scan
	if img.CPU == macho.CPUAMD64 {
		scan = amd64.Scan
	}
	var (
		mu    sync.Mutex
		group crew
	)
	for _, c := range chunks(img, workers()) {
		group.Go(func() {
			scan(c.code, c.addr, &targets, func(site uint64) {
				mu.Lock()
				defer mu.Unlock()
				for _, u := range uses(img, site, &set) {
					if r := out[u.addr]; r != nil {
						r.in(img, site)
						r.taken = r.taken || u.formed
					}
				}
			})
		})
	}
	group.Wait()
}

// use is what an instruction does with an address.
type use struct {
	addr   uint64
	formed bool // it makes the address, rather than to branch, load or store there
}

// uses decodes the instruction that a scan found. Where it only takes part in an address, it is asked which: all that
// it can be are answered.
func uses(img *macho.Image, site uint64, set *flow.Range) []use {
	if img.CPU == macho.CPUAMD64 {
		return usesAMD64(img, site, set)
	}
	b := img.Bytes(site, 4)
	if b == nil {
		return nil
	}
	w := binary.LittleEndian.Uint32(b)
	switch {
	case w&0x7c000000 == 0x14000000:
		return []use{{site + uint64(int64(int32(w<<6))>>4), false}}
	case w&0x9f000000 == 0x10000000: // adr
		return []use{{site + uint64(int64(int32(w<<8))>>13<<2|int64(w>>29&3)), true}}
	case w&0xbf000000 == 0x18000000: // ldr of a literal
		return []use{{site + uint64(int64(int32(w<<8))>>13<<2), false}}
	}
	// The page stands in an adrp before.
	reg := w >> 5 & 31
	low, formed := uint64(w>>10&0xfff), w&0xff800000 == 0x91000000
	if !formed {
		low <<= arm64.AccessScale(w)
	}
	for back := uint64(4); back <= flow.ScanOverlap; back += 4 {
		b := img.Bytes(site-back, 4)
		if b == nil {
			return nil
		}
		p := binary.LittleEndian.Uint32(b)
		if p&0x9f00001f == 0x90000000|reg {
			page := (site-back)&^4095 + uint64(int64(int32(p<<8))>>13<<2|int64(p>>29&3))<<12
			if a := page + low; set.Has(a) {
				return []use{{a, formed}}
			}
			return nil
		}
	}
	return nil
}

func usesAMD64(img *macho.Image, site uint64, set *flow.Range) []use {
	b := img.Bytes(site, 7)
	if b == nil {
		return nil
	}
	disp := func(at int) uint64 {
		return site + uint64(at) + 4 + uint64(int64(int32(binary.LittleEndian.Uint32(b[at:]))))
	}
	var out []use
	if b[0]&0xfe == 0xe8 {
		if a := disp(1); set.Has(a) {
			out = append(out, use{a, false})
		}
	}
	if b[0] == 0x0f && b[1]&0xf0 == 0x80 {
		if a := disp(2); set.Has(a) {
			out = append(out, use{a, false})
		}
	}
	// Otherwise the site is the byte before a displacement, or the instruction that a slot is loaded with.
	for at := 1; at <= 3 && len(out) == 0; at++ {
		if b[at-1]&0xc7 != 0x05 {
			continue
		}
		for _, imm := range []uint64{0, 1, 2, 4} {
			if a := disp(at) + imm; set.Has(a) {
				op := img.Bytes(site+uint64(at)-2, 1)
				out = append(out, use{a, op != nil && op[0] == 0x8d})
			}
		}
	}
	return out
}

// referByData looks for the addresses in the data of a linked image.
func referByData(img *macho.Image, out map[uint64]*references) {
	low := map[uint32]bool{}
	base := img.Base()
	for a := range out {
		low[uint32(a)], low[uint32(a-base)] = true, true
	}
	for i := range img.Sections {
		s := &img.Sections[i]
		if s.IsCode() || s.IsStubs() || metadata(s) || s.Segment == "__TEXT" || s.Segment == "__LINKEDIT" {
			continue
		}
		data := s.Data()
		for at := int((8 - s.Addr&7) & 7); at+8 <= len(data); at += 8 {
			if !low[binary.LittleEndian.Uint32(data[at:])] {
				continue
			}
			slot := s.Addr + uint64(at)
			if p, ok := img.Pointer(slot); ok && p.Import == "" {
				if r := out[p.Target]; r != nil {
					r.taken = true
					r.tables = append(r.tables, slot)
				}
			}
		}
	}
}
