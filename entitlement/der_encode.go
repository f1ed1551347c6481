package entitlement

import (
	"fmt"
	"math/big"
)

// EncodeDER writes a set as the payload of a DER entitlements blob, in the present form ([ParseDER]). Pairs are sorted
// by key. It fails on values that DER entitlements cannot hold: reals and dates.
func EncodeDER(s *Set) ([]byte, error) {
	dict, err := encodeValue(s.dict())
	if err != nil {
		return nil, fmt.Errorf("DER entitlements: %w", err)
	}
	return wrap(tagBlob, append([]byte{tagInteger, 1, derVersion}, dict...)), nil
}

// encodeDERSet writes the older form, a SET without version.
func encodeDERSet(s *Set) ([]byte, error) {
	content, err := encodePairs(s.dict().Dict)
	if err != nil {
		return nil, fmt.Errorf("DER entitlements: %w", err)
	}
	return wrap(tagSet, content), nil
}

func encodeValue(v Value) ([]byte, error) {
	switch v.Kind {
	case KindBool:
		if v.Bool {
			return []byte{tagBool, 1, 0xff}, nil
		}
		return []byte{tagBool, 1, 0}, nil
	case KindInteger:
		return wrap(tagInteger, encodeInteger(v.Int)), nil
	case KindString:
		return wrap(tagUTF8String, []byte(v.Str)), nil
	case KindData:
		return wrap(tagOctetString, v.Data), nil
	case KindArray:
		var content []byte
		for _, e := range v.List {
			b, err := encodeValue(e)
			if err != nil {
				return nil, err
			}
			content = append(content, b...)
		}
		return wrap(tagSequence, content), nil
	case KindDict:
		content, err := encodePairs(v.Dict)
		if err != nil {
			return nil, err
		}
		return wrap(tagDict, content), nil
	}
	return nil, fmt.Errorf("%s cannot be written", v.Kind.WithArticle())
}

func encodePairs(pairs []Pair) ([]byte, error) {
	var content []byte
	for _, p := range pairs {
		val, err := encodeValue(p.Value)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", p.Key, err)
		}
		content = append(content, wrap(tagSequence, append(wrap(tagUTF8String, []byte(p.Key)), val...))...)
	}
	return content, nil
}

// encodeInteger returns the shortest two's complement form, big-endian.
func encodeInteger(i *big.Int) []byte {
	switch i.Sign() {
	case 0:
		return []byte{0}
	case 1:
		b := i.Bytes()
		if b[0]&0x80 != 0 {
			b = append([]byte{0}, b...)
		}
		return b
	}
	// -2^(8n-1) is the least that n bytes hold; BitLen of -(i+1) tells how many bits stand beside the sign.
	n := new(big.Int).Not(i).BitLen()/8 + 1
	return new(big.Int).Add(i, new(big.Int).Lsh(big.NewInt(1), uint(8*n))).FillBytes(make([]byte, n))
}

func wrap(tag byte, content []byte) []byte {
	out := []byte{tag}
	if n := len(content); n < 0x80 {
		out = append(out, byte(n))
	} else {
		length := big.NewInt(int64(n)).Bytes()
		out = append(append(out, 0x80|byte(len(length))), length...)
	}
	return append(out, content...)
}
