package entitlement

import (
	"strings"
	"testing"

	"howett.net/plist"

	"github.com/google/go-cmp/cmp"
)

func TestParsePlistLines(t *testing.T) {
	set, err := ParsePlist([]byte(`<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0">
<dict>
	<!-- two
	lines -->
	<key>com.example.one</key><true/>
	<key>
com.example.odd</key>
	<dict>
		<key>com.example.one</key>
		<string>inner keys do not count</string>
	</dict>
	<key>a&amp;b</key>

	<array><string>x</string></array>
	<key>com.example.one</key>
	<integer>-5</integer>
</dict>
</plist>` + "\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	line := func(n int) Origin { return Origin{Format: FormatXML, Line: n} }
	want := &Set{Format: FormatXML, Entries: []Entry{
		{"\ncom.example.odd", Dict(Pair{"com.example.one", String("inner keys do not count")}), line(7)},
		{"a&b", Array(String("x")), line(13)},
		{"com.example.one", Int(-5), line(16)},
	}, Repeated: []Entry{{Key: "com.example.one", At: line(6)}}}
	if diff := cmp.Diff(want, set, cmp.Comparer(Value.Equal)); diff != "" {
		t.Error(diff)
	}
}

func TestParsePlistBare(t *testing.T) {
	set, err := ParsePlist([]byte("\n<dict>\n<key>a</key><true/></dict>"))
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := set.Get("a"); e.At.Line != 3 || !e.Value.IsTrue() {
		t.Errorf("got %+v", e)
	}
}

func TestParsePlistBinary(t *testing.T) {
	in := map[string]any{"b": true, "i": uint64(1 << 63), "s": "x", "a": []any{int64(-1)}, "d": []byte{1, 2}, "r": 1.5}
	data, err := plist.Marshal(in, plist.BinaryFormat)
	if err != nil {
		t.Fatal(err)
	}
	set, err := ParsePlist(data)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := set.dict().String(),
		`{"a": [-1], "b": true, "d": 2 bytes of data, "i": 9223372036854775808, "r": 1.5,`; !strings.HasPrefix(got,
		want[:60]) {
		t.Errorf("got %s", got)
	}
	if e, _ := set.Get("i"); e.At.String() != "binary property list" {
		t.Errorf("place %q", e.At)
	}
}

func TestParsePlistRejects(t *testing.T) {
	for name, data := range map[string]string{
		"empty":     "",
		"json":      `{"a": true}`,
		"openstep":  `{ a = b; }`,
		"array":     `<plist><array/></plist>`,
		"string":    `<plist><string>x</string></plist>`,
		"cut":       `<plist><dict><key>a`,
		"html":      `<html><body>404</body></html>`,
		"bplist":    "bplist00\xff\xff",
		"deep":      "<plist>" + strings.Repeat("<array>", 100000),
		"NUL bytes": "\x00\x00\x00\x00",
	} {
		if _, err := ParsePlist([]byte(data)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestCompare(t *testing.T) {
	xml, err := ParsePlist(xmlOf(pairRestrictions, pairHardened))
	if err != nil {
		t.Fatal(err)
	}
	der, err := ParseDER(derOf(t, Pair{KeyRestrictionsString, Int(2)}, pairHardened, Pair{"z", Bool(true)}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range Compare(xml, der) {
		got = append(got, d.String())
	}
	want := []string{
		KeyRestrictionsString + `: XML has "2" (line 5), DER has 2 (DER offset 0x31)`,
		`z: XML does not have it, DER has true (DER offset 0x78)`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzPlist(f *testing.F) {
	f.Add(xmlOf(pairHardened, pairVersion, pairRestrictions, pairRestrictionsInt))
	for _, format := range []int{plist.BinaryFormat, plist.XMLFormat} {
		data, err := plist.Marshal(map[string]any{KeyRestrictions: 2, "a": []any{"x", map[string]any{"y": 1.5}}}, format)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ParsePlist(data)
		if err != nil {
			return
		}
		if len(set.Keys()) != set.Len() {
			t.Fatal("keys lost")
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, e := range set.Entries {
			if e.At.Line > lines {
				t.Fatalf("line %d of %d", e.At.Line, lines)
			}
		}
		checkDecision(t, Inputs{Product: ProductFile, Plist: set})
		if der, err := EncodeDER(set); err == nil {
			if again, err := ParseDER(der); err == nil && !again.dict().Equal(set.dict()) {
				t.Fatalf("DER says %s, the property list %s", again.dict(), set.dict())
			}
		}
	})
}
