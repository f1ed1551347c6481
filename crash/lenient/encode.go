package lenient

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
)

// Encode writes a struct of the kind that [Decode] fills. Members come in the order of its [Keys]; fields that are not
// named there follow in the struct's own order unless they are zero, then the rest of [Extra] by name. What was decoded
// and is encoded again decodes to the same. A raw value that is no JSON is written as a string.
func Encode(v any) ([]byte, error) { return appendValue(nil, reflect.Indirect(reflect.ValueOf(v))) }

func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	switch {
	case v.Type() == rawType:
		return appendRaw(b, v.Bytes()), nil
	case v.Type().Implements(reflect.TypeFor[json.Marshaler]()):
		return appendJSON(b, v.Interface())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		return appendValue(b, v.Elem())
	case reflect.Struct:
		return appendStruct(b, v)
	case reflect.Slice:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendValue(b, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	return appendJSON(b, v.Interface())
}

func appendStruct(b []byte, v reflect.Value) ([]byte, error) {
	f := fieldsOf(v.Type())
	var extra Extra
	if f.extra >= 0 {
		extra = v.Field(f.extra).Interface().(Extra)
	}
	var keys []string
	seen := map[string]bool{}
	if f.keys >= 0 {
		for _, k := range v.Field(f.keys).Interface().(Keys) {
			if !seen[k] {
				seen[k] = true
				keys = append(keys, k)
			}
		}
	}
	for _, k := range f.order {
		if !seen[k] && !v.Field(f.byKey[k]).IsZero() {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	listed := len(keys)
	for k := range extra {
		if !seen[k] {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys[listed:])
	b = append(b, '{')
	for n, k := range keys {
		if n > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendJSON(b, k); err != nil {
			return nil, err
		}
		b = append(b, ':')
		if raw, ok := extra[k]; ok { // a value that its field could not hold
			b = appendRaw(b, raw)
			continue
		}
		i, ok := f.byKey[k]
		if !ok {
			return nil, fmt.Errorf("key %q is listed but has no value", k)
		}
		if b, err = appendValue(b, v.Field(i)); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// appendRaw writes a value that came from a text, in one line.
func appendRaw(b []byte, raw Raw) []byte {
	if len(raw) == 0 {
		return append(b, "null"...)
	}
	var buf bytes.Buffer
	if json.Compact(&buf, raw) == nil {
		return append(b, buf.Bytes()...)
	}
	text := string(raw)
	if s, ok := raw.String(); ok {
		text = s
	}
	b, _ = appendJSON(b, text) // a string always has a form in JSON
	return b
}

func appendJSON(b []byte, v any) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...), nil
}
