package xpc

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dict(kv ...any) *Dictionary {
	d := NewDictionary()
	for i := 0; i < len(kv); i += 2 {
		d.Set(kv[i].(string), kv[i+1].(Value))
	}
	return d
}

// beside stands for what comes with a Mach message.
func beside(t Type, size uint64) (Value, error) {
	switch t {
	case TypeFD:
		return &FD{}, nil
	case TypeEndpoint:
		return &Endpoint{}, nil
	case TypeSendRight:
		return &SendRight{}, nil
	}
	return nil, errors.New("unexpected")
}

// Messages that Apple's own peers put on the wire, retyped from public records. What could point to a person or a
// device (process ids, names, identifiers) has been replaced by something of the same length.
//
// launchapplication is what Xcode sent to an iOS device over RemoteXPC, which has the same form behind its wrapper
// (test data of go-ios); everything is a dictionary taken from libxpc on a Mac as a program sent it over a Mach
// connection (slides of a conference talk on the T2 chip); look_up is what a program asked launchd for on macOS
// (notes on bootstrap ports); empty is what both a Mac's CoreDeviceService and an iPhone begin a RemoteXPC connection
// with (two packet captures in the notes of a project on it); serialization is what xpc_make_serialization gave on a
// Mac (test data of a viewer).
var apple = map[string]struct {
	magic uint32
	hex   string
	want  *Dictionary
}{
	"empty": {magicStream, "42371342 05000000 00f00000 04000000 00000000", dict()},
	"reply": {magicMach, "43505840 05000000 00f00000 18000000 01000000 7265706c79000000 00300000 0100000000000000",
		dict("reply", Int64(1))},
	"serialization": {magicStream, `42371342 05000000 00f00000 38000000 02000000
		6b696e6400000000 00900000 11000000 786e6966662d646961676e6f7374696300000000
		70696400 00300000 d204000000000000`,
		dict("kind", String("xniff-diagnostic"), "pid", Int64(1234))},
	"everything": {magicMach, `43505840 05000000 00f00000 08010000 0b000000
		66640000 00b00000
		636f6e6e656374696f6e0000 00200100
		737472696e670000 00900000 0b000000 74657374737472696e670000
		646f75626c650000 00500000 cdccccccfcffef40
		6461746100000000 00800000 0a000000 74686973697364617461 0000
		75696e7436340000 00400000 efbeadde00000000
		626f6f6c00000000 00200000 01000000
		76616c7565000000 00f00000 28000000 01000000
			737472696e675f696e5f76616c756500 00900000 0c000000 76616c7565737472696e6700
		696e743634000000 00300000 ffffffffffffffff
		7575696400000000 00a00000 31323334353637382d616263642d3132
		6461746500000000 00700000 00189c46ae9e5c15`,
		dict("fd", &FD{}, "connection", &Endpoint{}, "string", String("teststring"), "double", Double(65535.9),
			"data", Data("thisisdata"), "uint64", Uint64(0xdeadbeef), "bool", Bool(true),
			"value", dict("string_in_value", String("valuestring")), "int64", Int64(-1),
			"uuid", UUID([]byte("12345678-abcd-12")), "date", Date(0x155c9eae469c1800))},
	"look_up": {magicMach, `43505840 05000000 00f00000 c0000000 07000000
		68616e646c650000 00400000 0000000000000000
		696e7374616e636500000000 00a00000 00000000000000000000000000000000
		666c616773000000 00400000 0800000000000000
		6e616d6500000000 00900000 25000000 636f6d2e6170706c652e73797374656d2e6e6f74696669636174696f6e5f63656e74657200000000
		7479706500000000 00400000 0700000000000000
		74617267657470696400 0000 00300000 0000000000000000
		646f6d61696e2d706f727400 00d00000`,
		dict("handle", Uint64(0), "instance", UUID{}, "flags", Uint64(8), "name",
			String("com.apple.system.notification_center"), "type", Uint64(7), "targetpid", Int64(0), "domain-port",
			&SendRight{})},
	"launchapplication": {magicStream, `42371342 05000000 00f00000 0c040000 07000000
		436f72654465766963652e636f726544657669636556657273696f6e00000000 00f00000 98000000 03000000
			6f726967696e616c436f6d706f6e656e7473436f756e7400 00300000 0200000000000000
			636f6d706f6e656e74730000 00e00000 40000000 05000000
				00400000 5c01000000000000 00400000 0100000000000000 00400000 0000000000000000
				00400000 0000000000000000 00400000 0000000000000000
			737472696e6756616c756500 00900000 06000000 3334382e31000000
		436f72654465766963652e6465766963654964656e74696669657200 00900000 25000000
			30303030303030302d303030302d303030302d303030302d30303030303030303030303000000000
		436f72654465766963652e436f726544657669636544444950726f746f636f6c56657273696f6e00 00300000 0000000000000000
		436f72654465766963652e696e766f636174696f6e4964656e74696669657200 00900000 25000000
			31313131313131312d313131312d313131312d313131312d31313131313131313131313100000000
		436f72654465766963652e616374696f6e000000 00f00000 04000000 00000000
		436f72654465766963652e696e70757400000000 00f00000 e4010000 03000000
			6f7074696f6e7300 00f00000 44010000 08000000
				706c6174666f726d53706563696669634f7074696f6e7300 00800000 2a000000
					62706c6973743030d008000000000000010100000000000000010000000000000000000000000000000900 00
				737461727453746f7070656400000000 00200000 00000000
				776f726b696e674469726563746f727900000000 00100000
				7465726d696e6174654578697374696e67000000 00200000 00000000
				7374616e64617264494f5573657350736575646f7465726d696e616c73000000 00200000 01000000
				7573657200000000 00f00000 14000000 01000000 61637469766500 00 00200000 01000000
				656e7669726f6e6d656e745661726961626c657300000000 00f00000 24000000 01000000
					5445524d00000000 00900000 0f000000 787465726d2d323536636f6c6f720000
				617267756d656e7473000000 00e00000 04000000 00000000
			7374616e64617264494f4964656e74696669657273000000 00f00000 04000000 00000000
			6170706c69636174696f6e53706563696669657200000000 00f00000 48000000 01000000
				62756e646c654964656e74696669657200000000 00f00000 28000000 01000000
					5f300000 00900000 17000000 7878782e7878787878787878782e78787878787878780000
		436f72654465766963652e666561747572654964656e74696669657200000000 00900000 2f000000
			636f6d2e6170706c652e636f72656465766963652e666561747572652e6c61756e63686170706c69636174696f6e0000`,
		dict("CoreDevice.coreDeviceVersion", dict("originalComponentsCount", Int64(2), "components",
			Array{Uint64(0x15c), Uint64(1), Uint64(0), Uint64(0), Uint64(0)}, "stringValue", String("348.1")),
			"CoreDevice.deviceIdentifier", String("00000000-0000-0000-0000-000000000000"),
			"CoreDevice.CoreDeviceDDIProtocolVersion", Int64(0),
			"CoreDevice.invocationIdentifier", String("11111111-1111-1111-1111-111111111111"),
			"CoreDevice.action", dict(),
			"CoreDevice.input", dict("options", dict(
				"platformSpecificOptions", Data("bplist00\xd0\x08\x00\x00\x00\x00\x00\x00\x01\x01"+
					"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09"),
				"startStopped", Bool(false), "workingDirectory", Null{}, "terminateExisting", Bool(false),
				"standardIOUsesPseudoterminals", Bool(true), "user", dict("active", Bool(true)),
				"environmentVariables", dict("TERM", String("xterm-256color")), "arguments", Array{}),
				"standardIOIdentifiers", dict(),
				"applicationSpecifier", dict("bundleIdentifier", dict("_0", String("xxx.xxxxxxxxx.xxxxxxxx")))),
			"CoreDevice.featureIdentifier", String("com.apple.coredevice.feature.launchapplication"))},
}

