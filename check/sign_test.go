package check

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"howett.net/plist"

	"portcullis.dev/entitlement"
)

// claims are the entitlements of a test program: bool, int or string by key.
type claims map[string]any

// signature says how a test program is signed, ad hoc.
type signature struct {
	claims   claims
	xmlOnly  bool // no DER
	runtime  bool // hardened runtime
	platform byte // platform binary
	damaged  bool // the DER is cut off
}

func (c claims) xml(t testing.TB) []byte {
	t.Helper()
	b, err := plist.Marshal(c, plist.XMLFormat)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (c claims) der(t testing.TB) []byte {
	t.Helper()
	set := &entitlement.Set{}
	for k, v := range c {
		var value entitlement.Value
		switch v := v.(type) {
		case bool:
			value = entitlement.Bool(v)
		case int:
			value = entitlement.Int(int64(v))
		case string:
			value = entitlement.String(v)
		default:
			t.Fatalf("%s: %T", k, v)
		}
		set.Entries = append(set.Entries, entitlement.Entry{Key: k, Value: value})
	}
	b, err := entitlement.EncodeDER(set)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Blobs of a code signature. Source: XNU osfmk/kern/cs_blobs.h.
const (
	csSuperBlob = 0xfade0cc0
	csDirectory = 0xfade0c02
	csXML       = 0xfade7171
	csDER       = 0xfade7172
	slotXML     = 5
	slotDER     = 7
)

func blob(magic uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, magic)
	b = binary.BigEndian.AppendUint32(b, uint32(8+len(payload)))
	return append(b, payload...)
}

// superBlob is the whole signature. Pages of code are not hashed: nobody here looks at them.
func (s signature) superBlob(t testing.TB) []byte {
	t.Helper()
	special := map[uint32][]byte{}
	if s.claims != nil {
		special[slotXML] = blob(csXML, s.claims.xml(t))
		if !s.xmlOnly {
			der := s.claims.der(t)
			if s.damaged {
				der = der[:len(der)-1]
			}
			special[slotDER] = blob(csDER, der)
		}
	}
	const header = 88
	be := binary.BigEndian
	d := append(make([]byte, header), "test\x00"...)
	for slot := uint32(slotDER); slot >= 1; slot-- {
		hash := make([]byte, sha256.Size)
		if b, ok := special[slot]; ok {
			sum := sha256.Sum256(b)
			hash = sum[:]
		}
		d = append(d, hash...)
	}
	flags := uint32(entitlement.FlagAdHoc)
	if s.runtime {
		flags |= uint32(entitlement.FlagRuntime)
	}
	be.PutUint32(d, csDirectory)
	be.PutUint32(d[4:], uint32(len(d)))
	be.PutUint32(d[8:], 0x20400)
	be.PutUint32(d[12:], flags)
	be.PutUint32(d[16:], uint32(len(d)))
	be.PutUint32(d[20:], header)
	be.PutUint32(d[24:], slotDER)
	d[36], d[37], d[38], d[39] = sha256.Size, 2, s.platform, 12

	slots, blobs := []uint32{0}, [][]byte{d}
	for _, slot := range []uint32{slotXML, slotDER} {
		if b, ok := special[slot]; ok {
			slots, blobs = append(slots, slot), append(blobs, b)
		}
	}
	index := be.AppendUint32(nil, uint32(len(slots)))
	at := 12 + 8*len(slots)
	for i, b := range blobs {
		index = be.AppendUint32(be.AppendUint32(index, slots[i]), uint32(at))
		at += len(b)
	}
	return blob(csSuperBlob, append(index, bytes.Join(blobs, nil)...))
}

// loadCommand returns the offset of the first load command of a kind in a thin 64-bit image, 0 where there is none.
func loadCommand(image []byte, kind uint32, segment string) int {
	le := binary.LittleEndian
	at := 32
	for range le.Uint32(image[16:]) {
		if le.Uint32(image[at:]) == kind && (segment == "" || bytes.HasPrefix(image[at+8:], []byte(segment+"\x00"))) {
			return at
		}
		at += int(le.Uint32(image[at+4:]))
	}
	return 0
}

// sign replaces the signature that the linker made of the program at path.
func sign(t testing.TB, path string, s signature) string {
	t.Helper()
	rewrite(t, path, func(image []byte) []byte {
		const lcSegment64, lcCodeSignature = 0x19, 0x1d
		le := binary.LittleEndian
		command, linkedit := loadCommand(image, lcCodeSignature, ""), loadCommand(image, lcSegment64, "__LINKEDIT")
		if command == 0 || linkedit == 0 {
			t.Fatal("no signature to replace")
		}
		b := s.superBlob(t)
		end := le.Uint32(image[command+8:])
		le.PutUint32(image[command+12:], uint32(len(b)))
		size := uint64(end) + uint64(len(b)) - le.Uint64(image[linkedit+40:])
		le.PutUint64(image[linkedit+48:], size)
		le.PutUint64(image[linkedit+32:], (size+0x3fff)&^0x3fff)
		return append(slices.Clone(image[:end]), b...)
	})
	return path
}

// rewrite changes the bytes of a file.
func rewrite(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o755); err != nil {
		t.Fatal(err)
	}
}
