package macho

import "iter"

// Special library ordinals of an [Import].
const (
	OrdinalSelf = 0  // the image itself
	OrdinalMain = -1 // the main executable
	OrdinalFlat = -2 // whichever loaded image exports the name
	OrdinalWeak = -3 // the first definition in any loaded image: C++ and weak symbols
)

// Import is a symbol that an image takes from elsewhere.
type Import struct {
	Name    string // as the file spells it: _mach_msg
	Ordinal int    // library: n is Dylibs[n-1]; else one of the Ordinal constants
	Weak    bool   // may be missing at run time
}

// Binding is a pointer-sized slot that the dynamic linker fills with the address of an import.
type Binding struct {
	Addr   uint64 // of the slot
	Import Import
	Addend int64
	Lazy   bool // bound at the first call
	Auth   bool // signed with a pointer authentication key
}

// Pointer is what a pointer-sized slot holds once the dynamic linker is done.
type Pointer struct {
	// Import names the symbol whose address, plus Addend, the slot holds; empty where the target is in this image.
	Import string
	Addend int64
	// Target is the address in this image that the slot holds. For an import that may also be satisfied by the
	// image's own (weak) definition it is the address of that, else 0.
	Target uint64
	Auth   bool // signed with a pointer authentication key
}

type importTable struct{}
type fixupTable struct{}
type bindTable struct{}

// Imports returns the symbols the image takes from elsewhere, each once, in the order of the file.
func (m *Image) Imports() iter.Seq[Import] { return func(func(Import) bool) {} }

// HasImport says whether match accepts the name of any import. It allocates nothing; match must not keep its argument.
// A set of names in a map is asked without allocation by indexing it with string(name).
func (m *Image) HasImport(match func(name []byte) bool) bool { return false }

// Bindings returns every slot that is bound to an import.
func (m *Image) Bindings() iter.Seq[Binding] { return func(func(Binding) bool) {} }

// Pointer says what the pointer-sized slot at addr holds after fixups; ok is false where the file has no such slot.
func (m *Image) Pointer(addr uint64) (p Pointer, ok bool) { return Pointer{}, false }
