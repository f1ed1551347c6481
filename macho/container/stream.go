package container

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxWindow bounds how far back a compressed stream may refer, which is memory the decoder needs: that of xz -9, twice
// that of zstd -19.
const maxWindow = 64 << 20

// meter counts what comes out of a decompressor, stops it at the limits, and turns its panics into errors.
type meter struct {
	w   *walker
	r   io.Reader
	in  func() int64 // compressed bytes consumed so far
	out int64
}

func (m *meter) Read(p []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			if e, ok := r.(runtime.Error); ok {
				n, err = 0, fmt.Errorf("malformed: %w", e)
				return
			}
			panic(r)
		}
	}()
	if err := m.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err = m.r.Read(p)
	m.out += int64(n)
	m.w.stats.Expanded += int64(n)
	switch {
	case m.w.stats.Expanded > m.w.limits.Expanded:
		return n, errExpanded
	case m.out > ratioFloor && m.out/m.w.limits.Ratio > m.in():
		return n, fmt.Errorf("grows to more than %d times its size", m.w.limits.Ratio)
	}
	return n, err
}

// counter counts the bytes read.
type counter struct {
	r     io.Reader
	n     int64
	zeros bool // the last block of at most 512 bytes was nothing but zeros
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if n > 0 && n <= 512 {
		c.zeros = len(bytes.TrimLeft(p[:n], "\x00")) == 0
	}
	return n, err
}

// walkCompressed reads a compressed tar, or the single file that is compressed. p is the place inside it.
func (w *walker) walkCompressed(p place, k kind, c *content) error {
	in := &counter{r: c.reader()}
	r, done, err := w.decompress(k, in, p.depth)
	if err != nil {
		return w.fail(p, in.n, cutShort(err))
	}
	defer done()
	inner := &content{r: &meter{w: w, r: r, in: func() int64 { return in.n }}, size: -1}
	head, err := inner.peek()
	if err != nil {
		return w.fail(p, in.n, cutShort(err))
	}
	if isTar(head) {
		return w.walkTar(p, inner)
	}
	own := p.member
	if own == "" {
		own = p.path
	}
	m, ok, err := w.member(p, expandedName(own), 0)
	switch {
	case isExhausted(err):
		return w.fail(p, 0, err)
	case !ok:
		return err
	}
	return w.offer(m, inner)
}

// decompress returns a reader of what r holds compressed. Call done after use.
func (w *walker) decompress(k kind, r io.Reader, depth int) (out io.Reader, done func(), err error) {
	done = func() {}
	switch k {
	case kindGzip:
		out, err = gzip.NewReader(bufio.NewReader(r))
	case kindBzip2:
		out = bzip2.NewReader(bufio.NewReader(r))
	case kindXz:
		free := 0
		if depth == 1 {
			free = 1
		}
		guard := &xzGuard{w: w, r: bufio.NewReaderSize(r, 16<<10), free: free}
		out, err = xz.ReaderConfig{DictCap: 1 << 16}.NewReader(guard)
		out = &xzEnd{out, guard}
	case kindZstd:
		var d *zstd.Decoder
		d, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err == nil {
			out, done = d, d.Close
		}
	default:
		err = fmt.Errorf("no decompressor for format %d", k)
	}
	return out, done, err
}

// cutShort says in plain words that a stream ends before it should.
func cutShort(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("truncated: the compressed data ends early")
	}
	return err
}

// xzGuard passes an xz stream on, but not the header of a block whose dictionary is too large: the decoder
// allocates what the header asks for, up to 4 GiB, again for each block. Blocks begin at multiples of four bytes
// and their headers carry a CRC-32, so they are found by looking at every such place. Source: "The .xz File Format"
// 1.2.1, sections 3.1 and 5.3.1.
type xzGuard struct {
	w     *walker
	r     *bufio.Reader
	pos   int64
	ready int // bytes that have been looked at
	free  int // blocks whose dictionary does not count as expanded bytes

	last [2]byte // read last, without the zeros that may follow a stream
}

// xzEnd tells the end of an xz stream, which is the magic number of its footer, from the end of the file: the decoder
// takes one for the other where a block is due.
type xzEnd struct {
	r     io.Reader
	guard *xzGuard
}

func (x *xzEnd) Read(p []byte) (int, error) {
	n, err := x.r.Read(p)
	if err == io.EOF && string(x.guard.last[:]) != "YZ" {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

const maxXzHeader = 1024

func (g *xzGuard) Read(p []byte) (int, error) {
	if g.ready == 0 {
		window, err := g.r.Peek(g.r.Size())
		n := len(window)
		if err == nil {
			n -= maxXzHeader
		} else if n == 0 {
			return 0, err
		}
		for i := int(-g.pos & 3); i < n; i += 4 {
			if err := g.look(window[i:]); err != nil {
				return 0, err
			}
		}
		g.ready = n
	}
	n, err := g.r.Read(p[:min(len(p), g.ready)])
	text := bytes.TrimRight(p[:n], "\x00")
	for _, c := range text[max(0, len(text)-2):] {
		g.last = [2]byte{g.last[1], c}
	}
	g.ready -= n
	g.pos += int64(n)
	return n, err
}

// look judges what may be a block header.
func (g *xzGuard) look(b []byte) error {
	size := (int(b[0]) + 1) * 4
	if b[0] == 0 || len(b) < size || b[1]&0x3c != 0 ||
		crc32.ChecksumIEEE(b[:size-4]) != binary.LittleEndian.Uint32(b[size-4:]) {
		return nil
	}
	dict := xzDictionary(b[1], b[2:size-4])
	if dict > maxWindow {
		return fmt.Errorf("needs %d MiB of memory for decompression, more than %d", dict>>20, maxWindow>>20)
	}
	if g.free > 0 {
		g.free--
		return nil
	}
	if g.w.stats.Expanded += dict; g.w.stats.Expanded > g.w.limits.Expanded {
		return errExpanded
	}
	return nil
}

// xzDictionary reads the dictionary's size from the fields of a block header; 0 where there is none.
func xzDictionary(flags byte, b []byte) int64 {
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[max(n, 0):]
		return v
	}
	for _, present := range []byte{flags & 0x40, flags & 0x80} { // compressed and uncompressed size
		if present != 0 {
			next()
		}
	}
	for range flags&3 + 1 {
		id, size := next(), next()
		if size > uint64(len(b)) {
			return 0
		}
		if id == 0x21 && size == 1 {
			return int64(2|b[0]&1) << (min(b[0], 40)/2 + 11)
		}
		b = b[size:]
	}
	return 0
}
