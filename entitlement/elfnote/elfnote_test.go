package elfnote

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const claims = `<?xml version="1.0"?><plist version="1.0"><dict><key>a</key><true/></dict></plist>`

// sign writes entitlements into a file's bytes.
func sign(t testing.TB, data []byte, plist string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, bytes.NewReader(data), int64(len(data)), []byte(plist)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readBack(data []byte) (string, error) {
	b, err := Read(bytes.NewReader(data), int64(len(data)))
	return string(b), err
}

// handmade is the smallest program: a header, one program header, and a byte.
func handmade() []byte {
	b := make([]byte, headerSize+56+1)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], uint16(elf.ET_EXEC))
	le.PutUint16(b[18:], uint16(elf.EM_X86_64))
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[32:], headerSize)
	le.PutUint16(b[52:], headerSize)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	le.PutUint64(b[headerSize+32:], uint64(len(b))) // p_filesz
	return b
}

func TestHandmade(t *testing.T) {
	plain := handmade()
	if _, err := readBack(plain); !errors.Is(err, ErrNone) {
		t.Errorf("a file without sections: %v", err)
	}
	signed := sign(t, plain, claims)
	if got, err := readBack(signed); got != claims || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if !bytes.Equal(signed[headerSize:len(plain)], plain[headerSize:]) {
		t.Error("what was there has changed")
	}
	f, err := elf.NewFile(bytes.NewReader(signed))
	if err != nil || f.Section(Section) == nil || f.Section(".shstrtab") == nil {
		t.Errorf("%+v, %v", f, err)
	}
	again := sign(t, signed, claims)
	if !bytes.Equal(again, signed) {
		t.Errorf("signing again gives %d bytes, not the same %d", len(again), len(signed))
	}
	if other := sign(t, sign(t, signed, claims+strings.Repeat(" ", 1000)), claims); !bytes.Equal(other, signed) {
		t.Errorf("signing with other claims and back gives %d bytes, not the same %d", len(other), len(signed))
	}
	tailed := append(bytes.Clone(signed), "payload behind the end"...)
	if got := sign(t, tailed, claims); !bytes.HasPrefix(got[headerSize:], tailed[headerSize:]) {
		t.Error("what stood behind the section headers is gone")
	}
}

func TestRefused(t *testing.T) {
	long := strings.Repeat(" ", MaxSize+1)
	if err := Write(io.Discard, bytes.NewReader(handmade()), int64(len(handmade())), []byte(long)); err == nil {
		t.Error("entitlements beyond the limit are written")
	}
	change := func(at int, v ...byte) []byte {
		b := sign(t, handmade(), claims)
		copy(b[at:], v)
		return b
	}
	for _, tt := range []struct {
		name, want string
		data       []byte
	}{
		{"empty", "cut off", nil},
		{"text", "not an ELF file", bytes.Repeat([]byte("text"), 100)},
		{"32 bits", "64 bits", change(4, 1)},
		{"big endian", "little endian", change(5, 2)},
		{"object", "no program", change(16, 1)},
		{"headers beyond", "beyond the end", change(40, 0xff, 0xff, 0xff)},
		{"header size", "of 1 bytes", change(58, 1)},
		{"names beyond", "names in section", change(62, 9)},
		{"segments beyond", "program headers", change(32, 0xff, 0xff, 0xff, 0xff)},
	} {
		if _, err := readBack(tt.data); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestRealPrograms signs what compilers make, runs it, strips it and runs it again.
func TestRealPrograms(t *testing.T) {
	dir := t.TempDir()
	c, golang := filepath.Join(dir, "victim.c"), filepath.Join(dir, "victim.go")
	for name, text := range map[string]string{
		c:      "#include <stdio.h>\nint main(void) { puts(\"alive\"); return 0; }\n",
		golang: "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"alive\\n\") }\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"gcc pie", []string{"gcc", "-pie", "-fPIE", "-g", c}},
		{"gcc static", []string{"gcc", "-static", "-g", c}},
		{"gcc static pie", []string{"gcc", "-static-pie", "-s", c}},
		{"gcc no pie", []string{"gcc", "-no-pie", c}},
		{"clang", []string{"clang", "-g", c}},
		{"musl", []string{"musl-gcc", "-static", c}},
		{"go", []string{"go", "build", golang}},
		{"go pie stripped", []string{"go", "build", "-buildmode=pie", "-ldflags=-s -w", golang}},
	} {
		t.Run(tt.name, func(t *testing.T) { // one after another: what another one forks may hold our program open
			if _, err := exec.LookPath(tt.args[0]); err != nil {
				t.Skipf("SKIPPED: %s is not installed", tt.args[0])
			}
			out := filepath.Join(t.TempDir(), "victim")
			args := append([]string(nil), tt.args[1:len(tt.args)-1]...)
			args = append(args, "-o", out, tt.args[len(tt.args)-1])
			if b, err := exec.Command(tt.args[0], args...).CombinedOutput(); err != nil {
				t.Skipf("SKIPPED: %v: %v\n%s", tt.args, err, b)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			signed := sign(t, data, claims)
			alive(t, signed)
			if again := sign(t, signed, claims); !bytes.Equal(again, signed) {
				t.Error("signing again changes the file")
			}
			for _, tool := range []string{"strip", "llvm-strip", "llvm-strip-14"} {
				stripped, ok := strip(t, tool, signed)
				if !ok {
					continue
				}
				alive(t, stripped)
				got, err := readBack(stripped)
				t.Logf("after %s: %d bytes of entitlements, %v", tool, len(got), err)
				if tool == "strip" && got != claims {
					t.Errorf("%s takes the entitlements away: %q, %v", tool, got, err)
				}
				if got, err := readBack(sign(t, stripped, claims+" ")); got != claims+" " || err != nil {
					t.Errorf("signed after %s: %q, %v", tool, got, err)
				}
				alive(t, sign(t, stripped, claims))
			}
		})
	}
}

// alive runs a program.
func alive(t *testing.T, program []byte) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, program, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(name).CombinedOutput(); err != nil || string(out) != "alive\n" {
		t.Errorf("the program says %q, %v", out, err)
	}
}

func strip(t *testing.T, tool string, program []byte) ([]byte, bool) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		return nil, false
	}
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, program, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, name).CombinedOutput(); err != nil {
		if strings.Contains(string(out), "is not a symbol table") {
			return nil, false // llvm-strip does not take static programs of the GNU linker, signed or not
		}
		t.Errorf("%s: %v\n%s", tool, err, out)
		return nil, false
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data, true
}

func FuzzReadAndWrite(f *testing.F) {
	f.Add(handmade())
	f.Add(sign(f, handmade(), claims))
	if self, err := os.ReadFile("/bin/true"); err == nil && len(self) < 1<<17 {
		f.Add(self)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = readBack(data) // must not panic, and not take long
		var out bytes.Buffer
		if Write(&out, bytes.NewReader(data), int64(len(data)), []byte(claims)) != nil {
			return
		}
		if got, err := readBack(out.Bytes()); got != claims || err != nil {
			t.Fatalf("read back %q, %v", got, err)
		}
	})
}