// TestApple decodes what real peers sent, says what it means, and encodes it again to the same bytes.
func TestApple(t *testing.T) {
	for name, c := range apple {
		t.Run(name, func(t *testing.T) {
			b := unhex(t, c.hex)
			d := decoder{b: b}
			if c.magic == magicMach {
				d.beside = beside
			}
			v, err := d.graph(c.magic)
			if err != nil {
				t.Fatal(err)
			}
			got := v.(*Dictionary)
			if got.String() != c.want.String() {
				t.Errorf("decoded as\n%v, want\n%v", got, c.want)
			}
			e := encoder{kernel: c.magic == magicMach}
			if err := e.graph(c.magic, c.want); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(e.b, b) {
				t.Errorf("what was meant encodes to\n%x, want\n%x", e.b, b)
			}
			e = encoder{kernel: c.magic == magicMach}
			if err := e.graph(c.magic, v); err != nil || !bytes.Equal(e.b, b) {
				t.Errorf("what was decoded encodes to\n%x (%v), want\n%x", e.b, err, b)
			}
		})
	}
}

func TestDates(t *testing.T) {
	// The date of the capture above, which was taken in the autumn before the talk.
	if got := Date(0x155c9eae469c1800).Time(); got.Year() != 2018 {
		t.Errorf("the date is %v", got)
	}
	now := time.Now().UTC().Round(0)
	if !DateOf(now).Time().Equal(now) {
		t.Errorf("%v became %v", now, DateOf(now).Time())
	}
}

