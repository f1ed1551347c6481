package lenient

import (
	"reflect"
	"strings"
	"sync"
)

// Unmarshaler is implemented by types that read themselves. It reports whether the value had the right form.
type Unmarshaler interface{ UnmarshalLenient(Raw) bool }

// Mismatch is a value of another type than the field it was meant for.
type Mismatch struct {
	Path  string // keys from the top, with dots
	Value Raw
}

// Limits of what one call of Decode keeps, so that a text cannot ask for many times its size in memory. Lists in crash
// reports have some hundred elements, and hardly ever a wrong type.
const (
	maxElements   = 100_000
	maxMismatches = 1000
)

// Decode fills the struct that v points to from an object, by json tags. A value of the wrong type leaves its field
// alone and is returned as a mismatch; a cut or defective text fills what stands before the defect. A struct may have
// two fields of the package's own: one of type [Extra], which receives members that have no field and mismatches, and
// one of type [Keys], which receives the keys in the order of the text.
func Decode(r Raw, v any) ([]Mismatch, *Error) {
	d := decoder{}
	err := d.object(r, reflect.ValueOf(v).Elem(), "")
	return d.wrong, err
}

// DecodeMembers is [Decode] for an object that stands in a longer text: b[i] is the first byte behind its opening brace,
// or the first member of a piece whose brace is missing. It returns the index behind the closing brace, or behind the
// last member that was understood.
func DecodeMembers(b []byte, i int, v any) ([]Mismatch, int, *Error) {
	d := decoder{}
	end, err := members(b, i, d.member(reflect.ValueOf(v).Elem(), ""))
	return d.wrong, end, err
}

// Extra holds the members of an object that the struct it was read into has no field for.
type Extra map[string]Raw

// Keys holds the keys of an object in the order of the text.
type Keys []string

type fields struct {
	byKey       map[string]int
	order       []string
	extra, keys int // index of the field of that type, -1 where the struct has none
}

var (
	fieldCache      sync.Map // reflect.Type -> *fields
	extraType       = reflect.TypeFor[Extra]()
	keysType        = reflect.TypeFor[Keys]()
	rawType         = reflect.TypeFor[Raw]()
	unmarshalerType = reflect.TypeFor[Unmarshaler]()
)

func fieldsOf(t reflect.Type) *fields {
	if f, ok := fieldCache.Load(t); ok {
		return f.(*fields)
	}
	f := &fields{byKey: map[string]int{}, extra: -1, keys: -1}
	for i := range t.NumField() {
		sf := t.Field(i)
		switch sf.Type {
		case extraType:
			f.extra = i
			continue
		case keysType:
			f.keys = i
			continue
		}
		key, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if key == "" || key == "-" || !sf.IsExported() {
			continue
		}
		f.byKey[key] = i
		f.order = append(f.order, key)
	}
	fieldCache.Store(t, f)
	return f
}

type decoder struct{ wrong []Mismatch }

func (d *decoder) object(r Raw, v reflect.Value, path string) *Error {
	return r.Members(d.member(v, path))
}

// member returns the function that stores one member of an object in v.
func (d *decoder) member(v reflect.Value, path string) func(key []byte, value Raw) bool {
	f := fieldsOf(v.Type())
	var seen map[string]bool
	if f.keys >= 0 {
		seen = map[string]bool{}
	}
	return func(key []byte, value Raw) bool {
		i, known := f.byKey[string(key)]
		if !known && f.extra < 0 && f.keys < 0 {
			return true
		}
		name := string(key)
		if f.keys >= 0 && !seen[name] {
			seen[name] = true
			k := v.Field(f.keys)
			k.Set(reflect.Append(k, reflect.ValueOf(name)))
		}
		if known {
			if f.extra >= 0 {
				v.Field(i).SetZero() // the last of several members of a name counts
			}
			if d.value(value, v.Field(i), path+name) {
				if f.extra >= 0 {
					delete(v.Field(f.extra).Interface().(Extra), name)
				}
				return true
			}
		}
		if f.extra >= 0 {
			e := v.Field(f.extra)
			if e.IsNil() {
				e.Set(reflect.MakeMap(extraType))
			}
			e.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value))
		}
		if known && !value.Null() && len(d.wrong) < maxMismatches {
			d.wrong = append(d.wrong, Mismatch{path + name, value})
		}
		return true
	}
}

// value fills v from r and reports whether r had the right form.
func (d *decoder) value(r Raw, v reflect.Value, path string) bool {
	if v.CanAddr() && v.Addr().Type().Implements(unmarshalerType) {
		return v.Addr().Interface().(Unmarshaler).UnmarshalLenient(r)
	}
	if v.Type() == rawType {
		v.SetBytes(r)
		return true
	}
	switch v.Kind() {
	case reflect.String:
		s, ok := r.String()
		if ok {
			v.SetString(s)
		}
		return ok
	case reflect.Bool:
		b, ok := r.Bool()
		if ok {
			v.SetBool(b)
		}
		return ok
	case reflect.Int, reflect.Int64:
		if r.Kind() == '"' {
			return false
		}
		n, ok := r.Bits()
		if ok = ok && (int64(n) >= 0) == (r.Kind() != '-' || n == 0); ok {
			v.SetInt(int64(n))
		}
		return ok
	case reflect.Uint64:
		n, ok := r.Bits()
		if ok && r.Kind() != '"' {
			v.SetUint(n)
			return true
		}
		return false
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if !d.value(r, p.Elem(), path) {
			return false
		}
		v.Set(p)
		return true
	case reflect.Struct:
		if r.Kind() != '{' {
			return false
		}
		_ = d.object(r, v, path+".") // a defect inside is one of the whole, found by the caller's own scan
		return true
	case reflect.Slice:
		return d.slice(r, v, path)
	}
	return false
}

func (d *decoder) slice(r Raw, v reflect.Value, path string) bool {
	if r.Kind() != '[' {
		return false
	}
	out := reflect.MakeSlice(v.Type(), 0, 4)
	whole := true
	full := false
	err := r.Elements(func(i int, value Raw) bool {
		if i == maxElements {
			full, whole = true, false
			return false
		}
		e := reflect.New(v.Type().Elem()).Elem()
		whole = d.value(value, e, path) && whole
		out = reflect.Append(out, e)
		return true
	})
	if whole || full || err != nil { // what stands before a cut is worth having
		v.Set(out)
	}
	return whole
}
