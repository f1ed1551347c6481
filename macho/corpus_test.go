package macho

import (
	"bytes"
	"debug/macho"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	gomacho "github.com/blacktop/go-macho"
	"github.com/google/go-cmp/cmp"
)

// TestCorpus compares every Mach-O file below the folder that MACHO_CORPUS names with debug/macho and go-macho: real
// programs, from more compilers and linkers than the tests can build with.
func TestCorpus(t *testing.T) {
	root := os.Getenv("MACHO_CORPUS")
	if root == "" {
		t.Skip("SKIPPED: set MACHO_CORPUS to a folder of Mach-O files")
	}
	files, compared := 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := Open(path)
		if err != nil {
			return nil
		}
		defer f.Close()
		files++
		for _, err := range f.Errors {
			t.Errorf("%s: %v", path, err)
		}
		for i, m := range f.Images {
			if f.Archive && i%7 != 0 || !m.InScope() {
				continue // a sample of the members of large archives
			}
			compared++
			name, _ := filepath.Rel(root, path)
			t.Run(name+" "+m.Member+" "+m.Arch, func(t *testing.T) { compareWithOthers(t, m) })
		}
		return nil
	})
	if err != nil || compared == 0 {
		t.Fatalf("%d images compared: %v", compared, err)
	}
	t.Logf("%d files, %d images compared", files, compared)
}

func compareWithOthers(t *testing.T, m *Image) {
	if want, err := macho.NewFile(bytes.NewReader(m.data)); err != nil {
		t.Logf("debug/macho: %v", err)
	} else {
		compareDebugMacho(t, m, want, false)
	}
	functions, stubs := m.Functions(), m.Stubs()
	if m.Type != Object && len(m.data) < 40<<20 {
		if want, err := gomacho.NewFile(bytes.NewReader(m.data)); err != nil {
			t.Logf("go-macho: %v", err)
		} else {
			var starts []uint64
			for _, f := range want.GetFunctions() {
				starts = append(starts, f.StartAddr)
			}
			if len(starts) > 0 && !m.cmds.functionStarts.empty() && !slices.Equal(starts, functions) {
				t.Errorf("function starts: %d, go-macho has %d", len(functions), len(starts))
			}
		}
	}
	// What stubs jump to, by their code, against the indirect symbol table, which is written for tools alone.
	for _, s := range stubs {
		sect := m.SectionAt(s.Addr)
		if s.Selector != "" || sect.Reserved2 == 0 {
			continue
		}
		want, ok := m.indirect(uint64(sect.Reserved1) + (s.Addr-sect.Addr)/uint64(sect.Reserved2))
		if ok && want.Name != s.Name() {
			t.Errorf("stub at %#x: %s, indirect symbol table %s", s.Addr, s.Name(), want.Name)
		}
	}
	bound := map[uint64]string{}
	for b := range m.Bindings() {
		bound[b.Addr] = b.Import.Name
	}
	got := map[uint64]string{}
	for addr := range bound {
		p, ok := m.Pointer(addr)
		if ok {
			got[addr] = p.Import
		}
	}
	if d := cmp.Diff(bound, got); d != "" && len(bound) < 1<<16 {
		t.Errorf("Pointer against Bindings:\n%s", d)
	}
	noProblems(t, m)
}
