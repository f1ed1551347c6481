package container

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"portcullis.dev/finding"
)

// allocated says how many bytes f allocates, garbage included: more than it ever holds at once.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// zeros is the gzip of n MiB of zeros, a stream for every 16 MiB.
func zeros(t testing.TB, mib int) []byte {
	one := makeGzip(t, make([]byte, 16<<20))
	return bytes.Repeat(one, mib/16)
}

// overlapping is a zip with n members that are all the same compressed bytes.
func overlapping(t testing.TB, n, size int) []byte {
	one := makeZip(t, member{"x", strings.Repeat("\x00", size)})
	dir, _, ok := zipDirectory(one)
	if !ok {
		t.Fatal("no directory")
	}
	entry := one[dir : len(one)-endSize]
	out := append(bytes.Clone(one[:dir]), bytes.Repeat(entry, n)...)
	end := bytes.Clone(one[len(one)-endSize:])
	binary.LittleEndian.PutUint32(end[12:], uint32(len(entry)*n))
	return append(out, end...)
}

// xzBlock begins an xz file whose first block asks for a dictionary of the given code.
func xzBlock(dict byte) []byte {
	out := []byte("\xfd7zXZ\x00\x00\x00")
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(out[6:8]))
	block := []byte{2, 0, 0x21, 1, dict, 0, 0, 0}
	out = append(out, block...)
	return append(binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(block)), 1, 0, 0, 'x', 0)
}

// sparseTar is a tar with one member of the given size whose bytes are all holes but the first.
func sparseTar(size int64) []byte {
	b := make([]byte, 512)
	copy(b, "hole")
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:], "00000000001\x0000000000000\x00        S")
	copy(b[257:], "ustar  \x00")
	copy(b[386:], "00000000000\x0000000000001\x00")
	// Numbers too large for octal digits are binary, marked by the top bit.
	b[483] = 0x80
	binary.BigEndian.PutUint64(b[487:], uint64(size))
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return append(append(b, 'x'), make([]byte, 511+1024)...)
}

func TestWalkBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("expands some hundred megabytes")
	}
	big := strings.Repeat("\x00", 72<<20)
	tenGiB := zeros(t, 10<<10)
	quine := []byte("core")
	for range 6 {
		quine = makeGzip(t, quine)
	}
	large := makeZip(t, member{"x", big})
	lying := bytes.Clone(large)
	for _, at := range []int{22, bytes.LastIndex(lying, []byte(entryMagic)) + 24} {
		binary.LittleEndian.PutUint32(lying[at:], 10)
	}
	small := Limits{Expanded: 80 << 20}
	for _, tt := range []struct {
		name   string
		data   []byte
		limits Limits
		unread []string
	}{
		{"10 GiB of zeros", tenGiB, Limits{}, []string{"more than 250 times its size"}},
		{"the same in a tar", makeTar(t, member{"z.gz", string(tenGiB)}), Limits{}, []string{"more than 250"}},
		{"gzip in gzip", quine, Limits{}, []string{"nested more than 4 deep"}},
		{"zip of one large member", large, Limits{}, []string{"more than 250 times its size"}},
		{"sizes that lie", lying, Limits{}, []string{"holds more than the 10 bytes"}},
		{"overlapping members", overlapping(t, 50000, 20<<20), small,
			[]string{"x@0x0: the limit for decompressed bytes", "the limit for decompressed bytes"}},
		{"xz dictionary", xzBlock(40), Limits{}, []string{"needs 4096 MiB of memory"}},
		{"zstd window", []byte("\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00"), Limits{}, []string{"window size exceeded"}},
		{"holes", sparseTar(1 << 30), Limits{}, []string{"hole@0x0: grows to more than 250"}},
		{"more holes", sparseTar(1 << 40), Limits{}, []string{"hole@0x0: larger than the limit"}},
		{"member size", makeTar(t, member{"x", big}), Limits{MemberSize: 1 << 20}, nil},
		{"member size, packed", makeGzip(t, []byte(big[:2<<20])), Limits{MemberSize: 1 << 20, InMemory: 1 << 10},
			[]string{"larger than the limit for one member"}},
		{"members", overlapping(t, 100000, 10), Limits{Members: 50}, []string{"the limit for the entries"}},
		{"path", makeZip(t, member{strings.Repeat("p/", 30000) + "x", "x"}, member{strings.Repeat("a", 5000), "x"}), Limits{},
			[]string{"p/p/…@0x", "path longer than 4096"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := write(t, dir, "bomb", tt.data)
			write(t, dir, "other", []byte("still read"))
			var got walked
			n := allocated(func() {
				items := 0
				got.stats, got.err = Walk(t.Context(), dir, Options{Limits: tt.limits}, func(i Item) error {
					items++
					if i.Path != path && string(i.Data) != "still read" {
						t.Errorf("%s", i.Name())
					}
					return nil
				}, func(u finding.Unread) {
					got.unread = append(got.unread, fmt.Sprintf("%s@%#x: %s", u.Member, u.Offset, u.Reason))
				})
				if items == 0 {
					t.Error("the other file was not read")
				}
			})
			want := tt.unread
			if tt.name == "member size" {
				want = nil // it lies in the mapped archive as it is
			}
			if len(got.unread) != len(want) || got.err != nil {
				t.Fatalf("unread %q, %v", got.unread, got.err)
			}
			for i, u := range want {
				if !strings.Contains(got.unread[i], u) {
					t.Errorf("%q, want %q", got.unread[i], u)
				}
			}
			if n > 200<<20 {
				t.Errorf("allocated %d MiB", n>>20)
			}
		})
	}
}

