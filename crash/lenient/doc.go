// Package lenient reads JSON that people paste: cut off, wrapped by an editor, quoted in a mail, with trailing commas
// or escapes that JSON does not have.
//
// It is made for crash reports, where three things matter that encoding/json does not offer. A number stays the text it
// was, so that 64-bit codes keep every bit. A value that nobody asks for is skipped at the speed of a byte search, so
// that a report of 80 KB costs microseconds. And whatever stands before a defect is still delivered, with the offset of
// the defect beside it.
//
// A [Raw] is a value as it stands in the text. [Scan] finds where a value ends, [Raw.Members] and [Raw.Elements] walk
// it, and [Decode] fills a Go struct by its json tags. Nothing is validated that nobody looks at.
package lenient
