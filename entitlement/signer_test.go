package entitlement

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// signer makes ad hoc code signatures, so that tests have whole files with any entitlements, right or wrong.
type signer struct {
	identifier, team string
	flags            CodeFlags
	platform         uint8
	hashTypes        []uint8 // one code directory each; nil: SHA-256 alone
	xml, der         []byte  // payloads; nil: no blob
	breakXML         bool    // hash something else
	code             []byte  // what the code directory hashes
}

func blobOf(magic uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	b = binary.BigEndian.AppendUint32(b, uint32(8+len(payload)))
	return append(b, payload...)
}

func hashWith(t uint8, b []byte) []byte {
	switch t {
	case 1:
		s := sha1.Sum(b)
		return s[:]
	case 2:
		s := sha256.Sum256(b)
		return s[:]
	case 3:
		s := sha256.Sum256(b)
		return s[:20]
	}
	s := sha512.Sum384(b)
	return s[:]
}

func (s signer) directory(hashType uint8, special map[int][]byte) []byte {
	const header, slots, page = 88, 7, 4096
	be := binary.BigEndian
	d := make([]byte, header)
	ident := len(d)
	d = append(append(d, s.identifier...), 0)
	team := 0
	if s.team != "" {
		team = len(d)
		d = append(append(d, s.team...), 0)
	}
	size := len(hashWith(hashType, nil))
	for slot := slots; slot >= 1; slot-- {
		if b, ok := special[slot]; ok {
			d = append(d, hashWith(hashType, b)...)
		} else {
			d = append(d, make([]byte, size)...)
		}
	}
	hashes := len(d)
	pages := 0
	for p := range slices.Chunk(s.code, page) {
		d = append(d, hashWith(hashType, p)...)
		pages++
	}
	be.PutUint32(d, magicCodeDirectory)
	be.PutUint32(d[4:], uint32(len(d)))
	be.PutUint32(d[8:], 0x20400)
	be.PutUint32(d[12:], uint32(s.flags|FlagAdHoc))
	be.PutUint32(d[16:], uint32(hashes))
	be.PutUint32(d[20:], uint32(ident))
	be.PutUint32(d[24:], slots)
	be.PutUint32(d[28:], uint32(pages))
	be.PutUint32(d[32:], uint32(len(s.code)))
	d[36], d[37], d[38], d[39] = uint8(size), hashType, s.platform, 12
	be.PutUint32(d[48:], uint32(team))
	return d
}

// sign returns the super blob.
func (s signer) sign() []byte {
	special := map[int][]byte{}
	type slotBlob struct {
		slot uint32
		blob []byte
	}
	var blobs []slotBlob
	if s.xml != nil {
		b := blobOf(magicEntitlements, s.xml)
		blobs = append(blobs, slotBlob{slotEntitlements, b})
		special[slotEntitlements] = b
		if s.breakXML {
			special[slotEntitlements] = []byte("something else")
		}
	}
	if s.der != nil {
		b := blobOf(magicDER, s.der)
		blobs = append(blobs, slotBlob{slotDER, b})
		special[slotDER] = b
	}
	types := s.hashTypes
	if types == nil {
		types = []uint8{2}
	}
	for i, t := range types {
		slot := uint32(slotCodeDirectory)
		if i > 0 {
			slot = slotAlternateFirst + uint32(i-1)
		}
		blobs = append(blobs, slotBlob{slot, s.directory(t, special)})
	}
	slices.SortFunc(blobs, func(a, b slotBlob) int { return int(a.slot) - int(b.slot) })

	at := 12 + 8*len(blobs)
	index := binary.BigEndian.AppendUint32(nil, uint32(len(blobs)))
	var body []byte
	for _, b := range blobs {
		index = binary.BigEndian.AppendUint32(index, b.slot)
		index = binary.BigEndian.AppendUint32(index, uint32(at+len(body)))
		body = append(body, b.blob...)
	}
	return blobOf(magicSuperBlob, append(index, body...))
}

// signImage returns a thin little-endian 64-bit Mach-O with its signature, if any, replaced. The load command is added
// in the room after the others where there is none.
func signImage(t testing.TB, image []byte, s signer) []byte {
	t.Helper()
	const lcCodeSignature, lcSegment64, headerSize = 0x1d, 0x19, 32
	le := binary.LittleEndian
	out := slices.Clone(image)
	ncmds, size := le.Uint32(out[16:]), le.Uint32(out[20:])
	at, command, linkedit := headerSize, -1, -1
	for range ncmds {
		switch cmd := le.Uint32(out[at:]); {
		case cmd == lcCodeSignature:
			command = at
		case cmd == lcSegment64 && bytes.HasPrefix(out[at+8:], []byte("__LINKEDIT\x00")):
			linkedit = at
		}
		at += int(le.Uint32(out[at+4:]))
	}
	if linkedit < 0 {
		t.Fatal("no __LINKEDIT")
	}
	end := len(out)
	if command >= 0 {
		end = int(le.Uint32(out[command+8:]))
	} else {
		command = at
		if len(bytes.Trim(out[at:at+16], "\x00")) > 0 {
			t.Fatal("no room for a load command")
		}
		le.PutUint32(out[command:], lcCodeSignature)
		le.PutUint32(out[command+4:], 16)
		le.PutUint32(out[16:], ncmds+1)
		le.PutUint32(out[20:], size+16)
	}
	out = append(out[:end:end], make([]byte, -end&15)...)
	end = len(out)
	le.PutUint32(out[command+8:], uint32(end))
	// The size of a signature does not depend on the content of what it hashes, so a first pass tells it.
	s.code = out
	length := len(s.sign())
	le.PutUint32(out[command+12:], uint32(length))
	fileoff := le.Uint64(out[linkedit+40:])
	le.PutUint64(out[linkedit+48:], uint64(end+length)-fileoff)
	le.PutUint64(out[linkedit+32:], (uint64(end+length)-fileoff+0x3fff)&^0x3fff)
	return append(out, s.sign()...)
}

// xmlOf writes pairs as an entitlements file; the first key stands on line 5.
func xmlOf(pairs ...Pair) []byte {
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
%s
</dict>
</plist>
`, plistLines(pairs...))
}

func derOf(t testing.TB, pairs ...Pair) []byte {
	t.Helper()
	der, err := EncodeDER(setOf(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// fatOf makes a universal file: pairs of cpu type, cpu subtype and image.
type fatSlice struct {
	cpu, sub uint32
	image    []byte
}

func fatOf(slices ...fatSlice) []byte {
	const align = 14
	be := binary.BigEndian
	out := be.AppendUint32(nil, 0xcafebabe)
	out = be.AppendUint32(out, uint32(len(slices)))
	at := 1 << align
	var body []byte
	for _, s := range slices {
		for _, v := range []uint32{s.cpu, s.sub, uint32(at + len(body)), uint32(len(s.image)), align} {
			out = be.AppendUint32(out, v)
		}
		body = append(body, s.image...)
		body = append(body, make([]byte, -len(body)&(1<<align-1))...)
	}
	return append(append(out, make([]byte, at-len(out))...), body...)
}
