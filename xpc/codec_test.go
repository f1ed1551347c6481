package xpc

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	Name string
	Tags []string `xpc:"tags,omitempty"`
}

type outer struct {
	On       bool
	Small    int8
	Big      uint64
	Ratio    float32
	Text     string `xpc:"text"`
	Bytes    []byte
	ID       [16]byte
	Raw      [3]byte
	When     time.Time
	List     []inner
	Map      map[string]int
	Pointer  *inner
	Nothing  *inner
	Value    Value
	Anything any
	Skipped  string `xpc:"-"`
	hidden   int
}

func TestCodec(t *testing.T) {
	in := outer{On: true, Small: -8, Big: math.MaxUint64, Ratio: 0.5, Text: "t", Bytes: []byte{1, 2}, ID: [16]byte{15: 1},
		Raw: [3]byte{1, 2, 3}, When: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), List: []inner{{"a", nil}, {"b", []string{"c"}}},
		Map: map[string]int{"x": 1}, Pointer: &inner{Name: "p"}, Value: UUID{1}, Anything: "any", Skipped: "s", hidden: 1}
	v, err := Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if v, err = Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	d := v.(*Dictionary)
	if d.Get("Nothing") != nil || d.Get("Skipped") != nil || d.Text("text") != "t" || d.Get("Value") != (UUID{1}) {
		t.Errorf("%v", d)
	}
	var out outer
	if err := Decode(v, &out); err != nil {
		t.Fatal(err)
	}
	in.Skipped, in.hidden, in.Anything = "", 0, String("any")
	if diff := cmp.Diff(in, out, cmp.AllowUnexported(outer{})); diff != "" {
		t.Error(diff)
	}
}

func TestCodecErrors(t *testing.T) {
	for name, c := range map[string]struct {
		v    Value
		into any
		want string
	}{
		"kind":      {String("x"), new(int), "string does not go into a int"},
		"range":     {dict("Small", Int64(200)), new(outer), "Small: 200 is out of the range of a int8"},
		"negative":  {dict("Big", Int64(-1)), new(outer), "Big: -1 is out of the range of a uint64"},
		"too large": {Uint64(math.MaxUint64), new(int64), "out of the range"},
		"deep":      {dict("List", Array{dict("Name", Int64(1))}), new(outer), "List[0].Name: int64 does not go into a string"},
		"length":    {Data{1}, new([3]byte), "data does not go into a [3]uint8"},
		"list":      {Array{}, new(map[string]int), "array does not go into"},
		"value":     {Int64(1), new(String), "int64 does not go into a xpc.String"},
		"no place":  {Int64(1), 5, "cannot decode into a int"},
	} {
		if err := Decode(c.v, c.into); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, v := range []any{make(chan int), map[int]int{1: 1}, []any{func() {}}} {
		if _, err := Encode(v); err == nil {
			t.Errorf("a %T was encoded", v)
		}
	}
	for _, c := range []struct {
		v    Value
		into any
	}{{Int64(5), new(uint8)}, {Uint64(5), new(int8)}, {Null{}, new(*inner)}, {Null{}, new(int)}} {
		if err := Decode(c.v, c.into); err != nil {
			t.Errorf("%v into %T: %v", c.v, c.into, err)
		}
	}
}
