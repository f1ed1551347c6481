package entitlement

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSignature(t *testing.T) {
	xml, der := xmlOf(pairRestrictions), derOf(t, pairRestrictions)
	for _, tt := range []struct {
		name string
		make signer
		want Signature
	}{
		{"plain", signer{identifier: "com.example.a"},
			Signature{Identifier: "com.example.a", Flags: FlagAdHoc, Version: 0x20400, HashType: 2}},
		{"all", signer{identifier: "com.example.b", team: "ABCDE12345", flags: FlagRuntime, platform: 14, xml: xml, der: der},
			Signature{Identifier: "com.example.b", TeamID: "ABCDE12345", Flags: FlagAdHoc | FlagRuntime, Platform: 14,
				Version: 0x20400, HashType: 2, XML: xml, DER: der}},
		{"two directories, the strongest counts", signer{identifier: "c", hashTypes: []uint8{1, 2}, xml: xml},
			Signature{Identifier: "c", Flags: FlagAdHoc, Version: 0x20400, HashType: 2, XML: xml}},
		{"cut hash is weaker", signer{identifier: "d", hashTypes: []uint8{2, 3}, der: der},
			Signature{Identifier: "d", Flags: FlagAdHoc, Version: 0x20400, HashType: 2, DER: der}},
		{"sha-384", signer{identifier: "e", hashTypes: []uint8{1, 4, 2}, der: der},
			Signature{Identifier: "e", Flags: FlagAdHoc, Version: 0x20400, HashType: 4, DER: der}},
		{"wrong hash", signer{identifier: "f", xml: xml, breakXML: true},
			Signature{Identifier: "f", Flags: FlagAdHoc, Version: 0x20400, HashType: 2, XML: xml,
				Broken: []string{"XML entitlements: the hash in the code directory is another"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSignature(append(tt.make.sign(), make([]byte, 100)...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSignatureBrokenSeal(t *testing.T) {
	s := signer{identifier: "a", der: derOf(t)}.sign()
	// Rename the DER slot: its hash stays, its blob is gone.
	at := bytes.Index(s, []byte{0, 0, 0, slotDER})
	s[at+3] = 0x40
	sig, err := ParseSignature(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(sig.Broken) != 1 || !strings.Contains(sig.Broken[0], "missing") {
		t.Errorf("got %q, want a missing blob", sig.Broken)
	}
}

func TestParseSignatureRejects(t *testing.T) {
	good := signer{identifier: "com.example", der: derOf(t)}.sign()
	put := func(at int, v uint32) []byte {
		b := slices.Clone(good)
		binary.BigEndian.PutUint32(b[at:], v)
		return b
	}
	directory := int(be32(good[16:]))
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "offset 0: truncated"},
		{"magic", put(0, 1), "magic 0x00000001 is not a super blob"},
		{"detached", put(0, magicDetached), "detached"},
		{"too long", put(4, 1<<31), "does not fit the"},
		{"4 GiB", put(4, 0xffffffff), "does not fit the"},
		{"too many blobs", put(8, 0xffffffff), "blobs do not fit"},
		{"blob offset", put(16, 0xfffffff8), "beyond the end"},
		{"blob length", put(directory+4, 0xffffffff), "does not fit"},
		{"slot twice", put(20, 0), "slot 0x0 twice"},
		{"no directory", put(12, 0x20), "no code directory"},
		{"DER slot with XML magic", put(20, slotEntitlements), "magic 0xfade7172 where 0xfade7171"},
		{"directory magic", put(directory, 7), "code directory in slot 0x0: magic 0x00000007"},
		{"identifier offset", put(directory+20, 0x7fffffff), "identifier: offset 0x7fffffff is beyond the end"},
		{"hash offset", put(directory+16, 0xffffffff), "special hashes of 32 bytes do not fit"},
		{"special slots", put(directory+24, 0xffffffff), "special hashes of 32 bytes do not fit"},
		{"team offset", put(directory+48, 0xffff), "team identifier"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSignature(tt.data)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func FuzzSignature(f *testing.F) {
	f.Add(signer{identifier: "com.example", team: "T", xml: xmlOf(pairRestrictions), der: derOf(f, pairRestrictions),
		hashTypes: []uint8{1, 2}, flags: FlagRuntime}.sign())
	f.Add(signer{identifier: "a", platform: 1, hashTypes: []uint8{4}}.sign())
	f.Fuzz(func(t *testing.T, data []byte) {
		sig, err := ParseSignature(data)
		if err != nil {
			return
		}
		if len(sig.XML)+len(sig.DER) > 2*len(data) {
			t.Fatal("payloads larger than their signature")
		}
		in := Inputs{Product: ProductExecutable, Platform: "macOS", Signature: sig}
		if set, err := ParseDER(sig.DER); err == nil {
			in.DER = set
		}
		checkDecision(t, in)
	})
}
