package entitlement

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// The blobs of a code signature and the slots they stand in; all integers are big-endian.
//
// Source: XNU osfmk/kern/cs_blobs.h.
const (
	magicSuperBlob     = 0xfade0cc0
	magicDetached      = 0xfade0cc1
	magicCodeDirectory = 0xfade0c02
	magicEntitlements  = 0xfade7171
	magicDER           = 0xfade7172
	magicCMS           = 0xfade0b01

	slotCodeDirectory   = 0
	slotEntitlements    = 5
	slotDER             = 7
	slotAlternateFirst  = 0x1000 // code directories with other hash types
	slotAlternateBefore = 0x1005
	slotCMS             = 0x10000
)

// CodeFlags are the flags of a code directory.
//
// Source: XNU osfmk/kern/cs_blobs.h (CS_ADHOC, CS_RUNTIME, CS_LINKER_SIGNED).
type CodeFlags uint32

const (
	FlagAdHoc        CodeFlags = 0x2     // no certificate
	FlagRuntime      CodeFlags = 0x10000 // the hardened runtime of macOS
	FlagLinkerSigned CodeFlags = 0x20000 // signed by the linker, not by codesign
)

// Signature is what a code signature says about entitlements. Hashes of code pages and certificates are not verified.
type Signature struct {
	Identifier string
	TeamID     string
	Flags      CodeFlags
	Platform   uint8  // platform identifier; not 0 in Apple's own binaries
	Version    uint32 // of the code directory, 0x20400 and later for the present format
	HashType   uint8  // 1 SHA-1, 2 SHA-256, 3 SHA-256 cut to 20 bytes, 4 SHA-384
	HasCMS     bool   // signed with a certificate

	XML []byte // payload of the XML entitlements blob; nil where there is none
	DER []byte // payload of the DER entitlements blob; nil where there is none

	// Broken lists entitlement blobs that the code directory does not vouch for: present without a hash, hashed but
	// absent, or with another hash. The kernel does not use such a signature
	// (XNU bsd/kern/ubc_subr.c, csblob_find_special_slot_blob).
	Broken []string
}

// HardenedRuntime reports whether the code directory asks for the hardened runtime.
func (s *Signature) HardenedRuntime() bool { return s != nil && s.Flags&FlagRuntime != 0 }

// PlatformBinary reports whether the code directory names a platform. The kernel believes it only of code that its
// trust caches hold.
func (s *Signature) PlatformBinary() bool { return s != nil && s.Platform != 0 }

const (
	signatureMaxBlobs = 64 // blobs of one signature; real ones have fewer than 16
	codeDirectoryMin  = 44 // bytes of the oldest code directory
)

// ParseSignature reads an embedded code signature: the data that LC_CODE_SIGNATURE points at. Bytes after the super
// blob are padding and ignored. Errors name the offset within data.
func ParseSignature(data []byte) (*Signature, error) {
	sig, err := parseSignature(data)
	if err != nil {
		return nil, fmt.Errorf("code signature: %w", err)
	}
	return sig, nil
}

func parseSignature(data []byte) (*Signature, error) {
	if len(data) < 12 {
		return nil, errors.New("offset 0: truncated")
	}
	magic, length := be32(data), be32(data[4:])
	if magic == magicDetached {
		return nil, errors.New("offset 0: a detached signature, not an embedded one")
	}
	if magic != magicSuperBlob {
		return nil, fmt.Errorf("offset 0: magic %#08x is not a super blob", magic)
	}
	if uint64(length) > uint64(len(data)) || length < 12 {
		return nil, fmt.Errorf("offset 4: length %d does not fit the %d bytes there are", length, len(data))
	}
	data = data[:length]
	count := be32(data[8:])
	if count > signatureMaxBlobs || 12+8*int(count) > len(data) {
		return nil, fmt.Errorf("offset 8: %d blobs do not fit", count)
	}

	blobs := make(map[uint32][]byte, count)
	for i := range int(count) {
		at := 12 + 8*i
		slot, off := be32(data[at:]), be32(data[at+4:])
		blob, err := blobAt(data, off)
		if err != nil {
			return nil, fmt.Errorf("offset %#x: slot %#x: %w", at, slot, err)
		}
		if _, twice := blobs[slot]; twice {
			return nil, fmt.Errorf("offset %#x: slot %#x twice", at, slot)
		}
		blobs[slot] = blob
	}

	best, err := bestDirectory(blobs)
	if err != nil {
		return nil, err
	}
	sig := best.sig
	cms, ok := blobs[slotCMS]
	sig.HasCMS = ok && len(cms) > 8 && be32(cms) == magicCMS
	for _, s := range []struct {
		slot, magic uint32
		name        string
		payload     *[]byte
	}{
		{slotEntitlements, magicEntitlements, "XML entitlements", &sig.XML},
		{slotDER, magicDER, "DER entitlements", &sig.DER},
	} {
		blob, present := blobs[s.slot]
		if present && be32(blob) != s.magic {
			return nil, fmt.Errorf("slot %d: magic %#08x where %#08x, %s, is due", s.slot, be32(blob), s.magic, s.name)
		}
		if problem := best.vouches(s.slot, blob); problem != "" {
			sig.Broken = append(sig.Broken, s.name+": "+problem)
		}
		if present {
			*s.payload = blob[8:]
		}
	}
	return &sig, nil
}

