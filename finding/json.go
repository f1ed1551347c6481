package finding

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// WriteJSON writes a report as JSON: the form that scripts rely on, see [Schema]. Keys keep their order, lists are
// never null, and characters that a terminal would act upon are written as \u escapes.
func WriteJSON(w io.Writer, r *Report) error {
	r.Finish()
	return writeJSON(w, r)
}

// writeJSON writes any value as indented JSON with a final newline.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for data := b.Bytes(); len(data) > 0; {
		n := plainRun(data)
		out.Write(data[:n]) // errors stay with out until Flush
		if data = data[n:]; len(data) == 0 {
			break
		}
		r, size := utf8.DecodeRune(data)
		switch {
		case r == '\x7f' || r > 0x7f && !showable(r):
			if r > 0xffff {
				r -= 0x10000
				fmt.Fprintf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			} else {
				fmt.Fprintf(out, `\u%04x`, r)
			}
		default:
			out.Write(data[:size])
		}
		data = data[size:]
	}
	return out.Flush()
}

// plainRun counts the bytes before the first that may need an escape.
func plainRun(data []byte) int {
	for i, c := range data {
		if c >= 0x7f {
			return i
		}
	}
	return len(data)
}
