// Package macho reads Mach-O images: programs, libraries, bundles, object files, and the universal files and static
// archives that hold them.
//
// # What an image tells about the calls it makes
//
// Compiled code does not call task_set_exception_ports by name. It branches to a stub, a few instructions that load a
// pointer from a slot and jump to it; or it loads the slot itself. The dynamic linker fills the slots before the code
// runs, from one of four generations of instructions in the file:
//
//   - chained fixups (LC_DYLD_CHAINED_FIXUPS, since 2020): every slot holds its own fixup and the distance to the next;
//   - threaded binds (first arm64e systems): the same idea inside bind opcodes;
//   - bind opcodes (LC_DYLD_INFO, since 10.6): three small byte codes (bind, weak bind, lazy bind);
//   - external relocations (before 10.6, and kernel extensions).
//
// Object files have none of it: relocations say which symbol an instruction means. [Image.Imports], [Image.Bindings],
// [Image.Pointer], [Image.Stubs] and [Image.Reloc] give one answer for all of them.
//
// # How it reads
//
// A [File] is a window on bytes that are there already, usually mapped by [Open]. Opening reads the headers alone.
// Everything else is read when it is first asked for and kept, so a program that imports nothing of interest costs a
// few pages. All methods may be called from several goroutines at once.
//
// The input is not trusted. Every count and offset is held against the bytes that exist before anything is allocated,
// and what is kept is at most a small multiple of them. Damage to one slice, archive member or table is recorded
// ([File.Errors], [Image.Problems]) and loses only that part.
//
// Layouts and numbers come from Apple's public headers mach-o/loader.h, mach-o/nlist.h, mach-o/fixup-chains.h,
// mach-o/reloc.h, mach-o/arm64/reloc.h, mach-o/x86_64/reloc.h, mach-o/fat.h and ar.h.
package macho
