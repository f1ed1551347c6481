package plist

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

// checkXML reads the tokens of an XML property list up to the end of its outermost element and counts them. The decoder
// stops there as well, so what follows (entitlements in signatures are sometimes padded with zeros) is not looked at.
func checkXML(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	depth, values := 0, 0
	for {
		at := d.InputOffset()
		tok, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return &SyntaxError{at, "neither an XML nor a binary property list"}
		case err != nil:
			return &SyntaxError{d.InputOffset(), err.Error()}
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth == 0 && tok.Name.Local != "plist" && tok.Name.Local != "dict" {
				return &SyntaxError{at, "neither an XML nor a binary property list: <" + tok.Name.Local + ">"}
			}
			if depth++; depth > MaxDepth+2 { // <plist> outside and the innermost leaf are no containers
				return fail(int(at), "nested more than %d deep", MaxDepth)
			}
			if tok.Name.Local != "key" && tok.Name.Local != "plist" {
				values++
			}
			if values > MaxValues {
				return fail(int(at), "more than %d values", MaxValues)
			}
		case xml.EndElement:
			if depth--; depth == 0 {
				if values == 0 {
					return &SyntaxError{at, "empty"}
				}
				return nil
			}
		case xml.CharData:
			if depth == 0 && len(bytes.Trim(tok, " \t\r\n\ufeff")) > 0 {
				return &SyntaxError{at, "neither an XML nor a binary property list"}
			}
		}
	}
}