// values draws a value that can go over a byte stream.
func values(depth int) *rapid.Generator[Value] {
	key := rapid.StringMatching(`[a-z]{0,9}`)
	leaf := rapid.OneOf(
		rapid.Just[Value](Null{}),
		rapid.Map(rapid.Bool(), func(b bool) Value { return Bool(b) }),
		rapid.Map(rapid.Int64(), func(n int64) Value { return Int64(n) }),
		rapid.Map(rapid.Uint64(), func(n uint64) Value { return Uint64(n) }),
		rapid.Map(rapid.Float64(), func(f float64) Value { return Double(f) }),
		rapid.Map(rapid.Int64(), func(n int64) Value { return Date(n) }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) Value { return Data(b) }),
		rapid.Map(rapid.StringMatching(`[a-zä€]{0,20}`), func(s string) Value { return String(s) }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) Value { return UUID(b) }),
	)
	if depth == 0 {
		return leaf
	}
	deeper := values(depth - 1)
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(deeper, 0, 5), func(v []Value) Value { return Array(v) }),
		rapid.Map(rapid.MapOfN(key, deeper, 0, 20), func(m map[string]Value) Value {
			d := NewDictionary()
			for k, v := range m {
				d.Set(k, v)
			}
			return d
		}))
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(3).Draw(t, "value")
		b, err := Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if !Equal(v, back) {
			t.Fatalf("%#v became %#v", v, back)
		}
	})
}

