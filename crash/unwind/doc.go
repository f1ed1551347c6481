// Package unwind finds the callers of a thread: the backtrace of a process that somebody else has stopped.
//
// It is pure. It is handed the registers of the thread, a reader of the process's memory, and for an address the code
// that lies there with what its compiler left about it. For each frame it takes the first of these that applies:
//
//   - the trampoline through which a signal handler returns: the interrupted registers lie on the stack;
//   - the function table of Go, which knows the size of every frame ([pclntab.Table]);
//   - call frame information of C, C++, Rust and others (.eh_frame, .debug_frame; [Table]);
//   - the chain of frame pointers.
//
// It never searches the stack for what might be a return address: each frame follows from the one before, or the
// backtrace ends and says why. Everything that is read may be hostile: work is bounded by the number of frames, and by
// the length of what describes one.
package unwind
