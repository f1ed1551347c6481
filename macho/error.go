package macho

import (
	"errors"
	"fmt"
)

// ErrNotMachO says that the bytes are neither a Mach-O image nor a container of such images.
var ErrNotMachO = errors.New("not a Mach-O file")

// FormatError says what is wrong with a file, and where.
type FormatError struct {
	Offset int64  // in the file, in bytes
	Member string // archive member it lies in; empty outside of archives
	Arch   string // slice it lies in; empty where there is none or it is not known
	What   string // the cause: lower case, no full stop
	Err    error  // a sentinel such as ErrNotMachO, or nil
}

// Error names the place and the cause.
func (e *FormatError) Error() string {
	where := ""
	switch {
	case e.Member != "" && e.Arch != "":
		where = e.Member + " (" + e.Arch + "): "
	case e.Member != "":
		where = e.Member + ": "
	case e.Arch != "":
		where = e.Arch + ": "
	}
	return fmt.Sprintf("%s%s at offset %#x", where, e.What, e.Offset)
}

// Unwrap returns the sentinel the error stands for, if any.
func (e *FormatError) Unwrap() error { return e.Err }

func formatError(off int64, format string, args ...any) *FormatError {
	return &FormatError{Offset: off, What: fmt.Sprintf(format, args...)}
}