func TestMalformed(t *testing.T) {
	const head = "42371342 05000000"
	for name, c := range map[string]struct{ hex, want string }{
		"nothing":            {"", "offset 0: 4 bytes are wanted, 0 are left"},
		"other magic":        {"43505840 05000000 00100000", "offset 0: magic is"},
		"other version":      {"42371342 04000000 00100000", "offset 4: version is 4, want 5"},
		"no value":           {head, "offset 8: 4 bytes are wanted"},
		"left over":          {head + "00100000 00000000", "offset 12: 4 bytes are left over"},
		"type 0":             {head + "00000000", "there is no type 0x0"},
		"type beyond":        {head + "00e00100", "there is no type 0x1e000"},
		"string without end": {head + "00900000 02000000 61620000", "the zero byte of a string"},
		"string with zero":   {head + "00900000 03000000 61000000", "the zero byte of a string"},
		"empty string":       {head + "00900000 00000000", "the zero byte of a string"},
		"data too long":      {head + "00800000 ffffffff 00000000", "are wanted, 4 are left"},
		"array too long":     {head + "00e00000 08000000 ffffffff 00100000", "4294967295 values cannot be in 4 bytes"},
		"array size":         {head + "00e00000 0c000000 01000000 00100000", "an array or dictionary of 12 bytes"},
		"array short":        {head + "00e00000 0c000000 01000000 00100000 00100000", "an array ends at"},
		"array tiny":         {head + "00e00000 00000000", "an array or dictionary of 0 bytes"},
		"key without end":    {head + "00f00000 0c000000 01000000 61616161 61616161", "a key has no end"},
		"dictionary short": {head + "00f00000 18000000 02000000 61000000 00400000 0100000000000000 0000" + "0000 00100000",
			"a dictionary ends at"},
		"value past the end": {head + "00f00000 14000000 02000000 61000000 00a00000 00000000000000000000000000000000" +
			"62000000 00100000", "in the middle of a value"},
		"key twice": {head + "00f00000 14000000 02000000 61000000 00100000 61000000 00100000",
			`the key "a" is there twice`},
		"file": {head + "00b00000", "cannot come over a byte stream"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Unmarshal(unhex(t, c.hex))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	deep := append(unhex(t, head), bytes.Repeat(unhex(t, "00e00000 04000000 01000000"), MaxDepth+2)...)
	for i := range MaxDepth + 2 { // sizes that fit
		n := len(deep) - 8 - 12*i - 8
		copy(deep[8+12*i+4:], []byte{byte(n), byte(n >> 8)})
	}
	if _, err := Unmarshal(deep); err == nil || !strings.Contains(err.Error(), "deep within each other") {
		t.Errorf("deep arrays: %v", err)
	}
}

func TestUnencodable(t *testing.T) {
	loop := Array{nil}
	loop[0] = loop
	for name, c := range map[string]struct {
		v    Value
		want string
	}{
		"string":  {String("a\x00b"), "zero byte"},
		"key":     {dict("a\x00b", Null{}), "zero byte"},
		"nil":     {Array{nil}, "a nil value"},
		"circle":  {loop, "deep within each other"},
		"file":    {dict("f", &FD{}), `a value of type fd cannot leave the machine (under "f")`},
		"a right": {&SendRight{}, "cannot leave the machine"},
	} {
		if _, err := Marshal(c.v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestUnknownTypes checks that types which never travel are null on arrival, as they are to Apple's library.
func TestUnknownTypes(t *testing.T) {
	v, err := Unmarshal(unhex(t, "42371342 05000000 00e00000 0c000000 02000000 00600000 00900100"))
	if err != nil || !Equal(v, Array{Null{}, Null{}}) {
		t.Errorf("%v, %v", v, err)
	}
}

func TestDictionary(t *testing.T) {
	d := NewDictionary()
	for i := range 40 {
		d.Set(strings.Repeat("k", i), Int64(i))
	}
	d.Set("kk", String("two")).Set("kkk", nil).Set("none", nil)
	if d.Len() != 39 || d.Text("kk") != "two" || d.Get("kkk") != nil || d.Int64("kkkk") != 4 || d.Int64("kk") != 0 {
		t.Errorf("%v", d)
	}
	var keys []int
	for k := range d.All() {
		if keys = append(keys, len(k)); len(keys) == 5 {
			break
		}
	}
	if diff := cmp.Diff([]int{0, 1, 2, 4, 5}, keys); diff != "" {
		t.Error(diff)
	}
	var none *Dictionary
	if none.Len() != 0 || none.Get("a") != nil || none.Bool("a") {
		t.Error("a nil dictionary has something in it")
	}
}

func TestEqual(t *testing.T) {
	same := dict("a", Array{Data("x"), Double(math.NaN())}, "b", &Error{dict("c", Null{})})
	turned := dict("b", &Error{dict("c", Null{})}, "a", Array{Data("x"), Double(math.NaN())})
	if !Equal(same, turned) {
		t.Error("order makes a difference")
	}
	for _, v := range []Value{Int64(1), Uint64(1), Data("x"), Array{Int64(1)}, dict(), Null{}, String("x")} {
		for _, w := range []Value{Int64(2), Data("y"), Array{}, dict("a", Null{}), String("")} {
			if Equal(v, w) || Equal(w, v) {
				t.Errorf("%v equals %v", v, w)
			}
		}
		if !Equal(v, v) {
			t.Errorf("%v does not equal itself", v)
		}
	}
}

// FuzzUnmarshal: whatever is decoded encodes, and decodes to the same.
func FuzzUnmarshal(f *testing.F) {
	for _, c := range apple {
		f.Add(unhex(f, c.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kernel := range []bool{false, true} {
			magic := uint32(magicStream)
			d := decoder{b: b}
			if kernel {
				magic, d.beside = magicMach, beside
			}
			v, err := d.graph(magic)
			if err != nil {
				continue
			}
			e := encoder{kernel: kernel}
			if err := e.graph(magic, v); err != nil {
				t.Fatalf("%v does not encode: %v", v, err)
			}
			again := decoder{b: e.b, beside: d.beside}
			w, err := again.graph(magic)
			if err != nil {
				t.Fatal(err)
			}
			if !kernel && !Equal(v, w) {
				t.Fatalf("%v became %v", v, w)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	v, _ := Unmarshal(unhex(b, apple["launchapplication"].hex))
	var e encoder
	b.ReportAllocs()
	for b.Loop() {
		e = encoder{b: e.b[:0]}
		if err := e.graph(magicStream, v); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(e.b)))
}

func BenchmarkDecode(b *testing.B) {
	raw := unhex(b, apple["launchapplication"].hex)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Unmarshal(raw); err != nil {
			b.Fatal(err)
		}
	}
}
