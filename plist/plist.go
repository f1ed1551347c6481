// Package plist reads property lists that nobody has vouched for: the Info.plist of a bundle, an entitlements file, the
// entitlements inside a code signature.
//
// A property list is a tree of dictionaries, arrays, strings, numbers, dates and data, written as XML or in a
// binary form. The binary form stores each object once and lets others refer to it by number, so a few hundred
// bytes can describe a tree of 2^60 leaves (an array that names the next array twice, sixty deep), a circle, or a
// million strings that all lie over the same bytes. The XML form costs a decoder some hundred times its size when
// it is made of empty dictionaries. The decoder underneath, howett.net/plist, is built for honest files and follows
// such a list until memory ends. This package walks the list once beforehand, in time and memory proportional to
// its size, and hands it on only when the tree it describes is of ordinary size and depth. The OpenStep text form,
// which neither bundles nor signatures use, is refused.
package plist

import (
	"bytes"
	"fmt"

	hplist "howett.net/plist"
)

// Limits of what [Unmarshal] reads. The largest Info.plist files in the field have some hundred kilobytes, a few
// thousand values and a depth below ten.
const (
	MaxBytes  = 4 << 20 // size of the file
	MaxValues = 1 << 15 // values of the tree, with what is referred to n times counted n times
	MaxDepth  = 64      // dictionaries and arrays within each other
)

// SyntaxError says where and why a property list cannot be read.
type SyntaxError struct {
	Offset int64 // into the property list, in bytes
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("property list: offset %#x: %s", e.Offset, e.Reason)
}

// IsBinary reports whether data, or the first eight bytes of it, begins a binary property list.
func IsBinary(data []byte) bool { return bytes.HasPrefix(data, []byte("bplist")) }

// Unmarshal decodes an XML or binary property list into the value that v points to: a struct with `plist:"key"` tags, a
// map, or an any, which receives map[string]any, []any, string, uint64, int64 (negative numbers), float64, float32,
// bool, []byte, time.Time or UID. What is not a property list, or exceeds the limits, gives a [*SyntaxError]; a value
// whose type does not fit v gives an error that names both types.
func Unmarshal(data []byte, v any) (err error) {
	if len(data) > MaxBytes {
		return &SyntaxError{0, fmt.Sprintf("%d bytes are more than the limit of %d", len(data), MaxBytes)}
	}
	if IsBinary(data) {
		err = checkBinary(data)
	} else {
		err = checkXML(data)
	}
	if err != nil {
		return err
	}
	// The decoder answers some malformed objects with an index out of range.
	defer func() {
		if r := recover(); r != nil {
			err = &SyntaxError{0, fmt.Sprintf("malformed: %v", r)}
		}
	}()
	if _, err := hplist.Unmarshal(data, v); err != nil {
		return fmt.Errorf("property list: %w", err)
	}
	return nil
}
