package entitlement

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func setOf(pairs ...Pair) *Set {
	s := &Set{}
	for _, p := range pairs {
		s.Entries = append(s.Entries, Entry{Key: p.Key, Value: p.Value})
	}
	return s
}

func TestParseDERVectors(t *testing.T) {
	for _, tt := range []struct {
		name, der string
		want      []Pair
	}{
		{"empty", "70 05 020101 B000", nil},
		{"true", "70 0F 020101 B00A 3008 0C036B6579 0101FF", []Pair{{"key", Bool(true)}}},
		{"older form", "31 0A 3008 0C036B6579 0101FF", []Pair{{"key", Bool(true)}}},
		{"negative", "70 0F 020101 B00A 3008 0C036B6579 020180", []Pair{{"key", Int(-128)}}},
		{"array", "70 13 020101 B00E 300C 0C016B 3007 0C0161 020200FF",
			[]Pair{{"k", Array(String("a"), Int(255))}}},
		{"dictionary", "70 13 020101 B00E 300C 0C016B B007 3005 0C0161 0400",
			[]Pair{{"k", Dict(Pair{"a", Data(nil)})}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			der := unhex(t, tt.der)
			set, err := ParseDER(der)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(setOf(tt.want...).dict().String(), set.dict().String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseDERRejects(t *testing.T) {
	for _, tt := range []struct{ name, der, want string }{
		{"nothing", "", "offset 0x0: truncated"},
		{"tail", "70 05 020101 B000 00", "offset 0x7: 1 bytes after the end"},
		{"wrong start", "30 00", "tag 0x30 is not the start"},
		{"version 2", "70 05 020102 B000", "offset 0x2: version is 2, want 1"},
		{"after dictionary", "70 07 020101 B000 0500", "data after the dictionary"},
		{"no dictionary", "70 05 020101 3000", "tag 0x30 where the dictionary"},
		{"indefinite", "70 80 020101 B000 0000", "indefinite length"},
		{"long form length", "70 8105 020101 B000", "shortest form"},
		{"padded length", "70 820005 020101 B000", "shortest form"},
		{"huge length", "70 84FFFFFFFF 020101 B000", "beyond the end"},
		{"nine-byte length", "70 89 010203040506070809", "does not fit"},
		{"long tag", "7F 8100", "tag of more than one byte"},
		{"boolean 1", "70 0F 020101 B00A 3008 0C036B6579 010101", "neither 00 nor FF"},
		{"padded integer", "70 10 020101 B00B 3009 0C036B6579 02020001", "integer is not in its shortest form"},
		{"empty integer", "70 0E 020101 B009 3007 0C036B6579 0200", "integer without bytes"},
		{"key is no string", "70 0F 020101 B00A 3008 0403 6B6579 0101FF", "key has tag 0x04"},
		{"NUL in key", "70 0F 020101 B00A 3008 0C036B0079 0101FF", "NUL"},
		{"not UTF-8", "70 0F 020101 B00A 3008 0C03FFFFFF 0101FF", "not UTF-8"},
		{"unsorted", "70 15 020101 B010 3006 0C0162 0101FF 3006 0C0161 0101FF", `key "a" after "b"`},
		{"twice", "70 15 020101 B010 3006 0C0161 0101FF 3006 0C0161 0101FF", "not unique"},
		{"three in a pair", "70 12 020101 B00D 300B 0C036B6579 0101FF 0101FF", `data after the value of "key"`},
		{"pair without value", "70 0C 020101 B007 3005 0C036B6579", "truncated"},
		{"pair cut inside its value", "70 10 020101 B00B 3009 0C016B B004 3004 0C01", "beyond the end"},
		{"real", "70 0F 020101 B00A 3008 0C036B6579 090100", "unknown tag 0x09"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseDER(unhex(t, tt.der))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestParseDERBounds(t *testing.T) {
	deep := String("x")
	for range derMaxDepth + 1 {
		deep = Array(deep)
	}
	wide := make([]Value, derMaxValues+1)
	for i := range wide {
		wide[i] = Bool(true)
	}
	for name, v := range map[string]Value{"depth": deep, "values": Array(wide...)} {
		der, err := EncodeDER(setOf(Pair{"k", v}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseDER(der); err == nil {
			t.Errorf("%s: a set over the limit was accepted", name)
		}
	}
	if _, err := ParseDER(make([]byte, derMaxSize+1)); err == nil {
		t.Error("a payload over the limit was accepted")
	}
}

func TestEncodeDERRefuses(t *testing.T) {
	for _, v := range []Value{{Kind: KindReal}, {Kind: KindDate}, Array(Value{Kind: KindReal})} {
		if _, err := EncodeDER(setOf(Pair{"k", v})); err == nil {
			t.Errorf("%s was encoded", v.Kind)
		}
	}
}

// drawValue draws a value that DER entitlements can hold.
func drawValue(t *rapid.T, depth int) Value {
	kinds := []Kind{KindBool, KindInteger, KindString, KindData}
	if depth > 0 {
		kinds = append(kinds, KindArray, KindDict)
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case KindBool:
		return Bool(rapid.Bool().Draw(t, "bool"))
	case KindInteger:
		i := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "magnitude"))
		if rapid.Bool().Draw(t, "negative") {
			i.Neg(i)
		}
		return Value{Kind: KindInteger, Int: i}
	case KindString:
		return String(drawText(t))
	case KindData:
		return Data(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "data"))
	case KindArray:
		var list []Value
		for range rapid.IntRange(0, 4).Draw(t, "items") {
			list = append(list, drawValue(t, depth-1))
		}
		return Array(list...)
	}
	return Dict(drawPairs(t, depth-1)...)
}

func drawText(t *rapid.T) string {
	return strings.ReplaceAll(rapid.StringN(0, 40, -1).Draw(t, "text"), "\x00", "")
}

func drawPairs(t *rapid.T, depth int) []Pair {
	var pairs []Pair
	for range rapid.IntRange(0, 5).Draw(t, "pairs") {
		pairs = append(pairs, Pair{drawText(t), drawValue(t, depth)})
	}
	return pairs
}

func TestDERRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Dict(drawPairs(t, 3)...)
		set := setOf(want.Dict...)
		for name, encode := range map[string]func(*Set) ([]byte, error){"blob": EncodeDER, "set": encodeDERSet} {
			der, err := encode(set)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseDER(der)
			if err != nil {
				t.Fatalf("%s: %v\n%x", name, err, der)
			}
			if !got.dict().Equal(want) {
				t.Fatalf("%s: got %s, want %s", name, got.dict(), want)
			}
			for _, e := range got.Entries {
				if der[e.At.Offset] != tagSequence {
					t.Fatalf("%s: %q said to be at %#x, where no pair starts", name, e.Key, e.At.Offset)
				}
			}
		}
	})
}

func FuzzDER(f *testing.F) {
	for _, s := range []*Set{
		setOf(),
		setOf(pairHardened, pairVersion, pairRestrictions, pairRestrictionsInt),
		setOf(Pair{"keychain-access-groups", Array(String("T.a"), String("T.b"))}, Pair{"n", Int(-1 << 40)},
			Pair{"d", Dict(Pair{"x", Data([]byte{1})})}),
	} {
		for _, encode := range []func(*Set) ([]byte, error){EncodeDER, encodeDERSet} {
			der, err := encode(s)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(der)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		set, err := ParseDER(der)
		if err != nil {
			return
		}
		encode := EncodeDER
		if der[0] == tagSet {
			encode = encodeDERSet
		}
		again, err := encode(set)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, der) {
			t.Fatalf("parsed, but written back otherwise:\n%x\n%x", der, again)
		}
		for _, issue := range Lint(Inputs{Product: ProductExecutable, DER: set, Signature: &Signature{}}) {
			if issue.Message == "" || issue.ID == "" {
				t.Fatalf("empty issue %+v", issue)
			}
		}
		checkDecision(t, Inputs{Product: ProductExecutable, DER: set, Signature: &Signature{}})
	})
}

func BenchmarkParseDER(b *testing.B) {
	s := setOf(pairHardened, pairVersion, pairRestrictions)
	for i := range 100 {
		s.Entries = append(s.Entries, Entry{Key: "com.example.key." + strings.Repeat("x", i), Value: Array(String("a"))})
	}
	der, err := EncodeDER(s)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(der)))
	for b.Loop() {
		if _, err := ParseDER(der); err != nil {
			b.Fatal(err)
		}
	}
}
