package macho

type functionTable struct{}
type nameTable struct{}
type goTable struct{}

// Functions returns the addresses at which functions begin, ascending, each once. The slice is shared: do not change
// it.
func (m *Image) Functions() []uint64 { return nil }

// Function returns the bounds of the function that holds addr: where it begins, and where the next one begins or its
// section ends. ok is false outside of code.
func (m *Image) Function(addr uint64) (start, end uint64, ok bool) { return 0, 0, false }

// SymbolName returns the name of the function or object that holds addr, as the file spells it, and the address the
// name stands at. ok is false where no name is known: a name from beyond the start of the function that holds addr
// is not taken for its own.
func (m *Image) SymbolName(addr uint64) (name string, start uint64, ok bool) { return "", 0, false }
