package macho

// Stub is a piece of linker-made code that jumps to an import.
type Stub struct {
	Addr   uint64
	Size   int
	Name   string // of the import; for an Objective-C stub, _objc_msgSend
	Import Import // with the library it comes from, where that is known
	Slot   uint64 // address of the pointer it jumps through; 0 where that is not known
	// Selector is what an Objective-C stub (__objc_stubs) sends; empty for other stubs.
	Selector string
}

type stubTable struct{}

// Stubs returns every stub of the image, by ascending address. The slice is shared: do not change it.
func (m *Image) Stubs() []Stub { return nil }

// Stub returns the stub at addr.
func (m *Image) Stub(addr uint64) (s Stub, ok bool) { return Stub{}, false }
