package entitlement

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// Profile is a provisioning profile (embedded.mobileprovision, embedded.provisionprofile): Apple's signed statement of
// what a team may claim. Its Entitlements are an allow-list, not what a program carries; "*" as a value permits any
// string. The signature around the list is not verified here.
type Profile struct {
	Name         string    `json:"name,omitempty"`
	UUID         string    `json:"uuid,omitempty"`
	TeamName     string    `json:"team_name,omitempty"`
	TeamIDs      []string  `json:"team_ids,omitempty"`
	Platforms    []string  `json:"platforms,omitempty"` // iOS, OSX, xrOS …
	Expires      time.Time `json:"expires"`
	Devices      int       `json:"devices,omitempty"`     // devices listed; 0 for store and enterprise profiles
	AllDevices   bool      `json:"all_devices,omitempty"` // enterprise and Developer ID profiles
	Entitlements *Set      `json:"-"`
}

// profileMaxSize is in bytes: profiles with thousands of devices stay below 1 MiB.
const profileMaxSize = 8 << 20

// ParseProfile reads a provisioning profile: CMS SignedData (BER or DER) whose content is an XML property list.
func ParseProfile(data []byte) (*Profile, error) {
	if len(data) > profileMaxSize {
		return nil, fmt.Errorf("provisioning profile: %d bytes, more than the limit of %d", len(data), profileMaxSize)
	}
	content, err := cmsContent(data)
	if err != nil {
		return nil, fmt.Errorf("provisioning profile: %w", err)
	}
	dict, format, err := readPlist(content)
	if err != nil {
		return nil, fmt.Errorf("provisioning profile: %w", err)
	}
	claims, ok := dict["Entitlements"].(map[string]any)
	if !ok {
		return nil, errors.New("provisioning profile: no Entitlements dictionary")
	}
	p := &Profile{TeamIDs: stringsOf(dict["TeamIdentifier"]), Platforms: stringsOf(dict["Platform"])}
	p.Name, _ = dict["Name"].(string)
	p.UUID, _ = dict["UUID"].(string)
	p.TeamName, _ = dict["TeamName"].(string)
	p.Expires, _ = dict["ExpirationDate"].(time.Time)
	p.AllDevices, _ = dict["ProvisionsAllDevices"].(bool)
	p.Devices = len(stringsOf(dict["ProvisionedDevices"]))
	// The lines of a list inside CMS would mislead: nobody opens it in an editor. Keys are told without a line.
	if p.Entitlements, err = makeSet(nil, format, claims); err != nil {
		return nil, fmt.Errorf("provisioning profile: %w", err)
	}
	return p, nil
}

func stringsOf(raw any) []string {
	list, _ := raw.([]any)
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// The object identifier 1.2.840.113549.1.7.2 (id-signedData, RFC 5652) as its content bytes.
var oidSignedData = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02}

const (
	berSequence   = 0x30
	berSet        = 0x31
	berInteger    = 0x02
	berOID        = 0x06
	berOctets     = 0x04
	berOctetParts = 0x24 // constructed OCTET STRING
	berExplicit0  = 0xa0
	berMaxDepth   = 16
)

// looksLikeCMS reports whether data starts as CMS SignedData does.
func looksLikeCMS(data []byte) bool {
	return len(data) > 2 && data[0] == berSequence && bytes.Contains(data[:min(len(data), 32)], oidSignedData)
}

