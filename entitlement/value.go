package entitlement

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is the type of a [Value]. The type decides as much as the value: the kernel treats the integer 2 and the string
// "2" differently.
type Kind uint8

const (
	KindInvalid Kind = iota
	KindBool
	KindInteger
	KindString
	KindArray
	KindDict
	KindData
	KindReal // property lists only; DER entitlements cannot hold it
	KindDate // property lists only; DER entitlements cannot hold it
)

var kindNames = [...]string{"invalid", "boolean", "integer", "string", "array", "dictionary", "data", "real", "date"}

// String returns the name of the type as property lists call it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

// WithArticle returns "an integer", "a string".
func (k Kind) WithArticle() string {
	if k == KindInteger || k == KindArray || k == KindInvalid {
		return "an " + k.String()
	}
	return "a " + k.String()
}

// Pair is one key and value of a dictionary value.
type Pair struct {
	Key   string
	Value Value
}

// Value is an entitlement's value. Only the field that Kind names is meaningful.
type Value struct {
	Kind Kind
	Bool bool
	Int  *big.Int // arbitrary size: DER sets no limit, and a reader must not wrap around
	Str  string
	List []Value
	Dict []Pair // sorted by key, bytewise
	Data []byte
	Real float64
	Date time.Time
}

// Bool returns a boolean value.
func Bool(b bool) Value { return Value{Kind: KindBool, Bool: b} }

// Int returns an integer value.
func Int(i int64) Value { return Value{Kind: KindInteger, Int: big.NewInt(i)} }

// String returns a string value.
func String(s string) Value { return Value{Kind: KindString, Str: s} }

// Array returns an array value.
func Array(v ...Value) Value { return Value{Kind: KindArray, List: v} }

// Data returns a data value, which DER writes as an OCTET STRING.
func Data(b []byte) Value { return Value{Kind: KindData, Data: b} }

// Dict returns a dictionary value; pairs are sorted by key, and of a repeated key the last stays.
func Dict(pairs ...Pair) Value {
	sorted := slices.Clone(pairs)
	slices.SortStableFunc(sorted, func(a, b Pair) int { return cmp.Compare(a.Key, b.Key) })
	kept := sorted[:0]
	for i, p := range sorted {
		if i+1 < len(sorted) && sorted[i+1].Key == p.Key {
			continue
		}
		kept = append(kept, p)
	}
	return Value{Kind: KindDict, Dict: kept}
}

// IsTrue reports whether the value is the boolean true.
func (v Value) IsTrue() bool { return v.Kind == KindBool && v.Bool }

// IsFalse reports whether the value is the boolean false.
func (v Value) IsFalse() bool { return v.Kind == KindBool && !v.Bool }

// Equal reports whether both values have the same type and content.
func (v Value) Equal(w Value) bool {
	if v.Kind != w.Kind {
		return false
	}
	switch v.Kind {
	case KindBool:
		return v.Bool == w.Bool
	case KindInteger:
		return v.Int.Cmp(w.Int) == 0
	case KindString:
		return v.Str == w.Str
	case KindArray:
		return slices.EqualFunc(v.List, w.List, Value.Equal)
	case KindDict:
		return slices.EqualFunc(v.Dict, w.Dict, func(a, b Pair) bool { return a.Key == b.Key && a.Value.Equal(b.Value) })
	case KindData:
		return bytes.Equal(v.Data, w.Data)
	case KindReal:
		return math.Float64bits(v.Real) == math.Float64bits(w.Real)
	case KindDate:
		return v.Date.Equal(w.Date)
	}
	return true
}

// String returns the value for a message: strings quoted, long values cut.
func (v Value) String() string {
	const most = 80
	s := v.text()
	if len(s) > most {
		cut := most
		for cut > 0 && s[cut]&0xc0 == 0x80 {
			cut--
		}
		return s[:cut] + "…"
	}
	return s
}

func (v Value) text() string {
	switch v.Kind {
	case KindBool:
		return strconv.FormatBool(v.Bool)
	case KindInteger:
		if v.Int.BitLen() > 256 {
			return fmt.Sprintf("an integer of %d bits", v.Int.BitLen())
		}
		return v.Int.String()
	case KindString:
		return strconv.Quote(v.Str)
	case KindArray:
		parts := make([]string, len(v.List))
		for i, e := range v.List {
			parts[i] = e.String()
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case KindDict:
		parts := make([]string, len(v.Dict))
		for i, p := range v.Dict {
			parts[i] = strconv.Quote(p.Key) + ": " + p.Value.String()
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case KindData:
		return fmt.Sprintf("%d bytes of data", len(v.Data))
	case KindReal:
		return strconv.FormatFloat(v.Real, 'g', -1, 64)
	case KindDate:
		return v.Date.UTC().Format(time.RFC3339)
	}
	return "nothing"
}

// MarshalJSON implements json.Marshaler: booleans, strings, arrays and objects as JSON has them, integers as numbers
// whatever their size, data in base64, dates in RFC 3339.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.Kind {
	case KindBool:
		return json.Marshal(v.Bool)
	case KindInteger:
		return []byte(v.Int.String()), nil
	case KindString:
		return json.Marshal(v.Str)
	case KindArray:
		if v.List == nil {
			return []byte("[]"), nil
		}
		return json.Marshal(v.List)
	case KindDict:
		var b bytes.Buffer
		b.WriteByte('{')
		for i, p := range v.Dict {
			if i > 0 {
				b.WriteByte(',')
			}
			key, err := json.Marshal(p.Key)
			if err != nil {
				return nil, err
			}
			val, err := json.Marshal(p.Value)
			if err != nil {
				return nil, err
			}
			b.Write(key)
			b.WriteByte(':')
			b.Write(val)
		}
		b.WriteByte('}')
		return b.Bytes(), nil
	case KindData:
		return json.Marshal(base64.StdEncoding.EncodeToString(v.Data))
	case KindReal:
		if math.IsNaN(v.Real) || math.IsInf(v.Real, 0) {
			return json.Marshal(v.text())
		}
		return json.Marshal(v.Real)
	case KindDate:
		return json.Marshal(v.text())
	}
	return []byte("null"), nil
}
