package container

import (
	"bytes"
	"path"
	"strconv"
	"strings"
)

type kind int

const (
	kindPlain kind = iota
	kindZip
	kindTar
	kindGzip
	kindBzip2
	kindXz
	kindZstd
)

// format is what a file is, as far as this package cares.
type format struct {
	kind    kind
	refusal string // why a file that holds files is not opened; then kind does not matter
}

const (
	refuseImage = "disk images are not read: mount it and give the folder"
	refuseOther = " are not read: unpack it and give the folder"
)

var signatures = []struct {
	prefix string
	format format
}{
	{"PK\x03\x04", format{kind: kindZip}},
	{"PK\x05\x06", format{kind: kindZip}}, // without members
	{"PK\x07\x08", format{kind: kindZip}}, // once spanned
	{"\x1f\x8b\x08", format{kind: kindGzip}},
	{"\xfd7zXZ\x00", format{kind: kindXz}},
	{"\x28\xb5\x2f\xfd", format{kind: kindZstd}},
	{"xar!", format{refusal: "installer packages" + refuseOther}},
	{"!<arch>\ndebian-binary", format{refusal: "Debian packages" + refuseOther}},
	{"\xed\xab\xee\xdb", format{refusal: "RPM packages" + refuseOther}},
	{"7z\xbc\xaf\x27\x1c", format{refusal: "7-Zip archives" + refuseOther}},
	{"Rar!\x1a\x07", format{refusal: "RAR archives" + refuseOther}},
	{"MSCF\x00\x00\x00\x00", format{refusal: "cabinet files" + refuseOther}},
	{"LZIP", format{refusal: "lzip files" + refuseOther}},
	{"\x04\x22\x4d\x18", format{refusal: "LZ4 files" + refuseOther}},
	{"\x1f\x9d", format{refusal: "files of compress(1)" + refuseOther}},
	{"pbzx", format{refusal: "pbzx payloads" + refuseOther}},
	{"AEA1", format{refusal: "Apple archives" + refuseOther}},
	{"AA01", format{refusal: "Apple archives" + refuseOther}},
	{"YAA1", format{refusal: "Apple archives" + refuseOther}},
	{"070707", format{refusal: "cpio archives" + refuseOther}},
	{"070701", format{refusal: "cpio archives" + refuseOther}},
	{"encrcdsa", format{refusal: refuseImage}},
}

// tailSize is the size of the trailer by which a disk image (UDIF) is known.
const tailSize = 512

// sniff tells what a file is from its first HeadSize bytes and its last tailSize, where those are at hand. The name
// only decides for disk images, whose beginning is the beginning of whatever they hold.
func sniff(name string, head, tail []byte) format {
	ext := strings.ToLower(path.Ext(name))
	isImage := ext == ".dmg" || ext == ".sparseimage" || ext == ".iso"
	if bytes.HasPrefix(tail, []byte("koly")) || isImage && len(head) > 0 {
		return format{refusal: refuseImage}
	}
	for _, s := range signatures {
		if bytes.HasPrefix(head, []byte(s.prefix)) {
			return s.format
		}
	}
	switch {
	case isBzip2(head):
		return format{kind: kindBzip2}
	case isZstdSkippable(head):
		return format{kind: kindZstd}
	case isTar(head):
		return format{kind: kindTar}
	}
	return format{}
}

// isBzip2 wants the block's magic number (the digits of pi, or for an empty file of its square root) besides "BZh1".
func isBzip2(head []byte) bool {
	return len(head) >= 10 && string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9' &&
		(string(head[4:10]) == "\x31\x41\x59\x26\x53\x59" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90")
}

// isZstdSkippable knows the frames of metadata that may stand before the first compressed one.
func isZstdSkippable(head []byte) bool {
	return len(head) >= 8 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18"
}

// isTar knows a tar header by its checksum: the sum of its 512 bytes with the checksum itself taken as spaces.
func isTar(head []byte) bool {
	if len(head) < 512 || head[0] == 0 {
		return false
	}
	want, err := strconv.ParseInt(string(bytes.Trim(head[148:156], " \x00")), 8, 64)
	if err != nil {
		return false
	}
	var sum int64
	for i, b := range head[:512] {
		if i >= 148 && i < 156 {
			b = ' '
		}
		sum += int64(b)
	}
	return sum == want
}