// cmsContent returns the encapsulated content of CMS SignedData (RFC 5652, section 5): the octets that were signed.
// Signatures and certificates are not looked at.
func cmsContent(data []byte) ([]byte, error) {
	r := berReader{data}
	info, err := r.expect(0, len(data), berSequence)
	if err != nil {
		return nil, err
	}
	kind, err := r.expect(info.start, info.end, berOID)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(data[kind.start:kind.end], oidSignedData) {
		return nil, fmt.Errorf("offset %#x: not CMS signed data", kind.at)
	}
	wrapper, err := r.expect(kind.next, info.end, berExplicit0)
	if err != nil {
		return nil, err
	}
	signed, err := r.expect(wrapper.start, wrapper.end, berSequence)
	if err != nil {
		return nil, err
	}
	version, err := r.expect(signed.start, signed.end, berInteger)
	if err != nil {
		return nil, err
	}
	digests, err := r.expect(version.next, signed.end, berSet)
	if err != nil {
		return nil, err
	}
	encap, err := r.expect(digests.next, signed.end, berSequence)
	if err != nil {
		return nil, err
	}
	contentType, err := r.expect(encap.start, encap.end, berOID)
	if err != nil {
		return nil, err
	}
	if contentType.next == encap.end {
		return nil, fmt.Errorf("offset %#x: CMS signed data without content", encap.at)
	}
	explicit, err := r.expect(contentType.next, encap.end, berExplicit0)
	if err != nil {
		return nil, err
	}
	return r.octets(explicit.start, explicit.end, 0)
}

// berReader reads BER: unlike the strict reader of DER entitlements it knows indefinite lengths, which signers use.
type berReader struct{ data []byte }

type berElement struct {
	tag            byte
	at, start, end int // content is data[start:end]
	next           int // offset after the element; differs from end for indefinite lengths
}

func (r berReader) expect(at, limit int, tag byte) (berElement, error) {
	e, err := r.read(at, limit, 0)
	if err == nil && e.tag != tag {
		err = fmt.Errorf("offset %#x: tag %#02x where %#02x is due", at, e.tag, tag)
	}
	return e, err
}

func (r berReader) read(at, limit, depth int) (berElement, error) {
	fail := func(cause string) (berElement, error) { return berElement{}, fmt.Errorf("offset %#x: %s", at, cause) }
	if limit-at < 2 {
		return fail("truncated")
	}
	e := berElement{tag: r.data[at], at: at, start: at + 2}
	if e.tag&0x1f == 0x1f {
		return fail("tag of more than one byte")
	}
	length := int(r.data[at+1])
	if length == 0x80 {
		if depth >= berMaxDepth {
			return fail("nested too deeply")
		}
		if e.tag&0x20 == 0 {
			return fail("indefinite length of a primitive value")
		}
		for pos := e.start; ; {
			if limit-pos < 2 {
				return fail("no end of contents")
			}
			if r.data[pos] == 0 && r.data[pos+1] == 0 {
				e.end, e.next = pos, pos+2
				return e, nil
			}
			child, err := r.read(pos, limit, depth+1)
			if err != nil {
				return e, err
			}
			pos = child.next
		}
	}
	if length > 0x80 {
		count := length & 0x7f
		if count > 8 || count > limit-e.start {
			return fail("length does not fit")
		}
		var n uint64
		for _, b := range r.data[e.start : e.start+count] {
			n = n<<8 | uint64(b)
		}
		if n > uint64(limit) {
			return fail(fmt.Sprintf("length %d is beyond the end", n))
		}
		length, e.start = int(n), e.start+count
	}
	if length > limit-e.start {
		return fail(fmt.Sprintf("length %d is beyond the end", length))
	}
	e.end = e.start + length
	e.next = e.end
	return e, nil
}

// octets returns the content of an OCTET STRING, joining the parts of a constructed one.
func (r berReader) octets(at, limit, depth int) ([]byte, error) {
	e, err := r.read(at, limit, depth)
	if err != nil {
		return nil, err
	}
	switch {
	case e.tag == berOctets:
		return r.data[e.start:e.end], nil
	case e.tag != berOctetParts:
		return nil, fmt.Errorf("offset %#x: tag %#02x where an octet string is due", at, e.tag)
	case depth >= berMaxDepth:
		return nil, fmt.Errorf("offset %#x: nested too deeply", at)
	}
	var out []byte
	for pos := e.start; pos < e.end; {
		child, err := r.read(pos, e.end, depth)
		if err != nil {
			return nil, err
		}
		part, err := r.octets(pos, e.end, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
		pos = child.next
	}
	return out, nil
}
