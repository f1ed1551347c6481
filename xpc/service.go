package xpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"portcullis.dev/mach"
)

// Keys of typed calls.
const (
	keyMethod    = "method"
	keyArguments = "arguments"
	keyResult    = "result"
	keyError     = "error"
	keyCode      = "code"
)

// RemoteError is the error that a method returned at the other end.
type RemoteError struct {
	Message string
	Code    int64
}

func (e *RemoteError) Error() string { return e.Message }

// CodeUnknownMethod is the code of a RemoteError for a method that the service does not have, CodeBadArguments for
// arguments that do not fit.
const (
	CodeUnknownMethod = -303 // MIG_BAD_ID
	CodeBadArguments  = -304 // MIG_BAD_ARGUMENTS
)

// Mux is a Handler that calls a function for each request, by the name of its method. Functions are registered before
// it is used. Requests of one connection are served one after the other, or, with Parallel, at the same time.
type Mux struct {
	Parallel int // how many requests of all connections are served at the same time; 0 for one of each connection

	once    sync.Once
	slots   chan struct{}
	methods map[string]method
}

type method func(ctx context.Context, arguments Value) (any, error)

type badArguments struct{ error }

// Handle registers a method.
func Handle[Req, Res any](m *Mux, name string, f func(context.Context, Req) (Res, error)) {
	m.add(name, func(ctx context.Context, v Value) (any, error) {
		var req Req
		if err := Decode(v, &req); err != nil {
			return nil, badArguments{err}
		}
		return f(ctx, req)
	})
}

func (m *Mux) add(name string, f method) {
	if m.methods == nil {
		m.methods = make(map[string]method)
	}
	if m.methods[name] != nil {
		panic("xpc: two methods of the name " + name)
	}
	m.methods[name] = f
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// Export registers the methods of the interface S, of which service is an implementation. Each takes a context and at
// most one argument, and returns an error, perhaps after a result.
func Export[S any](m *Mux, service S) {
	t := reflect.TypeFor[S]()
	if t.Kind() != reflect.Interface {
		panic(fmt.Sprintf("xpc: %v is not an interface", t))
	}
	v := reflect.ValueOf(service)
	for i := range t.NumMethod() {
		name := t.Method(i).Name
		f := v.MethodByName(name)
		ft := f.Type()
		if ft.NumIn() < 1 || ft.NumIn() > 2 || ft.In(0) != contextType || ft.NumOut() < 1 || ft.NumOut() > 2 ||
			ft.Out(ft.NumOut()-1) != errorType {
			panic(fmt.Sprintf("xpc: %v.%s cannot be called from afar", t, name))
		}
		m.add(name, func(ctx context.Context, arguments Value) (any, error) {
			in := []reflect.Value{reflect.ValueOf(ctx)}
			if ft.NumIn() == 2 {
				req := reflect.New(ft.In(1))
				if err := Decode(arguments, req.Interface()); err != nil {
					return nil, badArguments{err}
				}
				in = append(in, req.Elem())
			}
			out := f.Call(in)
			err, _ := out[len(out)-1].Interface().(error)
			if len(out) == 1 {
				return struct{}{}, err
			}
			return out[0].Interface(), err
		})
	}
}

// HandleMessage implements Handler.
func (m *Mux) HandleMessage(msg *Message) {
	if m.Parallel <= 0 {
		m.serve(msg)
		return
	}
	m.once.Do(func() { m.slots = make(chan struct{}, m.Parallel) })
	m.slots <- struct{}{}
	msg.Hold()
	go func() {
		defer func() { msg.Drop(); <-m.slots }()
		m.serve(msg)
	}()
}

// HandleError implements Handler.
func (m *Mux) HandleError(error) {}

type messageKey struct{}

// MessageOf returns the message that a method is called for, from the context that it was given.
func MessageOf(ctx context.Context) *Message {
	m, _ := ctx.Value(messageKey{}).(*Message)
	return m
}

func (m *Mux) serve(msg *Message) {
	name := msg.Text(keyMethod)
	f := m.methods[name]
	if f == nil {
		msg.fail(&RemoteError{fmt.Sprintf("there is no method %q", name), CodeUnknownMethod})
		return
	}
	arguments := msg.Get(keyArguments)
	if arguments == nil {
		arguments = &Dictionary{}
	}
	res, err := f(context.WithValue(context.Background(), messageKey{}, msg), arguments)
	if err != nil {
		msg.fail(err)
		return
	}
	if !msg.Expects() {
		return
	}
	v, err := Encode(res)
	if err != nil {
		msg.fail(err)
		return
	}
	if err := msg.replyAtEnd(NewDictionary().Set(keyResult, v)); err != nil {
		msg.fail(err)
	}
}

func (m *Message) fail(err error) {
	if !m.Expects() {
		return
	}
	d := NewDictionary().Set(keyError, String(err.Error()))
	var remote *RemoteError
	var kr mach.KernReturn
	switch {
	case errors.As(err, &remote):
		d.Set(keyCode, Int64(remote.Code))
	case errors.As(err, &kr):
		d.Set(keyCode, Int64(kr))
	case errors.As(err, &badArguments{}):
		d.Set(keyCode, Int64(CodeBadArguments))
	}
	m.Reply(d)
}

// Invoke calls a method of the service at the other end of a connection.
func Invoke[Res, Req any](ctx context.Context, c *Connection, method string, req Req) (res Res, err error) {
	d, err := request(method, req)
	if err != nil {
		return res, err
	}
	answer, err := c.Call(ctx, d)
	if err != nil {
		return res, err
	}
	return result[Res](answer)
}

// Notify calls a method without waiting for anything.
func Notify[Req any](ctx context.Context, c *Connection, method string, req Req) error {
	d, err := request(method, req)
	if err != nil {
		return err
	}
	return c.Send(ctx, d)
}

func request(method string, req any) (*Dictionary, error) {
	v, err := Encode(req)
	if err != nil {
		return nil, err
	}
	return NewDictionary().Set(keyMethod, String(method)).Set(keyArguments, v), nil
}

func result[Res any](d *Dictionary) (res Res, err error) {
	if s, failed := d.Get(keyError).(String); failed {
		return res, &RemoteError{string(s), d.Int64(keyCode)}
	}
	v := d.Get(keyResult)
	if v == nil {
		return res, fmt.Errorf("xpc: the answer has no %q", keyResult)
	}
	return res, Decode(v, &res)
}

// Method is a method of a service, with the types of its argument and its result.
type Method[Req, Res any] struct{ Name string }

// Call calls the method.
func (m Method[Req, Res]) Call(ctx context.Context, c *Connection, req Req) (Res, error) {
	return Invoke[Res](ctx, c, m.Name, req)
}

// Serve registers the function that serves the method.
func (m Method[Req, Res]) Serve(mux *Mux, f func(context.Context, Req) (Res, error)) {
	Handle(mux, m.Name, f)
}