func TestWalkDamagedZip(t *testing.T) {
	one, three := strings.Repeat("first ", 100), strings.Repeat("third ", 100)
	whole := makeZip(t, member{"a", one}, member{"b", "second"}, member{"c", three})
	first, second, third := "x.zip!/a="+one[:20], "x.zip!/b=second", "x.zip!/c="+three[:20]
	header := func(n int) int { // offset of the nth local header
		at := 0
		for range n {
			at += 4 + bytes.Index(whole[at+4:], []byte(localMagic))
		}
		return at
	}
	entry := func(n int) int {
		at := bytes.Index(whole, []byte(entryMagic))
		for range n {
			at += 4 + bytes.Index(whole[at+4:], []byte(entryMagic))
		}
		return at
	}
	patch := func(at int, b ...byte) []byte {
		c := bytes.Clone(whole)
		copy(c[at:], b)
		return c
	}
	for _, tt := range []struct {
		name   string
		data   []byte
		items  []string
		unread []string
	}{
		{"encrypted", patch(entry(1)+8, 9), []string{first, third}, []string{fmt.Sprintf("b@%#x: encrypted", header(1))}},
		{"method", patch(entry(0)+10, 12), []string{second, third}, []string{"compression method 12 (bzip2) is not supported"}},
		{"checksum", patch(header(1)+30+1, 'S'), []string{first, third}, []string{"b@" + fmt.Sprintf("%#x", header(1)) + ": checksum"}},
		{"deflate", patch(header(0)+30+1, 0xff, 0xff), []string{second, third}, []string{"a@0x0: "}},
		{"member offset", patch(entry(1)+42, 0xff, 0xff, 0, 0), []string{first, third}, []string{"where no member begins"}},
		{"4 GiB", patch(entry(0)+20, 0xff, 0xff, 0xff, 0xfe), []string{second, third}, []string{"do not fit the archive"}},
		{"directory", patch(entry(1), 'X'), []string{first}, []string{"no zip directory entry"}},
		{"no directory", whole[:entry(0)], []string{first, third}, []string{"truncated: the zip archive has no directory", "b@"}},
		{"cut in the second", whole[:header(1)+31], []string{first}, []string{"no directory", "b@"}},
		{"cut in the third", whole[:header(2)+35], []string{first}, []string{"no directory", "b@", "c@"}},
		{"cut in a header", whole[:header(1)+20], []string{first}, []string{"no directory"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			walk(t, dir, write(t, dir, "x.zip", tt.data), Options{}).check(t, tt.items, tt.unread...)
		})
	}
}

