package xpc

import (
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"
)

// Go values and values of messages.
//
//	bool                  Bool
//	int, int8 … int64     Int64
//	uint, uint8 … uint64  Uint64
//	float32, float64      Double
//	string                String
//	[]byte                Data
//	[16]byte              UUID
//	time.Time             Date
//	*os.File              *FD
//	slice, array          Array
//	map[string]T          *Dictionary
//	struct                *Dictionary, a key for each exported field
//	pointer               what it points to; nil is left out of a dictionary and Null elsewhere
//	a Value               itself
//
// A field's key is its name, or what its tag says: `xpc:"key"`, `xpc:"key,omitempty"`, `xpc:"-"`.

// Encode makes a value of a Go value.
func Encode(v any) (Value, error) {
	return encodeGo(reflect.ValueOf(v), 0)
}

// Decode stores a value in what into points to. Keys that have no field are passed over, fields that have no key keep
// what they hold. Numbers that do not fit are an error.
func Decode(v Value, into any) error {
	r := reflect.ValueOf(into)
	if r.Kind() != reflect.Pointer || r.IsNil() {
		return fmt.Errorf("xpc: cannot decode into a %T", into)
	}
	return decodeGo(v, r.Elem(), "")
}

var (
	valueType = reflect.TypeFor[Value]()
	timeType  = reflect.TypeFor[time.Time]()
	fileType  = reflect.TypeFor[*os.File]()
)

type field struct {
	key   string
	index []int
	omit  bool
}

var fields sync.Map // reflect.Type to []field

func fieldsOf(t reflect.Type) []field {
	if f, ok := fields.Load(t); ok {
		return f.([]field)
	}
	var list []field
	for _, f := range reflect.VisibleFields(t) {
		tag, _ := f.Tag.Lookup("xpc")
		name, options, _ := strings.Cut(tag, ",")
		if !f.IsExported() || tag == "-" || len(f.Index) > 1 {
			continue
		}
		if name == "" {
			name = f.Name
		}
		list = append(list, field{name, f.Index, options == "omitempty"})
	}
	fields.Store(t, list)
	return list
}

func encodeGo(v reflect.Value, depth int) (Value, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("xpc: values lie more than %d deep within each other", MaxDepth)
	}
	if !v.IsValid() {
		return Null{}, nil
	}
	t := v.Type()
	switch {
	case t.Implements(valueType):
		if (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
			return Null{}, nil
		}
		return v.Interface().(Value), nil
	case t == timeType:
		return DateOf(v.Interface().(time.Time)), nil
	case t == fileType:
		if v.IsNil() {
			return Null{}, nil
		}
		return &FD{v.Interface().(*os.File)}, nil
	}
	switch v.Kind() {
	case reflect.Bool:
		return Bool(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return Int64(v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Uint64(v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return Double(v.Float()), nil
	case reflect.String:
		return String(v.String()), nil
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return Null{}, nil
		}
		return encodeGo(v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		return encodeList(v, depth)
	case reflect.Map:
		return encodeMap(v, depth)
	case reflect.Struct:
		return encodeStruct(v, depth)
	}
	return nil, fmt.Errorf("xpc: a %v cannot be encoded", t)
}

func encodeList(v reflect.Value, depth int) (Value, error) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		switch {
		case v.Kind() == reflect.Slice:
			return Data(v.Bytes()), nil
		case v.Len() == 16:
			var u UUID
			reflect.Copy(reflect.ValueOf(u[:]), v)
			return u, nil
		}
		b := make(Data, v.Len())
		reflect.Copy(reflect.ValueOf([]byte(b)), v)
		return b, nil
	}
	a := make(Array, 0, v.Len())
	for i := range v.Len() {
		e, err := encodeGo(v.Index(i), depth+1)
		if err != nil {
			return nil, err
		}
		a = append(a, e)
	}
	return a, nil
}

func encodeMap(v reflect.Value, depth int) (Value, error) {
	if v.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf("xpc: a %v cannot be encoded: keys are strings", v.Type())
	}
	d := &Dictionary{}
	for it := v.MapRange(); it.Next(); {
		e, err := encodeGo(it.Value(), depth+1)
		if err != nil {
			return nil, err
		}
		d.Set(it.Key().String(), e)
	}
	return d, nil
}

func encodeStruct(v reflect.Value, depth int) (Value, error) {
	list := fieldsOf(v.Type())
	d := &Dictionary{pairs: make([]pair, 0, len(list))}
	for _, f := range list {
		e := v.FieldByIndex(f.index)
		if f.omit && e.IsZero() {
			continue
		}
		value, err := encodeGo(e, depth+1)
		if err != nil {
			return nil, err
		}
		if _, null := value.(Null); !null || e.Type() == reflect.TypeFor[Null]() {
			d.Set(f.key, value)
		}
	}
	return d, nil
}

