package macho

type lineTable struct{}

// Line returns the source file and line that the code at addr was compiled from, where the image holds DWARF debug
// information: object files compiled with -g, dSYM files.
func (m *Image) Line(addr uint64) (file string, line int, ok bool) { return "", 0, false }

// ObjectFile returns the path of the object file that the code at addr was linked from, as the linker's debug map
// (N_OSO) tells; ok is false where the image has none.
func (m *Image) ObjectFile(addr uint64) (path string, ok bool) { return "", false }
