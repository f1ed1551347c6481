package plist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	hplist "howett.net/plist"
)

// builder writes binary property lists, honest and hostile, object by object.
type builder struct {
	body    []byte
	offsets []uint64
}

func (b *builder) add(marker byte, body ...byte) byte {
	b.offsets = append(b.offsets, uint64(headerSize+len(b.body)))
	b.body = append(append(b.body, marker), body...)
	return byte(len(b.offsets) - 1)
}

// at adds an object that shares the bytes at a place inside the objects.
func (b *builder) at(off uint64) { b.offsets = append(b.offsets, off) }

func (b *builder) bytes(top uint64, refWidth byte) []byte {
	out := append([]byte("bplist00"), b.body...)
	table := uint64(len(out))
	for _, o := range b.offsets {
		out = binary.BigEndian.AppendUint32(out, uint32(o))
	}
	out = append(out, 0, 0, 0, 0, 0, 0, 4, refWidth)
	out = binary.BigEndian.AppendUint64(out, uint64(len(b.offsets)))
	out = binary.BigEndian.AppendUint64(out, top)
	return binary.BigEndian.AppendUint64(out, table)
}

// laughs is a list of depth arrays each of which names the next one twice.
func laughs(depth int) []byte {
	var b builder
	for i := range depth {
		b.add(0xa2, byte(i+1), byte(i+1))
	}
	b.add(0x53, 'h', 'a', '!')
	return b.bytes(0, 1)
}

// overlapping is an array of n UTF-16 strings over the same bytes, most of the file long.
func overlapping(n, length int) []byte {
	var b builder
	refs := make([]byte, 0, 2*n)
	for i := range n {
		refs = binary.BigEndian.AppendUint16(refs, uint16(i+1))
	}
	b.add(0xaf, append([]byte{0x11, byte(n >> 8), byte(n)}, refs...)...)
	size := binary.BigEndian.AppendUint32([]byte{0x12}, uint32(length))
	b.add(0x6f, append(size, make([]byte, 2*length)...)...)
	for range n - 1 {
		b.at(b.offsets[1])
	}
	return b.bytes(0, 2)
}