// blobAt returns the whole blob at offset off: magic, length and payload.
func blobAt(data []byte, off uint32) ([]byte, error) {
	if uint64(off)+8 > uint64(len(data)) {
		return nil, fmt.Errorf("blob at %#x is beyond the end", off)
	}
	length := be32(data[off+4:])
	if length < 8 || uint64(off)+uint64(length) > uint64(len(data)) {
		return nil, fmt.Errorf("blob at %#x: length %d does not fit", off, length)
	}
	return data[off : off+length], nil
}

// directory is one code directory.
type directory struct {
	sig        Signature
	raw        []byte
	hashOffset uint32
	hashSize   uint8
	special    uint32 // number of special slots, whose hashes stand before hashOffset
}

// bestDirectory returns the code directory with the strongest hash: the one the kernel goes by
// (XNU bsd/kern/ubc_subr.c, cs_validate_csblob).
func bestDirectory(blobs map[uint32][]byte) (*directory, error) {
	if _, ok := blobs[slotCodeDirectory]; !ok {
		return nil, errors.New("no code directory")
	}
	var best *directory
	for _, slot := range slices.Sorted(maps.Keys(blobs)) {
		if slot != slotCodeDirectory && (slot < slotAlternateFirst || slot >= slotAlternateBefore) {
			continue
		}
		d, err := parseDirectory(blobs[slot])
		if err != nil {
			return nil, fmt.Errorf("code directory in slot %#x: %w", slot, err)
		}
		if best == nil || hashRank(d.sig.HashType) > hashRank(best.sig.HashType) {
			best = d
		}
	}
	return best, nil
}

// hashRank orders hash types by strength; SHA-256 cut short comes before the whole one.
func hashRank(t uint8) int {
	switch t {
	case 1:
		return 1
	case 3:
		return 2
	case 2:
		return 3
	case 4:
		return 4
	}
	return 0
}

func parseDirectory(b []byte) (*directory, error) {
	if len(b) < codeDirectoryMin {
		return nil, fmt.Errorf("%d bytes are too short", len(b))
	}
	if be32(b) != magicCodeDirectory {
		return nil, fmt.Errorf("magic %#08x", be32(b))
	}
	d := &directory{raw: b, hashOffset: be32(b[16:]), special: be32(b[24:]), hashSize: b[36]}
	d.sig = Signature{
		Version: be32(b[8:]), Flags: CodeFlags(be32(b[12:])), HashType: b[37], Platform: b[38],
	}
	var err error
	if d.sig.Identifier, err = cString(b, be32(b[20:])); err != nil {
		return nil, fmt.Errorf("identifier: %w", err)
	}
	if d.sig.Version >= 0x20200 {
		if len(b) < 52 {
			return nil, fmt.Errorf("%d bytes are too short for version %#x", len(b), d.sig.Version)
		}
		if off := be32(b[48:]); off != 0 {
			if d.sig.TeamID, err = cString(b, off); err != nil {
				return nil, fmt.Errorf("team identifier: %w", err)
			}
		}
	}
	if size := uint64(d.special) * uint64(d.hashSize); uint64(d.hashOffset) > uint64(len(b)) ||
		size > uint64(d.hashOffset) {
		return nil, fmt.Errorf("%d special hashes of %d bytes do not fit before offset %#x",
			d.special, d.hashSize, d.hashOffset)
	}
	return d, nil
}

// vouches compares a blob (nil where the slot is empty) with the hash in the code directory's special slot; it returns
// "" where they belong together.
func (d *directory) vouches(slot uint32, blob []byte) string {
	var want []byte
	if slot <= d.special {
		at := d.hashOffset - slot*uint32(d.hashSize)
		if h := d.raw[at : at+uint32(d.hashSize)]; len(bytes.Trim(h, "\x00")) > 0 {
			want = h
		}
	}
	switch {
	case blob == nil && want == nil:
		return ""
	case blob == nil:
		return "the code directory has a hash of it, but it is missing"
	case want == nil:
		return "the code directory has no hash of it"
	}
	var got []byte
	switch d.sig.HashType {
	case 1:
		sum := sha1.Sum(blob)
		got = sum[:]
	case 2, 3:
		sum := sha256.Sum256(blob)
		got = sum[:]
	case 4:
		sum := sha512.Sum384(blob)
		got = sum[:]
	default:
		return fmt.Sprintf("the code directory has an unknown hash type %d", d.sig.HashType)
	}
	if int(d.hashSize) > len(got) || !bytes.Equal(want, got[:d.hashSize]) {
		return "the hash in the code directory is another"
	}
	return ""
}

func cString(b []byte, off uint32) (string, error) {
	if uint64(off) >= uint64(len(b)) {
		return "", fmt.Errorf("offset %#x is beyond the end", off)
	}
	end := bytes.IndexByte(b[off:], 0)
	if end < 0 {
		return "", fmt.Errorf("offset %#x: no end", off)
	}
	return string(b[off : int(off)+end]), nil
}

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
