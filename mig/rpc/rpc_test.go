package rpc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/mach"
)

// space records which rights were destroyed, and answers calls.
type space struct {
	gone  []mach.Name
	reply *Message[mach.Name]
	kr    mach.KernReturn
}

func (s *space) Destroy(p mach.Name, d mach.Disposition) { s.gone = append(s.gone, p) }

func (s *space) Call(req *Message[mach.Name], o *Options) (*Message[mach.Name], mach.KernReturn) {
	return s.reply, s.kr
}

func (s *space) Send(req *Message[mach.Name], o *Options) mach.KernReturn { return s.kr }

// loaded returns a message with one right of each disposition, and an array of two.
func loaded() *Message[mach.Name] {
	m := &Message[mach.Name]{ID: 100, Dest: 1, Reply: 2, ReplyDisposition: mach.MoveSendOnce, Complex: true}
	m.AddPort(10, mach.MoveSend)
	m.AddPort(11, mach.CopySend)
	m.AddPort(12, mach.MakeSend)
	m.AddPort(13, mach.MoveReceive)
	m.AddPort(0, mach.MoveSend)
	m.AddPorts([]mach.Name{14, 0, 15}, mach.MoveSendOnce, true)
	m.AddMemory([]byte("text"), true, false)
	return m
}

// TestAddIsComplex checks that no descriptor that was added is left out on the wire.
func TestAddIsComplex(t *testing.T) {
	for name, add := range map[string]func(*Message[mach.Name]){
		"port":   func(m *Message[mach.Name]) { m.AddPort(10, mach.CopySend) },
		"ports":  func(m *Message[mach.Name]) { m.AddPorts(nil, mach.CopySend, false) },
		"memory": func(m *Message[mach.Name]) { m.AddMemory(nil, false, false) },
	} {
		m := &Message[mach.Name]{ID: 1, Dest: 1}
		add(m)
		b, err := Encode(m, noMemory{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b, noMemory{})
		if err != nil || !got.Complex || len(got.Items) != 1 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestAnswer(t *testing.T) {
	tests := []struct {
		name  string
		kr    mach.KernReturn
		taken int
		send  bool
		gone  []mach.Name
	}{
		{"success takes nothing by itself", 0, 0, true, []mach.Name{10, 13, 14, 15}},
		{"what was taken stays", 0, 4, true, []mach.Name{14, 15}},
		{"an error destroys both messages", mach.MigBadArguments, 0, true, []mach.Name{10, 13, 14, 15, 20}},
		{"no reply leaves everything", mach.MigNoReply, 0, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s space
			req := loaded()
			rep := Begin(req)
			if rep.ID != 200 || rep.Dest != 2 || rep.DestDisposition != mach.MoveSendOnce {
				t.Errorf("reply %+v", rep)
			}
			req.Take(0, tt.taken)
			if tt.kr != 0 {
				rep.AddPort(20, mach.MoveSend)
				rep.SetCode(tt.kr)
			}
			if send := Answer(&s, req, rep, tt.kr); send != tt.send {
				t.Errorf("send is %v", send)
			}
			if d := cmp.Diff(tt.gone, s.gone); d != "" {
				t.Errorf("destroyed (-want +got):\n%s", d)
			}
			if want := tt.kr; want != mach.MigNoReply {
				if got := mach.KernReturn(int32(binary.LittleEndian.Uint32(rep.Body[8:]))); got != want || len(rep.Body) != 12 {
					t.Errorf("code %v in %d bytes", got, len(rep.Body))
				}
			}
		})
	}
	var s space
	req := loaded()
	req.Reply = 0
	rep := Begin(req)
	rep.AddPort(20, mach.MoveSend)
	if Answer(&s, req, rep, 0) {
		t.Error("an answer is sent to nobody")
	}
	if !slices.Contains(s.gone, 20) {
		t.Errorf("a right in an answer to nobody is kept: %v", s.gone)
	}
}

func TestConsume(t *testing.T) {
	for _, tt := range []struct {
		how  Consume
		kr   mach.KernReturn
		gone bool
	}{
		{ConsumeNone, mach.SendTimedOut, false}, {ConsumeNone, mach.SendInvalidDest, false},
		{ConsumeTimeout, mach.SendTimedOut, true}, {ConsumeTimeout, mach.SendInvalidDest, false},
		{ConsumeAny, mach.SendTimedOut, true}, {ConsumeAny, mach.SendInvalidDest, true}, {ConsumeAny, mach.RcvTimedOut,
			false},
	} {
		s := &space{kr: tt.kr}
		o := &Options{Consume: tt.how}
		if _, kr := Do(s, loaded(), o, &Shape{}); kr != tt.kr || (len(s.gone) > 0) != tt.gone {
			t.Errorf("Do, %d, %v: code %v, destroyed %v", tt.how, tt.kr, kr, s.gone)
		}
		s.gone = nil
		if kr := Post(s, loaded(), o); kr != tt.kr || (len(s.gone) > 0) != tt.gone {
			t.Errorf("Post, %d, %v: code %v, destroyed %v", tt.how, tt.kr, kr, s.gone)
		}
	}
}

// TestRefusedReply destroys all that a bad reply brings, the right to answer back included.
func TestRefusedReply(t *testing.T) {
	rep := loaded()
	rep.ID = 999
	s := &space{reply: rep}
	_, kr := Do(s, &Message[mach.Name]{ID: 100}, &Options{}, &Shape{})
	if want := []mach.Name{10, 13, 14, 15, 2}; kr != mach.MigReplyMismatch || !slices.Equal(s.gone, want) {
		t.Errorf("code %v, destroyed %v, want %v", kr, s.gone, want)
	}
}

func TestBody(t *testing.T) {
	w := NewWriter(64)
	w.Uint8(1)
	w.Pad()
	w.Uint16(2)
	w.Pad()
	w.Uint64(3)
	w.Float32(1.5)
	w.Float64(-2)
	w.String("fixed\x00cut", 8)
	w.VarString("a longer text", 6)
	r := NewReader(w.B)
	got := fmt.Sprint(r.Uint8())
	r.Pad()
	got += fmt.Sprint(" ", r.Uint16())
	r.Pad()
	got += fmt.Sprint(" ", r.Uint64(), r.Float32(), r.Float64(), r.String(8), " ", r.VarString(6))
	if want := "1 2 3 1.5 -2fixed a lon"; got != want || !r.Done() {
		t.Errorf("read %q, want %q; done %v", got, want, r.Done())
	}
	r = NewReader(w.B[:len(w.B)-1])
	r.Skip(len(w.B) - NDRSize)
	if r.Done() || r.Uint32() != 0 {
		t.Error("a short body is read whole")
	}
}

type noMemory struct{}

func (noMemory) Load(_ uint64, n int) ([]byte, error) {
	if n > 1<<16 {
		return nil, errShort
	}
	return make([]byte, n), nil
}
func (noMemory) Store([]byte) (uint64, error) { return 0, nil }

// FuzzDecode feeds bytes to the decoder of messages. What it accepts must come out of the encoder as it went in, but
// for trailers, vouchers, addresses and padding.
func FuzzDecode(f *testing.F) {
	for _, m := range []*Message[mach.Name]{loaded(), {ID: 4, Body: make([]byte, 12)}} {
		b, err := Encode(m, noMemory{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b, noMemory{})
		if err != nil {
			return
		}
		again, err := Encode(m, noMemory{})
		if err != nil {
			t.Fatal(err)
		}
		m2, err := Decode(again, noMemory{})
		if err != nil {
			t.Fatal(err)
		}
		if m2.ID != m.ID || len(m2.Items) != len(m.Items) || !bytes.Equal(m2.Body, m.Body) || m2.Complex != m.Complex {
			t.Errorf("%+v became %+v", m, m2)
		}
	})
}