func mismatch(v Value, r reflect.Value, path string) error {
	kind := "nothing"
	if v != nil {
		kind = v.Type().String()
	}
	if path == "" {
		return fmt.Errorf("xpc: %s does not go into a %v", kind, r.Type())
	}
	return fmt.Errorf("xpc: %s: %s does not go into a %v", strings.TrimPrefix(path, "."), kind, r.Type())
}

func decodeGo(v Value, r reflect.Value, path string) error {
	t := r.Type()
	if v != nil && t.Implements(valueType) {
		if got := reflect.ValueOf(v); got.Type().AssignableTo(t) {
			r.Set(got)
			return nil
		}
		return mismatch(v, r, path)
	}
	if _, null := v.(Null); null {
		r.SetZero()
		return nil
	}
	switch {
	case t == timeType:
		if d, ok := v.(Date); ok {
			r.Set(reflect.ValueOf(d.Time()))
			return nil
		}
		return mismatch(v, r, path)
	case t == fileType:
		if f, ok := v.(*FD); ok {
			r.Set(reflect.ValueOf(f.File))
			return nil
		}
		return mismatch(v, r, path)
	case r.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		if err := decodeGo(v, p.Elem(), path); err != nil {
			return err
		}
		r.Set(p)
		return nil
	case r.Kind() == reflect.Interface && t.NumMethod() == 0:
		r.Set(reflect.ValueOf(v))
		return nil
	}
	switch v := v.(type) {
	case Bool:
		if r.Kind() == reflect.Bool {
			r.SetBool(bool(v))
			return nil
		}
	case Int64:
		return decodeInt(v, r, path, v >= 0, int64(v), uint64(v))
	case Uint64:
		return decodeInt(v, r, path, true, int64(min(v, math.MaxInt64)), uint64(v))
	case Double:
		if r.CanFloat() {
			r.SetFloat(float64(v))
			return nil
		}
	case String:
		if r.Kind() == reflect.String {
			r.SetString(string(v))
			return nil
		}
	case Data:
		return decodeBytes(v, v, r, path)
	case UUID:
		return decodeBytes(v, v[:], r, path)
	case Array:
		return decodeList(v, r, path)
	case *Dictionary:
		return decodeDictionary(v, r, path)
	}
	return mismatch(v, r, path)
}

func decodeInt(v Value, r reflect.Value, path string, positive bool, i int64, u uint64) error {
	switch {
	case r.CanInt() && (!positive || u <= math.MaxInt64) && !r.OverflowInt(i):
		r.SetInt(i)
	case r.CanUint() && positive && !r.OverflowUint(u):
		r.SetUint(u)
	case r.CanInt() || r.CanUint():
		return fmt.Errorf("xpc: %s: %v is out of the range of a %v", strings.TrimPrefix(path, "."), v, r.Type())
	default:
		return mismatch(v, r, path)
	}
	return nil
}

func decodeBytes(v Value, b []byte, r reflect.Value, path string) error {
	switch {
	case r.Kind() == reflect.Slice && r.Type().Elem().Kind() == reflect.Uint8:
		r.SetBytes(b)
	case r.Kind() == reflect.Array && r.Type().Elem().Kind() == reflect.Uint8 && r.Len() == len(b):
		reflect.Copy(r, reflect.ValueOf(b))
	default:
		return mismatch(v, r, path)
	}
	return nil
}

func decodeList(v Array, r reflect.Value, path string) error {
	switch {
	case r.Kind() == reflect.Slice:
		r.Set(reflect.MakeSlice(r.Type(), len(v), len(v)))
	case r.Kind() != reflect.Array || r.Len() != len(v):
		return mismatch(v, r, path)
	}
	for i, e := range v {
		if err := decodeGo(e, r.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func decodeDictionary(d *Dictionary, r reflect.Value, path string) error {
	switch {
	case r.Kind() == reflect.Map && r.Type().Key().Kind() == reflect.String:
		m := reflect.MakeMapWithSize(r.Type(), d.Len())
		for k, v := range d.All() {
			e := reflect.New(r.Type().Elem()).Elem()
			if err := decodeGo(v, e, path+"."+k); err != nil {
				return err
			}
			m.SetMapIndex(reflect.ValueOf(k).Convert(r.Type().Key()), e)
		}
		r.Set(m)
		return nil
	case r.Kind() == reflect.Struct:
		for _, f := range fieldsOf(r.Type()) {
			if v := d.Get(f.key); v != nil {
				if err := decodeGo(v, r.FieldByIndex(f.index), path+"."+f.key); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return mismatch(d, r, path)
}