// TestWalkSalvage: a truncated archive whose members say their sizes in advance, as most tools write them.
func TestWalkSalvage(t *testing.T) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, m := range []member{{"dir/", ""}, {"dir/a", "first"}, {"b", "second"}} {
		f, err := w.CreateRaw(&zip.FileHeader{Name: m.name, CRC32: crc32.ChecksumIEEE([]byte(m.body)),
			CompressedSize64: uint64(len(m.body)), UncompressedSize64: uint64(len(m.body))})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, m.body)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	cut := buf.Bytes()[:bytes.Index(buf.Bytes(), []byte(entryMagic))-2]
	dir := t.TempDir()
	walk(t, dir, write(t, dir, "x", cut), Options{}).check(t, []string{"x!/dir/a=first"}, "no directory",
		"b@0x4a: truncated: 4 of 6")
}

// TestWalkTruncated cuts every kind of archive everywhere: the walk ends, and says so unless all was read.
func TestWalkTruncated(t *testing.T) {
	body := strings.Repeat("body of a file that is not too long\n", 30)
	tarred := makeTar(t, member{"a", body}, member{"b", body})
	for name, whole := range map[string][]byte{
		"zip": makeZip(t, member{"a", body}, member{"b", body}), "tar": tarred, "tgz": makeGzip(t, tarred),
		"txz": makeXz(t, tarred), "tzst": makeZstd(t, tarred), "tbz": bzip2Tar(t),
		"gz": makeGzip(t, []byte(body)), "nested": makeZip(t, member{"x", string(makeGzip(t, tarred))}),
	} {
		dir := t.TempDir()
		path := write(t, dir, "x", whole)
		full := walk(t, dir, path, Options{})
		if len(full.unread) > 0 {
			t.Fatalf("%s: %q", name, full.unread)
		}
		for n := 520; n < len(whole); n += 7 {
			if err := os.Truncate(write(t, dir, "x", whole), int64(n)); err != nil {
				t.Fatal(err)
			}
			got := walk(t, dir, path, Options{})
			if got.err != nil {
				t.Errorf("%s cut at %d: %v", name, n, got.err)
			}
			if len(got.unread) == 0 && len(got.items) < len(full.items) {
				t.Errorf("%s cut at %d: only %q, without a word", name, n, got.items)
			}
		}
	}
}

func TestWalkSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "z", []byte("after"))
	if err := os.Symlink("pipe", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	got := walk(t, dir, dir, Options{Links: FollowLinks}) // opening the pipe would wait for a writer for ever
	got.check(t, []string{"z=after"})
	if got.stats.Special != 1 {
		t.Errorf("%+v", got.stats)
	}
	walk(t, dir, pipe, Options{}).check(t, nil, "pipe@0x0: a pipe: not a file")
	walk(t, "", "/dev/null", Options{}).check(t, nil, "a device: not a file")
}

// TestWalkShrinking: the file loses its pages while visit looks at them.
func TestWalkShrinking(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", make([]byte, 1<<20))
	write(t, dir, "b", []byte("next"))
	sum, seen := 0, 0
	var unread []string
	_, err := Walk(t.Context(), dir, Options{}, func(i Item) error {
		seen++
		if i.Size > 100 {
			if err := os.Truncate(i.Path, 100); err != nil {
				return err
			}
		}
		for _, b := range i.Data {
			sum += int(b)
		}
		return nil
	}, func(u finding.Unread) { unread = append(unread, u.Reason) })
	if err != nil || seen != 2 || len(unread) != 1 || !strings.Contains(unread[0], "became shorter") {
		t.Errorf("%v, %d seen, %q", err, seen, unread)
	}
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("another panic of visit became %v", r)
		}
	}()
	_, _ = Walk(t.Context(), dir, Options{}, func(Item) error { panic("mine") }, func(finding.Unread) {})
}

