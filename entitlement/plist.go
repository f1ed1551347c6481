package entitlement

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"

	"portcullis.dev/plist"
)

// ParsePlist reads entitlements from an XML or a binary property list whose root is a dictionary. Entries of XML know
// their line.
func ParsePlist(data []byte) (*Set, error) {
	dict, format, err := readPlist(data)
	if err != nil {
		return nil, err
	}
	return makeSet(data, format, dict)
}

// readPlist decodes a property list whose root is a dictionary.
func readPlist(data []byte) (map[string]any, Format, error) {
	format := sniffPlist(data)
	if format == "" {
		return nil, "", errors.New("offset 0: neither an XML nor a binary property list")
	}
	var root any
	if err := plist.Unmarshal(data, &root); err != nil {
		return nil, "", err
	}
	dict, ok := root.(map[string]any)
	if !ok {
		return nil, "", fmt.Errorf("%s: the root is not a dictionary", describeFormat(format))
	}
	return dict, format, nil
}

func describeFormat(f Format) string {
	if f == FormatXML {
		return "XML property list"
	}
	return string(f)
}

// sniffPlist tells the encoding from the first bytes; "" for anything that is no property list entitlements come in.
func sniffPlist(data []byte) Format {
	if bytes.HasPrefix(data, []byte("bplist")) {
		return FormatBinary
	}
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n")
	if bytes.HasPrefix(data, []byte("<")) {
		return FormatXML
	}
	return ""
}

// makeSet turns a decoded dictionary into a set. For XML, data is the text that dict was read from: it gives the
// order, the lines and the repeated keys.
func makeSet(data []byte, format Format, dict map[string]any) (*Set, error) {
	set := &Set{Format: format}
	values := make(map[string]Value, len(dict))
	for k, raw := range dict {
		v, err := valueOf(raw, 0)
		if err != nil {
			return nil, fmt.Errorf("%s: key %q: %w", describeFormat(format), k, err)
		}
		values[k] = v
	}
	if format == FormatXML {
		lines, err := keyLines(data)
		if err != nil {
			return nil, fmt.Errorf("XML property list: %w", err)
		}
		for i, kl := range lines {
			v, ok := values[kl.key]
			if !ok {
				continue
			}
			at := Origin{Format: format, Line: kl.line}
			if slices.ContainsFunc(lines[i+1:], func(later keyLine) bool { return later.key == kl.key }) {
				set.Repeated = append(set.Repeated, Entry{Key: kl.key, At: at})
				continue
			}
			set.Entries = append(set.Entries, Entry{kl.key, v, at})
			delete(values, kl.key)
		}
	}
	rest := make([]string, 0, len(values))
	for k := range values {
		rest = append(rest, k)
	}
	slices.Sort(rest)
	for _, k := range rest {
		set.Entries = append(set.Entries, Entry{k, values[k], Origin{Format: format}})
	}
	return set, nil
}

// valueOf converts what a property list decoder yields.
func valueOf(raw any, depth int) (Value, error) {
	if depth > plist.MaxDepth {
		return Value{}, fmt.Errorf("nested deeper than %d", plist.MaxDepth)
	}
	switch x := raw.(type) {
	case bool:
		return Bool(x), nil
	case int64:
		return Int(x), nil
	case uint64:
		return Value{Kind: KindInteger, Int: new(big.Int).SetUint64(x)}, nil
	case string:
		return String(x), nil
	case []byte:
		return Data(x), nil
	case float32:
		return Value{Kind: KindReal, Real: float64(x)}, nil
	case float64:
		return Value{Kind: KindReal, Real: x}, nil
	case time.Time:
		return Value{Kind: KindDate, Date: x}, nil
	case []any:
		v := Value{Kind: KindArray}
		for _, e := range x {
			item, err := valueOf(e, depth+1)
			if err != nil {
				return v, err
			}
			v.List = append(v.List, item)
		}
		return v, nil
	case map[string]any:
		var pairs []Pair
		for k, e := range x {
			item, err := valueOf(e, depth+1)
			if err != nil {
				return Value{}, err
			}
			pairs = append(pairs, Pair{k, item})
		}
		return Dict(pairs...), nil
	}
	return Value{}, fmt.Errorf("a value of type %T is no entitlement", raw)
}

type keyLine struct {
	key  string
	line int
}

// rootKey is the path of a key of the root dictionary; like the decoder, keyLines does without <plist>.
var rootKey = []string{"plist", "dict", "key"}

// keyLines walks the XML text and returns the keys of the root dictionary with the line on which each <key> starts.
func keyLines(data []byte) ([]keyLine, error) {
	var (
		out     []keyLine
		path    []string
		text    []byte
		start   int // line of the <key> that is open
		line    = 1
		counted int64
	)
	dec := xml.NewDecoder(bytes.NewReader(data))
	for {
		before := dec.InputOffset()
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		line += bytes.Count(data[counted:before], []byte("\n"))
		counted = before
		inKey := slices.Equal(path, rootKey) || slices.Equal(path, rootKey[1:])
		switch t := tok.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			text, start = text[:0], line
		case xml.CharData:
			if inKey {
				text = append(text, t...)
			}
		case xml.EndElement:
			if inKey {
				out = append(out, keyLine{string(text), start})
			}
			if path = path[:len(path)-1]; len(path) == 0 {
				return out, nil // what follows is padding
			}
		}
	}
}
