package container

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// content is the bytes of a file, at hand or still to be read.
type content struct {
	data []byte    // the whole, where it is at hand
	r    io.Reader // otherwise: reads the whole once
	size int64     // as declared; -1 where it is not known
	at   int64     // where it begins in its archive
	tail []byte    // the last tailSize bytes, where they are at hand

	release func() // gives up the data of a file on disk; nil where there is nothing to do

	head    []byte  // the first HeadSize bytes, once they have been read
	verdict verdict // of Options.Want, where it has been asked already
}

type verdict int

const (
	unasked verdict = iota
	wanted
	unwanted
)

// peek returns the first HeadSize bytes, fewer where there are not more.
func (c *content) peek() ([]byte, error) {
	if c.data != nil {
		return c.data[:min(len(c.data), HeadSize)], nil
	}
	if c.head == nil {
		c.head = make([]byte, 0, HeadSize)
		for len(c.head) < HeadSize {
			n, err := c.r.Read(c.head[len(c.head):HeadSize])
			c.head = c.head[:len(c.head)+n]
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return c.head, nil
}

// reader reads the whole, from the beginning. It can be had once.
func (c *content) reader() io.Reader {
	if c.data != nil {
		return bytes.NewReader(c.data)
	}
	return io.MultiReader(bytes.NewReader(c.head), c.r)
}

var errMemberSize = errors.New("larger than the limit for one member")

// hold makes the whole content available until release is called.
func (w *walker) hold(c *content) (data []byte, release func(), err error) {
	if c.data != nil {
		return c.data, func() {}, nil
	}
	if c.size > w.limits.MemberSize {
		return nil, nil, errMemberSize
	}
	buf := w.takeBuffer()
	if want := min(c.size, w.limits.InMemory) + 1; int64(cap(buf)) < want {
		buf = make([]byte, 0, want)
	}
	r := c.reader()
	for int64(len(buf)) <= w.limits.InMemory {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, func() { w.putBuffer(buf) }, nil
		}
		if err != nil {
			w.putBuffer(buf)
			return nil, nil, err
		}
	}
	defer w.putBuffer(buf)
	return w.spill(io.MultiReader(bytes.NewReader(buf), r))
}

// spill writes r to a temporary file that no longer has a name, and maps it.
func (w *walker) spill(r io.Reader) (data []byte, release func(), err error) {
	f, err := os.CreateTemp("", "portcullis-*")
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return nil, nil, err
	}
	n, err := io.Copy(f, io.LimitReader(r, w.limits.MemberSize+1))
	if err != nil {
		return nil, nil, err
	}
	if n > w.limits.MemberSize {
		return nil, nil, errMemberSize
	}
	return mapFile(f, n)
}

func (w *walker) takeBuffer() []byte {
	if n := len(w.buffers); n > 0 {
		b := w.buffers[n-1]
		w.buffers = w.buffers[:n-1]
		return b[:0]
	}
	return make([]byte, 0, 64<<10)
}

func (w *walker) putBuffer(b []byte) {
	if int64(cap(b)) <= 2*w.limits.InMemory {
		w.buffers = append(w.buffers, b)
	}
}
