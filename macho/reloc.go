package macho

// RelocKind says what a relocation of an object file stands for, whatever the processor.
type RelocKind uint8

// Kinds of relocations, after mach-o/arm64/reloc.h and mach-o/x86_64/reloc.h.
const (
	RelocOther       RelocKind = iota
	RelocPointer               // UNSIGNED: an absolute address in data
	RelocSubtractor            // SUBTRACTOR: taken from the RelocPointer that follows it
	RelocBranch                // BRANCH26, x86_64 BRANCH: call or jump
	RelocPage                  // PAGE21: adrp of the symbol
	RelocPageOff               // PAGEOFF12: add or load within that page
	RelocGOTPage               // GOT_LOAD_PAGE21: adrp of the symbol's GOT slot
	RelocGOTPageOff            // GOT_LOAD_PAGEOFF12: load from that slot
	RelocGOTLoad               // x86_64 GOT_LOAD: movq of the GOT slot
	RelocGOT                   // POINTER_TO_GOT, x86_64 GOT: other use of the GOT slot, such as call *foo@GOTPCREL
	RelocTLVPage               // TLVP_LOAD_PAGE21
	RelocTLVPageOff            // TLVP_LOAD_PAGEOFF12
	RelocTLV                   // x86_64 TLV
	RelocSigned                // x86_64 SIGNED, SIGNED_1, SIGNED_2, SIGNED_4: rip-relative operand
	RelocAuthPointer           // arm64e AUTHENTICATED_POINTER
)

// Reloc is a relocation of an object file.
type Reloc struct {
	Addr   uint64 // of the field in the image: an arm64 instruction, an x86_64 operand inside of one, or data
	Kind   RelocKind
	Type   uint8  // r_type as in the file
	Size   int    // of the field: 1, 2, 4 or 8 bytes
	PCRel  bool   //
	Symbol string // what it refers to; empty where Target alone tells
	// Target is the address in this object that it refers to, for local targets and for symbols defined here, with
	// Addend taken in; meaningless where Defined is false.
	Target  uint64
	Defined bool
	Addend  int64
}

type relocTable struct{}

// Relocs returns the relocations of the section by ascending address. The slice is shared: do not change it.
func (s *Section) Relocs() []Reloc { return nil }

// Reloc returns the relocations with fields in the n bytes from addr, in the order of their addresses: those of an
// arm64 instruction for n = 4, those of an x86_64 instruction for its length. The slice is shared: do not change it.
func (m *Image) Reloc(addr uint64, n int) []Reloc { return nil }