func TestWalkUnreadLimit(t *testing.T) {
	dir := t.TempDir()
	got := walk(t, dir, write(t, dir, "x", overlapping(t, 5000, 10)), Options{Limits: Limits{MemberSize: 1, Unread: 3}})
	if len(got.unread) != 4 || got.stats.Unread != 5000 || !strings.Contains(got.unread[3], "more than 3 parts") {
		t.Errorf("%d: %q", got.stats.Unread, got.unread)
	}
}

// TestWalkSpill: a member too large for memory costs a file, not memory.
func TestWalkSpill(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "x.tgz", makeGzip(t, makeTar(t, member{"large", strings.Repeat("spill", 60<<20/5)})))
	var size int64
	n := allocated(func() {
		stats, err := Walk(t.Context(), path, Options{Limits: Limits{InMemory: 1 << 20, Ratio: 2000}}, func(i Item) error {
			size = i.Size
			if !bytes.HasSuffix(i.Data, []byte("spill")) || !bytes.HasPrefix(i.Data, []byte("spill")) {
				t.Error("content changed")
			}
			return nil
		}, func(u finding.Unread) { t.Error(u) })
		if err != nil || stats.Visited != 1 {
			t.Error(stats, err)
		}
	})
	if size != 60<<20/5*5 || n > 16<<20 {
		t.Errorf("%d bytes, allocated %d MiB", size, n>>20)
	}
}

// FuzzWalk: whatever the bytes are, the walk ends without panic, within its limits, and counts what it tells.
func FuzzWalk(f *testing.F) {
	tarred := makeTar(f, member{"package/a", "aaaa"}, member{"../b", "bbbb"})
	for _, seed := range [][]byte{
		makeZip(f, member{"a", "aaaaaaaaaaaaaaaaaaaaaaaa"}, member{"b", "b"}), tarred, makeGzip(f, tarred), makeXz(f, tarred),
		makeZstd(f, tarred), bzip2Tar(f), xzBlock(40), sparseTar(1000), overlapping(f, 5, 100),
		makeZip(f, member{"x.gz", string(makeGzip(f, []byte("deep")))}), []byte("plain"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := Limits{Expanded: 8 << 20, MemberSize: 1 << 20, InMemory: 64 << 10, Members: 1000}
		visited, unread, size := 0, 0, int64(0)
		w := newWalker(t.Context(), Options{Limits: limits}, func(i Item) error {
			visited++
			size += i.Size
			name := "/" + i.Member + "/"
			if !utf8.ValidString(name) || strings.Contains(name, "/../") || strings.HasPrefix(name, "//") && i.Member != "" {
				t.Errorf("member %q", i.Member)
			}
			return nil
		}, func(finding.Unread) { unread++ })
		err := w.offer(place{path: "x"}, &content{data: append([]byte{}, data...)})
		stats := w.stats
		if err != nil || stats.Visited != visited || stats.Bytes != size || stats.Unread > unread && unread <= 1000 {
			t.Errorf("%+v, %v: %d visited, %d bytes, %d unread", stats, err, visited, size, unread)
		}
		if stats.Expanded > limits.Expanded+limits.MemberSize {
			t.Errorf("expanded %d bytes", stats.Expanded)
		}
	})
}

func BenchmarkWalk(b *testing.B) {
	dir := b.TempDir()
	noise := make([]byte, 100<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	magic := []byte("\xcf\xfa\xed\xfe")
	inputs := map[string]string{
		"noise": write(b, dir, "noise", noise),
		"plain": write(b, dir, "plain", append(bytes.Clone(magic), noise...)),
		"zip":   write(b, dir, "zip", makeZip(b, member{"x", string(magic) + string(noise)})),
	}
	for i := range 1000 {
		write(b, dir, fmt.Sprintf("many/%d/%d", i%30, i), noise[i*100:i*200])
	}
	inputs["folder"] = filepath.Join(dir, "many")
	for name, path := range inputs {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := Walk(b.Context(), path, Options{Want: func(_ string, head []byte) bool {
					return bytes.HasPrefix(head, magic)
				}}, func(Item) error { return nil }, func(u finding.Unread) { b.Fatal(u) })
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
