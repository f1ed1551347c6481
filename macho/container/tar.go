package container

import (
	"archive/tar"
	"errors"
	"io"
	"strings"
)

// walkTar reads the members of a tar archive. Links are entries of their own there; what they name is met under its own
// name. p is the place inside.
func (w *walker) walkTar(p place, c *content) error {
	in := &counter{r: c.reader()}
	r := tar.NewReader(in)
	for {
		at := in.n
		h, err := r.Next()
		if err == io.EOF {
			// The reader takes any end for the end; a whole archive ends in blocks of zeros.
			if in.n%512 != 0 || !in.zeros {
				return w.failf(p, in.n, "truncated: no end mark of the tar archive")
			}
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			if errors.Is(err, tar.ErrHeader) {
				err = errors.New("no tar header where one should be")
			}
			return w.fail(p, at, cutShort(err))
		}
		m, ok, err := w.member(p, h.Name, at)
		switch {
		case isExhausted(err):
			return w.fail(p, at, err)
		case err != nil:
			return err
		case !ok:
			continue
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse, '\x00':
			if err := w.offer(m, w.tarContent(c, in, r, h, at)); err != nil {
				return err
			}
		case tar.TypeLink, tar.TypeSymlink:
			w.stats.Links++
		case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
			w.stats.Special++
		}
	}
}

// tarContent is the content of the member that r stands at: where the archive itself is in memory, a part of it.
func (w *walker) tarContent(archive *content, in *counter, r *tar.Reader, h *tar.Header, at int64) *content {
	c := &content{r: r, size: h.Size, at: at}
	switch {
	case isSparse(h):
		// Holes cost the archive nothing, so reading them counts as decompression.
		c.r = &meter{w: w, r: r, in: func() int64 { return in.n - at }}
	case archive.data != nil && h.Size <= int64(len(archive.data))-in.n:
		c.data = archive.data[in.n : in.n+h.Size : in.n+h.Size]
	}
	return c
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}
