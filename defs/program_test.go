package defs_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"portcullis.dev/mach"
)

// program is a C program that runs.
type program struct {
	cmd *exec.Cmd
	in  *bufio.Writer
	out *bufio.Reader
	end io.Closer
}

func start(t *testing.T, path string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(path)}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = os.Stderr
	p.in, p.out, p.end = bufio.NewWriter(in), bufio.NewReader(out), in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.in.Flush()
		p.end.Close()
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	})
	return p
}

func (p *program) putU32(v uint32) { binary.Write(p.in, binary.LittleEndian, v) }

func (p *program) putBlob(b []byte) {
	p.putU32(uint32(len(b)))
	p.in.Write(b)
}

// failed carries an error of the pipe out of the helpers below.
type failed struct{ err error }

func (p *program) u32() (v uint32) {
	p.in.Flush()
	if err := binary.Read(p.out, binary.LittleEndian, &v); err != nil {
		panic(failed{err})
	}
	return v
}

func (p *program) blob() []byte {
	b := make([]byte, p.u32())
	if _, err := io.ReadFull(p.out, b); err != nil {
		panic(failed{err})
	}
	return b
}

func (p *program) letter() byte {
	p.in.Flush()
	c, err := p.out.ReadByte()
	if err != nil {
		panic(failed{err})
	}
	return c
}

// outOfLine calls f for each descriptor of memory in a message with its size in bytes.
func outOfLine(b []byte, f func(at int, d *mach.Descriptor, size int)) {
	var h mach.Header
	h.Decode(b)
	if h.Bits&mach.BitsComplex == 0 {
		return
	}
	at := mach.HeaderSize + mach.BodySize
	for range binary.LittleEndian.Uint32(b[mach.HeaderSize:]) {
		var d mach.Descriptor
		n := d.Decode(b[at:])
		if d.Type == mach.DescriptorOOL {
			f(at, &d, int(d.Size))
		} else if d.Type == mach.DescriptorOOLPorts {
			f(at, &d, 4*int(d.Size))
		}
		at += n
	}
}

// message reads a message that the program sent, with its memory.
func (p *program) message(mem memory) []byte {
	b := p.blob()
	outOfLine(b, func(at int, d *mach.Descriptor, _ int) {
		d.Address, _ = mem.Store(p.blob())
		d.Encode(b[at:])
	})
	return b
}

// answer gives the program a message that it receives, with its memory behind it.
func (p *program) answer(b []byte, mem memory) {
	p.putBlob(b)
	outOfLine(b, func(_ int, d *mach.Descriptor, size int) {
		data := []byte{}
		if size > 0 {
			data, _ = mem.Load(d.Address, size)
		}
		p.putBlob(data)
	})
	p.in.Flush()
}
