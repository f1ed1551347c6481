package entitlement

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"
)

// The tags of DER entitlements: the ASN.1 universal types, and two of Apple's own.
const (
	tagBool        = 0x01
	tagInteger     = 0x02
	tagOctetString = 0x04
	tagUTF8String  = 0x0c
	tagSequence    = 0x30
	tagSet         = 0x31 // outermost in the first form of DER entitlements, which has no version
	tagBlob        = 0x70 // [APPLICATION 16], constructed: outermost in the present form
	tagDict        = 0xb0 // [16], context-specific, constructed
)

const (
	derVersion  = 1
	derMaxDepth = 64      // nesting of arrays and dictionaries; real entitlements stay below 8
	derMaxSize  = 4 << 20 // bytes of one payload; the largest in Apple's own programs is about 100 KiB
	// Each pair costs more memory as a Value than it has bytes in DER; together with derMaxSize this bounds both.
	derMaxValues = 200_000
)

// ParseDER reads the payload of a DER entitlements blob:
//
//	blob  = [APPLICATION 16] { INTEGER 1, dict }
//	dict  = [16] { SEQUENCE { UTF8String key, value } … }   sorted by key, keys unique
//	value = BOOLEAN | INTEGER | UTF8String | OCTET STRING | SEQUENCE of value | dict
//
// and the older form, in which a SET stands for the blob and there is no version. Lengths must be definite and minimal,
// as must integers; a boolean is 00 or FF; strings are UTF-8 without NUL. What ParseDER accepts, [EncodeDER] writes
// back byte for byte.
//
// These are the rules that libCoreEntitlements validates before AMFI lets the kernel use a blob. Errors name the offset
// within the payload.
func ParseDER(payload []byte) (*Set, error) {
	if len(payload) > derMaxSize {
		return nil, fmt.Errorf("DER entitlements: %d bytes, more than the limit of %d", len(payload), derMaxSize)
	}
	d := derReader{data: payload, budget: derMaxValues}
	set, err := d.blob()
	if err != nil {
		return nil, fmt.Errorf("DER entitlements: %w", err)
	}
	return set, nil
}

type derReader struct {
	data   []byte
	budget int
}

// element is one tag-length-value: its content is data[start:end].
type element struct {
	tag        byte
	at         int // offset of the tag
	start, end int
}

func (d *derReader) blob() (*Set, error) {
	outer, err := d.next(0, len(d.data))
	if err != nil {
		return nil, err
	}
	if outer.end != len(d.data) {
		return nil, fmt.Errorf("offset %#x: %d bytes after the end", outer.end, len(d.data)-outer.end)
	}
	dict := outer
	switch outer.tag {
	case tagSet:
	case tagBlob:
		version, err := d.next(outer.start, outer.end)
		if err != nil {
			return nil, err
		}
		v, err := d.value(version, 0)
		if err != nil {
			return nil, err
		}
		if v.Kind != KindInteger || v.Int.Cmp(big.NewInt(derVersion)) != 0 {
			return nil, fmt.Errorf("offset %#x: version is %s, want %d", version.at, v, derVersion)
		}
		if dict, err = d.next(version.end, outer.end); err != nil {
			return nil, err
		}
		if dict.tag != tagDict {
			return nil, fmt.Errorf("offset %#x: tag %#02x where the dictionary, tag %#02x, is due", dict.at, dict.tag, tagDict)
		}
		if dict.end != outer.end {
			return nil, fmt.Errorf("offset %#x: data after the dictionary", dict.end)
		}
	default:
		return nil, fmt.Errorf("offset 0: tag %#02x is not the start of entitlements", outer.tag)
	}
	set := &Set{Format: FormatDER}
	err = d.pairs(dict, 0, func(key string, v Value, at int) {
		set.Entries = append(set.Entries, Entry{key, v, Origin{Format: FormatDER, Offset: at}})
	})
	if err != nil {
		return nil, err
	}
	return set, nil
}

// next reads the element that starts at offset at and must end at or before limit.
func (d *derReader) next(at, limit int) (element, error) {
	fail := func(cause string) (element, error) { return element{}, fmt.Errorf("offset %#x: %s", at, cause) }
	if limit-at < 2 {
		return fail("truncated: no room for tag and length")
	}
	e := element{tag: d.data[at], at: at}
	if e.tag&0x1f == 0x1f {
		return fail("tag of more than one byte")
	}
	length, pos := int(d.data[at+1]), at+2
	if length >= 0x80 {
		count := length & 0x7f
		if count == 0 {
			return fail("indefinite length")
		}
		if count > 4 || count > limit-pos {
			return fail(fmt.Sprintf("length of %d bytes does not fit", count))
		}
		var n uint64
		for _, b := range d.data[pos : pos+count] {
			n = n<<8 | uint64(b)
		}
		if n < 0x80 || n>>(8*(count-1)) == 0 {
			return fail("length is not in its shortest form")
		}
		if n > derMaxSize {
			return fail(fmt.Sprintf("length %d is beyond the end", n))
		}
		length, pos = int(n), pos+count
	}
	if length > limit-pos {
		return fail(fmt.Sprintf("length %d is beyond the end", length))
	}
	e.start, e.end = pos, pos+length
	return e, nil
}

