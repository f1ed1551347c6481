package macho

// uleb reads an unsigned LEB128 number at b; n is its length, 0 where it is cut short or does not fit 64 bits.
func uleb(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	var shift uint
	for i, c := range b {
		if shift > 63 || shift == 63 && c&0x7e != 0 {
			return 0, 0
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, i + 1
		}
		shift += 7
	}
	return 0, 0
}

// sleb reads a signed LEB128 number at b; n is its length, 0 where it is cut short or does not fit 64 bits.
func sleb(b []byte) (v int64, n int) {
	var shift uint
	for i, c := range b {
		if shift > 63 {
			return 0, 0
		}
		v |= int64(c&0x7f) << shift
		shift += 7
		if c < 0x80 {
			if shift < 64 && c&0x40 != 0 {
				v |= -1 << shift
			}
			return v, i + 1
		}
	}
	return 0, 0
}
