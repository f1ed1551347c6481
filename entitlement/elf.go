package entitlement

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"

	"portcullis.dev/entitlement/elfnote"
)

// fromELF reads the entitlements of a Linux program or library, from the note that portcullis sign puts there.
func fromELF(data []byte) (Inputs, error) {
	in := Inputs{Product: ProductExecutable, Linux: true}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return in, fmt.Errorf("ELF file: %w", err)
	}
	switch f.Machine {
	case elf.EM_X86_64:
		in.Arch = "x86_64"
	case elf.EM_AARCH64:
		in.Arch = "arm64"
	default:
		in.Arch = f.Machine.String()
	}
	if isLibrary(f) {
		in.Product = ProductLibrary
	}
	claims, err := elfnote.Read(bytes.NewReader(data), int64(len(data)))
	switch {
	case errors.Is(err, elfnote.ErrNone):
		return in, nil
	case err != nil:
		return in, err
	}
	if in.Note, err = ParsePlist(claims); err != nil {
		return in, fmt.Errorf("entitlements in the ELF file: %w", err)
	}
	return in, nil
}

// isLibrary tells a library from a program that can lie anywhere, which has the same type. A program has an
// interpreter, or, where it is linked statically, says so itself.
func isLibrary(f *elf.File) bool {
	if f.Type != elf.ET_DYN {
		return false
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	flags, err := f.DynValue(elf.DT_FLAGS_1)
	const pie = 0x08000000 // DF_1_PIE
	return err != nil || len(flags) == 0 || flags[0]&pie == 0
}

// OfProgram returns the entitlements of a Linux program, and where they were found: a file PROGRAM.entitlements beside
// it wins over the note that portcullis sign put into it. A nil set means that it has none.
func OfProgram(program string) (set *Set, source string, err error) {
	set, err = Sidecar(program)
	if err == nil {
		return set, program + ".entitlements", nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, "", err
	}
	f, err := os.Open(program)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	if !st.Mode().IsRegular() {
		return nil, "", fmt.Errorf("%s: not a regular file", program)
	}
	var head [4]byte
	if n, _ := f.ReadAt(head[:], 0); !elfnote.Recognized(head[:n]) {
		return nil, "", nil // a script, or nothing that runs
	}
	claims, err := elfnote.Read(f, st.Size())
	if errors.Is(err, elfnote.ErrNone) {
		return nil, "", nil
	}
	if err == nil {
		set, err = ParsePlist(claims)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", program, err)
	}
	return set, "a note in " + program, nil
}