func deep(n int) []byte {
	var b builder
	for i := range n {
		b.add(0xa1, byte(i+1))
	}
	b.add(0x09)
	return b.bytes(0, 1)
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
`

func sample() map[string]any {
	return map[string]any{
		"CFBundleIdentifier": "org.example.app",
		"unicode":            "größer ☃",
		"yes":                true,
		"no":                 false,
		"number":             uint64(2),
		"negative":           int64(-7),
		"real":               1.5,
		"data":               []byte{0xfa, 0xde, 0x71, 0x72},
		"date":               time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		"list":               []any{"a", uint64(math.MaxUint32), map[string]any{"k": "v"}},
		"long":               strings.Repeat("x", 300),
	}
}

func encode(t testing.TB, v any, format int) []byte {
	t.Helper()
	data, err := hplist.Marshal(v, format)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestUnmarshal(t *testing.T) {
	for name, format := range map[string]int{"xml": hplist.XMLFormat, "binary": hplist.BinaryFormat} {
		data := encode(t, sample(), format)
		if got, want := IsBinary(data), name == "binary"; got != want {
			t.Errorf("%s: IsBinary = %v", name, got)
		}
		for _, tail := range []string{"", "\x00\x00", " \n"} {
			if name == "binary" && tail != "" {
				continue // the trailer of the binary form is found from the end
			}
			var got any
			if err := Unmarshal(append(bytes.Clone(data), tail...), &got); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if d := cmp.Diff(any(sample()), got); d != "" {
				t.Errorf("%s: -want +got\n%s", name, d)
			}
		}
		var into struct {
			ID     string `plist:"CFBundleIdentifier"`
			Number int    `plist:"number"`
		}
		if err := Unmarshal(data, &into); err != nil || into.ID != "org.example.app" || into.Number != 2 {
			t.Errorf("%s: into a struct: %+v, %v", name, into, err)
		}
		var wrong struct {
			ID int `plist:"CFBundleIdentifier"`
		}
		if err := Unmarshal(data, &wrong); err == nil || !strings.Contains(err.Error(), "string") {
			t.Errorf("%s: string into int: %v", name, err)
		}
	}
}

func TestUnmarshalSharedObjects(t *testing.T) {
	// An honest writer stores equal strings once.
	var b builder
	b.add(0xd2, 1, 2, 3, 3)
	b.add(0x51, 'a')
	b.add(0x51, 'b')
	b.add(0x51, 'v')
	var got any
	if err := Unmarshal(b.bytes(0, 1), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(any(map[string]any{"a": "v", "b": "v"}), got); d != "" {
		t.Error(d)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	var circle builder
	circle.add(0xa1, 1)
	circle.add(0xa1, 0)
	var huge builder
	huge.add(0xaf, 0x13, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	var far builder
	far.add(0xa1, 9)
	var self builder
	self.add(0x5f, 0x11, 0x01)
	var latin builder
	latin.add(0x53, 'g', 0xf6, 'd')
	good := encode(t, sample(), hplist.BinaryFormat)
	patch := func(fromEnd int, v byte) []byte {
		c := bytes.Clone(good)
		c[len(c)-fromEnd] = v
		return c
	}
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "neither an XML nor a binary"},
		{"noise", bytes.Repeat([]byte{0xfe, 0x01}, 100), "offset"},
		{"openstep", []byte(`{ a = b; }`), "neither an XML nor a binary"},
		{"openstep data", []byte(`<abcd>`), "neither an XML nor a binary"},
		{"html", []byte("<html></html>"), "neither an XML nor a binary"},
		{"no value", []byte(xmlHead + "<plist/>"), "empty"},
		{"cut xml", []byte(xmlHead + "<plist><dict><key>a</key>"), "EOF"},
		{"mismatched", []byte(xmlHead + "<plist><dict></plist>"), "</plist>"},
		{"key without value", []byte(xmlHead + "<plist><dict><key>a</key></dict></plist>"), "missing value"},
		{"entity", []byte(xmlHead + "<plist><string>&lol;</string></plist>"), "entity"},
		{"deep xml", []byte(xmlHead + "<plist>" + strings.Repeat("<array>", 1e5)), "nested more than 64"},
		{"wide xml", []byte(xmlHead + "<plist><array>" + strings.Repeat("<dict/>", MaxValues)), "more than 32768"},
		{"too large", make([]byte, MaxBytes+1), "limit"},
		{"short binary", []byte("bplist00"), "too short"},
		{"laughs", laughs(60), "more than 32768"},
		{"deep binary", deep(70), "nested more than 64"},
		{"circle", circle.bytes(0, 1), "contains itself"},
		{"huge count", huge.bytes(0, 1), "more than the file"},
		{"reference", far.bytes(0, 1), "reference to object 9 of 1"},
		{"length", self.bytes(0, 1), "length runs over"},
		{"not ascii", latin.bytes(0, 1), "byte 0xf6 in an ASCII string"},
		{"overlap", overlapping(1000, 1000), "overlap"},
		{"offset width", patch(26, 0), "offsets of 0"},
		{"reference width", patch(25, 9), "references of 9"},
		{"objects", patch(24, 0x80), "do not fit"},
		{"top", patch(16, 0x80), "top object"},
		{"table", patch(8, 0x80), "offset table"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v any
			err := Unmarshal(tt.data, &v)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			var syn *SyntaxError
			if tt.name != "key without value" && !errors.As(err, &syn) {
				t.Errorf("%T is no SyntaxError", err)
			}
		})
	}
}

// TestUnmarshalDepth: the limit is the same in both forms, whether a container is met first at the bottom or shared.
func TestUnmarshalDepth(t *testing.T) {
	for _, tt := range []struct {
		depth int
		ok    bool
	}{{MaxDepth, true}, {MaxDepth + 1, false}} {
		for name, data := range map[string][]byte{
			"binary": deep(tt.depth),
			"xml": []byte("<plist>" + strings.Repeat("<array>", tt.depth) + "<true/>" +
				strings.Repeat("</array>", tt.depth) + "</plist>"),
		} {
			var v any
			if err := Unmarshal(data, &v); (err == nil) != tt.ok {
				t.Errorf("%s %d deep: %v", name, tt.depth, err)
			}
		}
	}
	var b builder // [chain40, [[... 30 times chain40]]]: 40 deep when first met, 70 through the second element
	b.add(0xa2, 31, 1)
	for i := 1; i <= 30; i++ {
		b.add(0xa1, byte(i+1))
	}
	for i := 31; i < 71; i++ {
		b.add(0xa1, byte(i+1))
	}
	b.add(0x09)
	var v any
	if err := Unmarshal(b.bytes(0, 1), &v); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("shared chain: %v", err)
	}
}

func TestUnmarshalMemory(t *testing.T) {
	for name, data := range map[string][]byte{
		"laughs":  laughs(60),
		"overlap": overlapping(20000, 1<<20),
		"dicts":   []byte("<plist><array>" + strings.Repeat("<dict/>", MaxBytes/7-10) + "</array></plist>"),
		"fits":    []byte("<plist><array>" + strings.Repeat("<dict/>", MaxValues-1) + "</array></plist>"),
		"spaces":  append([]byte("<plist>"), bytes.Repeat([]byte(" "), MaxBytes-100)...),
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var v any
		err := Unmarshal(data, &v)
		runtime.ReadMemStats(&after)
		if (err == nil) != (name == "fits") {
			t.Errorf("%s: %v", name, err)
		}
		// TotalAlloc counts garbage too, so it is above what was ever held at once.
		if got := after.TotalAlloc - before.TotalAlloc; got > 128<<20 {
			t.Errorf("%s: allocated %d MiB", name, got>>20)
		}
	}
}

// FuzzUnmarshal: nothing panics, and what was read says the same when it is written and read again (dates apart: the
// writer keeps none beyond the years that fit nanoseconds).
func FuzzUnmarshal(f *testing.F) {
	f.Add(encode(f, sample(), hplist.XMLFormat))
	f.Add(encode(f, sample(), hplist.BinaryFormat))
	f.Add(laughs(20))
	f.Add(deep(5))
	f.Add(overlapping(3, 4))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v any
		if Unmarshal(data, &v) != nil {
			return
		}
		if _, ok := v.(map[string]any); !ok {
			return // howett.net/plist writes no bare leaves
		}
		// Written once, the list is in the writer's own form; from there on it must not change.
		rewrite := func(v any) (out any, ok bool) {
			data, err := hplist.Marshal(v, hplist.BinaryFormat)
			if err != nil {
				return nil, false // the writer cannot write a NaN
			}
			if err := Unmarshal(data, &out); err != nil {
				t.Fatalf("%v\nof %#v", err, v)
			}
			return out, true
		}
		w, ok := rewrite(v)
		if !ok {
			return
		}
		x, _ := rewrite(w)
		if d := cmp.Diff(w, x, cmpopts.EquateNaNs(), cmpopts.IgnoreTypes(time.Time{})); d != "" {
			t.Error(d)
		}
	})
}
