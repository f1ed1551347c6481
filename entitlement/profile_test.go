package entitlement

import (
	"bytes"
	"strings"
	"testing"

	"howett.net/plist"
)

// cmsOf wraps content as a profile is: SignedData without signers.
func cmsOf(content []byte) []byte {
	oidData := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01}
	encap := wrap(berSequence, append(wrap(berOID, oidData), wrap(berExplicit0, wrap(berOctets, content))...))
	signed := append([]byte{berInteger, 1, 1, berSet, 0}, encap...)
	signed = append(signed, berSet, 0)
	return wrap(berSequence, append(wrap(berOID, oidSignedData), wrap(berExplicit0, wrap(berSequence, signed))...))
}

// cmsIndefinite is the same in BER: indefinite lengths, the octets in parts.
func cmsIndefinite(content []byte) []byte {
	open := func(tag byte, parts ...[]byte) []byte {
		return append(append([]byte{tag, 0x80}, bytes.Join(parts, nil)...), 0, 0)
	}
	oidData := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01}
	half := len(content) / 2
	encap := open(berSequence, wrap(berOID, oidData),
		open(berExplicit0, open(berOctetParts, wrap(berOctets, content[:half]), wrap(berOctets, content[half:]))))
	return open(berSequence, wrap(berOID, oidSignedData),
		open(berExplicit0, open(berSequence, []byte{berInteger, 1, 1, berSet, 0}, encap, []byte{berSet, 0})))
}

func profilePlist(t testing.TB, claims map[string]any) []byte {
	t.Helper()
	data, err := plist.MarshalIndent(map[string]any{
		"Name": "Example Profile", "UUID": "00000000-0000-0000-0000-000000000001", "TeamName": "Example",
		"TeamIdentifier": []any{"ABCDE12345"}, "Platform": []any{"iOS", "xrOS"},
		"ProvisionedDevices": []any{"1", "2"}, "Entitlements": claims,
	}, plist.XMLFormat, "\t")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParseProfile(t *testing.T) {
	content := profilePlist(t, map[string]any{KeyRestrictions: "*", "get-task-allow": true})
	for name, data := range map[string][]byte{"DER": cmsOf(content), "BER": cmsIndefinite(content)} {
		t.Run(name, func(t *testing.T) {
			if !looksLikeCMS(data) {
				t.Error("not recognised")
			}
			p, err := ParseProfile(data)
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != "Example Profile" || p.Devices != 2 || len(p.Platforms) != 2 || p.TeamIDs[0] != "ABCDE12345" {
				t.Errorf("got %+v", p)
			}
			if e, _ := p.Entitlements.Get(KeyRestrictions); !e.Value.Equal(String("*")) || e.At.Line != 0 {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestParseProfileRejects(t *testing.T) {
	good := cmsOf(profilePlist(t, nil))
	noClaims, err := plist.Marshal(map[string]any{"Name": "x"}, plist.XMLFormat)
	if err != nil {
		t.Fatal(err)
	}
	deep := bytes.Repeat([]byte{berSequence, 0x80}, 5000)
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "truncated"},
		{"cut", good[:len(good)/2], "beyond the end"},
		{"no claims", cmsOf(noClaims), "no Entitlements"},
		{"noise inside", cmsOf([]byte("hello")), "neither an XML nor a binary"},
		{"other type", bytes.Replace(good, oidSignedData, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03},
			1), "not CMS signed data"},
		{"deep", deep, "nested too deeply"},
		{"endless", []byte{berSequence, 0x80, berOID}, "no end of contents"},
		{"long", []byte{berSequence, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, "beyond the end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseProfile(tt.data)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func FuzzProfile(f *testing.F) {
	content := profilePlist(f, map[string]any{KeyRestrictions: "*"})
	f.Add(cmsOf(content))
	f.Add(cmsIndefinite(content))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProfile(data)
		if err == nil && p.Entitlements == nil {
			t.Fatal("a profile without entitlements")
		}
		if content, err := cmsContent(data); err == nil && len(content) > len(data) {
			t.Fatal("content larger than what holds it")
		}
	})
}