func (d *derReader) pairs(dict element, depth int, add func(key string, v Value, at int)) error {
	last, first := "", true
	for at := dict.start; at < dict.end; {
		pair, err := d.next(at, dict.end)
		if err != nil {
			return err
		}
		if pair.tag != tagSequence {
			return fmt.Errorf("offset %#x: tag %#02x where a pair, tag %#02x, is due", pair.at, pair.tag, tagSequence)
		}
		k, err := d.next(pair.start, pair.end)
		if err != nil {
			return err
		}
		if k.tag != tagUTF8String {
			return fmt.Errorf("offset %#x: key has tag %#02x, not that of a string", k.at, k.tag)
		}
		key, err := d.text(k)
		if err != nil {
			return err
		}
		if !first && key <= last {
			return fmt.Errorf("offset %#x: key %q after %q: keys are not sorted or not unique", k.at, key, last)
		}
		last, first = key, false
		val, err := d.next(k.end, pair.end)
		if err != nil {
			return err
		}
		if val.end != pair.end {
			return fmt.Errorf("offset %#x: data after the value of %q", val.end, key)
		}
		v, err := d.value(val, depth)
		if err != nil {
			return err
		}
		add(key, v, pair.at)
		at = pair.end
	}
	return nil
}

func (d *derReader) text(e element) (string, error) {
	s := d.data[e.start:e.end]
	if !utf8.Valid(s) {
		return "", fmt.Errorf("offset %#x: string is not UTF-8", e.at)
	}
	if strings.IndexByte(string(s), 0) >= 0 {
		return "", fmt.Errorf("offset %#x: string with a NUL byte", e.at)
	}
	return string(s), nil
}

func (d *derReader) value(e element, depth int) (Value, error) {
	if d.budget--; d.budget < 0 {
		return Value{}, fmt.Errorf("offset %#x: more than %d values", e.at, derMaxValues)
	}
	content := d.data[e.start:e.end]
	switch e.tag {
	case tagBool:
		if len(content) != 1 || content[0] != 0 && content[0] != 0xff {
			return Value{}, fmt.Errorf("offset %#x: boolean is neither 00 nor FF", e.at)
		}
		return Bool(content[0] != 0), nil
	case tagInteger:
		i, err := decodeInteger(content)
		if err != nil {
			return Value{}, fmt.Errorf("offset %#x: %w", e.at, err)
		}
		return Value{Kind: KindInteger, Int: i}, nil
	case tagUTF8String:
		s, err := d.text(e)
		return String(s), err
	case tagOctetString:
		return Data(append([]byte{}, content...)), nil
	}
	if e.tag != tagSequence && e.tag != tagDict {
		return Value{}, fmt.Errorf("offset %#x: unknown tag %#02x", e.at, e.tag)
	}
	if depth >= derMaxDepth {
		return Value{}, fmt.Errorf("offset %#x: nested deeper than %d", e.at, derMaxDepth)
	}
	if e.tag == tagDict {
		v := Value{Kind: KindDict}
		err := d.pairs(e, depth+1, func(key string, val Value, _ int) { v.Dict = append(v.Dict, Pair{key, val}) })
		return v, err
	}
	v := Value{Kind: KindArray}
	for at := e.start; at < e.end; {
		item, err := d.next(at, e.end)
		if err != nil {
			return v, err
		}
		val, err := d.value(item, depth+1)
		if err != nil {
			return v, err
		}
		v.List = append(v.List, val)
		at = item.end
	}
	return v, nil
}

// decodeInteger reads a two's complement big-endian integer of the shortest form.
func decodeInteger(b []byte) (*big.Int, error) {
	if len(b) == 0 {
		return nil, errors.New("integer without bytes")
	}
	if len(b) > 1 && (b[0] == 0 && b[1]&0x80 == 0 || b[0] == 0xff && b[1]&0x80 != 0) {
		return nil, errors.New("integer is not in its shortest form")
	}
	i := new(big.Int).SetBytes(b)
	if b[0]&0x80 != 0 {
		i.Sub(i, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return i, nil
}
