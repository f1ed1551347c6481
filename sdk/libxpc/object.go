//go:build linux && cgo

// Command libxpc is a shared library: package xpc for C programs, under the names of Apple's <xpc/xpc.h>.
//
//	go build -buildmode=c-shared -o libxpc.so ./sdk/libxpc
//	cc -Isdk/include program.c -L. -lxpc
//
// The C half (object.c, connection.c) has objects that are counted and the public functions; what an object is, Go
// knows, by a handle.
package main

// #cgo CFLAGS: -std=c11 -Wall -Wextra -Wno-unused-parameter
// #include <stdlib.h>
// #include "object.h"
import "C"

import (
	"fmt"
	"math"
	"runtime/cgo"
	"sync"
	"unsafe"

	"portcullis.dev/xpc"
)

func main() {}

// Kinds of objects, in the order of the table in object.c.
const (
	kindNull = iota
	kindBool
	kindInt64
	kindUint64
	kindDouble
	kindDate
	kindData
	kindString
	kindUUID
	kindArray
	kindDictionary
	kindConnection
	kindEndpoint
	_ // errors
	kindFD
	kindSharedMemory
)

// object is what a C object stands for.
type object struct {
	value xpc.Value
	array xpc.Array    // of arrays, which grow
	from  *xpc.Message // of a dictionary that was received: it can be answered
	reply *xpc.Message // of a dictionary that is the answer to this
	conn  *connection

	remote *connection // that a dictionary came over

	mu       sync.Mutex
	children map[any]unsafe.Pointer // objects lent to C, by key or index; they live as long as this one
	pointer  unsafe.Pointer         // C copy of text or bytes

	things []xpc.Value // files and shared memory that are in it from its beginning
}

// create makes a C object, which its caller holds.
func create(kind int, o *object) unsafe.Pointer {
	o.things = use(o.array, use(o.value, nil))
	return C.object_new(C.int(kind), C.uintptr_t(cgo.NewHandle(o)))
}

func of(h C.uintptr_t) *object { return cgo.Handle(h).Value().(*object) }

// wrap makes a C object of a value.
func wrap(v xpc.Value) unsafe.Pointer {
	switch v := v.(type) {
	case xpc.Bool:
		return create(kindBool, &object{value: v})
	case xpc.Int64:
		return create(kindInt64, &object{value: v})
	case xpc.Uint64:
		return create(kindUint64, &object{value: v})
	case xpc.Double:
		return create(kindDouble, &object{value: v})
	case xpc.Date:
		return create(kindDate, &object{value: v})
	case xpc.Data:
		return create(kindData, &object{value: v})
	case xpc.String:
		return create(kindString, &object{value: v})
	case xpc.UUID:
		return create(kindUUID, &object{value: v})
	case xpc.Array:
		return create(kindArray, &object{array: v})
	case *xpc.Dictionary:
		return create(kindDictionary, &object{value: v})
	case *xpc.Endpoint:
		return create(kindEndpoint, &object{value: v})
	case *xpc.FD:
		return create(kindFD, &object{value: v})
	case *xpc.SharedMemory:
		return create(kindSharedMemory, &object{value: v})
	}
	return create(kindNull, &object{value: xpc.Null{}})
}

// content returns the value of an object, with what C has done to its parts since they were put in or lent.
func (o *object) content() xpc.Value {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, p := range o.children {
		switch v := owner(p).content(); key := key.(type) {
		case string:
			o.dictionary().Set(key, v)
		case int:
			o.array[key] = v
		}
	}
	switch {
	case o.conn != nil:
		return xpc.Null{} // connections do not travel
	case o.value == nil:
		return o.array
	}
	return o.value
}

// clone copies a value, so that what C does to the original afterwards does not change it.
func clone(v xpc.Value) xpc.Value {
	switch v := v.(type) {
	case xpc.Array:
		a := make(xpc.Array, len(v))
		for i := range v {
			a[i] = clone(v[i])
		}
		return a
	case *xpc.Dictionary:
		d := xpc.NewDictionary()
		for k, e := range v.All() {
			d.Set(k, clone(e))
		}
		return d
	}
	return v
}

func (o *object) dictionary() *xpc.Dictionary {
	d, _ := o.value.(*xpc.Dictionary)
	return d
}

// lend returns the C object for a part of o.
func (o *object) lend(key any, v xpc.Value) unsafe.Pointer {
	if v == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.children[key]; p != nil {
		return p
	}
	if o.children == nil {
		o.children = make(map[any]unsafe.Pointer)
	}
	p := wrap(v)
	o.children[key] = p
	return p
}

// hold keeps what C put in under a key, nil for nothing, in place of what was there.
func (o *object) hold(key any, p unsafe.Pointer) {
	if p != nil {
		C.object_retain(p)
	}
	o.mu.Lock()
	old := o.children[key]
	if o.children == nil {
		o.children = make(map[any]unsafe.Pointer)
	}
	if p == nil {
		delete(o.children, key)
	} else {
		o.children[key] = p
	}
	o.mu.Unlock()
	if old != nil {
		C.object_release(old)
	}
}

//export goRelease
func goRelease(h C.uintptr_t) {
	o := of(h)
	cgo.Handle(h).Delete()
	for _, p := range o.children {
		C.object_release(p)
	}
	C.free(o.pointer)
	defer drop(o.things)
	for _, m := range []*xpc.Message{o.from, o.reply} {
		if m != nil {
			m.Drop() // nothing, if it has been answered
		}
	}
	if o.conn != nil {
		o.conn.finalize()
	}
}

