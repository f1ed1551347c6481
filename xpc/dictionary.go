package xpc

import (
	"fmt"
	"iter"
	"strings"
)

// Dictionary is keys and values in the order in which they were put in. The zero value is empty. It is not safe for
// use by several goroutines while one changes it.
type Dictionary struct {
	pairs []pair
	index map[string]int // of large dictionaries
}

type pair struct {
	key   string
	value Value
}

// indexFrom is how many pairs are searched one by one.
const indexFrom = 12

// NewDictionary returns an empty dictionary.
func NewDictionary() *Dictionary { return &Dictionary{} }

// Len returns the number of pairs.
func (d *Dictionary) Len() int {
	if d == nil {
		return 0
	}
	return len(d.pairs)
}

func (d *Dictionary) find(key string) int {
	if d == nil {
		return -1
	}
	if d.index != nil {
		if i, ok := d.index[key]; ok {
			return i
		}
		return -1
	}
	for i := range d.pairs {
		if d.pairs[i].key == key {
			return i
		}
	}
	return -1
}

// Set puts a value under a key in place of what was there, and returns d. A nil value removes the key.
func (d *Dictionary) Set(key string, v Value) *Dictionary {
	i := d.find(key)
	switch {
	case v == nil && i >= 0:
		d.pairs = append(d.pairs[:i], d.pairs[i+1:]...)
		d.index = nil
		d.reindex()
	case v == nil:
	case i >= 0:
		d.pairs[i].value = v
	default:
		d.pairs = append(d.pairs, pair{key, v})
		if d.index != nil {
			d.index[key] = len(d.pairs) - 1
		} else {
			d.reindex()
		}
	}
	return d
}

func (d *Dictionary) reindex() {
	if len(d.pairs) <= indexFrom {
		return
	}
	d.index = make(map[string]int, len(d.pairs))
	for i := range d.pairs {
		d.index[d.pairs[i].key] = i
	}
}

// Get returns the value of a key, nil if there is none.
func (d *Dictionary) Get(key string) Value {
	if i := d.find(key); i >= 0 {
		return d.pairs[i].value
	}
	return nil
}

// All goes through the pairs in order.
func (d *Dictionary) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if d == nil {
			return
		}
		for _, p := range d.pairs {
			if !yield(p.key, p.value) {
				return
			}
		}
	}
}

// Values of a kind; what is not there, or of another kind, is the zero value, as with Apple's xpc_dictionary_get_
// calls.

func (d *Dictionary) Bool(key string) bool          { v, _ := d.Get(key).(Bool); return bool(v) }
func (d *Dictionary) Int64(key string) int64        { v, _ := d.Get(key).(Int64); return int64(v) }
func (d *Dictionary) Uint64(key string) uint64      { v, _ := d.Get(key).(Uint64); return uint64(v) }
func (d *Dictionary) Double(key string) float64     { v, _ := d.Get(key).(Double); return float64(v) }
func (d *Dictionary) Text(key string) string        { v, _ := d.Get(key).(String); return string(v) }
func (d *Dictionary) Data(key string) []byte        { v, _ := d.Get(key).(Data); return v }
func (d *Dictionary) Array(key string) Array        { v, _ := d.Get(key).(Array); return v }
func (d *Dictionary) Dict(key string) *Dictionary   { v, _ := d.Get(key).(*Dictionary); return v }
func (d *Dictionary) Endpoint(key string) *Endpoint { v, _ := d.Get(key).(*Endpoint); return v }

func (d *Dictionary) equal(o *Dictionary) bool {
	if d.Len() != o.Len() {
		return false
	}
	for k, v := range d.All() {
		if w := o.Get(k); w == nil || !Equal(v, w) {
			return false
		}
	}
	return true
}

// String describes the dictionary for people to read.
func (d *Dictionary) String() string {
	var b strings.Builder
	describe(&b, d)
	return b.String()
}

func describe(b *strings.Builder, v Value) {
	switch v := v.(type) {
	case *Dictionary:
		b.WriteByte('{')
		for i, p := range v.pairs {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(b, "%q: ", p.key)
			describe(b, p.value)
		}
		b.WriteByte('}')
	case Array:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			describe(b, e)
		}
		b.WriteByte(']')
	case String:
		fmt.Fprintf(b, "%q", string(v))
	case Data:
		fmt.Fprintf(b, "data(%d bytes)", len(v))
	case Date:
		b.WriteString(v.Time().Format("2006-01-02T15:04:05.999999999Z"))
	case Bool, Int64, Uint64, Double, UUID:
		fmt.Fprint(b, v)
	default:
		b.WriteString(v.Type().String())
	}
}