//export goEqual
func goEqual(a, b C.uintptr_t) C.uchar {
	x, y := of(a), of(b)
	if x.conn != nil || y.conn != nil {
		return boolean(x.conn == y.conn)
	}
	return boolean(xpc.Equal(x.content(), y.content()))
}

func boolean(b bool) C.uchar {
	if b {
		return 1
	}
	return 0
}

//export goDescribe
func goDescribe(h C.uintptr_t) *C.char {
	o := of(h)
	if o.conn != nil {
		return C.CString(fmt.Sprintf("connection %q", o.conn.name))
	}
	d := xpc.NewDictionary().Set("", o.content()).String()
	return C.CString(d[len(`{"": `) : len(d)-1])
}

//export goNull
func goNull() unsafe.Pointer { return wrap(xpc.Null{}) }

//export goArray
func goArray() unsafe.Pointer { return wrap(xpc.Array{}) }

//export goDictionary
func goDictionary() unsafe.Pointer { return wrap(xpc.NewDictionary()) }

//export goNumber
func goNumber(kind C.int, bits C.uint64_t) unsafe.Pointer {
	switch kind {
	case kindBool:
		return wrap(xpc.Bool(bits != 0))
	case kindInt64:
		return wrap(xpc.Int64(bits))
	case kindUint64:
		return wrap(xpc.Uint64(bits))
	case kindDouble:
		return wrap(xpc.Double(math.Float64frombits(uint64(bits))))
	}
	return wrap(xpc.Date(bits))
}

//export goValue
func goValue(h C.uintptr_t, kind C.int) C.uint64_t {
	if h == 0 {
		return 0
	}
	switch v := of(h).value.(type) {
	case xpc.Bool:
		if kind == kindBool && v {
			return 1
		}
	case xpc.Int64:
		if kind == kindInt64 {
			return C.uint64_t(v)
		}
	case xpc.Uint64:
		if kind == kindUint64 {
			return C.uint64_t(v)
		}
	case xpc.Double:
		if kind == kindDouble {
			return C.uint64_t(math.Float64bits(float64(v)))
		}
	case xpc.Date:
		if kind == kindDate {
			return C.uint64_t(v)
		}
	}
	return 0
}

//export goBytes
func goBytes(kind C.int, p unsafe.Pointer, n C.size_t) unsafe.Pointer {
	b := C.GoBytes(p, C.int(n))
	switch kind {
	case kindString:
		return wrap(xpc.String(b))
	case kindUUID:
		return wrap(xpc.UUID(b))
	}
	return wrap(xpc.Data(b))
}

func (o *object) bytes(kind C.int) ([]byte, bool) {
	switch v := o.value.(type) {
	case xpc.Data:
		return v, kind == kindData
	case xpc.String:
		return []byte(v), kind == kindString
	case xpc.UUID:
		return v[:], kind == kindUUID
	}
	return nil, false
}

//export goLength
func goLength(h C.uintptr_t, kind C.int) C.size_t {
	if h == 0 {
		return 0
	}
	if b, ok := of(h).bytes(kind); ok {
		return C.size_t(len(b))
	}
	return 0
}

//export goPointer
func goPointer(h C.uintptr_t, kind C.int) unsafe.Pointer {
	if h == 0 {
		return nil
	}
	o := of(h)
	b, ok := o.bytes(kind)
	if !ok {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pointer == nil {
		o.pointer = C.CBytes(append(b[:len(b):len(b)], 0))
	}
	return o.pointer
}

// last is XPC_ARRAY_APPEND.
const last = ^C.size_t(0)

//export goSetIndex
func goSetIndex(h C.uintptr_t, i C.size_t, p unsafe.Pointer) {
	o := of(h)
	if i == last {
		i = C.size_t(len(o.array))
		o.array = append(o.array, xpc.Null{})
	}
	if p != nil && i < C.size_t(len(o.array)) {
		o.array[i] = owner(p).content()
		o.hold(int(i), p)
	}
}

//export goIndex
func goIndex(h C.uintptr_t, i C.size_t) unsafe.Pointer {
	o := of(h)
	if i >= C.size_t(len(o.array)) {
		return nil
	}
	return o.lend(int(i), o.array[i])
}

//export goCount
func goCount(h C.uintptr_t) C.size_t {
	o := of(h)
	if d := o.dictionary(); d != nil {
		return C.size_t(d.Len())
	}
	return C.size_t(len(o.array))
}

//export goSetKey
func goSetKey(h C.uintptr_t, key *C.char, p unsafe.Pointer) {
	o, k := of(h), C.GoString(key)
	d := o.dictionary()
	if d == nil {
		return
	}
	if p == nil {
		d.Set(k, nil)
	} else {
		d.Set(k, owner(p).content())
	}
	o.hold(k, p)
}

//export goKey
func goKey(h C.uintptr_t, key *C.char) unsafe.Pointer {
	o, k := of(h), C.GoString(key)
	return o.lend(k, o.dictionary().Get(k))
}

//export goApply
func goApply(h C.uintptr_t, context, f unsafe.Pointer) C.uchar {
	o := of(h)
	for k, v := range o.dictionary().All() {
		key := C.CString(k)
		more := C.call_pair(C.call_pair_t(f), context, key, o.lend(k, v))
		C.free(unsafe.Pointer(key))
		if more == 0 {
			return 0
		}
	}
	return 1
}
